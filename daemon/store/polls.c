#include "store/polls.h"
#include <assert.h>

/*
 * Orders that were never asked about (turn -infinity), and those that were answered with an error,
 * wait for their next_at; all others are only a matter of turns. $4 price, $5 where the clock
 * stands, $6 its speed. A batch of none but new orders does not say where the clock stands; after a
 * restart nobody remembers, and the earliest turn of the others is taken for it.
 */
/* clang-format off */
static const struct statement pick_statement = {
    .name = "pick orders to ask about",
    .text =
        "WITH due AS MATERIALIZED (\n"
        "    SELECT p.order_id, p.turn, p.stride, p.asked_at FROM chwsync.polls p\n"
        "     WHERE p.account_id = $1::int AND p.order_id <> ALL ($3::bigint[])\n"
        "       AND (p.next_at <= now() OR (p.stride > 0 AND p.errors = 0))\n"
        "     ORDER BY p.turn LIMIT $2::int\n"
        "), batch AS MATERIALIZED (\n"
        "    SELECT CASE WHEN count(*) > 0\n"
        "                THEN coalesce(sum((greatest(extract(epoch FROM now() - d.asked_at)::float8, 0) / d.stride) ^ 2 / "
        "2)\n"
        "                                FILTER (WHERE d.stride > 0), 0) END AS worth,\n"
        "           coalesce(max(d.turn) FILTER (WHERE d.turn > '-Infinity'),\n"
        "                    greatest(nullif($5::float8, 0),\n"
        "                             (SELECT f.turn FROM chwsync.polls f\n"
        "                               WHERE f.account_id = $1::int AND f.turn > '-Infinity'\n"
        "                               ORDER BY f.turn LIMIT 1)), 0) AS turn\n"
        "      FROM due d\n"
        "), stamped AS (\n"
        "    UPDATE chwsync.polls p\n"
        "       SET turn = b.turn + d.stride, asked_at = now(),\n"
        "           next_at = now() + make_interval(secs => CASE WHEN $6::float8 > 0\n"
        "               THEN least(d.stride / $6::float8, 2e6) ELSE 0 END)\n"
        "      FROM due d, batch b WHERE p.order_id = d.order_id AND b.worth >= $4::float8\n"
        "    RETURNING p.*, d.asked_at AS asked_before\n"
        "), counted AS (\n"
        "    INSERT INTO chwsync.budget_minutes AS b (account_id, minute, polls)\n"
        "    SELECT $1::int, date_trunc('minute', now()), 1 WHERE EXISTS (SELECT FROM stamped)\n"
        "    ON CONFLICT (account_id, minute) DO UPDATE SET polls = b.polls + 1\n"
        ")\n"
        "SELECT b.worth, b.turn, o.id, o.provider_order_id, o.order_ref, now(), s.errors, "
        "s.stride,\n"
        "       greatest(extract(epoch FROM now() - coalesce(s.asked_before, o.accepted_at))::float8, 0),\n"
        "       greatest(extract(epoch FROM now() - o.accepted_at)::float8, 0), o.quantity * coalesce(o.runs, "
        "1),\n"
        "       o.runs, o.\"interval\", s.answered_s, s.remains, s.rate, s.first_moved_s, "
        "s.last_moved_s,\n"
        "       o.service, h.mean, h.variance, h.weight,\n"
        "       CASE WHEN b.worth IS NULL\n"
        "            THEN (SELECT ceil(extract(epoch FROM min(p.next_at) - now()) * 1000)::bigint FROM chwsync.polls p\n"
        "                   WHERE p.account_id = $1::int AND p.order_id <> ALL ($3::bigint[])) END\n"
        "  FROM batch b LEFT JOIN (stamped s JOIN chwsync.orders o ON o.id = s.order_id) ON true\n"
        "  LEFT JOIN chwsync.service_histories h ON h.account_id = $1::int AND h.service = "
        "o.service",
};
/* clang-format on */

static void add_ids(struct values *values, const int64_t *ids, size_t count)
{
    values_begin_array(values);
    for (size_t i = 0; i < count; i++)
        values_add_integer(values, ids[i]);
    values_end_array(values);
}

int polls_pick(struct connection *lane, const struct poll_wish *wish, store_done done,
               void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {
        .statement = &pick_statement, .values = &values, .by_index = true};

    assert(wish->limit <= POLLS_BATCH_MAX);
    values_add_integer(&values, wish->account_id);
    values_add_integer(&values, wish->limit);
    add_ids(&values, wish->busy, wish->busy_count);
    values_add_real(&values, wish->price);
    values_add_real(&values, wish->turn);
    values_add_real(&values, wish->speed);
    return connection_run(lane, &transaction, done, userdata);
}

