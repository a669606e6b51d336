/*
 * rules/poll_schedule.h - when an open order is asked about next, and how fast batches leave.
 *
 * Pure. Requests leave at an even pace; each carries the 100 orders with the earliest time, due or
 * not, because further ids in a request are free.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* One order, as the ledger knows it. Times in microseconds of one clock. */
struct poll_order {
    int64_t now_us, accepted_us, changed_us; /* accepted_us: bought; changed_us: last time remains
                                                or status moved, or accepted_us */
    int64_t quantity, remains;               /* -1 = not known */
    unsigned errors;                         /* answers with an error for this id in a row */
};

/*
 * Until the next look at this order: 5 s ... 15 min, each error in a row doubles it, at most 6 h.
 * Without progress a tenth of the time since the last change: the longer it is quiet, the longer it
 * is left alone. While it is being delivered (0 < remains < quantity), a quarter of the time that
 * the rest takes at the rate so far; once that moment has passed, a tenth of the quiet time again.
 * `remains` of 0 proves nothing: providers say it of pending orders.
 */
int64_t poll_interval_us(const struct poll_order *order);

/* Until the next batch may leave. */
struct poll_pace {
    unsigned per_minute, per_day; /* limits, 0 = none */
    unsigned day_used;   /* calendar day: all requests; rolling: those of the last 24 h that were no
                            polls */
    int64_t day_left_us; /* until the day ends; 24 h when rolling */
};
/*
 * Even pace of what is sustainable: 85 % of the minute, and what the day has left spread over the
 * time it has left (nothing left: the rest of the day). At least 1 s apart, also without limits. In
 * a rolling day polls must not be subtracted from their own share, or they would settle at half of
 * it.
 */
int64_t poll_pace_us(const struct poll_pace *pace);
