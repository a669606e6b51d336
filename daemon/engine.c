#include "engine.h"
#include "api/client.h"
#include "base/own.h"
#include "host/clock.h"
#include "host/config.h"
#include "host/crash_point.h"
#include "host/credentials.h"
#include "host/events.h"
#include "host/log.h"
#include "host/notify.h"
#include "jobs/balance.h"
#include "jobs/catalogue.h"
#include "jobs/clock_watch.h"
#include "jobs/compare.h"
#include "jobs/contract_watch.h"
#include "jobs/figures.h"
#include "jobs/grant.h"
#include "jobs/intake.h"
#include "jobs/poll.h"
#include "jobs/pulse.h"
#include "jobs/recheck.h"
#include "jobs/reconcile.h"
#include "jobs/refill.h"
#include "jobs/settle.h"
#include "jobs/submit.h"
#include "jobs/unconfigured.h"
#include "jobs/write_back.h"
#include "store/accounts.h"
#include "store/clocks.h"
#include "store/leases.h"
#include "store/orders.h"
#include "store/schema.h"
#include "store/services.h"
#include "store/settle.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>
#include <systemd/sd-id128.h>

DEFINE_OWN(char, free, string_freep)

#define TAKEN_JUST_NOW_S 30 /* a lease, before the database's clock was found to be set */
#define LOOK_AGAIN_S 30     /* after a fault of the contract or the schema */
#define LOOK_ANYWAY_S 20    /* without a word from the intake: the view may raise, or take long */
#define SETTLE_AFTER_US (300 * US_PER_MS) /* the wake-up is far more often for a paid line */
#define HISTORY_AFTER_US (5 * US_PER_S)   /* the start has more urgent things to do */
#define HISTORY_INTERVAL_S 3600           /* retention */
#define HISTORY_BATCH 1000
#define STATUS_INTERVAL_US (10 * US_PER_S)
#define DRAIN_S 45        /* at least; below TimeoutStopSec=60 */
#define DRAIN_MARGIN_S 15 /* to record what came last */
#define EXTEND_US (15 * US_PER_S)
#define LOOP_WAIT_MAX_US (60 * US_PER_S)
#define ACCOUNTS_PATIENCE_US                                                                       \
    (10 * US_PER_S)                        /* for accounts to be opened, before the others go on */
#define RELOAD_PATIENCE_US (10 * US_PER_S) /* for a database that is up to record outcomes */

/* One provider with its jobs. */
struct provider {
    struct engine *engine;
    struct secret key;
    struct account account;
    struct submit submit;
    struct poll poll;
    struct settle settle;
    struct catalogue catalogue;
    struct compare compare;
    struct balance balance;
    struct refill refill;
    struct recheck recheck;
    struct grant grant;
    struct request_figures figures;
    bool opening;
    int64_t open_us; /* when opening is tried (again) */
};

/* Everything that a reload replaces: the configuration, and what was made from it. */
struct world {
    struct config *config;
    struct provider *providers;
    size_t provider_count;
    struct workshop workshop;
    struct connection *wake; /* its own connection that only listens, or NULL */
    struct clock_watch clock;
    struct contract_watch contract;
    struct reconcile reconcile;
    struct intake intake;
    struct write_back write_back;
    struct pulse pulse;
    struct told_figures told;
    struct unconfigured unconfigured;
    const char **provider_names;
    struct configured_account *accounts; /* one a provider; digests owned, NULL until known */
    char *salt; /* of the ledger's key digests; NULL until the ledger was read */
    bool asking_ledger, ledger_known;
    int64_t ledger_us, history_us;
    int64_t accounts_us; /* what does not belong to an account that cannot be opened goes on then */
    int64_t look_us;     /* when jobs look at their lists although no intake told what is due */
};

struct engine {
    char *config_path;
    const char *credentials_directory; /* borrowed from argv or the environment */
    sd_event *event;
    sd_event_source *signals[4];
    struct transport *transport;
    struct flight_journal *journal; /* of the process: a reload keeps it */
    char instance[37];              /* uuid of this run */
    struct world *world;
    bool stop_asked, reload_asked, schema_newer, draining;
    int64_t drain_until_us, leases_until_us, reload_asked_us;
    int64_t status_us, watchdog_us, watchdog_interval_us, extend_us;
    struct log_repeat schema_log, ledger_log, down_log;
};

