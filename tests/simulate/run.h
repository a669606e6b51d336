/*
 * run.h - one client in one world for some days, on a virtual clock.
 *
 * The client is made of the daemon's own rules: rules/budget, rate_learning, shares, hazard and
 * poll_schedule decide everything that the daemon decides by them. What stands around them here is
 * what jobs/submit, jobs/poll and store/polls are in the daemon: a queue, a list by turn, requests.
 */
#pragma once
#include "server_limit.h"
#include "world.h"

enum policy {
    POLICY_DAEMON,
    POLICY_ROUND_ROBIN, /* the same gate, shares and pace; whoever was asked longest ago comes first
                         */
    /* The same gate; shares, pace and order are those of reference.h. */
    POLICY_REFERENCE,
    POLICY_PERFECT,     /* and knows every natural end */
    POLICY_CLAIRVOYANT, /* asks about nothing but what has ended, as soon as the gate lets it */
};

struct run_options {
    enum policy policy;
    enum count_model model;
    double server_minute, server_day; /* 0 = as configured */
    double capacity;                  /* of a bucket, 0 = the limit */
    unsigned burst;                   /* the setting; 0 = 1 */
    bool calendar;                    /* the day is known to end at midnight */
    bool deaf;                        /* nothing is learned from refusals */
    bool says_limit;                  /* the server names its limit */
    bool cold;                        /* nothing is known of the services */
    unsigned seed;
};

struct run_result {
    double delay_s, delay_half_s, delay_95_s, delay_99_s; /* of final states */
    double add_s, add_half_s, add_99_s;                   /* from paid to answered */
    double drained_s;     /* the slowest burst, to its last answer */
    unsigned drain_polls; /* the fewest polls that were answered meanwhile */
    double stale_s;       /* mean age of what is known of an open order */
    double used;          /* of the budget of the days measured */
    double requests_per_end, open;
    double planned_s, measured_s; /* what the client itself says of its delay, at the end */
    unsigned refused, ends, adds, polls, short_batches;
    double ids_a_batch;
    double work_s; /* processor time of the whole run */
};
void run_world(const struct world *world, const struct run_options *options,
               struct run_result *ret_result);
