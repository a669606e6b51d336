/* Log entries as the journal and stderr receive them, and as they are lost: never waited for,
 * always counted. */
#include "base/own.h"
#include "host/log.h"
#include "host/log_sink.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

struct place {
    char directory[64], path[80];
    int journal; /* a bound datagram socket */
    int ends[2]; /* a pipe that does not block at its reading end */
};

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (!place)
        return -1;
    *state = place;
    strcpy(place->directory, "/tmp/chwsyncd-log-XXXXXX");
    if (!mkdtemp(place->directory))
        return -1;
    snprintf(place->path, sizeof place->path, "%s/socket", place->directory);
    strcpy(address.sun_path, place->path);
    place->journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (bind(place->journal, (struct sockaddr *)&address, sizeof address) < 0)
        return -1;
    return pipe(place->ends) < 0 || fcntl(place->ends[0], F_SETFL, O_NONBLOCK) < 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;

    log_open_stream(LOG_LEVEL_INFO, STDERR_FILENO, LOG_FORM_PLAIN);
    close(place->journal);
    close(place->ends[0]);
    if (place->ends[1] >= 0)
        close(place->ends[1]);
    unlink(place->path);
    rmdir(place->directory);
    free(place);
    return 0;
}

/* Bytes of the next datagram or of what the pipe holds, 0 = nothing. */
static size_t take(int descriptor, char *buffer, size_t size)
{
    ssize_t count = read(descriptor, buffer, size - 1);

    if (count < 0)
        assert_int_equal(errno, EAGAIN);
    count = count < 0 ? 0 : count;
    buffer[count] = '\0';
    return (size_t)count;
}

static void assert_taken(int descriptor, const char *expected, size_t count)
{
    char buffer[16384];
    size_t taken = take(descriptor, buffer, sizeof buffer);

    if (taken != count || memcmp(buffer, expected, count) != 0)
        print_message("taken: %s\n", buffer);
    assert_int_equal(taken, count);
    assert_memory_equal(buffer, expected, count);
}

#define assert_taken_text(descriptor, expected)                                                    \
    assert_taken(descriptor, expected, sizeof expected - 1)

static void test_journal_entry(void **state)
{
    const struct place *place = *state;
    const struct log_entry entry = {.message_id = "0123456789abcdef0123456789abcdef",
                                    .hint = "look there",
                                    .order_ref = "17",
                                    .provider = "chawang",
                                    .action = "add",
                                    .sqlstate = "40001",
                                    .http_status = 503};

    assert_true(log_open_journal(LOG_LEVEL_INFO, place->path) >= 0);
    log_write(LOG_LEVEL_ERROR, &entry, "unable to submit order %d", 17);
    assert_taken_text(place->journal,
                      "MESSAGE\n\x2a\0\0\0\0\0\0\0unable to submit order 17\nHINT: look there\n"
                      "PRIORITY=3\nSYSLOG_IDENTIFIER=chwsyncd\n"
                      "MESSAGE_ID=0123456789abcdef0123456789abcdef\nCHW_ORDER_REF=17\n"
                      "CHW_PROVIDER=chawang\nCHW_ACTION=add\nCHW_SQLSTATE=40001\n"
                      "CHW_HTTP_STATUS=503\n");
    log_info("%s", "plain \xc3\xa4");
    assert_taken_text(place->journal,
                      "MESSAGE=plain \xc3\xa4\nPRIORITY=6\nSYSLOG_IDENTIFIER=chwsyncd\n");
    assert_taken_text(place->journal, "");
    /* An instance bears another name, given by its unit. */
    setenv("SYSLOG_IDENTIFIER", "chwsyncd-second", 1);
    assert_true(log_open_journal(LOG_LEVEL_INFO, place->path) >= 0);
    log_info("there");
    assert_taken_text(place->journal,
                      "MESSAGE=there\nPRIORITY=6\nSYSLOG_IDENTIFIER=chwsyncd-second\n");
    unsetenv("SYSLOG_IDENTIFIER");
}

