#include "host/log.h"
#include "base/own.h"
#include "base/text.h"
#include "host/clock.h"
#include "host/log_sink.h"
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_SIZE 8192
/* A line with its prefix must fit in PIPE_BUF: so much a pipe that polls writable takes without
 * blocking. */
#define STREAM_MESSAGE_MAX 3000
#define STREAM_HINT_MAX 800
/* What is left of a message that the socket's buffer cannot hold. */
#define CUT_MESSAGE_MAX 512
#define FIELD_MAX 1024

static struct {
    enum log_level level;
    enum log_form form;
    int descriptor;
    struct sockaddr_un journal; /* the peer in LOG_FORM_JOURNAL */
    const char *identifier;     /* what entries there are called; borrowed from the environment */
    uint64_t dropped;
    bool line_open; /* a write was cut short: the next one begins with a line feed */
} sink = {.level = LOG_LEVEL_INFO, .form = LOG_FORM_PLAIN, .descriptor = STDERR_FILENO};

/* syslog(3)'s numbers, LOG_ERR to LOG_DEBUG. */
static int priority_of(enum log_level level)
{
    return 3 + (int)level;
}

static bool is_printable_ascii(const char *string)
{
    for (; *string; string++) {
        if (*string < ' ' || *string > '~')
            return false;
    }
    return true;
}

/* Adds foreign text without control characters and broken UTF-8; its line feeds become `newline`.
 */
static void add_clean(struct text *text, const char *string, const char *newline)
{
    char line[MESSAGE_SIZE], clean[MESSAGE_SIZE];

    if (is_printable_ascii(string)) {
        text_add(text, string);
        return;
    }
    for (;;) {
        size_t length = strcspn(string, "\n");
        size_t kept = length < sizeof line ? length : sizeof line - 1;

        memcpy(line, string, kept);
        line[kept] = '\0';
        text_one_line(clean, sizeof clean, line);
        text_add(text, clean);
        if (!string[length])
            return;
        string += length + 1;
        text_add(text, newline);
    }
}

/* Cuts to `size` bytes with the NUL, on a character boundary, and shows that something is missing.
 */
static void cut_message(char *message, size_t size)
{
    size_t end = size - sizeof "...";

    while (end && ((unsigned char)message[end] & 0xC0) == 0x80)
        end--;
    memcpy(message + end, "...", sizeof "...");
}

/* https://systemd.io/JOURNAL_NATIVE_PROTOCOL/: NAME=value, or NAME, length as 64-bit little endian,
 * value. */
static void add_field(struct text *text, const char *name, const char *value)
{
    size_t length = strlen(value);
    unsigned char size[8];

    if (length > FIELD_MAX && strcmp(name, "MESSAGE") != 0)
        length = FIELD_MAX;
    text_add(text, name);
    if (!memchr(value, '\n', length)) {
        text_add_char(text, '=');
    } else {
        for (unsigned i = 0; i < sizeof size; i++)
            size[i] = (unsigned char)((uint64_t)length >> (8 * i));
        text_add_char(text, '\n');
        text_add_bytes(text, size, sizeof size);
    }
    text_add_bytes(text, value, length);
    text_add_char(text, '\n');
}

static void add_entry(struct text *datagram, enum log_level level, const struct log_entry *entry,
                      const char *message)
{
    OWN(text_done) struct text body = {0};
    char priority[12], http_status[24];
    struct log_field fields[] = {
        {"PRIORITY", priority},
        {"SYSLOG_IDENTIFIER", sink.identifier},
        {"MESSAGE_ID", entry->message_id},
        {"CHW_ORDER_REF", entry->order_ref},
        {"CHW_PROVIDER", entry->provider},
        {"CHW_ACTION", entry->action},
        {"CHW_SQLSTATE", entry->sqlstate},
        {"CHW_HTTP_STATUS", entry->http_status ? http_status : NULL},
        {NULL, NULL},
    };

    snprintf(priority, sizeof priority, "%d", priority_of(level));
    snprintf(http_status, sizeof http_status, "%ld", entry->http_status);
    add_clean(&body, message, "\n");
    if (entry->hint && *entry->hint) {
        text_add(&body, "\nHINT: ");
        add_clean(&body, entry->hint, "\n");
    }
    add_field(datagram, "MESSAGE", text_string(&body));
    for (const struct log_field *field = fields; field->name; field++) {
        if (field->value)
            add_field(datagram, field->name, field->value);
    }
    datagram->failed = datagram->failed || body.failed;
}

