/*
 * rules/rate_learning.h - what a provider's refusals for rate teach about its limits.
 *
 * The limits in force are those of the configuration until the provider refuses a request for rate.
 * A number in its words is adopted. Without one the burst is given up first; then the minute is cut
 * by three tenths, or the day to just below what was accepted in it (a quarter at the least), each
 * at most once in 30 s. What was cut recovers: 5 % of the configured minute after each ten minutes
 * without a refusal, 5 % of the day after two. Never above the configuration, nor above a number
 * the provider named within the last week. Pure; time as in rules/budget.h.
 */
#pragma once
#include "rules/budget.h"

struct rate_learning {
    struct budget_limits configured;
    unsigned per_minute, per_day, burst; /* in force; 0 as in the configuration: no limit */
    unsigned told_minute, told_day;      /* named by the provider; 0 = nothing */
    int64_t refused_us;         /* the last refusal for rate, by this process or an earlier one */
    int64_t cut_us, day_cut_us; /* the last cut of the minute, of the day, by this process */
    int64_t met_us;             /* the last refusal that this process met; INT64_MIN = none */
    int64_t raised_us, day_raised_us; /* when the minute, the day was last changed */
    unsigned refusals;                /* since the beginning */
};

/* A refusal for rate. */
struct rate_refusal {
    int64_t limit, period_s;        /* named in its words, else 0 */
    int64_t retry_after_s;          /* -1 = not said */
    unsigned minute_used, day_used; /* as the gate counts, this request included */
};

void rate_learning_init(struct rate_learning *learning, const struct budget_limits *configured,
                        int64_t now_us);
/* True while the limits in force are below the configuration. */
bool rate_learning_is_cut(const struct rate_learning *learning);
/*
 * What an earlier process had learned: the limits in force, the numbers told, the refusals of
 * `learned`, and when it was refused and last changed each limit (INT64_MIN = not known), so that
 * they recover as if it had never ended. It is forgotten when the configuration's limits are now
 * others than `learned->configured`, and the burst when the configured one is.
 */
void rate_learning_restore(struct rate_learning *learning, const struct rate_learning *learned,
                           int64_t now_us);
/* The limits in force. */
struct budget_limits rate_learning_limits(const struct rate_learning *learning);
/* True when the limits in force are now others. */
bool rate_learning_refused(struct rate_learning *learning, const struct rate_refusal *refusal,
                           int64_t now_us);
/* Recovers, when it is time; true as above. To be called once in a while. */
bool rate_learning_recover(struct rate_learning *learning, int64_t now_us);
