#include "store/polls.h"
#include <assert.h>

static const struct statement pick_statement = {
    .name = "pick orders to ask about",
    .text =
        "WITH due AS MATERIALIZED (\n"
        "    SELECT p.order_id FROM chwsync.polls p\n"
        "     WHERE p.account_id = $1::int AND p.order_id <> ALL ($3::bigint[])\n"
        "       AND EXISTS (SELECT FROM chwsync.polls f WHERE f.account_id = $1::int AND f.next_at "
        "<= now()\n"
        "                                                 AND f.order_id <> ALL ($3::bigint[]))\n"
        "     ORDER BY p.next_at LIMIT $2::int FOR UPDATE SKIP LOCKED\n"
        "), stamped AS (\n"
        "    UPDATE chwsync.polls p SET next_at = now() + make_interval(secs => p.interval_s) FROM "
        "due d\n"
        "     WHERE p.order_id = d.order_id RETURNING p.order_id, p.interval_s, p.errors\n"
        "), counted AS (\n"
        "    INSERT INTO chwsync.budget_minutes AS b (account_id, minute, polls)\n"
        "    SELECT $1::int, date_trunc('minute', now()), 1 WHERE EXISTS (SELECT FROM stamped)\n"
        "    ON CONFLICT (account_id, minute) DO UPDATE SET polls = b.polls + 1\n"
        ")\n"
        "SELECT o.id, o.provider_order_id, o.order_ref, o.quantity * coalesce(o.runs, 1), "
        "o.remains,\n"
        "       extract(epoch FROM now() - o.accepted_at)::bigint, extract(epoch FROM now() - "
        "o.changed_at)::bigint,\n"
        "       s.interval_s, s.errors, now(),\n"
        "       (SELECT coalesce(sum(b.adds + b.reads), 0) FROM chwsync.budget_minutes b\n"
        "         WHERE b.account_id = $1::int AND b.minute > now() - interval '1 day')\n"
        "  FROM stamped s JOIN chwsync.orders o ON o.id = s.order_id",
};

static void add_ids(struct values *values, const int64_t *ids, size_t count)
{
    values_begin_array(values);
    for (size_t i = 0; i < count; i++)
        values_add_integer(values, ids[i]);
    values_end_array(values);
}

int polls_pick(struct connection *lane, int account_id, unsigned limit, const int64_t *busy,
               size_t busy_count, store_done done, void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {
        .statement = &pick_statement, .values = &values, .by_index = true};

    assert(limit <= POLLS_BATCH_MAX);
    values_add_integer(&values, account_id);
    values_add_integer(&values, limit);
    add_ids(&values, busy, busy_count);
    return connection_run(lane, &transaction, done, userdata);
}

static const struct statement next_statement = {
    .name = "when the next order is due",
    .text =
        "SELECT (SELECT ceil(extract(epoch FROM p.next_at - now()))::bigint FROM chwsync.polls p\n"
        "         WHERE p.account_id = $1::int ORDER BY p.next_at LIMIT 1),\n"
        "       (SELECT count(*) FROM (SELECT FROM chwsync.polls p WHERE p.account_id = $1::int "
        "LIMIT 100001) AS listed)",
};

int polls_next(struct connection *lane, int account_id, store_done done, void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {
        .statement = &next_statement, .values = &values, .by_index = true};

    values_add_integer(&values, account_id);
    return connection_run(lane, &transaction, done, userdata);
}

/*
 * An amount or a count that the reply does not hold keeps its value. polled_at moves only with a
 * change: an unchanged row is not written, so an older answer is told from a newer one by the last
 * change, and at most one question about an order is under way at a time.
 */
static const struct statement apply_statement = {
    .name = "apply statuses",
    .text = "WITH told AS MATERIALIZED (\n"
            "    SELECT * FROM unnest($1::bigint[], $2::chwsync.order_state[], $3::boolean[], "
            "$4::text[], $5::numeric[], $6::text[],\n"
            "                         $7::bigint[], $8::bigint[], $9::text[], $10::int[])\n"
            "             AS t(order_id, state, in_progress, word, charge, currency, start_count, "
            "remains, error, interval_s)\n"
            "), before AS MATERIALIZED (\n"
            "    SELECT o.id, o.state, t.state AS new_state, t.in_progress, t.word, t.charge, "
            "t.currency, t.start_count, t.remains\n"
            "      FROM told t JOIN chwsync.orders o ON o.id = t.order_id\n"
            "     WHERE t.error IS NULL AND o.state NOT IN ('queued', 'submitting', 'uncertain', "
            "'withdrawn', 'rejected', 'abandoned')\n"
            "       AND (o.polled_at IS NULL OR o.polled_at < $11::timestamptz)\n"
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
            "              o.remains, b.state AS old_state\n"
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
            "), restamped AS (\n"
            "    UPDATE chwsync.polls p\n"
            "       SET interval_s = coalesce(nullif(t.interval_s, 0), p.interval_s),\n"
            "           next_at = now() + make_interval(secs => coalesce(nullif(t.interval_s, 0), "
            "p.interval_s)),\n"
            "           errors = CASE WHEN t.error IS NULL THEN 0 ELSE p.errors + 1 END\n"
            "      FROM told t\n"
            "     WHERE p.order_id = t.order_id AND (t.interval_s > 0 OR t.error IS NOT NULL OR "
            "p.errors > 0)\n"
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
            "SELECT m.order_ref, m.old_state, m.state, m.provider_order_id, m.charge, m.currency "
            "FROM moved m\n"
            " WHERE m.state <> m.old_state\n"
            "UNION ALL SELECT f.order_ref, f.state, f.state, f.provider_order_id, NULL, NULL FROM "
            "faulty f",
};

static void add_optional(struct values *values, bool present, int64_t integer)
{
    if (present)
        values_add_integer(values, integer);
    else
        values_add_text(values, NULL);
}

int polls_apply(struct connection *lane, const struct poll_answer *answers, size_t count,
                const char *asked_at, bool tell_shop, store_done done, void *userdata)
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
    values_begin_array(&values);
    for (size_t i = 0; i < count; i++)
        add_optional(&values, answers[i].has_start_count, answers[i].start_count);
    values_end_array(&values);
    values_begin_array(&values);
    for (size_t i = 0; i < count; i++)
        add_optional(&values, answers[i].has_remains, answers[i].remains);
    values_end_array(&values);
    VALUES_ADD_ARRAY(&values, answers, count, values_add_text, error);
    VALUES_ADD_ARRAY(&values, answers, count, values_add_integer, interval_s);
    values_add_text(&values, asked_at);
    values_add_boolean(&values, tell_shop);
    return connection_run(lane, &transaction, done, userdata);
}
