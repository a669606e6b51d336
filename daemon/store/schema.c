#include "store/schema.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char SCHEMA_FOLDER[] = "schema/";

/* The number of a migration ("schema/001-ledger.sql"), 0 for other files. */
static int migration_number(const struct sql_file *file)
{
    size_t folder = sizeof SCHEMA_FOLDER - 1;
    return strncmp(file->name, SCHEMA_FOLDER, folder) == 0 ? atoi(file->name + folder) : 0;
}

static const struct sql_file *find_file(const char *name)
{
    for (size_t i = 0; i < sql_file_count; i++)
        if (strcmp(sql_files[i].name, name) == 0)
            return &sql_files[i];
    assert(!"a file of sql/ is not part of the binary");
    return NULL;
}

int schema_version_wanted(void)
{
    int newest = 0;
    for (size_t i = 0; i < sql_file_count; i++)
        if (migration_number(&sql_files[i]) > newest)
            newest = migration_number(&sql_files[i]);
    return newest;
}

static enum session_verdict run(struct session *session, const struct statement *statement,
                                struct problem *reterr_problem)
{
    return session_run(session, statement, NULL, 0, NULL, reterr_problem);
}

/*
 * Runs a statement on a name that may fail without harm to the transaction. True when it worked;
 * its effect stays unless `undo`.
 */
static bool try_on_name(struct session *session, const struct statement *statement,
                        const char *name, bool undo)
{
    static const struct statement savepoint = {"savepoint", "SAVEPOINT attempt"};
    static const struct statement back = {"rollback to savepoint", "ROLLBACK TO SAVEPOINT attempt"};
    static const struct statement release = {"release savepoint", "RELEASE SAVEPOINT attempt"};
    struct problem ignored;
    if (run(session, &savepoint, &ignored) != SESSION_DONE)
        return false;
    bool worked = session_run_on_name(session, statement, name, &ignored) == SESSION_DONE;
    if (!worked || undo)
        run(session, &back, &ignored);
    run(session, &release, &ignored);
    return worked;
}

static const struct statement become_statement = {"set role", "SET LOCAL ROLE %I"};

/* Whether the caller may act as `role`. One who may create roles on an old server makes itself a
 * member for that. */
static bool may_become(struct session *session, const char *role)
{
    static const struct statement join = {"grant role", "GRANT %I TO CURRENT_USER"};
    if (try_on_name(session, &become_statement, role, true))
        return true;
    return try_on_name(session, &join, role, false) &&
           try_on_name(session, &become_statement, role, true);
}

static enum session_verdict become(struct session *session, const char *role,
                                   struct problem *reterr_problem)
{
    enum session_verdict verdict =
        session_run_on_name(session, &become_statement, role, reterr_problem);
    if (verdict == SESSION_REFUSED)
        problem_hint(reterr_problem,
                     "schema chwsync belongs to %s: run this as that role, or as a superuser",
                     role);
    return verdict;
}

static enum session_verdict become_caller(struct session *session, struct problem *reterr_problem)
{
    static const struct statement statement = {"reset role", "RESET ROLE"};
    return run(session, &statement, reterr_problem);
}

static enum session_verdict read_state(struct session *session, PGresult **ret_rows,
                                       struct problem *reterr_problem)
{
    /* clang-format off */
    static const struct statement statement = {
        "schema state",
        "SELECT pg_get_userbyid(n.nspowner)::text AS owner,\n"
        "       c.oid IS NOT NULL AS has_ledger,\n"
        "       CASE WHEN has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')\n"
        "            THEN substring(query_to_xml('SELECT schema_version FROM chwsync.ledger',\n"
        "                                        false, true, '')::text FROM '>([0-9]+)<')::int END AS version,\n"
        "       (SELECT pg_get_userbyid(nspowner)::text FROM pg_catalog.pg_namespace\n"
        "         WHERE nspname = 'chwsync_shop') AS shop_owner,\n"
        "       (SELECT sum(pg_total_relation_size(t.oid)) FROM pg_catalog.pg_class t\n"
        "         WHERE t.relnamespace = n.oid AND t.relkind = 'r')::bigint AS bytes\n"
        "  FROM (SELECT) AS one_row\n"
        "  LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = 'chwsync'\n"
        "  LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = 'ledger' AND c.relkind = 'r'"};
    /* clang-format on */
    return session_run(session, &statement, NULL, 0, ret_rows, reterr_problem);
}

