#include "store/comparisons.h"

/*
 * An earlier account matters while orders of it are open, and for a month after it was last worked
 * for: then the provider may still be asked about its orders. One without a known id cannot be
 * compared, and nothing of it could be asked for. $2 this instance, $3 and $4 the configured
 * accounts.
 */
/* clang-format off */
static const struct statement look_statement = {
    .name = "look for earlier accounts",
    .text =
        "WITH me AS MATERIALIZED (\n"
        "    SELECT a.id, a.provider FROM chwsync.accounts a WHERE a.id = $1::int\n"
        "), earlier AS MATERIALIZED (\n"
        "    SELECT e.id, e.endpoint, me.id AS account_id, l.holder <> $2::uuid AND l.expires_at > clock_timestamp() AS busy\n"
        "      FROM me JOIN chwsync.accounts e ON e.provider = me.provider AND e.id <> me.id\n"
        "      LEFT JOIN chwsync.leases l ON l.account_id = e.id\n"
        "     WHERE e.continued_by IS NULL\n"
        "       AND NOT EXISTS (SELECT FROM unnest($3::text[], $4::text[]) AS c(endpoint, digest)\n"
        "                        WHERE c.endpoint = e.endpoint AND c.digest = e.key_digest)\n"
        "       AND (EXISTS (SELECT FROM chwsync.polls p WHERE p.account_id = e.id)\n"
        "            OR EXISTS (SELECT FROM chwsync.attempts t WHERE t.account_id = e.id AND t.provider_order_id IS NOT NULL)\n"
        "               AND (l.expires_at > now() - interval '30 days'\n"
        "                    OR EXISTS (SELECT FROM chwsync.attempts t WHERE t.account_id = e.id AND t.open)))\n"
        "), noted AS (\n"
        "    INSERT INTO chwsync.account_comparisons (account_id, earlier_id)\n"
        "    SELECT e.account_id, e.id FROM earlier e\n"
        "     WHERE NOT EXISTS (SELECT FROM chwsync.account_comparisons o\n"
        "                        WHERE o.account_id = e.id AND o.earlier_id = e.account_id AND o.verdict = 'other')\n"
        "    ON CONFLICT (account_id, earlier_id) DO NOTHING\n"
        "    RETURNING earlier_id\n"
        "), open AS (\n"
        "    SELECT c.earlier_id, c.verdict, c.asked_at, c.evidence, c.decided_by FROM chwsync.account_comparisons c\n"
        "     WHERE c.account_id = $1::int\n"
        "       AND (c.verdict = 'same' AND (c.moved_at IS NULL\n"
        "                                    OR EXISTS (SELECT FROM chwsync.polls p WHERE p.account_id = c.earlier_id))\n"
        "           OR c.verdict IS NULL AND EXISTS (SELECT FROM earlier e WHERE e.id = c.earlier_id))\n"
        "    UNION ALL SELECT n.earlier_id, NULL, NULL, NULL, NULL FROM noted n\n"
        "), own AS (\n"
        "    UPDATE chwsync.accounts a SET continued_by = NULL\n"
        "     WHERE a.id = $1::int AND a.continued_by IS NOT NULL AND NOT EXISTS (SELECT FROM open)\n"
        ")\n"
        "SELECT o.earlier_id, a.endpoint, o.verdict IS NOT NULL, coalesce(e.busy, false),\n"
        "       extract(epoch FROM now() - o.asked_at)::bigint, o.evidence, o.decided_by\n"
        "  FROM open o JOIN chwsync.accounts a ON a.id = o.earlier_id LEFT JOIN earlier e ON e.id = o.earlier_id\n"
        " ORDER BY o.verdict IS NOT NULL DESC, o.earlier_id DESC",
};
/* clang-format on */

int comparisons_look(struct connection *lane, int account_id, const char *instance,
                     const struct configured_account *configured, size_t count, store_done done,
                     void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {
        .statement = &look_statement, .values = &values, .lock_timeout_ms = 500, .by_index = true};

    values_add_integer(&values, account_id);
    values_add_text(&values, instance);
    VALUES_ADD_ARRAY(&values, configured, count, values_add_text, endpoint);
    VALUES_ADD_ARRAY(&values, configured, count, values_add_text, digest);
    return connection_run(lane, &transaction, done, userdata);
}

static const struct statement known_statement = {
    .name = "ids of an earlier account",
    .text = "SELECT o.provider_order_id, o.charge::text, o.currency, o.start_count\n"
            "  FROM chwsync.orders o\n"
            " WHERE o.account_id = $1::int AND o.provider_order_id IS NOT NULL\n"
            " ORDER BY o.id DESC LIMIT $2::int",
};

int comparisons_known(struct connection *lane, int account_id, unsigned limit, store_done done,
                      void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {
        .statement = &known_statement, .values = &values, .by_index = true};

    values_add_integer(&values, account_id);
    values_add_integer(&values, limit);
    return connection_run(lane, &transaction, done, userdata);
}

