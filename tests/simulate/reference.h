/*
 * reference.h - another policy for the same questions, to measure the daemon's against.
 *
 * Every order is due at a moment of its own: so long after its last answer that asking is then
 * worth one price, which holds for all and is solved each minute so that what is planned is what
 * the day affords. A batch takes those that are due first, and leaves when it is worth more than
 * batches usually are, sooner the more were saved. With `perfect` it is told when each order would
 * end by nature, and only cancellations surprise it.
 *
 * It has its own code for all it knows; only a service's history is kept by rules/hazard. Times in
 * seconds.
 */
#pragma once
#include "rules/hazard.h"
#include <stdbool.h>
#include <stddef.h>

struct reference_order {
    double bought_s, answered_s;
    double quantity, remains, rate;
    double first_moved_s, last_moved_s; /* < 0 = never */
    double last_run_s, run_interval_s;  /* drip-feed: of the clock, 0 = none */
    double hazard;                      /* constant part; all of it, unless `ends_in_s` is told */
    double ends_in_s;                   /* from answered_s; 0 = not told */
};
/* An answer at `now_s`; at the purchase: nothing has moved. */
void reference_observe(struct reference_order *order, const struct service_history *history,
                       double now_s, double remains, bool running, double background);
/* The same order's natural end is told. */
void reference_foretell(struct reference_order *order, double lives_s, double ends_in_s,
                        double background);
/* Expected seconds of delay that asking saves, when the last answer is that old. */
double reference_worth(const struct reference_order *order, double unasked_s);
/* After how long that is `price`. */
double reference_wait_s(const struct reference_order *order, double price);

struct reference {
    double now_s, tokens, most;
    double usual;          /* worth of batches */
    double price;          /* of one order in a batch */
    double look_s, sent_s; /* not before; the last batch */
};
void reference_init(struct reference *reference, double open, double ends_a_day, double rate);
/* Batches accrue. */
void reference_advance(struct reference *reference, double rate, double now_s);
/* A batch may be looked at: `open` orders, of which the first is due at `due_s`. */
bool reference_may_ask(const struct reference *reference, size_t open, double due_s);
/* It is worth that much in all: true = it leaves. */
bool reference_decides(struct reference *reference, double worth);
/*
 * The price at which a sample of `count` orders out of `open` is asked about as often as `rate`
 * batches a second allow.
 */
double reference_solve(const struct reference *reference,
                       const struct reference_order *const *sample, size_t count, size_t open,
                       double rate);
/* Batches a second that a rolling day affords. */
double reference_rate(double per_day, double used, double adds_a_day, double queued,
                      double reserve);
