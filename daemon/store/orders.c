#include "store/orders.h"
#include "base/own.h"
#include <assert.h>

static const struct statement record_statement = {
    .name = "record outcomes",
    .text = "SELECT r.order_ref, r.state, r.provider_order_id\n"
            "  FROM chwsync.record_outcomes($1::bigint[], $2::int[], $3::text[], $4::text[], "
            "$5::int[], $6::text[],\n"
            "                               $7::int[], $8::boolean, $9::int) r",
};

int orders_record(struct connection *lane, const struct attempt_end *ends, size_t count,
                  bool tell_shop, unsigned first_poll_s, store_done done, void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {.statement = &record_statement, .values = &values};

    assert(count <= ORDERS_BATCH_MAX);
    VALUES_ADD_ARRAY(&values, ends, count, values_add_integer, order_id);
    VALUES_ADD_ARRAY(&values, ends, count, values_add_integer, number);
    VALUES_ADD_ARRAY(&values, ends, count, values_add_text, outcome);
    VALUES_ADD_ARRAY(&values, ends, count, values_add_text, provider_order_id);
    VALUES_ADD_ARRAY(&values, ends, count, values_add_integer, http_status);
    VALUES_ADD_ARRAY(&values, ends, count, values_add_text, answer);
    VALUES_ADD_ARRAY(&values, ends, count, values_add_integer, wait_s);
    values_add_boolean(&values, tell_shop);
    values_add_integer(&values, first_poll_s);
    return connection_run(lane, &transaction, done, userdata);
}

static const struct statement release_statement = {
    .name = "release unsent claims",
    .text =
        "WITH ended AS (\n"
        "    UPDATE chwsync.attempts a\n"
        "       SET open = false, outcome = 'not executed', ended_at = clock_timestamp(),\n"
        "           answer = 'claimed, but never sent: the commit of the claim was not confirmed'\n"
        "     WHERE a.open AND a.outcome IS NULL AND a.instance = $1::uuid AND a.order_id <> ALL "
        "($2::bigint[])\n"
        "       AND a.account_id = $4::int\n"
        "       AND a.claim <= $3::bigint\n"
        "    RETURNING a.order_id, a.number\n"
        "), moved AS (\n"
        "    UPDATE chwsync.orders o SET state = 'queued', seq = o.seq + 1, updated_at = now()\n"
        "      FROM ended e WHERE o.id = e.order_id AND o.state = 'submitting' AND o.attempts = "
        "e.number\n"
        "    RETURNING o.id, o.provider, o.order_ref\n"
        "), queued AS (\n"
        "    INSERT INTO chwsync.queue (order_id, provider, next_at) SELECT m.id, m.provider, "
        "now() FROM moved m\n"
        "    ON CONFLICT (order_id) DO NOTHING\n"
        ")\n"
        "SELECT m.order_ref FROM moved m",
};

int orders_release(struct connection *lane, const char *instance, int account_id,
                   const int64_t *known, size_t known_count, int64_t last_claim, store_done done,
                   void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {
        .statement = &release_statement, .values = &values, .by_index = true};

    values_add_text(&values, instance);
    values_begin_array(&values);
    for (size_t i = 0; i < known_count; i++)
        values_add_integer(&values, known[i]);
    values_end_array(&values);
    values_add_integer(&values, last_claim);
    values_add_integer(&values, account_id);
    return connection_run(lane, &transaction, done, userdata);
}

static const struct statement recover_statement = {
    .name = "find attempts without an end",
    .text =
        "WITH ended AS (\n"
        "    UPDATE chwsync.attempts a\n"
        "       SET outcome = 'unknown', ended_at = clock_timestamp(),\n"
        "           answer = 'the daemon ended before an answer was recorded'\n"
        "     WHERE a.open AND a.outcome IS NULL AND a.instance <> $1::uuid\n"
        "    RETURNING a.order_id, a.number, a.claimed_at\n"
        "), moved AS (\n"
        "    UPDATE chwsync.orders o\n"
        "       SET state = 'uncertain', seq = o.seq + 1, updated_at = now(), changed_at = now(),\n"
        "           error = 'the daemon ended before an answer was recorded: the order may exist "
        "at the provider'\n"
        "      FROM ended e WHERE o.id = e.order_id AND o.state = 'submitting' AND o.attempts = "
        "e.number\n"
        "    RETURNING o.id, o.order_ref, o.display_ref, o.seq, e.claimed_at\n"
        "), due AS (\n"
        "    INSERT INTO chwsync.write_backs (order_id, seq) SELECT m.id, m.seq FROM moved m WHERE "
        "$2::boolean\n"
        ")\n"
        "SELECT m.order_ref, m.display_ref, to_char(m.claimed_at, 'YYYY-MM-DD HH24:MI:SS TZ') FROM "
        "moved m",
};

