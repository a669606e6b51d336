/*
 * catalogue.h - what the simulated provider sells.
 *
 * A built-in list with every service type and every way an order can end, or a TSV file. The struct
 * is owned by the caller, who ends it with catalogue_done().
 */
#pragma once
#include "money.h"
#include <stdbool.h>

enum charge_by {
    CHARGE_QUANTITY, /* rate / 1000 x quantity (x runs where the type has runs) */
    CHARGE_LINES,    /* rate / 1000 x lines of `lines_field` */
    CHARGE_FIXED,    /* the rate, once */
    CHARGE_POSTS     /* nothing at once: each post is charged when it comes */
};

/* How the provider treats a kind of service; one row for each type the family knows. */
struct service_type {
    const char *name;
    enum charge_by charge_by;
    bool has_link, has_runs;
    const char *lines_field;
    const char *required[4]; /* ends at NULL */
};

enum service_outcome {
    ENDS_COMPLETED,
    ENDS_PARTIAL, /* at three fifths; the rest is paid back */
    ENDS_CANCELED,
    ENDS_REFUNDED,
    ENDS_FAIL,
    ENDS_NEVER /* stays in progress with half delivered */
};

struct service {
    uint32_t id;
    char *product_id; /* "" when it has none */
    char *category, *name;
    const struct service_type *type;
    money rate; /* at most nine places, so that charges are exact */
    uint64_t min, max;
    bool refill;
    bool enabled; /* listed */
    bool paused;  /* listed, but no order is taken */
    enum service_outcome outcome;
    uint32_t seconds; /* from acceptance to the end, before --duration-scale */
};

struct catalogue {
    struct service *services; /* in order of their ids */
    size_t count;
};

/* `path` is a TSV file with the columns of the built-in list's text (see catalogue.c), or
 * "builtin". Returns 0, or -1 after writing the reason to stderr. */
int catalogue_load(struct catalogue *catalogue, const char *path);
void catalogue_done(struct catalogue *catalogue);

/* By numeric id or product id; NULL when there is none. */
struct service *catalogue_find(const struct catalogue *catalogue, const char *name);

/* Returns 0, or -1 for an unknown word: completed partial canceled refunded fail never. */
int service_outcome_parse(const char *word, enum service_outcome *ret_outcome);
