/*
 * base/problem.h - what an operator must read about a failure.
 *
 * Passed last, as `struct problem *reterr_problem`; written on failure only. Plain data, nothing to
 * free.
 */
#pragma once

struct problem {
    char text[512]; /* one sentence without a final stop, cut to fit; "" before anything failed */
    char hint[256]; /* what can be done about it, or "" */
};

/* Writes the sentence and clears the hint. */
void problem_set(struct problem *problem, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Adds what the operator can do. */
void problem_hint(struct problem *problem, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
