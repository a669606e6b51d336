/*
 * store/polls.h - the ledger of open orders: which to ask about next, and what the provider said.
 */
#pragma once
#include "rules/hazard.h"
#include "store/connection.h"

#define POLLS_BATCH_MAX 100

/* Columns of polls_pick()'s answer, one row an order. */
enum poll_column {
    POLL_BATCH_WORTH, /* of the whole batch; NULL: no order can be asked about now */
    POLL_BATCH_TURN,
    POLL_ORDER_ID, /* NULL: the batch was not worth its price and was not taken */
    POLL_PROVIDER_ORDER_ID,
    POLL_ORDER_REF,
    POLL_ASKED_AT,
    POLL_ERRORS,
    POLL_STRIDE,
    POLL_UNASKED_S, /* since the last question, before this one */
    /* what rules/hazard needs */
    POLL_AGE_S,
    POLL_QUANTITY,
    POLL_RUNS,
    POLL_INTERVAL_MIN, /* of a drip-feed */
    POLL_ANSWERED_S,
    POLL_REMAINS,
    POLL_RATE,
    POLL_FIRST_MOVED_S,
    POLL_LAST_MOVED_S,
    POLL_SERVICE,
    POLL_HISTORY_MEAN, /* of the service; NULL: nothing is known */
    POLL_HISTORY_VARIANCE,
    POLL_HISTORY_WEIGHT,
    POLL_NEXT_DUE_MS, /* when none can be asked about now, but one can later; else NULL */
    POLL_COLUMNS
};

/* Which batch. */
struct poll_wish {
    int account_id;
    unsigned limit;
    const int64_t *busy; /* ids that are on the wire now */
    size_t busy_count;
    double price; /* the least worth; 0 = whatever it is worth */
    double turn;  /* where the clock stood, when the batch itself does not tell; 0 = not known */
    double speed; /* of the clock, 0 = not known */
};
/*
 * One transaction: the `limit` earliest turns, when they are worth the price; each gets its next
 * turn, and one request is counted. Otherwise one row without an order.
 */
int polls_pick(struct connection *lane, const struct poll_wish *wish, store_done done,
               void *userdata);

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
    const char *error; /* of this id; then nothing else counts */
    double wait_s;     /* with an error: until it is asked again */
    /* The schedule: written when `stride` > 0. */
    double stride;
    struct progress progress;
    /* A completed order taught something about its service: written when `history.weight` > 0. */
    const char *service;
    struct service_history history;
    int64_t recheck_s; /* of an order that ended: until it is looked at again; < 0 = never */
};
/*
 * One transaction, set-wise: only what changed is written, and only when the question was asked
 * later than the last one whose answer was applied. Final orders leave the list. Rows: 0 order_ref,
 * 1 state before, 2 state after, 3 provider_order_id, 4 charge, 5 currency, one for each order
 * whose state changed; and one, with 6 a clause about it, for each whose charge is not what its
 * attempt was expected to cost. `asked_at` is POLL_ASKED_AT, `speed` the clock's
 * (rules/poll_schedule).
 */
int polls_apply(struct connection *lane, const struct poll_answer *answers, size_t count,
                const char *asked_at, double speed, bool tell_shop, store_done done,
                void *userdata);
