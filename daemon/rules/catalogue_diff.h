/*
 * rules/catalogue_diff.h - whether a catalogue is believed, when one is read, and what is said of
 * what it changed.
 *
 * What changed is found by the database (chwsync.store_services), which has the known catalogue;
 * here is what has to be decided. Pure; the caller passes ages.
 */
#pragma once
#include "base/text.h"
#include "wire/reply.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- what a provider's list is worth ---- */

/*
 * Of rows with the same id the first one stays: two that take turns would be a change each time.
 * *ret_dropped says how many went. 0 or -ENOMEM.
 */
int catalogue_drop_repeats(struct reply *reply, size_t *ret_dropped);

enum catalogue_verdict {
    CATALOGUE_BELIEVED,
    CATALOGUE_EMPTY,  /* not one row that can be read */
    CATALOGUE_BROKEN, /* more rows without an id than with one */
    CATALOGUE_SHRUNK, /* it lacks more than half of what is known */
};

struct catalogue_facts {
    size_t rows, bad_rows;
    int64_t known, missing; /* services in the known catalogue, and of these not in this one */
    bool doubted;           /* the last one was CATALOGUE_SHRUNK as well ... */
    int64_t doubted_ago_s;  /* ... so long ago */
};

/*
 * An HTML page, an error and an empty list never come here: reply_decode() calls none of them a
 * catalogue. One that lacks more than half is more likely cut by a fault at the provider than true,
 * and would hold every order for what it lacks; so it is believed when another one, at least
 * CATALOGUE_DOUBT_S later, lacks as much.
 */
#define CATALOGUE_DOUBT_S 300
#define CATALOGUE_SMALL 10 /* of so few services half may well go at once */
enum catalogue_verdict catalogue_judge(const struct catalogue_facts *facts);

/* One clause for the ledger, the log and the operator: what is wrong with it. */
void catalogue_describe_fault(struct text *text, enum catalogue_verdict verdict,
                              const struct catalogue_facts *facts);
/* True for such a clause (as the ledger keeps it) of CATALOGUE_SHRUNK. */
bool catalogue_fault_is_doubt(const char *fault);

/* ---- when it is read ---- */

struct catalogue_timing {
    int64_t interval_s;
    int64_t read_ago_s, tried_ago_s; /* < 0: never */
    bool failed, doubted;            /* the last try was no catalogue; it was CATALOGUE_SHRUNK */
    unsigned failures;               /* in a row, as far as is known */
    bool wanted;                     /* somebody asked for a fresh one since */
    bool refused;                    /* an order was refused for its service since */
    unsigned refusals;               /* readings for that reason since the last ordinary one */
};

/* Seconds until the next try; 0: now. */
int64_t catalogue_wait_s(const struct catalogue_timing *timing);

/* ---- what it changed ---- */

enum catalogue_change {
    CHANGE_NEW,
    CHANGE_GONE,
    CHANGE_BACK,
    CHANGE_PRICE,
    CHANGE_MIN,
    CHANGE_MAX,
    CHANGE_NAME,
    CHANGE_TYPE,
    CHANGE_CATEGORY,
    CHANGE_REFILL,
    CHANGE_PRODUCT_ID,
};
#define CATALOGUE_CHANGES (CHANGE_PRODUCT_ID + 1)
/* "new", "gone", ... as chwsync.catalogue_changes holds it. False for any other word. */
bool catalogue_change_parse(const char *word, enum catalogue_change *ret_change);

/* Counts, and the first few of each kind. Starts as { 0 }; nothing to free. */
#define CATALOGUE_EXAMPLES 3
struct catalogue_news {
    struct {
        uint64_t count;
        unsigned examples;
        char told[CATALOGUE_EXAMPLES][280]; /* 3 "Likes" (0.35 -> 0.40) */
    } kinds[CATALOGUE_CHANGES];
};

/* `before` and `after` may be NULL. */
void catalogue_news_add(struct catalogue_news *news, enum catalogue_change change,
                        const char *service, const char *name, const char *before,
                        const char *after);
/* Further changes that no example is known of. */
void catalogue_news_count(struct catalogue_news *news, enum catalogue_change change,
                          uint64_t count);
/* service 3 "Likes" (0.35 -> 0.40), or: 1200 services, among them 3 "Likes" (0.35 -> 0.40), ... */
void catalogue_describe(struct text *text, const struct catalogue_news *news,
                        enum catalogue_change change);
/* What else changed, "12 new services, 3 names"; nothing where there is nothing. Prices and what
 * vanished are told apart. */
void catalogue_describe_rest(struct text *text, const struct catalogue_news *news);
