/*
 * engine/world.h - everything that a reload replaces: the configuration, and what was made from it.
 *
 * A world stands on the ground, which outlives it. world_new() makes every job, told which others
 * to wake (engine/wiring); world_open_lanes() connects it (engine/lanes), world_work() lets it
 * work (engine/round), and engine/reload puts another in its place. Nothing of it is called after
 * world_free(): callbacks under way are dropped.
 */
#pragma once
#include "host/config.h"
#include "host/credentials.h"
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
#include <systemd/sd-event.h>

/* What a reload keeps. The engine owns it; worlds borrow it. */
struct ground {
    sd_event *event;
    struct transport *transport;
    const char *credentials_directory; /* borrowed from argv or the environment */
    struct flight_journal *journal;    /* of the process; another one after a world was left */
    char instance[37];                 /* uuid of this run */
    bool schema_newer;                 /* the database's: the process is to end */
    struct log_repeat schema_log, ledger_log, down_log;
};

/* One provider with its jobs. */
struct provider {
    struct world *world; /* it belongs to */
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
    struct ground *ground; /* borrowed */
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

/* One name for the whole run: a claim from before a reload is still this process's own. */
void ground_name_instance(struct ground *ground);

/* Takes the configuration in every case. 0, another engine_verdict with a problem, or negative
 * errno; *ret_world is owned (world_free), and nothing is connected yet. */
int world_new(struct ground *ground, struct config *config, struct world **ret_world,
              struct problem *reterr_problem);
void world_free(struct world *world);
/* Nothing is on the wire or unrecorded. */
bool world_is_quiet(const struct world *world);

static inline int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}
