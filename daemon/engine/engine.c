#include "engine/engine.h"
#include "base/own.h"
#include "engine/lanes.h"
#include "engine/reload.h"
#include "engine/round.h"
#include "engine/world.h"
#include "host/clock.h"
#include "host/crash_point.h"
#include "host/events.h"
#include "host/notify.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATUS_INTERVAL_US (10 * US_PER_S)
#define DRAIN_S 45        /* at least; below TimeoutStopSec=60 */
#define DRAIN_MARGIN_S 15 /* to record what came last */
#define EXTEND_US (15 * US_PER_S)
#define LOOP_WAIT_MAX_US (60 * US_PER_S)

struct engine {
    char *config_path;
    struct ground ground; /* owned by the engine, what is in it too */
    struct world *world;
    sd_event_source *signals[4];
    bool stop_asked, reload_asked, draining;
    int64_t drain_until_us, leases_until_us, reload_asked_us;
    int64_t status_us, watchdog_us, watchdog_interval_us, extend_us;
};

/* ---- signals ---- */

/* A reply may take as long as its provider's time-out, and then it is recorded. */
static int64_t drain_time_us(const struct engine *engine)
{
    const struct config *config = engine->world->config;
    int64_t longest_s = DRAIN_S;

    for (size_t i = 0; i < config->provider_count; i++)
        if (config->providers[i].timeout_s + DRAIN_MARGIN_S > longest_s)
            longest_s = config->providers[i].timeout_s + DRAIN_MARGIN_S;
    return longest_s * US_PER_S;
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
    struct engine *engine = userdata;

    (void)source;
    if (info->ssi_signo == SIGHUP) {
        if (!engine->stop_asked) {
            log_notice("reloading: what is on the wire is finished first, within %lld s at most",
                       (long long)(drain_time_us(engine) / US_PER_S));
            notify_reloading();
            engine->reload_asked = true;
            engine->reload_asked_us = clock_monotonic_us();
            engine->world->workshop.stopping = true;
        }
        return 0;
    }
    if (engine->stop_asked)
        return 0;
    log_event(LOG_LEVEL_NOTICE, MESSAGE_STOPPING,
              "stopping: what is on the wire is finished and recorded first");
    notify_stopping();
    engine->stop_asked = true;
    engine->reload_asked = false; /* its end would let jobs begin anew */
    engine->drain_until_us = clock_monotonic_us() + drain_time_us(engine);
    engine->world->workshop.stopping = true;
    return 0;
}

static int take_signals(struct engine *engine)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        sigaddset(&set, numbers[i]);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -errno;
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        int r = sd_event_add_signal(engine->ground.event, &engine->signals[i], numbers[i],
                                    on_signal, engine);

        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- the loop ---- */

/* One line for `systemctl status`: the pulse. */
static void tell_status(struct engine *engine, int64_t now_us)
{
    struct world *world = engine->world;
    struct pulse_sum sum = {0};
    char line[600];

    engine->status_us = now_us + STATUS_INTERVAL_US;
    for (size_t i = 0; i < world->provider_count; i++) {
        pulse_add(&sum, &world->providers[i].submit, &world->providers[i].poll, now_us);
        pulse_add_balance(&sum, &world->providers[i].account, world->provider_count == 1);
    }
    pulse_line(&world->pulse, &sum, line, sizeof line);
    notify_status(line);
}

/* A request whose time-out has long passed: the loop turns, and gets nowhere. */
static bool is_stuck(const struct engine *engine, int64_t now_us)
{
    for (size_t i = 0; i < engine->world->provider_count; i++)
        if (submit_is_stuck(&engine->world->providers[i].submit, now_us))
            return true;
    return false;
}

/*
 * The loop turns only when nothing in it blocks, and requests end in their time: that is the
 * progress the watchdog is told of. A stop gets more time while it lasts.
 */
static int64_t tend(struct engine *engine, int64_t now_us)
{
    if (now_us >= engine->status_us)
        tell_status(engine, now_us);
    if (engine->stop_asked && now_us >= engine->extend_us) {
        notify_extend_timeout(EXTEND_US);
        engine->extend_us = now_us + EXTEND_US / 3;
    }
    if (engine->watchdog_interval_us == 0)
        return engine->status_us;
    if (now_us >= engine->watchdog_us) {
        if (!is_stuck(engine, now_us))
            notify_watchdog();
        engine->watchdog_us = now_us + engine->watchdog_interval_us;
    }
    return earlier(engine->status_us, engine->watchdog_us);
}

/* Events a turn handles at the most, so that a flood of them cannot keep the jobs from working. */
#define EVENTS_A_TURN 16

static int turn(struct engine *engine, int64_t wait_us)
{
    int r = sd_event_prepare(engine->ground.event);

    if (r == 0) {
        int fault = transport_wait(engine->ground.transport, sd_event_get_fd(engine->ground.event),
                                   wait_us);

        if (fault < 0)
            return fault;
        r = sd_event_wait(engine->ground.event, 0);
    }
    if (r > 0)
        r = sd_event_dispatch(engine->ground.event);
    for (int i = 0; i < EVENTS_A_TURN && r > 0; i++)
        r = sd_event_run(engine->ground.event, 0);
    return r < 0 ? r : transport_work(engine->ground.transport);
}

