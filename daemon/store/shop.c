#include "store/shop.h"
#include "base/own.h"
#include "rules/service_type.h"
#include "store/unconfigured.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum shop_statement { SHOP_INTAKE, SHOP_INTAKE_KEYS, SHOP_CLAIM, SHOP_DELIVER };
#define SHOP_STATEMENT_COUNT 4

struct shop {
    struct text texts[SHOP_STATEMENT_COUNT];
    struct statement statements[SHOP_STATEMENT_COUNT];
    struct text view, look, look_one; /* what intake reads: the view's rows, or one of them */
    struct text ask,
        ask_any;          /* what claim and write-back ask the shop; the second for a view alone */
    struct text required; /* by each type of service: see rules/service_type.h */
    bool has_view, has_function;
    unsigned timeout_ms;
};

static const char *const statement_names[SHOP_STATEMENT_COUNT] = {"intake", "intake's keys",
                                                                  "claim", "write-back"};

static const char intake_text[] = "SELECT * FROM chwsync.intake($1::text, $2::text[], $3::int, "
                                  "$4::boolean, $5::text, $6::text, $7::text, $8::boolean, "
                                  "$9::text)";
/* What it asks of the view; $1 the one line that is looked at, NULL = all. */
static const char look_whole[] =
    "v.order_ref IS NULL OR NOT v.order_ref::text = ANY (ARRAY(SELECT p.order_ref FROM"
    " chwsync.parked_lines p WHERE p.sqlstate IS NOT NULL))";
static const char look_one[] = "v.order_ref::text = $1";

static const char claim_text[] =
    "SELECT * FROM chwsync.claim($1::text, $2::int, $3::uuid, $4::int, $5::int, $6::bigint, "
    "$7::bigint, $8::bigint, $9::uuid, $10::text, $11::text, $12::numeric, $13::numeric, "
    "$14::boolean, $15::jsonb)";
static const char deliver_text[] = "SELECT * FROM chwsync.deliver($1::int, $2::bigint, $3::text)";

/* What those two ask the shop: $1 the questions (chwsync.result[]), of the view their keys
 * (text[]); the answer's columns the keys and what is said of each. Those of the view stand in a
 * subquery, so that a plan is estimated alike for any number of them and can be kept. */
static const char ask_function[] =
    "SELECT array_agg(r.order_ref), array_agg(%s(r)) FROM unnest($1) AS r";
static const char ask_view[] =
    "WITH seen AS MATERIALIZED (\n"
    "    SELECT v.order_ref::text AS order_ref FROM %s v\n"
    "     WHERE v.order_ref::text = ANY (ARRAY(SELECT r.order_ref FROM unnest($1) AS "
    "r(order_ref)))\n"
    ")\n"
    "SELECT array_agg(r.order_ref), array_agg(r.order_ref IN (SELECT s.order_ref FROM seen s))\n"
    "  FROM unnest($1) AS r(order_ref)";
static const char ask_view_any[] = "SELECT EXISTS (SELECT FROM %s)";

static void compose_look(const struct contract *contract, const char *condition, struct text *look)
{
    text_add(look, "SELECT ");
    contract_column_list(contract, look);
    text_format(look, " FROM %s v WHERE %s", contract->view_sql, condition);
}

static void compose_intake(struct shop *shop, const struct contract *contract)
{
    struct text *keys = &shop->texts[SHOP_INTAKE_KEYS];

    text_add(&shop->texts[SHOP_INTAKE], intake_text);
    text_add(&shop->view, contract->view_sql);
    compose_look(contract, look_whole, &shop->look);
    compose_look(contract, look_one, &shop->look_one);
    text_format(
        keys,
        "SELECT DISTINCT v.order_ref::text FROM %s v WHERE v.order_ref IS NOT NULL\n"
        "   AND NOT EXISTS (SELECT FROM chwsync.orders o WHERE o.order_ref = v.order_ref::text)\n"
        "   AND NOT EXISTS (SELECT FROM chwsync.parked_lines p WHERE p.order_ref = "
        "left(v.order_ref::text, 200)\n"
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
        service_type_required_json(&shop->required);
    }
    if (shop->has_function)
        text_add(&shop->texts[SHOP_DELIVER], deliver_text);
    if (shop->has_view || shop->has_function)
        compose_questions(shop, contract);
    if (shop->view.failed || shop->look.failed || shop->look_one.failed || shop->ask.failed ||
        shop->ask_any.failed || shop->required.failed)
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
    text_done(&shop->view);
    text_done(&shop->look);
    text_done(&shop->look_one);
    text_done(&shop->ask);
    text_done(&shop->ask_any);
    text_done(&shop->required);
    free(shop);
}

