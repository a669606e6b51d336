/*
 * store/rechecks.h - the ledger's list of ended orders that are looked at once more.
 *
 * A row is made where an order's end is recorded (store/polls.h). While the order is followed again
 * it waits; it goes with the last look.
 */
#pragma once
#include "store/connection.h"

#define RECHECKS_MAX 100

/* Columns of rechecks_pick()'s answer; without a row when nothing was taken. */
enum recheck_column {
    RECHECK_ORDER_ID,
    RECHECK_PROVIDER_ORDER_ID,
    RECHECK_ORDER_REF,
    RECHECK_STATE,
    RECHECK_AGE_S, /* since its end */
    RECHECK_OVERDUE_S,
    RECHECK_ASKED_AT,
};
/* Which. */
struct recheck_wish {
    int account_id;
    const char *instance;
    unsigned limit;
    bool take_all; /* else only when there are `limit`, or one is overdue for `patience_s` */
    int64_t patience_s;
};
/*
 * One transaction: takes at most `limit` that are due, the longest first; none while another
 * instance works for the account. They come back in an hour if nothing is heard of them. Rows whose
 * orders have not ended are passed over.
 */
int rechecks_pick(struct connection *lane, const struct recheck_wish *wish, store_done done,
                  void *userdata);

/* What the provider says of one; strings are borrowed for the call, NULL = not said. */
struct recheck_answer {
    int64_t order_id;
    const char *state; /* the ledger's word, or NULL: nothing that is known was said */
    bool in_progress;
    const char *word, *charge, *currency;
    int64_t start_count, remains;
    bool has_start_count, has_remains;
    int64_t next_s;  /* until the look after this, if it is as it was; < 0 = there is none */
    int64_t first_s; /* until the first look at the new end; likewise */
};
/*
 * One transaction: what changed is written, noted in the history where status or charge differ, and
 * told to the shop; an order that goes on is followed again. Rows: 0 order_ref, 1 state before, 2
 * state, 3 provider_order_id, 4 charge before, 5 charge, 6 currency, one for each order whose state
 * or charge changed.
 */
int rechecks_apply(struct connection *lane, const struct recheck_answer *answers, size_t count,
                   const char *asked_at, bool tell_shop, store_done done, void *userdata);
