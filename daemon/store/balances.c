#include "store/balances.h"

/* clang-format off */
static const struct statement look_statement = {
    .name = "look at a balance",
    .text =
        "SELECT b.balance, b.currency, extract(epoch FROM now() - b.asked_at)::bigint,\n"
        "       coalesce(b.balance < b.low_mark, false), coalesce(b.available < $3::numeric AND b.balance >= $3::numeric, false),\n"
        "       coalesce(b.balance - b.available > abs(b.balance) * 0.25, false),\n"
        "       EXISTS (SELECT FROM chwsync.polls p WHERE p.account_id = a.id)\n"
        "       OR EXISTS (SELECT FROM chwsync.budget_minutes m\n"
        "                   WHERE m.account_id = a.id AND m.minute >= date_trunc('minute', b.asked_at) AND m.adds > 0),\n"
        "       EXISTS (SELECT FROM chwsync.queue q WHERE q.provider = $2::text AND q.held = 'funds'),\n"
        "       EXISTS (SELECT FROM chwsync.queue q WHERE q.provider = $2::text)\n"
        "  FROM (VALUES ($1::int)) AS a(id) LEFT JOIN chwsync.balances b ON b.account_id = a.id",
};
/* clang-format on */

int balances_look(struct connection *lane, int account_id, const char *provider, const char *mark,
                  store_done done, void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {
        .statement = &look_statement, .values = &values, .by_index = true};

    values_add_integer(&values, account_id);
    values_add_text(&values, provider);
    values_add_text(&values, mark);
    return connection_run(lane, &transaction, done, userdata);
}

static const struct statement begin_statement = {
    .name = "count a question for the balance",
    .text = "INSERT INTO chwsync.budget_minutes AS b (account_id, minute, reads)\n"
            "VALUES ($1::int, date_trunc('minute', now()), 1)\n"
            "ON CONFLICT (account_id, minute) DO UPDATE SET reads = b.reads + excluded.reads\n"
            "RETURNING clock_timestamp()",
};

int balances_begin(struct connection *lane, int account_id, store_done done, void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {.statement = &begin_statement, .values = &values};

    values_add_integer(&values, account_id);
    return connection_run(lane, &transaction, done, userdata);
}

static const struct statement note_statement = {
    .name = "note a balance",
    .text = "SELECT available, rose, reaches, frees, was_low, is_low\n"
            "  FROM chwsync.note_balance($1::int, $2::text, $3::numeric, $4::text, "
            "$5::timestamptz, $6::numeric, $7::int)",
};

int balances_note(struct connection *lane, const struct balance_told *told, store_done done,
                  void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {.statement = &note_statement, .values = &values};

    values_add_integer(&values, told->account_id);
    values_add_text(&values, told->provider);
    values_add_text(&values, told->amount);
    values_add_text(&values, told->currency);
    values_add_text(&values, told->asked_at);
    values_add_text(&values, told->mark);
    values_add_integer(&values, told->keep_days);
    return connection_run(lane, &transaction, done, userdata);
}

/* Apart from the note of the balance: claims hold the rows of lines before they take charges off
 * it. */
static const struct statement free_held_statement = {
    .name = "free lines that were held for want of money",
    .text = "WITH freed AS (\n"
            "    UPDATE chwsync.queue q SET next_at = now()\n"
            "     WHERE q.provider = $1::text AND q.held = 'funds' AND q.next_at > now() RETURNING "
            "1\n"
            ")\n"
            "SELECT count(*) FROM freed",
};

int balances_free_held(struct connection *lane, const char *provider, store_done done,
                       void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {
        .statement = &free_held_statement, .values = &values, .by_index = true};

    values_add_text(&values, provider);
    return connection_run(lane, &transaction, done, userdata);
}

/* What was thought of credit is over with it. */
static const struct statement out_of_funds_statement = {
    .name = "out of funds",
    .text =
        "WITH no_credit AS (\n"
        "    UPDATE chwsync.balances b SET tried = NULL, credit_at = NULL\n"
        "     WHERE b.account_id = $1::int AND $3::text IS NOT NULL AND num_nonnulls(b.tried, "
        "b.credit_at) > 0\n"
        ")\n"
        "UPDATE chwsync.accounts a\n"
        "   SET out_of_funds_since = CASE WHEN $3::text IS NOT NULL THEN "
        "coalesce(a.out_of_funds_since, now()) END,\n"
        "       submits_paused_until = CASE WHEN $3::text IS NOT NULL THEN now() + "
        "make_interval(secs => $2::bigint) END,\n"
        "       pause_reason = $3::text, last_error = coalesce($3::text, a.last_error),\n"
        "       last_error_at = CASE WHEN $3::text IS NULL THEN a.last_error_at ELSE now() END\n"
        " WHERE a.id = $1::int",
};

int balances_out_of_funds(struct connection *lane, int account_id, int64_t seconds,
                          const char *words, store_done done, void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {.statement = &out_of_funds_statement, .values = &values};

    values_add_integer(&values, account_id);
    values_add_integer(&values, seconds);
    values_add_text(&values, words);
    return connection_run(lane, &transaction, done, userdata);
}
