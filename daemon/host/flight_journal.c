#include "host/flight_journal.h"
#include "host/clock.h"
#include "host/crash_point.h"
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <systemd/sd-id128.h>
#include <unistd.h>

#define PAGE 4096
#define GROW_BYTES (256 * 1024)
#define MAP_BYTES (64 * 1024 * 1024) /* of address space: more than a file ever gets */
#define UNTOUCHED_US (US_PER_S / 2)
/*
 * A file that was changed so much later than its last record was made has lost records, or is not
 * what was written: the kernel stamps a file at the latest when half a second has passed.
 */
#define UNSTAMPED_US (UNTOUCHED_US + US_PER_S / 4)
#define FULL_BYTES (16 * 1024 * 1024) /* then the next file */
#define KEEP_BYTES (64LL * 1024 * 1024)
#define KEEP_S (30 * 86400)
#define LOOK_AGAIN_US (5 * US_PER_S)
#define NAME_FORMAT "flights-" SD_ID128_UUID_FORMAT_STR ".journal"
/* Of a record: the mark comes first and is stored last, the checksum before it. */
#define SUM_OFFSET 8
#define BODY_OFFSET 16
static const char magic[8] = {'C', 'H', 'W', 'F', 'L', 'Y', '2', '\n'};

/* The first page of a file; integers are little endian, the rest of the page is zero. */
struct head {
    char magic[8];
    uint8_t key[FLIGHT_KEY_BYTES]; /* the file's id */
    uint8_t boot[16];              /* zero: not known */
    uint64_t inode, number;
    uint64_t made_us;  /* wall clock */
    uint64_t checksum; /* of all before */
};
_Static_assert(sizeof(struct head) % 8 == 0, "the checksum takes words");

struct flight_file {
    LIST_ENTRY(flight_file) link;
    struct flight_journal *journal;
    char id[FLIGHT_ID_SIZE];
    uint8_t key[FLIGHT_KEY_BYTES];
    char *path;
    int fd;
    unsigned users, open; /* open: left, and their end is not written */
    unsigned claims;      /* that name it */
    uint64_t sequence;
    int64_t used, size;
    uint8_t *map;       /* the file; valid up to `size` */
    int64_t touched_us; /* the last record */
    bool broken;        /* a write failed: nothing leaves under it any more */
};

struct flight_journal {
    char *directory;
    LIST_HEAD(, flight_file) files;
    struct flight_file *current; /* one of them, or NULL */
    struct problem problem;      /* why there is none */
    int64_t retry_us;
};

DEFINE_OWN(struct flight_journal, flight_journal_free, journal_freep)

/* ---- one file, writing ---- */

static void file_free(struct flight_file *file)
{
    if (!file)
        return;
    if (file->fd >= 0 && file->sequence == 0 && file->claims == 0)
        unlink(file->path); /* nobody needs what it does not say */
    if (file->map)
        munmap(file->map, MAP_BYTES);
    if (file->fd >= 0)
        close(file->fd);
    free(file->path);
    free(file);
}
DEFINE_OWN(struct flight_file, file_free, file_freep)

static int file_grow(struct flight_file *file, int64_t bytes)
{
    int64_t size = file->size;
    int r;

    if (bytes <= size)
        return 0;
    if (bytes > MAP_BYTES)
        return -EFBIG;
    while (size < bytes)
        size += size < GROW_BYTES ? 4 * PAGE : GROW_BYTES;
    do
        r = posix_fallocate(file->fd, 0, size);
    while (r == EINTR);
    if (r != 0)
        return -r;
    file->size = size;
    return 0;
}

static int write_at(int fd, const void *bytes, size_t count, int64_t offset)
{
    ssize_t written;

    do
        written = pwrite(fd, bytes, count, offset);
    while (written < 0 && errno == EINTR);
    if (written < 0)
        return -errno;
    return (size_t)written == count ? 0 : -EIO;
}

