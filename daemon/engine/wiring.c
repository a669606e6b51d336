#include "engine/wiring.h"
#include "host/clock.h"
#include "store/leases.h"

#define TAKEN_JUST_NOW_S 30 /* a lease, before the database's clock was found to be set */

/* Other statements are in force. */
static void shop_replaced(void *userdata)
{
    struct world *world = userdata;

    intake_wake(&world->intake);
    write_back_look(&world->write_back, clock_monotonic_us());
}

static void intake_looked(void *userdata, int64_t queue_due_s, int64_t write_back_due_s)
{
    struct world *world = userdata;
    int64_t now_us = clock_monotonic_us();

    for (size_t i = 0; i < world->provider_count; i++)
        submit_wake(&world->providers[i].submit, queue_due_s, now_us);
    if (queue_due_s == 0)
        unconfigured_wake(&world->unconfigured, now_us);
    if (write_back_due_s >= 0)
        write_back_wake(&world->write_back, write_back_due_s, now_us);
    else
        write_back_note_empty(&world->write_back);
    world->look_us = now_us + LOOK_ANYWAY_S * US_PER_S;
}

static void refills_told(void *userdata, const char *due)
{
    struct world *world = userdata;
    int64_t now_us = clock_monotonic_us();

    for (size_t i = 0; i < world->provider_count; i++)
        refill_note_due(&world->providers[i].refill, due, now_us);
}

static void wishes_told(void *userdata, const char *accounts)
{
    struct world *world = userdata;

    for (size_t i = 0; i < world->provider_count; i++)
        grant_note_wishes(&world->providers[i].grant, accounts, clock_monotonic_us());
}

static void clock_seen(void *userdata, const struct clock_look *look)
{
    struct world *world = userdata;

    clock_watch_note(&world->clock, look);
}

/*
 * A lease that we took just now may have ended by the step alone: its holder then goes on sending
 * until its own time is over, from a budget of which we know only what was counted before.
 */
static void clock_went_forward(void *userdata)
{
    struct world *world = userdata;
    int64_t now_us = clock_monotonic_us();

    for (size_t i = 0; i < world->provider_count; i++) {
        struct provider *provider = &world->providers[i];
        const struct lease *lease = &provider->account.lease;

        if (!lease->ours || lease->taken_us == 0 ||
            now_us - lease->taken_us > TAKEN_JUST_NOW_S * US_PER_S)
            continue;
        provider->account.opened = false;
        provider->open_us = now_us + LEASE_S * US_PER_S;
    }
}

/* What waited by the database's clock may be due. */
static void ledger_moved(void *userdata)
{
    struct world *world = userdata;
    int64_t now_us = clock_monotonic_us();

    intake_wake(&world->intake);
    for (size_t i = 0; i < world->provider_count; i++) {
        submit_look(&world->providers[i].submit);
        poll_wake(&world->providers[i].poll, 0, now_us);
        settle_wake(&world->providers[i].settle, now_us);
    }
    write_back_wake(&world->write_back, 0, now_us);
}

/* What was put back or ended is to be claimed, followed and told. */
static void ledger_agrees(void *userdata)
{
    struct world *world = userdata;
    int64_t now_us = clock_monotonic_us();

    for (size_t i = 0; i < world->provider_count; i++) {
        struct provider *provider = &world->providers[i];

        submit_look(&provider->submit);
        if (world->reconcile.found_bought && provider->account.open == 0)
            provider->account.open = 1; /* at least: looked for soon, then counted */
        poll_wake(&provider->poll, 0, now_us);
    }
    write_back_look(&world->write_back, now_us);
}

static void outcomes_recorded(void *userdata, unsigned accepted)
{
    struct provider *provider = userdata;
    int64_t now_us = clock_monotonic_us();

    write_back_wake(&provider->world->write_back, 0, now_us);
    provider->account.open += accepted;
    if (accepted)
        poll_wake(&provider->poll, 5, now_us);
}

static void statuses_applied(void *userdata)
{
    struct provider *provider = userdata;

    write_back_wake(&provider->world->write_back, 0, clock_monotonic_us());
}

static void rows_taken_over(void *userdata)
{
    struct provider *provider = userdata;

    if (provider->account.open == 0)
        provider->account.open = 1; /* at least: looked for soon, then counted */
    provider->account.count_us = 0;
    poll_wake(&provider->poll, 0, clock_monotonic_us());
    settle_wake(&provider->settle, clock_monotonic_us());
}

static void refill_recorded(void *userdata)
{
    struct provider *provider = userdata;

    recheck_wake(&provider->recheck, clock_monotonic_us());
}

/* `reopened` orders that had ended go on. */
static void rechecked(void *userdata, unsigned reopened)
{
    struct provider *provider = userdata;

    statuses_applied(provider);
    provider->account.open += reopened;
    if (reopened)
        poll_wake(&provider->poll, 5, clock_monotonic_us());
}

static void lost_order_found(void *userdata)
{
    struct provider *provider = userdata;

    statuses_applied(provider);
    if (provider->account.open == 0)
        provider->account.open = 1; /* at least: counted soon */
    poll_wake(&provider->poll, 0, clock_monotonic_us());
}

/* What waited is due: for a catalogue, for money. */
static void held_lines_are_due(void *userdata)
{
    struct provider *provider = userdata;

    submit_wake(&provider->submit, 0, clock_monotonic_us());
}

void world_look_anyway(struct world *world, int64_t now_us)
{
    intake_looked(world, 0, 0);
    for (size_t i = 0; i < world->provider_count; i++) {
        refill_wake(&world->providers[i].refill, now_us);
        grant_wake(&world->providers[i].grant, now_us);
    }
}

void provider_wire(struct provider *provider)
{
    provider->submit.on_recorded = outcomes_recorded;
    provider->submit.userdata = provider;
    provider->poll.on_applied = statuses_applied;
    provider->poll.userdata = provider;
    provider->poll.recheck = &provider->recheck;
    provider->settle.on_settled = lost_order_found;
    provider->settle.userdata = provider;
    provider->catalogue.on_stored = held_lines_are_due;
    provider->catalogue.userdata = provider;
    provider->compare.on_moved = rows_taken_over;
    provider->compare.userdata = provider;
    provider->balance.on_risen = held_lines_are_due;
    provider->balance.userdata = provider;
    provider->refill.on_recorded = refill_recorded;
    provider->refill.userdata = provider;
    provider->recheck.on_applied = rechecked;
    provider->recheck.userdata = provider;
}

void world_wire(struct world *world)
{
    world->clock.on_forward = clock_went_forward;
    world->clock.on_moved = ledger_moved;
    world->clock.userdata = world;
    world->reconcile.on_done = ledger_agrees;
    world->reconcile.userdata = world;
    world->contract.on_shop = shop_replaced;
    world->contract.userdata = world;
    world->intake.on_looked = intake_looked;
    world->intake.on_clock = clock_seen;
    world->intake.on_refills = refills_told;
    world->intake.on_wishes = wishes_told;
    world->intake.userdata = world;
}
