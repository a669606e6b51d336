#include "store/settle.h"
#include "base/own.h"
#include <stdio.h>
#include <stdlib.h>

#define MICROSECONDS(moment) "(extract(epoch FROM " moment ") * 1000000)::bigint"

/* ---- the daemon's ---- */

/* clang-format off */
static const struct statement look_statement = {
    .name = "what is to be settled",
    .text =
        "WITH disproved AS (\n"
        "    UPDATE chwsync.attempts p\n"
        "       SET open = true, outcome = 'unknown', provider_order_id = NULL, found_by = NULL,\n"
        "           answer = format('it was taken for order id %s, which the provider told to another order',\n"
        "                           p.provider_order_id)\n"
        "      FROM chwsync.attempts r\n"
        "     WHERE p.account_id = $1::int AND p.found_by IS NOT NULL AND p.provider_order_id IS NOT NULL\n"
        "       AND r.account_id = $1::int AND r.provider_order_id = p.provider_order_id AND r.found_by IS NULL\n"
        "    RETURNING p.order_id, p.number, r.provider_order_id AS id, p.answer\n"
        "), moved AS (\n"
        "    UPDATE chwsync.orders o\n"
        "       SET state = 'uncertain', in_progress = false, provider_order_id = NULL, provider_status = NULL,\n"
        "           charge = NULL, currency = NULL, start_count = NULL, remains = NULL, accepted_at = NULL,\n"
        "           error = d.answer, seq = o.seq + 1, changed_at = now(), updated_at = now()\n"
        "      FROM disproved d WHERE o.id = d.order_id\n"
        "       AND (o.provider_order_id = d.id\n"
        "            AND o.state IN ('active', 'completed', 'partial', 'canceled', 'refunded', 'failed')\n"
        "            OR o.state IN ('queued', 'withdrawn', 'rejected')) -- as another's it had failed, and was to be tried again\n"
        "    RETURNING o.id, o.order_ref, o.seq, d.number, d.id AS told_id, o.error\n"
        "), unfollowed AS (\n"
        "    DELETE FROM chwsync.polls f USING moved m WHERE f.order_id = m.id\n"
        "), unqueued AS (\n"
        "    DELETE FROM chwsync.queue q USING moved m WHERE q.order_id = m.id\n"
        "), noted AS (\n"
        "    INSERT INTO chwsync.history (order_id, event, state, detail)\n"
        "    SELECT m.id, 'disproved', 'uncertain', m.error FROM moved m\n"
        "), due AS (\n"
        "    INSERT INTO chwsync.write_backs (order_id, seq) SELECT m.id, m.seq FROM moved m WHERE $3::boolean\n"
        "), asked AS (\n"
        "    SELECT r.id, r.order_id, r.number, r.provider_order_id FROM chwsync.resolutions r\n"
        "     WHERE r.account_id = $1::int AND r.answered_at IS NULL ORDER BY r.id LIMIT 1\n"
        "), lost AS (\n"
        "    SELECT a.order_id, a.number, a.claimed_at, a.ended_at, coalesce(s.looks, 0) AS looks,\n"
        "           coalesce(s.next_at, a.ended_at + make_interval(secs => $2::bigint)) AS next_at\n"
        "      FROM chwsync.attempts a\n"
        "      LEFT JOIN chwsync.settlings s ON s.order_id = a.order_id AND s.number = a.number\n"
        "     WHERE a.account_id = $1::int AND a.open AND a.outcome = 'unknown'\n"
        "     ORDER BY 6 LIMIT 1\n"
        ")\n"
        "SELECT 'disproved', m.id, m.number, m.order_ref, m.told_id, NULL::bigint, NULL::bigint, NULL::bigint,\n"
        "       NULL::int, NULL::bigint FROM moved m\n"
        "UNION ALL\n"
        "SELECT 'resolution', r.order_id, r.number, o.order_ref, r.provider_order_id, r.id, NULL, NULL, NULL, NULL\n"
        "  FROM asked r JOIN chwsync.orders o ON o.id = r.order_id\n"
        "UNION ALL\n"
        "SELECT 'search', l.order_id, l.number, o.order_ref, NULL, NULL, " MICROSECONDS("l.claimed_at") ",\n"
        "       " MICROSECONDS("l.ended_at") ", l.looks, ceil(extract(epoch FROM l.next_at - now()))::bigint\n"
        "  FROM lost l JOIN chwsync.orders o ON o.id = l.order_id",
};
/* clang-format on */

int settle_look(struct connection *lane, int account_id, int64_t settle_s, bool tell_shop,
                store_done done, void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {.statement = &look_statement, .values = &values};

    values_add_integer(&values, account_id);
    values_add_integer(&values, settle_s);
    values_add_boolean(&values, tell_shop);
    return connection_run(lane, &transaction, done, userdata);
}

