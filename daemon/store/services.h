/*
 * store/services.h - the known catalogues: what accounts may buy, and what changed.
 *
 * A catalogue is stored in parts, each a transaction of its own that is true by itself; the end
 * says what has vanished and when it was read. A process that ends in between leaves a catalogue
 * that is read again. The daemon stores through a lane, the command `services --refresh` through a
 * session: the statements are the same.
 */
#pragma once
#include "rules/catalogue_diff.h"
#include "store/connection.h"
#include "store/session.h"
#include "wire/reply.h"

#define SERVICES_PART 2000 /* of a catalogue: some 40 ms when every row of them changed */

/* What the ledger knows of an account's readings. */
enum services_look_column {
    SERVICES_LOOK_READ_AGO_S,  /* NULL = never */
    SERVICES_LOOK_TRIED_AGO_S, /* likewise */
    SERVICES_LOOK_ERROR,       /* of the last try, NULL = none */
    SERVICES_LOOK_WANTED,      /* a fresh one was asked for since */
};
/* No row when nothing is known. */
int services_look(struct connection *lane, int account_id, store_done done, void *userdata);
enum session_verdict services_look_now(struct session *session, int account_id, PGresult **ret_rows,
                                       struct problem *reterr_problem);
/* Takes a row of it: ages and flags. */
void services_timing(const PGresult *rows, struct catalogue_timing *timing);

/* What of the known catalogue a new one lacks. Rows: 0 known services, 1 of these not in the reply.
 */
int services_compare(struct connection *lane, int account_id, const struct reply *reply,
                     store_done done, void *userdata);
enum session_verdict services_compare_now(struct session *session, int account_id,
                                          const struct reply *reply, PGresult **ret_rows,
                                          struct problem *reterr_problem);

/* Stores the rows from `first` on, SERVICES_PART at most. Rows: see services_news(). */
int services_store(struct connection *lane, int account_id, const struct reply *reply, size_t first,
                   store_done done, void *userdata);
enum session_verdict services_store_now(struct session *session, int account_id,
                                        const struct reply *reply, size_t first,
                                        PGresult **ret_rows, struct problem *reterr_problem);
/* All parts are stored; it was asked for `asked_ago_s` ago. Rows: likewise. */
int services_end(struct connection *lane, int account_id, const char *provider,
                 const struct reply *reply, double asked_ago_s, store_done done, void *userdata);
enum session_verdict services_end_now(struct session *session, int account_id, const char *provider,
                                      const struct reply *reply, double asked_ago_s,
                                      PGresult **ret_rows, struct problem *reterr_problem);
/* Adds what a part, or the end, changed. */
void services_news(const PGresult *rows, struct catalogue_news *news);

/* A try that brought no catalogue: why. */
int services_fault(struct connection *lane, int account_id, const char *fault, store_done done,
                   void *userdata);
enum session_verdict services_fault_now(struct session *session, int account_id, const char *fault,
                                        struct problem *reterr_problem);

/* Deletes at most `limit` changes that are older than `days` (0 = none). Rows: 0 how many. */
int services_forget(struct connection *lane, unsigned days, unsigned limit, store_done done,
                    void *userdata);

/* ---- for `chwsyncd services` ---- */

/* The salt of key digests (see store/accounts.h); owned (free). */
enum session_verdict services_salt(struct session *session, char **ret_salt,
                                   struct problem *reterr_problem);
/* The account's id; it is made when it was never used. */
enum session_verdict services_account(struct session *session, const char *provider,
                                      const char *endpoint, const char *digest, int *ret_id,
                                      struct problem *reterr_problem);

/* One row a service; the names are those of the JSON output, see store/report.h. */
enum services_list_column {
    SERVICE_PROVIDER,
    SERVICE_ID,
    SERVICE_PRODUCT_ID,
    SERVICE_NAME,
    SERVICE_TYPE,
    SERVICE_CATEGORY,
    SERVICE_RATE,
    SERVICE_MIN,
    SERVICE_MAX,
    SERVICE_REFILL,
    SERVICE_AVAILABLE,
    SERVICE_CHARGED_BY,
    SERVICE_FIRST_SEEN_AT,
    SERVICE_CHANGED_AT,
    SERVICE_IN_ALL, /* how many there are without the limit */
};
struct services_search {
    const char *text;     /* part of id, product id, name or category, in any case; NULL = all */
    const char *provider; /* NULL = all */
    const char *service;  /* exactly that id; NULL = all */
    bool all;             /* also what cannot be bought now */
    long limit;
};
enum session_verdict services_list(struct session *session, const struct services_search *search,
                                   PGresult **ret_rows, struct problem *reterr_problem);

/*
 * An operator says that this service is what orders mean that name it by its id. Rows: 0 what it
 * was called at the last order (NULL: it was never ordered so), 1 what it is called, 2 how many
 * orders that are due now; none when there is no such service.
 */
enum session_verdict services_accept(struct session *session, const char *provider,
                                     const char *service, PGresult **ret_rows,
                                     struct problem *reterr_problem);

/* The newest changes first; of services that the search finds. */
enum services_change_column {
    SERVICE_CHANGE_AT,
    SERVICE_CHANGE_PROVIDER,
    SERVICE_CHANGE_ID,
    SERVICE_CHANGE_NAME,
    SERVICE_CHANGE_CHANGE,
    SERVICE_CHANGE_BEFORE,
    SERVICE_CHANGE_AFTER,
};
enum session_verdict services_changes(struct session *session, const struct services_search *search,
                                      PGresult **ret_rows, struct problem *reterr_problem);

/* One row a provider: how its catalogue was read. */
enum services_catalogue_column {
    CATALOGUE_PROVIDER,
    CATALOGUE_SERVICES, /* that can be bought now */
    CATALOGUE_READ_AT,
    CATALOGUE_TRIED_AT,
    CATALOGUE_ERROR,
};
enum session_verdict services_catalogues(struct session *session, const char *provider,
                                         PGresult **ret_rows, struct problem *reterr_problem);
