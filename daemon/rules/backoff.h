/*
 * rules/backoff.h - how long to wait after the n-th failure in a row.
 *
 * Doubling from `first` to `longest`, less up to a quarter so that those who failed together do not
 * come back together. Pure: chance is an argument.
 */
#pragma once
#include <stdint.h>

/*
 * `failures` from 1 (0 counts as 1); `random` any 32 random bits. Microseconds, in [3/4, 1] of the
 * doubled value.
 */
int64_t backoff_us(unsigned failures, int64_t first_us, int64_t longest_us, uint32_t random);
