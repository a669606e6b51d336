#include "store/shop.h"
#include "base/own.h"
#include "store/unconfigured.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum shop_statement { SHOP_INTAKE, SHOP_INTAKE_ONE, SHOP_INTAKE_KEYS, SHOP_CLAIM, SHOP_DELIVER };
#define SHOP_STATEMENT_COUNT 5

struct shop {
    struct text texts[SHOP_STATEMENT_COUNT];
    struct statement statements[SHOP_STATEMENT_COUNT];
    struct text ask,
        ask_any; /* what claim and write-back ask the shop; the second for a view alone */
    bool has_view, has_function;
    unsigned timeout_ms;
};

static const char *const statement_names[SHOP_STATEMENT_COUNT] = {
    "intake", "intake of one line", "intake's keys", "claim", "write-back"};

/* Every column of the contract that a queued order takes over, as it is called in both places. */
#define FACTS(prefix)                                                                              \
    prefix "service, " prefix "link, " prefix "quantity, " prefix "runs, " prefix                  \
           "\"interval\", " prefix "min, " prefix "max, " prefix "comments, " prefix               \
           "usernames, " prefix "hashtags, " prefix "username, " prefix "params, " prefix          \
           "max_charge, " prefix "display_ref"

/*
 * Intake, after `shown` (the view's rows). $1 default provider, $2 configured providers, $3 limit.
 *
 * A key that is shown twice, or NULL, is parked: which of the two rows was meant cannot be known. A
 * queued order follows the view, to another provider too; a withdrawn one that is shown again comes
 * back, at once when the view alone decides, after five minutes when a function withdrew it while
 * the view kept showing it. A line without a service is rejected here: no request could ask for it.
 */
