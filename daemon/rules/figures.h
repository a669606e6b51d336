/*
 * rules/figures.h - what is counted for a monitoring system: how requests end, and how late the
 * shop is told.
 *
 * Plain counters that only grow; embed them, { 0 } is none.
 */
#pragma once
#include "wire/reply.h"
#include "wire/request.h"
#include <stdbool.h>
#include <stdint.h>

enum request_end {
    REQUEST_DONE,         /* the API did what was asked */
    REQUEST_REFUSED,      /* it named an error */
    REQUEST_THROTTLED,    /* refused for rate: not executed */
    REQUEST_NOT_EXECUTED, /* what answered was not the API */
    REQUEST_UNREADABLE,   /* an answer came, and it says nothing that is known */
    REQUEST_NO_ANSWER,    /* it was sent, and no whole answer came */
    REQUEST_NOT_SENT,     /* nothing left */
};
#define REQUEST_END_COUNT 7

struct request_counts {
    uint64_t ended[ACTION_COUNT][REQUEST_END_COUNT];
    uint64_t all;
};

/* What became of a request; `reply` NULL = no whole one arrived. */
enum request_end request_end_of(bool sent, const struct reply *reply);
/* As a label: "done", "not sent", ... */
const char *request_end_name(enum request_end end);
void request_counts_note(struct request_counts *counts, enum api_action action,
                         enum request_end end);

#define TOLD_STEPS 8
struct told_delays {
    uint64_t
        results[TOLD_STEPS];    /* that took told_step_s() at most, and more than the one before */
    double seconds[TOLD_STEPS]; /* of these together */
    uint64_t all;
};

/* The upper end of a step; INFINITY for the last. */
double told_step_s(unsigned step);
/* The shop was told so long after an order had ended; a clock that was set back makes it 0. */
void told_delays_note(struct told_delays *delays, double seconds);
