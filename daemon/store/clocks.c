#include "store/clocks.h"

#define MICROSECONDS(moment) "(extract(epoch FROM " moment ") * 1000000)::bigint"

/* clang-format off */
static const struct statement look_statement = {
    .name = "look at the clock",
    .text =
        "WITH kept AS (\n"
        "    INSERT INTO chwsync.clocks AS c (boot, seen_at, asked_us, told_us)\n"
        "    SELECT $1::uuid, to_timestamp($2::bigint / 1e6), $3::bigint, $4::bigint WHERE $2::bigint IS NOT NULL\n"
        "    ON CONFLICT (boot) DO UPDATE\n"
        "       SET seen_at = excluded.seen_at, asked_us = excluded.asked_us, told_us = excluded.told_us\n"
        ")\n"
        "SELECT " MICROSECONDS("clock_timestamp()") ", " MICROSECONDS("c.seen_at") ", c.asked_us, c.told_us,\n"
        "       (SELECT max(" MICROSECONDS("x.seen_at") ") FROM chwsync.clocks x WHERE x.boot <> $1::uuid)\n"
        "  FROM (SELECT $1::uuid AS boot) AS b LEFT JOIN chwsync.clocks c ON c.boot = b.boot",
};
/* clang-format on */

static void add_look(struct values *values, const struct clock_look *look)
{
    const int64_t numbers[] = {look ? look->server_us : 0, look ? look->asked_us : 0,
                               look ? look->told_us : 0};

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (look)
            values_add_integer(values, numbers[i]);
        else
            values_add_text(values, NULL);
    }
}

int clocks_look(struct connection *lane, const char *boot, const struct clock_look *last,
                store_done done, void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {.statement = &look_statement, .values = &values};

    values_add_text(&values, boot);
    add_look(&values, last);
    return connection_run(lane, &transaction, done, userdata);
}

static const struct statement move_statement = {
    .name = "move along with the clock",
    .text = "SELECT chwsync.clock_stepped($1::bigint, $2::bigint, $3::uuid, $4::uuid, $5::bigint, "
            "$6::bigint, $7::bigint)",
};

int clocks_move(struct connection *lane, const char *instance, const char *boot, int64_t step_us,
                int64_t since_us, const struct clock_look *after, store_done done, void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {.statement = &move_statement, .values = &values};

    values_add_integer(&values, step_us);
    values_add_integer(&values, since_us);
    values_add_text(&values, instance);
    values_add_text(&values, boot);
    add_look(&values, after);
    return connection_run(lane, &transaction, done, userdata);
}

/* clang-format off */
static const struct statement forget_statement = {
    .name = "forget old clocks",
    .text =
        "WITH steps AS (\n"
        "    DELETE FROM chwsync.clock_steps s WHERE $1::int > 0 AND s.at < now() - make_interval(days => $1::int) RETURNING 1\n"
        "), boots AS (\n"
        "    DELETE FROM chwsync.clocks c\n"
        "     WHERE c.seen_at < (SELECT max(x.seen_at) FROM chwsync.clocks x) - interval '7 days' RETURNING 1\n"
        ")\n"
        "SELECT (SELECT count(*) FROM steps) + (SELECT count(*) FROM boots)",
};
/* clang-format on */

int clocks_forget(struct connection *lane, unsigned days, store_done done, void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {.statement = &forget_statement, .values = &values};

    values_add_integer(&values, days);
    return connection_run(lane, &transaction, done, userdata);
}