/* A value cannot smuggle in a field, nor a control character. */
static void test_journal_foreign_text(void **state)
{
    const struct place *place = *state;
    const struct log_entry entry = {.order_ref = "1\nPRIORITY=0"};

    log_open_journal(LOG_LEVEL_INFO, place->path);
    log_write(LOG_LEVEL_NOTICE, &entry, "a\x1b[31m\xff%s", "\nPRIORITY=0");
    assert_taken_text(place->journal, "MESSAGE\n\x12\0\0\0\0\0\0\0a?[31m?\nPRIORITY=0\n"
                                      "PRIORITY=5\nSYSLOG_IDENTIFIER=chwsyncd\n"
                                      "CHW_ORDER_REF\n\x0c\0\0\0\0\0\0\0"
                                      "1\nPRIORITY=0\n");
}

static void test_levels(void **state)
{
    const struct place *place = *state;
    char buffer[512];

    for (enum log_level level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++) {
        log_open_journal(level, place->path);
        for (enum log_level entry = LOG_LEVEL_ERROR; entry <= LOG_LEVEL_DEBUG; entry++) {
            log_write(entry, NULL, "x");
            assert_int_equal(log_enabled(entry), entry <= level);
            assert_int_equal(take(place->journal, buffer, sizeof buffer) > 0, entry <= level);
        }
    }
}

/* Fills the journal's queue until an entry is lost. */
static unsigned fill(void)
{
    unsigned sent = 0;

    for (; !log_dropped(); sent++) {
        assert_true(sent < 100000);
        log_info("entry %u", sent);
    }
    return sent - 1;
}

static void test_journal_stalls(void **state)
{
    const struct place *place = *state;
    char buffer[512];
    unsigned sent, taken = 0;

    log_open_journal(LOG_LEVEL_INFO, place->path);
    sent = fill();
    errno = ENOTTY;
    log_info("lost too");
    assert_int_equal(errno, ENOTTY);
    assert_int_equal(log_dropped(), 2);
    while (take(place->journal, buffer, sizeof buffer))
        taken++;
    assert_int_equal(taken, sent);
    log_info("back");
    assert_taken_text(place->journal,
                      "MESSAGE=2 log entries were dropped: their reader did not keep up\n"
                      "PRIORITY=4\nSYSLOG_IDENTIFIER=chwsyncd\n");
    assert_taken_text(place->journal, "MESSAGE=back\nPRIORITY=6\nSYSLOG_IDENTIFIER=chwsyncd\n");
    assert_int_equal(log_dropped(), 0);
}

static void test_journal_goes_away(void **state)
{
    struct place *place = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    log_open_journal(LOG_LEVEL_INFO, place->path);
    unlink(place->path);
    log_info("lost");
    assert_int_equal(log_dropped(), 1);
    close(place->journal);
    place->journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    strcpy(address.sun_path, place->path);
    assert_int_equal(bind(place->journal, (struct sockaddr *)&address, sizeof address), 0);
    log_info("back");
    assert_taken_text(place->journal,
                      "MESSAGE=1 log entries were dropped: their reader did not keep up\n"
                      "PRIORITY=4\nSYSLOG_IDENTIFIER=chwsyncd\n");
    assert_taken_text(place->journal, "MESSAGE=back\nPRIORITY=6\nSYSLOG_IDENTIFIER=chwsyncd\n");
}

static void test_journal_too_long(void **state)
{
    const struct place *place = *state;
    char buffer[16384], message[20000];
    int smallest = 1;
    int sender = log_open_journal(LOG_LEVEL_INFO, place->path);

    memset(message, 'x', sizeof message - 1);
    message[sizeof message - 1] = '\0';
    log_info("%s", message);
    take(place->journal, buffer, sizeof buffer);
    assert_non_null(strstr(buffer, "xxx...\nPRIORITY=6\n"));
    assert_true(strlen(buffer) > 8000);

    /* The socket's buffer shrinks to its least, which holds 4 KiB or so. */
    assert_int_equal(setsockopt(sender, SOL_SOCKET, SO_SNDBUF, &smallest, sizeof smallest), 0);
    log_info("%s", message);
    take(place->journal, buffer, sizeof buffer);
    assert_non_null(strstr(buffer, "xxx...\nPRIORITY=6\n"));
    assert_true(strlen(buffer) < 600);
    assert_int_equal(log_dropped(), 0);
}