static const char intake_rest[] =
    ", fresh AS MATERIALIZED (\n"
    "    SELECT s.*, count(*) OVER (PARTITION BY s.order_ref) AS times FROM shown s\n"
    "     WHERE NOT EXISTS (SELECT FROM chwsync.orders o WHERE o.order_ref = s.order_ref)\n"
    "), good AS (\n"
    "    SELECT f.*, left(coalesce(f.provider, $1::text), 200) AS chosen,\n"
    "           CASE WHEN btrim(coalesce(f.service, '')) = '' THEN 'the line names no service'\n"
    "                WHEN f.quantity <= 0 THEN 'the quantity is not positive'\n"
    "                WHEN f.max_charge = 'NaN' THEN 'max_charge is not a number'\n"
    "                WHEN octet_length(f.provider) > 200 THEN 'the provider''s name is longer than "
    "200 bytes'\n"
    "                WHEN octet_length(f.display_ref) > 1000 THEN 'display_ref is longer than 1000 "
    "bytes' END AS fault\n"
    "      FROM fresh f WHERE f.times = 1 AND octet_length(f.order_ref) BETWEEN 1 AND 200\n"
    "     ORDER BY f.created_at, f.order_ref LIMIT $3::int\n"
    "), inserted AS (\n"
    "    INSERT INTO chwsync.orders (order_ref, provider, " FACTS(
        "") ", shop_created_at, state, error, seq)\n"
            "    SELECT g.order_ref, g.chosen, " FACTS(
                "g.") ", g.created_at,\n"
                      "           CASE WHEN g.fault IS NULL THEN 'queued' ELSE 'rejected' "
                      "END::chwsync.order_state,\n"
                      "           CASE WHEN g.fault IS NULL AND g.chosen <> ALL ($2::text[])\n"
                      "                THEN format('" NOT_CONFIGURED "', g.chosen) "
                      "ELSE g.fault END,\n"
                      "           CASE WHEN g.fault IS NULL THEN 0 ELSE 1 END\n"
                      "      FROM good g ORDER BY g.created_at, g.order_ref\n"
                      "    ON CONFLICT (order_ref) DO NOTHING\n"
                      "    RETURNING id, provider, state, seq, order_ref, error\n"
                      "), returned AS (\n"
                      "    UPDATE chwsync.orders o\n"
                      "       SET state = 'queued', updated_at = now(), provider = "
                      "coalesce(s.provider, $1::text),\n"
                      "           error = CASE WHEN coalesce(s.provider, $1::text) <> ALL "
                      "($2::text[])\n"
                      "                        THEN format('" NOT_CONFIGURED
                      "', coalesce(s.provider, $1::text)) END\n"
                      "      FROM shown s WHERE o.order_ref = s.order_ref AND o.state = "
                      "'withdrawn'\n"
                      "       AND (NOT $4::boolean OR o.updated_at < now() - interval '5 "
                      "minutes'\n"
                      "            OR o.updated_at > now() + interval '1 minute')\n"
                      "    RETURNING o.id, o.provider\n"
                      "), queued AS (\n"
                      "    INSERT INTO chwsync.queue (order_id, provider, next_at)\n"
                      "    SELECT id, provider, now() FROM inserted WHERE state = 'queued' UNION "
                      "ALL SELECT id, provider, now() FROM returned\n"
                      "    ON CONFLICT (order_id) DO NOTHING\n"
                      "), told AS (\n"
                      "    INSERT INTO chwsync.write_backs (order_id, seq)\n"
                      "    SELECT id, seq FROM inserted WHERE state = 'rejected' AND $4::boolean\n"
                      "), turned AS MATERIALIZED (\n" /* locks as a claim does: the queue's row
                                                         first */
                      "    SELECT q.order_id, coalesce(s.provider, $1::text) AS chosen\n"
                      "      FROM shown s JOIN chwsync.orders o ON o.order_ref = s.order_ref\n"
                      "      JOIN chwsync.queue q ON q.order_id = o.id\n"
                      "     WHERE o.state = 'queued' AND q.provider <> coalesce(s.provider, "
                      "$1::text)\n"
                      "       FOR UPDATE OF q SKIP LOCKED\n"
                      "), followed AS (\n"
                      "    UPDATE chwsync.orders o\n"
                      "       SET (" FACTS("") ", provider, error) = ROW(" FACTS(
                          "s.") ", coalesce(t.chosen, o.provider),\n"
                                "               CASE WHEN t.chosen <> ALL ($2::text[]) THEN "
                                "format('" NOT_CONFIGURED "', t.chosen)\n"
                                "                    WHEN t.chosen IS NULL THEN o.error END), "
                                "updated_at = now()\n"
                                "      FROM shown s, chwsync.queue q LEFT JOIN turned t ON "
                                "t.order_id = q.order_id\n"
                                "     WHERE o.order_ref = s.order_ref AND q.order_id = o.id AND "
                                "o.state = 'queued'\n"
                                "       AND ((" FACTS("o.") ") IS DISTINCT FROM (" FACTS(
                                    "s.") ") OR t.order_id IS NOT NULL)\n"
                                          "    RETURNING o.id\n"
                                          "), requeued AS (\n"
                                          "    UPDATE chwsync.queue q SET provider = t.chosen, "
                                          "next_at = now(), held = NULL\n"
                                          "      FROM turned t JOIN followed f ON f.id = "
                                          "t.order_id WHERE q.order_id = t.order_id\n"
                                          "), parked AS (\n"
                                          "    INSERT INTO chwsync.parked_lines (order_ref, "
                                          "reason)\n"
                                          "    SELECT DISTINCT coalesce(left(f.order_ref, 200), "
                                          "'(NULL)'),\n"
                                          "           CASE WHEN f.order_ref IS NULL THEN 'the view "
                                          "shows a line whose order_ref is NULL'\n"
                                          "                WHEN f.times > 1 THEN 'the view shows "
                                          "this order_ref more than once'\n"
                                          "                ELSE 'the order_ref is empty or longer "
                                          "than 200 bytes' END\n"
                                          "      FROM fresh f\n"
                                          "     WHERE f.times > 1 OR f.order_ref IS NULL OR "
                                          "octet_length(f.order_ref) NOT BETWEEN 1 AND 200\n"
                                          "    ON CONFLICT (order_ref) DO NOTHING\n"
                                          "    RETURNING order_ref, reason\n"
                                          "), cleared AS (\n";
/* What is wrong with other keys is not known when only one was read. */
static const char intake_clear_whole[] =
    "    DELETE FROM chwsync.parked_lines p\n"
    "     WHERE EXISTS (SELECT FROM good g WHERE g.order_ref = p.order_ref)\n"
    /* by hashing: of a million faulty rows and a thousand parked keys, not each with each */
    "        OR p.sqlstate IS NULL AND p.order_ref NOT IN (\n"
    "               SELECT DISTINCT coalesce(left(f.order_ref, 200), '(NULL)') FROM fresh f\n"
    "                WHERE f.times > 1 OR f.order_ref IS NULL OR octet_length(f.order_ref) NOT "
    "BETWEEN 1 AND "
    "200)\n";
