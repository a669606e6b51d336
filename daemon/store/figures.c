#include "store/figures.h"
#include <math.h>

/* Two actions of ours may have one name on the wire. */
/* clang-format off */
static const struct statement requests_statement = {
    .name = "count ends of requests",
    .text =
        "INSERT INTO chwsync.request_counts AS c (account_id, action, outcome, requests)\n"
        "SELECT $1::int, n.action, n.outcome, sum(n.requests)\n"
        "  FROM unnest($2::text[], $3::text[], $4::bigint[]) AS n (action, outcome, requests)\n"
        " GROUP BY n.action, n.outcome ORDER BY n.action, n.outcome\n"
        "ON CONFLICT (account_id, action, outcome) DO UPDATE SET requests = c.requests + excluded.requests",
};
/* clang-format on */

int figures_add_requests(struct connection *lane, int account_id, const struct request_counts *now,
                         const struct request_counts *kept, store_done done, void *userdata)
{
    struct {
        const char *action, *outcome;
        int64_t requests;
    } news[ACTION_COUNT * REQUEST_END_COUNT];
    struct values values = {0};
    struct transaction transaction = {.statement = &requests_statement, .values = &values};
    size_t count = 0;

    for (int action = 0; action < ACTION_COUNT; action++) {
        for (int end = 0; end < REQUEST_END_COUNT; end++) {
            if (now->ended[action][end] == kept->ended[action][end])
                continue;
            news[count].action = api_action_name((enum api_action)action);
            news[count].outcome = request_end_name((enum request_end)end);
            news[count++].requests = (int64_t)(now->ended[action][end] - kept->ended[action][end]);
        }
    }
    values_add_integer(&values, account_id);
    VALUES_ADD_ARRAY(&values, news, count, values_add_text, action);
    VALUES_ADD_ARRAY(&values, news, count, values_add_text, outcome);
    VALUES_ADD_ARRAY(&values, news, count, values_add_integer, requests);
    return connection_run(lane, &transaction, done, userdata);
}

/* clang-format off */
static const struct statement told_statement = {
    .name = "count how late the shop was told",
    .text =
        "INSERT INTO chwsync.told_delays AS d (at_most_s, results, seconds)\n"
        "SELECT n.at_most_s::float8, n.results, n.seconds\n"
        "  FROM unnest($1::text[], $2::bigint[], $3::float8[]) AS n (at_most_s, results, seconds) ORDER BY 1\n"
        "ON CONFLICT (at_most_s) DO UPDATE SET results = d.results + excluded.results, seconds = d.seconds + excluded.seconds",
};
/* clang-format on */

int figures_add_told(struct connection *lane, const struct told_delays *now,
                     const struct told_delays *kept, store_done done, void *userdata)
{
    struct {
        char at_most_s[24];
        int64_t results;
        double seconds;
    } news[TOLD_STEPS];
    struct values values = {0};
    struct transaction transaction = {.statement = &told_statement, .values = &values};

    for (unsigned step = 0; step < TOLD_STEPS; step++) {
        double at_most_s = told_step_s(step);

        if (isinf(at_most_s))
            snprintf(news[step].at_most_s, sizeof news[step].at_most_s, "Infinity");
        else
            snprintf(news[step].at_most_s, sizeof news[step].at_most_s, "%.0f", at_most_s);
        news[step].results = (int64_t)(now->results[step] - kept->results[step]);
        news[step].seconds = now->seconds[step] - kept->seconds[step];
    }
    VALUES_ADD_ARRAY(&values, news, TOLD_STEPS, values_add_text, at_most_s);
    VALUES_ADD_ARRAY(&values, news, TOLD_STEPS, values_add_integer, results);
    VALUES_ADD_ARRAY(&values, news, TOLD_STEPS, values_add_real, seconds);
    return connection_run(lane, &transaction, done, userdata);
}