/* Where a record of that length comes to stand: never across the end of a page. */
static int64_t place_of(int64_t used, size_t length)
{
    int64_t left = PAGE - used % PAGE;

    return (int64_t)length > left ? used + left : used;
}

/* Each reply may take a page of its own. */
static int64_t room_wanted(int64_t used, unsigned replies)
{
    return used + PAGE + (int64_t)replies * PAGE;
}

static void break_file(struct flight_file *file, const char *what, int error)
{
    struct flight_journal *journal = file->journal;

    file->broken = true;
    problem_set(&journal->problem, "unable to %s the flight journal %s: %s", what, file->path,
                strerror(error));
    problem_hint(&journal->problem, "the state directory must be writable and have room");
    if (journal->current == file)
        journal->current = NULL;
}

/*
 * Stores cost a tenth of a system call. But where the page was not written lately the kernel may
 * find now that it cannot be, and would tell a store by SIGBUS: that first record is written by
 * pwrite(2), which says so.
 */
static int put_record(struct flight_file *file, const uint8_t *bytes, size_t length, int64_t offset)
{
    uint8_t *at = file->map + offset;
    int64_t now_us = clock_monotonic_us();
    bool untouched = offset % PAGE == 0 || now_us - file->touched_us > UNTOUCHED_US;

    file->touched_us = now_us;
    if (untouched)
        return write_at(file->fd, bytes, length, offset);
    memcpy(at + BODY_OFFSET, bytes + BODY_OFFSET, length - BODY_OFFSET);
    atomic_signal_fence(memory_order_seq_cst);
    memcpy(at + SUM_OFFSET, bytes + SUM_OFFSET, BODY_OFFSET - SUM_OFFSET);
    atomic_signal_fence(memory_order_seq_cst);
    memcpy(at, bytes, SUM_OFFSET); /* from here on it is a record */
    return 0;
}

/* What is stored is the page cache's: our own memory need not grow with it. */
#define KEPT_BYTES (INT64_C(128) * 1024)

static void forget_behind(const struct flight_file *file, int64_t used_before)
{
    int64_t from = used_before / KEPT_BYTES * KEPT_BYTES, to = file->used / KEPT_BYTES * KEPT_BYTES;

    if (to > from)
        (void)madvise(file->map + from, (size_t)(to - from), MADV_DONTNEED);
}

static int file_append(struct flight_file *file, const struct flight_record *record)
{
    uint8_t bytes[FLIGHT_RECORD_MAX];
    struct flight_record numbered = *record;
    size_t length;
    int64_t offset, used_before;
    int r;

    numbered.sequence = file->sequence;
    numbered.at_us = clock_wall_us();
    length = flight_record_encode(&numbered, file->key, bytes);
    if (length == 0)
        return -EMSGSIZE;
    offset = place_of(file->used, length);
    CRASH_HALF_WAY("journal: half a record",
                   memcpy(file->map + offset + BODY_OFFSET, bytes + BODY_OFFSET, length / 2));
    r = put_record(file, bytes, length, offset);
    if (r < 0)
        return r;
    used_before = file->used;
    file->sequence++;
    file->used = offset + (int64_t)length;
    forget_behind(file, used_before);
    return 0;
}

static int write_head(struct flight_file *file, const sd_id128_t *id, uint64_t number)
{
    struct head head = {.number = htole64(number), .made_us = htole64((uint64_t)clock_wall_us())};
    struct stat status;
    sd_id128_t boot;

    if (fstat(file->fd, &status) < 0)
        return -errno;
    memcpy(head.magic, magic, sizeof head.magic);
    memcpy(head.key, id->bytes, sizeof head.key);
    if (sd_id128_get_boot(&boot) >= 0)
        memcpy(head.boot, boot.bytes, sizeof head.boot);
    head.inode = htole64((uint64_t)status.st_ino);
    head.checksum =
        htole64(flight_checksum((const uint8_t *)&head, offsetof(struct head, checksum), head.key));
    return write_at(file->fd, &head, sizeof head, 0);
}