/* clang-format off */
static const struct statement facts_statement = {
    .name = "facts around a lost attempt",
    .text =
        "WITH lost AS MATERIALIZED (\n"
        "    SELECT a.* FROM chwsync.attempts a WHERE a.order_id = $1::bigint AND a.number = $2::int\n"
        "), near AS MATERIALIZED (\n"
        "    SELECT a.* FROM chwsync.attempts a\n"
        "     WHERE a.claimed_at >= (SELECT l.claimed_at - interval '1 day' FROM lost l)\n"
        "       AND a.claimed_at <= (SELECT l.claimed_at + interval '1 day' FROM lost l)\n"
        "       AND a.account_id = (SELECT l.account_id FROM lost l)\n"
        "       AND (a.order_id, a.number) <> ($1::bigint, $2::int)\n"
        "), told AS (\n"
        "    (SELECT n.provider_order_id, n.claimed_at, n.ended_at FROM near n, lost l\n"
        "      WHERE n.provider_order_id IS NOT NULL AND n.found_by IS NULL AND n.ended_at IS NOT NULL\n"
        "        AND n.claimed_at <= l.ended_at\n"
        "      ORDER BY n.claimed_at DESC LIMIT 200)\n"
        "    UNION ALL\n"
        "    (SELECT n.provider_order_id, n.claimed_at, n.ended_at FROM near n, lost l\n"
        "      WHERE n.provider_order_id IS NOT NULL AND n.found_by IS NULL AND n.ended_at IS NOT NULL\n"
        "        AND n.claimed_at > l.ended_at\n"
        "      ORDER BY n.claimed_at LIMIT 200)\n"
        "), siblings AS MATERIALIZED (\n"
        "    SELECT o.charge, o.currency, n.quantity,\n"
        "           coalesce(chwsync.try_bigint(n.further ->> 'runs'), 1) AS runs,\n"
        "           (n.quantity, n.further) IS NOT DISTINCT FROM (l.quantity, l.further) AS same,\n"
        "           coalesce(n.further, '{}') - 'runs' - 'interval' = '{}'\n"
        "               AND coalesce(l.further, '{}') - 'runs' - 'interval' = '{}' AS plain\n"
        "      FROM near n JOIN lost l ON n.service = l.service\n"
        "      JOIN chwsync.orders o ON o.id = n.order_id AND o.provider_order_id = n.provider_order_id\n"
        "     WHERE n.found_by IS NULL AND o.charge IS NOT NULL AND o.state IN ('active', 'completed')\n"
        "     ORDER BY n.claimed_at DESC LIMIT 100\n"
        "), price AS (\n"
        "    SELECT l.quantity * coalesce(chwsync.try_bigint(l.further ->> 'runs'), 1) AS pieces FROM lost l\n"
        "), scaled AS (\n"
        "    SELECT round(s.charge * p.pieces / (s.quantity * s.runs), 12) AS charge, s.charge AS theirs,\n"
        "           s.quantity * s.runs AS their_pieces, p.pieces\n"
        "      FROM siblings s, price p WHERE s.plain AND s.quantity > 0 AND s.runs > 0 AND p.pieces > 0\n"
        "), agreed AS (\n"
        "    SELECT CASE WHEN (SELECT count(*) FROM siblings s WHERE s.same) > 0\n"
        "                THEN (SELECT min(s.charge) FROM siblings s WHERE s.same HAVING min(s.charge) = max(s.charge))\n"
        "                ELSE (SELECT min(s.charge) FROM scaled s WHERE s.charge * s.their_pieces = s.theirs * s.pieces\n"
        "                      HAVING min(s.charge) = max(s.charge)) END AS charge,\n"
        "           (SELECT min(s.currency) FROM siblings s HAVING min(s.currency) = max(s.currency)) AS currency\n"
        ")\n"
        "SELECT 'known', t.provider_order_id, NULL::text, " MICROSECONDS("t.claimed_at") ",\n"
        "       " MICROSECONDS("t.ended_at") ", NULL::boolean, NULL::bigint, NULL::int FROM told t\n"
        "UNION ALL\n"
        "(SELECT 'rival', NULL, NULL, " MICROSECONDS("n.claimed_at") ", " MICROSECONDS("n.ended_at") ",\n"
        "        n.open AND n.outcome IS NOT NULL\n"
        "        AND (n.service, n.link, n.quantity, n.further)\n"
        "            IS NOT DISTINCT FROM (l.service, l.link, l.quantity, l.further), n.order_id, n.number\n"
        "   FROM near n, lost l\n"
        "  WHERE n.provider_order_id IS NULL\n"
        "    AND (n.outcome IS NULL OR n.outcome = 'unknown' OR n.found_by IS NOT NULL) LIMIT 100)\n"
        "UNION ALL\n"
        "SELECT 'price', a.charge::text, a.currency, p.pieces, NULL, NULL, NULL, NULL FROM agreed a, price p\n"
        "UNION ALL\n"
        "SELECT 'clock set', NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM lost l\n"
        " WHERE EXISTS (SELECT FROM chwsync.clock_steps s\n"
        "                WHERE s.at BETWEEN l.claimed_at - interval '1 day' - greatest(s.step, - s.step)\n"
        "                               AND l.claimed_at + interval '1 day' + greatest(s.step, - s.step))",
};
/* clang-format on */

