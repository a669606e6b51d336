#include "store/adapter_switch.h"
#include "base/own.h"
#include <stdbool.h>
#include <string.h>

static enum switch_verdict as_switch_verdict(enum session_verdict verdict)
{
    return verdict == SESSION_DONE      ? SWITCH_DONE
           : verdict == SESSION_REFUSED ? SWITCH_REFUSED
                                        : SWITCH_LOST;
}

static enum session_verdict run(struct session *session, const char *sql,
                                struct problem *reterr_problem)
{
    const struct statement statement = {"adapter switch", sql};

    return session_run(session, &statement, NULL, 0, NULL, reterr_problem);
}

/* An empty search_path makes the server write every name with its schema. */
static enum session_verdict begin(struct session *session, struct problem *reterr_problem)
{
    static const struct statement limits = {
        "adapter limits", "SELECT set_config('search_path', 'pg_catalog, pg_temp', true),"
                          " set_config('lock_timeout', '10s', true),"
                          " pg_advisory_xact_lock(hashtext('chwsync adapter'))"};
    enum session_verdict verdict = session_begin(session, reterr_problem);

    if (verdict == SESSION_DONE)
        verdict = session_run(session, &limits, NULL, 0, NULL, reterr_problem);
    return verdict;
}

/* Whoever may become the ledger's owner does so for the ledger's row; others need the right. */
static enum session_verdict become_owner(struct session *session, struct problem *reterr_problem)
{
    enum session_verdict verdict = run(session, "SAVEPOINT owner", reterr_problem);
    struct problem ignored;

    if (verdict != SESSION_DONE)
        return verdict;
    if (run(session, "SET LOCAL ROLE chwsync_owner", &ignored) == SESSION_DONE)
        return SESSION_DONE;
    return run(session, "ROLLBACK TO SAVEPOINT owner", reterr_problem);
}

/* clang-format off */
static const struct statement store_statement = {
    "adapter off",
    "WITH RECURSIVE needed AS (\n"
    "    SELECT c.oid, c.relnamespace, 0 AS depth FROM pg_catalog.pg_class c WHERE c.oid = to_regclass($1::text) AND c.relkind = 'v'\n"
    "    UNION\n"
    "    SELECT c.oid, c.relnamespace, n.depth + 1 FROM needed n JOIN pg_catalog.pg_rewrite w ON w.ev_class = n.oid\n"
    "      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid\n"
    "       AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> n.oid\n"
    "      JOIN pg_catalog.pg_class c ON c.oid = d.refobjid AND c.relkind = 'v' AND c.relnamespace = n.relnamespace),\n"
    "views AS (SELECT oid, max(depth) AS depth FROM needed GROUP BY oid),\n"
    "texts AS (\n"
    "    SELECT v.depth, format('%I.%I', n.nspname, c.relname) AS name,\n"
    "           format(E'SET LOCAL ROLE %I;\\nCREATE VIEW %I.%I%s AS\\n%s\\n', pg_get_userbyid(c.relowner), n.nspname, c.relname,\n"
    "                  ' WITH (' || array_to_string(c.reloptions, ', ') || ')', pg_get_viewdef(c.oid))\n"
    "           || coalesce((SELECT string_agg(format(E'GRANT %s ON %I.%I TO %s%s;\\n', a.privilege_type, n.nspname, c.relname,\n"
    "                                CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,\n"
    "                                CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' END), '')\n"
    "                          FROM aclexplode(c.relacl) a WHERE a.grantee <> c.relowner), '')\n"
    "           || coalesce(format(E'COMMENT ON VIEW %I.%I IS %L;\\n', n.nspname, c.relname, obj_description(c.oid, 'pg_class')), '') AS text\n"
    "      FROM views v JOIN pg_catalog.pg_class c ON c.oid = v.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace)\n"
    "SELECT string_agg(name, ', ' ORDER BY depth), string_agg(text, '' ORDER BY depth DESC) || 'RESET ROLE;',\n"
    "       array_agg(name ORDER BY depth DESC)::text, coalesce(bool_or(name IS NULL), true), count(*) FROM texts"};
/* clang-format on */

static enum session_verdict drop_and_keep(struct session *session, const PGresult *views,
                                          struct problem *reterr_problem)
{
    static const struct statement keep = {"adapter keep",
                                          "INSERT INTO chwsync.switched_off (definition, views)"
                                          " VALUES ($1::text, $2::text[])"};
    OWN(text_done) struct text drop = {0};
    const char *values[] = {PQgetvalue(views, 0, 1), PQgetvalue(views, 0, 2)};
    enum session_verdict verdict;

    text_format(&drop, "DROP VIEW %s", PQgetvalue(views, 0, 0));
    verdict = run(session, text_string(&drop), reterr_problem);
    if (verdict == SESSION_DONE)
        verdict = become_owner(session, reterr_problem);
    if (verdict == SESSION_DONE)
        verdict = session_run(session, &keep, values, 2, NULL, reterr_problem);
    return verdict;
}