static const char intake_clear_one[] =
    "    DELETE FROM chwsync.parked_lines p USING good g WHERE p.order_ref = g.order_ref\n";
static const char intake_counts[] =
    ")\n"
    "SELECT (SELECT count(*) FROM inserted), (SELECT count(*) FROM returned), (SELECT count(*) "
    "FROM followed),\n"
    "       (SELECT count(*) FROM parked),\n"
    "       (SELECT count(*) FROM parked) + (SELECT count(*) FROM chwsync.parked_lines),\n"
    "       (SELECT greatest(ceil(extract(epoch FROM n.next_at - now())), 0)::bigint FROM "
    "unnest($2::text[]) p(name),\n"
    "               LATERAL (SELECT q.next_at FROM chwsync.queue q WHERE q.provider = p.name\n"
    "                         ORDER BY q.next_at LIMIT 1) n\n"
    "         ORDER BY n.next_at LIMIT 1),\n" /* no row, no time: greatest() would make NULL a 0 */
    "       (SELECT greatest(ceil(extract(epoch FROM w.due_at - now())), 0)::bigint FROM "
    "chwsync.write_backs w\n"
    "         ORDER BY w.due_at LIMIT 1),\n"
    "       (SELECT string_agg(i.order_ref || ' rejected: ' || i.error, E'\\n') FROM inserted i"
    "  WHERE i.state = 'rejected'),\n"
    "       (SELECT string_agg(p.order_ref || ': ' || p.reason, E'\\n')"
    "  FROM (SELECT * FROM parked LIMIT 20) p),\n"
    "       (SELECT string_agg(a.id || ':' || greatest(ceil(extract(epoch FROM n.next_at - "
    "now())), 0)::bigint, ' ')\n"
    "          FROM chwsync.accounts a, LATERAL (SELECT r.next_at FROM chwsync.refills r\n"
    "               WHERE r.account_id = a.id AND r.next_at IS NOT NULL ORDER BY r.next_at LIMIT "
    "1) n),\n"
    "       (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

static const char claim_text[] =
    "SELECT * FROM chwsync.claim($1::text, $2::int, $3::uuid, $4::int, $5::int, $6::bigint, "
    "$7::bigint, $8::bigint, $9::uuid, $10::text, $11::text, $12::numeric, $13::numeric, "
    "$14::boolean)";
static const char deliver_text[] = "SELECT * FROM chwsync.deliver($1::int, $2::bigint, $3::text)";

/* What those two ask the shop: $1 the questions (chwsync.result[]), the answer's columns their keys
 * and what is said of each. */
static const char ask_function[] =
    "SELECT array_agg(r.order_ref), array_agg(%s(r)) FROM unnest($1) AS r";
static const char ask_view[] =
    "WITH seen AS MATERIALIZED (\n"
    "    SELECT v.order_ref::text AS order_ref FROM %s v\n"
    "     WHERE v.order_ref::text = ANY (ARRAY(SELECT r.order_ref FROM unnest($1) AS r))\n"
    ")\n"
    "SELECT array_agg(r.order_ref), array_agg(EXISTS (SELECT FROM seen s WHERE s.order_ref = "
    "r.order_ref))\n"
    "  FROM unnest($1) AS r";
static const char ask_view_any[] = "SELECT EXISTS (SELECT FROM %s)";

static void compose_intake(struct shop *shop, const struct contract *contract)
{
    struct text *whole = &shop->texts[SHOP_INTAKE], *one = &shop->texts[SHOP_INTAKE_ONE],
                *keys = &shop->texts[SHOP_INTAKE_KEYS];

    text_add(whole, "WITH shown AS MATERIALIZED (SELECT ");
    contract_column_list(contract, whole);
    text_format(whole, " FROM %s v", contract->view_sql);
    text_add(
        whole,
        " WHERE v.order_ref IS NULL OR NOT v.order_ref::text = ANY (ARRAY(SELECT p.order_ref FROM"
        " chwsync.parked_lines p WHERE p.sqlstate IS NOT NULL)))");
    text_add(whole, intake_rest);
    text_add(whole, intake_clear_whole);
    text_add(whole, intake_counts);

    text_add(one, "WITH shown AS MATERIALIZED (SELECT ");
    contract_column_list(contract, one);
    text_format(one, " FROM %s v WHERE v.order_ref::text = $5::text)", contract->view_sql);
    text_add(one, intake_rest);
    text_add(one, intake_clear_one);
    text_add(one, intake_counts);

    text_format(
        keys,
        "SELECT DISTINCT v.order_ref::text FROM %s v WHERE v.order_ref IS NOT NULL\n"
        "   AND NOT EXISTS (SELECT FROM chwsync.orders o WHERE o.order_ref = v.order_ref::text)\n"
        "   AND NOT EXISTS (SELECT FROM chwsync.parked_lines p WHERE p.order_ref = "
        "v.order_ref::text\n"
        "                      AND p.retry_at > now())\n"
        " LIMIT $1::int",
        contract->view_sql);
}