static int file_open(struct flight_file *file, const sd_id128_t *id, uint64_t number)
{
    int r;

    if (asprintf(&file->path, "%s/" NAME_FORMAT, file->journal->directory,
                 SD_ID128_FORMAT_VAL(*id)) < 0) {
        file->path = NULL;
        return -ENOMEM;
    }
    file->fd = open(file->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file->fd < 0)
        return -errno;
    if (flock(file->fd, LOCK_EX | LOCK_NB) < 0)
        return -errno;
    file->used = PAGE;
    r = file_grow(file, room_wanted(file->used, 1));
    if (r == 0)
        r = write_head(file, id, number);
    if (r == 0) {
        void *map = mmap(NULL, MAP_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file->fd, 0);

        if (map == MAP_FAILED)
            return -errno;
        file->map = map;
    }
    return r;
}

/* ---- reading ---- */

void flight_log_done(struct flight_log *log)
{
    free(log->entries);
    free(log->bytes);
    *log = (struct flight_log){0};
}

void flight_shelf_done(struct flight_shelf *shelf)
{
    for (size_t i = 0; i < shelf->count; i++) {
        if (shelf->places[i].fd >= 0)
            close(shelf->places[i].fd);
        free(shelf->places[i].path);
    }
    free(shelf->places);
    *shelf = (struct flight_shelf){0};
}

static bool read_head(int fd, struct head *ret_head)
{
    return pread(fd, ret_head, sizeof *ret_head, 0) == (ssize_t)sizeof *ret_head &&
           memcmp(ret_head->magic, magic, sizeof magic) == 0 &&
           le64toh(ret_head->checksum) == flight_checksum((const uint8_t *)ret_head,
                                                          offsetof(struct head, checksum),
                                                          ret_head->key);
}

static struct flight_file *find_own(const struct flight_journal *journal, const char *id)
{
    struct flight_file *file;

    LIST_FOREACH(file, &journal->files, link)
    if (strcmp(file->id, id) == 0)
        return file;
    return NULL;
}

/* False: not a journal, not to be read, or another living process holds it. */
static bool look_at(struct flight_journal *journal, const char *name,
                    struct flight_place *ret_place)
{
    struct flight_place place = {.fd = -1};
    struct stat status;
    struct head head;
    sd_id128_t id;
    bool sound;
    int fd;

    if (asprintf(&place.path, "%s/%s", journal->directory, name) < 0)
        return false;
    fd = open(place.path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) /* flock needs no right to write */
        fd = open(place.path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    sound = fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && read_head(fd, &head);
    if (sound) {
        memcpy(id.bytes, head.key, sizeof id.bytes);
        snprintf(place.id, sizeof place.id, SD_ID128_UUID_FORMAT_STR, SD_ID128_FORMAT_VAL(id));
        place.number = le64toh(head.number);
        place.changed_s = status.st_mtim.tv_sec;
        place.bytes = status.st_size;
        if (!find_own(journal, place.id)) {
            sound = flock(fd, LOCK_EX | LOCK_NB) == 0;
            place.fd = sound ? fd : -1;
        }
    }
    if (fd >= 0 && place.fd < 0)
        close(fd);
    if (sound)
        *ret_place = place;
    else
        free(place.path);
    return sound;
}

static int newest_first(const void *a, const void *b)
{
    const struct flight_place *one = a, *other = b;

    return (one->number < other->number) - (one->number > other->number);
}

int flight_journal_list(struct flight_journal *journal, struct flight_shelf *ret_shelf)
{
    struct flight_shelf shelf = {0};
    DIR *directory = opendir(journal->directory);
    struct dirent *entry;

    if (!directory)
        return -errno;
    while ((entry = readdir(directory))) {
        struct flight_place place, *places;
        size_t length = strlen(entry->d_name);

        if (strncmp(entry->d_name, "flights-", 8) != 0 || length < 8 ||
            strcmp(entry->d_name + length - 8, ".journal") != 0 ||
            !look_at(journal, entry->d_name, &place))
            continue;
        places = reallocarray(shelf.places, shelf.count + 1, sizeof *places);
        if (!places) {
            free(place.path);
            if (place.fd >= 0)
                close(place.fd);
            closedir(directory);
            flight_shelf_done(&shelf);
            return -ENOMEM;
        }
        shelf.places = places;
        shelf.places[shelf.count++] = place;
    }
    closedir(directory);
    if (shelf.count > 1)
        qsort(shelf.places, shelf.count, sizeof *shelf.places, newest_first);
    *ret_shelf = shelf;
    return 0;
}

static bool all_zero(const uint8_t *bytes, size_t count)
{
    return count == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, count - 1) == 0);
}