/* Cut between characters, and fields are bounded. */
static void test_journal_cuts(void **state)
{
    const struct place *place = *state;
    char buffer[16384], message[9001], order_ref[2001];
    const struct log_entry entry = {.order_ref = order_ref};

    for (unsigned shift = 0; shift < 3; shift++) {
        size_t length;

        memset(message, 'x', shift);
        for (size_t i = shift; i + 3 <= sizeof message; i += 3)
            memcpy(message + i, "\xe2\x82\xac", 3);
        message[8997] = '\0';
        memset(order_ref, 'y', sizeof order_ref - 1);
        order_ref[2000] = '\0';
        log_open_journal(LOG_LEVEL_INFO, place->path);
        log_write(LOG_LEVEL_INFO, &entry, "%s", message);
        length = take(place->journal, buffer, sizeof buffer);
        assert_non_null(strstr(buffer, "\xe2\x82\xac...\nPRIORITY=6\n"));
        assert_null(strchr(buffer, '?'));
        assert_true(length < 8192 + 1200);
    }
}

static void test_journal_not_there(void **state)
{
    char path[200];

    (void)state;
    memset(path, '/', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    assert_int_equal(log_open_journal(LOG_LEVEL_INFO, path), -ENAMETOOLONG);
    assert_int_equal(log_open_journal(LOG_LEVEL_INFO, "/nowhere/socket"), -ENOENT);
}

static void test_plain(void **state)
{
    const struct place *place = *state;
    const struct log_entry entry = {.hint = "one\ntwo"};

    log_open_stream(LOG_LEVEL_INFO, place->ends[1], LOG_FORM_PLAIN);
    log_write(LOG_LEVEL_WARNING, &entry, "a\nb\x1b\r\xff c");
    assert_taken_text(place->ends[0], "a\\nb??? c\nHINT: one\\ntwo\n");
}

static void test_prefixed(void **state)
{
    const struct place *place = *state;
    const struct log_entry entry = {.hint = "<0>h"};

    log_open_stream(LOG_LEVEL_DEBUG, place->ends[1], LOG_FORM_PREFIXED);
    log_write(LOG_LEVEL_WARNING, &entry, "a\n<0>b");
    log_debug("c");
    assert_taken_text(place->ends[0], "<4>a\\n<0>b\n<4>HINT: <0>h\n<7>c\n");
}

static void test_terminal(void **state)
{
    const struct place *place = *state;
    char buffer[64];
    int hour, minute, second, end = 0;

    log_open_stream(LOG_LEVEL_INFO, place->ends[1], LOG_FORM_TERMINAL);
    log_info("hello");
    take(place->ends[0], buffer, sizeof buffer);
    assert_int_equal(sscanf(buffer, "%2d:%2d:%2d %n", &hour, &minute, &second, &end), 3);
    assert_int_equal(end, 9);
    assert_string_equal(buffer + end, "hello\n");
}

/* A line never exceeds what a pipe takes at once. */
static void test_long_lines(void **state)
{
    const struct place *place = *state;
    char buffer[16384], message[8001];
    struct log_entry entry = {.hint = message};

    log_open_stream(LOG_LEVEL_INFO, place->ends[1], LOG_FORM_PREFIXED);
    for (unsigned round = 0; round < 2; round++) {
        size_t taken;

        memset(message, round ? '\n' : 'x', sizeof message - 1);
        message[sizeof message - 1] = '\0';
        log_write(LOG_LEVEL_INFO, &entry, "%s", message);
        taken = take(place->ends[0], buffer, sizeof buffer);
        assert_in_range(taken, 3000, PIPE_BUF);
        assert_int_equal(buffer[taken - 1], '\n');
    }
}

static void test_pipe_stalls(void **state)
{
    const struct place *place = *state;
    char *content = malloc(1 << 20);
    size_t length;

    assert_non_null(content);
    log_open_stream(LOG_LEVEL_INFO, place->ends[1], LOG_FORM_PLAIN);
    fill();
    log_info("lost");
    assert_int_equal(log_dropped(), 2);
    assert_int_equal(fcntl(place->ends[1], F_GETFL) & O_NONBLOCK, 0);
    length = take(place->ends[0], content, 1 << 20);
    assert_int_equal(content[length - 1], '\n');
    free(content);
    log_info("back");
    assert_taken_text(place->ends[0],
                      "2 log entries were dropped: their reader did not keep up\nback\n");
}

/* Without SIGPIPE: the descriptor is asked first. */
static void test_reader_gone(void **state)
{
    struct place *place = *state;
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    log_open_stream(LOG_LEVEL_INFO, ends[1], LOG_FORM_PLAIN);
    log_info("lost");
    assert_int_equal(log_dropped(), 1);
    close(ends[1]);
    log_open_stream(LOG_LEVEL_INFO, place->ends[1], LOG_FORM_PLAIN);
    log_info("back");
    assert_taken_text(place->ends[0],
                      "1 log entries were dropped: their reader did not keep up\nback\n");
}

/* journald's stream is a socket: a line that went out in part is ended before the next. */
static void test_stream_socket(void **state)
{
    char *content = malloc(1 << 22), message[3000];
    int ends[2], smallest = 1;
    size_t length = 0, taken;
    char *line;

    (void)state;
    assert_non_null(content);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &smallest, sizeof smallest), 0);
    log_open_stream(LOG_LEVEL_INFO, ends[1], LOG_FORM_PLAIN);
    memset(message, 'x', sizeof message - 1);
    message[sizeof message - 1] = '\0';
    for (unsigned i = 0; !log_dropped(); i++) {
        assert_true(i < 10000);
        log_info("%s", message);
    }
    while ((taken = take(ends[0], content + length, (1 << 22) - length)) > 0)
        length += taken;
    log_info("back");
    length += take(ends[0], content + length, (1 << 22) - length);
    line = strstr(content, "\n1 log entries were dropped");
    assert_non_null(line);
    assert_non_null(strstr(line, "\nback\n"));
    log_open_stream(LOG_LEVEL_INFO, STDERR_FILENO, LOG_FORM_PLAIN);
    close(ends[0]);
    close(ends[1]);
    free(content);
}

