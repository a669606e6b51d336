#include "store/report.h"
#include "base/own.h"
#include <stdio.h>
#include <stdlib.h>

/* A moment as seconds since 1970; 'infinity' has none, it becomes the largest number. */
#define EPOCH(moment)                                                                              \
    "CASE WHEN " moment " = 'infinity' THEN 9223372036854775807 ELSE extract(epoch FROM " moment   \
    ")::bigint END"

static enum session_verdict ask(struct session *session, const struct statement *statement,
                                PGresult **ret_rows, struct problem *reterr_problem)
{
    return session_run(session, statement, NULL, 0, ret_rows, reterr_problem);
}

static enum session_verdict ask_about(struct session *session, const struct statement *statement,
                                      const char *first, long limit, PGresult **ret_rows,
                                      struct problem *reterr_problem)
{
    char number[24];
    const char *values[] = {first, number};
    snprintf(number, sizeof number, "%ld", limit);
    return session_run(session, statement, values, limit ? 2 : 1, ret_rows, reterr_problem);
}

static enum session_verdict ask_some(struct session *session, const struct statement *statement,
                                     long limit, PGresult **ret_rows,
                                     struct problem *reterr_problem)
{
    char number[24];
    const char *values[] = {number};
    snprintf(number, sizeof number, "%ld", limit);
    return session_run(session, statement, values, 1, ret_rows, reterr_problem);
}

enum session_verdict report_begin(struct session *session, int64_t *ret_now_s,
                                  struct problem *reterr_problem)
{
    static const struct statement statement = {
        "report clock", "SELECT extract(epoch FROM now())::bigint FROM chwsync.ledger"};
    OWN(rows_freep) PGresult *rows = NULL;
    enum session_verdict verdict = session_begin_report(session, reterr_problem);
    if (verdict == SESSION_DONE)
        verdict = ask(session, &statement, &rows, reterr_problem);
    if (verdict == SESSION_DONE)
        *ret_now_s = PQntuples(rows) ? strtoll(PQgetvalue(rows, 0, 0), NULL, 10) : 0;
    return verdict;
}

enum session_verdict report_providers(struct session *session, PGresult **ret_rows,
                                      struct problem *reterr_problem)
{
    /* clang-format off */
    static const struct statement statement = {
        "report providers",
        "SELECT provider, endpoint,\n"
        "       row_number() OVER (PARTITION BY provider ORDER BY last_used_at DESC) = 1 AS is_current,\n"
        "       queued, submitting AS under_way, following AS open, uncertain, requests_last_minute, requests_last_day,\n"
        "       " EPOCH("submits_paused_until") " AS submits_paused_until,\n"
        "       " EPOCH("all_paused_until") " AS all_paused_until,\n"
        "       pause_reason, last_error,\n"
        "       " EPOCH("last_error_at") " AS last_error_at, " EPOCH("last_used_at") " AS last_used_at,\n"
        "       limit_minute, limit_day, requests_left_day AS left_day, " EPOCH("day_ends_at") " AS day_ends_at,\n"
        "       pace_per_minute, polls_per_minute, reserve, " EPOCH("queue_ends_at") " AS queue_ends_at, rate_refusals,\n"
        "       " EPOCH("rate_refused_at") " AS rate_refused_at, probing, planned_delay_s, measured_delay_s,\n"
        "       balance, currency, " EPOCH("balance_at") " AS balance_at, balance_is_low, available,\n"
        "       " EPOCH("out_of_funds_since") " AS out_of_funds_since_at, held_for_funds\n"
        "  FROM chwsync.provider_status ORDER BY provider, provider_status.last_used_at DESC"};
    /* clang-format on */
    return ask(session, &statement, ret_rows, reterr_problem);
}

enum session_verdict report_states(struct session *session, PGresult **ret_rows,
                                   struct problem *reterr_problem)
{
    /* clang-format off */
    static const struct statement statement = {
        "report states",
        "SELECT state::text, count(*) AS orders, extract(epoch FROM min(created_at))::bigint AS oldest_at\n"
        "  FROM chwsync.orders GROUP BY orders.state ORDER BY orders.state"};
    /* clang-format on */
    return ask(session, &statement, ret_rows, reterr_problem);
}

