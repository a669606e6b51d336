#include "store/slots.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* The account that this provider and endpoint used last. */
#define ACCOUNT                                                                                    \
    "account AS MATERIALIZED (\n"                                                                  \
    "    SELECT * FROM chwsync.accounts\n"                                                         \
    "     WHERE provider = $1::text AND endpoint = $2::text ORDER BY last_used_at DESC LIMIT 1\n"  \
    ")"
/* Seconds for which the provider asked to be left alone, NULL = none. */
#define PAUSE                                                                                      \
    "CASE WHEN a.all_paused_until > now()\n"                                                       \
    "     THEN ceil(extract(epoch FROM least(a.all_paused_until, now() + interval '30 days') - "   \
    "now())) END"
/* Likewise while the day is used up. */
#define DAY_PAUSE                                                                                  \
    "CASE WHEN b.per_day > 0 AND b.per_day <=\n"                                                   \
    "     (SELECT sum(u.adds + u.polls + u.reads) FROM chwsync.budget_minutes u\n"                 \
    "       WHERE u.account_id = a.id AND u.minute > now() - interval '1 day 1 minute'\n"          \
    "         AND (b.day_ends_at IS NULL OR u.minute >= b.day_ends_at - interval '1 day'))\n"      \
    "     THEN 600 END"
/* Wishes as old as that are no longer waited for. */
#define WAITS "b.wished_at > now() - interval '35 seconds'"
/* The daemon keeps its figures once a minute, also when it has nothing to do. */
#define LIVES "b.kept_at > now() - interval '75 seconds'"
#define WORKS                                                                                      \
    "EXISTS (SELECT FROM chwsync.leases l WHERE l.account_id = a.id AND l.expires_at > "           \
    "clock_timestamp())"

/* clang-format off */
enum session_verdict slots_wish(struct session *session, const char *provider, const char *endpoint,
                                struct slot_wish *ret_wish, struct problem *reterr_problem)
{
    static const struct statement statement = {
        "wish for a slot",
        "WITH " ACCOUNT ", paused AS MATERIALIZED (\n"
        "    SELECT greatest(" PAUSE ", " DAY_PAUSE ") AS s\n"
        "      FROM account a LEFT JOIN chwsync.budgets b ON b.account_id = a.id\n"
        "), wished AS (\n"
        "    UPDATE chwsync.budgets b\n"
        "       SET granted = CASE WHEN " WAITS " THEN b.granted ELSE b.wishes END, wishes = b.wishes + 1, wished_at = now()\n"
        "      FROM account a, paused p WHERE b.account_id = a.id AND p.s IS NULL\n"
        "    RETURNING b.wishes\n"
        ")\n"
        "SELECT coalesce((SELECT w.wishes FROM wished w), 0), coalesce((SELECT p.s FROM paused p), 0)::bigint,\n"
        "       coalesce(" WORKS ", false), coalesce(" LIVES ", false)\n"
        "  FROM (SELECT) AS one_row LEFT JOIN account a ON true LEFT JOIN chwsync.budgets b ON b.account_id = a.id"};
    OWN(rows_freep) PGresult *rows = NULL;
    const char *values[] = {provider, endpoint};
    enum session_verdict verdict =
        session_run(session, &statement, values, 2, &rows, reterr_problem);

    if (verdict == SESSION_DONE)
        *ret_wish = (struct slot_wish){.ticket = row_integer(rows, 0, 0, 0),
                                       .pause_s = row_integer(rows, 0, 1, 0),
                                       .works = row_boolean(rows, 0, 2),
                                       .lives = row_boolean(rows, 0, 3)};
    return verdict;
}

enum session_verdict slots_is_granted(struct session *session, const char *provider,
                                      const char *endpoint, int64_t ticket, bool *ret_is_granted,
                                      bool *ret_works, struct problem *reterr_problem)
{
    static const struct statement statement = {
        "whether a slot was granted",
        "WITH " ACCOUNT "\n"
        "SELECT b.granted >= $3::bigint, " WORKS "\n"
        "  FROM account a JOIN chwsync.budgets b ON b.account_id = a.id"};
    OWN(rows_freep) PGresult *rows = NULL;
    char number[24];
    const char *values[] = {provider, endpoint, number};
    enum session_verdict verdict;

    snprintf(number, sizeof number, "%" PRId64, ticket);
    verdict = session_run(session, &statement, values, 3, &rows, reterr_problem);
    if (verdict != SESSION_DONE)
        return verdict;
    *ret_is_granted = PQntuples(rows) > 0 && row_boolean(rows, 0, 0);
    *ret_works = PQntuples(rows) > 0 && row_boolean(rows, 0, 1);
    return verdict;
}