int settle_facts(struct connection *lane, int64_t order_id, int number, store_done done,
                 void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {.statement = &facts_statement, .values = &values};

    values_add_integer(&values, order_id);
    values_add_integer(&values, number);
    return connection_run(lane, &transaction, done, userdata);
}

/* clang-format off */
static const struct statement unowned_statement = {
    .name = "ids that no order has",
    .text = "SELECT i.id FROM unnest($2::text[]) AS i(id)\n"
            " WHERE NOT EXISTS (SELECT FROM chwsync.attempts a\n"
            "                    WHERE a.account_id = $1::int AND a.provider_order_id = i.id)",
};
/* clang-format on */

int settle_unowned(struct connection *lane, int account_id, const char *const *ids, size_t count,
                   store_done done, void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {.statement = &unowned_statement, .values = &values};

    values_add_integer(&values, account_id);
    values_begin_array(&values);
    for (size_t i = 0; i < count; i++)
        values_add_text(&values, ids[i]);
    values_end_array(&values);
    return connection_run(lane, &transaction, done, userdata);
}

/* clang-format off */
static const struct statement note_statement = {
    .name = "note evidence",
    .text =
        "WITH noted AS (\n"
        "    INSERT INTO chwsync.settlings AS s (order_id, number, looks, next_at, evidence)\n"
        "    VALUES ($1::bigint, $2::int, 1, now() + make_interval(secs => $4::bigint), $3::text)\n"
        "    ON CONFLICT (order_id, number) DO UPDATE\n"
        "       SET looks = s.looks + 1, next_at = excluded.next_at, evidence = coalesce(excluded.evidence, s.evidence)\n"
        ")\n"
        "INSERT INTO chwsync.history (order_id, event, state, detail)\n"
        "SELECT o.id, 'evidence', o.state, $3::text FROM chwsync.orders o\n"
        " WHERE o.id = $1::bigint AND $3::text IS NOT NULL\n"
        "   AND NOT EXISTS (SELECT FROM chwsync.settlings s\n"
        "                    WHERE s.order_id = $1::bigint AND s.number = $2::int AND s.evidence = $3::text)",
};
/* clang-format on */

int settle_note(struct connection *lane, int64_t order_id, int number, const char *evidence,
                int64_t next_s, store_done done, void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {.statement = &note_statement, .values = &values};

    values_add_integer(&values, order_id);
    values_add_integer(&values, number);
    values_add_text(&values, evidence);
    values_add_integer(&values, next_s);
    return connection_run(lane, &transaction, done, userdata);
}