/* So that another instance, or the next run, need not wait for them to expire. */
static bool leases_given_up(struct engine *engine, int64_t now_us)
{
    struct world *world = engine->world;

    if (!engine->draining) {
        engine->draining = true;
        engine->leases_until_us = now_us + US_PER_S;
        for (size_t i = 0; i < world->provider_count; i++)
            lease_give_up(&world->providers[i].account);
    }
    return connection_is_quiet(world->workshop.lanes.ledger) ||
           !connection_is_up(world->workshop.lanes.ledger) || now_us >= engine->leases_until_us;
}

static bool is_finished(struct engine *engine, int64_t now_us, int *ret_end)
{
    if (engine->ground.schema_newer) {
        *ret_end = ENGINE_SCHEMA_NEWER;
        return true;
    }
    if (!engine->stop_asked)
        return false;
    if (world_is_quiet(engine->world) && leases_given_up(engine, now_us)) {
        *ret_end = ENGINE_STOPPED;
        return true;
    }
    if (now_us < engine->drain_until_us)
        return false;
    log_event(LOG_LEVEL_ERROR, MESSAGE_STOPPED_LATE,
              "stopped before everything was recorded: the orders on the wire become uncertain at "
              "the next start");
    *ret_end = ENGINE_STOPPED_LATE;
    return true;
}

int engine_run(struct engine *engine)
{
    int end = ENGINE_STOPPED, r = world_open_lanes(engine->world);

    if (r < 0)
        return r;
    log_event(LOG_LEVEL_NOTICE, MESSAGE_STARTED, "started: chwsyncd %s, %zu provider%s",
              CHWSYNCD_VERSION, engine->world->provider_count,
              engine->world->provider_count == 1 ? "" : "s");
    notify_ready();
    for (;;) {
        int64_t now_us = clock_monotonic_us(), next_us;

        if (engine->reload_asked) {
            bool settled = world_is_settled(engine->world);

            if (settled || world_can_be_left(engine->world, engine->reload_asked_us, now_us)) {
                engine->reload_asked = false;
                world_reload(&engine->world, engine->config_path, settled);
            }
        }
        next_us = earlier(world_work(engine->world, now_us), tend(engine, now_us));
        if (is_finished(engine, now_us, &end))
            return end;
        if (engine->stop_asked || engine->reload_asked)
            next_us = earlier(next_us, now_us + US_PER_S);
        now_us = clock_monotonic_us();
        next_us = earlier(next_us, now_us + LOOP_WAIT_MAX_US);
        r = turn(engine, next_us > now_us ? next_us - now_us : 0);
        CRASH_POINT("turn");
        if (r < 0)
            return r;
    }
}

/* ---- the engine ---- */

static int load(struct engine *engine, struct problem *reterr_problem)
{
    struct config *config = NULL;
    int r = world_read_configuration(engine->config_path, MESSAGE_START_FAILED, &config);

    if (r < 0)
        return r;
    if (r == 1) {
        problem_set(reterr_problem, "the configuration is wrong");
        return ENGINE_WRONG_CONFIGURATION;
    }
    log_open(config->log_level, config->log_target);
    r = flight_journal_new(config->state_directory, &engine->ground.journal);
    if (r < 0) {
        config_free(config);
        return r;
    }
    return world_new(&engine->ground, config, &engine->world, reterr_problem);
}

int engine_new(const char *config_path, const char *credentials_directory,
               struct engine **ret_engine, struct problem *reterr_problem)
{
    struct engine *engine = calloc(1, sizeof *engine);
    int r;

    if (!engine)
        return -ENOMEM;
    ground_name_instance(&engine->ground);
    engine->config_path = strdup(config_path);
    engine->ground.credentials_directory = credentials_directory;
    engine->watchdog_interval_us = notify_watchdog_interval_us();
    r = engine->config_path ? 0 : -ENOMEM;
    if (r == 0)
        r = sd_event_new(&engine->ground.event);
    if (r >= 0)
        r = take_signals(engine);
    if (r >= 0)
        r = transport_new(&engine->ground.transport);
    if (r >= 0)
        r = load(engine, reterr_problem);
    if (r != ENGINE_READY) {
        engine_free(engine);
        return r;
    }
    *ret_engine = engine;
    return ENGINE_READY;
}

void engine_free(struct engine *engine)
{
    if (!engine)
        return;
    world_free(engine->world);
    flight_journal_free(engine->ground.journal);
    transport_free(engine->ground.transport);
    for (size_t i = 0; i < COUNT_OF(engine->signals); i++)
        sd_event_source_unref(engine->signals[i]);
    sd_event_unref(engine->ground.event);
    free(engine->config_path);
    free(engine);
}
