/*
 * jobs/refill.h - asks the provider for refills, and how they stand until they end.
 *
 * What is to be done stands in the ledger, where the shop (chwsync.request_refill()) and operators
 * put it; the intake's look tells when something is due, so an idle daemon asks nothing. One
 * request at a time per account, as a read of the budget: adds go first.
 *
 * The intent is committed before a request leaves, under the lease. One whose answer is lost, or
 * that an earlier run left without an answer, is uncertain: it is shown, and not repeated unless an
 * operator says so. A refill costs nothing, so there is no record of it in the flight journal.
 */
#pragma once
#include "jobs/account.h"
#include "store/refills.h"

/* What is under way: of one refill, until its answer is in the ledger. */
struct refill_call {
    int64_t id, age_s, open;
    int attempt;
    unsigned errors;
    char *order_ref, *order_id, *refill_id, *state;
    /* the answer, to be recorded */
    char *new_refill_id, *word, *error;
    const char *new_state; /* static, or `state` */
    double wait_s;
};

struct refill {
    struct account *account;   /* borrowed */
    struct workshop *workshop; /* borrowed */
    bool busy;                 /* a statement or a request is under way */
    bool unrecorded;           /* the ledger refused the answer: it is offered again */
    int64_t next_us;           /* INT64_MAX = nothing is due */
    struct refill_call call;
    struct log_repeat fault_log, silent_log;
    void (*on_recorded)(void *userdata); /* committed: the order is to be looked at */
    void *userdata;
};

void refill_init(struct refill *refill, struct account *account);
void refill_done(struct refill *refill);
/* Something may have to be done: looked for now. */
void refill_wake(struct refill *refill, int64_t now_us);
/* What an intake's look told of all accounts: "ID:SECONDS ID:SECONDS", NULL = nothing is due. */
void refill_note_due(struct refill *refill, const char *due, int64_t now_us);
int64_t refill_work(struct refill *refill, int64_t now_us);
/* A request is due: it leaves under the lease. */
bool refill_wants_lease(const struct refill *refill, int64_t now_us);
bool refill_is_quiet(const struct refill *refill);