/* What the attempt's end was until now goes to the history: its row holds one end only. */
/* clang-format off */
static const struct statement adopt_statement = {
    .name = "adopt what was found",
    .text =
        "WITH found AS MATERIALIZED (\n"
        "    SELECT t.*, a.ended_at, a.answer FROM unnest($2::bigint[], $3::int[], $4::text[]) AS t(order_id, number, id)\n"
        "      JOIN chwsync.attempts a ON a.order_id = t.order_id AND a.number = t.number\n"
        "      JOIN chwsync.orders o ON o.id = t.order_id\n"
        "     WHERE a.account_id = $1::int AND a.outcome = 'unknown' AND a.provider_order_id IS NULL\n"
        "       AND (a.open AND o.state = 'uncertain' OR $5::text = 'operator' AND o.state = 'abandoned')\n"
        "       AND NOT EXISTS (SELECT FROM chwsync.attempts b\n"
        "                        WHERE b.account_id = $1::int AND b.provider_order_id = t.id)\n"
        "       FOR NO KEY UPDATE OF o\n" /* before the attempts, as record_outcomes() does */
        "), ended AS (\n"
        "    UPDATE chwsync.attempts a\n"
        "       SET open = false, outcome = 'accepted', found_by = $5::text, provider_order_id = f.id,\n"
        "           ended_at = clock_timestamp(), answer = $6::text\n"
        "      FROM found f\n"
        "     WHERE a.order_id = f.order_id AND a.number = f.number AND a.outcome = 'unknown'\n"
        "       AND (SELECT count(*) FROM found) = cardinality($2::bigint[])\n"
        "    RETURNING a.order_id, f.id, f.ended_at, f.answer\n"
        "), moved AS (\n"
        "    UPDATE chwsync.orders o\n"
        "       SET state = 'active', in_progress = false, provider_order_id = e.id, account_id = $1::int, error = NULL,\n"
        "           seq = o.seq + 1, accepted_at = now(), changed_at = now(), updated_at = now()\n"
        "      FROM ended e WHERE o.id = e.order_id AND o.state IN ('uncertain', 'abandoned')\n"
        "    RETURNING o.id, o.order_ref, o.seq, e.id AS provider_order_id, e.ended_at, e.answer\n"
        "), followed AS (\n"
        "    INSERT INTO chwsync.polls (order_id, account_id, next_at, interval_s)\n"
        "    SELECT m.id, $1::int, now(), 5 FROM moved m ON CONFLICT (order_id) DO NOTHING\n"
        "), noted AS (\n"
        "    INSERT INTO chwsync.history (order_id, at, event, state, detail)\n"
        "    SELECT m.id, m.ended_at, 'unknown', 'uncertain', m.answer FROM moved m\n"
        "), searched AS (\n"
        "    DELETE FROM chwsync.settlings s USING found f WHERE s.order_id = f.order_id AND s.number = f.number\n"
        "       AND (SELECT count(*) FROM found) = cardinality($2::bigint[])\n"
        "), due AS (\n"
        "    INSERT INTO chwsync.write_backs (order_id, seq) SELECT m.id, m.seq FROM moved m WHERE $7::boolean\n"
        ")\n"
        "SELECT m.order_ref, m.provider_order_id FROM moved m",
};
/* clang-format on */

int settle_adopt(struct connection *lane, int account_id, const struct settle_pair *pairs,
                 size_t count, bool by_operator, const char *why, bool tell_shop, store_done done,
                 void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {.statement = &adopt_statement, .values = &values};

    values_add_integer(&values, account_id);
    VALUES_ADD_ARRAY(&values, pairs, count, values_add_integer, order_id);
    VALUES_ADD_ARRAY(&values, pairs, count, values_add_integer, number);
    VALUES_ADD_ARRAY(&values, pairs, count, values_add_text, provider_order_id);
    values_add_text(&values, by_operator ? "operator" : "proof");
    values_add_text(&values, why);
    values_add_boolean(&values, tell_shop);
    return connection_run(lane, &transaction, done, userdata);
}

/* clang-format off */
static const struct statement answer_statement = {
    .name = "answer a resolution",
    .text =
        "WITH answered AS (\n"
        "    UPDATE chwsync.resolutions r SET answered_at = clock_timestamp(), placed = $2::boolean, answer = $3::text\n"
        "     WHERE r.id = $1::bigint AND r.answered_at IS NULL\n"
        "    RETURNING r.order_id, r.provider_order_id\n"
        ")\n"
        "INSERT INTO chwsync.history (order_id, event, state, detail)\n"
        "SELECT a.order_id, 'resolve', o.state, format('order id %s: %s', a.provider_order_id, $3::text)\n"
        "  FROM answered a JOIN chwsync.orders o ON o.id = a.order_id",
};
/* clang-format on */

int settle_answer(struct connection *lane, int64_t resolution_id, bool placed, const char *words,
                  store_done done, void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {.statement = &answer_statement, .values = &values};

    values_add_integer(&values, resolution_id);
    values_add_boolean(&values, placed);
    values_add_text(&values, words);
    return connection_run(lane, &transaction, done, userdata);
}

