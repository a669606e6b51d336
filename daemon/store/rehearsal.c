#include "store/rehearsal.h"
#include "store/contract_rehearsal.h"
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { VIEW_LIMIT_S = 10 };

static enum session_verdict limit_time(struct session *session, unsigned seconds,
                                       struct problem *reterr_problem)
{
    /* clang-format off */
    static const struct statement statement = {
        "rehearsal limits",
        "SELECT set_config('statement_timeout', $1::text, true), set_config('lock_timeout', $1, true)"};
    /* clang-format on */
    char milliseconds[16];
    const char *values[] = {milliseconds};
    snprintf(milliseconds, sizeof milliseconds, "%u", seconds * 1000);
    return session_run(session, &statement, values, 1, NULL, reterr_problem);
}

enum session_verdict rehearsal_contract(struct session *session, const char *view,
                                        const char *function, struct contract *ret_contract,
                                        struct problem *reterr_problem)
{
    OWN(rows_freep) PGresult *rows = NULL;
    const char *values[] = {view, function};
    enum session_verdict verdict =
        session_run(session, &contract_statement, values, 2, &rows, reterr_problem);
    if (verdict != SESSION_DONE)
        return verdict;
    int r = contract_read(rows, ret_contract, reterr_problem);
    if (r < 0)
        problem_set(reterr_problem, "out of memory");
    return r ? SESSION_REFUSED : SESSION_DONE;
}

enum session_verdict rehearsal_server(struct session *session, struct rehearsal_server *ret_server,
                                      struct problem *reterr_problem)
{
    /* clang-format off */
    static const struct statement statement = {
        "rehearsal server",
        "SELECT current_setting('server_version_num')::int, current_setting('transaction_read_only')::boolean,\n"
        "       coalesce(bool_and(has_table_privilege(c.oid, 'SELECT') AND (c.relname IN ('ledger', 'switched_off')\n"
        "           OR has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'UPDATE')\n"
        "              AND has_table_privilege(c.oid, 'DELETE'))) FILTER (WHERE n.nspname = 'chwsync'), false),\n"
        "       min(format('%I.%I', n.nspname, c.relname)) FILTER (\n"
        "           WHERE n.nspname NOT IN ('chwsync', 'chwsync_shop', 'pg_catalog', 'information_schema', 'pg_toast')\n"
        "             AND has_schema_privilege(n.oid, 'USAGE') AND has_any_column_privilege(c.oid, 'SELECT'))\n"
        "  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace\n"
        " WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'"};
    /* clang-format on */
    OWN(rows_freep) PGresult *rows = NULL;
    enum session_verdict verdict = session_run(session, &statement, NULL, 0, &rows, reterr_problem);
    if (verdict != SESSION_DONE)
        return verdict;
    *ret_server = (struct rehearsal_server){
        .version = atoi(PQgetvalue(rows, 0, 0)),
        .read_only = PQgetvalue(rows, 0, 1)[0] == 't',
        .may_write = PQgetvalue(rows, 0, 2)[0] == 't',
    };
    snprintf(ret_server->shop_table, sizeof ret_server->shop_table, "%s", PQgetvalue(rows, 0, 3));
    return SESSION_DONE;
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The whole row reaches the outer list: a column that is not used would not be computed, and a bad
 * row not found. */
enum session_verdict rehearsal_view(struct session *session, const struct contract *contract,
                                    const char *providers, struct rehearsal_view *ret_view,
                                    struct problem *reterr_problem)
{
    OWN(text_done) struct text text = {0};
    OWN(rows_freep) PGresult *rows = NULL;
    const char *values[] = {providers};
    text_add(&text,
             "SELECT count(*), count(*) FILTER (WHERE s.order_ref IS NULL OR s.order_ref = ''),\n"
             "       count(s.order_ref) - count(DISTINCT s.order_ref),\n"
             "       count(*) FILTER (WHERE octet_length(s.order_ref) > 200),\n"
             "       count(*) FILTER (WHERE NOT EXISTS (SELECT FROM chwsync.orders o WHERE "
             "o.order_ref = s.order_ref)),\n"
             "       count(*) FILTER (WHERE btrim(coalesce(s.service, '')) = ''),\n"
             "       string_agg(DISTINCT s.provider, ', ') FILTER (WHERE s.provider <> ALL "
             "(string_to_array($1::text, ','))),\n"
             "       sum(length(s::text))\n"
             "  FROM (SELECT ");
    contract_column_list(contract, &text);
    text_format(&text, "\n          FROM %s AS v) AS s", contract->view_sql);
    const struct statement statement = {"rehearsal view", text_string(&text)};

