/*
 * store/comparisons.h - accounts that may be one: found, compared, decided, moved.
 *
 * See sql/schema/012-accounts.sql. The daemon finds and compares (jobs/compare), an operator may
 * decide (`chwsyncd resolve --account`), and rows are moved in batches.
 */
#pragma once
#include "store/connection.h"
#include "store/session.h"

/* Columns of comparisons_look()'s answer: one row an account that was configured under the same
 * name before, and that is to be compared or moved. No row: nothing stands in the way. */
enum comparison_column {
    COMPARISON_EARLIER_ID,
    COMPARISON_ENDPOINT, /* of the earlier one */
    COMPARISON_SAME,     /* decided: its rows are to be moved */
    COMPARISON_BUSY,     /* another instance works for it now */
    COMPARISON_ASKED_S,  /* seconds since the provider was last asked; NULL = never */
    COMPARISON_EVIDENCE, /* what it said then */
    COMPARISON_BY,       /* the operator who decided, or NULL */
};
/* The accounts of this configuration; those are not earlier ones of each other. */
struct configured_account {
    const char *endpoint, *digest;
};
int comparisons_look(struct connection *lane, int account_id, const char *instance,
                     const struct configured_account *configured, size_t count, store_done done,
                     void *userdata);

/* The newest ids of an account, with what is known of them. */
enum known_column { KNOWN_ID, KNOWN_CHARGE, KNOWN_CURRENCY, KNOWN_START_COUNT };
int comparisons_known(struct connection *lane, int account_id, unsigned limit, store_done done,
                      void *userdata);

/* What came of asking; `same` decides it. */
int comparisons_say(struct connection *lane, int account_id, int earlier_id, const char *evidence,
                    bool same, store_done done, void *userdata);
/* Moves a batch. Rows: 0 how many rows were moved; 0 = that was all. */
int comparisons_move(struct connection *lane, int account_id, int earlier_id, unsigned limit,
                     store_done done, void *userdata);

/* ---- for operators ---- */

/* Undecided ones of accounts in use. Rows as enum undecided_column. */
enum undecided_column {
    UNDECIDED_PROVIDER,
    UNDECIDED_EARLIER_ENDPOINT,
    UNDECIDED_OPEN_ORDERS, /* of the earlier one */
    UNDECIDED_FOUND_AT,    /* seconds since 1970 */
    UNDECIDED_EVIDENCE,    /* or NULL: not asked yet */
};
enum session_verdict comparisons_undecided(struct session *session, PGresult **ret_rows,
                                           struct problem *reterr_problem);
/* Decides all of a provider. Rows: 0 the earlier account's id, 1 its endpoint, one a decision. */
enum session_verdict comparisons_decide(struct session *session, const char *provider, bool same,
                                        const char *who, const char *wake_channel,
                                        PGresult **ret_rows, struct problem *reterr_problem);