/* 0 or negative errno. */
static int send_entry(enum log_level level, const struct log_entry *entry, const char *message)
{
    OWN(text_done) struct text datagram = {0};
    ssize_t sent;

    add_entry(&datagram, level, entry, message);
    if (datagram.failed)
        return -ENOMEM;
    sent = sendto(sink.descriptor, datagram.bytes, datagram.length, MSG_DONTWAIT | MSG_NOSIGNAL,
                  (const struct sockaddr *)&sink.journal, sizeof sink.journal);
    return sent < 0 ? -errno : 0;
}

static bool deliver_to_journal(enum log_level level, const struct log_entry *entry,
                               const char *message)
{
    struct log_entry cut = *entry;
    char short_message[CUT_MESSAGE_MAX];
    int r = send_entry(level, entry, message);

    if (r != -EMSGSIZE && r != -ENOBUFS)
        return r == 0;
    snprintf(short_message, sizeof short_message, "%s", message);
    if (strlen(message) >= sizeof short_message)
        cut_message(short_message, sizeof short_message);
    cut.hint = NULL;
    return send_entry(level, &cut, short_message) == 0;
}

/* One attempt that never waits; O_NONBLOCK is not ours to set on a descriptor that others share. */
static bool write_stream(const char *bytes, size_t count)
{
    struct pollfd stream = {.fd = sink.descriptor, .events = POLLOUT};
    ssize_t written;

    if (poll(&stream, 1, 0) != 1 || stream.revents != POLLOUT)
        return false;
    written = send(sink.descriptor, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (written < 0 && errno == ENOTSOCK)
        written = write(sink.descriptor, bytes, count);
    if (written <= 0)
        return false;
    sink.line_open = (size_t)written < count;
    return true;
}

static void add_line(struct text *text, enum log_level level, const char *label,
                     const char *message, size_t size)
{
    char cut[STREAM_MESSAGE_MAX];

    if (sink.form == LOG_FORM_PREFIXED)
        text_format(text, "<%d>", priority_of(level));
    if (sink.form == LOG_FORM_TERMINAL) {
        time_t now = (time_t)clock_wall_s();
        struct tm local;
        char shown[16] = "";
        if (localtime_r(&now, &local))
            strftime(shown, sizeof shown, "%H:%M:%S ", &local);
        text_add(text, shown);
    }
    text_add(text, label);
    snprintf(cut, size, "%s", message);
    if (strlen(message) >= size)
        cut_message(cut, size);
    add_clean(text, cut, "\\n");
    text_add_char(text, '\n');
}

static bool deliver_to_stream(enum log_level level, const struct log_entry *entry,
                              const char *message)
{
    OWN(text_done) struct text lines = {0};

    if (sink.line_open)
        text_add_char(&lines, '\n');
    add_line(&lines, level, "", message, STREAM_MESSAGE_MAX);
    if (entry->hint && *entry->hint)
        add_line(&lines, level, "HINT: ", entry->hint, STREAM_HINT_MAX);
    /* Each escaped line feed added a byte; past PIPE_BUF a pipe could block, so there the end is
     * lost. */
    if (lines.length > PIPE_BUF) {
        lines.length = PIPE_BUF;
        lines.bytes[PIPE_BUF - 1] = '\n';
    }
    return !lines.failed && write_stream(lines.bytes, lines.length);
}

static bool deliver(enum log_level level, const struct log_entry *entry, const char *message)
{
    if (sink.form == LOG_FORM_JOURNAL)
        return deliver_to_journal(level, entry, message);
    return deliver_to_stream(level, entry, message);
}

/* A gap is told before the first entry behind it. */
static bool deliver_gap(void)
{
    static const struct log_entry none = {0};
    char message[80];

    snprintf(message, sizeof message,
             "%" PRIu64 " log entries were dropped: their reader did not keep up", sink.dropped);
    if (!deliver(LOG_LEVEL_WARNING, &none, message))
        return false;
    sink.dropped = 0;
    return true;
}

static void write_entry(enum log_level level, const struct log_entry *entry, const char *message)
{
    static const struct log_entry none = {0};
    int saved_errno = errno;

    if ((sink.dropped && !deliver_gap()) || !deliver(level, entry ? entry : &none, message))
        sink.dropped++;
    errno = saved_errno;
}

static void format_message(char message[MESSAGE_SIZE], const char *format, va_list arguments)
{
    int length = vsnprintf(message, MESSAGE_SIZE, format, arguments);

    if (length < 0)
        message[0] = '\0';
    else if (length >= MESSAGE_SIZE)
        cut_message(message, MESSAGE_SIZE);
}

static void open_sink(enum log_level level, int descriptor, enum log_form form)
{
    if (sink.form == LOG_FORM_JOURNAL)
        close(sink.descriptor);
    sink.level = level;
    sink.descriptor = descriptor;
    sink.form = form;
    sink.line_open = false;
}

int log_open_journal(enum log_level level, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int descriptor;

    if (strlen(path) >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path));
    if (access(path, W_OK) < 0)
        return -errno;
    descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0)
        return -errno;
    open_sink(level, descriptor, LOG_FORM_JOURNAL);
    sink.journal = address;
    sink.identifier = getenv("SYSLOG_IDENTIFIER");
    if (!sink.identifier || !*sink.identifier)
        sink.identifier = "chwsyncd";
    return descriptor;
}