enum session_verdict report_queue(struct session *session, PGresult **ret_rows,
                                  struct problem *reterr_problem)
{
    /* clang-format off */
    static const struct statement statement = {
        "report queue",
        "SELECT provider, count(*) AS orders, count(*) FILTER (WHERE next_at <= now()) AS due\n"
        "  FROM chwsync.queue GROUP BY provider ORDER BY provider"};
    /* clang-format on */
    return ask(session, &statement, ret_rows, reterr_problem);
}

enum session_verdict report_write_backs(struct session *session, PGresult **ret_rows,
                                        struct problem *reterr_problem)
{
    /* clang-format off */
    static const struct statement statement = {
        "report write-backs",
        "SELECT count(DISTINCT order_id) AS waiting, count(DISTINCT order_id) FILTER (WHERE failures > 0) AS failing,\n"
        "       extract(epoch FROM min(since))::bigint AS oldest_at FROM chwsync.write_backs"};
    /* clang-format on */
    return ask(session, &statement, ret_rows, reterr_problem);
}

enum session_verdict report_write_back_faults(struct session *session, long limit,
                                              PGresult **ret_rows, struct problem *reterr_problem)
{
    /* clang-format off */
    static const struct statement statement = {
        "report write-back faults",
        "SELECT o.order_ref, w.sqlstate, w.error, w.failures,\n"
        "       " EPOCH("w.since") " AS since_at, " EPOCH("w.due_at") " AS due_at\n"
        "  FROM chwsync.write_backs w JOIN chwsync.orders o ON o.id = w.order_id\n"
        " WHERE w.failures > 0 ORDER BY w.since LIMIT $1::bigint"};
    /* clang-format on */
    return ask_some(session, &statement, limit, ret_rows, reterr_problem);
}

enum session_verdict report_parked(struct session *session, long limit, PGresult **ret_rows,
                                   struct problem *reterr_problem)
{
    /* clang-format off */
    static const struct statement statement = {
        "report parked lines",
        "SELECT order_ref, sqlstate, reason, " EPOCH("since") " AS since_at, " EPOCH("retry_at") " AS retry_at,\n"
        "       count(*) OVER () AS in_all\n"
        "  FROM chwsync.parked_lines ORDER BY since, order_ref LIMIT $1::bigint"};
    /* clang-format on */
    return ask_some(session, &statement, limit, ret_rows, reterr_problem);
}

enum session_verdict report_errors(struct session *session, long limit, PGresult **ret_rows,
                                   struct problem *reterr_problem)
{
    /* clang-format off */
    static const struct statement statement = {
        "report errors",
        "SELECT order_ref, state::text, error, " EPOCH("updated_at") " AS updated_at FROM chwsync.orders\n"
        " WHERE error IS NOT NULL ORDER BY orders.updated_at DESC LIMIT $1::bigint"};
    /* clang-format on */
    return ask_some(session, &statement, limit, ret_rows, reterr_problem);
}

enum session_verdict report_orders(struct session *session, const char *state, long limit,
                                   PGresult **ret_rows, struct problem *reterr_problem)
{
    /* clang-format off */
    static const struct statement statement = {
        "report orders",
        "SELECT order_ref, chwsync.contract_status(state, in_progress) AS status, provider, provider_order_id, service,\n"
        "       quantity, charge, currency, " EPOCH("created_at") " AS created_at,\n"
        "       " EPOCH("updated_at") " AS updated_at, error\n"
        "  FROM chwsync.orders\n"
        " WHERE $1::text IS NULL OR state::text = $1 OR chwsync.contract_status(state, in_progress) = $1\n"
        " ORDER BY id DESC LIMIT $2::bigint"};
    /* clang-format on */
    return ask_about(session, &statement, state, limit, ret_rows, reterr_problem);
}

