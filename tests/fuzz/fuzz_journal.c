/*
 * Any bytes as records of the flight journal. Torn, foreign and changed ones are no records; one
 * that is accepted reads the same after it was written again. As nearly no bytes have the right
 * checksum, it is also set right first, so that what stands behind it is reached.
 *
 * Then as damage to a whole file: what is read of it is true, and it proves something by what is
 * not in it only when nothing of it is missing.
 */
#include "host/flight_journal.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t key[FLIGHT_KEY_BYTES] = "0123456789abcdef";
static const uint8_t other_key[FLIGHT_KEY_BYTES] = "0123456789abcdeg";

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void require_same(const struct flight_record *a, const struct flight_record *b)
{
    require(a->kind == b->kind && a->sequence == b->sequence && a->at_us == b->at_us);
    require(a->account_id == b->account_id && a->number == b->number && a->order_id == b->order_id);
    require(a->http_status == b->http_status && a->wait_s == b->wait_s);
    require(strcmp(a->order_ref, b->order_ref) == 0 && strcmp(a->provider, b->provider) == 0);
    require(strcmp(a->outcome, b->outcome) == 0);
    require(strcmp(a->provider_order_id, b->provider_order_id) == 0);
}

/* What was read is written and read again; `change` picks a bit that then makes it no record. */
static void look_at(const struct flight_record *record, uint64_t sequence, size_t change)
{
    uint8_t bytes[FLIGHT_RECORD_MAX];
    struct flight_record again;
    size_t length;

    require(record->kind == RECORD_LEAVES || record->kind == RECORD_ENDED);
    require(record->sequence == sequence);
    require(record->order_ref && record->provider && record->service && record->link &&
            record->quantity && record->outcome && record->provider_order_id && record->answer);
    length = flight_record_encode(record, key, bytes);
    if (length == 0)
        return; /* a key longer than is ever written */
    require(length % 8 == 0 && length <= sizeof bytes);
    require(flight_record_decode(bytes, length, key, sequence, &again) == length);
    require_same(record, &again);
    require(flight_record_decode(bytes, length, key, sequence + 1, &again) == 0);
    require(flight_record_decode(bytes, length, other_key, sequence, &again) == 0);
    require(flight_record_decode(bytes, length - 1, key, sequence, &again) == 0);
    bytes[change / 8 % length] ^= (uint8_t)(1 << change % 8);
    require(flight_record_decode(bytes, length, key, sequence, &again) == 0);
}

/* The bytes with mark, length and checksum as a record of that length has them. */
static size_t set_right(uint8_t *bytes, size_t size)
{
    struct flight_record shortest = {.kind = RECORD_LEAVES};
    uint8_t head[FLIGHT_RECORD_MAX];
    size_t least = flight_record_encode(&shortest, key, head);
    uint64_t checksum;

    if (size < least)
        return 0;
    size = size / 8 * 8;
    memcpy(bytes, head, 8);
    bytes[2] = (uint8_t)size;
    bytes[3] = (uint8_t)(size >> 8);
    checksum = flight_checksum(bytes + 16, size - 16, key);
    for (size_t i = 0; i < 8; i++)
        bytes[8 + i] = (uint8_t)(checksum >> 8 * i);
    return size;
}

/* ---- a whole file ---- */

#define PAGE 4096
#define EDITS_MAX 6 /* bytes: fewer than make a record look as if it had never been finished */

/* What a process wrote that is dead: `a` left and was accepted as 77, `b` left. */
static struct {
    struct flight_journal *journal;
    struct flight_shelf shelf; /* it alone */
    uint8_t bytes[32 * PAGE];
    ssize_t size;
} file;

static void write_file(const char *directory)
{
    struct flight_journal *writer = NULL;
    struct flight_file *held;
    struct flight_record record = {.kind = RECORD_LEAVES,
                                   .account_id = 1,
                                   .number = 1,
                                   .provider = "panel",
                                   .service = "S",
                                   .link = "https://example.org/",
                                   .quantity = "10"};
    struct problem problem;

    require(flight_journal_new(directory, &writer) == 0);
    held = flight_journal_hold(writer, 0, &problem);
    require(held != NULL);
    record.order_ref = "a";
    require(flight_file_leaves(held, &record));
    record.order_ref = "b";
    require(flight_file_leaves(held, &record));
    record = (struct flight_record){.kind = RECORD_ENDED,
                                    .account_id = 1,
                                    .number = 1,
                                    .order_ref = "a",
                                    .provider = "panel",
                                    .outcome = "accepted",
                                    .provider_order_id = "77"};
    flight_file_ended(held, &record);
    flight_file_release(held);
    flight_journal_free(writer);
}

