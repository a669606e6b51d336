/*
 * store/balances.h - what providers told of their balances, and what of it is not spoken for.
 */
#pragma once
#include "store/connection.h"

/*
 * What decides whether the provider is asked. One row; the amounts are as the last answer left
 * them, NULL when there was none. `mark` is low_balance, or NULL.
 */
enum balance_column {
    BALANCE_AMOUNT,
    BALANCE_CURRENCY,
    BALANCE_AGO_S,    /* NULL: never told */
    BALANCE_IS_LOW,   /* below the mark of its time */
    BALANCE_NEARS,    /* what is left by our count is below the mark, and it was not */
    BALANCE_IS_SPENT, /* a quarter of it, by our count */
    BALANCE_IS_USED,  /* adds were claimed since, or orders are open */
    BALANCE_HOLDS,    /* lines are held for want of money */
    BALANCE_WAITS,    /* lines are queued */
};
int balances_look(struct connection *lane, int account_id, const char *provider, const char *mark,
                  store_done done, void *userdata);

/* Counts the request in the budget. Rows: 0 the moment, to be handed back with the answer. */
int balances_begin(struct connection *lane, int account_id, store_done done, void *userdata);

struct balance_told {
    int account_id;
    const char *provider, *amount, *currency; /* currency may be NULL */
    const char *asked_at;                     /* of balances_begin() */
    const char *mark;                         /* low_balance, or NULL */
    unsigned keep_days;                       /* of the history; 0 = for ever */
};
/* Notes an answer. No row when a later question was answered before. */
enum balance_note {
    NOTE_AVAILABLE,
    NOTE_ROSE,
    NOTE_REACHES, /* it is enough for the oldest line that was refused, by its known price */
    NOTE_FREES,   /* more is available than before: balances_free_held() */
    NOTE_WAS_LOW, /* the answer before was */
    NOTE_IS_LOW,
};
int balances_note(struct connection *lane, const struct balance_told *told, store_done done,
                  void *userdata);

/* Lines that were held for want of money are due now. Rows: 0 how many. */
int balances_free_held(struct connection *lane, const char *provider, store_done done,
                       void *userdata);

/* Orders are refused for want of money, in the provider's words, and none is tried before that many
 * seconds; or (NULL) no longer. */
int balances_out_of_funds(struct connection *lane, int account_id, int64_t seconds,
                          const char *words, store_done done, void *userdata);