static struct workshop *workshop_of(struct engine *engine)
{
    return &engine->world->workshop;
}

/* ---- what the ledger says ---- */

static void account_was_opened(void *userdata, const struct store_answer *answer)
{
    struct provider *provider = userdata;
    struct account *account = &provider->account;
    int64_t now_us = clock_monotonic_us();

    provider->opening = false;
    provider->open_us = now_us + 5 * US_PER_S;
    if (answer->verdict != STORE_DONE || PQntuples(answer->rows) == 0) {
        if (answer->verdict == STORE_REFUSED)
            log_repeated(&provider->engine->ledger_log, LOG_LEVEL_ERROR,
                         &(struct log_entry){.message_id = MESSAGE_LEDGER_FAILED,
                                             .sqlstate = answer->sqlstate},
                         "unable to open the account of provider %s: %s; next try in 5 s",
                         account->config->name, answer->problem.text);
        return;
    }
    if (log_recovered(&provider->engine->ledger_log))
        log_event(LOG_LEVEL_NOTICE, MESSAGE_LEDGER_WELL, "accounts can be opened again");
    account_open(account, answer, now_us);
    submit_wake(&provider->submit, 0, now_us);
    poll_wake(&provider->poll, 0, now_us);
}

static void open_account(struct provider *provider, int64_t now_us)
{
    struct world *world = provider->engine->world;
    const struct provider_config *config = provider->account.config;
    const char *digest = world->accounts[provider - world->providers].digest;

    provider->open_us = now_us + 5 * US_PER_S;
    if (!digest) {
        log_error("unable to make the digest of the key of provider %s; next try in 5 s",
                  config->name);
        return;
    }
    if (accounts_open(world->workshop.lanes.ledger, config->name, config->url, digest,
                      account_was_opened, provider) == 0)
        provider->opening = true;
}

/* Of all keys: an account of this configuration is no earlier one of another (jobs/compare). */
static void make_digests(struct world *world)
{
    for (size_t i = 0; i < world->provider_count; i++) {
        char *digest = NULL;

        free((char *)(uintptr_t)world->accounts[i].digest);
        world->accounts[i].endpoint = world->config->providers[i].url;
        world->accounts[i].digest =
            accounts_digest(world->salt, world->providers[i].key.text, &digest) == 0 ? digest
                                                                                     : NULL;
    }
}

static const char *ledger_remedy(const struct store_answer *answer, int version)
{
    if (strcmp(answer->sqlstate, "42501") == 0)
        return "database.conninfo must connect as role chwsync; chwsyncd schema upgrade repeats "
               "its grants";
    return version ? "run: chwsyncd schema upgrade" : "run: chwsyncd schema install";
}

static void ledger_read(void *userdata, const struct store_answer *answer)
{
    struct engine *engine = userdata;
    struct world *world = engine->world;
    int version = 0;

    world->asking_ledger = false;
    world->ledger_us = clock_monotonic_us() + LOOK_AGAIN_S * US_PER_S;
    if (answer->verdict == STORE_LOST)
        return;
    if (answer->verdict == STORE_DONE && PQntuples(answer->rows) == 1)
        version = (int)row_integer(answer->rows, 0, 0, 0);
    if (version > schema_version_wanted()) {
        log_event(LOG_LEVEL_ERROR, MESSAGE_LEDGER_NEWER,
                  "the database's schema is version %d, this chwsyncd knows %d: install the newer "
                  "chwsyncd",
                  version, schema_version_wanted());
        engine->schema_newer = true;
        return;
    }
    if (version < schema_version_wanted()) {
        log_repeated(&engine->schema_log, LOG_LEVEL_ERROR,
                     &(struct log_entry){.sqlstate = answer->sqlstate,
                                         .message_id = MESSAGE_LEDGER_MISSING,
                                         .hint = ledger_remedy(answer, version)},
                     "the database has no ledger of this version (%s); looked at again every %d s",
                     answer->verdict == STORE_REFUSED ? answer->problem.text : "an older one",
                     LOOK_AGAIN_S);
        workshop_note_error(&world->workshop, "the ledger's schema is missing or older");
        return;
    }
    if (log_recovered(&engine->schema_log))
        log_event(LOG_LEVEL_NOTICE, MESSAGE_LEDGER_WELL, "the ledger is there");
    free(world->salt);
    world->salt = strdup(row_text(answer->rows, 0, 1));
    world->ledger_known = world->salt != NULL;
    if (world->ledger_known)
        make_digests(world);
    world->accounts_us = clock_monotonic_us() + ACCOUNTS_PATIENCE_US;
}