static const struct statement say_statement = {
    .name = "say what a comparison found",
    .text = "UPDATE chwsync.account_comparisons\n"
            "   SET asked_at = now(), evidence = $3::text, verdict = CASE WHEN $4::boolean THEN "
            "'same' END,\n"
            "       decided_at = CASE WHEN $4::boolean THEN now() END\n"
            " WHERE account_id = $1::int AND earlier_id = $2::int AND verdict IS NULL",
};

int comparisons_say(struct connection *lane, int account_id, int earlier_id, const char *evidence,
                    bool same, store_done done, void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {.statement = &say_statement, .values = &values};

    values_add_integer(&values, account_id);
    values_add_integer(&values, earlier_id);
    values_add_text(&values, evidence);
    values_add_boolean(&values, same);
    return connection_run(lane, &transaction, done, userdata);
}

static const struct statement move_statement = {
    .name = "take over an account",
    .text = "SELECT chwsync.take_over($1::int, $2::int, $3::int)",
};

int comparisons_move(struct connection *lane, int account_id, int earlier_id, unsigned limit,
                     store_done done, void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {
        .statement = &move_statement, .values = &values, .lock_timeout_ms = 2000};

    values_add_integer(&values, earlier_id);
    values_add_integer(&values, account_id);
    values_add_integer(&values, limit);
    return connection_run(lane, &transaction, done, userdata);
}

/* ---- for operators ---- */

/* The account that a provider's name means: the one it was last opened as. */
#define CURRENT_ACCOUNTS                                                                           \
    "SELECT DISTINCT ON (a.provider) a.id, a.provider FROM chwsync.accounts a\n"                   \
    "         ORDER BY a.provider, a.last_used_at DESC"

enum session_verdict comparisons_undecided(struct session *session, PGresult **ret_rows,
                                           struct problem *reterr_problem)
{
    /* clang-format off */
    static const struct statement statement = {
        "undecided accounts",
        "WITH current AS (" CURRENT_ACCOUNTS ")\n"
        "SELECT u.provider, e.endpoint AS earlier_endpoint,\n"
        "       (SELECT count(*) FROM chwsync.polls p WHERE p.account_id = e.id) AS open_orders,\n"
        "       extract(epoch FROM c.found_at)::bigint AS found_at, c.evidence\n"
        "  FROM current u JOIN chwsync.account_comparisons c ON c.account_id = u.id AND c.verdict IS NULL\n"
        "  JOIN chwsync.accounts e ON e.id = c.earlier_id AND e.provider = u.provider AND e.continued_by IS NULL\n"
        " ORDER BY u.provider, c.earlier_id"};
    /* clang-format on */

    return session_run(session, &statement, NULL, 0, ret_rows, reterr_problem);
}

/* "Another" can be taken back, "the same" cannot: its rows are moved. */
enum session_verdict comparisons_decide(struct session *session, const char *provider, bool same,
                                        const char *who, const char *wake_channel,
                                        PGresult **ret_rows, struct problem *reterr_problem)
{
    /* clang-format off */
    static const struct statement statement = {
        "decide about accounts",
        "WITH current AS (" CURRENT_ACCOUNTS "),\n"
        "decided AS (\n"
        "    INSERT INTO chwsync.account_comparisons AS c (account_id, earlier_id, verdict, decided_at, decided_by)\n"
        "    SELECT u.id, e.id, $2::text, now(), $3::text FROM current u\n"
        "      JOIN chwsync.accounts e ON e.provider = u.provider AND e.id <> u.id AND e.continued_by IS NULL\n"
        "     WHERE u.provider = $1::text\n"
        "       AND (EXISTS (SELECT FROM chwsync.polls p WHERE p.account_id = e.id)\n"
        "            OR EXISTS (SELECT FROM chwsync.attempts t WHERE t.account_id = e.id\n"
        "                          AND (t.open OR t.provider_order_id IS NOT NULL)))\n"
        "    ON CONFLICT (account_id, earlier_id) DO UPDATE\n"
        "       SET verdict = excluded.verdict, decided_at = now(), decided_by = excluded.decided_by\n"
        "     WHERE c.verdict IS DISTINCT FROM excluded.verdict AND c.verdict IS DISTINCT FROM 'same'\n"
        "    RETURNING c.earlier_id\n"
        "), woken AS (\n"
        "    SELECT pg_notify($4::text, '') FROM decided WHERE $4::text IS NOT NULL\n"
        ")\n"
        "SELECT d.earlier_id, a.endpoint, (SELECT count(*) FROM woken) FROM decided d JOIN chwsync.accounts a ON a.id = d.earlier_id"};
    /* clang-format on */
    const char *values[] = {provider, same ? "same" : "other", who, wake_channel};

    return session_run(session, &statement, values, 4, ret_rows, reterr_problem);
}
