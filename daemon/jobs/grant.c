#include "jobs/grant.h"
#include "host/clock.h"
#include "host/events.h"
#include "store/slots.h"
#include <stdlib.h>
#include <string.h>

#define AGAIN_US US_PER_S
/* From the grant until the command has seen it and sent its request, beyond the request's own time
 * limit. */
#define ON_THE_WAY_US (15 * US_PER_S)

static struct connection *ledger_of(const struct grant *grant)
{
    return grant->workshop->lanes.ledger;
}

static void rest(struct grant *grant)
{
    grant->wanted = false;
    grant->next_us = INT64_MAX;
}

/* The ledger is away, or did not do it: whoever waits is seen again. */
static bool carried_out(struct grant *grant, const struct store_answer *answer)
{
    if (answer->verdict == STORE_REFUSED)
        log_repeated(&grant->fault_log, LOG_LEVEL_ERROR,
                     &(struct log_entry){.message_id = MESSAGE_LEDGER_FAILED,
                                         .provider = grant->account->config->name,
                                         .sqlstate = answer->sqlstate},
                     "unable to grant a command a request to provider %s: %s; next try in 1 s",
                     grant->account->config->name, answer->problem.text);
    if (answer->verdict == STORE_DONE)
        log_recovered(&grant->fault_log);
    return answer->verdict == STORE_DONE;
}

/* ---- slots that were lent ---- */

static void lend(struct grant *grant, int64_t now_us)
{
    client_lend(grant->account->client);
    grant->lent_until_us[grant->lent_count++] =
        now_us + grant->account->config->timeout_s * US_PER_S + ON_THE_WAY_US;
}

static void take_back(struct grant *grant, int64_t now_us)
{
    while (grant->lent_count > 0 && grant->lent_until_us[0] <= now_us) {
        client_lent_ended(grant->account->client, now_us);
        grant->lent_count--;
        memmove(grant->lent_until_us, grant->lent_until_us + 1,
                grant->lent_count * sizeof grant->lent_until_us[0]);
    }
}

/* ---- granting ---- */

static void granted(void *userdata, const struct store_answer *answer)
{
    struct grant *grant = userdata;
    int64_t now_us = clock_monotonic_us();

    grant->busy = false;
    if (answer->verdict == STORE_LOST) { /* perhaps it was granted */
        lend(grant, now_us);
        grant->next_us = now_us + AGAIN_US;
        return;
    }
    if (!carried_out(grant, answer) || PQntuples(answer->rows) == 0) {
        client_give_back(grant->account->client, 1, now_us);
        if (answer->verdict == STORE_DONE)
            rest(grant);
        else
            grant->next_us = now_us + AGAIN_US;
        return;
    }
    lend(grant, now_us);
    grant->account->commands++;
    grant->wanted_us = grant->next_us = now_us;
    if (row_integer(answer->rows, 0, 0, 0) <= 0)
        rest(grant);
}

/*
 * What a command learns from the provider is not told to us: after a refusal for rate the one
 * request that finds out is not a command's. While the key or the URL is refused, commands may go:
 * somebody looks whether another is better.
 */
static int64_t grant_one(struct grant *grant, int64_t now_us)
{
    struct account *account = grant->account;

    if (now_us - grant->wanted_us > SLOTS_PATIENCE_S * US_PER_S) { /* nobody waits for so long */
        rest(grant);
        return INT64_MAX;
    }
    if (!lease_holds(&account->lease) || grant->lent_count == GRANTS_LENT_MAX ||
        client_budget(account->client)->probe != BUDGET_PROBE_NONE)
        return now_us + AGAIN_US;
    if (client_take(account->client, BUDGET_READ, 1, 0, now_us) == 0)
        return client_next_us(account->client, BUDGET_READ, 0, now_us);
    grant->busy = slots_grant(ledger_of(grant), account->id, granted, grant) == 0;
    if (grant->busy)
        return INT64_MAX;
    client_give_back(account->client, 1, now_us);
    grant->next_us = now_us + AGAIN_US;
    return grant->next_us;
}

/* ---- looking ---- */

static void looked(void *userdata, const struct store_answer *answer)
{
    struct grant *grant = userdata;

    grant->busy = false;
    if (!carried_out(grant, answer)) {
        grant->next_us = clock_monotonic_us() + AGAIN_US;
        return;
    }
    if (row_integer(answer->rows, 0, 0, 0) <= 0 || grant->wanted)
        return;
    grant->wanted = true;
    grant->wanted_us = grant->next_us = clock_monotonic_us();
}

static int64_t look(struct grant *grant, int64_t now_us)
{
    grant->next_us = INT64_MAX;
    grant->busy = slots_look(ledger_of(grant), grant->account->id, looked, grant) == 0;
    if (!grant->busy)
        grant->next_us = now_us + AGAIN_US;
    return grant->next_us;
}

/* ---- the job ---- */

void grant_init(struct grant *grant, struct account *account)
{
    *grant = (struct grant){.account = account, .workshop = account->workshop};
}

void grant_wake(struct grant *grant, int64_t now_us)
{
    if (!grant->wanted && grant->next_us > now_us)
        grant->next_us = now_us;
}

void grant_note_wishes(struct grant *grant, const char *accounts, int64_t now_us)
{
    while (accounts && *accounts) {
        char *end;

        if (strtol(accounts, &end, 10) == grant->account->id)
            grant_wake(grant, now_us);
        if (end == accounts)
            return;
        accounts = end;
    }
}

int64_t grant_work(struct grant *grant, int64_t now_us)
{
    int64_t lent_us, next_us = grant->next_us;

    take_back(grant, now_us);
    if (!grant->busy && !grant->workshop->stopping && connection_is_up(ledger_of(grant)) &&
        now_us >= grant->next_us)
        next_us = grant->wanted ? grant_one(grant, now_us) : look(grant, now_us);
    else if (next_us <= now_us)
        next_us = INT64_MAX;
    lent_us = grant->lent_count > 0 ? grant->lent_until_us[0] : INT64_MAX;
    return next_us < lent_us ? next_us : lent_us;
}

bool grant_wants_lease(const struct grant *grant)
{
    return grant->wanted;
}

bool grant_is_quiet(const struct grant *grant)
{
    return !grant->busy;
}