/* Keeps which entries have no end yet, so that an end finds its beginning among few. */
struct open_list {
    size_t *indexes;
    size_t count, size;
};

static int take_record(struct flight_log *log, size_t *size, struct open_list *open,
                       const struct flight_record *record)
{
    if (record->kind == RECORD_LEAVES) {
        if (log->count == *size) {
            size_t more = *size ? *size * 2 : 256;
            struct flight_entry *entries = reallocarray(log->entries, more, sizeof *entries);

            if (!entries)
                return -ENOMEM;
            log->entries = entries;
            *size = more;
        }
        if (open->count == open->size) {
            size_t more = open->size ? open->size * 2 : 64;
            size_t *indexes = reallocarray(open->indexes, more, sizeof *indexes);

            if (!indexes)
                return -ENOMEM;
            open->indexes = indexes;
            open->size = more;
        }
        open->indexes[open->count++] = log->count;
        log->entries[log->count++] = (struct flight_entry){.leaves = *record};
        return 0;
    }
    for (size_t i = open->count; i-- > 0;) {
        struct flight_entry *entry = &log->entries[open->indexes[i]];

        if (entry->leaves.number == record->number &&
            entry->leaves.account_id == record->account_id &&
            strcmp(entry->leaves.order_ref, record->order_ref) == 0) {
            entry->ended = *record;
            open->indexes[i] = open->indexes[--open->count];
            return 0;
        }
    }
    return 0;
}

/*
 * Nothing but zeros, or a record that a death interrupted: its start, which is stored last, is
 * zero. It never became one, so what it was to say has not happened.
 */
static bool is_unused(const uint8_t *bytes, int64_t at, int64_t end)
{
    int64_t next = at + PAGE - at % PAGE;

    if (next > end)
        next = end;
    if (next - at < BODY_OFFSET)
        return all_zero(bytes + at, (size_t)(end - at));
    return all_zero(bytes + at, BODY_OFFSET) && all_zero(bytes + next, (size_t)(end - next));
}

/* All records up to the first that is none. *ret_whole: nothing but zeros follows, and the room for
 * replies is there. *ret_last_us is written when there is one: when the last was made. */
static int take_records(struct flight_log *log, int64_t bytes, const uint8_t *key, bool *ret_whole,
                        int64_t *ret_last_us)
{
    struct open_list open = {0};
    size_t entries_size = 0;
    int64_t at = PAGE;
    uint64_t sequence = 0;
    int r = 0;

    while (r == 0 && at < bytes) {
        struct flight_record record;
        int64_t left = PAGE - at % PAGE, next = at + left;
        size_t length;

        if (left > bytes - at)
            left = bytes - at;
        length = flight_record_decode(log->bytes + at, (size_t)left, key, sequence, &record);
        if (length > 0) {
            r = take_record(log, &entries_size, &open, &record);
            *ret_last_us = record.at_us;
            sequence++;
            at += (int64_t)length;
        } else if (at % PAGE != 0 && next < bytes && all_zero(log->bytes + at, (size_t)left) &&
                   flight_record_decode(log->bytes + next,
                                        (size_t)(bytes - next < PAGE ? bytes - next : PAGE), key,
                                        sequence, &record) > 0) {
            at = next; /* the rest of a page was left free */
        } else {
            break;
        }
    }
    *ret_whole = at < bytes && is_unused(log->bytes, at, bytes) &&
                 bytes >= room_wanted(at, (unsigned)open.count);
    free(open.indexes);
    return r;
}

