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
        "       burst, configured_burst, told_minute, told_day,\n"
        "       balance, currency, " EPOCH("balance_at") " AS balance_at, balance_is_low, trim_scale(available) AS available,\n"
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

enum session_verdict report_presence(struct session *session, PGresult **ret_rows,
                                     struct problem *reterr_problem)
{
    /* A look at the clock is kept with the next one; before that there are leases only. */
    static const struct statement statement = {
        "report presence",
        "SELECT extract(epoch FROM CASE WHEN l.at > now() THEN now() ELSE l.at END)::bigint AS "
        "seen_at\n"
        "  FROM (SELECT greatest((SELECT max(seen_at) FROM chwsync.clocks),\n"
        "                        (SELECT max(expires_at) FROM chwsync.leases)) AS at) l"};
    return ask(session, &statement, ret_rows, reterr_problem);
}

enum session_verdict report_contract(struct session *session, PGresult **ret_rows,
                                     struct problem *reterr_problem)
{
    /* clang-format off */
    static const struct statement statement = {
        "report contract",
        "SELECT stops_intake, sentence, remedy, " EPOCH("since") " AS since_at FROM chwsync.contract_faults ORDER BY place"};
    /* clang-format on */
    return session_run(session, &statement, NULL, 0, ret_rows, reterr_problem);
}

enum session_verdict report_busy(struct session *session, long limit, PGresult **ret_rows,
                                 struct problem *reterr_problem)
{
    /* clang-format off */
    static const struct statement statement = {
        "report busy lines",
        "SELECT o.order_ref, q.busy AS times, " EPOCH("q.busy_since") " AS since_at, " EPOCH("q.next_at") " AS next_at,\n"
        "       count(*) OVER () AS in_all\n"
        "  FROM chwsync.queue q JOIN chwsync.orders o ON o.id = q.order_id WHERE q.busy > 0\n"
        " ORDER BY q.busy_since, o.order_ref LIMIT $1::bigint"};
    /* clang-format on */
    return ask_some(session, &statement, limit, ret_rows, reterr_problem);
}

enum session_verdict report_errors(struct session *session, long limit, PGresult **ret_rows,
                                   struct problem *reterr_problem)
{
    /* clang-format off */
    static const struct statement statement = {
        "report errors",
        "(SELECT o.order_ref, 'refill ' || r.state AS state,\n"
        "        CASE r.state WHEN 'uncertain' THEN 'see chwsyncd refill: ' ELSE '' END || coalesce(r.error, 'no answer') AS error,\n"
        "        " EPOCH("r.updated_at") " AS updated_at\n"
        "   FROM chwsync.refills r JOIN chwsync.orders o ON o.id = r.order_id\n"
        "  WHERE r.ended_at IS NULL AND (r.state = 'uncertain' OR r.error IS NOT NULL)\n"
        "  ORDER BY r.state = 'uncertain' DESC, r.updated_at DESC LIMIT ($1::bigint + 1) / 2)\n"
        "UNION ALL\n"
        "(SELECT order_ref, state::text, error, " EPOCH("updated_at") " FROM chwsync.orders\n"
        "  WHERE error IS NOT NULL ORDER BY orders.updated_at DESC LIMIT $1::bigint)\n"
        "LIMIT $1::bigint"};
    /* clang-format on */
    return ask_some(session, &statement, limit, ret_rows, reterr_problem);
}