/* Other statements are in force. */
static void shop_replaced(void *userdata)
{
    struct world *world = ((struct engine *)userdata)->world;

    intake_wake(&world->intake);
    write_back_wake(&world->write_back, 0, clock_monotonic_us());
}

/* ---- connections ---- */

static void lane_up(void *userdata)
{
    struct engine *engine = userdata;
    struct world *world = engine->world;
    int64_t now_us = clock_monotonic_us();

    if (log_recovered(&engine->down_log)) {
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
        submit_wake(&world->providers[i].submit, 0, now_us);
        poll_wake(&world->providers[i].poll, 0, now_us);
    }
    write_back_wake(&world->write_back, 0, now_us);
}

static void lane_down(void *userdata, const struct problem *problem, int64_t retry_us)
{
    struct engine *engine = userdata;

    (void)retry_us;
    log_repeated(&engine->down_log, LOG_LEVEL_ERROR,
                 &(struct log_entry){.message_id = MESSAGE_DATABASE_AWAY, .hint = problem->hint},
                 "the database is away: %s; trying again, at most 30 s apart", problem->text);
    workshop_note_error(workshop_of(engine), "database: %s", problem->text);
}

static void woken(void *userdata)
{
    struct engine *engine = userdata;
    struct world *world = engine->world;
    int64_t later_us = clock_monotonic_us() + SETTLE_AFTER_US;

    intake_wake(&world->intake);
    for (size_t i = 0; i < world->provider_count; i++) {
        settle_wake(&world->providers[i].settle, later_us);
        catalogue_wake(&world->providers[i].catalogue, later_us);
        compare_wake(&world->providers[i].compare, clock_monotonic_us());
        grant_wake(&world->providers[i].grant, clock_monotonic_us());
    }
}

static int open_lane(struct engine *engine, const char *name, const char *conninfo,
                     const char *channel, struct connection **ret_lane)
{
    OWN(string_freep) char *passfile = credentials_path(engine->credentials_directory, "pgpass");
    struct connection_options options = {.name = name,
                                         .conninfo = conninfo,
                                         .passfile = passfile,
                                         .listen_channel = channel,
                                         .on_up = lane_up,
                                         .on_down = lane_down,
                                         .on_notify = woken,
                                         .userdata = engine};

    return connection_new(engine->event, &options, ret_lane);
}

static int open_lanes(struct engine *engine, struct world *world)
{
    const struct config *config = world->config;
    struct lanes *lanes = &world->workshop.lanes;
    const char *channel = config->wake_conninfo ? NULL : config->wake_channel;
    int r = open_lane(engine, "ledger", config->conninfo, NULL, &lanes->ledger);

    if (r == 0)
        r = open_lane(engine, "orders", config->conninfo, channel, &lanes->orders);
    if (r == 0)
        r = open_lane(engine, "shop", config->conninfo, NULL, &lanes->shop);
    if (r == 0 && config->wake_conninfo && config->wake_channel)
        r = open_lane(engine, "wake", config->wake_conninfo, config->wake_channel, &world->wake);
    return r;
}

/* ---- jobs tell each other ---- */

static void intake_looked(void *userdata, int64_t queue_due_s, int64_t write_back_due_s)
{
    struct engine *engine = userdata;
    struct world *world = engine->world;
    int64_t now_us = clock_monotonic_us();

    for (size_t i = 0; i < world->provider_count; i++)
        submit_wake(&world->providers[i].submit, queue_due_s, now_us);
    if (write_back_due_s >= 0)
        write_back_wake(&world->write_back, write_back_due_s, now_us);
    else
        write_back_note_empty(&world->write_back);
    world->look_us = now_us + LOOK_ANYWAY_S * US_PER_S;
}

static void refills_told(void *userdata, const char *due)
{
    struct engine *engine = userdata;
    struct world *world = engine->world;
    int64_t now_us = clock_monotonic_us();

    for (size_t i = 0; i < world->provider_count; i++)
        refill_note_due(&world->providers[i].refill, due, now_us);
}