static int read_all(int fd, int64_t bytes, uint8_t **ret_bytes)
{
    uint8_t *all = malloc((size_t)bytes + 1);
    int64_t at = 0;

    if (!all)
        return -ENOMEM;
    while (at < bytes) {
        ssize_t count = pread(fd, all + at, (size_t)(bytes - at), at);

        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0) {
            int r = count < 0 ? -errno : -EIO;

            free(all);
            return r;
        }
        at += count;
    }
    *ret_bytes = all;
    return 0;
}

int flight_journal_read(struct flight_journal *journal, const struct flight_place *place,
                        struct flight_log *ret_log)
{
    OWN(flight_log_done) struct flight_log log = {0};
    struct flight_file *own = find_own(journal, place->id);
    int fd = own ? own->fd : place->fd;
    struct stat status;
    struct head head;
    sd_id128_t boot;
    bool whole = false, same_boot;
    int64_t last_us, changed_us;
    int r;

    if (fd < 0 || fstat(fd, &status) < 0 || !read_head(fd, &head))
        return -EBADF;
    last_us = (int64_t)le64toh(head.made_us);
    changed_us = (int64_t)status.st_ctim.tv_sec * US_PER_S + status.st_ctim.tv_nsec / 1000;
    r = read_all(fd, status.st_size, &log.bytes);
    if (r == 0)
        r = take_records(&log, status.st_size, head.key, &whole, &last_us);
    if (r < 0)
        return r;
    memcpy(log.id, place->id, sizeof log.id);
    same_boot =
        sd_id128_get_boot(&boot) >= 0 && memcmp(boot.bytes, head.boot, sizeof head.boot) == 0;
    log.own = own != NULL;
    log.complete = !own && whole && same_boot && le64toh(head.inode) == (uint64_t)status.st_ino &&
                   changed_us <= last_us + UNSTAMPED_US;
    *ret_log = log;
    log = (struct flight_log){0};
    return 0;
}

void flight_journal_prune(const struct flight_shelf *shelf, int64_t now_s)
{
    int64_t kept = 0;

    for (size_t i = 0; i < shelf->count; i++) {
        const struct flight_place *place = &shelf->places[i];

        kept += place->bytes;
        if (place->fd >= 0 && (kept > KEEP_BYTES || place->changed_s < now_s - KEEP_S))
            unlink(place->path);
    }
}

/* ---- the process's journal ---- */

int flight_journal_new(const char *directory, struct flight_journal **ret_journal)
{
    OWN(journal_freep) struct flight_journal *journal = calloc(1, sizeof *journal);

    if (!journal)
        return -ENOMEM;
    LIST_INIT(&journal->files);
    journal->directory = strdup(directory);
    if (!journal->directory)
        return -ENOMEM;
    *ret_journal = GIVE(journal);
    return 0;
}

const char *flight_journal_directory(const struct flight_journal *journal)
{
    return journal->directory;
}

void flight_journal_free(struct flight_journal *journal)
{
    struct flight_file *file;

    if (!journal)
        return;
    while ((file = LIST_FIRST(&journal->files))) {
        LIST_REMOVE(file, link);
        file_free(file);
    }
    free(journal->directory);
    free(journal);
}

