/*
 * store/rehearsal.h - what only shows when it is done: reading the shop's view, calling its
 * function, the daemon's rights.
 *
 * For `chwsyncd check`. Everything happens in transactions that are rolled back, within a time
 * limit each.
 */
#pragma once
#include "store/contract.h"
#include "store/session.h"
#include <stdint.h>

/* The contract as the catalogue shows it to this session's role. `function` may be NULL. */
enum session_verdict rehearsal_contract(struct session *session, const char *view,
                                        const char *function, struct contract *ret_contract,
                                        struct problem *reterr_problem);

struct rehearsal_server {
    int version;          /* 150018 */
    bool read_only;       /* a standby, or default_transaction_read_only */
    bool may_write;       /* this role has its rights on every table of the ledger */
    char shop_table[128]; /* a table outside the two schemas that this role may read, or "" */
};
enum session_verdict rehearsal_server(struct session *session, struct rehearsal_server *ret_server,
                                      struct problem *reterr_problem);

/* Reads every row and every column of the view, as intake does. */
struct rehearsal_view {
    int64_t rows, without_ref, repeated; /* repeated: keys that are shown more than once */
    int64_t too_long;                    /* keys of more than 200 bytes */
    int64_t fresh;                       /* not in the ledger yet: they would be taken at once */
    int64_t without_service;
    char strangers[128]; /* providers that are not configured, or "" */
    int64_t took_ms;
};
/* `providers` are the configured ones, joined by commas. */
enum session_verdict rehearsal_view(struct session *session, const struct contract *contract,
                                    const char *providers, struct rehearsal_view *ret_view,
                                    struct problem *reterr_problem);

/*
 * Calls the function and takes it back (store/contract_rehearsal.h); what is wrong with it is added
 * to the contract's faults. 0, 1 when the connection broke, -ENOMEM.
 */
int rehearsal_function(struct session *session, struct contract *contract, unsigned time_limit_s,
                       struct problem *reterr_problem);

/* Tables of 10,000 rows and more that reading the view goes through from end to end. */
#define REHEARSAL_SCANS_MAX 4
struct rehearsal_scan {
    char table[160], key[80]; /* quoted; key "" = no primary key of one column */
    int64_t rows;
    char filter[256]; /* what is left out, "" = nothing */
};
struct rehearsal_scans {
    struct rehearsal_scan list[REHEARSAL_SCANS_MAX];
    size_t count;
};
enum session_verdict rehearsal_scans(struct session *session, const struct contract *contract,
                                     struct rehearsal_scans *ret_scans,
                                     struct problem *reterr_problem);

/* Whether any function of this database could notify the channel. */
enum session_verdict rehearsal_wake(struct session *session, const char *channel,
                                    bool *ret_is_known, struct problem *reterr_problem);

/* What the ledger says of an account that keeps orders waiting. Amounts are the ledger's text. */
#define REHEARSAL_HELD_MAX 8
struct rehearsal_account {
    bool has_budget; /* the daemon has kept it: the next four are known */
    unsigned configured_minute, configured_day; /* as the daemon last had them; 0 = none */
    unsigned limit_minute, limit_day;           /* in force, as refusals taught */
    char pause_reason[200];                     /* why nothing is submitted now, "" = it is */
    int64_t pause_s;                            /* for how long still */
    bool out_of_funds;                          /* an order was refused for want of money */
    int64_t stops, uncertain; /* lost attempts that stop submits; orders of unknown outcome */
    int64_t used_day, refusals;
    char catalogue_error[200]; /* "" = none */
    struct {
        char why[16]; /* of chwsync.queue.held */
        int64_t lines;
    } held[REHEARSAL_HELD_MAX];
    size_t held_count;
};
enum session_verdict rehearsal_account(struct session *session, const char *provider,
                                       const char *endpoint, struct rehearsal_account *ret_account,
                                       struct problem *reterr_problem);
/* Whether an amount is below another one: both are decimal texts. */
enum session_verdict rehearsal_is_below(struct session *session, const char *amount,
                                        const char *mark, bool *ret_is_below,
                                        struct problem *reterr_problem);
