#include "engine/lanes.h"
#include "base/own.h"
#include "host/clock.h"
#include "host/credentials.h"
#include "host/events.h"
#include <stdlib.h>

DEFINE_OWN(char, free, string_freep)

#define SETTLE_AFTER_US (300 * US_PER_MS) /* the wake-up is far more often for a paid line */

static void lane_up(void *userdata)
{
    struct world *world = userdata;
    int64_t now_us = clock_monotonic_us();

    if (log_recovered(&world->ground->down_log)) {
        log_event(LOG_LEVEL_NOTICE, MESSAGE_DATABASE_BACK, "the database is back");
        world->workshop.last_error[0] = '\0';
    }
    if (!world->ledger_known)
        world->ledger_us = now_us;
    clock_watch_wake(&world->clock);
    reconcile_wake(&world->reconcile);
    contract_watch_wake(&world->contract, now_us);
    intake_wake(&world->intake);
    for (size_t i = 0; i < world->provider_count; i++) {
        submit_look(&world->providers[i].submit);
        poll_wake(&world->providers[i].poll, 0, now_us);
    }
    write_back_look(&world->write_back, now_us);
}

static void lane_down(void *userdata, const struct problem *problem, int64_t retry_us)
{
    struct world *world = userdata;

    (void)retry_us;
    log_repeated(&world->ground->down_log, LOG_LEVEL_ERROR,
                 &(struct log_entry){.message_id = MESSAGE_DATABASE_AWAY, .hint = problem->hint},
                 "the database is away: %s; trying again, at most 30 s apart", problem->text);
    workshop_note_error(&world->workshop, "database: %s", problem->text);
}

static void woken(void *userdata)
{
    struct world *world = userdata;
    int64_t later_us = clock_monotonic_us() + SETTLE_AFTER_US;

    intake_wake(&world->intake);
    for (size_t i = 0; i < world->provider_count; i++) {
        settle_wake(&world->providers[i].settle, later_us);
        catalogue_wake(&world->providers[i].catalogue, later_us);
        compare_wake(&world->providers[i].compare, clock_monotonic_us());
        grant_wake(&world->providers[i].grant, later_us); /* at once when the intake tells */
    }
}

static int open_lane(struct world *world, const char *name, const char *conninfo,
                     const char *channel, struct connection **ret_lane)
{
    OWN(string_freep)
    char *passfile = credentials_path(world->ground->credentials_directory, "pgpass");
    struct connection_options options = {.name = name,
                                         .conninfo = conninfo,
                                         .passfile = passfile,
                                         .listen_channel = channel,
                                         .on_up = lane_up,
                                         .on_down = lane_down,
                                         .on_notify = woken,
                                         .userdata = world};

    return connection_new(world->ground->event, &options, ret_lane);
}

int world_open_lanes(struct world *world)
{
    const struct config *config = world->config;
    struct lanes *lanes = &world->workshop.lanes;
    const char *channel = config->wake_conninfo ? NULL : config->wake_channel;
    int r = open_lane(world, "ledger", config->conninfo, NULL, &lanes->ledger);

    if (r == 0)
        r = open_lane(world, "view", config->conninfo, channel, &lanes->view);
    if (r == 0)
        r = open_lane(world, "orders", config->conninfo, NULL, &lanes->orders);
    if (r == 0)
        r = open_lane(world, "shop", config->conninfo, NULL, &lanes->shop);
    if (r == 0 && config->wake_conninfo && config->wake_channel)
        r = open_lane(world, "wake", config->wake_conninfo, config->wake_channel, &world->wake);
    return r;
}
