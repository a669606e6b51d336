/*
 * jobs/clock_watch.h - notices that the database's clock was set, and moves along what waits by it.
 *
 * That clock decides what is due, so that all instances agree. When somebody sets it back by an
 * hour, orders, write-backs and searches would wait an hour longer; so what waits is moved along,
 * and so are the slots of the budget. It is looked at once a minute, with each intake, on every new
 * connection and before an account is opened; the last look is kept in the ledger with our own boot
 * clock, so that a step between two runs is noticed as well.
 */
#pragma once
#include "jobs/job.h"
#include "rules/clock_step.h"

struct clock_watch {
    struct workshop *workshop; /* borrowed */
    char boot[37];          /* uuid text; "" = not known: steps between two runs are not noticed */
    struct clock_look last; /* server_us 0 = none yet */
    bool fresh; /* it was looked at since that was wanted: what the ledger's moments say is true */
    bool busy;
    int64_t asked_us;        /* the look under way */
    int64_t next_us;         /* monotonic, the next look */
    int64_t move_us;         /* likewise, the next try to move */
    int64_t step_us;         /* noticed, and not yet moved along */
    int64_t since_us;        /* from the look before it to `after` */
    struct clock_look after; /* the look that noticed it */
    struct log_repeat failed_log;
    /* It was set forward: another's lease may have ended before its time. */
    void (*on_forward)(void *userdata);
    /* What waited was moved along. */
    void (*on_moved)(void *userdata);
    void *userdata;
};

void clock_watch_init(struct clock_watch *watch, struct workshop *workshop);
/* Look now; until then nothing is to be concluded from moments of the ledger. */
void clock_watch_wake(struct clock_watch *watch);
/* A look that another statement made on its way. */
void clock_watch_note(struct clock_watch *watch, const struct clock_look *look);
/* Moments of the ledger can be read: it was looked at, and moved along if it had to be. */
bool clock_watch_is_settled(const struct clock_watch *watch);
int64_t clock_watch_work(struct clock_watch *watch, int64_t now_us);