static void compose_questions(struct shop *shop, const struct contract *contract)
{
    if (shop->has_function) {
        text_format(&shop->ask, ask_function, contract->function_sql);
    } else {
        text_format(&shop->ask, ask_view, contract->view_sql);
        text_format(&shop->ask_any, ask_view_any, contract->view_sql);
    }
}

int shop_new(const struct contract *contract, unsigned timeout_s, struct shop **ret_shop)
{
    OWN(shop_freep) struct shop *shop = calloc(1, sizeof *shop);

    if (!shop)
        return -ENOMEM;
    shop->timeout_ms = timeout_s * 1000;
    shop->has_view = contract_is_sound(contract, CONTRACT_LEDGER) &&
                     contract_is_sound(contract, CONTRACT_VIEW) &&
                     (!contract->function_wanted || contract_is_sound(contract, CONTRACT_FUNCTION));
    shop->has_function = contract->function_wanted &&
                         contract_is_sound(contract, CONTRACT_LEDGER) &&
                         contract_is_sound(contract, CONTRACT_FUNCTION);
    if (shop->has_view) {
        compose_intake(shop, contract);
        text_add(&shop->texts[SHOP_CLAIM], claim_text);
    }
    if (shop->has_function)
        text_add(&shop->texts[SHOP_DELIVER], deliver_text);
    if (shop->has_view || shop->has_function)
        compose_questions(shop, contract);
    if (shop->ask.failed || shop->ask_any.failed)
        return -ENOMEM;
    for (int i = 0; i < SHOP_STATEMENT_COUNT; i++) {
        if (shop->texts[i].failed)
            return -ENOMEM;
        shop->statements[i] =
            (struct statement){.name = statement_names[i], .text = text_string(&shop->texts[i])};
    }
    *ret_shop = GIVE(shop);
    return 0;
}

void shop_free(struct shop *shop)
{
    if (!shop)
        return;
    for (int i = 0; i < SHOP_STATEMENT_COUNT; i++)
        text_done(&shop->texts[i]);
    text_done(&shop->ask);
    text_done(&shop->ask_any);
    free(shop);
}

bool shop_equals(const struct shop *a, const struct shop *b)
{
    if (!a || !b || a->timeout_ms != b->timeout_ms)
        return a == b;
    for (int i = 0; i < SHOP_STATEMENT_COUNT; i++)
        if (strcmp(a->statements[i].text, b->statements[i].text) != 0)
            return false;
    return strcmp(text_string(&a->ask), text_string(&b->ask)) == 0;
}

bool shop_has_view(const struct shop *shop)
{
    return shop && shop->has_view;
}

bool shop_has_function(const struct shop *shop)
{
    return shop && shop->has_function;
}

/* Runs one of the shop's statements, bounded in time: its locks delay its own rows alone. */
static int run(struct shop *shop, struct connection *lane, enum shop_statement which,
               struct values *values, unsigned timeout_ms, store_done done, void *userdata)
{
    struct transaction transaction = {
        .statement = &shop->statements[which],
        .values = values,
        .lock_timeout_ms = shop->timeout_ms,
        .statement_timeout_ms = timeout_ms,
        .constraints_immediate = which == SHOP_DELIVER,
    };

    return connection_run(lane, &transaction, done, userdata);
}

static void add_intake_values(struct values *values, const struct shop *shop,
                              const struct intake_options *options)
{
    values_add_text(values, options->default_provider);
    values_begin_array(values);
    for (size_t i = 0; i < options->provider_count; i++)
        values_add_text(values, options->providers[i]);
    values_end_array(values);
    values_add_integer(values, options->limit);
    values_add_boolean(values, shop->has_function);
}