static void test_repeated(void **state)
{
    const struct place *place = *state;
    struct log_repeat repeat = {0};

    log_open_stream(LOG_LEVEL_INFO, place->ends[1], LOG_FORM_PREFIXED);
    assert_false(log_recovered(&repeat));
    log_repeated(&repeat, LOG_LEVEL_WARNING, NULL, "lost: %s", "a");
    log_repeated(&repeat, LOG_LEVEL_WARNING, NULL, "lost: %s", "a");
    assert_int_equal(repeat.count, 1);
    log_repeated(&repeat, LOG_LEVEL_ERROR, NULL, "lost: %s", "b");
    assert_int_equal(repeat.count, 2);
    log_repeated(&repeat, LOG_LEVEL_WARNING, NULL, "lost: %s", "a"); /* they take turns */
    assert_int_equal(repeat.count, 2);
    assert_taken_text(place->ends[0], "<4>lost: a\n<3>lost: b\n");
    assert_true(log_recovered(&repeat));
    assert_false(log_recovered(&repeat));
    log_open_stream(LOG_LEVEL_DEBUG, place->ends[1], LOG_FORM_PREFIXED);
    log_repeated(&repeat, LOG_LEVEL_ERROR, NULL, "lost: b");
    log_repeated(&repeat, LOG_LEVEL_ERROR, NULL, "lost: b");
    assert_taken_text(place->ends[0], "<3>lost: b\n<7>lost: b\n");
}

