/* The flight journal's files: what survives, what proves something, and what stops new requests. */
#include "host/clock.h"
#include "host/flight_journal.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[64];

static int make_directory(void **state)
{
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/chwsyncd-flights.XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
    char command[200];

    (void)state;
    snprintf(command, sizeof command, "chmod 700 %s; rm -rf %s", directory, directory);
    return system(command);
}

static struct flight_record leaving(const char *order_ref, int number)
{
    return (struct flight_record){.kind = RECORD_LEAVES,
                                  .account_id = 1,
                                  .order_id = 5,
                                  .number = number,
                                  .order_ref = order_ref,
                                  .provider = "panel",
                                  .service = "S",
                                  .link = "https://example.org/",
                                  .quantity = "10"};
}

static struct flight_record accepted(const char *order_ref, int number, const char *id)
{
    return (struct flight_record){.kind = RECORD_ENDED,
                                  .account_id = 1,
                                  .order_id = 5,
                                  .number = number,
                                  .order_ref = order_ref,
                                  .provider = "panel",
                                  .outcome = "accepted",
                                  .provider_order_id = id};
}

static struct flight_journal *open_journal(void)
{
    struct flight_journal *journal = NULL;

    assert_int_equal(flight_journal_new(directory, &journal), 0);
    return journal;
}

static struct flight_file *hold(struct flight_journal *journal)
{
    struct problem problem = {0};
    struct flight_file *file = flight_journal_hold(journal, clock_monotonic_us(), &problem);

    if (!file)
        fail_msg("no journal: %s", problem.text);
    return file;
}

static void leave(struct flight_file *file, const char *order_ref)
{
    struct flight_record record = leaving(order_ref, 1);

    assert_true(flight_file_leaves(file, &record));
}

static void end(struct flight_file *file, const char *order_ref, const char *id)
{
    struct flight_record record = accepted(order_ref, 1, id);

    flight_file_ended(file, &record);
}

