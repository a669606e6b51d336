/*
 * jobs/job.h - what jobs have in common.
 *
 * A job decides with a rule, then acts. Each has x_work(job, now_us), called in every turn of the
 * loop: it starts what can be started and returns when it wants to be called again at the latest
 * (INT64_MAX = only after one of its own callbacks or a wake). Nothing in a job blocks, and a fault
 * of one row, order or provider stays with it.
 */
#pragma once
#include "base/text.h"
#include "host/flight_journal.h"
#include "host/log.h"
#include "store/connection.h"
#include "store/shop.h"
#include <stdbool.h>
#include <stdint.h>

/*
 * Four connections, so that the shop's own SQL delays nothing but itself: `view` reads the shop's
 * view, which may take seconds, `orders` claims (the shop's veto; those of a single provider go
 * over `view` while it is idle), `ledger` runs what touches schema chwsync alone (outcomes, polls),
 * `shop` the write-back.
 */
struct lanes {
    struct connection *view, *orders, *ledger, *shop;
};

/* What all jobs share; owned by the engine, which replaces `shop` only while no statement of it is
 * under way. */
struct workshop {
    struct lanes lanes;
    struct shop *shop; /* NULL until the contract was found sound */
    bool tell_shop; /* a function is configured; while it is broken, what it is to be told waits */
    bool one_provider;              /* no other's claims can be under way */
    bool stopping;                  /* nothing new begins; what is on the wire is finished */
    char instance[37];              /* uuid of this process's run */
    struct flight_journal *journal; /* borrowed from the engine */
    /* What jobs/reconcile found. */
    bool reconciled; /* the ledger is known to hold what the journals do; else nothing is claimed */
    int64_t reconciled_us; /* when that was found */
    uint64_t epoch;        /* grows whenever `reconciled` ends: claims of before may be lost */
    bool ledger_was_older; /* attempts had to be put back: outcomes may find other ids there */
    const char *const *dead_journals; /* borrowed; of processes that have ended */
    size_t dead_count;
    /* Told by jobs, acted on by the engine. */
    bool ledger_doubtful;  /* it may have lost commits: reconcile again before the next claim */
    int64_t clock_seen_us; /* CLOCK_BOOTTIME: at a look since then it had not been set */
    int64_t
        clock_set_us; /* likewise: a step was noticed then, or moved along; 0 = none in this run */
    int64_t server_s; /* the database's clock at the last look at it, since 1970; 0 = none yet */
    bool clock_doubtful; /* the database's clock may have been set: look before trusting its moments
                          */
    bool contract_doubtful; /* a statement failed as if the shop's objects had changed */
    bool replied;           /* a reply was recorded in this turn: progress, for the watchdog */
    struct {
        uint64_t bought, refused, put_off, unknown, polled, told; /* since the start */
    } counts;
    char last_error[200]; /* for STATUS=, "" when all is well */
};

/* Ids that are worked through one by one, after the batch they were in failed. */
#define SINGLES_MAX 100
struct singles {
    int64_t ids[SINGLES_MAX];
    size_t count, next;
};
static inline bool singles_left(const struct singles *singles)
{
    return singles->next < singles->count;
}
/* Takes the ids from the first column. */
void singles_fill(struct singles *singles, const PGresult *rows);

/* An SQLSTATE that says a table, view, column, function, type or privilege is not as it was. */
bool sqlstate_doubts_contract(const char *sqlstate);
/* Keeps one line for STATUS=. */
void workshop_note_error(struct workshop *workshop, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
