/*
 * store/schema.h - the schemas in the shop's database: install, upgrade, show.
 *
 * The SQL files are part of the binary (sql/embed.sh writes them as C). Everything happens through
 * a session, in one transaction, so that a failure in the middle leaves nothing behind.
 */
#pragma once
#include "base/problem.h"
#include <stddef.h>

/* The files of sql/, in the order schema/001..., roles.sql, grants.sql, adapters/...; `name` is the
 * path below sql/. */
struct sql_file {
    const char *name;
    const char *text;
};
extern const struct sql_file sql_files[];
extern const size_t sql_file_count;

/* The newest migration of this binary: the schema version it needs. */
int schema_version_wanted(void);
