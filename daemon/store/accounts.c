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

static const struct statement open_statement = {
    .name = "open an account",
    .text = "WITH known AS (\n"
            "    UPDATE chwsync.accounts SET provider = $1::text, last_used_at = now()\n"
            "     WHERE endpoint = $2::text AND key_digest = $3::text\n"
            "    RETURNING *\n"
            "), made AS (\n"
            "    INSERT INTO chwsync.accounts (provider, endpoint, key_digest)\n"
            "    SELECT $1::text, $2::text, $3::text WHERE NOT EXISTS (SELECT FROM known)\n"
            "    RETURNING *\n"
            "), account AS (SELECT * FROM known UNION ALL SELECT * FROM made)\n"
            "SELECT a.id, CASE WHEN a.all_paused_until > now() THEN extract(epoch FROM "
            "a.all_paused_until - now())::bigint END,\n"
            "       CASE WHEN a.submits_paused_until = 'infinity' THEN 0\n"
            "            WHEN a.submits_paused_until > now() THEN extract(epoch FROM "
            "a.submits_paused_until - now())::bigint END,\n"
            "       a.pause_reason, extract(epoch FROM now() - m.minute)::bigint, m.adds + m.polls "
            "+ m.reads\n"
            "  FROM account a LEFT JOIN chwsync.budget_minutes m\n"
            "    ON m.account_id = a.id AND m.minute > now() - interval '1 day 1 minute'\n"
            " ORDER BY m.minute DESC NULLS LAST",
};

int accounts_open(struct connection *lane, const char *provider, const char *endpoint,
                  const char *digest, store_done done, void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {.statement = &open_statement, .values = &values};

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
            "       last_error = $3::text, last_error_at = now()\n"
            " WHERE id = $1::int",
};

int accounts_pause_all(struct connection *lane, int account_id, int64_t seconds, const char *reason,
                       store_done done, void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {.statement = &pause_all_statement, .values = &values};

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
    struct transaction transaction = {.statement = &pause_submits_statement, .values = &values};

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
    struct transaction transaction = {.statement = &note_error_statement, .values = &values};

    values_add_integer(&values, account_id);
    values_add_text(&values, error);
    return connection_run(lane, &transaction, done, userdata);
}

static const struct statement count_read_statement = {
    .name = "count a request",
    .text = "INSERT INTO chwsync.budget_minutes AS b (account_id, minute, reads)\n"
            "VALUES ($1::int, date_trunc('minute', now()), $2::int)\n"
            "ON CONFLICT (account_id, minute) DO UPDATE SET reads = b.reads + excluded.reads",
};

int accounts_count_read(struct connection *lane, int account_id, unsigned count, store_done done,
                        void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {.statement = &count_read_statement, .values = &values};

    values_add_integer(&values, account_id);
    values_add_integer(&values, count);
    return connection_run(lane, &transaction, done, userdata);
}
