#include "store/rechecks.h"
#include <assert.h>

/* clang-format off */
static const struct statement pick_statement = {
    .name = "pick ended orders to look at",
    .text =
        "WITH due AS MATERIALIZED (\n"
        "    SELECT c.order_id, c.due_at FROM chwsync.rechecks c\n"
        "     WHERE c.account_id = $1::int AND c.due_at <= now()\n"
        "       AND NOT EXISTS (SELECT FROM chwsync.leases l WHERE l.account_id = $1::int AND l.holder <> $5::uuid\n"
        "                          AND l.expires_at > clock_timestamp())\n"
        "     ORDER BY c.due_at LIMIT $2::int FOR UPDATE SKIP LOCKED\n"
        "), batch AS MATERIALIZED (\n"
        "    SELECT 1 FROM due d\n"
        "    HAVING count(*) > 0 AND ($3::boolean OR count(*) >= $2::int\n"
        "                             OR min(d.due_at) <= now() - make_interval(secs => $4::bigint))\n"
        "), taken AS (\n"
        "    UPDATE chwsync.rechecks c\n"
        "       SET due_at = CASE WHEN o.state IN ('completed', 'partial', 'canceled', 'refunded', 'failed')\n"
        "                         THEN now() + interval '1 hour' ELSE 'infinity' END\n"
        "      FROM due d JOIN chwsync.orders o ON o.id = d.order_id, batch b\n"
        "     WHERE c.order_id = d.order_id\n"
        "    RETURNING c.*, o.provider_order_id, o.order_ref, o.state, d.due_at AS was_due_at\n"
        ")\n"
        "SELECT t.order_id, t.provider_order_id, t.order_ref, t.state, extract(epoch FROM now() - t.ended_at)::bigint,\n"
        "       extract(epoch FROM now() - t.was_due_at)::bigint, now()\n"
        "  FROM taken t\n"
        " WHERE t.state IN ('completed', 'partial', 'canceled', 'refunded', 'failed') AND t.provider_order_id IS NOT NULL",
};
/* clang-format on */

int rechecks_pick(struct connection *lane, const struct recheck_wish *wish, store_done done,
                  void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {
        .statement = &pick_statement, .values = &values, .by_index = true};

    assert(wish->limit <= RECHECKS_MAX);
    values_add_integer(&values, wish->account_id);
    values_add_integer(&values, wish->limit);
    values_add_boolean(&values, wish->take_all);
    values_add_integer(&values, wish->patience_s);
    values_add_text(&values, wish->instance);
    return connection_run(lane, &transaction, done, userdata);
}

/*
 * As in store/polls: an amount that the reply does not hold keeps its value, unchanged rows are not
 * written, and an answer counts only if its question was asked after the last one that was applied.
 */