/* What log_open() chooses when stderr is a pipe. */
static void test_open(void **state)
{
    const struct place *place = *state;
    static const struct {
        const char *journal_stream, *invocation_id, *expected;
    } cases[] = {
        {NULL, NULL, "x\n"},
        {NULL, "1", "<6>x\n"},
        {"1:1", NULL, "<6>x\n"},
        {"nonsense", NULL, "<6>x\n"},
    };
    int saved = dup(STDERR_FILENO);

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char buffer[512];

        unsetenv("JOURNAL_STREAM");
        unsetenv("INVOCATION_ID");
        if (cases[i].journal_stream)
            setenv("JOURNAL_STREAM", cases[i].journal_stream, 1);
        if (cases[i].invocation_id)
            setenv("INVOCATION_ID", cases[i].invocation_id, 1);
        dup2(place->ends[1], STDERR_FILENO);
        log_open(LOG_LEVEL_INFO, LOG_TARGET_AUTO);
        log_info("x");
        log_open(LOG_LEVEL_INFO, LOG_TARGET_STDERR);
        log_info("x");
        dup2(saved, STDERR_FILENO);
        take(place->ends[0], buffer, sizeof buffer);
        assert_int_equal(strlen(buffer), 2 * strlen(cases[i].expected));
        assert_memory_equal(buffer, cases[i].expected, strlen(cases[i].expected));
    }
    unsetenv("JOURNAL_STREAM");
    unsetenv("INVOCATION_ID");
    close(saved);
}

/* On a terminal, each line begins with the time. */
static void test_open_on_terminal(void **state)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY), saved = dup(STDERR_FILENO), slave;
    char buffer[128];

    (void)state;
    assert_true(master >= 0);
    assert_int_equal(grantpt(master) | unlockpt(master), 0);
    slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    assert_true(slave >= 0);
    dup2(slave, STDERR_FILENO);
    log_open(LOG_LEVEL_INFO, LOG_TARGET_AUTO);
    log_info("hello");
    dup2(saved, STDERR_FILENO);
    take(master, buffer, sizeof buffer);
    assert_int_equal(strlen(buffer), 16);
    assert_string_equal(buffer + 8, " hello\r\n");
    close(master);
    close(slave);
    close(saved);
}

/* The journal is tried when $JOURNAL_STREAM names stderr; where there is none, that is said. */
static void test_open_without_journal(void **state)
{
    const struct place *place = *state;
    char stream[64], buffer[512];
    struct stat status;
    int saved = dup(STDERR_FILENO);

    if (access(LOG_JOURNAL_SOCKET, F_OK) == 0) {
        close(saved);
        skip();
    }
    assert_int_equal(fstat(place->ends[1], &status), 0);
    snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    dup2(place->ends[1], STDERR_FILENO);
    log_open(LOG_LEVEL_INFO, LOG_TARGET_AUTO);
    dup2(saved, STDERR_FILENO);
    close(saved);
    unsetenv("JOURNAL_STREAM");
    take(place->ends[0], buffer, sizeof buffer);
    assert_string_equal(buffer, "<4>unable to log to the journal: " LOG_JOURNAL_SOCKET
                                ": No such file or directory; logging to stderr\n");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_journal_entry),
        TEST(test_journal_foreign_text),
        TEST(test_levels),
        TEST(test_journal_stalls),
        TEST(test_journal_goes_away),
        TEST(test_journal_too_long),
        TEST(test_journal_cuts),
        TEST(test_journal_not_there),
        TEST(test_plain),
        TEST(test_prefixed),
        TEST(test_terminal),
        TEST(test_long_lines),
        TEST(test_pipe_stalls),
        TEST(test_reader_gone),
        TEST(test_stream_socket),
        TEST(test_repeated),
        TEST(test_open),
        TEST(test_open_on_terminal),
        TEST(test_open_without_journal),
    };

    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
