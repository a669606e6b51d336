/*
 * jobs/recheck.h - looks at orders once more after their end: rarely, and mostly at no cost.
 *
 * Ids that are due are held, and lent to status requests that are not full (jobs/poll): up to a
 * hundred ids cost what one does. What finds no such room within half an hour, or fills a request,
 * goes in one of its own, as a read of the budget, while no order waits and at most a twentieth of
 * the day (rules/recheck). The poll schedule does not know of them.
 *
 * A provider that refuses a request with such ids in it gets them apart from others for an hour:
 * they must not cost open orders their answer. One that refuses for an id that it has forgotten is
 * asked about fewer at a time, until that one is found.
 */
#pragma once
#include "jobs/account.h"
#include "store/rechecks.h"
#include <sys/queue.h>

struct recheck_item {
    int64_t order_id, age_s;
    char *id, *order_ref;
    char state[16]; /* as it was picked */
};

/* Ids on the wire, until their answers are in the ledger. */
struct recheck_loan {
    LIST_ENTRY(recheck_loan) entry;
    struct recheck *recheck;
    struct recheck_item items[RECHECKS_MAX];
    size_t count;
};

struct recheck {
    struct account *account;   /* borrowed */
    struct workshop *workshop; /* borrowed */
    struct recheck_item held[RECHECKS_MAX];
    size_t held_count;
    int64_t held_us, overdue_s; /* since when, and how long the oldest was due then */
    char asked_at[40];          /* by the database's clock, when they were taken */
    unsigned limit;             /* ids a request; less after one was refused for one of them */
    unsigned limit_max;         /* less after the provider said it is too many */
    LIST_HEAD(, recheck_loan) loans;
    bool picking, own_loan;
    bool counting;         /* a request of its own, before it leaves */
    bool looked_for_rides; /* the last look took all that was due, to be lent */
    bool ride_passed;      /* since the last look a request had room, and nothing was held */
    int64_t look_us;       /* when the list is looked at next */
    int64_t alone_us;      /* not before that is a request of its own sent */
    int64_t ride_us;       /* nor before that are ids lent */
    struct log_repeat fault_log, words_log;
    /* Committed: the shop is to be told, and so many orders go on. */
    void (*on_applied)(void *userdata, unsigned reopened);
    void *userdata;
};

void recheck_init(struct recheck *recheck, struct account *account);
void recheck_done(struct recheck *recheck);
int64_t recheck_work(struct recheck *recheck, int64_t now_us);
bool recheck_wants_lease(const struct recheck *recheck, int64_t now_us);
bool recheck_is_quiet(const struct recheck *recheck);

/* An order is to be looked at soon. */
void recheck_wake(struct recheck *recheck, int64_t now_us);
/* At most `room` ids for a request; NULL = none. The loan is given back by one of the last two. */
struct recheck_loan *recheck_lend(struct recheck *recheck, size_t room);
/* Adds them to `ids` (borrowed from the loan); their number. `loan` may be NULL, as below. */
size_t recheck_loan_ids(const struct recheck_loan *loan, const char **ids);
/* A usable answer came to a request that was made at `asked_at` or later (by the database). */
void recheck_answered(struct recheck_loan *loan, const struct reply *reply, const char *asked_at);
/* None came; `refused`: the request as such was. */
void recheck_return(struct recheck_loan *loan, bool refused);
