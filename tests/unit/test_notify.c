/* What the service manager receives, and what is owed to it while its queue is full. Clocks too. */
#include "base/own.h"
#include "host/clock.h"
#include "host/log_sink.h"
#include "host/notify.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

struct manager {
    char directory[64];
    int socket, log[2];
};

static int bind_to(const char *path, size_t length)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

    memcpy(address.sun_path, path, length);
    assert_int_equal(bind(descriptor, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)),
                     0);
    return descriptor;
}

static int set_up(void **state)
{
    struct manager *manager = calloc(1, sizeof *manager);
    char path[80];

    if (!manager)
        return -1;
    *state = manager;
    strcpy(manager->directory, "/tmp/chwsyncd-notify-XXXXXX");
    if (!mkdtemp(manager->directory))
        return -1;
    snprintf(path, sizeof path, "%s/socket", manager->directory);
    manager->socket = bind_to(path, strlen(path));
    setenv("NOTIFY_SOCKET", path, 1);
    if (pipe(manager->log) < 0 || fcntl(manager->log[0], F_SETFL, O_NONBLOCK) < 0)
        return -1;
    log_open_stream(LOG_LEVEL_INFO, manager->log[1], LOG_FORM_PLAIN);
    return 0;
}

static int tear_down(void **state)
{
    struct manager *manager = *state;
    char path[80];

    log_open_stream(LOG_LEVEL_INFO, STDERR_FILENO, LOG_FORM_PLAIN);
    snprintf(path, sizeof path, "%s/socket", manager->directory);
    unlink(path);
    rmdir(manager->directory);
    close(manager->socket);
    close(manager->log[0]);
    close(manager->log[1]);
    unsetenv("NOTIFY_SOCKET");
    free(manager);
    return 0;
}

static void assert_message(int descriptor, const char *expected)
{
    char buffer[2048];
    ssize_t count = read(descriptor, buffer, sizeof buffer - 1);

    buffer[count < 0 ? 0 : count] = '\0';
    assert_string_equal(buffer, expected);
}

static void test_messages(void **state)
{
    const struct manager *manager = *state;
    char buffer[256];
    int64_t before = clock_monotonic_us(), told;
    ssize_t count;

    notify_ready();
    assert_message(manager->socket, "READY=1");
    notify_stopping();
    assert_message(manager->socket, "STOPPING=1");
    notify_watchdog();
    assert_message(manager->socket, "WATCHDOG=1");
    notify_extend_timeout(5 * US_PER_S);
    assert_message(manager->socket, "EXTEND_TIMEOUT_USEC=5000000");
    notify_reloading();
    count = read(manager->socket, buffer, sizeof buffer - 1);
    assert_true(count > 0);
    buffer[count] = '\0';
    assert_int_equal(strncmp(buffer, "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
    told = strtoll(buffer + 27, NULL, 10);
    assert_true(told >= before && told <= clock_monotonic_us());
    assert_message(manager->socket, "");
}

static void test_status(void **state)
{
    const struct manager *manager = *state;

    notify_status("a");
    assert_message(manager->socket, "STATUS=a");
    notify_status("a");
    assert_message(manager->socket, "");
    notify_status("b\nREADY=1");
    assert_message(manager->socket, "STATUS=b?READY=1");
    notify_status("a");
    assert_message(manager->socket, "STATUS=a");
}

static void test_abstract_socket(void **state)
{
    char name[64];
    int descriptor;

    (void)state;
    snprintf(name, sizeof name, "@chwsyncd-notify-%d", (int)getpid());
    setenv("NOTIFY_SOCKET", name, 1);
    name[0] = '\0';
    descriptor = bind_to(name, 1 + strlen(name + 1));
    notify_ready();
    assert_message(descriptor, "READY=1");
    close(descriptor);
}

static void test_no_manager(void **state)
{
    static const char *const names[] = {
        NULL,
        "",
        "/",
        "relative",
        "vsock:2:1234",
        "/0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567"
        "890123456789012345678901234567890123456789",
    };
    const struct manager *manager = *state;

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        unsetenv("NOTIFY_SOCKET");
        if (names[i])
            setenv("NOTIFY_SOCKET", names[i], 1);
        notify_ready();
        notify_status("nobody listens");
        notify_watchdog();
    }
    assert_message(manager->log[0], "");
}

/* A full queue: nothing waits, a state is owed until it is through, a status is sent again. */
static void test_manager_stalls(void **state)
{
    const struct manager *manager = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char buffer[64];
    unsigned sent = 0;

    notify_status("before");
    strcpy(address.sun_path, getenv("NOTIFY_SOCKET"));
    while (sent < 100000 &&
           sendto(manager->socket, "x", 1, 0, (struct sockaddr *)&address, sizeof address) == 1)
        sent++;
    assert_true(sent < 100000);
    errno = ENOTTY;
    notify_reloading();
    notify_ready();
    notify_status("lost");
    assert_int_equal(errno, ENOTTY);
    while (read(manager->socket, buffer, sizeof buffer) > 0)
        ;
    notify_watchdog();
    assert_message(manager->socket, "READY=1\nWATCHDOG=1");
    assert_message(manager->log[0],
                   "3 notifications were not taken by the service manager in time\n");
    notify_status("lost");
    assert_message(manager->socket, "STATUS=lost");
}

static void test_watchdog_interval(void **state)
{
    char own[16];
    const struct {
        const char *us, *pid;
        int64_t expected;
    } cases[] = {
        {NULL, NULL, 0},
        {"60000000", NULL, 30000000},
        {"60000000", own, 30000000},
        {"60000000", "1", 0},
        {"60000000", "", 0},
        {"", NULL, 0},
        {"-5", NULL, 0},
        {"5x", NULL, 0},
        {"99999999999999999999", NULL, 0},
    };

    (void)state;
    snprintf(own, sizeof own, "%d", (int)getpid());
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        unsetenv("WATCHDOG_USEC");
        unsetenv("WATCHDOG_PID");
        if (cases[i].us)
            setenv("WATCHDOG_USEC", cases[i].us, 1);
        if (cases[i].pid)
            setenv("WATCHDOG_PID", cases[i].pid, 1);
        assert_int_equal(notify_watchdog_interval_us(), cases[i].expected);
    }
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

static void test_clocks(void **state)
{
    int64_t monotonic = clock_monotonic_us(), boottime = clock_boottime_us();
    uint32_t first = clock_random();
    unsigned changes = 0;

    (void)state;
    assert_true(monotonic > 0 && boottime >= monotonic);
    assert_true(clock_monotonic_us() >= monotonic);
    assert_true(clock_wall_s() > 1600000000);
    for (unsigned i = 0; i < 8; i++)
        changes += clock_random() != first;
    assert_true(changes > 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_messages),           TEST(test_status),
        TEST(test_abstract_socket),    TEST(test_no_manager),
        TEST(test_manager_stalls),     cmocka_unit_test(test_watchdog_interval),
        cmocka_unit_test(test_clocks),
    };

    return cmocka_run_group_tests_name("notify", tests, NULL, NULL);
}