bool shop_equals(const struct shop *a, const struct shop *b)
{
    if (!a || !b || a->timeout_ms != b->timeout_ms)
        return a == b;
    for (int i = 0; i < SHOP_STATEMENT_COUNT; i++)
        if (strcmp(a->statements[i].text, b->statements[i].text) != 0)
            return false;
    return strcmp(text_string(&a->look), text_string(&b->look)) == 0 &&
           strcmp(text_string(&a->ask), text_string(&b->ask)) == 0;
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
        .lazy_commit = which == SHOP_INTAKE, /* the view shows them again */
    };

    return connection_run(lane, &transaction, done, userdata);
}

/* `order_ref` NULL = the whole view. */
static int run_intake(struct shop *shop, struct connection *lane,
                      const struct intake_options *options, const char *order_ref,
                      unsigned timeout_ms, store_done done, void *userdata)
{
    struct values values = {0};

    values_add_text(&values, options->default_provider);
    values_begin_array(&values);
    for (size_t i = 0; i < options->provider_count; i++)
        values_add_text(&values, options->providers[i]);
    values_end_array(&values);
    values_add_integer(&values, options->limit);
    values_add_boolean(&values, shop->has_function);
    values_add_text(&values, text_string(&shop->view));
    values_add_text(&values, text_string(order_ref ? &shop->look_one : &shop->look));
    values_add_text(&values, order_ref);
    values_add_boolean(&values, options->anew);
    values_add_text(&values, NOT_CONFIGURED);
    return run(shop, lane, SHOP_INTAKE, &values, timeout_ms, done, userdata);
}

/* A large view may take its time; it shares its lane with claims only. */
#define INTAKE_TIMEOUT_MS 30000
#define KEPT_TIMEOUT_MS 1000 /* with a plan of before */

int shop_intake(struct shop *shop, struct connection *lane, const struct intake_options *options,
                store_done done, void *userdata)
{
    return run_intake(shop, lane, options, NULL,
                      options->anew ? INTAKE_TIMEOUT_MS : KEPT_TIMEOUT_MS, done, userdata);
}

int shop_intake_one(struct shop *shop, struct connection *lane,
                    const struct intake_options *options, const char *order_ref, store_done done,
                    void *userdata)
{
    return run_intake(shop, lane, options, order_ref, shop->timeout_ms, done, userdata);
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
        .wishes = row_text(rows, 0, 11),
    };
}

int shop_intake_keys(struct shop *shop, struct connection *lane, unsigned limit, store_done done,
                     void *userdata)
{
    struct values values = {0};

    values_add_integer(&values, limit);
    return run(shop, lane, SHOP_INTAKE_KEYS, &values, INTAKE_TIMEOUT_MS, done, userdata);
}

static const struct statement parked_keys_statement = {
    .name = "parked lines to try again",
    .text =
        "SELECT p.order_ref FROM chwsync.parked_lines p\n"
        " WHERE p.sqlstate IS NOT NULL AND p.retry_at <= now() ORDER BY p.retry_at LIMIT $1::int",
};

int shop_parked_keys(struct connection *lane, unsigned limit, store_done done, void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {.statement = &parked_keys_statement, .values = &values};

    values_add_integer(&values, limit);
    return connection_run(lane, &transaction, done, userdata);
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
    values_add_text(&values, text_string(&shop->required));
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
