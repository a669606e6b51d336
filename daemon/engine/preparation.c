#include "engine/preparation.h"
#include "host/clock.h"
#include "host/events.h"
#include "store/accounts.h"
#include "store/clocks.h"
#include "store/orders.h"
#include "store/schema.h"
#include "store/services.h"
#include "store/settle.h"
#include <stdlib.h>
#include <string.h>

#define LOOK_AGAIN_S 30         /* after a fault of the schema */
#define HISTORY_INTERVAL_S 3600 /* retention */
#define HISTORY_BATCH 1000
#define ACCOUNTS_PATIENCE_US                                                                       \
    (10 * US_PER_S) /* for accounts to be opened, before the others go on */

static void account_was_opened(void *userdata, const struct store_answer *answer)
{
    struct provider *provider = userdata;
    struct account *account = &provider->account;
    int64_t now_us = clock_monotonic_us();

    provider->opening = false;
    provider->open_us = now_us + 5 * US_PER_S;
    if (answer->verdict != STORE_DONE || PQntuples(answer->rows) == 0) {
        if (answer->verdict == STORE_REFUSED)
            log_repeated(&provider->world->ground->ledger_log, LOG_LEVEL_ERROR,
                         &(struct log_entry){.message_id = MESSAGE_LEDGER_FAILED,
                                             .sqlstate = answer->sqlstate},
                         "unable to open the account of provider %s: %s; next try in 5 s",
                         account->config->name, answer->problem.text);
        return;
    }
    if (log_recovered(&provider->world->ground->ledger_log))
        log_event(LOG_LEVEL_NOTICE, MESSAGE_LEDGER_WELL, "accounts can be opened again");
    account_open(account, answer, now_us);
    submit_look(&provider->submit);
    poll_wake(&provider->poll, 0, now_us);
}

static void open_account(struct provider *provider, int64_t now_us)
{
    struct world *world = provider->world;
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
    struct world *world = userdata;
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
        world->ground->schema_newer = true;
        return;
    }
    if (version < schema_version_wanted()) {
        log_repeated(&world->ground->schema_log, LOG_LEVEL_ERROR,
                     &(struct log_entry){.sqlstate = answer->sqlstate,
                                         .message_id = MESSAGE_LEDGER_MISSING,
                                         .hint = ledger_remedy(answer, version)},
                     "the database has no ledger of this version (%s); looked at again every %d s",
                     answer->verdict == STORE_REFUSED ? answer->problem.text : "an older one",
                     LOOK_AGAIN_S);
        workshop_note_error(&world->workshop, "the ledger's schema is missing or older");
        return;
    }
    if (log_recovered(&world->ground->schema_log))
        log_event(LOG_LEVEL_NOTICE, MESSAGE_LEDGER_WELL, "the ledger is there");
    free(world->salt);
    world->salt = strdup(row_text(answer->rows, 0, 1));
    world->ledger_known = world->salt != NULL;
    if (world->ledger_known)
        make_digests(world);
    world->accounts_us = clock_monotonic_us() + ACCOUNTS_PATIENCE_US;
}

static void history_forgotten(void *userdata, const struct store_answer *answer)
{
    struct world *world = userdata;

    /* A full batch: the next one soon, so that none of them is large. */
    if (answer->verdict == STORE_DONE && row_integer(answer->rows, 0, 0, 0) >= HISTORY_BATCH)
        world->history_us = clock_monotonic_us() + US_PER_S;
}

static void forget_history(struct world *world, int64_t now_us)
{
    struct connection *ledger = world->workshop.lanes.ledger;

    if (now_us < world->history_us)
        return;
    world->history_us = now_us + HISTORY_INTERVAL_S * US_PER_S;
    (void)orders_forget_history(ledger, world->config->history_days, HISTORY_BATCH,
                                history_forgotten, world);
    (void)clocks_forget(ledger, world->config->history_days, history_forgotten, world);
    (void)settle_forget(ledger, world->config->history_days, HISTORY_BATCH, history_forgotten,
                        world);
    (void)services_forget(ledger, world->config->history_days, HISTORY_BATCH, history_forgotten,
                          world);
}

int64_t world_prepare(struct world *world, int64_t now_us)
{
    struct lanes *lanes = &world->workshop.lanes;
    int64_t next_us = contract_watch_work(&world->contract, now_us);

    if (!connection_is_up(lanes->ledger))
        return next_us;
    if (!world->ledger_known) {
        if (now_us >= world->ledger_us && !world->asking_ledger &&
            accounts_ledger(lanes->ledger, ledger_read, world) == 0)
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
    forget_history(world, now_us);
    return earlier(next_us, world->history_us);
}