/* Creates a schema for `role` where the caller may become it, else for the caller itself. */
static enum session_verdict create_schema(struct session *session, const char *schema,
                                          const char *role, struct problem *reterr_problem)
{
    char text[128];
    bool for_role = may_become(session, role);
    snprintf(text, sizeof text, "CREATE SCHEMA %s%s%s", schema, for_role ? " AUTHORIZATION " : "",
             for_role ? role : "");
    const struct statement statement = {"create schema", text};
    enum session_verdict verdict = run(session, &statement, reterr_problem);
    if (verdict == SESSION_REFUSED && strcmp(session_sqlstate(session), "42501") == 0)
        problem_hint(reterr_problem,
                     "a superuser can install it, or GRANT CREATE ON DATABASE %s TO %s",
                     session_database(session), session_user(session));
    return verdict;
}

/* The daemon has to look into the shop's schema; the rights on the two objects are the adapter's
 * own business. */
static enum session_verdict open_shop_schema(struct session *session, const char *owner,
                                             struct problem *reterr_problem)
{
    /* clang-format off */
    static const struct statement grant = {
        "grant",
        "DO $$ BEGIN\n"
        "    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'chwsync')\n"
        "       AND NOT has_schema_privilege('chwsync', 'chwsync_shop', 'USAGE') THEN\n"
        "        GRANT USAGE ON SCHEMA chwsync_shop TO chwsync;\n"
        "    END IF;\n"
        "EXCEPTION WHEN insufficient_privilege THEN\n"
        "    RAISE NOTICE 'role chwsync may not use schema chwsync_shop, and % may not grant it', current_user\n"
        "        USING HINT = 'Have its owner run: GRANT USAGE ON SCHEMA chwsync_shop TO chwsync;';\n"
        "END $$"};
    /* clang-format on */
    struct problem ignored;
    if (try_on_name(session, &become_statement, owner, true))
        session_run_on_name(session, &become_statement, owner, &ignored);
    enum session_verdict verdict = run(session, &grant, reterr_problem);
    return verdict == SESSION_DONE ? become_caller(session, reterr_problem) : verdict;
}

static enum session_verdict prepare_schemas(struct session *session, const PGresult *before,
                                            struct problem *reterr_problem)
{
    enum session_verdict verdict = SESSION_DONE;
    if (PQgetisnull(before, 0, SCHEMA_STATE_OWNER))
        verdict = create_schema(session, "chwsync", "chwsync_owner", reterr_problem);
    if (verdict == SESSION_DONE && PQgetisnull(before, 0, SCHEMA_STATE_SHOP_OWNER))
        verdict = create_schema(session, "chwsync_shop", "chwsync_adapter", reterr_problem);
    return verdict;
}

static enum session_verdict record_version(struct session *session, int before,
                                           struct problem *reterr_problem)
{
    static const struct statement first = {
        "first version", "INSERT INTO chwsync.ledger (schema_version) VALUES ($1::int)"};
    static const struct statement next = {
        "next version", "UPDATE chwsync.ledger SET schema_version = $1::int, upgraded_at = now()"};
    char version[16];
    const char *values[] = {version};
    snprintf(version, sizeof version, "%d", schema_version_wanted());
    return session_run(session, before ? &next : &first, values, 1, NULL, reterr_problem);
}

static enum session_verdict migrate(struct session *session, int before,
                                    struct problem *reterr_problem)
{
    if (before == schema_version_wanted())
        return SESSION_DONE;
    for (int number = before + 1; number <= schema_version_wanted(); number++)
        for (size_t i = 0; i < sql_file_count; i++) {
            if (migration_number(&sql_files[i]) != number)
                continue;
            enum session_verdict verdict =
                session_run_script(session, sql_files[i].name, sql_files[i].text, reterr_problem);
            if (verdict != SESSION_DONE)
                return verdict;
        }
    return record_version(session, before, reterr_problem);
}

/* As the schema's owner: the migrations that are newer, then what is made anew each time. */
static enum session_verdict change_as_owner(struct session *session,
                                            const struct schema_change *change,
                                            struct problem *reterr_problem)
{
    static const char *const made_anew[] = {"functions.sql", "views.sql", "grants.sql"};
    enum session_verdict verdict = become(session, change->owner, reterr_problem);

