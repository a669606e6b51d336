/*
 * wire/reply.h - bytes of a reply as data.
 *
 * Pure: HTTP code, headers that matter and body in; an outcome out. The body is parsed first, the
 * HTTP code decides only where no body of the API is recognised. Nothing is ever guessed: a reply
 * without the expected success key is never success, an unknown status word is
 * ORDER_STATUS_UNKNOWN, an amount that is not decimal is absent. How replies vary in this API's
 * family: tests/replies/. Strings are well-formed UTF-8 whatever the body was.
 *
 * Where a reply can be read in two ways it is REPLY_UNKNOWN: an id together with an error, a key
 * twice in one object, a list that tells one order twice, a flat status that names another order
 * than the one asked. Orders that were not asked are handed over: the caller matches by id. JSON
 * behind text that a broken server printed is read only when it reaches to the end of the body
 * (wire/value.h).
 */
#pragma once
#include "base/decimal.h"
#include "rules/error_class.h"
#include "wire/request.h"
#include <json-c/json.h>

#define RETRY_AFTER_MAX_S (7 * 86400) /* who says more is mistaken, or says it again */

enum reply_outcome {
    REPLY_ACCEPTED, /* add: `id` */
    REPLY_STATUS,   /* status: orders[0], its id is the one asked for */
    REPLY_STATUSES, /* multi-status: orders[], only what the reply holds; never matched by position
                     */
    REPLY_SERVICES, /* services[] and `bad_rows` */
    REPLY_NO_CATALOGUE, /* an answer to services that is no catalogue: the known one stays */
    REPLY_BALANCE,      /* balance, currency */
    REPLY_REFILL,       /* refill: `id` */
    REPLY_REFILL_STATUS,
    REPLY_PONG,         /* ping: the API answered something that is no error */
    REPLY_REFUSED,      /* a recognised error: `class`, `error` */
    REPLY_NOT_EXECUTED, /* rate limit, or the endpoint is not the API: certainly nothing was done;
                           `class` */
    REPLY_UNKNOWN,      /* cannot be told: for add it may have been executed */
};

enum order_status {
    ORDER_STATUS_UNKNOWN, /* a word we do not know: changes nothing, is shown */
    ORDER_STATUS_PENDING,
    ORDER_STATUS_IN_PROGRESS,
    ORDER_STATUS_COMPLETED,
    ORDER_STATUS_PARTIAL,
    ORDER_STATUS_CANCELED,
    ORDER_STATUS_REFUNDED,
    ORDER_STATUS_FAILED,
};

/* Strings are borrowed from the reply. Absent amounts and counts have their `has_` false or "". */
struct reply_order {
    const char *id;    /* as the provider wrote it; NULL in a flat reply to a single id */
    const char *error; /* this order's own error, or NULL: then the rest is valid */
    enum error_class error_class;
    enum order_status status;
    const char *status_word; /* the provider's own word, or NULL */
    char charge[DECIMAL_SIZE];
    const char *currency; /* or NULL */
    int64_t start_count, remains;
    bool has_start_count, has_remains;
};

struct reply_service {
    const char *service; /* the id as text; the other strings lie behind it */
    const char *name, *type,
        *category;          /* `type` in the document's spelling where it is a documented one */
    const char *product_id; /* or NULL */
    char rate[DECIMAL_SIZE], min[DECIMAL_SIZE], max[DECIMAL_SIZE];
    bool refill;
};

struct reply {
    enum reply_outcome outcome;
    enum error_class class; /* of REFUSED and NOT_EXECUTED; ERROR_SERVER of an UNKNOWN */
    const char *error; /* the provider's words, or what was wrong with the reply; never NULL after a
                          failure */
    int64_t retry_after_s;  /* -1 = not said; at most RETRY_AFTER_MAX_S. Body, else header */
    int64_t limit;          /* N of "max N requests per minute|hour|day", else 0 */
    int64_t limit_period_s; /* 60, 3600, 86400, or 0 */
    const char *id;
    char balance[DECIMAL_SIZE];
    const char *currency;
    enum order_status
        refill_status; /* PENDING, IN_PROGRESS, COMPLETED, CANCELED, FAILED (= rejected) */
    const char *refill_status_word;
    struct reply_order *orders;
    size_t order_count;
    struct reply_service *services; /* owned, each with its strings */
    size_t service_count, bad_rows; /* bad: rows without an id */
    struct json_object *owned_json; /* what the strings borrow from */
    char *owned_text;
};

/* What arrived. Borrowed for the time of the call. */
struct reply_bytes {
    long http_status;
    const char *
        retry_after; /* header's value or NULL: seconds, or an HTTP date (then `now_s` is needed) */
    int64_t now_s;   /* wall clock, to read an HTTP date; 0 = ignore dates */
    const char *body;
    size_t body_bytes;
};

/*
 * Decodes. `request` is what was asked (its action, and how many ids). Returns 0, or -ENOMEM. After
 * 0 the reply is to be ended with reply_done(); its strings live until then.
 */
int reply_decode(const struct api_request *request, const struct reply_bytes *bytes,
                 struct reply *ret_reply);
void reply_done(struct reply *reply);

/* "pending", "in_progress", ... as the contract with the shop writes it; "unknown" for
 * ORDER_STATUS_UNKNOWN. */
const char *order_status_name(enum order_status status);
/* The provider's word in any spelling (case, space, '_' and '-' do not count). */
enum order_status order_status_parse(const char *word);
