/*
 * store/leases.h - which instance may claim and send for an account.
 *
 * A lease lasts 10 s by the database's clock. Every change of holder gets a higher number; claims
 * name it (store/shop), with how many claims there were. Outcomes need no lease: they are accepted
 * from anyone at any time.
 */
#pragma once
#include "store/connection.h"

#define LEASE_S 10

struct lease_request {
    int account_id;
    const char *instance;             /* uuid text */
    const char *journal;              /* of this process, or NULL */
    const char *const *dead_journals; /* of processes that are known to have ended */
    size_t dead_count;
    const char *unchanged; /* expires_at that was seen long ago, or NULL: who held it then does not
                              renew it */
    unsigned patience_s;   /* another's must be over for so long */
};

/* Columns of the answer, one row. */
enum lease_column {
    LEASE_OURS, /* boolean */
    LEASE_NUMBER,
    LEASE_CLAIMS,
    LEASE_TAKEN,      /* boolean: it was another's before */
    LEASE_LEFT_S,     /* of another's: until it expires */
    LEASE_EXPIRES_AT, /* as text, for `unchanged` */
    LEASE_SERVER,     /* which server this is: changes with a restart or a fail-over */
    LEASE_STOPS,      /* orders for which submits of this account are stopped */
    LEASE_STOPPED_BY, /* one of them */
};
/* Takes or renews it. Waits at most 0.5 s for another's transaction, then it is refused (55P03). */
int leases_take(struct connection *lane, const struct lease_request *request, store_done done,
                void *userdata);

/* Gives it up, so that another instance needs not wait. */
int leases_give_up(struct connection *lane, int account_id, const char *instance, store_done done,
                   void *userdata);
