#include "host/notify.h"
#include "base/text.h"
#include "host/clock.h"
#include "host/log.h"
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define STATUS_SIZE 512
#define STATE_SIZE 80

/*
 * sd_notify() of libsystemd waits when the manager's queue is full, so the datagrams are sent here.
 * A state that could not be sent is owed: the next message carries it, so that a full queue never
 * leaves a unit "activating" or "reloading".
 */
static struct {
    char owed[STATE_SIZE];         /* "READY=1", ... or "" */
    char last_status[STATUS_SIZE]; /* as sent */
    unsigned dropped;
} notifier;

/* Length of the address of $NOTIFY_SOCKET (a path, or @abstract), 0 = there is none to use. */
static socklen_t notify_address(struct sockaddr_un *ret_address)
{
    const char *name = getenv("NOTIFY_SOCKET");
    size_t length = name ? strlen(name) : 0;

    if (length < 2 || length >= sizeof ret_address->sun_path || (*name != '/' && *name != '@'))
        return 0;
    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(ret_address->sun_path, name, length);
    if (*name == '@')
        ret_address->sun_path[0] = '\0';
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (*name == '/'));
}

/* True when the datagram is with the manager; it never waits. */
static bool send_datagram(const struct sockaddr_un *address, socklen_t length, const char *message)
{
    int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ssize_t sent;

    if (descriptor < 0)
        return false;
    sent = sendto(descriptor, message, strlen(message), MSG_NOSIGNAL,
                  (const struct sockaddr *)address, length);
    close(descriptor);
    return sent >= 0;
}

static bool notify_send(const char *message)
{
    struct sockaddr_un address;
    socklen_t length = notify_address(&address);
    char whole[STATE_SIZE + STATUS_SIZE + 64];
    int saved_errno = errno;
    bool sent;

    if (!length)
        return false;
    snprintf(whole, sizeof whole, "%s%s%s", notifier.owed, *notifier.owed ? "\n" : "", message);
    sent = send_datagram(&address, length, whole);
    errno = saved_errno;
    if (!sent) {
        notifier.dropped++;
        return false;
    }
    notifier.owed[0] = '\0';
    if (notifier.dropped) {
        log_warning("%u notifications were not taken by the service manager in time",
                    notifier.dropped);
        notifier.dropped = 0;
    }
    return true;
}

/* A later state replaces one that is still owed. */
static void notify_state(const char *state)
{
    notifier.owed[0] = '\0';
    if (!notify_send(state) && getenv("NOTIFY_SOCKET"))
        snprintf(notifier.owed, sizeof notifier.owed, "%s", state);
}

void notify_ready(void)
{
    notify_state("READY=1");
}

void notify_reloading(void)
{
    char state[STATE_SIZE];

    /* Type=notify-reload wants both in one message, sd_notify(3). */
    snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%" PRId64, clock_monotonic_us());
    notify_state(state);
}

void notify_stopping(void)
{
    notify_state("STOPPING=1");
}

void notify_status(const char *status)
{
    char line[STATUS_SIZE], message[STATUS_SIZE + sizeof "STATUS="];

    text_one_line(line, sizeof line, status);
    if (!strcmp(line, notifier.last_status))
        return;
    snprintf(message, sizeof message, "STATUS=%s", line);
    if (notify_send(message))
        memcpy(notifier.last_status, line, sizeof line);
}

void notify_extend_timeout(int64_t us)
{
    char message[64];

    snprintf(message, sizeof message, "EXTEND_TIMEOUT_USEC=%" PRId64, us);
    notify_send(message);
}

void notify_watchdog(void)
{
    notify_send("WATCHDOG=1");
}

/* A positive decimal number that is all of the variable, or 0. */
static int64_t environment_number(const char *name)
{
    const char *text = getenv(name);
    long long number;
    char *end;

    if (!text || *text < '0' || *text > '9')
        return 0;
    errno = 0;
    number = strtoll(text, &end, 10);
    return *end || errno == ERANGE ? 0 : number;
}

int64_t notify_watchdog_interval_us(void)
{
    if (getenv("WATCHDOG_PID") && environment_number("WATCHDOG_PID") != getpid())
        return 0;
    return environment_number("WATCHDOG_USEC") / 2;
}
