#include "engine/reload.h"
#include "base/own.h"
#include "engine/lanes.h"
#include "host/clock.h"
#include "host/events.h"
#include "host/notify.h"
#include <string.h>

DEFINE_OWN(struct world, world_free, world_freep)

#define RELOAD_PATIENCE_US (10 * US_PER_S) /* for a database that is up to record outcomes */

int world_read_configuration(const char *path, const char *message_id, struct config **ret_config)
{
    struct config_faults faults = {0};
    int r = config_load(path, ret_config, &faults);

    if (r != 1)
        return r;
    for (size_t i = 0; i < faults.count; i++) {
        struct problem problem;

        config_fault_describe(&faults.faults[i], path, &problem);
        log_write(LOG_LEVEL_ERROR,
                  &(struct log_entry){.message_id = message_id, .hint = problem.hint}, "%s",
                  problem.text);
    }
    config_faults_done(&faults);
    return r;
}

bool world_is_settled(const struct world *world)
{
    for (size_t i = 0; i < world->provider_count; i++)
        if (world->providers[i].submit.ambiguous_claim != 0)
            return false;
    return world_is_quiet(world);
}

bool world_can_be_left(const struct world *world, int64_t asked_us, int64_t now_us)
{
    const struct lanes *lanes = &world->workshop.lanes;
    bool away = !connection_is_up(lanes->ledger) || !connection_is_up(lanes->orders);

    if (!away && now_us < asked_us + RELOAD_PATIENCE_US)
        return false;
    for (size_t i = 0; i < world->provider_count; i++)
        if (!submit_can_be_left(&world->providers[i].submit))
            return false;
    return true;
}

/* A provider that asked to be left alone is left alone by the new world too. */
static void keep_pauses(const struct world *old, struct world *world)
{
    for (size_t i = 0; i < world->provider_count; i++)
        for (size_t j = 0; j < old->provider_count; j++)
            if (strcmp(world->config->providers[i].url, old->config->providers[j].url) == 0 &&
                strcmp(world->providers[i].key.text, old->providers[j].key.text) == 0)
                budget_pause(client_budget(world->providers[i].account.client),
                             client_budget(old->providers[j].account.client)->paused_until_us);
}

static void leave_world(struct world *world)
{
    unsigned unrecorded = 0;

    for (size_t i = 0; i < world->provider_count; i++)
        unrecorded += submit_leave(&world->providers[i].submit);
    log_event(LOG_LEVEL_NOTICE, MESSAGE_RELOAD_BY_JOURNAL,
              "reloading without the database: %u answers that it lacks stand in the flight "
              "journal, and are recorded from there before anything is bought",
              unrecorded);
}

/* When the old world is left unsettled, the ground gets another instance and another journal; the
 * caller keeps those of before. Not 0: refused, with a problem unless it was told already. */
static int make_next(struct ground *ground, const char *config_path, bool settled,
                     struct world **ret_world, struct problem *reterr_problem)
{
    OWN(world_freep) struct world *world = NULL;
    struct config *config = NULL;
    int r = world_read_configuration(config_path, MESSAGE_RELOAD_REFUSED, &config);

    if (r != 0)
        return r;
    if (!settled) {
        ground_name_instance(ground);
        r = flight_journal_new(flight_journal_directory(ground->journal), &ground->journal);
        if (r != 0) {
            config_free(config);
            return r;
        }
    }
    r = world_new(ground, config, &world, reterr_problem);
    if (r == 0)
        r = world_open_lanes(world);
    if (r == 0)
        *ret_world = GIVE(world);
    return r;
}

static void tell_refused(const struct problem *problem)
{
    log_write(LOG_LEVEL_ERROR,
              &(struct log_entry){.message_id = MESSAGE_RELOAD_REFUSED, .hint = problem->hint},
              "the new configuration is refused, the old one stays in force%s%s",
              problem->text[0] ? ": " : "", problem->text);
    notify_ready();
}

/* The flight journal is the process's. */
static void tell_what_waits(const struct world *world)
{
    const char *wanted = world->config->state_directory,
               *used = flight_journal_directory(world->ground->journal);

    if (strcmp(wanted, used) != 0)
        log_write(LOG_LEVEL_WARNING,
                  &(struct log_entry){.message_id = MESSAGE_RELOADED,
                                      .hint = "systemctl restart chwsyncd"},
                  "state_directory %s comes into force at the next start: until then the flight "
                  "journal stays in %s",
                  wanted, used);
}

void world_reload(struct world **world, const char *config_path, bool settled)
{
    struct world *old = *world, *next = NULL;
    struct ground *ground = old->ground;
    struct flight_journal *journal = ground->journal;
    char instance[sizeof ground->instance];
    struct problem problem = {0};

    old->workshop.stopping = false;
    memcpy(instance, ground->instance, sizeof instance);
    if (make_next(ground, config_path, settled, &next, &problem) != 0) {
        if (ground->journal != journal)
            flight_journal_free(ground->journal);
        ground->journal = journal;
        memcpy(ground->instance, instance, sizeof instance);
        tell_refused(&problem);
        return;
    }
    keep_pauses(old, next);
    if (!settled)
        leave_world(old);
    *world = next;
    world_free(old);
    if (ground->journal != journal)
        flight_journal_free(journal); /* its locks end: it is a dead one from now on */
    log_open(next->config->log_level, next->config->log_target);
    log_event(LOG_LEVEL_NOTICE, MESSAGE_RELOADED, "the configuration %s is in force", config_path);
    tell_what_waits(next);
    notify_ready();
}
