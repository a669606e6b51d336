/*
 * host/log_sink.h - where entries go, for log_open() and for tests that read them.
 */
#pragma once
#include "host/log.h"

enum log_form {
    LOG_FORM_JOURNAL,  /* native protocol, one datagram an entry */
    LOG_FORM_PREFIXED, /* <N> before each line, for a service manager */
    LOG_FORM_PLAIN,    /* for files and pipes */
    LOG_FORM_TERMINAL, /* with the time */
};

#define LOG_JOURNAL_SOCKET "/run/systemd/journal/socket"

/*
 * Entries go to the datagram socket at `path` from now on. Returns its descriptor (borrowed, valid
 * until the next log_open*), or negative errno: nothing has changed.
 */
int log_open_journal(enum log_level level, const char *path);
/* Entries go to `descriptor` (borrowed) in one of the line forms. */
void log_open_stream(enum log_level level, int descriptor, enum log_form form);
/* Entries that found no way out since the last that did. */
uint64_t log_dropped(void);