/* The row that says it is off: 0 definition, 1 names, 2 the name of the view that the daemon reads.
 */
static enum session_verdict read_row(struct session *session, PGresult **ret_rows,
                                     struct problem *reterr_problem)
{
    static const struct statement statement = {
        "adapter row", "SELECT definition, array_to_string(views, ', '),"
                       " views[array_length(views, 1)] FROM chwsync.switched_off"};

    return session_run(session, &statement, NULL, 0, ret_rows, reterr_problem);
}

static enum switch_verdict switch_off(struct session *session, const char *view,
                                      struct text *ret_views, struct problem *reterr_problem)
{
    OWN(rows_freep) PGresult *views = NULL, *row = NULL;
    const char *values[] = {view};
    enum session_verdict verdict =
        session_run(session, &store_statement, values, 1, &views, reterr_problem);

    if (verdict == SESSION_DONE)
        verdict = become_owner(session, reterr_problem);
    if (verdict == SESSION_DONE)
        verdict = read_row(session, &row, reterr_problem);
    if (verdict != SESSION_DONE)
        return as_switch_verdict(verdict);
    bool is_there = strcmp(PQgetvalue(views, 0, 4), "0") != 0;
    if (!is_there)
        return PQntuples(row) ? SWITCH_ALREADY : SWITCH_NOTHING;
    /* Its file was run again meanwhile: what was kept is older. */
    verdict = run(session, "DELETE FROM chwsync.switched_off", reterr_problem);
    if (verdict == SESSION_DONE)
        verdict = run(session, "RESET ROLE", reterr_problem);
    if (verdict == SESSION_DONE)
        verdict = drop_and_keep(session, views, reterr_problem);
    if (verdict == SESSION_DONE)
        text_add(ret_views, PQgetvalue(views, 0, 0));
    return as_switch_verdict(verdict);
}

/* Asked as the caller: the ledger's owner may not look into the shop's schema. */
static enum session_verdict look_for_view(struct session *session, const char *view,
                                          bool *ret_is_there, struct problem *reterr_problem)
{
    static const struct statement statement = {"adapter view",
                                               "SELECT to_regclass($1::text) IS NOT NULL"};
    OWN(rows_freep) PGresult *rows = NULL;
    const char *values[] = {view};
    enum session_verdict verdict =
        session_run(session, &statement, values, 1, &rows, reterr_problem);

    if (verdict == SESSION_DONE)
        *ret_is_there = PQgetvalue(rows, 0, 0)[0] == 't';
    return verdict;
}

static enum switch_verdict switch_on(struct session *session, struct text *ret_views,
                                     struct problem *reterr_problem)
{
    OWN(rows_freep) PGresult *row = NULL;
    enum session_verdict verdict = become_owner(session, reterr_problem);

    if (verdict == SESSION_DONE)
        verdict = read_row(session, &row, reterr_problem);
    if (verdict != SESSION_DONE)
        return as_switch_verdict(verdict);
    if (!PQntuples(row))
        return SWITCH_NOTHING;
    bool is_there = false;
    text_add(ret_views, PQgetvalue(row, 0, 1));
    verdict = run(session, "DELETE FROM chwsync.switched_off", reterr_problem);
    if (verdict == SESSION_DONE)
        verdict = run(session, "RESET ROLE", reterr_problem);
    if (verdict == SESSION_DONE)
        verdict = look_for_view(session, PQgetvalue(row, 0, 2), &is_there, reterr_problem);
    if (verdict == SESSION_DONE && !is_there) {
        verdict = session_run_script(session, "the stored adapter", PQgetvalue(row, 0, 0),
                                     reterr_problem);
        if (verdict == SESSION_REFUSED)
            problem_hint(reterr_problem, "the stored text does not fit the shop any more: run the "
                                         "adapter's own file, mended, then this again");
    }
    return verdict == SESSION_DONE && is_there ? SWITCH_ALREADY : as_switch_verdict(verdict);
}

static enum switch_verdict finish(struct session *session, enum switch_verdict verdict,
                                  struct problem *reterr_problem)
{
    if (verdict == SWITCH_DONE || verdict == SWITCH_ALREADY) {
        enum session_verdict committed = session_commit(session, reterr_problem);
        if (committed != SESSION_DONE)
            verdict = as_switch_verdict(committed);
    }
    session_rollback(session);
    return verdict;
}

enum switch_verdict adapter_switch_off(struct session *session, const char *view,
                                       struct text *ret_views, struct problem *reterr_problem)
{
    enum session_verdict begun = begin(session, reterr_problem);

    return begun == SESSION_DONE
               ? finish(session, switch_off(session, view, ret_views, reterr_problem),
                        reterr_problem)
               : as_switch_verdict(begun);
}

enum switch_verdict adapter_switch_on(struct session *session, struct text *ret_views,
                                      struct problem *reterr_problem)
{
    enum session_verdict begun = begin(session, reterr_problem);

    return begun == SESSION_DONE
               ? finish(session, switch_on(session, ret_views, reterr_problem), reterr_problem)
               : as_switch_verdict(begun);
}