    int64_t began_ms = now_ms();
    enum session_verdict verdict = session_begin_report(session, reterr_problem);
    if (verdict == SESSION_DONE)
        verdict = limit_time(session, VIEW_LIMIT_S, reterr_problem);
    if (verdict == SESSION_DONE)
        verdict = session_run(session, &statement, values, 1, &rows, reterr_problem);
    session_rollback(session);
    if (verdict != SESSION_DONE)
        return verdict;
    *ret_view = (struct rehearsal_view){
        .rows = atoll(PQgetvalue(rows, 0, 0)),
        .without_ref = atoll(PQgetvalue(rows, 0, 1)),
        .repeated = atoll(PQgetvalue(rows, 0, 2)),
        .too_long = atoll(PQgetvalue(rows, 0, 3)),
        .fresh = atoll(PQgetvalue(rows, 0, 4)),
        .without_service = atoll(PQgetvalue(rows, 0, 5)),
        .took_ms = now_ms() - began_ms,
    };
    snprintf(ret_view->strangers, sizeof ret_view->strangers, "%s", PQgetvalue(rows, 0, 6));
    return SESSION_DONE;
}

int rehearsal_function(struct session *session, struct contract *contract, unsigned time_limit_s,
                       struct problem *reterr_problem)
{
    OWN(rows_freep) PGresult *rows = NULL;
    const char *values[] = {contract->function_sql, contract->view_sql};
    enum session_verdict verdict = session_begin(session, reterr_problem);

    if (verdict == SESSION_DONE)
        verdict = limit_time(session, time_limit_s, reterr_problem);
    if (verdict == SESSION_DONE)
        verdict =
            session_run(session, &contract_rehearsal_statement, values, 2, &rows, reterr_problem);
    session_rollback(session);
    switch (verdict) {
    case SESSION_DONE:
        return contract_judge_rehearsal(contract, rows);
    case SESSION_REFUSED:
        return contract_note_rehearsal_failed(contract, session_sqlstate(session),
                                              reterr_problem->text);
    case SESSION_LOST:
        break;
    }
    return 1;
}

/* ---- the plan ---- */

static const char *plan_text(struct json_object *node, const char *name)
{
    struct json_object *value = NULL;
    return json_object_object_get_ex(node, name, &value) ? json_object_get_string(value) : "";
}

/* The filter as one would write it for that table alone: "(l.status = 'paid')" without the "l.". */
static void copy_filter(char *ret_filter, size_t size, const char *filter, const char *alias)
{
    size_t length = strlen(alias), used = 0;

    for (; *filter && used + 1 < size; filter++) {
        bool begins = used == 0 || strchr("( ", ret_filter[used - 1]);

        if (begins && strncmp(filter, alias, length) == 0 && filter[length] == '.')
            filter += length;
        else
            ret_filter[used++] = *filter;
    }
    ret_filter[*filter ? 0 : used] = '\0';
}

/*
 * Leaves out the parts of "((a) AND (b))" that no index can have: those that depend on the time or
 * on another query ($0). "" when none is left.
 */
static void keep_fixed_parts(char *filter)
{
    static const char *const moving[] = {"$", "now()", "CURRENT_", "SubPlan", "_timestamp("};
    char whole[sizeof((struct rehearsal_scan *)NULL)->filter], *rest = whole, *end;
    size_t length = strlen(filter);

    bool joined = strstr(filter, " AND ") != NULL;

    snprintf(whole, sizeof whole, "%.*s", (int)(joined ? length - 2 : length), filter + joined);
    filter[0] = '\0';
    for (; rest; rest = end) {
        bool moves = false;

        end = strstr(rest, " AND ");
        if (end) {
            *end = '\0';
            end += strlen(" AND ");
        }
        for (size_t i = 0; i < sizeof moving / sizeof moving[0]; i++)
            moves |= strstr(rest, moving[i]) != NULL;
        if (!moves) {
            if (filter[0])
                strcat(filter, " AND ");
            strcat(filter, rest);
        }
    }
}

static enum session_verdict add_scan(struct session *session, struct json_object *node,
                                     struct rehearsal_scans *scans, struct problem *reterr_problem)
{
    /* clang-format off */
    static const struct statement statement = {
        "rehearsal table",
        "SELECT format('%I.%I', n.nspname, c.relname), c.reltuples::bigint,\n"
        "       (SELECT min(quote_ident(a.attname)) FROM pg_catalog.pg_index i\n"
        "          JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]\n"
        "         WHERE i.indrelid = c.oid AND i.indisprimary AND i.indnkeyatts = 1)\n"
        "  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace\n"
        " WHERE n.nspname = $1::text AND c.relname = $2::text AND c.reltuples >= 10000\n"
        "   AND n.nspname NOT IN ('chwsync', 'chwsync_shop')"};
    /* clang-format on */
    OWN(rows_freep) PGresult *rows = NULL;
    const char *values[] = {plan_text(node, "Schema"), plan_text(node, "Relation Name")};
    enum session_verdict verdict =
        session_run(session, &statement, values, 2, &rows, reterr_problem);

