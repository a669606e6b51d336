/*
 * rules/budget.h - how many requests the provider still allows us, and when.
 *
 * One gate per account, for every kind of request (POLLING rule 5.5): at most `per_minute` requests in any 60 s and
 * `per_day` in any 24 h (or calendar day); a slot is taken before the request is sent and is freed that long after its *response*,
 * which is exact whichever way the server counts. Consecutive sends are at least 60 / (0.98 per_minute) s apart, with `burst`
 * at once; a pause the provider asked for stops everything. A limit of 0 is no limit: then there is no pace either.
 *
 * Pure: the caller passes monotonic time in microseconds (one clock for all calls). budget_init() allocates
 * the minute's log; budget_done() frees it.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum budget_kind {
    BUDGET_ADD,  /* may use everything */
    BUDGET_POLL, /* leaves max(1, 15 %) of the minute free while no add waits; 1 slot in 20 while adds wait */
    BUDGET_READ, /* catalogue, balance, operator's questions: as a poll, but never starved by polls */
};

struct budget_limits {
    unsigned per_minute, per_day; /* 0 = unlimited */
    unsigned burst;               /* sends allowed at once after idleness; at least 1 */
    bool day_rolling;             /* else a calendar day that ends at `day_ends_us`, then every 24 h */
    int64_t day_ends_us;          /* on the caller's clock */
};

struct budget {
    struct budget_limits limits;
    unsigned in_flight;          /* slots taken whose response is not in */
    int64_t *freed_us;           /* ring: when each answered request's minute slot is free again */
    size_t ring_size, ring_first, ring_count;
    unsigned day_used[1441];     /* by minute of `now`, oldest falls out; unused with a calendar day but for [0] */
    int64_t day_minute;          /* the minute that day_used's newest cell stands for */
    unsigned day_total;
    int64_t next_send_us;        /* pace: GCRA's theoretical arrival time */
    int64_t paused_until_us;     /* the provider asked for it */
    bool adds_waiting;           /* set by the caller: lines are queued that could be sent */
    unsigned sends_since_poll;
};

int budget_init(struct budget *budget, const struct budget_limits *limits, int64_t now_us);
void budget_done(struct budget *budget);
/* New limits from a new configuration; what was used stays used. */
int budget_set_limits(struct budget *budget, const struct budget_limits *limits, int64_t now_us);

/* How many requests of that kind may leave at this moment, at most `wanted`. Takes nothing. */
unsigned budget_available(struct budget *budget, enum budget_kind kind, unsigned wanted, int64_t now_us);
/* When at least one may leave, if nothing else happens: `now_us` or later; INT64_MAX = when a response comes in. */
int64_t budget_next_us(struct budget *budget, enum budget_kind kind, int64_t now_us);
/* Takes `count` slots; the caller asked budget_available() just before. */
void budget_take(struct budget *budget, enum budget_kind kind, unsigned count, int64_t now_us);
/* A slot whose request was provably never sent. */
void budget_give_back(struct budget *budget, unsigned count, int64_t now_us);
/* The response came in, or the request ended without one. */
void budget_answered(struct budget *budget, int64_t now_us);
/* Nothing leaves before then; never shortens a pause. */
void budget_pause(struct budget *budget, int64_t until_us);
/* What an earlier process used: `count` requests whose responses were in by `at_us` (before or at now). */
void budget_restore(struct budget *budget, unsigned count, int64_t at_us, int64_t now_us);
/* Used in the last minute (with what is in flight) and in the day. */
unsigned budget_minute_used(struct budget *budget, int64_t now_us);
unsigned budget_day_used(struct budget *budget, int64_t now_us);
