#include "store/accounts.h"
#include <crypt.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct statement ledger_statement = {
    .name = "the ledger's version",
    .text = "SELECT schema_version, digest_salt FROM chwsync.ledger",
};

int accounts_ledger(struct connection *lane, store_done done, void *userdata)
{
    struct transaction transaction = {.statement = &ledger_statement};

    return connection_run(lane, &transaction, done, userdata);
}

int accounts_digest(const char *salt, const char *key, char **ret_digest)
{
    struct crypt_data *data = calloc(1, sizeof *data); /* 32 KiB: too much for the stack */
    char setting[64];
    const char *digest;
    int r = 1;

    if (!data)
        return -ENOMEM;
    snprintf(setting, sizeof setting, "$6$rounds=1000$%.16s", salt);
    digest = crypt_r(key, setting, data);
    if (digest && digest[0] != '*') {
        *ret_digest = strdup(digest);
        r = *ret_digest ? 0 : -ENOMEM;
    }
    explicit_bzero(data, sizeof *data);
    free(data);
    return r;
}

/* One row that somebody else holds keeps none of the others: the lane is shared. */
static const struct statement open_statement = {
    .name = "open an account",
    .text =
        "WITH known AS (\n"
        "    UPDATE chwsync.accounts SET provider = $1::text, last_used_at = now()\n"
        "     WHERE endpoint = $2::text AND key_digest = $3::text\n"
        "    RETURNING *\n"
        "), made AS (\n"
        "    INSERT INTO chwsync.accounts (provider, endpoint, key_digest)\n"
        "    SELECT $1::text, $2::text, $3::text WHERE NOT EXISTS (SELECT FROM known)\n"
        "    ON CONFLICT (endpoint, key_digest)\n" /* another instance, at this moment */
        "    DO UPDATE SET provider = excluded.provider, last_used_at = now()\n"
        "    RETURNING *\n"
        "), account AS (SELECT * FROM known UNION ALL SELECT * FROM made)\n"
        "SELECT a.id, CASE WHEN a.all_paused_until > now() THEN extract(epoch FROM "
        "a.all_paused_until - now())::bigint END,\n"
        "       CASE WHEN a.submits_paused_until = 'infinity' THEN 0\n"
        "            WHEN a.submits_paused_until > now() THEN extract(epoch FROM "
        "a.submits_paused_until - now())::bigint END,\n"
        "       a.pause_reason, extract(epoch FROM now() - m.minute)::bigint, m.adds + m.polls "
        "+ m.reads, m.adds,\n"
        "       b.configured_minute, b.configured_day, b.per_minute, b.per_day, b.burst, "
        "b.told_minute, b.told_day,\n"
        "       b.refusals, b.probing, b.largest_burst, b.clock_speed, b.usual_worth, "
        "b.planned_delay_s, b.measured_delay_s, b.commands, b.configured_burst,\n"
        "       a.out_of_funds_since IS NOT NULL, extract(epoch FROM now() - "
        "b.refused_at)::bigint,\n"
        "       extract(epoch FROM now() - b.raised_at)::bigint, extract(epoch FROM now() - "
        "b.day_raised_at)::bigint,\n"
        "       CASE WHEN m.minute > now() - interval '5 minutes' THEN\n"
        "            (SELECT string_agg(greatest(floor(extract(epoch FROM now() - e.ended_at)), "
        "0)::text, ' ' ORDER BY e.ended_at DESC)\n"
        "               FROM chwsync.attempts e\n"
        "              WHERE e.account_id = a.id AND e.claimed_at >= m.minute\n"
        "                AND e.claimed_at < m.minute + interval '1 minute' AND NOT e.open) END\n"
        "  FROM account a LEFT JOIN chwsync.budget_minutes m\n"
        "    ON m.account_id = a.id AND m.minute > now() - interval '1 day 10 minutes'\n"
        "  LEFT JOIN chwsync.budgets b ON b.account_id = a.id\n"
        " ORDER BY m.minute DESC NULLS LAST",
};

int accounts_open(struct connection *lane, const char *provider, const char *endpoint,
                  const char *digest, store_done done, void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {
        .statement = &open_statement, .values = &values, .lock_timeout_ms = 500};

    values_add_text(&values, provider);
    values_add_text(&values, endpoint);
    values_add_text(&values, digest);
    return connection_run(lane, &transaction, done, userdata);
}

static const struct statement pause_all_statement = {
    .name = "pause an account",
    .text = "UPDATE chwsync.accounts\n"
            "   SET all_paused_until = greatest(all_paused_until, now() + make_interval(secs => "
            "$2::bigint)),\n"
            "       last_error = coalesce($3::text, last_error),\n"
            "       last_error_at = CASE WHEN $3::text IS NULL THEN last_error_at ELSE now() END\n"
            " WHERE id = $1::int",
};

int accounts_pause_all(struct connection *lane, int account_id, int64_t seconds, const char *reason,
                       store_done done, void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {
        .statement = &pause_all_statement, .values = &values, .lock_timeout_ms = 500};

    values_add_integer(&values, account_id);
    values_add_integer(&values, seconds);
    values_add_text(&values, reason);
    return connection_run(lane, &transaction, done, userdata);
}

