#include "jobs/figures.h"
#include "host/clock.h"
#include "store/figures.h"

#define KEEP_INTERVAL_US (10 * US_PER_S)

/* What could not be kept is counted the next time. After a lost connection it may be there already:
 * then it is counted twice, which costs nobody more than a wrong figure. */
static void say_refused(const struct store_answer *answer)
{
    if (answer->verdict == STORE_REFUSED)
        log_debug("unable to keep figures: %s", answer->problem.text);
}

static void requests_kept(void *userdata, const struct store_answer *answer)
{
    struct request_figures *figures = userdata;

    figures->busy = false;
    say_refused(answer);
    if (answer->verdict == STORE_DONE)
        figures->kept = figures->asked;
}

void request_figures_init(struct request_figures *figures, const struct account *account)
{
    *figures = (struct request_figures){.account = account};
}

int64_t request_figures_work(struct request_figures *figures, int64_t now_us)
{
    const struct account *account = figures->account;
    const struct request_counts *counts = client_counts(account->client);
    struct connection *lane = account->workshop->lanes.ledger;

    if (figures->busy || counts->all == figures->kept.all || !connection_is_up(lane))
        return INT64_MAX;
    if (now_us < figures->next_us && !account->workshop->stopping)
        return figures->next_us;
    figures->next_us = now_us + KEEP_INTERVAL_US;
    figures->asked = *counts;
    figures->busy = figures_add_requests(lane, account->id, &figures->asked, &figures->kept,
                                         requests_kept, figures) == 0;
    return figures->next_us;
}

static void told_kept(void *userdata, const struct store_answer *answer)
{
    struct told_figures *figures = userdata;

    figures->busy = false;
    say_refused(answer);
    if (answer->verdict == STORE_DONE)
        figures->kept = figures->asked;
}

void told_figures_init(struct told_figures *figures, struct workshop *workshop,
                       const struct told_delays *told)
{
    *figures = (struct told_figures){.workshop = workshop, .told = told};
}

int64_t told_figures_work(struct told_figures *figures, int64_t now_us)
{
    struct connection *lane = figures->workshop->lanes.ledger;

    if (figures->busy || figures->told->all == figures->kept.all || !connection_is_up(lane))
        return INT64_MAX;
    if (now_us < figures->next_us && !figures->workshop->stopping)
        return figures->next_us;
    figures->next_us = now_us + KEEP_INTERVAL_US;
    figures->asked = *figures->told;
    figures->busy =
        figures_add_told(lane, &figures->asked, &figures->kept, told_kept, figures) == 0;
    return figures->next_us;
}
