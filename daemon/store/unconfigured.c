#include "store/unconfigured.h"

/* As claims do it: the queue's row is locked before the order's. */
/* clang-format off */
static const struct statement mark_statement = {
    .name = "give reasons to lines without a provider",
    .text =
        "WITH wrong AS MATERIALIZED (\n"
        "    SELECT q.order_id, CASE WHEN q.provider <> ALL ($1::text[]) THEN format('" NOT_CONFIGURED "', q.provider) END AS reason\n"
        "      FROM chwsync.queue q JOIN chwsync.orders o ON o.id = q.order_id\n"
        "     WHERE o.state = 'queued'\n"
        "       AND CASE WHEN q.provider <> ALL ($1::text[]) THEN o.error IS DISTINCT FROM format('" NOT_CONFIGURED "', q.provider)\n"
        "                ELSE o.error LIKE 'provider \"%\" is not configured: %' END\n"
        "     LIMIT $2::int FOR UPDATE OF q SKIP LOCKED\n"
        "), mended AS (\n"
        "    UPDATE chwsync.orders o SET error = w.reason, updated_at = now()\n"
        "      FROM wrong w WHERE o.id = w.order_id AND o.state = 'queued'\n"
        "    RETURNING o.id\n"
        ")\n"
        "SELECT count(*) FROM mended",
};

/* From name to name in the index, however many lines wait for each. */
static const struct statement names_statement = {
    .name = "providers that lines wait for",
    .text =
        "WITH RECURSIVE name(provider) AS (\n"
        "    (SELECT q.provider FROM chwsync.queue q ORDER BY q.provider LIMIT 1)\n"
        "    UNION ALL\n"
        "    SELECT (SELECT q.provider FROM chwsync.queue q WHERE q.provider > n.provider ORDER BY q.provider LIMIT 1)\n"
        "      FROM name n WHERE n.provider IS NOT NULL\n"
        ")\n"
        "SELECT string_agg(format('\"%s\"', s.provider), ', ') FROM (\n"
        "    SELECT n.provider FROM name n WHERE n.provider <> ALL ($1::text[]) ORDER BY n.provider LIMIT 5) s",
};
/* clang-format on */

static int run(struct connection *lane, const struct statement *statement,
               const char *const *providers, size_t count, unsigned limit, store_done done,
               void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {.statement = statement, .values = &values, .by_index = true};

    values_begin_array(&values);
    for (size_t i = 0; i < count; i++)
        values_add_text(&values, providers[i]);
    values_end_array(&values);
    if (limit > 0)
        values_add_integer(&values, limit);
    return connection_run(lane, &transaction, done, userdata);
}

int unconfigured_mark(struct connection *lane, const char *const *providers, size_t count,
                      unsigned limit, store_done done, void *userdata)
{
    return run(lane, &mark_statement, providers, count, limit, done, userdata);
}

int unconfigured_names(struct connection *lane, const char *const *providers, size_t count,
                       store_done done, void *userdata)
{
    return run(lane, &names_statement, providers, count, 0, done, userdata);
}