enum session_verdict report_orders(struct session *session, const struct report_filter *filter,
                                   PGresult **ret_rows, struct problem *reterr_problem)
{
    /* clang-format off */
    static const struct statement statement = {
        "report orders",
        "SELECT order_ref, chwsync.contract_status(state, in_progress) AS status, provider, provider_order_id, service,\n"
        "       quantity, charge, currency, " EPOCH("created_at") " AS created_at,\n"
        "       " EPOCH("updated_at") " AS updated_at, error\n"
        "  FROM chwsync.orders\n"
        " WHERE ($1::text IS NULL OR state::text = $1 OR chwsync.contract_status(state, in_progress) = $1)\n"
        "   AND ($2::text IS NULL OR provider = $2)\n"
        "   AND ($3::bigint = 0 OR created_at < now() - make_interval(secs => $3::bigint))\n"
        "   AND ($4::bigint = 0 OR created_at > now() - make_interval(secs => $4::bigint))\n"
        " ORDER BY id DESC LIMIT $5::bigint"};
    /* clang-format on */
    char older[24], newer[24], limit[24];
    const char *values[] = {filter->state, filter->provider, older, newer, limit};
    snprintf(older, sizeof older, "%lld", (long long)filter->older_than_s);
    snprintf(newer, sizeof newer, "%lld", (long long)filter->newer_than_s);
    snprintf(limit, sizeof limit, "%ld", filter->limit);
    return session_run(session, &statement, values, 5, ret_rows, reterr_problem);
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
        "       " EPOCH("a.all_paused_until") " AS all_paused_until, a.pause_reason,\n"
        "       q.held, " EPOCH("s.next_at") " AS next_look_at,\n"
        "       (SELECT count(*) FROM chwsync.submit_stops x WHERE x.account_id = u.id AND x.released_at IS NULL) AS stops,\n"
        "       EXISTS (SELECT FROM chwsync.account_comparisons c JOIN chwsync.accounts e ON e.id = c.earlier_id\n"
        "                WHERE c.account_id = u.id AND c.verdict IS NULL AND e.provider = o.provider\n"
        "                  AND e.continued_by IS NULL) AS account_undecided,\n"
        "       coalesce(a.id <> u.id AND a.provider = u.provider, false) AS account_is_former,\n"
        "       k.name AS service_name, k.type AS service_type, k.rate AS service_rate,\n"
        "       trim_scale(t.expected_charge) AS expected_charge, trim_scale(o.charge - t.expected_charge) AS charge_difference,\n"
        "       " EPOCH("r.due_at") " AS next_recheck_at, chwsync.refill_words(f) AS refill,\n"
        "       " EPOCH("f.next_at") " AS refill_look_at\n"
        "  FROM chwsync.orders o\n"
        "  LEFT JOIN chwsync.queue q ON q.order_id = o.id\n"
        "  LEFT JOIN chwsync.polls p ON p.order_id = o.id\n"
        "  LEFT JOIN LATERAL (SELECT * FROM chwsync.write_backs b WHERE b.order_id = o.id\n"
        "                      ORDER BY b.failures DESC, b.due_at LIMIT 1) AS w ON true\n"
        "  LEFT JOIN LATERAL (SELECT c.id, c.provider FROM chwsync.accounts c WHERE c.provider = o.provider\n"
        "                      ORDER BY c.last_used_at DESC LIMIT 1) AS u ON true\n"
        "  LEFT JOIN chwsync.accounts a ON a.id = coalesce(CASE WHEN o.state <> 'queued' THEN o.account_id END, u.id)\n"
        "  LEFT JOIN LATERAL (SELECT * FROM chwsync.catalogue_services v\n"
        "                      WHERE v.account_id = u.id AND (v.service = o.service OR v.product_id = o.service)\n"
        "                      ORDER BY v.product_id IS NOT DISTINCT FROM o.service DESC, v.listed DESC LIMIT 1) AS k ON true\n"
        "  LEFT JOIN LATERAL (SELECT b.expected_charge FROM chwsync.attempts b WHERE b.order_id = o.id\n"
        "                      ORDER BY b.provider_order_id IS NOT DISTINCT FROM o.provider_order_id DESC, b.number DESC\n"
        "                      LIMIT 1) AS t ON true\n"
        "  LEFT JOIN chwsync.rechecks r ON r.order_id = o.id AND r.due_at < 'infinity'\n"
        "  LEFT JOIN chwsync.refills f ON f.id = (SELECT max(g.id) FROM chwsync.refills g WHERE g.order_id = o.id)\n"
        "  LEFT JOIN chwsync.settlings s ON s.order_id = o.id AND s.number = o.attempts AND o.state = 'uncertain'\n"
        " WHERE o.order_ref = $1::text"};
    /* clang-format on */
    return ask_about(session, &statement, order_ref, 0, ret_rows, reterr_problem);
}

enum session_verdict report_attempts(struct session *session, const char *order_ref,
                                     PGresult **ret_rows, struct problem *reterr_problem)
{
    /* clang-format off */
    static const struct statement statement = {
        "report attempts",
        "SELECT a.number, " EPOCH("a.claimed_at") " AS claimed_at, " EPOCH("a.ended_at") " AS ended_at,\n"
        "       round(extract(epoch FROM a.ended_at - a.claimed_at)::numeric, 3) AS took_s, a.outcome, a.http_status, a.answer,\n"
        "       a.provider_order_id, a.found_by, trim_scale(a.expected_charge) AS expected_charge, a.service, a.link, a.quantity, a.further, c.endpoint\n"
        "  FROM chwsync.orders o JOIN chwsync.attempts a ON a.order_id = o.id LEFT JOIN chwsync.accounts c ON c.id = a.account_id\n"
        " WHERE o.order_ref = $1::text ORDER BY a.number"};
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