/* clang-format off */
static const struct statement apply_statement = {
    .name = "apply looks at ended orders",
    .text =
        "WITH told AS MATERIALIZED (\n"
        "    SELECT * FROM unnest($1::bigint[], $2::chwsync.order_state[], $3::boolean[], $4::text[], $5::numeric[], $6::text[],\n"
        "                         $7::bigint[], $8::bigint[], $9::float8[], $10::float8[])\n"
        "             AS t(order_id, state, in_progress, word, charge, currency, start_count, remains, next_s, first_s)\n"
        "), before AS MATERIALIZED (\n"
        "    SELECT o.id, o.state, o.charge AS old_charge, t.state AS new_state, t.in_progress, t.word, t.charge, t.currency,\n"
        "           t.start_count, t.remains, t.first_s\n"
        "      FROM told t JOIN chwsync.orders o ON o.id = t.order_id\n"
        "     WHERE o.state IN ('completed', 'partial', 'canceled', 'refunded', 'failed')\n"
        "       AND (t.state IS NOT NULL OR t.word IS NOT NULL)\n"
        "       AND (o.polled_at IS NULL OR o.polled_at < $11::timestamptz)\n"
        "       AND (o.state, o.in_progress, o.provider_status, o.charge, o.currency, o.start_count, o.remains)\n"
        "           IS DISTINCT FROM\n"
        "           (coalesce(t.state, o.state), CASE WHEN t.state IS NULL THEN o.in_progress ELSE t.in_progress END, t.word,\n"
        "            coalesce(t.charge, o.charge), coalesce(t.currency, o.currency), coalesce(t.start_count, o.start_count),\n"
        "            coalesce(t.remains, o.remains))\n"
        "), moved AS (\n"
        "    UPDATE chwsync.orders o\n"
        "       SET state = coalesce(b.new_state, o.state), provider_status = b.word,\n"
        "           in_progress = CASE WHEN b.new_state IS NULL THEN o.in_progress ELSE b.in_progress END,\n"
        "           charge = coalesce(b.charge, o.charge), currency = coalesce(b.currency, o.currency),\n"
        "           start_count = coalesce(b.start_count, o.start_count), remains = coalesce(b.remains, o.remains),\n"
        "           error = NULL, seq = o.seq + 1, polled_at = $11::timestamptz, changed_at = now(), updated_at = now()\n"
        "      FROM before b WHERE o.id = b.id AND o.state = b.state\n"
        "    RETURNING o.id, o.order_ref, o.account_id, o.state, o.seq, o.provider_status, o.provider_order_id, o.charge,\n"
        "              o.currency, o.remains, b.state AS old_state, b.old_charge, b.first_s\n"
        "), noted AS (\n"
        "    INSERT INTO chwsync.history (order_id, event, state, detail)\n"
        "    SELECT m.id, 'status', m.state,\n"
        "           concat_ws(', ', m.provider_status, 'charge ' || m.charge, 'remains ' || m.remains)\n"
        "           || format(' (after its end; it was %s%s)', m.old_state, ', charge ' || m.old_charge)\n"
        "      FROM moved m WHERE m.state <> m.old_state OR m.charge IS DISTINCT FROM m.old_charge\n"
        "), due AS (\n"
        "    INSERT INTO chwsync.write_backs (order_id, seq) SELECT m.id, m.seq FROM moved m WHERE $12::boolean\n"
        "), reopened AS (\n"
        "    INSERT INTO chwsync.polls (order_id, account_id, next_at)\n"
        "    SELECT m.id, m.account_id, now() FROM moved m WHERE m.state = 'active'\n"
        "    ON CONFLICT (order_id) DO NOTHING\n"
        "), planned AS MATERIALIZED (\n"
        "    SELECT t.order_id, coalesce(m.state <> m.old_state, false) AS changed, m.state = 'active' AS goes_on,\n"
        "           CASE WHEN m.state <> m.old_state THEN t.first_s ELSE t.next_s END AS wait_s\n"
        "      FROM told t LEFT JOIN moved m ON m.id = t.order_id\n"
        "), ended AS (\n"
        "    DELETE FROM chwsync.rechecks c USING planned p\n"
        "     WHERE c.order_id = p.order_id AND p.wait_s < 0 AND p.goes_on IS NOT TRUE\n"
        "), stamped AS (\n"
        "    UPDATE chwsync.rechecks c\n"
        "       SET due_at = CASE WHEN p.goes_on THEN 'infinity' ELSE now() + make_interval(secs => p.wait_s) END,\n"
        "           ended_at = CASE WHEN p.changed THEN now() ELSE c.ended_at END\n"
        "      FROM planned p WHERE c.order_id = p.order_id AND (p.wait_s >= 0 OR p.goes_on)\n"
        ")\n"
        "SELECT m.order_ref, m.old_state, m.state, m.provider_order_id, m.old_charge, m.charge, m.currency FROM moved m\n"
        " WHERE m.state <> m.old_state OR m.charge IS DISTINCT FROM m.old_charge",
};
/* clang-format on */

int rechecks_apply(struct connection *lane, const struct recheck_answer *answers, size_t count,
                   const char *asked_at, bool tell_shop, store_done done, void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {
        .statement = &apply_statement, .values = &values, .by_index = true};

    assert(count <= RECHECKS_MAX);
    VALUES_ADD_ARRAY(&values, answers, count, values_add_integer, order_id);
    VALUES_ADD_ARRAY(&values, answers, count, values_add_text, state);
    VALUES_ADD_ARRAY(&values, answers, count, values_add_boolean, in_progress);
    VALUES_ADD_ARRAY(&values, answers, count, values_add_text, word);
    VALUES_ADD_ARRAY(&values, answers, count, values_add_text, charge);
    VALUES_ADD_ARRAY(&values, answers, count, values_add_text, currency);
    VALUES_ADD_OPTIONALS(&values, answers, count, start_count);
    VALUES_ADD_OPTIONALS(&values, answers, count, remains);
    VALUES_ADD_ARRAY(&values, answers, count, values_add_integer, next_s);
    VALUES_ADD_ARRAY(&values, answers, count, values_add_integer, first_s);
    values_add_text(&values, asked_at);
    values_add_boolean(&values, tell_shop);
    return connection_run(lane, &transaction, done, userdata);
}