static uint64_t next_number(struct flight_journal *journal)
{
    struct flight_shelf shelf = {0};
    struct flight_file *file;
    uint64_t number = 0;

    if (flight_journal_list(journal, &shelf) == 0 && shelf.count > 0)
        number = shelf.places[0].number;
    flight_shelf_done(&shelf);
    LIST_FOREACH(file, &journal->files, link)
    number++; /* ours may have lost their names */
    return number + 1;
}

static int open_next(struct flight_journal *journal)
{
    OWN(file_freep) struct flight_file *file = calloc(1, sizeof *file);
    sd_id128_t id;
    int r = sd_id128_randomize(&id);

    if (!file)
        return -ENOMEM;
    file->fd = -1;
    file->journal = journal;
    if (r < 0)
        return r;
    if (mkdir(journal->directory, 0700) < 0 && errno != EEXIST)
        return -errno;
    memcpy(file->key, id.bytes, sizeof file->key);
    snprintf(file->id, sizeof file->id, SD_ID128_UUID_FORMAT_STR, SD_ID128_FORMAT_VAL(id));
    r = file_open(file, &id, next_number(journal));
    if (r < 0)
        return r;
    journal->current = GIVE(file);
    LIST_INSERT_HEAD(&journal->files, journal->current, link);
    return 0;
}

/* Whether somebody removed it, so that nobody would find it after our death. */
static bool is_lost(const struct flight_file *file)
{
    struct stat status;

    return fstat(file->fd, &status) < 0 || status.st_nlink == 0 || status.st_size < file->size;
}

static void let_go(struct flight_file *file)
{
    if (file->users > 0 || file == file->journal->current)
        return;
    LIST_REMOVE(file, link);
    file_free(file);
}

struct flight_file *flight_journal_hold(struct flight_journal *journal, int64_t now_us,
                                        struct problem *reterr_problem)
{
    struct flight_file *file = journal->current;
    int r;

    if (file && is_lost(file)) {
        break_file(file, "find", ENOENT);
        journal->retry_us = 0;
        let_go(file);
    } else if (file && file->used >= FULL_BYTES) {
        journal->current = NULL;
        let_go(file);
    }
    if (!journal->current && now_us >= journal->retry_us) {
        r = open_next(journal);
        if (r < 0) {
            problem_set(&journal->problem, "unable to make a flight journal in %s: %s",
                        journal->directory, strerror(-r));
            problem_hint(&journal->problem, "the state directory must be writable and have room");
            journal->retry_us = now_us + LOOK_AGAIN_US;
        }
    }
    if (!journal->current) {
        *reterr_problem = journal->problem;
        return NULL;
    }
    return flight_file_share(journal->current);
}

struct flight_file *flight_file_share(struct flight_file *file)
{
    file->users++;
    return file;
}

void flight_file_release(struct flight_file *file)
{
    if (!file)
        return;
    file->users--;
    let_go(file);
}

const char *flight_file_id(const struct flight_file *file)
{
    return file->id;
}

void flight_file_note_claim(struct flight_file *file)
{
    file->claims++;
}

void flight_file_note_empty_claim(struct flight_file *file)
{
    file->claims--;
}

bool flight_file_leaves(struct flight_file *file, const struct flight_record *record)
{
    int r;

    if (file->broken)
        return false;
    r = file_grow(file, room_wanted(file->used + 2 * PAGE, file->open + 1));
    if (r < 0) {
        break_file(file, "reserve room in", -r);
        return false;
    }
    r = file_append(file, record);
    if (r < 0) {
        if (r != -EMSGSIZE)
            break_file(file, "write to", -r);
        return false;
    }
    file->open++;
    return true;
}

void flight_file_ended(struct flight_file *file, const struct flight_record *record)
{
    int r = file_append(file, record);

    if (file->open > 0)
        file->open--;
    if (r < 0 && r != -EMSGSIZE)
        break_file(file, "write to", -r);
}

bool flight_file_is_whole(const struct flight_file *file)
{
    return !file->broken;
}
