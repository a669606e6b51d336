/*
 * jobs/reconcile.h - the ledger and the flight journals are made to agree, before anything is
 * claimed.
 *
 * At start, on every new database connection, after a take-over, and when the database is not as it
 * was:
 *
 * - A reply that stands in a journal and not in the ledger is recorded.
 * - An attempt that nobody ended, of a journal whose writer is dead: with a record, it is unknown;
 * without one it was not sent, if that very journal is complete (host/flight_journal.h), else
 * unknown. Where the journal is not here, another machine's process may still be at it: unknown
 * once its send_before is long past.
 * - An attempt that the ledger does not know at all: the ledger is older than the journal. It is
 * put back (bought, or uncertain), named, and submits of the account stop until an operator
 * releases them.
 *
 * Every half a minute it is looked for attempts that others left without an end: who has nothing to
 * do takes no lease over, and they would wait for the next order.
 *
 * Each journal is compared from its newest record backwards, until 500 in a row are as they should
 * be: what a database loses is its last commits. That says nothing of another journal: of two
 * processes the one with the older file may have written last. Nothing is ever sent because of what
 * is found here, but by the usual way through the queue.
 */
#pragma once
#include "jobs/job.h"
#include "store/orders.h"

#define RECONCILE_BATCH 500
#define RECONCILE_DEAD_MAX 16

struct reconcile {
    struct workshop *workshop; /* borrowed */
    bool running, busy, judged_absent;
    bool found_bought; /* rounds since on_done put orders back that are to be followed */
    bool again;        /* a round from now on is wanted before anything is claimed */
    bool whole;        /* the round compares the journals, too */
    int64_t retry_us;  /* after a failure: not before */
    int64_t next_us;   /* the next round: attempts of others may be overdue then */
    PGresult *open;    /* attempts without an end, as the round began */
    bool *matched;     /* by row of `open` */
    struct flight_shelf shelf;
    size_t place; /* the next one on the shelf */
    struct flight_log log;
    size_t left;      /* entries of the log that are to be compared, from the first */
    size_t known_run; /* entries of it in a row that the ledger knows */
    struct attempt_end *ends;
    size_t end_count, end_size;
    struct journal_end compared[RECONCILE_BATCH];
    size_t compared_count;
    size_t lost[RECONCILE_BATCH]; /* places in `compared` */
    size_t lost_count;
    size_t recording;
    char dead_ids[RECONCILE_DEAD_MAX][FLIGHT_ID_SIZE];
    const char *dead[RECONCILE_DEAD_MAX];
    struct log_repeat failed_log;
    void (*on_done)(void *userdata);
    void *userdata;
};

void reconcile_init(struct reconcile *reconcile, struct workshop *workshop);
void reconcile_done(struct reconcile *reconcile);
/* A new connection: nothing is claimed until a round from now on is over. */
void reconcile_wake(struct reconcile *reconcile);
int64_t reconcile_work(struct reconcile *reconcile, int64_t now_us);
