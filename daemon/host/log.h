/*
 * host/log.h - what the operator reads.
 *
 * To the journal natively when stderr is the journal's own stream ($JOURNAL_STREAM), else to
 * stderr: with <N> prefix when a service manager reads it, plain on a terminal. Form: "unable to
 * submit order 17: provider closed the connection", the hint on a line of its own ("HINT: ...").
 * Fields carry what a search needs. Keys and passwords never come here; links only at debug.
 *
 * The journal's socket can stall: entries are then dropped and counted, never waited for.
 * Level and target are the only file-scope state.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level {
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_NOTICE,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG
};
enum log_target { LOG_TARGET_AUTO, LOG_TARGET_JOURNAL, LOG_TARGET_STDERR };

struct log_field {
    const char *name;  /* "CHW_ORDER_REF", ...; NULL ends a list */
    const char *value; /* NULL = the field is left out */
};

/* Everything an entry can have besides its text; { 0 } is none of it. */
struct log_entry {
    const char *message_id; /* MESSAGE_... of host/events.h, or NULL */
    const char *hint;       /* or NULL, or "" */
    const char *order_ref, *provider, *action,
        *sqlstate;    /* CHW_ORDER_REF, CHW_PROVIDER, CHW_ACTION, CHW_SQLSTATE, or NULL */
    long http_status; /* CHW_HTTP_STATUS, 0 = none */
};

void log_open(enum log_level level, enum log_target target);
bool log_enabled(enum log_level level);
void log_write(enum log_level level, const struct log_entry *entry, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* One with nothing but an event: log_event(LOG_LEVEL_NOTICE, MESSAGE_STARTED, "started"). */
#define log_event(level, event, ...)                                                               \
    log_write(level, &(struct log_entry){.message_id = (event)}, __VA_ARGS__)
/* One about a provider and nothing else. */
#define log_provider_event(level, event, name, ...)                                                \
    log_write(level, &(struct log_entry){.message_id = (event), .provider = (name)}, __VA_ARGS__)
#define log_error(...) log_write(LOG_LEVEL_ERROR, NULL, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, NULL, __VA_ARGS__)
#define log_notice(...) log_write(LOG_LEVEL_NOTICE, NULL, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, NULL, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, NULL, __VA_ARGS__)

/*
 * A failure that may repeat: each of its texts is logged at `level` once, at debug afterwards, also
 * when several of them take turns. Embed one per thing that can fail; { 0 } is "fine so far".
 */
#define LOG_REPEAT_TEXTS 8
struct log_repeat {
    uint64_t said[LOG_REPEAT_TEXTS]; /* hashes of the texts logged last */
    unsigned count;                  /* texts logged so far */
};
void log_repeated(struct log_repeat *repeat, enum log_level level, const struct log_entry *entry,
                  const char *format, ...) __attribute__((format(printf, 4, 5)));
/* It works again: returns true (once) when a failure had been logged, so that the caller can say
 * so. */
bool log_recovered(struct log_repeat *repeat);
