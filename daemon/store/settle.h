/*
 * store/settle.h - the ledger's side of settling purchases whose answer was lost.
 *
 * The first part is the daemon's: what to look for, the facts around it, what was found. The second
 * is that of `chwsyncd resolve` and `retry`. Only schema chwsync is touched. Moments are
 * microseconds since 1970 by the database's clock.
 */
#pragma once
#include "store/connection.h"
#include "store/session.h"

/* Columns of settle_look()'s rows. */
enum settle_look_column {
    LOOK_KIND, /* "disproved", "resolution", "search" */
    LOOK_ORDER_ID,
    LOOK_NUMBER,
    LOOK_ORDER_REF,
    LOOK_PROVIDER_ORDER_ID, /* of a resolution: what the operator named; of disproved: what it was
                             */
    LOOK_RESOLUTION_ID,
    LOOK_CLAIMED_US,
    LOOK_ENDED_US, /* when it was given up */
    LOOK_LOOKS,    /* so far */
    LOOK_DUE_IN_S, /* of a search; 0 or less = now */
};
/*
 * What is to be done next: the oldest open resolution, and the search that is due first. Before
 * that, a reply beats a proof: an order that was taken for an id which the provider then told to
 * another one is uncertain again ("disproved"). `settle_s`: how long after an attempt was given up
 * its search begins.
 */
int settle_look(struct connection *lane, int account_id, int64_t settle_s, bool tell_shop,
                store_done done, void *userdata);

/* Columns of settle_facts()'s rows. */
enum settle_fact_column {
    FACT_KIND,    /* "known", "rival", "price" */
    FACT_TEXT,    /* known: id; price: what it must have cost, or NULL */
    FACT_TEXT_2,  /* price: the currency, or NULL */
    FACT_INTEGER, /* known, rival: claimed; price: pieces in all, or NULL */
    FACT_ENDED,   /* known, rival: ended; NULL = under way */
    FACT_FLAG,    /* rival: identical, and itself uncertain */
    FACT_ORDER_ID,
    FACT_NUMBER, /* of the rival */
};
/*
 * Around one lost attempt, a day before and after: orders whose ids were told (at most 200 on each
 * side), attempts that may exist there without one, and the price. The price is what orders with
 * the same service, quantity and parameters cost; or, of those with the same service, the charge by
 * quantity where it divides exactly. Where they do not agree it is NULL.
 */
int settle_facts(struct connection *lane, int64_t order_id, int number, store_done done,
                 void *userdata);

/* Of these ids, those the ledger has for no order of the account. Rows: 0 id. */
int settle_unowned(struct connection *lane, int account_id, const char *const *ids, size_t count,
                   store_done done, void *userdata);

/*
 * What a look found; kept, and added to the order's history when it differs from the last one.
 * `evidence` NULL = as it was.
 */
int settle_note(struct connection *lane, int64_t order_id, int number, const char *evidence,
                int64_t next_s, store_done done, void *userdata);

struct settle_pair {
    int64_t order_id;
    int number;
    const char *provider_order_id;
};
/*
 * Lost attempts whose orders were found, all of them or none: each order is active and followed.
 * Not when the attempt has an answer meanwhile, or another order of the account has the id. An
 * attempt that an operator gave up is taken up only by an operator. Rows: 0 order_ref, 1 id.
 */
int settle_adopt(struct connection *lane, int account_id, const struct settle_pair *pairs,
                 size_t count, bool by_operator, const char *why, bool tell_shop, store_done done,
                 void *userdata);

/* The answer to a resolution, for the operator who waits and for the history. */
int settle_answer(struct connection *lane, int64_t resolution_id, bool placed, const char *words,
                  store_done done, void *userdata);

/*
 * Retention: what is known of searches, operators' questions and stops of submits that are over for
 * more than `days` (0 = kept for ever), at most `limit` rows of each. Rows: 0 how many went of the
 * most.
 */
int settle_forget(struct connection *lane, unsigned days, unsigned limit, store_done done,
                  void *userdata);

/* ---- an operator's word ---- */

