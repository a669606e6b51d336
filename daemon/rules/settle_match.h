/*
 * rules/settle_match.h - whether an id found at the provider is the order whose answer was lost.
 *
 * The API has no idempotency key and no list of orders: all that can be asked is what an id is. A
 * lost attempt was accepted, if at all, under an id between those of two orders whose replies came:
 * one that ended before this one was claimed, one that was claimed after this one had ended. When
 * every id between them was asked, and exactly one order stands there that is not ours by a reply,
 * it is this one; provided that nobody else buys on the account, which the administrator declares
 * with uncertain = "prove". Every doubt is a verdict of its own, and only SETTLE_MATCHED adopts.
 *
 * Finding nothing proves nothing: there is no verdict "not placed".
 *
 * Pure. Times are microseconds of the database's clock; amounts are decimal text (base/decimal).
 */
#pragma once
#include "base/decimal.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SETTLE_SPAN_MAX 500  /* ids between the neighbours: five requests */
#define SETTLE_KNOWN_MIN 5   /* orders that were seen to get growing ids */
#define SETTLE_KNOWN_MAX 400 /* orders around the lost one that are looked at */

enum settle_verdict {
    SETTLE_MATCHED,     /* adopt */
    SETTLE_NOT_DECIMAL, /* an id nearby is no plain number */
    SETTLE_FEW_KNOWN,   /* too few orders nearby to know how ids grow */
    SETTLE_NOT_GROWING, /* a later order has a smaller id */
    SETTLE_NO_LOWER,    /* no order of ours ended shortly before it */
    SETTLE_NO_UPPER,    /* no order of ours was sent shortly after it: can still come */
    SETTLE_TOO_FAR,     /* too many ids between the neighbours */
    SETTLE_CLOCK_SET,   /* the clock that tells before from after was set around that time */
    SETTLE_RIVAL,       /* another attempt of ours may have got an id there */
    SETTLE_SILENT,      /* the provider did not tell about every id: can still come */
    SETTLE_NOTHING,     /* no order stands there that is not ours: proves nothing */
    SETTLE_NO_PRICE,    /* what it must have cost is not known */
    SETTLE_STRANGER,    /* an order stands there that is not the lost one */
    SETTLE_AMBIGUOUS,   /* more candidates than lost attempts, or fewer */
};
/* What an operator reads; one sentence without its full stop. */
const char *settle_verdict_text(enum settle_verdict verdict);
/* A later look can have another verdict. */
bool settle_verdict_can_change(enum settle_verdict verdict);

/* An order of ours with the id that its reply told. */
struct settle_known {
    const char *id;
    int64_t claimed_us, ended_us; /* ended: its reply was recorded */
};

/* The ids strictly between two neighbours. */
struct settle_span {
    uint64_t low, high; /* the neighbours themselves */
    int64_t low_claimed_us, low_ended_us, high_claimed_us, high_ended_us;
};

/*
 * Finds the neighbours of an attempt that was claimed and given up at these times. SETTLE_MATCHED =
 * no objection, *ret_span is written. With SETTLE_NO_UPPER only its `low` is.
 */
enum settle_verdict settle_find_span(int64_t claimed_us, int64_t ended_us,
                                     const struct settle_known *known, size_t count,
                                     struct settle_span *ret_span);

enum settle_seen {
    SEEN_SILENT, /* not asked, or no clear answer */
    SEEN_OURS,   /* the ledger has it */
    SEEN_ABSENT, /* the provider says that it does not know the id */
    SEEN_ORDER,  /* the provider has an order there */
};
struct settle_probe {
    uint64_t id;
    enum settle_seen seen;
    char charge[DECIMAL_SIZE]; /* "" = not told */
    char currency[16];         /* "" = not told */
    char status[32];           /* the provider's word, for the evidence */
    int64_t remains;           /* INT64_MIN = not told */
};

/* Another attempt of the account that may exist at the provider without an id in the ledger. */
struct settle_rival {
    int64_t claimed_us, ended_us; /* ended: given up; INT64_MAX = still under way */
    bool identical; /* the same service, link, quantity and parameters, and itself uncertain */
};

struct settle_case {
    struct settle_span span;
    const struct settle_probe *probes; /* one for each id between the neighbours, in order */
    size_t probe_count;
    const struct settle_rival *rivals;
    size_t rival_count;
    bool clock_set;       /* within a day of it: the moments here do not tell what was first */
    int64_t settle_us;    /* how long after being given up a request may still be carried out */
    const char *charge;   /* what it must have cost, or NULL */
    const char *currency; /* of the account's other orders, or NULL */
    int64_t quantity;     /* to be delivered in all, or -1 */
};
/*
 * SETTLE_MATCHED: *ret_matches of the probes are SEEN_ORDER, all of them matches, as many as there
 * are lost attempts: the one in question and its identical rivals. Which of them gets which id
 * makes no difference to anybody.
 */
enum settle_verdict settle_judge(const struct settle_case *lost, size_t *ret_matches);
