/*
 * store/conninfo.h - how a lane reaches its server, and what it means when it cannot.
 *
 * For store/connection.c alone. Nothing here waits, but for host name resolution inside
 * conninfo_connect().
 */
#pragma once
#include "base/problem.h"
#include <libpq-fe.h>

struct conninfo {
    PQconninfoOption *options; /* owned */
    char *passfile;            /* owned, or NULL */
    char application_name[64];
    unsigned hosts; /* how many it names, at least 1 */
};

/*
 * Reads a connection string or URI. `passfile` may be NULL. -EINVAL when libpq cannot read it;
 * libpq's reason is not given, because it quotes the text, which may hold a password.
 */
int conninfo_parse(struct conninfo *ret_conninfo, const char *string, const char *passfile,
                   const char *lane);
void conninfo_done(struct conninfo *conninfo);

/*
 * PQconnectStart with what the daemon adds where the connection string is silent. `rotation` hosts
 * of several are moved to the end of the list: libpq waits without a limit for a host that swallows
 * packets and would never come to the next one. NULL when memory ran out. Owned: PQfinish().
 */
PGconn *conninfo_connect(const struct conninfo *conninfo, unsigned rotation);

/* libpq's message, of several lines and with advice for users of psql, as one sentence with a hint
 * for an operator. */
void conninfo_explain(const char *message, struct problem *ret_problem);
