/*
 * variants.h - the habits of other servers of the family, each a bit that can be switched on.
 *
 * Without any, the panel answers as the provider's document says.
 */
#pragma once
#include "text.h"

enum variant {
    VARIANT_STRINGS,            /* counts and ids as strings */
    VARIANT_NUMBERS,            /* rate, balance and charge as JSON numbers */
    VARIANT_LIST,               /* multi-status as a list of {order, ...} */
    VARIANT_NESTED,             /* multi-status inside {"orders": ...} */
    VARIANT_FLAT_ONE,           /* multi-status of one id as the flat object of a single status */
    VARIANT_REVERSED,           /* multi-status with the ids in reverse */
    VARIANT_OMIT_UNKNOWN,       /* multi-status leaves unknown ids out; [] when nothing is left */
    VARIANT_BARE_ERRORS,        /* an id's error as a bare string */
    VARIANT_ARRAY_ERRORS,       /* an id's error as {"error":["..."]} */
    VARIANT_INCORRECT_PAST_100, /* ids past 100 are answered "Incorrect order ID" */
    VARIANT_TRUNCATE_PAST_100,  /* ids past 100 are left out */
    VARIANT_UNLIMITED_IDS,      /* any number of ids is answered */
    VARIANT_ADD_STATUS,         /* add: "status":"success" beside the order */
    VARIANT_ADD_STATUS_100,     /* add: "status":100 */
    VARIANT_ADD_CHARGE,         /* add: the charge beside the order */
    VARIANT_HTTP_201,           /* add: HTTP 201 */
    VARIANT_HTTP_CODES,         /* errors with 401, 402, 422, 429 */
    VARIANT_REMAINS_UNKNOWN,    /* remains "Unknown" until the end */
    VARIANT_REMAINS_EMPTY,      /* remains "" until the end */
    VARIANT_REMAINS_ZERO,       /* remains "0" while Pending */
    VARIANT_REMAINS_NEGATIVE,   /* remains below zero when completed */
    VARIANT_START_NULL,         /* start_count null */
    VARIANT_START_EMPTY,        /* start_count "" */
    VARIANT_ENVELOPE_MESSAGE,   /* {"status":"error","message":...} */
    VARIANT_ENVELOPE_MSG,       /* {"status":"error","msg":...,"error":...} */
    VARIANT_ERROR_KEYS,         /* neworder.error.not_enough_funds and the like as texts */
    VARIANT_DRIP_FORM,          /* drip-feed and subscriptions in their own status form */
    VARIANT_THOUSANDS,          /* 1,234.5000 */
    VARIANT_BOM,                /* a byte-order mark before the JSON */
    VARIANT_PHP_WARNING,        /* a PHP warning before the JSON */
    VARIANT_TEXT_HTML,          /* Content-Type: text/html */
    VARIANT_WORDS_JOINED,       /* Inprogress, Cancelled */
    VARIANT_WORDS_LOWER,        /* in_progress, completed */
    VARIANT_WORDS_UNKNOWN,      /* a word nobody knows while in progress */
    VARIANT_TYPES_LOWER,        /* custom_comments */
    VARIANT_BOOLEANS_DIGITS,    /* refill "1" or "0" */
    VARIANT_EMPTY_CATALOGUE,    /* {"status":"success","data":"Empty Data"} */
    VARIANT_REFILL_WORD,        /* an order being refilled shows Refill */
    VARIANT_REFILL_TASKS,       /* refill status "tasks.status.completed" */
    VARIANT_LINK_DUPLICATE,     /* a second open order for one link is refused */
    VARIANT_RATE_NO_NUMBER,     /* the rate error without its number */
    VARIANT_RATE_NO_WAIT,       /* the rate error without retry_after */
    VARIANT_RATE_WAIT_STRING,   /* retry_after as a string */
    VARIANT_RATE_WAIT_FULL,     /* retry_after is always the window's whole length */
    VARIANT_RATE_429,           /* the rate error with HTTP 429 and a Retry-After header */
    VARIANT_CONNECTION_CLOSE,   /* Connection: close after every reply */
    VARIANT_COUNT
};

#define HAS(variants, name) (((variants) >> VARIANT_##name) & 1)

/* A comma-separated list of the names above, in lower case with '-'. Returns 0 or -1. */
int variants_parse(const char *list, uint64_t *ret_variants);
void variants_add_names(struct text *text, uint64_t variants);
