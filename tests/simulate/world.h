/*
 * world.h - a provider's orders as they really go, which a policy never sees but through answers.
 *
 * Services with log-normal lives, start delays, drip-feeds, deliveries whose rate changes, orders
 * that are cancelled or get stuck; a shop that is busier by day than by night, with bursts. The
 * same scenario and seed make the same world. Times in seconds.
 */
#pragma once
#include "rules/hazard.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DAY_S 86400.0
#define SERVICES 60
#define SEGMENTS 8

struct chance {
    uint64_t state;
};
double chance_share(struct chance *chance); /* in (0, 1) */
unsigned chance_below(struct chance *chance, unsigned count);

struct scenario {
    const char *name;
    unsigned per_minute, per_day;
    double open;                        /* orders on average */
    double adds_a_day;                  /* 0 = as many as keep that number open */
    double shortest_s, longest_s;       /* of the services' median lives */
    double from_day, to_day, until_day; /* measured from, to; the end */
    double bursts_a_day;
    unsigned burst;
};

enum fate { FATE_COMPLETED, FATE_CUT_SHORT, FATE_STUCK };
struct fact {
    double paid_s;
    float lives_s, ends_s, stands_s,
        waits_s;           /* from being bought: natural end, end, last movement, first movement */
    float moved[SEGMENTS]; /* share delivered at the end of each segment */
    float run_s, interval_s; /* drip-feed */
    unsigned runs, quantity;
    unsigned char service;
    enum fate fate;
};

struct world {
    struct scenario scenario;
    struct fact *facts; /* the first `old` are open at 0, the others by no order */
    size_t count, old;
    double medians_s[SERVICES], spreads[SERVICES];
    struct service_history histories[SERVICES]; /* of a shop that has sold for a while */
    double adds_a_day;                          /* bursts included */
    double *bursts_s;                           /* when */
    size_t burst_count;
};
void world_make(struct world *world, const struct scenario *scenario, unsigned seed);
void world_done(struct world *world);
/* Pieces left at that age. */
double fact_remains(const struct fact *fact, double age_s);