enum session_verdict report_order(struct session *session, const char *order_ref,
                                  PGresult **ret_rows, struct problem *reterr_problem)
{
    /* clang-format off */
    static const struct statement statement = {
        "report order",
        "SELECT o.order_ref, o.display_ref, chwsync.contract_status(o.state, o.in_progress) AS status, o.state::text,\n"
        "       o.provider, o.service, o.link, o.quantity, o.runs, o.\"interval\", o.min, o.max, o.comments, o.usernames,\n"
        "       o.hashtags, o.username, o.params, o.max_charge,\n"
        "       " EPOCH("o.shop_created_at") " AS shop_created_at, " EPOCH("o.created_at") " AS created_at,\n"
        "       o.attempts, o.provider_order_id, o.provider_status, o.charge, o.currency, o.start_count, o.remains, o.error,\n"
        "       o.seq, " EPOCH("o.accepted_at") " AS accepted_at, " EPOCH("o.changed_at") " AS changed_at,\n"
        "       " EPOCH("o.polled_at") " AS polled_at, " EPOCH("o.updated_at") " AS updated_at,\n"
        "       " EPOCH("q.next_at") " AS next_attempt_at, " EPOCH("p.next_at") " AS next_poll_at,\n"
        "       p.errors AS poll_errors, " EPOCH("w.due_at") " AS next_write_back_at,\n"
        "       w.failures AS write_back_failures, w.sqlstate AS write_back_sqlstate, w.error AS write_back_error,\n"
        "       " EPOCH("a.submits_paused_until") " AS submits_paused_until,\n"
        "       " EPOCH("a.all_paused_until") " AS all_paused_until, a.pause_reason\n"
        "  FROM chwsync.orders o\n"
        "  LEFT JOIN chwsync.queue q ON q.order_id = o.id\n"
        "  LEFT JOIN chwsync.polls p ON p.order_id = o.id\n"
        "  LEFT JOIN LATERAL (SELECT * FROM chwsync.write_backs b WHERE b.order_id = o.id\n"
        "                      ORDER BY b.failures DESC, b.due_at LIMIT 1) AS w ON true\n"
        "  LEFT JOIN LATERAL (SELECT * FROM chwsync.accounts c\n"
        "                      WHERE c.id = o.account_id OR (o.account_id IS NULL AND c.provider = o.provider)\n"
        "                      ORDER BY c.last_used_at DESC LIMIT 1) AS a ON true\n"
        " WHERE o.order_ref = $1::text"};
    /* clang-format on */
    return ask_about(session, &statement, order_ref, 0, ret_rows, reterr_problem);
}

enum session_verdict report_history(struct session *session, const char *order_ref,
                                    PGresult **ret_rows, struct problem *reterr_problem)
{
    /* clang-format off */
    static const struct statement statement = {
        "report history",
        "SELECT " EPOCH("h.at") " AS happened_at, h.event, h.detail, h.attempt, h.provider_order_id\n"
        "  FROM chwsync.order_history h WHERE h.order_ref = $1::text ORDER BY h.at, h.attempt NULLS FIRST"};
    /* clang-format on */
    return ask_about(session, &statement, order_ref, 0, ret_rows, reterr_problem);
}

enum session_verdict report_similar(struct session *session, const char *order_ref,
                                    PGresult **ret_rows, struct problem *reterr_problem)
{
    /* clang-format off */
    static const struct statement statement = {
        "report similar",
        "WITH near AS (\n"
        "    (SELECT order_ref FROM chwsync.orders WHERE order_ref >= $1::text ORDER BY order_ref LIMIT 3)\n"
        "    UNION ALL\n"
        "    (SELECT order_ref FROM chwsync.orders WHERE order_ref < $1 ORDER BY order_ref DESC LIMIT 3))\n"
        "SELECT order_ref FROM near WHERE left(order_ref, (length($1) + 1) / 2) = left($1, (length($1) + 1) / 2)\n"
        "UNION (SELECT order_ref FROM chwsync.orders WHERE display_ref = $1 LIMIT 5) ORDER BY 1 LIMIT 5"};
    /* clang-format on */
    return ask_about(session, &statement, order_ref, 0, ret_rows, reterr_problem);
}
