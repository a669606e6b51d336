/*
 * rules/recheck.h - when an order that has ended is looked at once more, and when such looks leave
 * in a request of their own.
 *
 * Providers turn completed orders into partial, canceled or refunded ones, mostly within days. So
 * an order is looked at 1 h, 6 h, 1, 3, 7, 14 and 30 days after its end, later at growing distance;
 * one that was canceled, refunded or failed, which hardly changes any more, 1, 7 and 30 days after.
 * The looks ride along in status requests that are not full, which costs nothing; what finds no
 * room goes in requests of its own, a small share of the day. Pure.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/*
 * Seconds until the next look at an order that ended `age_s` ago. `state` is the ledger's word. -1:
 * there is none, because it would come later than `days` after the end.
 */
int64_t recheck_wait_s(const char *state, int64_t age_s, unsigned days);

#define RECHECK_PATIENCE_S 1800 /* for room in another request */
/* Looks that wait: a request of their own is worth it when it is full or the oldest waits long. */
bool recheck_is_worth(unsigned count, unsigned limit, int64_t oldest_s);
/* Seconds between two such requests: no more than a twentieth of `per_day` (0 = unlimited). */
int64_t recheck_spacing_s(unsigned per_day);
