/*
 * store/orders.h - the ledger of orders: how attempts ended, and what is done about those that have
 * no end.
 *
 * Only schema chwsync is touched here: nothing of the shop can delay or fail these statements.
 */
#pragma once
#include "store/connection.h"

#define ORDERS_BATCH_MAX 100

/* How one attempt ended. Strings are borrowed for the time of the call. */
struct attempt_end {
    int64_t order_id;
    int number;
    const char *outcome;           /* "accepted", "refused", "put off", "not executed", "unknown" */
    const char *provider_order_id; /* of accepted, else NULL */
    long http_status;              /* 0 = none */
    const char *answer; /* the provider's words, or what happened; NULL = nothing to say */
    int64_t wait_s;     /* of put off and not executed: until the next attempt */
};

/*
 * One transaction, set-wise: each attempt gets its end, each order its state (an outcome belongs to
 * its attempt and is accepted at any time; the order moves only from the states the life of an
 * order allows), and the work lists what follows. Saying it twice changes nothing. `tell_shop`: a
 * write-back is due for each. `first_poll_s`: until an accepted order is first asked about. Rows: 0
 * order_ref, 1 state; or 1 "surplus", 2 provider_order_id: bought a second time.
 */
int orders_record(struct connection *lane, const struct attempt_end *ends, size_t count,
                  bool tell_shop, unsigned first_poll_s, store_done done, void *userdata);

/*
 * Claims of this process whose COMMIT was ambiguous: attempts of `instance` for that account that
 * are open and not among `known` (order ids this process holds). They were never sent, as only what
 * was claimed and answered is sent. Only claims up to `last_claim`, all of which were answered or
 * lost before `known` was collected: so this statement does no harm however late the server comes
 * to run it, even on a connection that was given up. Rows: 0 order_ref.
 */
int orders_release(struct connection *lane, const char *instance, int account_id,
                   const int64_t *known, size_t known_count, int64_t last_claim, store_done done,
                   void *userdata);

/*
 * At start: attempts of other instances that nobody ended become uncertain, and stay so. Rows: 0
 * order_ref, 1 display_ref, 2 claimed_at.
 */
int orders_recover(struct connection *lane, const char *instance, bool tell_shop, store_done done,
                   void *userdata);

/* Whether another live order of that account has this order's link. Rows: 0 boolean. */
int orders_other_live(struct connection *lane, int64_t order_id, store_done done, void *userdata);

/* This order's veto could not be asked: it stays queued and is tried again after `wait_s`. */
int orders_put_off(struct connection *lane, int64_t order_id, unsigned wait_s, const char *reason,
                   store_done done, void *userdata);
/* Ids of lines that are due, as a claim would take them. Rows: 0 id. */
int orders_due(struct connection *lane, const char *provider, unsigned limit, store_done done,
               void *userdata);

/* Ids of orders whose write-back is due. Rows: 0 id. */
int orders_write_backs_due(struct connection *lane, unsigned limit, store_done done,
                           void *userdata);
/* The shop's function failed for this order: tried again with back-off, longer each time. */
int orders_write_back_failed(struct connection *lane, int64_t order_id, const char *sqlstate,
                             const char *error, store_done done, void *userdata);

/* Retention: deletes up to `limit` entries of the history, and old budget minutes. Rows: 0 deleted.
 */
int orders_forget_history(struct connection *lane, unsigned days, unsigned limit, store_done done,
                          void *userdata);