static void wishes_told(void *userdata, const char *accounts)
{
    struct engine *engine = userdata;
    struct world *world = engine->world;

    for (size_t i = 0; i < world->provider_count; i++)
        grant_note_wishes(&world->providers[i].grant, accounts, clock_monotonic_us());
}

static void outcomes_recorded(void *userdata, unsigned accepted)
{
    struct provider *provider = userdata;
    int64_t now_us = clock_monotonic_us();

    write_back_wake(&provider->engine->world->write_back, 0, now_us);
    provider->account.open += accepted;
    if (accepted)
        poll_wake(&provider->poll, 5, now_us);
}

static void statuses_applied(void *userdata)
{
    struct provider *provider = userdata;

    write_back_wake(&provider->engine->world->write_back, 0, clock_monotonic_us());
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
    poll_wake(&provider->poll, 0, clock_monotonic_us());
}

/* What waited is due: for a catalogue, for money. */
static void held_lines_are_due(void *userdata)
{
    struct provider *provider = userdata;

    submit_wake(&provider->submit, 0, clock_monotonic_us());
}

/* What was put back or ended is to be claimed, followed and told. */
static void ledger_agrees(void *userdata)
{
    struct engine *engine = userdata;
    struct world *world = engine->world;
    int64_t now_us = clock_monotonic_us();

    for (size_t i = 0; i < world->provider_count; i++) {
        struct provider *provider = &world->providers[i];

        submit_wake(&provider->submit, 0, now_us);
        if (world->reconcile.found_bought && provider->account.open == 0)
            provider->account.open = 1; /* at least: looked for soon, then counted */
        poll_wake(&provider->poll, 0, now_us);
    }
    write_back_wake(&world->write_back, 0, now_us);
}

static void clock_seen(void *userdata, const struct clock_look *look)
{
    struct engine *engine = userdata;

    clock_watch_note(&engine->world->clock, look);
}

/*
 * A lease that we took just now may have ended by the step alone: its holder then goes on sending
 * until its own time is over, from a budget of which we know only what was counted before.
 */
static void clock_went_forward(void *userdata)
{
    struct engine *engine = userdata;
    struct world *world = engine->world;
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
    struct engine *engine = userdata;
    struct world *world = engine->world;
    int64_t now_us = clock_monotonic_us();

    intake_wake(&world->intake);
    for (size_t i = 0; i < world->provider_count; i++) {
        submit_wake(&world->providers[i].submit, 0, now_us);
        poll_wake(&world->providers[i].poll, 0, now_us);
        settle_wake(&world->providers[i].settle, now_us);
    }
    write_back_wake(&world->write_back, 0, now_us);
}

/* ---- making and ending a world ---- */

static void provider_done(struct provider *provider)
{
    secret_done(&provider->key); /* also of one that came no further than its key */
    if (!provider->account.client)
        return;
    client_free(provider->account.client);
    submit_done(&provider->submit);
    poll_done(&provider->poll);
    refill_done(&provider->refill);
    recheck_done(&provider->recheck);
    settle_done(&provider->settle);
    catalogue_done(&provider->catalogue);
    compare_done(&provider->compare);
}

static void world_free(struct world *world)
{
    if (!world)
        return;
    connection_free(world->workshop.lanes.orders);
    connection_free(world->workshop.lanes.ledger);
    connection_free(world->workshop.lanes.shop);
    connection_free(world->wake);
    for (size_t i = 0; i < world->provider_count; i++)
        provider_done(&world->providers[i]);
    reconcile_done(&world->reconcile);
    intake_done(&world->intake);
    shop_free(world->workshop.shop);
    for (size_t i = 0; world->accounts && i < world->provider_count; i++)
        free((char *)(uintptr_t)world->accounts[i].digest);
    free(world->accounts);
    contract_watch_done(&world->contract);
    free(world->providers);
    free(world->provider_names);
    free(world->salt);
    config_free(world->config);
    free(world);
}
DEFINE_OWN(struct world, world_free, world_freep)

/* 0, an engine_verdict with a problem, or negative errno. */
static int provider_init(struct engine *engine, struct world *world, size_t index,
                         struct problem *reterr_problem)
{
    struct provider *provider = &world->providers[index];
    const struct provider_config *config = &world->config->providers[index];
    int64_t now_us = clock_monotonic_us();
    struct client_options options = {.name = config->name,
                                     .limits = account_limits(config, now_us)};
    int r = credentials_read(engine->credentials_directory, config->key_file, &provider->key,
                             reterr_problem);

