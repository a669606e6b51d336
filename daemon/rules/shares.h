/*
 * rules/shares.h - how a day's budget is shared between adds and polls.
 *
 * Adds may use all of it. Polls get what is left after the adds that are expected and a reserve for
 * a burst of them, spread evenly over the day; and never so much that the adds of any of the next
 * 24 hours, as they were yesterday, would find the day used up. When the day's end is known, all of
 * it is used up by then, the reserve too. Pure; time as in rules/budget.h.
 */
#pragma once
#include "rules/budget.h"

struct shares {
    unsigned adds[145]; /* sent, by ten minutes */
    int64_t cell;       /* the ten minutes that the newest stands for */
    int64_t first_cell; /* before that nothing is known */
    unsigned adds_day;  /* of the last 24 h */
    double burst; /* the largest burst lately: adds in ten minutes above the usual; fades by 2 % a
                     day */
    unsigned queued; /* adds that wait: set by the caller */
    double most;     /* polls per second that the coming day bears, as of `most_us` */
    int64_t most_us;
};

void shares_init(struct shares *shares, int64_t now_us);
/* Adds that were sent, now or (after a restart) at an earlier moment; 0 says that this moment is
 * known. */
void shares_count_adds(struct shares *shares, unsigned count, int64_t at_us, int64_t now_us);
/* A burst that is known from elsewhere: that many adds in ten minutes, above the usual. */
void shares_learn_burst(struct shares *shares, double burst);

/* Requests of the day that are kept for a burst: 1.25 times the largest, within 2 and 20 % of the
 * limit. */
double shares_reserve(const struct shares *shares, const struct budget_limits *limits);
/* Polls per second that can be kept up. */
double shares_poll_rate(struct shares *shares, struct budget *budget, int64_t now_us);
