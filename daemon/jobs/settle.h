/*
 * jobs/settle.h - finds out what became of purchases whose answer was lost.
 *
 * One search at a time per account: the ids between the orders that were bought before and after
 * the lost one are asked by multi-status, within the budget as reads, after twice the provider's
 * time limit has passed: so long may a request that was given up still be carried out. What was
 * found is kept in the order's history. With uncertain = "hold" that is all; with "prove" an order
 * is adopted when rules/settle_match finds no objection. Nothing is ever sent again by inference.
 *
 * Operators who name an id (`chwsyncd resolve REF --placed ID`) leave a request in the ledger; it
 * is carried out here, because only the daemon has the key and the budget: at once when the wake-up
 * is heard, else at the next look, every 30 s.
 */
#pragma once
#include "jobs/account.h"
#include "rules/settle_match.h"
#include "store/settle.h"

/* An attempt that may exist at the provider without an id in the ledger. */
struct settle_other {
    int64_t order_id;
    int number;
};
#define SETTLE_OTHERS_MAX 100

/* One lost attempt that is being looked for, or an id that an operator named. */
struct settle_search {
    int64_t order_id, resolution_id; /* resolution_id 0 = a search */
    int number;
    char *order_ref, *wanted_id;
    int64_t claimed_us, ended_us, looks;
    int64_t began_us; /* CLOCK_MONOTONIC */
    int64_t facts_us; /* CLOCK_BOOTTIME: the facts were read */
    struct settle_known known[SETTLE_KNOWN_MAX];
    size_t known_count;
    PGresult *facts; /* what the known ids are borrowed from */
    struct settle_rival rivals[SETTLE_OTHERS_MAX];
    struct settle_other others[SETTLE_OTHERS_MAX]; /* whose the rivals are */
    struct settle_case lost;
    struct settle_probe probes[SETTLE_SPAN_MAX];
    enum settle_verdict span; /* SETTLE_MATCHED, or why nothing can be adopted whatever is found */
    size_t asked;             /* probes before this one were asked, or need not be */
    bool asking, cut_short;
    size_t batch[MULTI_STATUS_MAX], batch_count; /* probes of the request on the wire */
};

struct settle {
    struct account *account;   /* borrowed */
    struct workshop *workshop; /* borrowed */
    struct settle_search *search;
    bool busy; /* a statement or a request is under way */
    int64_t next_us;
    char balance[DECIMAL_SIZE], currency[16]; /* the evidence's, "" = none was told */
    int64_t balance_us; /* when it was asked for: searches that follow soon need not; 0 = never */
    struct log_repeat fault_log;
    void (*on_settled)(void *userdata); /* committed: the shop is to be told, polls begin */
    void *userdata;
};

void settle_init(struct settle *settle, struct account *account);
void settle_done(struct settle *settle);
/* Something may have to be settled, looked at from `at_us` on: an operator said so, or time has
 * passed. */
void settle_wake(struct settle *settle, int64_t at_us);
int64_t settle_work(struct settle *settle, int64_t now_us);
/* A search is under way: its requests leave under the lease. */
bool settle_wants_lease(const struct settle *settle);
bool settle_is_quiet(const struct settle *settle);