/* As if the records were made when the file was changed last, which it is all the time here. */
static void date_records(uint8_t *bytes, const uint8_t *file_key)
{
    for (uint64_t sequence = 0; sequence < 3; sequence++) {
        uint8_t dated[FLIGHT_RECORD_MAX];
        struct flight_record record;
        size_t length = flight_record_decode(bytes, FLIGHT_RECORD_MAX, file_key, sequence, &record);

        require(length > 0);
        record.at_us = INT64_MAX / 2;
        require(flight_record_encode(&record, file_key, dated) == length);
        memcpy(bytes, dated, length);
        bytes += length;
    }
}

/* Its name goes, its inode stays. */
static void open_file(void)
{
    char directory[] = "/tmp/chwsyncd-fuzz.XXXXXX";

    require(mkdtemp(directory) != NULL);
    write_file(directory);
    require(flight_journal_new(directory, &file.journal) == 0);
    require(flight_journal_list(file.journal, &file.shelf) == 0 && file.shelf.count == 1);
    file.size = pread(file.shelf.places[0].fd, file.bytes, sizeof file.bytes, 0);
    require(file.size > 2 * PAGE && file.size < (ssize_t)sizeof file.bytes);
    date_records(file.bytes + PAGE, file.bytes + 8);
    unlink(file.shelf.places[0].path);
    rmdir(directory);
}

static void require_true_entries(const struct flight_log *log)
{
    require(log->count <= 2);
    for (size_t i = 0; i < log->count; i++) {
        const struct flight_entry *entry = &log->entries[i];

        require(strcmp(entry->leaves.order_ref, i ? "b" : "a") == 0);
        require(entry->ended.kind == 0 ||
                (i == 0 && strcmp(entry->ended.provider_order_id, "77") == 0));
    }
}

/* Two bytes say where it ends now, then three for each byte that is another one. */
static void damage_file(const uint8_t *data, size_t size)
{
    struct flight_log log = {0};
    off_t end;
    int fd;

    if (!file.journal)
        open_file();
    fd = file.shelf.places[0].fd;
    end = size >= 2 && data[1] & 1 ? (data[0] | data[1] << 8) % file.size : file.size;
    require(pwrite(fd, file.bytes, (size_t)file.size, 0) == file.size);
    for (size_t i = 2; i + 2 < size && i < 2 + 3 * EDITS_MAX; i += 3)
        require(pwrite(fd, data + i + 2, 1, (data[i] | data[i + 1] << 8) % (2 * PAGE)) == 1);
    require(ftruncate(fd, end) == 0);
    if (flight_journal_read(file.journal, file.shelf.places, &log) == 0) {
        require_true_entries(&log);
        require(!log.complete || (log.count == 2 && log.entries[0].ended.kind != 0));
        require(log.complete || size > 1); /* what is whole is not doubted */
    }
    flight_log_done(&log);
    require(ftruncate(fd, file.size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *bytes = malloc(size ? size : 1);
    struct flight_record record;
    uint64_t sequence = size ? data[0] & 3 : 0;
    size_t change = size > 1 ? data[1] * 37u + (size_t)data[0] : 0, length;

    if (!bytes)
        return 0;
    if (size)
        memcpy(bytes, data, size);
    length = flight_record_decode(bytes, size, key, sequence, &record);
    require(length <= size && length % 8 == 0);
    if (length)
        look_at(&record, sequence, change);
    if (size > 24)
        memcpy(bytes + 16, &(uint64_t){sequence}, 8);
    length = set_right(bytes, size < FLIGHT_RECORD_MAX ? size : FLIGHT_RECORD_MAX);
    if (length && flight_record_decode(bytes, length, key, sequence, &record))
        look_at(&record, sequence, change);
    free(bytes);
    damage_file(data, size);
    return 0;
}
