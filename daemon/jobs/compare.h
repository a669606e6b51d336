/*
 * jobs/compare.h - after a change of key or URL: is it the account whose orders are open?
 *
 * Rows belong to an account, which the ledger knows by URL and key alone. When a provider's account
 * is opened and an earlier one of the same name has orders, the provider is asked about the newest
 * of them with the new key, in one multi-status. When it knows them (rules/account_match) the rows
 * are moved, and they are followed on; the budget is a new one, as limits are a key's. When it does
 * not, nothing is bought at this provider until an operator says what is meant (`chwsyncd resolve
 * --account`), or the old key is back. Orders of other providers go on, and so does following what
 * the new account itself has bought.
 *
 * Results that the shop is to be told are told meanwhile: each was learned with the key that bought
 * it.
 */
#pragma once
#include "jobs/account.h"
#include "store/comparisons.h"

enum compare_step {
    COMPARE_LOOK,
    COMPARE_ASK, /* `known` is to be asked about, with the lease and as the budget allows */
    COMPARE_MOVE,
};

struct compare {
    struct account *account;                     /* borrowed */
    struct workshop *workshop;                   /* borrowed */
    const struct configured_account *configured; /* borrowed: all of the configuration's */
    size_t configured_count;
    enum compare_step step;
    bool busy;
    bool on_the_wire;
    int64_t opened_us; /* the opening that was looked at; 0 = none */
    int64_t next_us;
    int earlier_id;
    PGresult *known; /* ids of the earlier account, by enum known_column; owned */
    int64_t moved;
    struct log_repeat doubt_log, wait_log, fault_log;
    void (*on_moved)(void *userdata); /* there are orders to follow */
    void *userdata;
};

void compare_init(struct compare *compare, struct account *account);
void compare_done(struct compare *compare);
/* An operator may have decided. */
void compare_wake(struct compare *compare, int64_t now_us);
bool compare_wants_lease(const struct compare *compare);
int64_t compare_work(struct compare *compare, int64_t now_us);
/* No request on the wire. */
bool compare_is_quiet(const struct compare *compare);
