#include "jobs/unconfigured.h"
#include "host/clock.h"
#include "host/events.h"
#include "store/unconfigured.h"

#define MARK_LIMIT 1000
#define LOOK_INTERVAL_US (60 * US_PER_S)

static void named(void *userdata, const struct store_answer *answer)
{
    struct unconfigured *unconfigured = userdata;
    struct log_entry entry = {
        .message_id = MESSAGE_NOT_CONFIGURED,
        .hint = "add them to the configuration and reload, or let the view name another provider; "
                "the lines go by themselves then (chwsyncd orders --state queued --provider NAME)"};
    const char *names;

    unconfigured->busy = false;
    if (answer->verdict != STORE_DONE)
        return;
    names = row_text(answer->rows, 0, 0);
    if (names)
        log_repeated(&unconfigured->names_log, LOG_LEVEL_WARNING, &entry,
                     "order lines wait for providers that are not configured: %s", names);
    else if (log_recovered(&unconfigured->names_log))
        log_event(LOG_LEVEL_NOTICE, MESSAGE_NOT_CONFIGURED,
                  "no order line waits for a provider that is not configured any more");
}

static void marked(void *userdata, const struct store_answer *answer)
{
    struct unconfigured *unconfigured = userdata;

    unconfigured->busy = false;
    if (answer->verdict != STORE_DONE) {
        unconfigured->next_us = clock_monotonic_us() + US_PER_S;
        return;
    }
    unconfigured->marked = row_integer(answer->rows, 0, 0, 0) < MARK_LIMIT;
    unconfigured->next_us = 0;
}

void unconfigured_wake(struct unconfigured *unconfigured)
{
    unconfigured->next_us = 0;
}

int64_t unconfigured_work(struct unconfigured *unconfigured, int64_t now_us)
{
    struct connection *lane = unconfigured->workshop->lanes.ledger;
    int r;

    if (unconfigured->busy || unconfigured->workshop->stopping || !connection_is_up(lane))
        return INT64_MAX;
    if (now_us < unconfigured->next_us)
        return unconfigured->next_us;
    unconfigured->next_us = now_us + LOOK_INTERVAL_US;
    if (unconfigured->marked)
        r = unconfigured_names(lane, unconfigured->providers, unconfigured->provider_count, named,
                               unconfigured);
    else
        r = unconfigured_mark(lane, unconfigured->providers, unconfigured->provider_count,
                              MARK_LIMIT, marked, unconfigured);
    unconfigured->busy = r == 0;
    return unconfigured->busy ? INT64_MAX : unconfigured->next_us;
}
