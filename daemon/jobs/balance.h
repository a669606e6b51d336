/*
 * jobs/balance.h - keeps a provider's balance known, and lets orders go on when it has risen.
 *
 * When it is asked is rules/balance_watch.h's to say; what that needs to know is read from the
 * ledger while something happens, every 10 s, so that no request is spent to find out that none is
 * wanted. The question goes through the gate as a read, under the account's lease, and is counted
 * before it leaves.
 *
 * Refused for want of money (jobs/account), orders wait: the balance is asked every 30 s, and they
 * go on by themselves when it has risen, or is enough for the oldest of them. A provider that tells
 * no amount is found out by one order every 30 s. Lines that the claim holds because what is left
 * does not reach are due again whenever more is left.
 */
#pragma once
#include "jobs/account.h"
#include "rules/balance_watch.h"

enum balance_stage {
    BALANCE_RESTS,  /* until next_us */
    BALANCE_LOOKS,  /* the ledger is asked what happened */
    BALANCE_WANTED, /* a request is to leave: it waits for lease and budget */
    BALANCE_BEGINS, /* the ledger counts it */
    BALANCE_ASKS,   /* it is on the wire */
    BALANCE_NOTES,  /* the ledger takes the answer */
};

struct balance {
    struct account *account;   /* borrowed */
    struct workshop *workshop; /* borrowed */
    unsigned history_days;
    enum balance_stage stage;
    int64_t next_us;            /* the next look */
    int64_t wanted_us;          /* since when a request is to leave */
    int64_t asked_us, tried_us; /* the last question: when it left, when it ended */
    unsigned failures;          /* in a row, without an amount */
    uint64_t adds;              /* of the account, when it was looked last */
    bool was_out_of_funds;
    bool rose, reaches; /* the last answer: as balances_note() says */
    bool reach_tried;   /* orders went on because it was enough, and none was accepted since */
    bool held;          /* lines waited for money at the last look */
    char asked_at[64], amount[DECIMAL_SIZE], currency[16]; /* of the question under way */
    struct log_repeat mute_log, fault_log;
    void (*on_risen)(void *userdata); /* lines are due */
    void *userdata;
};

void balance_init(struct balance *balance, struct account *account, unsigned history_days);
int64_t balance_work(struct balance *balance, int64_t now_us);
/* A request waits for the lease. */
bool balance_wants_lease(const struct balance *balance);
/* No request is on the wire. */
bool balance_is_quiet(const struct balance *balance);