    if (r != 0)
        return r < 0 ? r : ENGINE_NO_PERMISSION;
    for (size_t i = 0; i < index; i++)
        if (config_same_account(&world->config->providers[i], world->providers[i].key.text, config,
                                provider->key.text, reterr_problem))
            return ENGINE_WRONG_CONFIGURATION;
    options.key = provider->key.text;
    options.endpoint = (struct endpoint_options){.url = config->url,
                                                 .ca_file = config->ca_file,
                                                 .max_in_flight = config->max_in_flight,
                                                 .timeout_s = config->timeout_s};
    provider->engine = engine;
    provider->account = (struct account){.workshop = &world->workshop, .config = config};
    r = client_new(engine->transport, &options, now_us, &provider->account.client, reterr_problem);
    if (r != 0)
        return r < 0 ? r : ENGINE_WRONG_CONFIGURATION;
    account_init(&provider->account, now_us);
    submit_init(&provider->submit, &provider->account);
    provider->submit.on_recorded = outcomes_recorded;
    provider->submit.userdata = provider;
    poll_init(&provider->poll, &provider->account);
    provider->poll.on_applied = statuses_applied;
    provider->poll.userdata = provider;
    settle_init(&provider->settle, &provider->account);
    provider->settle.on_settled = lost_order_found;
    provider->settle.userdata = provider;
    catalogue_init(&provider->catalogue, &provider->account);
    provider->catalogue.on_stored = held_lines_are_due;
    provider->catalogue.userdata = provider;
    compare_init(&provider->compare, &provider->account);
    provider->compare.configured = world->accounts;
    provider->compare.configured_count = world->config->provider_count;
    provider->compare.on_moved = rows_taken_over;
    provider->compare.userdata = provider;
    balance_init(&provider->balance, &provider->account, world->config->history_days);
    provider->balance.on_risen = held_lines_are_due;
    provider->balance.userdata = provider;
    refill_init(&provider->refill, &provider->account);
    provider->refill.on_recorded = refill_recorded;
    provider->refill.userdata = provider;
    recheck_init(&provider->recheck, &provider->account);
    provider->recheck.on_applied = rechecked;
    provider->recheck.userdata = provider;
    provider->poll.recheck = &provider->recheck;
    grant_init(&provider->grant, &provider->account);
    request_figures_init(&provider->figures, &provider->account);
    world->provider_names[index] = config->name;
    return 0;
}

/* One name for the whole run: a claim from before a reload is still this process's own. */
static void name_instance(struct engine *engine)
{
    sd_id128_t id;

    if (sd_id128_randomize(&id) < 0)
        id = (sd_id128_t){
            .qwords = {(uint64_t)clock_random() << 32 | clock_random(), (uint64_t)clock_wall_s()}};
    snprintf(engine->instance, sizeof engine->instance, SD_ID128_UUID_FORMAT_STR,
             SD_ID128_FORMAT_VAL(id));
}

/* Takes the configuration in every case. 0, an engine_verdict with a problem, or negative errno. */
static int world_new(struct engine *engine, struct config *config, struct world **ret_world,
                     struct problem *reterr_problem)
{
    OWN(world_freep) struct world *world = calloc(1, sizeof *world);
    int r = 0;

