/*
 * store/refills.h - the ledger of refills: what is to be asked next, and what was answered.
 *
 * The first part is the daemon's, the second that of `chwsyncd refill`. An intent is committed
 * before the request leaves, as for an order: a refill that is found as `sending` by another run
 * than the one which sends it is uncertain from then on.
 */
#pragma once
#include "store/connection.h"
#include "store/session.h"

/* Columns of refills_take()'s answer: always one row. */
enum refill_column {
    REFILL_LEASED,          /* false: the account is another instance's, and nothing was done */
    REFILL_NEXT_S,          /* until something else is due; NULL = nothing is */
    REFILL_OPEN,            /* refills that are not over */
    REFILL_FOUND_UNCERTAIN, /* order_refs of refills that an earlier run left; NULL = none */
    REFILL_ID,              /* of what was taken; NULL = nothing was due */
    REFILL_ATTEMPT,
    REFILL_ORDER_REF,
    REFILL_STATE, /* "sending": to be asked for; "pending", "in_progress": asked about; "refused":
                     the order is not one to be refilled any more */
    REFILL_PROVIDER_ORDER_ID,
    REFILL_REFILL_ID,
    REFILL_AGE_S,  /* since it was sent */
    REFILL_ERRORS, /* answers in a row that told nothing */
};

/* Who takes. */
struct refill_taker {
    int account_id;
    const char *instance;
    int64_t lease_number;
};
/*
 * One transaction: takes what is due first, requests before questions, and counts its request. To
 * be called only when no earlier request of this process is without its recorded answer: what is
 * `sending` by this instance was then never sent, and is requested again.
 */
int refills_take(struct connection *lane, const struct refill_taker *taker, store_done done,
                 void *userdata);

/* How an attempt ended, or what a question was answered. Strings are borrowed for the call. */
struct refill_answer {
    int64_t id;
    int attempt;
    bool of_question; /* about a refill that the provider had taken */
    const char *state;
    const char *refill_id, *word, *error; /* or NULL */
    double wait_s;                        /* until it is looked at again; < 0 = not by itself */
};
/*
 * Notes what differs in the order's history, and has the order itself looked at once more. Rows: 0
 * order_ref, 1 state before, 2 state, 3 refill_id, 4 word, 5 error; none when somebody else has
 * settled it meanwhile.
 */
int refills_record(struct connection *lane, const struct refill_answer *answer, store_done done,
                   void *userdata);

/* ---- an operator's word ---- */

/* What chwsync.request_refill() answers; `again`: although one ended only lately. */
enum session_verdict refill_ask(struct session *session, const char *order_ref, const char *who,
                                bool again, PGresult **ret_rows, struct problem *reterr_problem);
/*
 * Of the order's refill that is uncertain, or about which the provider tells nothing. `refill_id`
 * NULL: it does not exist there, and is asked for again. *ret_done is false when there is none.
 */
enum session_verdict refill_settle(struct session *session, const char *order_ref, const char *who,
                                   const char *refill_id, bool *ret_done,
                                   struct problem *reterr_problem);

/* The latest refill of an order, as chwsync.refill_status has it; one row or none. */
enum refill_status_column {
    REFILL_STATUS_REF,
    REFILL_STATUS_DISPLAY_REF,
    REFILL_STATUS_PROVIDER,
    REFILL_STATUS_PROVIDER_ORDER_ID,
    REFILL_STATUS_REFILL_ID,
    REFILL_STATUS_STATUS,
    REFILL_STATUS_ERROR,
    REFILL_STATUS_REQUESTED_AT, /* seconds since 1970, as the others */
    REFILL_STATUS_REQUESTED_BY,
    REFILL_STATUS_UPDATED_AT,
    REFILL_STATUS_PROVIDER_STATUS,
    REFILL_STATUS_SENT_AT,
    REFILL_STATUS_ENDED_AT,
    REFILL_STATUS_NEXT_LOOK_AT,
};
enum session_verdict refill_latest(struct session *session, const char *order_ref,
                                   PGresult **ret_rows, struct problem *reterr_problem);
