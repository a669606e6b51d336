/*
 * rules/hazard.h - how likely an open order is to end in the next second, as far as one can know.
 *
 * Three things speak: how the delivery of this order goes (`remains`), how long orders of its
 * service live, and how often orders end out of the blue. The first outweighs the second as soon as
 * a few per cent are delivered; a stalled delivery is believed to go on for a quarter as long as it
 * has stood still. Pure; times are seconds since the order was bought.
 */
#pragma once
#include <stdbool.h>

/* How long the orders of a service lived that ended normally: the logarithm's mean and variance. */
struct service_history {
    double mean, variance; /* of ln(seconds) */
    double weight;         /* orders, at most 50: a service that changes is learned anew */
};

/* A service of which nothing is known: six hours, give or take a factor of four. */
void service_history_init(struct service_history *history);
/* An order lived that long and was completed. Below 30 s counts as 30 s. */
void service_history_learn(struct service_history *history, double lived_s);
/* Half the orders of that age live longer than this. */
double service_history_left_s(const struct service_history *history, double age_s);

/* What an order is, as far as it matters here. */
struct delivery {
    double quantity;                   /* in all runs; 0 = not known */
    double last_run_s, run_interval_s; /* drip-feed: when its last run begins; 0 = none */
};

/* What earlier answers said; kept in the ledger. */
struct progress {
    double answered_s; /* the last answer that is in here; 0 = none */
    double remains;    /* in it; < 0 = not known */
    double rate;       /* smoothed, pieces per second; 0 = nothing was seen to move */
    double first_moved_s, last_moved_s; /* when remains was seen to fall; < 0 = never */
};
void progress_init(struct progress *progress);
/* One more answer. `remains` < 0 = it said none; `running` = the provider has begun. */
void progress_observe(struct progress *progress, const struct delivery *delivery, double age_s,
                      double remains, bool running);

/*
 * Ends per second. `background` = what any open order does, from the ends of the last day per open
 * order and second: keeps those that look quiet from being forgotten.
 */
double hazard_of(const struct progress *progress, const struct delivery *delivery,
                 const struct service_history *history, double background, double age_s);