    if (!world) {
        config_free(config);
        return -ENOMEM;
    }
    world->config = config;
    world->history_us = clock_monotonic_us() + HISTORY_AFTER_US;
    world->providers = calloc(config->provider_count, sizeof *world->providers);
    world->provider_names = calloc(config->provider_count, sizeof *world->provider_names);
    world->accounts = calloc(config->provider_count, sizeof *world->accounts);
    if (!world->providers || !world->provider_names || !world->accounts)
        return -ENOMEM;
    memcpy(world->workshop.instance, engine->instance, sizeof engine->instance);
    world->workshop.tell_shop = config->write_back != NULL;
    world->workshop.journal = engine->journal;
    clock_watch_init(&world->clock, &world->workshop);
    world->clock.on_forward = clock_went_forward;
    world->clock.on_moved = ledger_moved;
    world->clock.userdata = engine;
    reconcile_init(&world->reconcile, &world->workshop);
    world->reconcile.on_done = ledger_agrees;
    world->reconcile.userdata = engine;
    for (size_t i = 0; i < config->provider_count && r == 0; i++) {
        world->provider_count = i + 1;
        r = provider_init(engine, world, i, reterr_problem);
    }
    if (r != 0)
        return r;
    world->contract = (struct contract_watch){.workshop = &world->workshop,
                                              .view = config->pending_orders,
                                              .function = config->write_back,
                                              .timeout_s = config->write_back_timeout_s,
                                              .on_shop = shop_replaced,
                                              .userdata = engine};
    world->intake = (struct intake){.workshop = &world->workshop,
                                    .options = {.default_provider = config->default_provider,
                                                .providers = world->provider_names,
                                                .provider_count = world->provider_count},
                                    .interval_us = config->intake_interval_s * US_PER_S,
                                    .on_looked = intake_looked,
                                    .on_clock = clock_seen,
                                    .on_refills = refills_told,
                                    .on_wishes = wishes_told,
                                    .userdata = engine};
    write_back_init(&world->write_back, &world->workshop);
    pulse_init(&world->pulse, &world->workshop);
    told_figures_init(&world->told, &world->workshop, &world->write_back.told);
    world->unconfigured = (struct unconfigured){.workshop = &world->workshop,
                                                .providers = world->provider_names,
                                                .provider_count = world->provider_count};
    *ret_world = GIVE(world);
    return 0;
}

/* ---- reload and stop ---- */

static bool world_is_quiet(const struct world *world)
{
    for (size_t i = 0; i < world->provider_count; i++)
        if (!submit_is_quiet(&world->providers[i].submit) ||
            !poll_is_quiet(&world->providers[i].poll) ||
            !settle_is_quiet(&world->providers[i].settle) ||
            !compare_is_quiet(&world->providers[i].compare) ||
            !balance_is_quiet(&world->providers[i].balance) ||
            !refill_is_quiet(&world->providers[i].refill) ||
            !recheck_is_quiet(&world->providers[i].recheck) ||
            !grant_is_quiet(&world->providers[i].grant))
            return false;
    return write_back_is_quiet(&world->write_back, clock_monotonic_us());
}

/* A claim whose commit is not known would be nobody's in the next world. */
static bool world_is_settled(const struct world *world)
{
    for (size_t i = 0; i < world->provider_count; i++)
        if (world->providers[i].submit.ambiguous_claim != 0)
            return false;
    return world_is_quiet(world);
}

/*
 * The database is away, or does not take what it is to record: a reload must not wait for that, as
 * it may be what brings it back. Every request has its answer, and every answer its record in the
 * flight journal; so the world may end as if the process had, under a new instance and a new
 * journal: what the ledger lacks is recorded from the old one before anything is claimed
 * (jobs/reconcile).
 */
