/*
 * store/schema.h - the two schemas in the shop's database: install, upgrade, show.
 *
 * The SQL files are part of the binary (sql/embed.sh writes them as C). Everything but the roles
 * happens in one transaction under an advisory lock: a failure in the middle leaves nothing behind,
 * and two at once wait for each other.
 *
 * Who owns what: schema chwsync belongs to chwsync_owner and chwsync_shop to chwsync_adapter, where
 * those roles exist and the caller may become them; otherwise to the caller. Schema chwsync_shop is
 * only ever created here, never changed.
 */
#pragma once
#include "base/problem.h"
#include "store/session.h"
#include <stddef.h>

/* The files of sql/, in the order schema/001..., roles.sql, functions.sql, views.sql, grants.sql,
 * adapters/..., templates/...; `name` is the path below sql/. */
struct sql_file {
    const char *name;
    const char *text;
};
extern const struct sql_file sql_files[];
extern const size_t sql_file_count;

/* The newest migration of this binary: the schema version it needs. */
int schema_version_wanted(void);

enum schema_verdict {
    SCHEMA_DONE,    /* also when there was nothing to do */
    SCHEMA_MISSING, /* upgrade: it is not installed */
    SCHEMA_NEWER,   /* newer than this binary: nothing was touched */
    SCHEMA_REFUSED, /* the server raised an error; nothing was changed but roles */
    SCHEMA_LOST,    /* the connection broke */
};

enum schema_action { SCHEMA_INSTALL, SCHEMA_UPGRADE };

struct schema_change {
    int version_before, version_after; /* 0 = was not installed */
    char owner[64], shop_owner[64];    /* of the two schemas */
};

/* After SCHEMA_REFUSED, session_sqlstate() tells a missing right (42501) from the rest. */
enum schema_verdict schema_change(struct session *session, enum schema_action action,
                                  struct schema_change *ret_change, struct problem *reterr_problem);

/* One row. */
enum schema_state_column {
    SCHEMA_STATE_OWNER,      /* of schema chwsync; NULL = there is none */
    SCHEMA_STATE_HAS_LEDGER, /* boolean */
    SCHEMA_STATE_VERSION,    /* NULL = no ledger, or not readable */
    SCHEMA_STATE_SHOP_OWNER, /* of schema chwsync_shop; NULL = there is none */
    SCHEMA_STATE_BYTES,      /* of all tables and indexes of chwsync */
};
/* Rows "role", "present" (boolean), "login" (boolean), "purpose". */
/* Rows "kind", "name", "owner", "rows" (estimate), "bytes". */
struct schema_overview {
    PGresult *state, *roles, *objects; /* owned */
};
enum session_verdict schema_show(struct session *session, struct schema_overview *ret_overview,
                                 struct problem *reterr_problem);
void schema_overview_done(struct schema_overview *overview);