/* clang-format off */
static const struct statement forget_statement = {
    .name = "forget what is settled",
    .text =
        "WITH old AS (SELECT now() - make_interval(days => $1::int) AS at WHERE $1::int > 0),\n"
        "searches AS (\n"
        "    DELETE FROM chwsync.settlings g USING (\n"
        "        SELECT s.order_id, s.number FROM chwsync.settlings s\n"
        "         WHERE s.next_at < (SELECT o.at FROM old o)\n"
        "           AND NOT EXISTS (SELECT FROM chwsync.attempts a\n"
        "                            WHERE a.order_id = s.order_id AND a.number = s.number AND a.open)\n"
        "         LIMIT $2::int) t\n"
        "     WHERE g.order_id = t.order_id AND g.number = t.number RETURNING 1\n"
        "), questions AS (\n"
        "    DELETE FROM chwsync.resolutions g USING (\n"
        "        SELECT r.id FROM chwsync.resolutions r WHERE r.answered_at < (SELECT o.at FROM old o)\n"
        "         ORDER BY r.id LIMIT $2::int) t\n"
        "     WHERE g.id = t.id RETURNING 1\n"
        "), stops AS (\n"
        "    DELETE FROM chwsync.submit_stops g USING (\n"
        "        SELECT s.order_id, s.number FROM chwsync.submit_stops s WHERE s.released_at < (SELECT o.at FROM old o)\n"
        "         LIMIT $2::int) t\n"
        "     WHERE g.order_id = t.order_id AND g.number = t.number RETURNING 1\n"
        ")\n"
        "SELECT greatest((SELECT count(*) FROM searches), (SELECT count(*) FROM questions), (SELECT count(*) FROM stops))",
};
/* clang-format on */

int settle_forget(struct connection *lane, unsigned days, unsigned limit, store_done done,
                  void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {.statement = &forget_statement, .values = &values};

    values_add_integer(&values, days);
    values_add_integer(&values, limit);
    return connection_run(lane, &transaction, done, userdata);
}

/* ---- an operator's word ---- */

enum session_verdict resolve_facts(struct session *session, const char *order_ref,
                                   PGresult **ret_rows, struct problem *reterr_problem)
{
    /* clang-format off */
    static const struct statement statement = {
        "facts for an operator",
        "SELECT o.id, coalesce(a.number, 0), o.state, o.provider, o.display_ref, coalesce(a.service, o.service),\n"
        "       coalesce(a.link, o.link), coalesce(a.quantity, o.quantity),\n"
        "       extract(epoch FROM a.claimed_at)::bigint, extract(epoch FROM a.ended_at)::bigint, a.answer,\n"
        "       s.evidence, s.looks, extract(epoch FROM s.next_at)::bigint,\n"
        "       (SELECT count(*) FROM chwsync.attempts u\n"
        "         WHERE u.order_id = o.id AND (u.open OR u.outcome = 'unknown')),\n"
        "       o.provider_order_id, o.charge, o.currency, o.error, extract(epoch FROM now())::bigint\n"
        "  FROM chwsync.orders o\n"
        "  LEFT JOIN LATERAL (SELECT u.* FROM chwsync.attempts u WHERE u.order_id = o.id\n"
        "                      ORDER BY coalesce(u.open AND u.outcome = 'unknown', false) DESC,\n"
        "                               coalesce(u.outcome = 'unknown', false) DESC, u.number DESC LIMIT 1) a ON true\n"
        "  LEFT JOIN chwsync.settlings s ON s.order_id = a.order_id AND s.number = a.number\n"
        " WHERE o.order_ref = $1::text"};
    /* clang-format on */
    const char *values[] = {order_ref};

    return session_run(session, &statement, values, 1, ret_rows, reterr_problem);
}

/* Values $1 order, $2 number, $3 who, $4 reason, $5 whether the shop is told and, where the line is
 * queued, $6 seconds until it is due. One row when it was done: whether the order is moved. The
 * order is locked by a statement of its own, so that this one sees what the daemon, which does so
 * too, has recorded of its other attempts until now. */
static enum session_verdict say(struct session *session, const struct statement *statement,
                                bool queues, const struct resolve_word *word,
                                enum resolve_result *ret_result, struct problem *reterr_problem)
{
    static const struct statement lock = {
        "lock an order", "SELECT FROM chwsync.orders WHERE id = $1::bigint FOR NO KEY UPDATE"};
    OWN(rows_freep) PGresult *rows = NULL;
    char order_id[24], number[16], follow_s[16];
    const char *values[] = {order_id, number, word->who, word->reason, word->tell_shop ? "t" : "f",
                            follow_s};
    enum session_verdict verdict;

    snprintf(order_id, sizeof order_id, "%lld", (long long)word->order_id);
    snprintf(number, sizeof number, "%d", word->number);
    snprintf(follow_s, sizeof follow_s, "%u", word->follow_s);
    verdict = session_begin(session, reterr_problem);
    if (verdict == SESSION_DONE)
        verdict = session_run(session, &lock, values, 1, NULL, reterr_problem);
    if (verdict == SESSION_DONE)
        verdict = session_run(session, statement, values, queues ? 6 : 5, &rows, reterr_problem);
    if (verdict == SESSION_DONE)
        verdict = session_commit(session, reterr_problem);
    if (verdict != SESSION_DONE)
        return verdict;
    *ret_result = PQntuples(rows) == 0      ? RESOLVE_OVERTAKEN
                  : row_boolean(rows, 0, 0) ? RESOLVE_DONE
                                            : RESOLVE_ANOTHER;
    session_wake_daemon(session, word->wake_channel);
    return SESSION_DONE;
}