/*
 * An amount or a count that the reply does not hold keeps its value. polled_at moves only with a
 * change: an unchanged row is not written, so an older answer is told from a newer one by the last
 * change, and at most one question about an order is under way at a time.
 */
static const struct statement apply_statement = {
    .name = "apply statuses",
    .text =
        "WITH told AS MATERIALIZED (\n"
        "    SELECT * FROM unnest($1::bigint[], $2::chwsync.order_state[], $3::boolean[], "
        "$4::text[], $5::numeric[], $6::text[],\n"
        "                         $7::bigint[], $8::bigint[], $9::text[], $10::float8[])\n"
        "             AS t(order_id, state, in_progress, word, charge, currency, start_count, "
        "remains, error, wait_s)\n"
        "), outlook AS MATERIALIZED (\n"
        "    SELECT * FROM unnest($1::bigint[], $13::float8[], $14::float8[], $15::bigint[], "
        "$16::float8[], $17::float8[],\n"
        "                         $18::float8[])\n"
        "             AS t(order_id, stride, answered_s, remains, rate, first_moved_s, "
        "last_moved_s)\n"
        "     WHERE t.stride > 0\n"
        "), before AS MATERIALIZED (\n"
        "    SELECT o.id, o.state, t.state AS new_state, t.in_progress, t.word, t.charge, "
        "t.currency, t.start_count, t.remains,\n"
        "           t.charge IS DISTINCT FROM o.charge AS charge_is_new\n"
        "      FROM told t JOIN chwsync.orders o ON o.id = t.order_id\n"
        "     WHERE t.error IS NULL AND o.state NOT IN ('queued', 'submitting', 'uncertain', "
        "'withdrawn', 'rejected', 'abandoned')\n"
        "       AND (o.polled_at IS NULL OR o.polled_at < $11::timestamptz\n"
        "            OR o.polled_at > clock_timestamp()) -- the clock was set back since\n"
        "       AND (o.state, o.in_progress, o.provider_status, o.charge, o.currency, "
        "o.start_count, o.remains)\n"
        "           IS DISTINCT FROM\n"
        "           (coalesce(t.state, o.state), CASE WHEN t.state IS NULL THEN o.in_progress "
        "ELSE t.in_progress END,\n"
        "            t.word, coalesce(t.charge, o.charge), coalesce(t.currency, o.currency),\n"
        "            coalesce(t.start_count, o.start_count), coalesce(t.remains, o.remains))\n"
        "), moved AS (\n"
        "    UPDATE chwsync.orders o\n"
        "       SET state = coalesce(b.new_state, o.state), provider_status = b.word,\n"
        "           in_progress = CASE WHEN b.new_state IS NULL THEN o.in_progress ELSE "
        "b.in_progress END,\n"
        "           charge = coalesce(b.charge, o.charge), currency = coalesce(b.currency, "
        "o.currency),\n"
        "           start_count = coalesce(b.start_count, o.start_count), remains = "
        "coalesce(b.remains, o.remains),\n"
        "           error = NULL, seq = o.seq + 1, polled_at = $11::timestamptz, changed_at = "
        "now(), updated_at = now()\n"
        "      FROM before b WHERE o.id = b.id AND o.state = b.state\n"
        "    RETURNING o.id, o.order_ref, o.state, o.seq, o.provider_status, "
        "o.provider_order_id, o.charge, o.currency,\n"
        "              o.remains, b.state AS old_state, o.attempts, b.charge_is_new\n"
        "), differing AS (\n" /* what it was to cost; said once of an order */
        "    INSERT INTO chwsync.history (order_id, event, state, detail)\n"
        "    SELECT m.id, 'charge', m.state, format('charged %s %s, expected %s', "
        "trim_scale(m.charge), m.currency,\n"
        "                                           trim_scale(a.expected_charge))\n"
        "      FROM moved m JOIN chwsync.attempts a ON a.order_id = m.id AND a.number = m.attempts "
        "AND a.provider_order_id = m.provider_order_id\n"
        "     WHERE m.charge_is_new AND m.state IN ('active', 'completed')\n"
        /* less than a unit of its last place, or of the fourth, is rounding */
        "       AND abs(m.charge - a.expected_charge) >= power(0.1, greatest(scale(m.charge), "
        "4))\n"
        "       AND NOT EXISTS (SELECT FROM chwsync.history h WHERE h.order_id = m.id AND h.event "
        "= 'charge')\n"
        "    RETURNING order_id, detail\n"
        "), noted AS (\n"
        "    INSERT INTO chwsync.history (order_id, event, state, detail)\n"
        "    SELECT m.id, 'status', m.state,\n"
        "           concat_ws(', ', m.provider_status, 'charge ' || m.charge, 'remains ' || "
        "m.remains)\n"
        "      FROM moved m WHERE m.state <> m.old_state\n"
        "), due AS (\n"
        "    INSERT INTO chwsync.write_backs (order_id, seq) SELECT m.id, m.seq FROM moved m "
        "WHERE $12::boolean\n"
        "), ended AS (\n"
        "    DELETE FROM chwsync.polls p USING moved m WHERE p.order_id = m.id AND m.state <> "
        "'active'\n"
        "    RETURNING p.account_id, p.order_id\n"
        "), rechecked AS (\n" /* it has ended, perhaps not for the first time */
        "    INSERT INTO chwsync.rechecks AS c (order_id, account_id, due_at)\n"
        "    SELECT e.order_id, e.account_id, now() + make_interval(secs => t.wait_s)\n"
        "      FROM ended e JOIN unnest($1::bigint[], $24::float8[]) AS t(order_id, wait_s) ON "
        "t.order_id = e.order_id\n"
        "     WHERE t.wait_s >= 0\n"
        "    ON CONFLICT (order_id) DO UPDATE SET due_at = excluded.due_at, ended_at = now()\n"
        "), counted AS (\n"
        "    INSERT INTO chwsync.budget_minutes AS b (account_id, minute, ended)\n"
        "    SELECT e.account_id, date_trunc('minute', now()), count(*) FROM ended e GROUP BY "
        "e.account_id\n"
        "    ON CONFLICT (account_id, minute) DO UPDATE SET ended = b.ended + excluded.ended\n"
        "), learned AS (\n"
        "    INSERT INTO chwsync.service_histories AS h (account_id, service, mean, variance, "
        "weight)\n"
        "    SELECT o.account_id, t.service, t.mean, t.variance, t.weight\n"
        "      FROM unnest($1::bigint[], $20::text[], $21::float8[], $22::float8[], "
        "$23::float8[])\n"
        "             AS t(order_id, service, mean, variance, weight)\n"
        "      JOIN chwsync.orders o ON o.id = t.order_id WHERE t.weight > 0\n"
        /* an order that ended before tells nothing of how long orders live */
        "       AND NOT EXISTS (SELECT FROM chwsync.rechecks c WHERE c.order_id = t.order_id)\n"
        "    ON CONFLICT (account_id, service) DO UPDATE\n"
        "       SET mean = excluded.mean, variance = excluded.variance, weight = excluded.weight\n"
        "), restamped AS (\n"
        "    UPDATE chwsync.polls p\n"
        "       SET turn = p.turn + coalesce(l.stride - p.stride, 0) +\n"
        "                  CASE WHEN t.error IS NULL THEN 0 ELSE t.wait_s * $19::float8 END,\n"
        "           next_at = CASE WHEN t.error IS NOT NULL THEN now() + make_interval(secs => "
        "t.wait_s)\n"
        "                          WHEN l.stride > 0 AND $19::float8 > 0\n"
        "                          THEN p.asked_at + make_interval(secs => least(l.stride / "
        "$19::float8, 2e6))\n"
        "                          ELSE p.next_at END,\n"
        "           stride = coalesce(l.stride, p.stride), answered_s = coalesce(l.answered_s, "
        "p.answered_s),\n"
        "           remains = coalesce(l.remains, p.remains), rate = coalesce(l.rate, p.rate),\n"
        "           first_moved_s = coalesce(l.first_moved_s, p.first_moved_s),\n"
        "           last_moved_s = coalesce(l.last_moved_s, p.last_moved_s),\n"
        "           errors = CASE WHEN t.error IS NULL THEN 0 ELSE p.errors + 1 END\n"
        "      FROM told t LEFT JOIN outlook l ON l.order_id = t.order_id\n"
        "     WHERE p.order_id = t.order_id AND (l.stride > 0 OR t.error IS NOT NULL OR p.errors "
        "> 0)\n"
        "       AND NOT EXISTS (SELECT FROM moved m WHERE m.id = p.order_id AND m.state <> "
        "'active')\n"
        "), faulty AS (\n"
        "    UPDATE chwsync.orders o SET error = format('the provider says of order id %s: "
        "%s', o.provider_order_id, t.error)\n"
        "      FROM told t, chwsync.polls p\n"
        "     WHERE o.id = t.order_id AND p.order_id = t.order_id AND t.error IS NOT NULL AND "
        "p.errors >= 1\n"
        "       AND o.error IS DISTINCT FROM format('the provider says of order id %s: %s', "
        "o.provider_order_id, t.error)\n"
        "    RETURNING o.order_ref, o.state, o.provider_order_id\n"
        ")\n"
        "SELECT m.order_ref, m.old_state, m.state, m.provider_order_id, m.charge, m.currency, "
        "NULL FROM moved m\n"
        " WHERE m.state <> m.old_state\n"
        "UNION ALL SELECT f.order_ref, f.state, f.state, f.provider_order_id, NULL, NULL, NULL "
        "FROM faulty f\n"
        "UNION ALL SELECT m.order_ref, m.state, m.state, m.provider_order_id, m.charge, "
        "m.currency, d.detail\n"
        "  FROM differing d JOIN moved m ON m.id = d.order_id",
};

