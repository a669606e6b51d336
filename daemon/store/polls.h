/*
 * store/polls.h - the ledger of open orders: which to ask about next, and what the provider said.
 */
#pragma once
#include "store/connection.h"

#define POLLS_BATCH_MAX 100

/* Columns of polls_pick()'s answer, one row an order. */
enum poll_column {
    POLL_ORDER_ID,
    POLL_PROVIDER_ORDER_ID,
    POLL_ORDER_REF,
    POLL_QUANTITY,
    POLL_REMAINS,
    POLL_ACCEPTED_AGO_S,
    POLL_CHANGED_AGO_S,
    POLL_INTERVAL_S,
    POLL_ERRORS,
    POLL_ASKED_AT,
    POLL_OTHERS_DAY, /* requests of the last day that were no polls: what the pace of polls is made
                        from */
};
/*
 * One transaction: when at least one order is due, the `limit` earliest, due or not, without those
 * in `busy` (their ids are on the wire now); each is stamped for its next look, and one request is
 * counted. Otherwise no row.
 */
int polls_pick(struct connection *lane, int account_id, unsigned limit, const int64_t *busy,
               size_t busy_count, store_done done, void *userdata);
/* When the next order is due. Rows: 0 seconds from now (may be negative), NULL = no order is open.
 * 1 open orders, at most 100001. */
int polls_next(struct connection *lane, int account_id, store_done done, void *userdata);

/* What the provider said about one order. Strings are borrowed for the time of the call; NULL = not
 * said. */
struct poll_answer {
    int64_t order_id;
    const char *state; /* "active", "completed", ... of the ledger; NULL = a word we do not know:
                          only shown */
    bool in_progress;
    const char *status_word; /* the provider's */
    const char *charge, *currency;
    int64_t start_count, remains;
    bool has_start_count, has_remains;
    const char *error;  /* of this id; then nothing else counts */
    int64_t interval_s; /* a new interval, or 0 = as it is */
};
/*
 * One transaction, set-wise: only what changed is written, and only when the question was asked
 * later than the last one whose answer was applied. Final orders leave the list. Rows: 0 order_ref,
 * 1 state before, 2 state after, 3 provider_order_id, 4 charge, 5 currency, one for each order
 * whose state changed. `asked_at` is POLL_ASKED_AT.
 */
int polls_apply(struct connection *lane, const struct poll_answer *answers, size_t count,
                const char *asked_at, bool tell_shop, store_done done, void *userdata);