static const struct statement pause_submits_statement = {
    .name = "pause submits",
    .text = "UPDATE chwsync.accounts\n"
            "   SET submits_paused_until = CASE WHEN $3::text IS NOT NULL THEN now() + "
            "make_interval(secs => $2::bigint) END,\n"
            "       pause_reason = $3::text,\n"
            "       last_error = coalesce($3::text, last_error),\n"
            "       last_error_at = CASE WHEN $3::text IS NULL THEN last_error_at ELSE now() END\n"
            " WHERE id = $1::int",
};

int accounts_pause_submits(struct connection *lane, int account_id, int64_t seconds,
                           const char *reason, store_done done, void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {
        .statement = &pause_submits_statement, .values = &values, .lock_timeout_ms = 500};

    values_add_integer(&values, account_id);
    values_add_integer(&values, seconds);
    values_add_text(&values, reason);
    return connection_run(lane, &transaction, done, userdata);
}

static const struct statement note_error_statement = {
    .name = "note an error",
    .text = "UPDATE chwsync.accounts SET last_error = $2::text, last_error_at = now() WHERE id = "
            "$1::int",
};

int accounts_note_error(struct connection *lane, int account_id, const char *error, store_done done,
                        void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {
        .statement = &note_error_statement, .values = &values, .lock_timeout_ms = 500};

    values_add_integer(&values, account_id);
    values_add_text(&values, error);
    return connection_run(lane, &transaction, done, userdata);
}

static const struct statement count_statement = {
    .name = "count a request",
    .text = "INSERT INTO chwsync.budget_minutes AS b (account_id, minute, reads, polls)\n"
            "VALUES ($1::int, date_trunc('minute', now()), $2::int, $3::int)\n"
            "ON CONFLICT (account_id, minute) DO UPDATE\n"
            "   SET reads = b.reads + excluded.reads, polls = b.polls + excluded.polls",
};

static int count_requests(struct connection *lane, int account_id, unsigned reads, unsigned polls,
                          store_done done, void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {.statement = &count_statement, .values = &values};

    values_add_integer(&values, account_id);
    values_add_integer(&values, reads);
    values_add_integer(&values, polls);
    return connection_run(lane, &transaction, done, userdata);
}

int accounts_count_read(struct connection *lane, int account_id, unsigned count, store_done done,
                        void *userdata)
{
    return count_requests(lane, account_id, count, 0, done, userdata);
}

int accounts_count_poll(struct connection *lane, int account_id, unsigned count, store_done done,
                        void *userdata)
{
    return count_requests(lane, account_id, 0, count, done, userdata);
}

/*
 * A count of more than a hundred thousand open orders costs what a thousand batches cost: it is
 * made when asked for, and followed by what came and went meanwhile.
 */
/* clang-format off */
static const struct statement keep_statement = {
    .name = "keep a budget",
    .text =
        "WITH counted AS MATERIALIZED (\n"
        "    SELECT CASE WHEN $24::boolean THEN (SELECT count(*) FROM chwsync.polls p WHERE "
        "p.account_id = $1::int)\n"
        "                ELSE $25::bigint END AS open,\n"
        "           q.queued, q.last_s\n"
        "      FROM (SELECT count(*) AS queued, extract(epoch FROM max(q.next_at) - now()) AS last_s FROM chwsync.queue q\n"
        "             WHERE q.provider = $2::text AND q.next_at < now() + interval '1 day' AND q.held IS NULL) AS q\n"
        "), kept AS (\n"
        "    INSERT INTO chwsync.budgets AS b (account_id, configured_minute, configured_day, "
        "per_minute, per_day, burst,\n"
        "           told_minute, told_day, refusals, refused_at, day_ends_at, pace, probing, "
        "used_minute, used_day,\n"
        "           largest_burst, reserve, poll_rate, queued, open, clock_speed, usual_worth,\n"
        "           planned_delay_s, measured_delay_s, configured_burst, raised_at, day_raised_at)\n"
        "    SELECT $1::int, $3::int, $4::int, $5::int, $6::int, $7::int, $8::int, $9::int, "
        "$10::bigint,\n"
        "           now() - make_interval(secs => $11::float8), now() + make_interval(secs => "
        "$12::float8), $13::float8,\n"
        "           $14::boolean, $15::int, $16::int, $17::float8, $18::float8, $19::float8, "
        "c.queued,\n"
        "           c.open, $20::float8, $21::float8, $22::float8, $23::float8, $27::int,\n"
        "           now() - make_interval(secs => $28::float8), now() - make_interval(secs => $29::float8) FROM counted c\n"
        "     WHERE NOT EXISTS (SELECT FROM chwsync.leases l WHERE l.account_id = $1::int AND l.holder <> $26::uuid)\n"
        "    ON CONFLICT (account_id) DO UPDATE\n"
        "       SET configured_minute = excluded.configured_minute, configured_day = excluded.configured_day,\n"
        "           per_minute = excluded.per_minute, per_day = excluded.per_day, burst = excluded.burst,\n"
        "           told_minute = excluded.told_minute, told_day = excluded.told_day, refusals = excluded.refusals,\n"
        "           refused_at = coalesce(excluded.refused_at, b.refused_at), day_ends_at = excluded.day_ends_at,\n"
        "           pace = excluded.pace, probing = excluded.probing, used_minute = excluded.used_minute,\n"
        "           used_day = excluded.used_day, largest_burst = excluded.largest_burst, reserve = excluded.reserve,\n"
        "           poll_rate = excluded.poll_rate, queued = excluded.queued,\n"
        "           open = excluded.open, clock_speed = excluded.clock_speed, usual_worth = excluded.usual_worth,\n"
        "           planned_delay_s = excluded.planned_delay_s, measured_delay_s = excluded.measured_delay_s,\n"
        "           configured_burst = excluded.configured_burst, raised_at = excluded.raised_at,\n"
        "           day_raised_at = excluded.day_raised_at, kept_at = now()\n"
        ")\n"
        "SELECT c.open, c.queued, (SELECT coalesce(sum(m.ended), 0) FROM chwsync.budget_minutes m\n"
        "                           WHERE m.account_id = $1::int AND m.minute > now() - interval '1 day'),\n"
        "       (SELECT b.commands FROM chwsync.budgets b WHERE b.account_id = $1::int), c.last_s FROM counted c",
};
/* clang-format on */