static void add_when_known(struct values *values, bool known, double real)
{
    if (known)
        values_add_real(values, real);
    else
        values_add_text(values, NULL);
}

/* $13 to $18: what the schedule needs; $20 to $23: what was learned of services. */
static void add_outlook(struct values *values, const struct poll_answer *answers, size_t count)
{
    VALUES_ADD_ARRAY(values, answers, count, values_add_real, stride);
    VALUES_ADD_ARRAY(values, answers, count, values_add_real, progress.answered_s);
    values_begin_array(values);
    for (size_t i = 0; i < count; i++)
        values_add_optional(values, answers[i].progress.remains >= 0,
                            (int64_t)answers[i].progress.remains);
    values_end_array(values);
    VALUES_ADD_ARRAY(values, answers, count, values_add_real, progress.rate);
    values_begin_array(values);
    for (size_t i = 0; i < count; i++)
        add_when_known(values, answers[i].progress.first_moved_s >= 0,
                       answers[i].progress.first_moved_s);
    values_end_array(values);
    values_begin_array(values);
    for (size_t i = 0; i < count; i++)
        add_when_known(values, answers[i].progress.last_moved_s >= 0,
                       answers[i].progress.last_moved_s);
    values_end_array(values);
}

int polls_apply(struct connection *lane, const struct poll_answer *answers, size_t count,
                const char *asked_at, double speed, bool tell_shop, store_done done, void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {
        .statement = &apply_statement, .values = &values, .by_index = true};

    assert(count <= POLLS_BATCH_MAX);
    VALUES_ADD_ARRAY(&values, answers, count, values_add_integer, order_id);
    VALUES_ADD_ARRAY(&values, answers, count, values_add_text, state);
    VALUES_ADD_ARRAY(&values, answers, count, values_add_boolean, in_progress);
    VALUES_ADD_ARRAY(&values, answers, count, values_add_text, status_word);
    VALUES_ADD_ARRAY(&values, answers, count, values_add_text, charge);
    VALUES_ADD_ARRAY(&values, answers, count, values_add_text, currency);
    VALUES_ADD_OPTIONALS(&values, answers, count, start_count);
    VALUES_ADD_OPTIONALS(&values, answers, count, remains);
    VALUES_ADD_ARRAY(&values, answers, count, values_add_text, error);
    VALUES_ADD_ARRAY(&values, answers, count, values_add_real, wait_s);
    values_add_text(&values, asked_at);
    values_add_boolean(&values, tell_shop);
    add_outlook(&values, answers, count);
    values_add_real(&values, speed);
    VALUES_ADD_ARRAY(&values, answers, count, values_add_text, service);
    VALUES_ADD_ARRAY(&values, answers, count, values_add_real, history.mean);
    VALUES_ADD_ARRAY(&values, answers, count, values_add_real, history.variance);
    VALUES_ADD_ARRAY(&values, answers, count, values_add_real, history.weight);
    values_begin_array(&values);
    for (size_t i = 0; i < count; i++)
        values_add_real(&values, (double)answers[i].recheck_s);
    values_end_array(&values);
    return connection_run(lane, &transaction, done, userdata);
}