int orders_recover(struct connection *lane, const char *instance, bool tell_shop, store_done done,
                   void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {
        .statement = &recover_statement, .values = &values, .by_index = true};

    values_add_text(&values, instance);
    values_add_boolean(&values, tell_shop);
    return connection_run(lane, &transaction, done, userdata);
}

static const struct statement other_live_statement = {
    .name = "other live orders with the link",
    .text =
        "SELECT EXISTS (SELECT FROM chwsync.polls p JOIN chwsync.orders o ON o.id = p.order_id\n"
        "                WHERE o.id <> t.id AND o.link = t.link AND o.account_id = t.account_id)\n"
        "    OR EXISTS (SELECT FROM chwsync.attempts a\n"
        "                WHERE a.open AND a.order_id <> t.id AND a.link = t.link AND a.account_id "
        "= t.account_id)\n"
        "  FROM chwsync.orders t WHERE t.id = $1::bigint",
};

int orders_other_live(struct connection *lane, int64_t order_id, store_done done, void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {
        .statement = &other_live_statement, .values = &values, .by_index = true};

    values_add_integer(&values, order_id);
    return connection_run(lane, &transaction, done, userdata);
}

static const struct statement put_off_statement = {
    .name = "put off an order",
    .text = "WITH later AS (\n"
            "    UPDATE chwsync.queue q SET next_at = now() + make_interval(secs => $2::int) WHERE "
            "q.order_id = $1::bigint\n"
            "    RETURNING q.order_id)\n"
            "UPDATE chwsync.orders o SET error = $3::text, updated_at = now()\n"
            "  FROM later l WHERE o.id = l.order_id AND o.state = 'queued' AND o.error IS DISTINCT "
            "FROM $3::text",
};

int orders_put_off(struct connection *lane, int64_t order_id, unsigned wait_s, const char *reason,
                   store_done done, void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {
        .statement = &put_off_statement, .values = &values, .by_index = true};

    values_add_integer(&values, order_id);
    values_add_integer(&values, wait_s);
    values_add_text(&values, reason);
    return connection_run(lane, &transaction, done, userdata);
}

static const struct statement due_statement = {
    .name = "lines that are due",
    .text = "SELECT q.order_id FROM chwsync.queue q WHERE q.provider = $1::text AND q.next_at <= "
            "now()\n"
            " ORDER BY q.next_at, q.order_id LIMIT $2::int",
};

int orders_due(struct connection *lane, const char *provider, unsigned limit, store_done done,
               void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {
        .statement = &due_statement, .values = &values, .by_index = true};

    values_add_text(&values, provider);
    values_add_integer(&values, limit);
    return connection_run(lane, &transaction, done, userdata);
}

static const struct statement write_backs_due_statement = {
    .name = "write-backs that are due",
    .text = "SELECT DISTINCT w.order_id FROM (SELECT order_id FROM chwsync.write_backs WHERE "
            "due_at <= now()\n"
            "                                  ORDER BY due_at LIMIT $1::int) w",
};

int orders_write_backs_due(struct connection *lane, unsigned limit, store_done done, void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {
        .statement = &write_backs_due_statement, .values = &values, .by_index = true};

    values_add_integer(&values, limit);
    return connection_run(lane, &transaction, done, userdata);
}

static const struct statement write_back_failed_statement = {
    .name = "put off a write-back",
    .text = "UPDATE chwsync.write_backs w\n"
            "   SET failures = w.failures + 1, sqlstate = $2::text, error = $3::text,\n"
            "       due_at = now() + least(interval '1 second' * power(2, least(w.failures, 12)), "
            "interval '1 hour')\n"
            " WHERE w.order_id = $1::bigint AND w.due_at <= now()",
};

int orders_write_back_failed(struct connection *lane, int64_t order_id, const char *sqlstate,
                             const char *error, store_done done, void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {
        .statement = &write_back_failed_statement, .values = &values, .by_index = true};

    values_add_integer(&values, order_id);
    values_add_text(&values, sqlstate);
    values_add_text(&values, error);
    return connection_run(lane, &transaction, done, userdata);
}

static const struct statement forget_statement = {
    .name = "forget old history",
    .text =
        "WITH minutes AS (DELETE FROM chwsync.budget_minutes WHERE minute < now() - interval '2 "
        "days'),\n"
        "     old AS (SELECT h.id FROM chwsync.history h\n"
        "              WHERE $1::int > 0 AND h.at < now() - make_interval(days => $1::int) ORDER "
        "BY h.id LIMIT $2::int),\n"
        "     gone AS (DELETE FROM chwsync.history h USING old WHERE h.id = old.id RETURNING 1)\n"
        "SELECT count(*) FROM gone",
};

int orders_forget_history(struct connection *lane, unsigned days, unsigned limit, store_done done,
                          void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {.statement = &forget_statement, .values = &values};

    values_add_integer(&values, days);
    values_add_integer(&values, limit);
    return connection_run(lane, &transaction, done, userdata);
}
