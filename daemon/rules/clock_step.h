/*
 * rules/clock_step.h - whether the database's clock was set.
 *
 * What waits in the ledger waits by the database's clock. Two looks at it, with our own clock that
 * nobody sets (boot time, which goes on during suspend) before and after each, tell whether it went
 * as ours did in between. Pure.
 */
#pragma once
#include <stdint.h>

/* One look: the server read its clock at some moment between the two of ours. */
struct clock_look {
    int64_t server_us;         /* since 1970 */
    int64_t asked_us, told_us; /* by our clock, of one boot */
};

/* Less than that is drift, or not worth the trouble. */
#define CLOCK_STEP_LEAST_US INT64_C(5000000)

/* By how much it was certainly set forward (> 0) or back (< 0), at the least; 0 = not, as far as
 * one can tell. */
int64_t clock_step_us(const struct clock_look *before, const struct clock_look *after);