/* A process writes `a` (ended), `b` (left) and dies. Its file's path. */
static void write_and_die(char ret_path[static 128])
{
    struct flight_journal *journal;
    struct flight_shelf shelf = {0};
    pid_t child = fork();
    int status;

    if (child == 0) {
        struct flight_file *file = hold(open_journal());

        leave(file, "a");
        leave(file, "b");
        end(file, "a", "77");
        kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    journal = open_journal();
    assert_int_equal(flight_journal_list(journal, &shelf), 0);
    assert_int_equal(shelf.count, 1);
    snprintf(ret_path, 128, "%s", shelf.places[0].path);
    flight_shelf_done(&shelf);
    flight_journal_free(journal);
}

/* What is left of the one file there is. */
struct reading {
    struct flight_journal *journal;
    struct flight_shelf shelf;
    struct flight_log log;
    int r;
};

static struct reading read_one(void)
{
    struct reading reading = {.journal = open_journal(), .r = -ENOENT};

    assert_int_equal(flight_journal_list(reading.journal, &reading.shelf), 0);
    if (reading.shelf.count > 0)
        reading.r = flight_journal_read(reading.journal, &reading.shelf.places[0], &reading.log);
    return reading;
}

static void end_reading(struct reading *reading)
{
    flight_log_done(&reading->log);
    flight_shelf_done(&reading->shelf);
    flight_journal_free(reading->journal);
}

static void outlives_its_process(void **state)
{
    char path[128];
    struct reading reading;

    (void)state;
    write_and_die(path);
    reading = read_one();
    assert_int_equal(reading.r, 0);
    assert_int_equal(reading.log.count, 2);
    assert_string_equal(reading.log.entries[0].leaves.order_ref, "a");
    assert_int_equal(reading.log.entries[0].ended.kind, RECORD_ENDED);
    assert_string_equal(reading.log.entries[0].ended.provider_order_id, "77");
    assert_string_equal(reading.log.entries[1].leaves.order_ref, "b");
    assert_int_equal(reading.log.entries[1].ended.kind, 0);
    assert_true(reading.log.complete);
    assert_false(reading.log.own);
    end_reading(&reading);
}

/* Cut at every byte of what it holds: the rest counts, and nothing is proved by what is missing. */
static void cut_proves_nothing(void **state)
{
    char path[128];
    struct stat status;

    (void)state;
    write_and_die(path);
    assert_int_equal(stat(path, &status), 0);
    for (off_t at = 4096 + 600; at >= 4096; at -= 8) {
        struct reading reading;

        assert_int_equal(truncate(path, at), 0);
        reading = read_one();
        assert_int_equal(reading.r, 0);
        assert_in_range(reading.log.count, 0, 2);
        assert_false(reading.log.complete);
        end_reading(&reading);
    }
    assert_int_equal(truncate(path, 100), 0); /* no whole head: not even a journal */
    struct reading reading = read_one();
    assert_int_equal(reading.r, 0);
    end_reading(&reading);
    assert_int_equal(truncate(path, 40), 0);
    reading = read_one();
    assert_int_equal(reading.r, -ENOENT);
    end_reading(&reading);
}

/* Each byte of head and records changed in turn. */
static void a_changed_byte_proves_nothing(void **state)
{
    char path[128];
    off_t end_of_records;
    int fd;

    (void)state;
    write_and_die(path);
    fd = open(path, O_RDWR);
    end_of_records = 4096;
    for (off_t at = 4096; at < 2 * 4096; at++) {
        uint8_t byte = 0;

        assert_int_equal(pread(fd, &byte, 1, at), 1);
        if (byte)
            end_of_records = at + 1;
    }
    for (off_t at = 0; at < end_of_records; at++) {
        struct reading reading;
        uint8_t byte, changed;

        if (at == 64)
            at = 4096; /* the rest of the head's page says nothing */
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        changed = byte ^ 0x10;
        assert_int_equal(pwrite(fd, &changed, 1, at), 1);
        reading = read_one();
        if (reading.r == 0)
            assert_false(reading.log.complete);
        for (size_t i = 0; i < reading.log.count; i++) /* what is read is true */
            assert_string_equal(reading.log.entries[i].leaves.order_ref, i == 0 ? "a" : "b");
        end_reading(&reading);
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    close(fd);
}

/*
 * A death half way through a record: it never became one, and what it was to say has not happened.
 * With its checksum stored that is too close to a record that lost its first word.
 */
static void an_interrupted_record_is_none(void **state)
{
    char path[128];
    unsigned doubted = 0;

    (void)state;
    for (off_t beyond = 0; beyond < 200; beyond += 4) {
        struct reading reading;
        uint8_t page[4096];
        off_t end_of_records = 0;
        int fd;

        write_and_die(path);
        fd = open(path, O_RDWR);
        assert_int_equal(pread(fd, page, sizeof page, 4096), sizeof page);
        for (size_t i = 0; i < sizeof page; i++)
            if (page[i])
                end_of_records = (off_t)i + 1;
        assert_int_equal(pwrite(fd, "x", 1, 4096 + end_of_records + beyond), 1);
        close(fd);
        reading = read_one();
        assert_int_equal(reading.log.count, 2);
        doubted += !reading.log.complete;
        if (beyond >= 32) /* its body, which is stored first */
            assert_true(reading.log.complete);
        end_reading(&reading);
        unlink(path);
    }
    assert_in_range(doubted, 4, 8); /* mark and checksum, and what fills up the record before */
}

/* What the disk lost, or somebody put back as it was: the file was changed later than it tells. */
static void lost_pages_prove_nothing(void **state)
{
    static const uint8_t zeros[4096];
    struct reading reading;
    char path[128];
    int fd;

    (void)state;
    write_and_die(path);
    usleep(800 * 1000);
    reading = read_one();
    assert_true(reading.log.complete);
    end_reading(&reading);
    fd = open(path, O_RDWR);
    assert_int_equal(pwrite(fd, zeros, sizeof zeros, 4096), sizeof zeros);
    close(fd);
    reading = read_one();
    assert_int_equal(reading.r, 0);
    assert_int_equal(reading.log.count, 0);
    assert_false(reading.log.complete);
    end_reading(&reading);
}

/* The file of another boot, and a copy put in its place, prove nothing by what is not in them. */
static void a_copy_proves_nothing(void **state)
{
    char path[128], command[600];
    struct reading reading;

    (void)state;
    write_and_die(path);
    snprintf(command, sizeof command, "cp %s %s.copy && mv %s.copy %s", path, path, path, path);
    assert_int_equal(system(command), 0);
    reading = read_one();
    assert_int_equal(reading.r, 0);
    assert_int_equal(reading.log.count, 2);
    assert_false(reading.log.complete);
    end_reading(&reading);
}

static void a_living_process_is_left_alone(void **state)
{
    struct flight_journal *writer = open_journal();
    struct flight_file *file = hold(writer);
    struct reading own = {.journal = writer};
    pid_t child;
    int status;

    (void)state;
    leave(file, "a");
    child = fork();
    if (child == 0) { /* what is locked by another is not on its shelf */
        struct flight_journal *journal = open_journal();
        struct flight_shelf shelf = {0};

        _exit(flight_journal_list(journal, &shelf) == 0 && shelf.count == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(flight_journal_list(writer, &own.shelf), 0);
    assert_int_equal(own.shelf.count, 1);
    assert_int_equal(own.shelf.places[0].fd, -1);
    assert_int_equal(flight_journal_read(writer, &own.shelf.places[0], &own.log), 0);
    assert_true(own.log.own);
    assert_false(own.log.complete);
    assert_int_equal(own.log.count, 1);
    flight_log_done(&own.log);
    flight_shelf_done(&own.shelf);
    flight_file_release(file);
    flight_journal_free(writer);
}

/* A thousand requests in the air, over many pages and enlargements. */
static void long_ones_are_read_back(void **state)
{
    struct flight_journal *journal = open_journal();
    struct flight_file *file = hold(journal);
    struct reading reading;
    char order_ref[200], id[300];

    (void)state;
    for (int i = 0; i < 1000; i++) {
        snprintf(order_ref, sizeof order_ref, "%0*d", 1 + i % 190, i);
        leave(file, order_ref);
    }
    for (int i = 999; i >= 0; i--) {
        if (i % 3 == 0)
            continue;
        snprintf(order_ref, sizeof order_ref, "%0*d", 1 + i % 190, i);
        snprintf(id, sizeof id, "%0*d", 1 + i % 290, i);
        end(file, order_ref, id);
    }
    flight_file_release(file);
    flight_journal_free(journal);
    reading = read_one();
    assert_int_equal(reading.r, 0);
    assert_true(reading.log.complete);
    assert_int_equal(reading.log.count, 1000);
    for (int i = 0; i < 1000; i++) {
        const struct flight_entry *entry = &reading.log.entries[i];

        assert_int_equal(atoi(entry->leaves.order_ref), i);
        assert_int_equal(entry->ended.kind, i % 3 == 0 ? 0 : RECORD_ENDED);
        if (entry->ended.kind)
            assert_int_equal(atoi(entry->ended.provider_order_id), i);
    }
    end_reading(&reading);
}

/* The disk is full: no new request, but every reply of those in the air still has its place. */
static void full_stops_new_requests_only(void **state)
{
    struct flight_journal *journal = open_journal();
    struct flight_file *file = hold(journal);
    struct flight_record record;
    struct problem problem = {0};
    struct rlimit limit, before;
    struct reading reading;
    char order_ref[20];
    int left = 0;

    (void)state;
    leave(file, "first");
    getrlimit(RLIMIT_FSIZE, &before);
    limit = before;
    limit.rlim_cur = 512 * 1024;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    for (; left < 10000; left++) {
        snprintf(order_ref, sizeof order_ref, "o%d", left);
        record = leaving(order_ref, 1);
        if (!flight_file_leaves(file, &record))
            break;
    }
    assert_in_range(left, 10, 9999);
    record = leaving("another", 1);
    assert_false(flight_file_leaves(file, &record));
    for (int i = 0; i < left; i++) {
        snprintf(order_ref, sizeof order_ref, "o%d", i);
        end(file, order_ref, "12345678901234567890");
    }
    end(file, "first", "1");
    setrlimit(RLIMIT_FSIZE, &before);
    flight_file_release(file);
    file = flight_journal_hold(journal, clock_monotonic_us(),
                               &problem); /* a new one, now that there is room */
    assert_non_null(file);
    flight_file_release(file);
    flight_journal_free(journal);
    reading = read_one();
    assert_int_equal(reading.r, 0);
    assert_int_equal(reading.log.count, left + 1);
    for (size_t i = 0; i < reading.log.count; i++)
        assert_int_equal(reading.log.entries[i].ended.kind, RECORD_ENDED);
    end_reading(&reading);
}

/* Removed or cut under our hands: it would not be found after our death, so another one is begun.
 */
static void a_removed_one_is_replaced(void **state)
{
    struct flight_journal *journal = open_journal();
    struct flight_file *file = hold(journal), *next;
    char path[200], id[FLIGHT_ID_SIZE];

    (void)state;
    leave(file, "a");
    snprintf(id, sizeof id, "%s", flight_file_id(file));
    snprintf(path, sizeof path, "%s/flights-%s.journal", directory, id);
    assert_int_equal(unlink(path), 0);
    next = hold(journal);
    assert_string_not_equal(flight_file_id(next), id);
    snprintf(id, sizeof id, "%s", flight_file_id(next));
    leave(next, "b");
    snprintf(path, sizeof path, "%s/flights-%s.journal", directory, id);
    assert_int_equal(truncate(path, 4096), 0);
    flight_file_release(file);
    file = hold(journal);
    assert_string_not_equal(flight_file_id(file), id);
    flight_file_release(file);
    flight_file_release(next);
    flight_journal_free(journal);
}

static void no_directory_no_journal(void **state)
{
    struct flight_journal *journal = NULL;
    struct problem problem = {0};

    (void)state;
    assert_int_equal(flight_journal_new("/proc/no/such", &journal), 0);
    assert_null(flight_journal_hold(journal, 0, &problem));
    assert_non_null(strstr(problem.text, "/proc/no/such"));
    assert_non_null(strstr(problem.hint, "state directory"));
    flight_journal_free(journal);
}

static unsigned files_there(void)
{
    unsigned count = 0;
    DIR *listing = opendir(directory);
    struct dirent *entry;

    while ((entry = readdir(listing)))
        count += entry->d_name[0] != '.';
    closedir(listing);
    return count;
}

static void an_unused_one_leaves_nothing(void **state)
{
    struct flight_journal *journal = open_journal();

    (void)state;
    flight_file_release(hold(journal));
    assert_int_equal(files_there(), 1);
    flight_journal_free(journal);
    assert_int_equal(files_there(), 0);
}

/* What was claimed under it and never left is proved by that alone. */
static void a_claimed_one_stays(void **state)
{
    struct flight_journal *journal = open_journal();
    struct flight_file *file = hold(journal);
    struct reading reading;

    (void)state;
    flight_file_note_claim(file);
    flight_file_note_empty_claim(file); /* it held nothing */
    flight_file_note_claim(file);
    flight_file_release(file);
    flight_journal_free(journal);
    assert_int_equal(files_there(), 1);
    reading = read_one();
    assert_int_equal(reading.r, 0);
    assert_int_equal(reading.log.count, 0);
    assert_true(reading.log.complete);
    end_reading(&reading);
}

static void old_ones_are_removed(void **state)
{
    struct reading reading;
    char path[128];

    (void)state;
    write_and_die(path);
    reading = read_one();
    flight_journal_prune(&reading.shelf, clock_wall_s() + 29 * 86400);
    assert_int_equal(files_there(), 1);
    flight_journal_prune(&reading.shelf, clock_wall_s() + 31 * 86400);
    assert_int_equal(files_there(), 0);
    end_reading(&reading);
}

/* Reported, and bounded loosely: this machine may be busy. */
static void a_record_costs_little(void **state)
{
    struct flight_journal *journal = open_journal();
    struct flight_file *file = hold(journal);
    int64_t began_us = clock_monotonic_us(), took_us;
    enum { PAIRS = 20000 };

    (void)state;
    for (int i = 0; i < PAIRS; i++) {
        leave(file, "SO-100001-1");
        end(file, "SO-100001-1", "12345");
    }
    took_us = clock_monotonic_us() - began_us;
    print_message("# %lld ns a record\n", (long long)(took_us * 1000 / (2 * PAIRS)));
    assert_true(took_us < 2 * PAIRS * 50);
    flight_file_release(file);
    flight_journal_free(journal);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_directory, remove_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(outlives_its_process),          TEST(cut_proves_nothing),
        TEST(a_changed_byte_proves_nothing), TEST(an_interrupted_record_is_none),
        TEST(a_copy_proves_nothing),         TEST(a_living_process_is_left_alone),
        TEST(long_ones_are_read_back),       TEST(full_stops_new_requests_only),
        TEST(a_removed_one_is_replaced),     TEST(no_directory_no_journal),
        TEST(lost_pages_prove_nothing),      TEST(an_unused_one_leaves_nothing),
        TEST(a_claimed_one_stays),           TEST(old_ones_are_removed),
        TEST(a_record_costs_little),
    };

    return cmocka_run_group_tests_name("flight_journal", tests, NULL, NULL);
}
