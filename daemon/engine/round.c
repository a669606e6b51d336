#include "engine/round.h"
#include "engine/preparation.h"
#include "engine/wiring.h"

static bool accounts_are_open(const struct world *world)
{
    for (size_t i = 0; i < world->provider_count; i++)
        if (!world->providers[i].account.opened)
            return false;
    return true;
}

/* Without an open order a poll that is due is a look for some that others have added. */
static enum lease_wish wish_for_lease(const struct provider *provider, int64_t now_us)
{
    bool polls_due = provider->poll.next_us <= now_us;

    if (submit_wants_lease(&provider->submit) || settle_wants_lease(&provider->settle) ||
        catalogue_wants_lease(&provider->catalogue) || compare_wants_lease(&provider->compare) ||
        balance_wants_lease(&provider->balance) || refill_wants_lease(&provider->refill, now_us) ||
        recheck_wants_lease(&provider->recheck, now_us) || grant_wants_lease(&provider->grant) ||
        (polls_due && provider->account.open > 0))
        return LEASE_FOR_WORK;
    return polls_due || submit_wants_look(&provider->submit) ? LEASE_FOR_A_LOOK : LEASE_NOT_WANTED;
}

static int64_t provider_work(struct provider *provider, int64_t now_us)
{
    int64_t next_us = lease_work(&provider->account, wish_for_lease(provider, now_us), now_us);

    /* Polls ask the gate first: while adds wait they get one slot in twenty, and only their
     * own. */
    next_us = earlier(next_us, compare_work(&provider->compare, now_us));
    next_us = earlier(next_us, settle_work(&provider->settle, now_us));
    next_us = earlier(next_us, catalogue_work(&provider->catalogue, now_us));
    next_us = earlier(next_us, balance_work(&provider->balance, now_us));
    next_us = earlier(next_us, refill_work(&provider->refill, now_us));
    next_us = earlier(next_us, recheck_work(&provider->recheck, now_us));
    next_us = earlier(next_us, grant_work(&provider->grant, now_us));
    if (lease_holds(&provider->account.lease) || provider->poll.next_us > now_us)
        next_us = earlier(next_us, poll_work(&provider->poll, now_us));
    next_us = earlier(next_us, submit_work(&provider->submit, now_us));
    next_us = earlier(next_us, account_work(&provider->account, now_us));
    next_us = earlier(next_us, request_figures_work(&provider->figures, now_us));
    return next_us;
}

int64_t world_work(struct world *world, int64_t now_us)
{
    int64_t next_us = world_prepare(world, now_us);

    if (!world->ledger_known || contract_watch_replaces(&world->contract))
        return next_us;
    /* What is put back belongs to one of them. */
    if (accounts_are_open(world) || now_us >= world->accounts_us)
        next_us = earlier(next_us, reconcile_work(&world->reconcile, now_us));
    else
        next_us = earlier(next_us, world->accounts_us);
    next_us = earlier(next_us, unconfigured_work(&world->unconfigured, now_us));
    next_us = earlier(next_us, intake_work(&world->intake, now_us));
    next_us = earlier(next_us, pulse_work(&world->pulse, now_us));
    next_us = earlier(next_us, told_figures_work(&world->told, now_us));
    if (now_us >= world->look_us)
        world_look_anyway(world, now_us);
    next_us = earlier(next_us, world->look_us);
    for (size_t i = 0; i < world->provider_count; i++)
        if (world->providers[i].account.opened)
            next_us = earlier(next_us, provider_work(&world->providers[i], now_us));
    if (!write_back_is_quiet(&world->write_back, now_us))
        contract_watch_rehearse(&world->contract);
    return earlier(next_us, write_back_work(&world->write_back, now_us));
}
