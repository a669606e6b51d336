/*
 * rules/shares.h - how a day's budget is shared between adds and polls.
 *
 * Adds may use all of it. Polls get what is left after the adds that are expected and a reserve for
 * a burst of them, spread evenly over the day. When the day's end is known, all of it is used up by
 * then, the reserve too. Pure; time as in rules/budget.h.
 */
#pragma once
#include "rules/budget.h"

struct shares {
    unsigned adds[145]; /* sent, by ten minutes */
    int64_t cell;       /* the ten minutes that the newest stands for */
    unsigned adds_day;  /* of the last 24 h */
    double burst;       /* the largest burst lately: adds in ten minutes above the usual; fades by 2 % a day */
    unsigned queued;    /* adds that wait: set by the caller */
};

void shares_init(struct shares *shares, int64_t now_us);
/* Adds that were sent, now or (after a restart) at an earlier moment. */
void shares_count_adds(struct shares *shares, unsigned count, int64_t at_us, int64_t now_us);
/* A burst that is known from elsewhere: that many adds in ten minutes, above the usual. */
void shares_learn_burst(struct shares *shares, double burst);

/* Requests of the day that are kept for a burst: 1.25 times the largest, within 2 and 20 % of the limit. */
double shares_reserve(const struct shares *shares, const struct budget_limits *limits);
/* Polls per second that can be kept up. `day_used` as budget_day_used(). */
double shares_poll_rate(struct shares *shares, const struct budget_limits *limits, unsigned day_used,
                        int64_t now_us);
