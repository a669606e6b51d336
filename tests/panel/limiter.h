/*
 * limiter.h - how a provider counts the requests of one key: five models of one window.
 *
 * A key has two of them, a minute and a day; a request must pass both. Times are microseconds of
 * any one clock.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum limiter_model {
    LIMITER_FIXED,    /* a counter that falls to zero at multiples of the window's length */
    LIMITER_SLIDING,  /* a log: the last `limit` accepted requests */
    LIMITER_BUCKET,   /* tokens, at most `limit`, that come back evenly */
    LIMITER_ESTIMATE, /* this window's count plus the previous one's, weighted by what is left of it
                       */
    LIMITER_SLIDING_REJECTS /* a log in which refused requests count as well */
};

struct limiter {
    enum limiter_model model;
    uint32_t limit; /* 0: none */
    int64_t length_us;
    int64_t window_began_us;  /* FIXED, ESTIMATE; the last refill of BUCKET */
    uint64_t count, previous; /* FIXED, ESTIMATE */
    int64_t tokens_us;        /* BUCKET: tokens in units of time, one token = length / limit */
    int64_t *log;             /* SLIDING*: a ring of `limit` times, owned; 0 = never */
    uint32_t log_next;
};

/* Returns 0 or -1 for an unknown name: fixed sliding bucket estimate sliding-rejects. */
int limiter_model_parse(const char *name, enum limiter_model *ret_model);

/* An empty window. What an earlier limiter_set() allocated is freed: start from a zeroed struct. */
void limiter_set(struct limiter *limiter, enum limiter_model model, uint32_t limit,
                 int64_t length_us);
void limiter_done(struct limiter *limiter);

/* Whether one more request passes now. Charges nothing. *ret_wait_us (> 0) is written when it does
 * not. */
bool limiter_allows(struct limiter *limiter, int64_t now_us, int64_t *ret_wait_us);

/* Counts a request that was let through, or (`accepted` false) one that was refused. */
void limiter_count(struct limiter *limiter, int64_t now_us, bool accepted);