    if (verdict == SESSION_DONE)
        verdict = migrate(session, change->version_before, reterr_problem);
    for (size_t i = 0; i < COUNT_OF(made_anew) && verdict == SESSION_DONE; i++)
        verdict = session_run_script(session, made_anew[i], find_file(made_anew[i])->text,
                                     reterr_problem);
    if (verdict == SESSION_DONE)
        verdict = become_caller(session, reterr_problem);
    return verdict;
}

static enum schema_verdict as_schema_verdict(enum session_verdict verdict)
{
    switch (verdict) {
    case SESSION_DONE:
        return SCHEMA_DONE;
    case SESSION_REFUSED:
        return SCHEMA_REFUSED;
    case SESSION_LOST:
        return SCHEMA_LOST;
    }
    assert(!"unknown verdict");
    return SCHEMA_LOST;
}

static void note_owners(const PGresult *state, struct schema_change *change)
{
    snprintf(change->owner, sizeof change->owner, "%s", PQgetvalue(state, 0, SCHEMA_STATE_OWNER));
    snprintf(change->shop_owner, sizeof change->shop_owner, "%s",
             PQgetvalue(state, 0, SCHEMA_STATE_SHOP_OWNER));
}

/* What stands in the way of the change, from the state before it. */
static enum schema_verdict judge(enum schema_action action, const PGresult *state,
                                 struct schema_change *change, struct problem *reterr_problem)
{
    bool has_ledger = PQgetvalue(state, 0, SCHEMA_STATE_HAS_LEDGER)[0] == 't';
    change->version_before = atoi(PQgetvalue(state, 0, SCHEMA_STATE_VERSION));
    change->version_after = schema_version_wanted();
    if (action == SCHEMA_UPGRADE && !has_ledger) {
        problem_set(reterr_problem, "schema chwsync is not installed in this database");
        problem_hint(reterr_problem, "chwsyncd schema install");
        return SCHEMA_MISSING;
    }
    if (change->version_before > change->version_after) {
        problem_set(reterr_problem,
                    "schema chwsync is at version %d, newer than this chwsyncd, which knows %d; "
                    "nothing was touched",
                    change->version_before, change->version_after);
        problem_hint(reterr_problem, "install the newer chwsyncd");
        return SCHEMA_NEWER;
    }
    return SCHEMA_DONE;
}

/*
 * The version is read anew as the schema's owner: a caller that may not read the ledger would take
 * an installed schema for an empty one.
 */
static enum schema_verdict change_locked(struct session *session, enum schema_action action,
                                         struct schema_change *change,
                                         struct problem *reterr_problem)
{
    OWN(rows_freep) PGresult *before = NULL, *prepared = NULL, *owned = NULL;
    enum session_verdict verdict = read_state(session, &before, reterr_problem);
    if (verdict == SESSION_DONE && action == SCHEMA_INSTALL)
        verdict = prepare_schemas(session, before, reterr_problem);
    if (verdict == SESSION_DONE)
        verdict = read_state(session, &prepared, reterr_problem);
    if (verdict != SESSION_DONE)
        return as_schema_verdict(verdict);
    note_owners(prepared, change);

    if (change->owner[0])
        verdict = become(session, change->owner, reterr_problem);
    if (verdict == SESSION_DONE)
        verdict = read_state(session, &owned, reterr_problem);
    if (verdict != SESSION_DONE)
        return as_schema_verdict(verdict);
    enum schema_verdict judged = judge(action, owned, change, reterr_problem);
    if (judged != SCHEMA_DONE)
        return judged;

    verdict = change_as_owner(session, change, reterr_problem);
    if (verdict == SESSION_DONE && change->shop_owner[0] && action == SCHEMA_INSTALL)
        verdict = open_shop_schema(session, change->shop_owner, reterr_problem);
    return as_schema_verdict(verdict);
}

/* Two at once wait here; what holds a lock of the ledger's tables is waited for half a minute, not
 * for ever. */