static bool world_can_be_left(struct engine *engine, int64_t now_us)
{
    struct world *world = engine->world;
    const struct lanes *lanes = &world->workshop.lanes;
    bool away = !connection_is_up(lanes->ledger) || !connection_is_up(lanes->orders);

    if (!away && now_us < engine->reload_asked_us + RELOAD_PATIENCE_US)
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

/* The flight journal is the process's. */
static void tell_what_waits(const struct engine *engine)
{
    const char *wanted = engine->world->config->state_directory,
               *used = flight_journal_directory(engine->journal);

    if (strcmp(wanted, used) != 0)
        log_write(LOG_LEVEL_WARNING,
                  &(struct log_entry){.message_id = MESSAGE_RELOADED,
                                      .hint = "systemctl restart chwsyncd"},
                  "state_directory %s comes into force at the next start: until then the flight "
                  "journal stays in %s",
                  wanted, used);
}

/* Each of them in a line, and their end. */
static void tell_faults(const struct engine *engine, const char *message_id,
                        struct config_faults *faults)
{
    for (size_t i = 0; i < faults->count; i++) {
        struct problem problem;

        config_fault_describe(&faults->faults[i], engine->config_path, &problem);
        log_write(LOG_LEVEL_ERROR,
                  &(struct log_entry){.message_id = message_id, .hint = problem.hint}, "%s",
                  problem.text);
    }
    config_faults_done(faults);
}

/* The new configuration is read and tried whole before the old world ends; a wrong one is refused
 * and the old one stays in force. */
static void reload(struct engine *engine, bool settled)
{
    struct config *config = NULL;
    struct config_faults faults = {0};
    struct problem problem = {0};
    struct world *old = engine->world, *world = NULL;
    struct flight_journal *journal = engine->journal;
    char instance[sizeof engine->instance];
    int r = config_load(engine->config_path, &config, &faults);

    engine->reload_asked = false;
    old->workshop.stopping = false;
    memcpy(instance, engine->instance, sizeof instance);
    if (r == 0 && !settled) {
        name_instance(engine);
        r = flight_journal_new(flight_journal_directory(journal), &engine->journal);
        if (r != 0)
            config_free(GIVE(config));
    }
    if (r == 1)
        tell_faults(engine, MESSAGE_RELOAD_REFUSED, &faults);
    if (r == 0)
        r = world_new(engine, config, &world, &problem);
    if (r == 0) {
        r = open_lanes(engine, world);
        if (r != 0)
            world_free(world);
    }
    if (r != 0) {
        if (engine->journal != journal)
            flight_journal_free(engine->journal);
        engine->journal = journal;
        memcpy(engine->instance, instance, sizeof instance);
        log_write(LOG_LEVEL_ERROR,
                  &(struct log_entry){.message_id = MESSAGE_RELOAD_REFUSED, .hint = problem.hint},
                  "the new configuration is refused, the old one stays in force%s%s",
                  problem.text[0] ? ": " : "", problem.text);
        notify_ready();
        return;
    }
    keep_pauses(old, world);
    if (!settled)
        leave_world(old);
    engine->world = world;
    world_free(old);
    if (engine->journal != journal)
        flight_journal_free(journal); /* its locks end: it is a dead one from now on */
    log_open(world->config->log_level, world->config->log_target);
    log_event(LOG_LEVEL_NOTICE, MESSAGE_RELOADED, "the configuration %s is in force",
              engine->config_path);
    tell_what_waits(engine);
    notify_ready();
}

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
            workshop_of(engine)->stopping = true;
        }
        return 0;
    }
    if (engine->stop_asked)
        return 0;
    log_event(LOG_LEVEL_NOTICE, MESSAGE_STOPPING,
              "stopping: what is on the wire is finished and recorded first");
    notify_stopping();
    engine->stop_asked = true;
    engine->drain_until_us = clock_monotonic_us() + drain_time_us(engine);
    workshop_of(engine)->stopping = true;
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
        int r =
            sd_event_add_signal(engine->event, &engine->signals[i], numbers[i], on_signal, engine);

        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- the loop ---- */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void history_forgotten(void *userdata, const struct store_answer *answer)
{
    struct engine *engine = userdata;

    /* A full batch: the next one soon, so that none of them is large. */
    if (answer->verdict == STORE_DONE && row_integer(answer->rows, 0, 0, 0) >= HISTORY_BATCH)
        engine->world->history_us = clock_monotonic_us() + US_PER_S;
}

/* What must be known before jobs can work: the ledger, its accounts, the contract. */
static int64_t prepare(struct engine *engine, int64_t now_us)
{
    struct world *world = engine->world;
    struct lanes *lanes = &world->workshop.lanes;
    int64_t next_us = contract_watch_work(&world->contract, now_us);

    if (!connection_is_up(lanes->ledger))
        return next_us;
    if (!world->ledger_known) {
        if (now_us >= world->ledger_us && !world->asking_ledger &&
            accounts_ledger(lanes->ledger, ledger_read, engine) == 0)
            world->asking_ledger = true;
        return world->asking_ledger ? next_us : earlier(next_us, world->ledger_us);
    }
    next_us = earlier(next_us, clock_watch_work(&world->clock, now_us));
    for (size_t i = 0; i < world->provider_count; i++) {
        struct provider *provider = &world->providers[i];

        if (!clock_watch_is_settled(&world->clock))
            break; /* which slots were used lately is told by the ledger's moments */
        if (!provider->account.opened && !provider->opening) {
            if (now_us >= provider->open_us)
                open_account(provider, now_us);
            else
                next_us = earlier(next_us, provider->open_us);
        }
    }
    if (now_us >= world->history_us) {
        world->history_us = now_us + HISTORY_INTERVAL_S * US_PER_S;
        (void)orders_forget_history(lanes->ledger, world->config->history_days, HISTORY_BATCH,
                                    history_forgotten, engine);
        (void)clocks_forget(lanes->ledger, world->config->history_days, history_forgotten, engine);
        (void)settle_forget(lanes->ledger, world->config->history_days, HISTORY_BATCH,
                            history_forgotten, engine);
        (void)services_forget(lanes->ledger, world->config->history_days, HISTORY_BATCH,
                              history_forgotten, engine);
    }
    return earlier(next_us, world->history_us);
}