enum resolve_column {
    RESOLVE_ORDER_ID,
    RESOLVE_NUMBER, /* of its last attempt; 0 = none */
    RESOLVE_STATE,
    RESOLVE_PROVIDER,
    RESOLVE_DISPLAY_REF,
    RESOLVE_SERVICE, /* as it was sent */
    RESOLVE_LINK,
    RESOLVE_QUANTITY,
    RESOLVE_CLAIMED_AT, /* seconds since 1970 */
    RESOLVE_ENDED_AT,
    RESOLVE_ANSWER,   /* what came instead of an answer */
    RESOLVE_EVIDENCE, /* what the daemon found so far, or NULL */
    RESOLVE_LOOKS,
    RESOLVE_NEXT_LOOK_AT,
    RESOLVE_UNKNOWN_ATTEMPTS, /* attempts of the order that may have been carried out */
    RESOLVE_PROVIDER_ORDER_ID,
    RESOLVE_CHARGE,
    RESOLVE_CURRENCY,
    RESOLVE_ERROR,
    RESOLVE_NOW_S,
};
/* One row, or none. */
enum session_verdict resolve_facts(struct session *session, const char *order_ref,
                                   PGresult **ret_rows, struct problem *reterr_problem);

/* What the operator says about an order's last attempt; `reason` may be NULL. */
struct resolve_word {
    int64_t order_id;
    int number;
    const char *who, *reason;
    bool tell_shop;
    unsigned follow_s; /* a line that is queued again is due then: it follows the view first */
    const char *wake_channel; /* or NULL: the daemon looks by itself within 15 s */
};
enum resolve_result {
    RESOLVE_OVERTAKEN, /* the order was no longer as resolve_facts() told: nothing was changed */
    RESOLVE_DONE,
    RESOLVE_ANOTHER, /* it is said of this attempt, but another one of the order may exist too */
};
/* Each writes what it does and who said it to the order's history. */
enum session_verdict resolve_not_placed(struct session *session, const struct resolve_word *word,
                                        enum resolve_result *ret_result,
                                        struct problem *reterr_problem);
enum session_verdict resolve_give_up(struct session *session, const struct resolve_word *word,
                                     enum resolve_result *ret_result,
                                     struct problem *reterr_problem);
/* A rejected or failed order none of whose attempts may still exist. */
enum session_verdict resolve_retry(struct session *session, const struct resolve_word *word,
                                   enum resolve_result *ret_result, struct problem *reterr_problem);
/* Asks the daemon to look at an id. *ret_resolution_id is 0 when the order was no longer so. */
enum session_verdict resolve_ask(struct session *session, const struct resolve_word *word,
                                 const char *provider_order_id, int64_t *ret_resolution_id,
                                 struct problem *reterr_problem);
/* Rows: 0 placed (NULL = not answered yet), 1 answer. */
enum session_verdict resolve_poll(struct session *session, int64_t resolution_id,
                                  PGresult **ret_rows, struct problem *reterr_problem);

/* Columns of resolve_stops()'s rows. */
enum stop_column {
    STOP_ORDER_REF,
    STOP_DISPLAY_REF,
    STOP_PROVIDER,
    STOP_STATE, /* of the order now */
    STOP_PROVIDER_ORDER_ID,
    STOP_SERVICE, /* as it was sent */
    STOP_LINK,
    STOP_QUANTITY,
    STOP_DETAIL,   /* what the flight journal knows of the attempt */
    STOP_FOUND_AT, /* seconds since 1970 */
    STOP_ORDER_ID,
    STOP_NUMBER,
};
/* What stops submits: of a provider, of one order, or (NULL) all of it. */
enum session_verdict resolve_stops(struct session *session, const char *provider_or_ref,
                                   PGresult **ret_rows, struct problem *reterr_problem);
/* Exactly these stand in the way no longer. Who said so and why is kept with each. */
enum session_verdict resolve_release(struct session *session, const PGresult *stops,
                                     const char *who, const char *reason, const char *wake_channel,
                                     int64_t *ret_released, struct problem *reterr_problem);
