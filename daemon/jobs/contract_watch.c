#include "jobs/contract_watch.h"
#include "base/own.h"
#include "host/clock.h"
#include "host/events.h"
#include "store/contract_rehearsal.h"
#include <stdlib.h>
#include <string.h>

#define LOOK_AGAIN_S 30
#define REHEARSE_AFTER_US (300 * US_PER_MS) /* what is paid is looked for and claimed first */

/* ---- what was found ---- */

/* All faults; the first that stops intake says so. */
static void report_faults(const struct contract_watch *watch)
{
    const char *what_it_means =
        ": intake pauses, everything else goes on; looked at again every 30 s";

    for (size_t i = 0; i < watch->contract.fault_count; i++) {
        const struct contract_fault *fault = &watch->contract.faults[i];
        bool stops = fault->severity == CONTRACT_ERROR;

        log_write(
            fault->severity == CONTRACT_WARNING ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR,
            &(struct log_entry){.message_id = MESSAGE_CONTRACT_FAULT, .hint = fault->problem.hint},
            "%s%s", fault->problem.text, stops ? what_it_means : "");
        if (stops)
            what_it_means = "";
        if (fault->severity != CONTRACT_WARNING)
            workshop_note_error(watch->workshop, "%s", fault->problem.text);
    }
}

static void kept(void *userdata, const struct store_answer *answer)
{
    (void)userdata;
    if (answer->verdict == STORE_REFUSED)
        log_debug("unable to keep the contract's faults: %s", answer->problem.text);
}

/* Says and keeps all faults when they are other than before. */
static void compare_faults(struct contract_watch *watch)
{
    OWN(text_done) struct text all = {0};

    for (size_t i = 0; i < watch->contract.fault_count; i++)
        text_format(&all, "%s|", watch->contract.faults[i].problem.text);
    if (watch->said && strcmp(watch->said, text_string(&all)) == 0)
        return;
    free(watch->said);
    watch->said = strdup(text_string(&all));
    (void)contract_keep_faults(watch->workshop->lanes.ledger, &watch->contract, kept, NULL);
    if (watch->contract.fault_count > 0) {
        log_repeated(&watch->log, LOG_LEVEL_DEBUG, NULL,
                     "the contract with the shop has %zu faults", watch->contract.fault_count);
        report_faults(watch);
    } else if (log_recovered(&watch->log)) {
        log_event(LOG_LEVEL_NOTICE, MESSAGE_CONTRACT_WELL,
                  "the shop's view and function are as they should be");
        watch->workshop->last_error[0] = '\0';
    }
}

static void rehearsed(void *userdata, const struct store_answer *answer)
{
    struct contract_watch *watch = userdata;
    int r = 0;

    watch->rehearsing = false;
    switch (answer->verdict) {
    case STORE_DONE:
        r = contract_judge_rehearsal(&watch->contract, answer->rows);
        break;
    case STORE_REFUSED:
        r = contract_note_rehearsal_failed(&watch->contract, answer->sqlstate,
                                           answer->problem.text);
        break;
    case STORE_LOST:
        return; /* the next connection looks again */
    }
    if (r == 0)
        compare_faults(watch);
}

static bool can_rehearse(const struct contract *contract)
{
    return contract->function_wanted && contract_is_sound(contract, CONTRACT_LEDGER) &&
           contract_is_sound(contract, CONTRACT_VIEW) &&
           contract_is_sound(contract, CONTRACT_FUNCTION);
}

void contract_watch_rehearse(struct contract_watch *watch)
{
    if (watch->rehearse_us == 0 || watch->asking)
        return;
    watch->rehearse_us = 0;
    watch->rehearsing = contract_rehearse(watch->workshop->lanes.shop, &watch->contract,
                                          watch->timeout_s, rehearsed, watch) == 0;
    if (!watch->rehearsing)
        compare_faults(watch);
}

/* ---- looking ---- */

static void take_found_shop(struct contract_watch *watch, struct shop *shop)
{
    if (shop_equals(shop, watch->workshop->shop)) {
        shop_free(shop);
        return;
    }
    shop_free(watch->new_shop);
    watch->new_shop = shop;
}

static void looked(void *userdata, const struct store_answer *answer)
{
    struct contract_watch *watch = userdata;
    struct problem problem = {0};
    struct shop *shop = NULL;
    int64_t rehearse_us = watch->rehearse_us;

    watch->asking = false;
    watch->rehearse_us = 0; /* what was to be called may not be there any more */
    watch->next_us = clock_monotonic_us() + LOOK_AGAIN_S * US_PER_S;
    if (answer->verdict == STORE_LOST)
        return;
    if (answer->verdict == STORE_REFUSED) {
        log_repeated(
            &watch->log, LOG_LEVEL_ERROR,
            &(struct log_entry){.message_id = MESSAGE_CONTRACT_FAULT, .sqlstate = answer->sqlstate},
            "unable to look at the contract with the shop: %s; next try in %d s",
            answer->problem.text, LOOK_AGAIN_S);
        return;
    }
    contract_done(&watch->contract);
    if (contract_read(answer->rows, &watch->contract, &problem) != 0 ||
        shop_new(&watch->contract, watch->timeout_s, &shop) != 0)
        return;
    watch->workshop->contract_doubtful = false;
    if (shop_has_view(shop))
        watch->next_us = INT64_MAX; /* until a statement raises a doubt */
    take_found_shop(watch, shop);
    if (can_rehearse(&watch->contract))
        watch->rehearse_us =
            rehearse_us != 0 ? rehearse_us : clock_monotonic_us() + REHEARSE_AFTER_US;
    else
        compare_faults(watch);
}

static void look(struct contract_watch *watch)
{
    struct values values = {0};
    struct transaction transaction = {.statement = &contract_statement, .values = &values};

    values_add_text(&values, watch->view);
    values_add_text(&values, watch->function);
    watch->asking = connection_run(watch->workshop->lanes.orders, &transaction, looked, watch) == 0;
}

static void replace_shop(struct contract_watch *watch)
{
    struct workshop *workshop = watch->workshop;

    if (!watch->new_shop || (workshop->shop && !(connection_is_quiet(workshop->lanes.view) &&
                                                 connection_is_quiet(workshop->lanes.orders) &&
                                                 connection_is_quiet(workshop->lanes.shop))))
        return;
    shop_free(workshop->shop);
    workshop->shop = GIVE(watch->new_shop);
    watch->on_shop(watch->userdata);
}

void contract_watch_done(struct contract_watch *watch)
{
    contract_done(&watch->contract);
    shop_free(watch->new_shop);
    free(watch->said);
}

void contract_watch_wake(struct contract_watch *watch, int64_t now_us)
{
    watch->next_us = now_us;
}

int64_t contract_watch_work(struct contract_watch *watch, int64_t now_us)
{
    int64_t next_us = INT64_MAX;

    if (watch->workshop->contract_doubtful && watch->next_us == INT64_MAX)
        watch->next_us = now_us;
    /* Before another look: as long as statements raise doubts there is always one. */
    if (now_us >= watch->rehearse_us)
        contract_watch_rehearse(watch);
    else
        next_us = watch->rehearse_us;
    if (connection_is_up(watch->workshop->lanes.orders) && !watch->asking && !watch->rehearsing) {
        if (now_us >= watch->next_us)
            look(watch);
        else if (watch->next_us < next_us)
            next_us = watch->next_us;
    }
    replace_shop(watch);
    return next_us;
}

bool contract_watch_replaces(const struct contract_watch *watch)
{
    return watch->new_shop != NULL;
}