static void add_seconds(struct values *values, double seconds)
{
    if (seconds >= 0)
        values_add_real(values, seconds);
    else
        values_add_text(values, NULL);
}

int accounts_keep(struct connection *lane, const struct budget_figures *figures, store_done done,
                  void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {
        .statement = &keep_statement, .values = &values, .by_index = true};

    values_add_integer(&values, figures->account_id);
    values_add_text(&values, figures->provider);
    values_add_integer(&values, figures->configured_minute);
    values_add_integer(&values, figures->configured_day);
    values_add_integer(&values, figures->per_minute);
    values_add_integer(&values, figures->per_day);
    values_add_integer(&values, figures->burst);
    values_add_integer(&values, figures->told_minute);
    values_add_integer(&values, figures->told_day);
    values_add_integer(&values, figures->refusals);
    add_seconds(&values, figures->refused_ago_s);
    add_seconds(&values, figures->day_left_s);
    values_add_real(&values, figures->pace);
    values_add_boolean(&values, figures->probing);
    values_add_integer(&values, figures->used_minute);
    values_add_integer(&values, figures->used_day);
    values_add_real(&values, figures->largest_burst);
    values_add_real(&values, figures->reserve);
    values_add_real(&values, figures->poll_rate);
    values_add_real(&values, figures->clock_speed);
    values_add_real(&values, figures->usual_worth);
    values_add_real(&values, figures->planned_delay_s);
    values_add_real(&values, figures->measured_delay_s);
    values_add_boolean(&values, figures->count_open);
    values_add_integer(&values, figures->open);
    values_add_text(&values, figures->instance);
    values_add_integer(&values, figures->configured_burst);
    values_add_real(&values, figures->raised_ago_s);
    values_add_real(&values, figures->day_raised_ago_s);
    return connection_run(lane, &transaction, done, userdata);
}

static const struct statement queue_end_statement = {
    .name = "keep where the queue ends",
    .text = "UPDATE chwsync.budgets SET queue_ends_at = now() + make_interval(secs => $3::float8)\n"
            " WHERE account_id = $1::int AND NOT EXISTS (SELECT FROM chwsync.leases l\n"
            "       WHERE l.account_id = $1::int AND l.holder <> $2::uuid)",
};

int accounts_keep_queue_end(struct connection *lane, int account_id, const char *instance,
                            double seconds, store_done done, void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {.statement = &queue_end_statement, .values = &values};

    values_add_integer(&values, account_id);
    values_add_text(&values, instance);
    add_seconds(&values, seconds);
    return connection_run(lane, &transaction, done, userdata);
}

/* The shop's own orders: the largest number of them in ten minutes of the last two weeks, above the
 * mean. */
/* clang-format off */
static const struct statement burst_statement = {
    .name = "find the largest burst",
    .text =
        "SELECT coalesce(max(t.lines) - sum(t.lines) / 2016.0, 0)::float8\n"
        "  FROM (SELECT count(*) AS lines\n"
        "          FROM (SELECT coalesce(o.shop_created_at, o.created_at) AS at FROM "
        "chwsync.orders o\n"
        "                 WHERE o.provider = $1::text ORDER BY o.id DESC LIMIT 100000) AS late\n"
        "         WHERE late.at > now() - interval '14 days'\n"
        "         GROUP BY floor(extract(epoch FROM late.at) / 600)) AS t",
};
/* clang-format on */

int accounts_largest_burst(struct connection *lane, const char *provider, store_done done,
                           void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {.statement = &burst_statement, .values = &values};

    values_add_text(&values, provider);
    return connection_run(lane, &transaction, done, userdata);
}
