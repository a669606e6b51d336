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
    const char *answer;  /* the provider's words, or what happened; NULL = nothing to say */
    const char *journal; /* uuid text: only the attempt that named it; NULL = whichever */
    int64_t wait_s;      /* of put off and not executed: until the next attempt; -1: it stands in
                            the queue where it stood before */
};

/*
 * One transaction, set-wise: each attempt gets its end, each order its state (an outcome belongs to
 * its attempt and is accepted at any time; the order moves only from the states the life of an
 * order allows), and the work lists what follows. Saying it twice changes nothing. `tell_shop`: a
 * write-back is due for each. `first_poll_s`: until an accepted order is first asked about. Rows: 0
 * order_ref, 1 state; or 1 "surplus", 2 provider_order_id: bought a second time; or 1 "echoed", 2
 * words: accepted under the id of another order, hence uncertain. `alarms_only`: these two alone.
 */
int orders_record(struct connection *lane, const struct attempt_end *ends, size_t count,
                  bool tell_shop, unsigned first_poll_s, bool alarms_only, store_done done,
                  void *userdata);

/*
 * The claim of that number, of this process, whose COMMIT was ambiguous or whose answer could not
 * be kept: its attempts that are not among `known` (order ids this process holds) were never sent,
 * as only what was claimed and answered is sent. Rows: 0 order_ref.
 */
int orders_release(struct connection *lane, const char *instance, int account_id, int64_t claim,
                   const int64_t *known, size_t known_count, store_done done, void *userdata);

/*
 * Attempts that nobody ended. Rows: 0 order_id, 1 number, 2 order_ref, 3 journal (NULL = none), 4
 * the number in that journal, 5 boolean: of `instance`, 6 seconds until its writer must have given
 * it up (send_before and `patience_s`; negative = long ago), 7 claimed_at.
 */
int orders_open(struct connection *lane, const char *instance, unsigned patience_s, store_done done,
                void *userdata);

/* What a flight journal knows of one attempt. Strings are borrowed for the time of the call. */
struct journal_end {
    int place; /* the caller's number for it */
    const char *order_ref, *provider;
    int account_id, number;
    int64_t left_s; /* since 1970 */
    const char *service, *link, *quantity;
    const char *outcome, *provider_order_id, *answer; /* "" = none */
    int http_status;
};

/*
 * Which of them the ledger does not know, or knows without the end they have. Rows: 0 place, 1
 * order_id and 2 number of the ledger's attempt, NULL where there is none: the ledger is older
 * than the journal.
 */
int orders_compare(struct connection *lane, const char *journal, const struct journal_end *ends,
                   size_t count, store_done done, void *userdata);

/*
 * Puts attempts back that the ledger has lost, and stops the submits of their accounts
 * (chwsync.submit_stops). Rows: 0 order_ref, 1 where the order stands then, or "surplus".
 */
int orders_restore(struct connection *lane, const char *journal, const struct journal_end *ends,
                   size_t count, bool tell_shop, unsigned first_poll_s, store_done done,
                   void *userdata);

/* Whether another live order of that account has this order's link; then the queued ones that have
 * it wait. Rows: 0 boolean. */
int orders_hold_duplicates(struct connection *lane, int64_t order_id, bool tell_shop,
                           store_done done, void *userdata);

/* The provider refused a service that its catalogue lists: orders for it wait for the next one. */
int orders_refuse_service(struct connection *lane, int account_id, const char *service,
                          store_done done, void *userdata);

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