/* Of an order none of whose attempts may exist any more, which no proof moves on, it is said of the
 * order itself. */
#define STRANDED_SQL                                                                               \
    "stranded AS (\n"                                                                              \
    "    SELECT FROM chwsync.orders o WHERE o.id = $1::bigint AND o.state = 'uncertain'\n"         \
    "       AND NOT EXISTS (SELECT FROM chwsync.attempts b WHERE b.order_id = $1::bigint AND "     \
    "b.open)\n"                                                                                    \
    ")"

enum session_verdict resolve_not_placed(struct session *session, const struct resolve_word *word,
                                        enum resolve_result *ret_result,
                                        struct problem *reterr_problem)
{
    /* clang-format off */
    static const struct statement statement = {
        "resolve: not placed",
        "WITH lost AS MATERIALIZED (\n"
        "    SELECT a.ended_at, a.answer FROM chwsync.attempts a JOIN chwsync.orders o ON o.id = a.order_id\n"
        "     WHERE a.order_id = $1::bigint AND a.number = $2::int AND a.open AND a.outcome = 'unknown'\n"
        "       AND o.state = 'uncertain'\n"
        "), " STRANDED_SQL ", ended AS (\n"
        "    UPDATE chwsync.attempts a\n"
        "       SET open = false, outcome = 'not executed', found_by = 'operator', ended_at = clock_timestamp(),\n"
        "           answer = concat_ws(': ', $3::text || ' said that it was not placed', $4::text)\n"
        "      FROM lost l\n"
        "     WHERE a.order_id = $1::bigint AND a.number = $2::int AND a.open AND a.outcome = 'unknown'\n"
        "    RETURNING l.ended_at AS lost_at, l.answer AS lost_words, a.answer, a.account_id, a.claimed_at, a.expected_charge\n"
        "), unspent AS (\n"
        "    UPDATE chwsync.budget_minutes m SET spent = m.spent - e.expected_charge FROM ended e\n"
        "     WHERE m.account_id = e.account_id AND m.minute = date_trunc('minute', e.claimed_at) AND e.expected_charge > 0\n"
        "), moved AS (\n"
        "    UPDATE chwsync.orders o SET state = 'queued', error = e.answer, seq = o.seq + 1, updated_at = now()\n"
        "      FROM (SELECT answer FROM ended UNION ALL\n"
        "            SELECT concat_ws(': ', $3::text || ' said that it was not placed', $4::text) FROM stranded) e\n"
        "     WHERE o.id = $1::bigint AND o.state = 'uncertain'\n"
        "       AND NOT EXISTS (SELECT FROM chwsync.attempts b\n"
        "                        WHERE b.order_id = $1::bigint AND b.number <> $2::int AND b.open)\n"
        "    RETURNING o.id, o.provider, o.seq, o.error\n"
        "), queued AS (\n"
        "    INSERT INTO chwsync.queue (order_id, provider, next_at) SELECT m.id, m.provider, now() + make_interval(secs => $6::int) FROM moved m\n"
        "    ON CONFLICT (order_id) DO NOTHING\n"
        "), noted AS (\n"
        "    INSERT INTO chwsync.history (order_id, at, event, state, detail)\n"
        "    SELECT $1::bigint, e.lost_at, 'unknown', 'uncertain', e.lost_words FROM ended e UNION ALL\n"
        "    SELECT $1::bigint, now(), 'resolve', 'queued'::chwsync.order_state, m.error FROM moved m, stranded\n"
        "), due AS (\n"
        "    INSERT INTO chwsync.write_backs (order_id, seq) SELECT m.id, m.seq FROM moved m WHERE $5::boolean\n"
        ")\n"
        "SELECT EXISTS (SELECT FROM moved) FROM (SELECT FROM ended UNION ALL SELECT FROM stranded) s"};
    /* clang-format on */

    return say(session, &statement, true, word, ret_result, reterr_problem);
}

