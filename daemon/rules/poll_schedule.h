/*
 * rules/poll_schedule.h - when an open order is asked about next, and how fast batches leave.
 *
 * Pure. Requests leave at an even pace; each carries the 100 orders with the earliest time, due or not, because further
 * ids in a request are free.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* One order, as the ledger knows it. Times in microseconds of one clock. */
struct poll_order {
    int64_t now_us, accepted_us, changed_us; /* accepted_us: bought; changed_us: last time remains or status moved, or accepted_us */
    int64_t quantity, remains;               /* -1 = not known */
    unsigned errors;                         /* answers with an error for this id in a row */
};

/* Until the next look at this order: 5 s ... 6 h, longer the older and the quieter it is; errors double it, at most 6 h. */
int64_t poll_interval_us(const struct poll_order *order);

/* Until the next batch may leave. */
struct poll_pace {
    unsigned per_minute, per_day; /* limits, 0 = none */
    unsigned day_used;            /* of per_day */
    int64_t day_left_us;          /* until the day ends; 24 h when rolling */
};
/* Even pace of what is sustainable: at least 1 s apart, also without limits. */
int64_t poll_pace_us(const struct poll_pace *pace);