static enum session_verdict begin_locked(struct session *session, struct problem *reterr_problem)
{
    /* clang-format off */
    static const struct statement limits = {
        "schema limits",
        "SELECT set_config('search_path', 'pg_catalog, pg_temp', true),\n"
        "       set_config('lock_timeout', '30s', true), set_config('synchronous_commit', 'on', true)"};
    /* clang-format on */
    static const struct statement lock = {
        "schema lock", "SELECT pg_advisory_xact_lock(hashtext('chwsync schema'))"};
    enum session_verdict verdict = session_begin(session, reterr_problem);
    if (verdict == SESSION_DONE)
        verdict = run(session, &limits, reterr_problem);
    if (verdict == SESSION_DONE)
        verdict = run(session, &lock, reterr_problem);
    return verdict;
}

enum schema_verdict schema_change(struct session *session, enum schema_action action,
                                  struct schema_change *ret_change, struct problem *reterr_problem)
{
    struct schema_change change = {0};
    enum session_verdict verdict = SESSION_DONE;
    if (action == SCHEMA_INSTALL) {
        const struct sql_file *roles = find_file("roles.sql");
        verdict = session_run_script(session, roles->name, roles->text, reterr_problem);
    }
    if (verdict == SESSION_DONE)
        verdict = begin_locked(session, reterr_problem);
    if (verdict != SESSION_DONE) {
        session_rollback(session);
        return as_schema_verdict(verdict);
    }

    enum schema_verdict result = change_locked(session, action, &change, reterr_problem);
    if (result == SCHEMA_DONE)
        result = as_schema_verdict(session_commit(session, reterr_problem));
    session_rollback(session);
    if (result == SCHEMA_DONE || result == SCHEMA_NEWER)
        *ret_change = change;
    return result;
}

enum session_verdict schema_show(struct session *session, struct schema_overview *ret_overview,
                                 struct problem *reterr_problem)
{
    /* clang-format off */
    static const struct statement roles = {
        "roles",
        "SELECT w.role, r.rolname IS NOT NULL AS present, coalesce(r.rolcanlogin, false) AS login, w.purpose\n"
        "  FROM (VALUES (1, 'chwsync_owner', 'owns the ledger'), (2, 'chwsync', 'the daemon'),\n"
        "               (3, 'chwsync_adapter', 'owns the shop''s two objects'),\n"
        "               (4, 'chwsync_reader', 'may read the views')) AS w(place, role, purpose)\n"
        "  LEFT JOIN pg_catalog.pg_roles r ON r.rolname = w.role ORDER BY w.place"};
    /* clang-format on */
    /* clang-format off */
    static const struct statement objects = {
        "objects",
        "SELECT * FROM (\n"
        "SELECT CASE c.relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' ELSE 'materialized view' END AS kind,\n"
        "       format('%I.%I', n.nspname, c.relname) AS name, pg_get_userbyid(c.relowner)::text AS owner,\n"
        "       CASE WHEN c.relkind = 'r' AND c.reltuples >= 0 THEN c.reltuples::bigint END AS rows,\n"
        "       CASE WHEN c.relkind <> 'v' THEN pg_total_relation_size(c.oid) END AS bytes\n"
        "  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace\n"
        " WHERE n.nspname IN ('chwsync', 'chwsync_shop') AND c.relkind IN ('r', 'v', 'm')\n"
        "UNION ALL\n"
        "SELECT 'function', format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)),\n"
        "       pg_get_userbyid(p.proowner)::text, NULL, NULL\n"
        "  FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace\n"
        " WHERE n.nspname IN ('chwsync', 'chwsync_shop')\n"
        ") AS objects ORDER BY kind = 'function', kind, name"};
    /* clang-format on */
    struct schema_overview overview = {0};
    enum session_verdict verdict = read_state(session, &overview.state, reterr_problem);
    if (verdict == SESSION_DONE)
        verdict = session_run(session, &roles, NULL, 0, &overview.roles, reterr_problem);
    if (verdict == SESSION_DONE)
        verdict = session_run(session, &objects, NULL, 0, &overview.objects, reterr_problem);
    if (verdict == SESSION_DONE)
        *ret_overview = overview;
    else
        schema_overview_done(&overview);
    return verdict;
}

void schema_overview_done(struct schema_overview *overview)
{
    PQclear(overview->state);
    PQclear(overview->roles);
    PQclear(overview->objects);
    *overview = (struct schema_overview){0};
}
