/*
 * store/shop.h - the statements that run the shop's own SQL: its view (intake), its function (veto
 * and write-back).
 *
 * Their text depends on what the contract found: a missing optional column is NULL, and without a
 * function the veto is a second look at the view. Whatever the shop's SQL does, raise, sleep or
 * lock, happens in a transaction of its own with time limits.
 */
#pragma once
#include "base/own.h"
#include "store/connection.h"
#include "store/contract.h"

struct shop;

/* 0 or -ENOMEM. The contract is only read. Owned: shop_free(), when no transaction of it runs or
 * waits. */
int shop_new(const struct contract *contract, unsigned timeout_s, struct shop **ret_shop);
void shop_free(struct shop *shop);
DEFINE_OWN(struct shop, shop_free, shop_freep)
/* True when both would run the same statements. */
bool shop_equals(const struct shop *a, const struct shop *b);
bool shop_has_view(const struct shop *shop);
bool shop_has_function(const struct shop *shop);

/* ---- intake ---- */

struct intake_options {
    const char *default_provider;
    const char *const *providers; /* configured names */
    size_t provider_count;
    unsigned limit; /* new lines at most */
    bool anew; /* everything is planned anew. Else a plan that does not fit any more ends after 1 s
                  with SQLSTATE 57014 */
};
#define INTAKE_NAMED_MAX 20
struct intake_result {
    unsigned taken;    /* new lines in the ledger */
    unsigned returned; /* withdrawn lines that are shown again */
    unsigned followed; /* queued lines whose facts changed in the shop */
    unsigned parked;   /* newly parked: shown twice, or without a key */
    unsigned parked_in_all;
    int64_t queue_due_s; /* until the next queued order of a configured provider is due, 0 = now, -1
                            = none is queued */
    int64_t write_back_due_s; /* until the next write-back is due, likewise */
    /* Lines taken and rejected at once, "REF rejected: WHY", each but the last ending in a line
     * feed; NULL = none. Borrowed from the rows. */
    const char *rejected;
    const char
        *parked_lines;       /* newly parked ones, "REF: WHY", at most INTAKE_NAMED_MAX, likewise */
    const char *refills_due; /* seconds until the next refill of each account that has one to ask
                                about: "ID:SECONDS ...", likewise */
    const char *wishes;      /* ids of accounts for which a command waits (store/slots): "ID ...",
                                likewise */
    int64_t server_us;       /* the database's clock while it looked, since 1970 */
};
/* One transaction: the whole view against the ledger. Answer's rows: intake_decode(). */
int shop_intake(struct shop *shop, struct connection *lane, const struct intake_options *options,
                store_done done, void *userdata);
/* The same for one key; what is wrong with other rows does not matter. */
int shop_intake_one(struct shop *shop, struct connection *lane,
                    const struct intake_options *options, const char *order_ref, store_done done,
                    void *userdata);
void shop_intake_decode(const PGresult *rows, struct intake_result *ret_result);
/* After intake failed: the keys alone (a planner drops the other columns, and with them the one
 * that raises) that are neither in the ledger nor parked. Column 0: order_ref. */
int shop_intake_keys(struct shop *shop, struct connection *lane, unsigned limit, store_done done,
                     void *userdata);
/* Parked because their rows raised, and due to be tried again. Column 0: order_ref. */
int shop_parked_keys(struct connection *lane, unsigned limit, store_done done, void *userdata);
/* This key's row raises: left out until `retry_s` from now. */
int shop_park(struct connection *lane, const char *order_ref, const char *sqlstate,
              const char *reason, unsigned retry_s, store_done done, void *userdata);

/* ---- claim ---- */

struct claim_options {
    const char *provider;
    int account_id;
    const char *instance; /* uuid text */
    unsigned limit;
    unsigned send_within_s;             /* send_before = now + this */
    int64_t only_order_id;              /* 0 = whichever is due */
    int64_t lease_number, lease_claims; /* as jobs/lease knows them */
    const char *journal;                /* uuid text of the flight journal */
    const char *max_charge;             /* per order; decimal text, NULL = no limit */
    const char *max_spend_per_day;      /* likewise */
    bool tell_shop;                     /* a write-back is due for what is rejected or held */
};
/*
 * Columns of the answer, one row a line: claimed, withdrawn, asked again later, or judged (then
 * CLAIM_VERDICT is not NULL: "rejected", or what it waits for). The last row has no order. No row
 * at all: we do not hold the lease as we knew it, nothing was claimed.
 */
enum claim_column {
    CLAIM_ORDER_ID,
    CLAIM_NUMBER,
    CLAIM_ORDER_REF,
    CLAIM_GO,
    CLAIM_SERVICE,
    CLAIM_LINK,
    CLAIM_QUANTITY,
    CLAIM_RUNS,
    CLAIM_INTERVAL,
    CLAIM_MIN,
    CLAIM_MAX,
    CLAIM_COMMENTS,
    CLAIM_USERNAMES,
    CLAIM_HASHTAGS,
    CLAIM_USERNAME,
    CLAIM_PARAMS,
    CLAIM_TYPE, /* of the service, NULL = not known */
    CLAIM_VERDICT,
    CLAIM_REASON,   /* one sentence */
    CLAIM_MORE,     /* of the last row: further lines may be due */
    CLAIM_AGAIN_MS, /* of the last row: when the next one is due; NULL = none waits, or more */
};
/*
 * One transaction: lines that are due, asked for their veto, moved from queued to submitting (or
 * withdrawn), their attempts written and their requests counted. When it is committed, and only
 * then, the intent is committed.
 */
int shop_claim(struct shop *shop, struct connection *lane, const struct claim_options *options,
               store_done done, void *userdata);

/* ---- write-back ---- */

/* Columns of the answer: one row an order that was due; for how long it was, NULL but for an end
 * that was taken. */
enum deliver_column {
    DELIVER_ORDER_ID,
    DELIVER_ORDER_REF,
    DELIVER_ANSWER,
    DELIVER_STATUS,
    DELIVER_WAITED_S
};
/* One transaction: tells the shop where up to `limit` orders stand now; only_order_id 0 = whichever
 * is due. */
int shop_deliver(struct shop *shop, struct connection *lane, unsigned limit, int64_t only_order_id,
                 store_done done, void *userdata);