void slots_withdraw(struct session *session, const char *provider, const char *endpoint,
                    int64_t ticket)
{
    static const struct statement statement = {
        "withdraw a wish for a slot",
        "WITH " ACCOUNT "\n"
        "UPDATE chwsync.budgets b SET wished_at = NULL\n"
        "  FROM account a WHERE b.account_id = a.id AND b.wishes = $3::bigint"};
    struct problem ignored;
    char number[24];
    const char *values[] = {provider, endpoint, number};

    snprintf(number, sizeof number, "%" PRId64, ticket);
    (void)session_run(session, &statement, values, 3, NULL, &ignored);
}

/*
 * Commands count one after the other: each sees what those before it counted. A minute's cell does
 * not tell when in it requests left: one that may reach into the last 60 s counts whole.
 */
static enum session_verdict count(struct session *session, const char *const *values,
                                  int64_t *ret_pause_s, struct problem *reterr_problem)
{
    static const struct statement hold = {
        "hold a budget",
        "WITH " ACCOUNT "\n"
        "SELECT b.account_id FROM chwsync.budgets b JOIN account a ON b.account_id = a.id FOR UPDATE OF b"};
    static const struct statement take = {
        "count a command's request",
        "WITH " ACCOUNT ", room AS MATERIALIZED (\n"
        "    SELECT a.id, greatest(" PAUSE ", " DAY_PAUSE ",\n"
        "           CASE WHEN b.per_minute > 0 AND b.per_minute <=\n"
        "                (SELECT sum(u.adds + u.polls + u.reads) FROM chwsync.budget_minutes u\n"
        "                  WHERE u.account_id = a.id AND u.minute > now() - interval '2 minutes') THEN 60 END) AS pause_s\n"
        "      FROM account a LEFT JOIN chwsync.budgets b ON b.account_id = a.id\n"
        "), told AS (\n"
        "    UPDATE chwsync.budgets b SET commands = b.commands + 1 FROM room r WHERE b.account_id = r.id AND r.pause_s IS NULL\n"
        "), counted AS (\n"
        "    INSERT INTO chwsync.budget_minutes AS m (account_id, minute, reads)\n"
        "    SELECT r.id, date_trunc('minute', now()), 1 FROM room r WHERE r.pause_s IS NULL\n"
        "    ON CONFLICT (account_id, minute) DO UPDATE SET reads = m.reads + 1\n"
        ")\n"
        "SELECT coalesce((SELECT r.pause_s FROM room r), 0)::bigint"};
    OWN(rows_freep) PGresult *rows = NULL;
    enum session_verdict verdict = session_run(session, &hold, values, 2, NULL, reterr_problem);

    if (verdict == SESSION_DONE)
        verdict = session_run(session, &take, values, 2, &rows, reterr_problem);
    if (verdict == SESSION_DONE)
        *ret_pause_s = row_integer(rows, 0, 0, 0);
    return verdict;
}

enum session_verdict slots_count(struct session *session, const char *provider,
                                 const char *endpoint, int64_t *ret_pause_s,
                                 struct problem *reterr_problem)
{
    const char *values[] = {provider, endpoint};
    enum session_verdict verdict = session_begin(session, reterr_problem);

    if (verdict == SESSION_DONE)
        verdict = count(session, values, ret_pause_s, reterr_problem);
    if (verdict == SESSION_DONE)
        return session_commit(session, reterr_problem);
    session_rollback(session);
    return verdict;
}

static const struct statement look_statement = {
    .name = "look for wishes",
    .text = "SELECT coalesce((SELECT b.wishes - b.granted FROM chwsync.budgets b\n"
            "                  WHERE b.account_id = $1::int AND " WAITS "), 0)",
};

int slots_look(struct connection *lane, int account_id, store_done done, void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {.statement = &look_statement, .values = &values};

    values_add_integer(&values, account_id);
    return connection_run(lane, &transaction, done, userdata);
}

static const struct statement grant_statement = {
    .name = "grant a slot",
    .text = "WITH granted AS (\n"
            "    UPDATE chwsync.budgets b SET granted = b.granted + 1, commands = b.commands + 1\n"
            "     WHERE b.account_id = $1::int AND b.granted < b.wishes AND " WAITS "\n"
            "    RETURNING b.wishes - b.granted AS waiting\n"
            "), counted AS (\n"
            "    INSERT INTO chwsync.budget_minutes AS m (account_id, minute, reads)\n"
            "    SELECT $1::int, date_trunc('minute', now()), 1 FROM granted\n"
            "    ON CONFLICT (account_id, minute) DO UPDATE SET reads = m.reads + 1\n"
            ")\n"
            "SELECT g.waiting FROM granted g",
};

int slots_grant(struct connection *lane, int account_id, store_done done, void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {
        .statement = &grant_statement, .values = &values, .lock_timeout_ms = 500};

    values_add_integer(&values, account_id);
    return connection_run(lane, &transaction, done, userdata);
}
/* clang-format on */