    if (verdict != SESSION_DONE || !PQntuples(rows) || scans->count == REHEARSAL_SCANS_MAX)
        return verdict;
    struct rehearsal_scan *scan = &scans->list[scans->count++];
    snprintf(scan->table, sizeof scan->table, "%s", PQgetvalue(rows, 0, 0));
    scan->rows = atoll(PQgetvalue(rows, 0, 1));
    snprintf(scan->key, sizeof scan->key, "%s", PQgetvalue(rows, 0, 2));
    copy_filter(scan->filter, sizeof scan->filter, plan_text(node, "Filter"),
                plan_text(node, "Alias"));
    keep_fixed_parts(scan->filter);
    return verdict;
}

static enum session_verdict look_for_scans(struct session *session, struct json_object *node,
                                           struct rehearsal_scans *scans,
                                           struct problem *reterr_problem)
{
    struct json_object *parts = NULL;
    enum session_verdict verdict = SESSION_DONE;

    if (strcmp(plan_text(node, "Node Type"), "Seq Scan") == 0)
        verdict = add_scan(session, node, scans, reterr_problem);
    if (!json_object_object_get_ex(node, "Plans", &parts))
        return verdict;
    for (size_t i = 0; i < json_object_array_length(parts) && verdict == SESSION_DONE; i++)
        verdict =
            look_for_scans(session, json_object_array_get_idx(parts, i), scans, reterr_problem);
    return verdict;
}

enum session_verdict rehearsal_scans(struct session *session, const struct contract *contract,
                                     struct rehearsal_scans *ret_scans,
                                     struct problem *reterr_problem)
{
    OWN(text_done) struct text text = {0};
    OWN(rows_freep) PGresult *rows = NULL;