/* The attempt's outcome stays unknown: it may exist there, so it remains in other orders' way. */
enum session_verdict resolve_give_up(struct session *session, const struct resolve_word *word,
                                     enum resolve_result *ret_result,
                                     struct problem *reterr_problem)
{
    /* clang-format off */
    static const struct statement statement = {
        "resolve: give up",
        "WITH ended AS (\n"
        "    UPDATE chwsync.attempts a SET open = false, found_by = 'operator'\n"
        "      FROM chwsync.orders o\n"
        "     WHERE a.order_id = $1::bigint AND a.open AND a.outcome = 'unknown' AND o.id = a.order_id\n"
        "       AND o.state = 'uncertain' AND EXISTS (SELECT FROM chwsync.attempts b WHERE b.order_id = $1::bigint\n"
        "                                                AND b.number = $2::int AND b.open)\n"
        "    RETURNING a.order_id\n"
        "), " STRANDED_SQL ", moved AS (\n"
        "    UPDATE chwsync.orders o\n"
        "       SET state = 'abandoned', error = concat_ws(': ', $3::text || ' gave it up', $4::text), seq = o.seq + 1,\n"
        "           changed_at = now(), updated_at = now()\n"
        "     WHERE o.id = $1::bigint AND o.state = 'uncertain'\n"
        "       AND EXISTS (SELECT FROM ended UNION ALL SELECT FROM stranded)\n"
        "    RETURNING o.id, o.seq, o.error\n"
        "), noted AS (\n"
        "    INSERT INTO chwsync.history (order_id, event, state, detail)\n"
        "    SELECT m.id, 'given up', 'abandoned', m.error FROM moved m\n"
        "), due AS (\n"
        "    INSERT INTO chwsync.write_backs (order_id, seq) SELECT m.id, m.seq FROM moved m WHERE $5::boolean\n"
        ")\n"
        "SELECT true FROM moved"};
    /* clang-format on */

    return say(session, &statement, false, word, ret_result, reterr_problem);
}

/* What the failed order was at the provider stays with its attempt; the order begins anew. */
enum session_verdict resolve_retry(struct session *session, const struct resolve_word *word,
                                   enum resolve_result *ret_result, struct problem *reterr_problem)
{
    /* clang-format off */
    static const struct statement statement = {
        "retry",
        "WITH moved AS (\n"
        "    UPDATE chwsync.orders o\n"
        "       SET state = 'queued', in_progress = false, provider_order_id = NULL, provider_status = NULL,\n"
        "           charge = NULL, currency = NULL, start_count = NULL, remains = NULL, accepted_at = NULL,\n"
        "           polled_at = NULL, error = concat_ws(': ', $3::text || ' asked to try it again', $4::text),\n"
        "           seq = o.seq + 1, changed_at = now(), updated_at = now()\n"
        "     WHERE o.id = $1::bigint AND o.attempts = $2::int AND o.state IN ('rejected', 'failed')\n"
        "       AND NOT EXISTS (SELECT FROM chwsync.attempts a\n"
        "                        WHERE a.order_id = o.id AND (a.open OR a.outcome = 'unknown'))\n"
        "    RETURNING o.id, o.provider, o.seq, o.error\n"
        "), queued AS (\n"
        "    INSERT INTO chwsync.queue (order_id, provider, next_at) SELECT m.id, m.provider, now() + make_interval(secs => $6::int) FROM moved m\n"
        "    ON CONFLICT (order_id) DO NOTHING\n"
        "), unfollowed AS (\n"
        "    DELETE FROM chwsync.polls p USING moved m WHERE p.order_id = m.id\n"
        "), noted AS (\n"
        "    INSERT INTO chwsync.history (order_id, event, state, detail)\n"
        "    SELECT m.id, 'retry', 'queued', m.error FROM moved m\n"
        "), due AS (\n"
        "    INSERT INTO chwsync.write_backs (order_id, seq) SELECT m.id, m.seq FROM moved m WHERE $5::boolean\n"
        ")\n"
        "SELECT true FROM moved"};
    /* clang-format on */

    return say(session, &statement, true, word, ret_result, reterr_problem);
}

enum session_verdict resolve_ask(struct session *session, const struct resolve_word *word,
                                 const char *provider_order_id, int64_t *ret_resolution_id,
                                 struct problem *reterr_problem)
{
    /* clang-format off */
    static const struct statement statement = {
        "resolve: placed",
        "WITH asked AS (\n"
        "    INSERT INTO chwsync.resolutions (order_id, number, account_id, provider_order_id, asked_by, reason)\n"
        "    SELECT a.order_id, a.number, a.account_id, $5::text, $3::text, $4::text\n"
        "      FROM chwsync.attempts a JOIN chwsync.orders o ON o.id = a.order_id\n"
        "     WHERE a.order_id = $1::bigint AND a.number = $2::int AND a.outcome = 'unknown'\n"
        "       AND o.state IN ('uncertain', 'abandoned')\n"
        "    RETURNING id, order_id\n"
        "), noted AS (\n"
        "    INSERT INTO chwsync.history (order_id, event, state, detail)\n"
        "    SELECT a.order_id, 'resolve', 'uncertain',\n"
        "           concat_ws(': ', format('%s said that it was placed as order id %s', $3::text, $5::text), $4::text)\n"
        "      FROM asked a\n"
        ")\n"
        "SELECT a.id FROM asked a"};
    /* clang-format on */
    OWN(rows_freep) PGresult *rows = NULL;
    char order_id[24], number[16];
    const char *values[] = {order_id, number, word->who, word->reason, provider_order_id};
    enum session_verdict verdict;

