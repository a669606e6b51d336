#include "engine/world.h"
#include "base/own.h"
#include "engine/engine.h"
#include "engine/wiring.h"
#include "host/clock.h"
#include "host/credentials.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-id128.h>

#define HISTORY_AFTER_US (5 * US_PER_S) /* the start has more urgent things to do */

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

void world_free(struct world *world)
{
    if (!world)
        return;
    connection_free(world->workshop.lanes.view);
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

static bool is_configured_twice(const struct world *world, size_t index,
                                struct problem *reterr_problem)
{
    const struct provider *providers = world->providers;
    const struct provider_config *configs = world->config->providers;

    for (size_t i = 0; i < index; i++)
        if (config_same_account(&configs[i], providers[i].key.text, &configs[index],
                                providers[index].key.text, reterr_problem))
            return true;
    return false;
}

static int make_client(struct provider *provider, int64_t now_us, struct problem *reterr_problem)
{
    const struct provider_config *config = provider->account.config;
    const struct client_options options = {.name = config->name,
                                           .limits = account_limits(config, now_us),
                                           .key = provider->key.text,
                                           .endpoint = {.url = config->url,
                                                        .ca_file = config->ca_file,
                                                        .max_in_flight = config->max_in_flight,
                                                        .timeout_s = config->timeout_s}};

    return client_new(provider->world->ground->transport, &options, now_us,
                      &provider->account.client, reterr_problem);
}

/* 0, another engine_verdict with a problem, or negative errno. */
static int provider_init(struct world *world, size_t index, struct problem *reterr_problem)
{
    struct provider *provider = &world->providers[index];
    const struct provider_config *config = &world->config->providers[index];
    int64_t now_us = clock_monotonic_us();
    int r = credentials_read(world->ground->credentials_directory, config->key_file, &provider->key,
                             reterr_problem);

    if (r != 0)
        return r < 0 ? r : ENGINE_NO_PERMISSION;
    if (is_configured_twice(world, index, reterr_problem))
        return ENGINE_WRONG_CONFIGURATION;
    provider->world = world;
    provider->account = (struct account){.workshop = &world->workshop, .config = config};
    r = make_client(provider, now_us, reterr_problem);
    if (r != 0)
        return r < 0 ? r : ENGINE_WRONG_CONFIGURATION;
    account_init(&provider->account, now_us);
    submit_init(&provider->submit, &provider->account);
    poll_init(&provider->poll, &provider->account);
    settle_init(&provider->settle, &provider->account);
    catalogue_init(&provider->catalogue, &provider->account);
    compare_init(&provider->compare, &provider->account);
    provider->compare.configured = world->accounts;
    provider->compare.configured_count = world->config->provider_count;
    balance_init(&provider->balance, &provider->account, world->config->history_days);
    refill_init(&provider->refill, &provider->account);
    recheck_init(&provider->recheck, &provider->account);
    grant_init(&provider->grant, &provider->account);
    request_figures_init(&provider->figures, &provider->account);
    provider_wire(provider);
    world->provider_names[index] = config->name;
    return 0;
}

void ground_name_instance(struct ground *ground)
{
    sd_id128_t id;

    if (sd_id128_randomize(&id) < 0)
        id = (sd_id128_t){
            .qwords = {(uint64_t)clock_random() << 32 | clock_random(), (uint64_t)clock_wall_s()}};
    snprintf(ground->instance, sizeof ground->instance, SD_ID128_UUID_FORMAT_STR,
             SD_ID128_FORMAT_VAL(id));
}

int world_new(struct ground *ground, struct config *config, struct world **ret_world,
              struct problem *reterr_problem)
{
    OWN(world_freep) struct world *world = calloc(1, sizeof *world);
    int r = 0;

    if (!world) {
        config_free(config);
        return -ENOMEM;
    }
    world->ground = ground;
    world->config = config;
    world->history_us = clock_monotonic_us() + HISTORY_AFTER_US;
    world->look_us = clock_monotonic_us() + LOOK_ANYWAY_S * US_PER_S;
    world->providers = calloc(config->provider_count, sizeof *world->providers);
    world->provider_names = calloc(config->provider_count, sizeof *world->provider_names);
    world->accounts = calloc(config->provider_count, sizeof *world->accounts);
    if (!world->providers || !world->provider_names || !world->accounts)
        return -ENOMEM;
    memcpy(world->workshop.instance, ground->instance, sizeof ground->instance);
    world->workshop.tell_shop = config->write_back != NULL;
    world->workshop.one_provider = config->provider_count == 1;
    world->workshop.journal = ground->journal;
    clock_watch_init(&world->clock, &world->workshop);
    reconcile_init(&world->reconcile, &world->workshop);
    for (size_t i = 0; i < config->provider_count && r == 0; i++) {
        world->provider_count = i + 1;
        r = provider_init(world, i, reterr_problem);
    }
    if (r != 0)
        return r;
    world->contract = (struct contract_watch){.workshop = &world->workshop,
                                              .view = config->pending_orders,
                                              .function = config->write_back,
                                              .timeout_s = config->write_back_timeout_s};
    world->intake = (struct intake){.workshop = &world->workshop,
                                    .options = {.default_provider = config->default_provider,
                                                .providers = world->provider_names,
                                                .provider_count = world->provider_count},
                                    .interval_us = config->intake_interval_s * US_PER_S};
    write_back_init(&world->write_back, &world->workshop);
    pulse_init(&world->pulse, &world->workshop);
    told_figures_init(&world->told, &world->workshop, &world->write_back.told);
    world->unconfigured = (struct unconfigured){.workshop = &world->workshop,
                                                .providers = world->provider_names,
                                                .provider_count = world->provider_count,
                                                /* what is paid is bought first */
                                                .next_us = clock_monotonic_us() + US_PER_S};
    world_wire(world);
    *ret_world = GIVE(world);
    return 0;
}

bool world_is_quiet(const struct world *world)
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
