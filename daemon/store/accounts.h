/*
 * store/accounts.h - the ledger of accounts: who they are, what they used of their budget, why they
 * are paused.
 *
 * An account is an endpoint and a keyed digest of the key: rows and budget belong to it, not to the
 * name in the configuration.
 */
#pragma once
#include "store/connection.h"

/* The schema's version and the salt of key digests. Rows: 0 version, 1 salt. Refused (42P01, 3F000,
 * 42501) when the schema is not there. */
int accounts_ledger(struct connection *lane, store_done done, void *userdata);

/*
 * The digest of a key: sha512-crypt of it under the ledger's salt (crypt(3)), so that a reader of
 * the ledger cannot tell the key. 0, 1 when the system's crypt refuses the salt, or -ENOMEM.
 * *ret_digest is owned (free).
 */
int accounts_digest(const char *salt, const char *key, char **ret_digest);

/* Columns of accounts_open()'s answer: one row a minute of the last day, the newest first; a single
 * row with NULLs in both columns of the minute when nothing was used. */
enum account_column {
    ACCOUNT_ID,
    ACCOUNT_PAUSED_S,         /* until all requests may go on; NULL = now */
    ACCOUNT_SUBMITS_PAUSED_S, /* until submits may go on; NULL = now */
    ACCOUNT_PAUSE_REASON,
    ACCOUNT_MINUTE_AGE_S,
    ACCOUNT_MINUTE_REQUESTS,
    ACCOUNT_MINUTE_ADDS,
    /* of chwsync.budgets, as accounts_keep() left it; all NULL at the first time */
    ACCOUNT_CONFIGURED_MINUTE,
    ACCOUNT_CONFIGURED_DAY,
    ACCOUNT_PER_MINUTE,
    ACCOUNT_PER_DAY,
    ACCOUNT_BURST,
    ACCOUNT_TOLD_MINUTE,
    ACCOUNT_TOLD_DAY,
    ACCOUNT_REFUSALS,
    ACCOUNT_PROBING,
    ACCOUNT_LARGEST_BURST,
    ACCOUNT_CLOCK_SPEED,
    ACCOUNT_USUAL_WORTH,
    ACCOUNT_PLANNED_DELAY_S,
    ACCOUNT_MEASURED_DELAY_S,
    ACCOUNT_COMMANDS,
    ACCOUNT_CONFIGURED_BURST,
    ACCOUNT_OUT_OF_FUNDS,
    ACCOUNT_REFUSED_AGO_S, /* of chwsync.budgets again; NULL = not known */
    ACCOUNT_RAISED_AGO_S,
    ACCOUNT_DAY_RAISED_AGO_S,
    ACCOUNT_MINUTE_ENDED, /* how many seconds ago its adds ended, the newest first: "3 4 4 7"; of
                             the last minutes only */
};
/* Finds or makes the account. */
int accounts_open(struct connection *lane, const char *provider, const char *endpoint,
                  const char *digest, store_done done, void *userdata);

/* No request before that many seconds from now (the provider asked for it), in the provider's
 * words; NULL = it said none, and the last error stays. */
int accounts_pause_all(struct connection *lane, int account_id, int64_t seconds, const char *reason,
                       store_done done, void *userdata);
/* No submit before that many seconds from now; reason NULL = submits go on. */
int accounts_pause_submits(struct connection *lane, int account_id, int64_t seconds,
                           const char *reason, store_done done, void *userdata);
/* The last thing that went wrong, for `status`. */
int accounts_note_error(struct connection *lane, int account_id, const char *error, store_done done,
                        void *userdata);
/* What chwsync.budgets holds of an account: see the schema. Seconds are relative to now, < 0 =
 * NULL. */
struct budget_figures {
    int account_id;
    const char *provider, *instance;
    unsigned configured_minute, configured_day, configured_burst, per_minute, per_day, burst,
        told_minute, told_day;
    int64_t refusals;
    double refused_ago_s, raised_ago_s, day_raised_ago_s, day_left_s, pace;
    bool probing;
    unsigned used_minute, used_day;
    double largest_burst, reserve, poll_rate, clock_speed, usual_worth, planned_delay_s,
        measured_delay_s;
    bool count_open; /* count the open orders; else `open` is taken for it */
    int64_t open;
};
/*
 * Keeps them, unless another instance held the lease last: what is kept is what whoever works
 * knows. Rows: 0 open orders, 1 lines that are due, 2 orders that ended in the last day, 3 requests
 * that commands ever made.
 */
int accounts_keep(struct connection *lane, const struct budget_figures *figures, store_done done,
                  void *userdata);
/* Rows: 0 the largest number of the shop's lines in ten minutes lately, above the usual. */
int accounts_largest_burst(struct connection *lane, const char *provider, store_done done,
                           void *userdata);
/* When the last of the lines is expected to be sent, in seconds from now; < 0 = none waits. */
int accounts_keep_queue_end(struct connection *lane, int account_id, const char *instance,
                            double seconds, store_done done, void *userdata);
/*
 * Requests that no other transaction counts, for the budget: asked for before they leave, and they
 * leave when `done` says STORE_DONE. So what was taken before a crash stays taken.
 */
int accounts_count_read(struct connection *lane, int account_id, unsigned count, store_done done,
                        void *userdata);
int accounts_count_poll(struct connection *lane, int account_id, unsigned count, store_done done,
                        void *userdata);