    *ret_scans = (struct rehearsal_scans){0};
    text_format(&text, "EXPLAIN (VERBOSE, FORMAT JSON) SELECT * FROM %s", contract->view_sql);
    const struct statement statement = {"rehearsal plan", text_string(&text)};
    enum session_verdict verdict = session_run(session, &statement, NULL, 0, &rows, reterr_problem);
    if (verdict != SESSION_DONE)
        return verdict;
    struct json_object *plan = json_tokener_parse(PQgetvalue(rows, 0, 0)), *node = NULL;
    struct json_object *first = plan ? json_object_array_get_idx(plan, 0) : NULL;
    if (first && json_object_object_get_ex(first, "Plan", &node))
        verdict = look_for_scans(session, node, ret_scans, reterr_problem);
    json_object_put(plan);
    return verdict;
}

enum session_verdict rehearsal_wake(struct session *session, const char *channel,
                                    bool *ret_is_known, struct problem *reterr_problem)
{
    /* clang-format off */
    static const struct statement statement = {
        "rehearsal wake-up",
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace\n"
        "                WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND p.prosrc ILIKE '%notify%'\n"
        "                  AND position($1::text IN p.prosrc) > 0)"};
    /* clang-format on */
    OWN(rows_freep) PGresult *rows = NULL;
    const char *values[] = {channel};
    enum session_verdict verdict =
        session_run(session, &statement, values, 1, &rows, reterr_problem);

    if (verdict == SESSION_DONE)
        *ret_is_known = PQgetvalue(rows, 0, 0)[0] == 't';
    return verdict;
}

/* One row for each reason for which lines are held, one with NULLs when there is none. */
enum account_column {
    COLUMN_PAUSE_REASON,
    COLUMN_PAUSE_S,
    COLUMN_OUT_OF_FUNDS,
    COLUMN_STOPS,
    COLUMN_UNCERTAIN,
    COLUMN_CONFIGURED_MINUTE,
    COLUMN_CONFIGURED_DAY,
    COLUMN_LIMIT_MINUTE,
    COLUMN_LIMIT_DAY,
    COLUMN_USED_DAY,
    COLUMN_REFUSALS,
    COLUMN_CATALOGUE_ERROR,
    COLUMN_HELD,
    COLUMN_LINES,
};

static void read_account(const PGresult *rows, struct rehearsal_account *account)
{
    account->has_budget = !PQgetisnull(rows, 0, COLUMN_CONFIGURED_MINUTE);
    snprintf(account->pause_reason, sizeof account->pause_reason, "%s",
             PQgetvalue(rows, 0, COLUMN_PAUSE_REASON));
    account->pause_s = atoll(PQgetvalue(rows, 0, COLUMN_PAUSE_S));
    account->out_of_funds = PQgetvalue(rows, 0, COLUMN_OUT_OF_FUNDS)[0] == 't';
    account->stops = atoll(PQgetvalue(rows, 0, COLUMN_STOPS));
    account->uncertain = atoll(PQgetvalue(rows, 0, COLUMN_UNCERTAIN));
    account->configured_minute = (unsigned)atoll(PQgetvalue(rows, 0, COLUMN_CONFIGURED_MINUTE));
    account->configured_day = (unsigned)atoll(PQgetvalue(rows, 0, COLUMN_CONFIGURED_DAY));
    account->limit_minute = (unsigned)atoll(PQgetvalue(rows, 0, COLUMN_LIMIT_MINUTE));
    account->limit_day = (unsigned)atoll(PQgetvalue(rows, 0, COLUMN_LIMIT_DAY));
    account->used_day = atoll(PQgetvalue(rows, 0, COLUMN_USED_DAY));
    account->refusals = atoll(PQgetvalue(rows, 0, COLUMN_REFUSALS));
    snprintf(account->catalogue_error, sizeof account->catalogue_error, "%s",
             PQgetvalue(rows, 0, COLUMN_CATALOGUE_ERROR));
    for (int row = 0; row < PQntuples(rows) && account->held_count < REHEARSAL_HELD_MAX; row++) {
        if (PQgetisnull(rows, row, COLUMN_HELD))
            continue;
        snprintf(account->held[account->held_count].why, sizeof account->held[0].why, "%s",
                 PQgetvalue(rows, row, COLUMN_HELD));
        account->held[account->held_count++].lines = atoll(PQgetvalue(rows, row, COLUMN_LINES));
    }
}

enum session_verdict rehearsal_account(struct session *session, const char *provider,
                                       const char *endpoint, struct rehearsal_account *ret_account,
                                       struct problem *reterr_problem)
{
    /* clang-format off */
    static const struct statement statement = {
        "rehearsal account",
        "SELECT CASE WHEN s.submits_paused_until > now() THEN coalesce(s.pause_reason, 'no reason is known') END,\n"
        "       extract(epoch FROM least(s.submits_paused_until, now() + interval '30 days') - now())::bigint,\n"
        "       a.out_of_funds_since IS NOT NULL,\n"
        "       (SELECT count(*) FROM chwsync.submit_stops t WHERE t.account_id = a.id AND t.released_at IS NULL),\n"
        "       s.uncertain, s.configured_minute, s.configured_day, s.limit_minute, s.limit_day, s.requests_last_day, s.rate_refusals,\n"
        "       c.error, h.held, h.lines\n"
        "  FROM (SELECT * FROM chwsync.accounts b WHERE b.provider = $1::text AND b.endpoint = $2::text\n"
        "         ORDER BY b.last_used_at DESC LIMIT 1) AS a\n"
        "  JOIN chwsync.provider_status s ON s.provider = a.provider AND s.endpoint = a.endpoint AND s.last_used_at = a.last_used_at\n"
        "  LEFT JOIN chwsync.catalogues c ON c.account_id = a.id\n"
        "  LEFT JOIN (SELECT q.held, count(*) AS lines FROM chwsync.queue q WHERE q.provider = $1::text AND q.held IS NOT NULL\n"
        "              GROUP BY q.held) AS h ON true\n"
        " ORDER BY h.lines DESC"};
    /* clang-format on */
    OWN(rows_freep) PGresult *rows = NULL;
    const char *values[] = {provider, endpoint};
    enum session_verdict verdict =
        session_run(session, &statement, values, 2, &rows, reterr_problem);

    *ret_account = (struct rehearsal_account){0};
    if (verdict == SESSION_DONE && PQntuples(rows) > 0)
        read_account(rows, ret_account);
    return verdict;
}

enum session_verdict rehearsal_is_below(struct session *session, const char *amount,
                                        const char *mark, bool *ret_is_below,
                                        struct problem *reterr_problem)
{
    static const struct statement statement = {"rehearsal amounts",
                                               "SELECT $1::numeric < $2::numeric"};
    OWN(rows_freep) PGresult *rows = NULL;
    const char *values[] = {amount, mark};
    enum session_verdict verdict =
        session_run(session, &statement, values, 2, &rows, reterr_problem);

    if (verdict == SESSION_DONE)
        *ret_is_below = PQgetvalue(rows, 0, 0)[0] == 't';
    return verdict;
}