    snprintf(order_id, sizeof order_id, "%lld", (long long)word->order_id);
    snprintf(number, sizeof number, "%d", word->number);
    verdict = session_run(session, &statement, values, 5, &rows, reterr_problem);
    if (verdict != SESSION_DONE)
        return verdict;
    *ret_resolution_id = PQntuples(rows) ? row_integer(rows, 0, 0, 0) : 0;
    session_wake_daemon(session, word->wake_channel);
    return SESSION_DONE;
}

enum session_verdict resolve_poll(struct session *session, int64_t resolution_id,
                                  PGresult **ret_rows, struct problem *reterr_problem)
{
    static const struct statement statement = {
        "a resolution's answer",
        "SELECT placed, answer FROM chwsync.resolutions WHERE id = $1::bigint"};
    char id[24];
    const char *values[] = {id};

    snprintf(id, sizeof id, "%lld", (long long)resolution_id);
    return session_run(session, &statement, values, 1, ret_rows, reterr_problem);
}

enum session_verdict resolve_stops(struct session *session, const char *provider_or_ref,
                                   PGresult **ret_rows, struct problem *reterr_problem)
{
    /* clang-format off */
    static const struct statement statement = {
        "what stops submits",
        "SELECT s.order_ref, o.display_ref, c.provider, o.state, o.provider_order_id, coalesce(a.service, o.service) AS service,\n"
        "       coalesce(a.link, o.link) AS link, coalesce(a.quantity, o.quantity) AS quantity, s.detail,\n"
        "       extract(epoch FROM s.found_at)::bigint AS found_at, s.order_id, s.number\n"
        "  FROM chwsync.submit_stops s JOIN chwsync.accounts c ON c.id = s.account_id\n"
        "  JOIN chwsync.orders o ON o.id = s.order_id\n"
        "  LEFT JOIN chwsync.attempts a ON a.order_id = s.order_id AND a.number = s.number\n"
        " WHERE s.released_at IS NULL AND ($1::text IS NULL OR $1::text IN (c.provider, s.order_ref))\n"
        " ORDER BY c.provider, s.found_at, s.order_id, s.number"};
    /* clang-format on */
    const char *values[] = {provider_or_ref};

    return session_run(session, &statement, values, 1, ret_rows, reterr_problem);
}

/* Numbers of one column as an array's text. */
static void add_numbers(struct text *text, const PGresult *rows, int column)
{
    text_add_char(text, '{');
    for (int i = 0; i < PQntuples(rows); i++)
        text_format(text, "%s%s", i ? "," : "", PQgetvalue(rows, i, column));
    text_add_char(text, '}');
}

enum session_verdict resolve_release(struct session *session, const PGresult *stops,
                                     const char *who, const char *reason, const char *wake_channel,
                                     int64_t *ret_released, struct problem *reterr_problem)
{
    /* clang-format off */
    static const struct statement statement = {
        "resolve: release submits",
        "WITH released AS (\n"
        "    UPDATE chwsync.submit_stops s SET released_at = now(), released_by = concat_ws(': ', $3::text, $4::text)\n"
        "      FROM unnest($1::bigint[], $2::int[]) AS t(order_id, number)\n"
        "     WHERE s.order_id = t.order_id AND s.number = t.number AND s.released_at IS NULL\n"
        "    RETURNING s.order_id, s.released_by\n"
        "), noted AS (\n"
        "    INSERT INTO chwsync.history (order_id, event, detail)\n"
        "    SELECT r.order_id, 'released', 'submits may go on, said ' || r.released_by FROM released r\n"
        ")\n"
        "SELECT count(*) FROM released"};
    /* clang-format on */
    OWN(text_done) struct text orders = {0}, numbers = {0};
    OWN(rows_freep) PGresult *rows = NULL;
    enum session_verdict verdict;

    add_numbers(&orders, stops, STOP_ORDER_ID);
    add_numbers(&numbers, stops, STOP_NUMBER);
    const char *values[] = {text_string(&orders), text_string(&numbers), who, reason};
    verdict = session_run(session, &statement, values, 4, &rows, reterr_problem);
    if (verdict != SESSION_DONE)
        return verdict;
    *ret_released = row_integer(rows, 0, 0, 0);
    session_wake_daemon(session, wake_channel);
    return SESSION_DONE;
}