/* A large view may take its time; it shares its lane with claims only. */
#define INTAKE_TIMEOUT_MS 30000

int shop_intake(struct shop *shop, struct connection *lane, const struct intake_options *options,
                store_done done, void *userdata)
{
    struct values values = {0};

    add_intake_values(&values, shop, options);
    return run(shop, lane, SHOP_INTAKE, &values, INTAKE_TIMEOUT_MS, done, userdata);
}

int shop_intake_one(struct shop *shop, struct connection *lane,
                    const struct intake_options *options, const char *order_ref, store_done done,
                    void *userdata)
{
    struct values values = {0};

    add_intake_values(&values, shop, options);
    values_add_text(&values, order_ref);
    return run(shop, lane, SHOP_INTAKE_ONE, &values, shop->timeout_ms, done, userdata);
}

void shop_intake_decode(const PGresult *rows, struct intake_result *ret_result)
{
    *ret_result = (struct intake_result){
        .taken = (unsigned)row_integer(rows, 0, 0, 0),
        .returned = (unsigned)row_integer(rows, 0, 1, 0),
        .followed = (unsigned)row_integer(rows, 0, 2, 0),
        .parked = (unsigned)row_integer(rows, 0, 3, 0),
        .parked_in_all = (unsigned)row_integer(rows, 0, 4, 0),
        .queue_due_s = row_integer(rows, 0, 5, -1),
        .write_back_due_s = row_integer(rows, 0, 6, -1),
        .rejected = row_text(rows, 0, 7),
        .parked_lines = row_text(rows, 0, 8),
        .refills_due = row_text(rows, 0, 9),
        .server_us = row_integer(rows, 0, 10, 0),
    };
}

int shop_intake_keys(struct shop *shop, struct connection *lane, unsigned limit, store_done done,
                     void *userdata)
{
    struct values values = {0};

    values_add_integer(&values, limit);
    return run(shop, lane, SHOP_INTAKE_KEYS, &values, INTAKE_TIMEOUT_MS, done, userdata);
}

static const struct statement park_statement = {
    .name = "park a line",
    .text = "INSERT INTO chwsync.parked_lines (order_ref, sqlstate, reason, retry_at)\n"
            "VALUES ($1::text, $2::text, $3::text, now() + make_interval(secs => $4::int))\n"
            "ON CONFLICT (order_ref) DO UPDATE\n"
            "   SET sqlstate = excluded.sqlstate, reason = excluded.reason, retry_at = "
            "excluded.retry_at",
};

int shop_park(struct connection *lane, const char *order_ref, const char *sqlstate,
              const char *reason, unsigned retry_s, store_done done, void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {.statement = &park_statement, .values = &values};

    values_add_text(&values, order_ref);
    values_add_text(&values, sqlstate);
    values_add_text(&values, reason);
    values_add_integer(&values, retry_s);
    return connection_run(lane, &transaction, done, userdata);
}

int shop_claim(struct shop *shop, struct connection *lane, const struct claim_options *options,
               store_done done, void *userdata)
{
    struct values values = {0};

    values_add_text(&values, options->provider);
    values_add_integer(&values, options->account_id);
    values_add_text(&values, options->instance);
    values_add_integer(&values, options->limit);
    values_add_integer(&values, options->send_within_s);
    if (options->only_order_id)
        values_add_integer(&values, options->only_order_id);
    else
        values_add_text(&values, NULL);
    values_add_integer(&values, options->lease_number);
    values_add_integer(&values, options->lease_claims);
    values_add_text(&values, options->journal);
    values_add_text(&values, text_string(&shop->ask));
    values_add_text(&values, shop->has_function ? NULL : text_string(&shop->ask_any));
    values_add_text(&values, options->max_charge);
    values_add_text(&values, options->max_spend_per_day);
    values_add_boolean(&values, options->tell_shop);
    return run(shop, lane, SHOP_CLAIM, &values, shop->timeout_ms, done, userdata);
}

int shop_deliver(struct shop *shop, struct connection *lane, unsigned limit, int64_t only_order_id,
                 store_done done, void *userdata)
{
    struct values values = {0};

    values_add_integer(&values, limit);
    if (only_order_id)
        values_add_integer(&values, only_order_id);
    else
        values_add_text(&values, NULL);
    values_add_text(&values, text_string(&shop->ask));
    return run(shop, lane, SHOP_DELIVER, &values, shop->timeout_ms, done, userdata);
}