static bool accounts_are_open(const struct world *world)
{
    for (size_t i = 0; i < world->provider_count; i++)
        if (!world->providers[i].account.opened)
            return false;
    return true;
}

static bool wants_lease(const struct provider *provider, int64_t now_us)
{
    return submit_wants_lease(&provider->submit) || settle_wants_lease(&provider->settle) ||
           catalogue_wants_lease(&provider->catalogue) || compare_wants_lease(&provider->compare) ||
           balance_wants_lease(&provider->balance) ||
           refill_wants_lease(&provider->refill, now_us) ||
           recheck_wants_lease(&provider->recheck, now_us) || grant_wants_lease(&provider->grant) ||
           provider->poll.next_us <= now_us;
}

static int64_t work(struct engine *engine, int64_t now_us)
{
    struct world *world = engine->world;
    int64_t next_us = prepare(engine, now_us);

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
    if (now_us >= world->look_us) {
        intake_looked(engine, 0, 0);
        for (size_t i = 0; i < world->provider_count; i++) {
            refill_wake(&world->providers[i].refill, now_us);
            grant_wake(&world->providers[i].grant, now_us);
        }
    }
    next_us = earlier(next_us, world->look_us);
    for (size_t i = 0; i < world->provider_count; i++) {
        struct provider *provider = &world->providers[i];

        if (!provider->account.opened)
            continue;
        next_us =
            earlier(next_us, lease_work(&provider->account, wants_lease(provider, now_us), now_us));
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
    }
    return earlier(next_us, write_back_work(&world->write_back, now_us));
}

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
    int r = sd_event_prepare(engine->event);

    if (r == 0) {
        int fault = transport_wait(engine->transport, sd_event_get_fd(engine->event), wait_us);

        if (fault < 0)
            return fault;
        r = sd_event_wait(engine->event, 0);
    }
    if (r > 0)
        r = sd_event_dispatch(engine->event);
    for (int i = 0; i < EVENTS_A_TURN && r > 0; i++)
        r = sd_event_run(engine->event, 0);
    return r < 0 ? r : transport_work(engine->transport);
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
    if (engine->schema_newer) {
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
    int end = ENGINE_STOPPED, r = open_lanes(engine, engine->world);

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

            if (settled || world_can_be_left(engine, now_us))
                reload(engine, settled);
        }
        next_us = earlier(work(engine, now_us), tend(engine, now_us));
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
    struct config_faults faults = {0};
    int r = config_load(engine->config_path, &config, &faults);

    if (r < 0)
        return r;
    if (r == 1) {
        problem_set(reterr_problem, "the configuration is wrong");
        tell_faults(engine, MESSAGE_START_FAILED, &faults);
        return ENGINE_WRONG_CONFIGURATION;
    }
    log_open(config->log_level, config->log_target);
    r = flight_journal_new(config->state_directory, &engine->journal);
    if (r < 0) {
        config_free(config);
        return r;
    }
    return world_new(engine, config, &engine->world, reterr_problem);
}

int engine_new(const char *config_path, const char *credentials_directory,
               struct engine **ret_engine, struct problem *reterr_problem)
{
    struct engine *engine = calloc(1, sizeof *engine);
    int r;

    if (!engine)
        return -ENOMEM;
    name_instance(engine);
    engine->config_path = strdup(config_path);
    engine->credentials_directory = credentials_directory;
    engine->watchdog_interval_us = notify_watchdog_interval_us();
    r = engine->config_path ? 0 : -ENOMEM;
    if (r == 0)
        r = sd_event_new(&engine->event);
    if (r >= 0)
        r = take_signals(engine);
    if (r >= 0)
        r = transport_new(&engine->transport);
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
    flight_journal_free(engine->journal);
    transport_free(engine->transport);
    for (size_t i = 0; i < COUNT_OF(engine->signals); i++)
        sd_event_source_unref(engine->signals[i]);
    sd_event_unref(engine->event);
    free(engine->config_path);
    free(engine);
}
