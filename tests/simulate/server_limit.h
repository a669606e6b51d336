/*
 * server_limit.h - how a simulated server counts the requests of one key: five models of a window.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum count_model {
    COUNT_FIXED,    /* a counter that starts again at multiples of the window */
    COUNT_LOG,      /* accepted requests of the last window */
    COUNT_BUCKET,   /* tokens that come back evenly, at most `capacity` */
    COUNT_ESTIMATE, /* this window's count and what is left of the one before, weighted */
    COUNT_REJECTS,  /* a log of all requests, also of refused ones */
    COUNT_MODELS
};
extern const char *const count_model_names[COUNT_MODELS];

struct server_limit {
    enum count_model model;
    double limit, window_s, capacity;
    double tokens, began_s, count, before; /* of bucket, counters */
    double *log_s;                         /* ring, owned */
    size_t first, logged, size;
};
/* `capacity` of a bucket, 0 = the limit. */
void server_limit_init(struct server_limit *limit, enum count_model model, double number,
                       double window_s, double capacity);
void server_limit_done(struct server_limit *limit);
/* Times never go back. */
bool server_limit_allows(struct server_limit *limit, double now_s);
void server_limit_count(struct server_limit *limit, bool accepted, double now_s);