void log_open_stream(enum log_level level, int descriptor, enum log_form form)
{
    open_sink(level, descriptor, form);
}

uint64_t log_dropped(void)
{
    return sink.dropped;
}

/* $JOURNAL_STREAM is DEVICE:INODE of the stream that journald reads, systemd.exec(5). */
static bool is_journal_stream(int descriptor)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat status;
    char *end;

    if (!stream || fstat(descriptor, &status) < 0)
        return false;
    device = strtoull(stream, &end, 10);
    if (end == stream || *end != ':')
        return false;
    stream = end + 1;
    inode = strtoull(stream, &end, 10);
    return end != stream && !*end && device == status.st_dev && inode == status.st_ino;
}

static enum log_form stderr_form(void)
{
    if (isatty(STDERR_FILENO))
        return LOG_FORM_TERMINAL;
    if (getenv("JOURNAL_STREAM") || getenv("INVOCATION_ID"))
        return LOG_FORM_PREFIXED;
    return LOG_FORM_PLAIN;
}

void log_open(enum log_level level, enum log_target target)
{
    bool wanted = target == LOG_TARGET_JOURNAL ||
                  (target == LOG_TARGET_AUTO && is_journal_stream(STDERR_FILENO));
    int r = wanted ? log_open_journal(level, LOG_JOURNAL_SOCKET) : 0;

    if (wanted && r >= 0)
        return;
    log_open_stream(level, STDERR_FILENO, stderr_form());
    if (r < 0)
        log_warning("unable to log to the journal: %s: %s; logging to stderr", LOG_JOURNAL_SOCKET,
                    strerror(-r));
}

bool log_enabled(enum log_level level)
{
    return level <= sink.level;
}

void log_write(enum log_level level, const struct log_entry *entry, const char *format, ...)
{
    char message[MESSAGE_SIZE];
    va_list arguments;

    if (!log_enabled(level))
        return;
    va_start(arguments, format);
    format_message(message, format, arguments);
    va_end(arguments);
    write_entry(level, entry, message);
}

/* FNV-1a, 64 bits (http://www.isthe.com/chongo/tech/comp/fnv/); never 0, which means "nothing
 * logged". */
static uint64_t hash_of(const char *string)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (; *string; string++)
        hash = (hash ^ (unsigned char)*string) * UINT64_C(0x100000001b3);
    return hash ? hash : 1;
}

static bool was_said(const struct log_repeat *repeat, uint64_t hash)
{
    for (unsigned i = 0; i < repeat->count && i < LOG_REPEAT_TEXTS; i++)
        if (repeat->said[i] == hash)
            return true;
    return false;
}

void log_repeated(struct log_repeat *repeat, enum log_level level, const struct log_entry *entry,
                  const char *format, ...)
{
    char message[MESSAGE_SIZE];
    va_list arguments;
    uint64_t hash;

    va_start(arguments, format);
    format_message(message, format, arguments);
    va_end(arguments);
    hash = hash_of(message);
    if (was_said(repeat, hash))
        level = LOG_LEVEL_DEBUG;
    else
        repeat->said[repeat->count++ % LOG_REPEAT_TEXTS] = hash;
    if (log_enabled(level))
        write_entry(level, entry, message);
}

bool log_recovered(struct log_repeat *repeat)
{
    bool had_failed = repeat->count != 0;

    *repeat = (struct log_repeat){0};
    return had_failed;
}
