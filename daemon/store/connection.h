/*
 * store/connection.h - one asynchronous connection to PostgreSQL: the one door for statements of
 * the daemon.
 *
 * The daemon holds a few of them ("lanes"), so that the shop's own SQL cannot delay the ledger's. A
 * lane connects, reconnects (back-off with jitter, for ever), listens, and runs one transaction at
 * a time, in order; further ones wait in its queue. Nothing here blocks, but for libpq's own host
 * name resolution (PQconnectStart): the manual recommends a unix socket or hostaddr.
 *
 * Each host of the conninfo has 10 s to let us in. A lost connection that had worked is looked for
 * again within 0.2 s; from there on the waits double to 30 s. Where the server said why it ended
 * the connection, on_down repeats it.
 *
 * A transaction is sent in pipeline mode: an optional set_config of its limits, the statement,
 * one Sync. It is the implicit transaction between two Syncs, so it is committed exactly when the
 * server says so for all of it; only then is STORE_DONE reported. No transaction needs what an
 * earlier one left in the server's session (the plan that chwsync.shown() keeps there is looked for
 * each time): it works through PgBouncer in transaction mode.
 *
 * Only modules of store/ run statements (one function per statement, its text directly above it);
 * the engine creates and frees lanes.
 */
#pragma once
#include "base/problem.h"
#include "base/text.h"
#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

struct connection;

struct connection_options {
    const char *name;           /* of the lane, for logs: "view", "orders", ...; copied */
    const char *conninfo;       /* copied. Added where it does not say otherwise: keepalives,
                                   tcp_user_timeout, target_session_attrs=read-write,
                                   client_encoding=UTF8, application name "chwsyncd NAME" */
    const char *passfile;       /* or NULL: used as "passfile" when conninfo has none */
    const char *listen_channel; /* or NULL. LISTEN is repeated after every reconnect */
    void (*on_up)(
        void *userdata); /* connected (again); also the moment to scan for what was missed */
    /* Lost, or could not connect: once per loss and per attempt. The next attempt is in retry_us.
     */
    void (*on_down)(void *userdata, const struct problem *problem, int64_t retry_us);
    void (*on_notify)(void *userdata); /* something arrived on the channel */
    void *userdata;
};

/* Starts connecting. Owned by the caller: connection_free(). 0 or negative errno; -EINVAL when
 * libpq cannot read the conninfo. No callback is called before the event loop runs. */
int connection_new(sd_event *event, const struct connection_options *options,
                   struct connection **ret_connection);
/* Waiting and running transactions end without their callback. Allowed in every callback. */
void connection_free(struct connection *connection);
bool connection_is_up(const struct connection *connection);
/* Up, nothing running, nothing waiting. */
bool connection_is_idle(const struct connection *connection);
/* Nothing running, nothing waiting, whether up or not: no statement text is in use. */
bool connection_is_quiet(const struct connection *connection);
/* Gives up the present connection and connects anew at once (a changed conninfo is not taken up);
 * on_down and STORE_LOST of what runs come later, from the event loop. */
void connection_reset(struct connection *connection);

/* A statement: text with $n (types written in the text), name for logs. Always static const. */
struct statement {
    const char *name;
    const char *text;
};

/*
 * The values of a statement, in order; text format. Starts as { 0 }; taken by connection_run().
 * Arrays are built element by element between begin and end. Running out of memory is remembered
 * and reported by connection_run().
 */
#define VALUES_MAX 32
struct values {
    struct text bytes;
    ptrdiff_t offsets[VALUES_MAX]; /* -1 = NULL */
    int count;
    bool in_array;
};
void values_done(struct values *values);
void values_add_text(struct values *values,
                     const char *string); /* NULL = NULL; also an array's element */
void values_add_integer(struct values *values, int64_t integer); /* likewise */
void values_add_boolean(struct values *values, bool boolean);    /* likewise */
void values_add_real(struct values *values, double real);        /* likewise; finite */
/* NULL when it is not there. */
void values_add_optional(struct values *values, bool present, int64_t integer);
void values_begin_array(struct values *values);
void values_end_array(struct values *values);

/* Adds one array with the same member of every row; of VALUES_ADD_OPTIONALS one that a row can do
 * without, as its has_member tells. */
#define VALUES_ADD_ARRAY(values, rows, count, add, member)                                         \
    do {                                                                                           \
        values_begin_array(values);                                                                \
        for (size_t i_ = 0; i_ < (count); i_++)                                                    \
            add(values, (rows)[i_].member);                                                        \
        values_end_array(values);                                                                  \
    } while (0)
#define VALUES_ADD_OPTIONALS(values, rows, count, member)                                          \
    do {                                                                                           \
        values_begin_array(values);                                                                \
        for (size_t i_ = 0; i_ < (count); i_++)                                                    \
            values_add_optional(values, (rows)[i_].has_##member, (rows)[i_].member);               \
        values_end_array(values);                                                                  \
    } while (0)

enum store_verdict {
    STORE_DONE,    /* committed */
    STORE_REFUSED, /* the server raised an error: nothing of it happened; `sqlstate`, `problem` */
    STORE_LOST,    /* the connection broke while it ran: it may have been committed */
};

/* Borrowed during the callback. */
struct store_answer {
    enum store_verdict verdict;
    const PGresult *rows; /* of the statement, when STORE_DONE */
    char sqlstate[6];
    struct problem problem;
    int64_t took_us; /* from being sent to the commit */
    PGresult **held; /* `rows`, for store_take_rows() */
};
/* The rows become the caller's: PQclear(). They stay what `answer` shows. NULL without rows. */
PGresult *store_take_rows(const struct store_answer *answer);
typedef void (*store_done)(void *userdata, const struct store_answer *answer);

struct transaction {
    const struct statement *statement;              /* borrowed: static */
    struct values *values;                          /* taken, may be NULL */
    unsigned lock_timeout_ms, statement_timeout_ms; /* set for this transaction only; 0 = not set */
    bool constraints_immediate; /* SET CONSTRAINTS ALL IMMEDIATE after the statement: deferred
                                   triggers then fall under statement_timeout, the commit does not.
                                   Needs plpgsql */
    bool lazy_commit; /* confirmed before it is on disk: what a lost commit held is found again. A
                         later one that is not lazy is never kept without it */
    bool by_index; /* planned for its indexes whatever the statistics say, and what it calls too */
    int64_t give_up_us; /* without an answer by then the connection is given up as lost; 0 = 90 s */
};

/*
 * Runs it when its turn comes; `done` is called exactly once, later, from the event loop. While the
 * lane is down it waits for the next connection. 0, -ENOMEM, or -ENOBUFS when more than 64 wait.
 */
int connection_run(struct connection *connection, struct transaction *transaction, store_done done,
                   void *userdata);

/* A column of a row: NULL for SQL NULL. Borrowed from `rows`. `column` counts from 0. */
const char *row_text(const PGresult *rows, int row, int column);
int64_t row_integer(const PGresult *rows, int row, int column, int64_t when_null);
bool row_boolean(const PGresult *rows, int row, int column);
double row_real(const PGresult *rows, int row, int column, double when_null);
