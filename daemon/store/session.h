/*
 * store/session.h - a connection for one command: synchronous, with a time limit on everything.
 *
 * For every command but `chwsyncd run`, whose loop has its own door (store/connection.h). Only
 * modules of store/ run statements here. Nothing outlives the session: rows are owned by whoever
 * asked (PQclear), notices by the session.
 */
#pragma once
#include "base/own.h"
#include "base/problem.h"
#include "store/connection.h"
#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>

struct session;

struct session_options {
    const char *conninfo;
    const char *passfile;     /* or NULL: used when the conninfo names none */
    bool as_calling_user;     /* the conninfo's user and password do not count */
    unsigned connect_limit_s; /* 0 = 10 */
    unsigned time_limit_s;    /* for each statement; 0 = 10 */
};

enum session_verdict {
    SESSION_DONE,
    SESSION_REFUSED, /* the server raised an error: session_sqlstate() and the problem say which */
    SESSION_LOST, /* the connection broke or the time limit passed: the session is of no further use
                   */
};

/* 0: owned, session_free(). 1: no connection, the problem is one sentence with a hint. -ENOMEM. */
int session_open(const struct session_options *options, struct session **ret_session,
                 struct problem *reterr_problem);
void session_free(struct session *session);
DEFINE_OWN(struct session, session_free, session_freep)
DEFINE_OWN(PGresult, PQclear, rows_freep)

/* Runs one statement with its values (NULL = SQL NULL; `values` may be NULL when count is 0).
 * ret_rows may be NULL. */
enum session_verdict session_run(struct session *session, const struct statement *statement,
                                 const char *const *values, int count, PGresult **ret_rows,
                                 struct problem *reterr_problem);
/* The same with values as lanes take them, arrays too; they are taken. */
enum session_verdict session_run_values(struct session *session, const struct statement *statement,
                                        struct values *values, PGresult **ret_rows,
                                        struct problem *reterr_problem);
/* Runs a script of any number of statements; the problem names `file` and the line. */
enum session_verdict session_run_script(struct session *session, const char *file,
                                        const char *script, struct problem *reterr_problem);
/*
 * Runs a statement whose text has %I in it: `name` quoted as an SQL name. For what takes no values
 * (SET ROLE, GRANT).
 */
enum session_verdict session_run_on_name(struct session *session, const struct statement *statement,
                                         const char *name, struct problem *reterr_problem);

/* Tells the daemon that there is something to do, on the channel of its wake-up; NULL: it looks by
 * itself. That it is not heard costs seconds, nothing else. */
void session_wake_daemon(struct session *session, const char *channel);

enum session_verdict session_begin(struct session *session, struct problem *reterr_problem);
/* One snapshot for all statements that follow, and nothing can be written. */
enum session_verdict session_begin_report(struct session *session, struct problem *reterr_problem);
enum session_verdict session_commit(struct session *session, struct problem *reterr_problem);
void session_rollback(struct session *session);

/* Of the last statement that was refused; "" before. */
const char *session_sqlstate(const struct session *session);
/* What the server remarked (NOTICE and WARNING), in order; the text without its severity. Borrowed
 * until session_free(). */
size_t session_notice_count(const struct session *session);
const struct problem *session_notice(const struct session *session, size_t index);
/* "dbname" and "user" of the connection. Borrowed. */
const char *session_database(const struct session *session);
const char *session_user(const struct session *session);
