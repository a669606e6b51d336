#include "store/orders.h"
#include "base/own.h"
#include <assert.h>

static const struct statement record_statement = {
    .name = "record outcomes",
    .text = "SELECT r.order_ref, r.state, r.provider_order_id\n"
            "  FROM chwsync.record_outcomes($1::bigint[], $2::int[], $3::text[], $4::text[], "
            "$5::int[], $6::text[],\n"
            "                               $7::int[], $8::boolean, $9::int, $10::uuid[], "
            "$11::boolean) r",
};

int orders_record(struct connection *lane, const struct attempt_end *ends, size_t count,
                  bool tell_shop, unsigned first_poll_s, bool alarms_only, store_done done,
                  void *userdata)
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
    VALUES_ADD_ARRAY(&values, ends, count, values_add_text, journal);
    values_add_boolean(&values, alarms_only);
    return connection_run(lane, &transaction, done, userdata);
}

static const struct statement release_statement = {
    .name = "release unsent claims",
    .text = "SELECT r.order_ref FROM chwsync.release_unsent($1::uuid, $2::int, $3::bigint, "
            "$4::bigint[]) r",
};

int orders_release(struct connection *lane, const char *instance, int account_id, int64_t claim,
                   const int64_t *known, size_t known_count, store_done done, void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {.statement = &release_statement, .values = &values};

    values_add_text(&values, instance);
    values_add_integer(&values, account_id);
    values_add_integer(&values, claim);
    values_begin_array(&values);
    for (size_t i = 0; i < known_count; i++)
        values_add_integer(&values, known[i]);
    values_end_array(&values);
    return connection_run(lane, &transaction, done, userdata);
}

static const struct statement open_statement = {
    .name = "attempts without an end",
    .text = "SELECT a.order_id, a.number, o.order_ref, a.journal, coalesce(a.journal_number, "
            "a.number),\n"
            "       a.instance = $1::uuid,\n"
            "       ceil(extract(epoch FROM a.send_before + make_interval(secs => $2::int) - "
            "now()))::bigint,\n"
            "       to_char(a.claimed_at, 'YYYY-MM-DD HH24:MI:SS TZ')\n"
            "  FROM chwsync.attempts a JOIN chwsync.orders o ON o.id = a.order_id\n"
            " WHERE a.open AND a.outcome IS NULL",
};

int orders_open(struct connection *lane, const char *instance, unsigned patience_s, store_done done,
                void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {
        .statement = &open_statement, .values = &values, .by_index = true};

    values_add_text(&values, instance);
    values_add_integer(&values, patience_s);
    return connection_run(lane, &transaction, done, userdata);
}

/* Lost: there is no such attempt. Else the journal knows an end that the ledger lacks. */
static const struct statement compare_statement = {
    .name = "compare with the flight journal",
    .text = "SELECT t.place, a.order_id, a.number\n"
            "  FROM unnest($2::int[], $3::text[], $4::int[], $5::text[], $6::text[])\n"
            "       AS t(place, order_ref, number, outcome, provider_order_id)\n"
            "  LEFT JOIN chwsync.orders o ON o.order_ref = t.order_ref\n"
            "  LEFT JOIN chwsync.attempts a ON a.order_id = o.id AND a.journal = $1::uuid\n"
            "                              AND coalesce(a.journal_number, a.number) = t.number\n"
            " WHERE a.order_id IS NULL OR a.open AND a.outcome IS DISTINCT FROM t.outcome\n"
            "    OR t.outcome = 'accepted' AND (a.outcome, a.provider_order_id)\n"
            "                                  IS DISTINCT FROM ('accepted', t.provider_order_id)",
};

int orders_compare(struct connection *lane, const char *journal, const struct journal_end *ends,
                   size_t count, store_done done, void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {
        .statement = &compare_statement, .values = &values, .by_index = true};

    values_add_text(&values, journal);
    VALUES_ADD_ARRAY(&values, ends, count, values_add_integer, place);
    VALUES_ADD_ARRAY(&values, ends, count, values_add_text, order_ref);
    VALUES_ADD_ARRAY(&values, ends, count, values_add_integer, number);
    VALUES_ADD_ARRAY(&values, ends, count, values_add_text, outcome);
    VALUES_ADD_ARRAY(&values, ends, count, values_add_text, provider_order_id);
    return connection_run(lane, &transaction, done, userdata);
}

static const struct statement restore_statement = {
    .name = "restore lost attempts",
    .text =
        "SELECT t.order_ref,\n"
        "       chwsync.restore_attempt(t.order_ref, t.provider, t.account_id, $1::uuid, "
        "t.number,\n"
        "           to_timestamp(t.left_s), t.service, t.link, chwsync.try_bigint(t.quantity),\n"
        "           t.outcome, t.provider_order_id, t.http_status, t.answer, $13::boolean, "
        "$14::int)\n"
        "  FROM unnest($2::text[], $3::text[], $4::int[], $5::int[], $6::bigint[], $7::text[],\n"
        "              $8::text[], $9::text[], $10::text[], $11::text[], $12::int[], $15::text[])\n"
        "       AS t(order_ref, provider, account_id, number, left_s, service, link, quantity,\n"
        "            outcome, provider_order_id, http_status, answer)",
};

int orders_restore(struct connection *lane, const char *journal, const struct journal_end *ends,
                   size_t count, bool tell_shop, unsigned first_poll_s, store_done done,
                   void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {
        .statement = &restore_statement, .values = &values, .by_index = true};

    values_add_text(&values, journal);
    VALUES_ADD_ARRAY(&values, ends, count, values_add_text, order_ref);
    VALUES_ADD_ARRAY(&values, ends, count, values_add_text, provider);
    VALUES_ADD_ARRAY(&values, ends, count, values_add_integer, account_id);
    VALUES_ADD_ARRAY(&values, ends, count, values_add_integer, number);
    VALUES_ADD_ARRAY(&values, ends, count, values_add_integer, left_s);
    VALUES_ADD_ARRAY(&values, ends, count, values_add_text, service);
    VALUES_ADD_ARRAY(&values, ends, count, values_add_text, link);
    VALUES_ADD_ARRAY(&values, ends, count, values_add_text, quantity);
    VALUES_ADD_ARRAY(&values, ends, count, values_add_text, outcome);
    VALUES_ADD_ARRAY(&values, ends, count, values_add_text, provider_order_id);
    VALUES_ADD_ARRAY(&values, ends, count, values_add_integer, http_status);
    values_add_boolean(&values, tell_shop);
    values_add_integer(&values, first_poll_s);
    VALUES_ADD_ARRAY(&values, ends, count, values_add_text, answer);
    return connection_run(lane, &transaction, done, userdata);
}

static const struct statement hold_duplicates_statement = {
    .name = "hold orders with one link",
    .text = "SELECT chwsync.hold_duplicates($1::bigint, $2::boolean)",
};

int orders_hold_duplicates(struct connection *lane, int64_t order_id, bool tell_shop,
                           store_done done, void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {
        .statement = &hold_duplicates_statement, .values = &values, .by_index = true};

    values_add_integer(&values, order_id);
    values_add_boolean(&values, tell_shop);
    return connection_run(lane, &transaction, done, userdata);
}

static const struct statement refuse_service_statement = {
    .name = "note a refused service",
    .text = "SELECT chwsync.refuse_service($1::int, $2::text)",
};

int orders_refuse_service(struct connection *lane, int account_id, const char *service,
                          store_done done, void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {
        .statement = &refuse_service_statement, .values = &values, .by_index = true};

    values_add_integer(&values, account_id);
    values_add_text(&values, service);
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
