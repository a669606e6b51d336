/*
 * rules/budget.h - how many requests the provider still allows us, and when.
 *
 * One gate per account, for every kind of request: at most `per_minute` requests in any 60 s and
 * `per_day` in any 24 h (or calendar day); a slot is taken before the request is sent and is freed
 * that long after its *response*, which is exact whichever way the server counts.
 * Consecutive sends are at least (60 s + jitter) / per_minute apart, with `burst` at once. The
 * jitter is how much the times of answers lately differed, and 0.1 s; at first and at most 1.22 s,
 * a pace of 0.98 of the limit. A pause the provider asked for stops everything, and then one
 * request goes alone to see whether it is over. A limit of 0 is no limit: then there is no pace
 * either.
 *
 * Nobody's clock is the server's. A calendar day ends here 10 s late, and what is answered within
 * 10 s of its end counts in both days: so none is overrun, though the clocks differ by that much.
 *
 * While adds wait, polls and reads are given a turn only when one is due; so the caller asks for
 * reads first, then for polls, then for adds, and adds still get all slots but these.
 *
 * Pure: the caller passes monotonic time in microseconds (one clock for all calls, never less than
 * in the call before). budget_init() allocates the minute's log; budget_done() frees it.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum budget_kind {
    BUDGET_ADD, /* may use everything */
    /*
     * Leaves max(1, 15 %) of the minute free (of a limit of 1: nothing) while no add waits. While
     * adds wait: for the first 600 of them one after 160 slots and then 1 in 80, so that a burst is
     * over soon, later 1 in 20; or one when nothing at all was sent for the time of 20 slots, so
     * that adds which wait but never leave do not stop the polls for good.
     */
    BUDGET_POLL,
    /*
     * Catalogue, balance, operator's questions: as a poll, but never starved by polls. Leaves only
     * half of what polls leave, and has a turn of its own, 1 slot in 20 (the first is due at once).
     */
    BUDGET_READ,
};

struct budget_limits {
    unsigned per_minute, per_day; /* 0 = unlimited */
    unsigned burst;               /* sends allowed at once after idleness; 0 counts as 1 */
    bool day_rolling;    /* else a calendar day that ends at `day_ends_us`, then every 24 h */
    int64_t day_ends_us; /* on the caller's clock; may have passed by up to 10 s */
};

/* After a refusal for rate. */
enum budget_probe {
    BUDGET_PROBE_NONE,
    BUDGET_PROBE_DUE, /* when the pause is over, one request may leave */
    BUDGET_PROBE_OUT, /* it has left: nothing else does */
};

struct budget {
    struct budget_limits limits;
    unsigned in_flight; /* slots taken whose response is not in */
    int64_t now_us;     /* of the latest call */
    int64_t *freed_us; /* ring, ascending: when each answered request's minute slot is free again */
    size_t ring_size, ring_first, ring_count; /* at least per_minute; keeps the newest */
    unsigned day_used[1441];                  /* answered, by minute; unused with a calendar day */
    int64_t day_minute;      /* the minute that day_used's newest cell stands for */
    unsigned day_total;      /* answered in the day, also without a limit */
    unsigned next_day_total; /* likewise in the calendar day to come, once its beginning is near */
    int64_t next_send_us;    /* pace: GCRA's theoretical arrival time */
    int64_t paused_until_us; /* the provider asked for it */
    bool adds_waiting;       /* set by the caller: lines are queued that could be sent */
    unsigned sends_since_poll, sends_since_read; /* up to what makes a turn due */
    unsigned rush_adds; /* sent since adds began to wait, as far as it matters */
    bool taken_at_once; /* all that is in flight was taken by one call */
    enum budget_probe probe;
    int64_t refused_us;              /* the last refusal for rate */
    unsigned answers;                /* whose times are in the next two, as far as it matters */
    int64_t quickest_us, slowest_us; /* of answers lately */
    int64_t usual_us;                /* their mean */
};

/*
 * 0, -ENOMEM, or -EINVAL when per_minute is above 100,000. After a failure budget_done() is
 * allowed, not needed.
 */
int budget_init(struct budget *budget, const struct budget_limits *limits, int64_t now_us);
void budget_done(struct budget *budget);
/*
 * New limits from a new configuration; what was used stays used. After "unlimited" the minute
 * counts as full, as far as the day's requests allow. Errors as budget_init(); then the old limits
 * stay.
 */
int budget_set_limits(struct budget *budget, const struct budget_limits *limits, int64_t now_us);

/* How many requests of that kind may leave at this moment, at most `wanted`. Takes nothing. */
unsigned budget_available(struct budget *budget, enum budget_kind kind, unsigned wanted,
                          int64_t now_us);
/*
 * The earliest moment at which at least one may leave, if nothing else happens: `now_us` or later;
 * INT64_MAX = not before a response comes in.
 */
int64_t budget_next_us(struct budget *budget, enum budget_kind kind, int64_t now_us);
/* Takes `count` slots; the caller asked budget_available() just before. */
void budget_take(struct budget *budget, enum budget_kind kind, unsigned count, int64_t now_us);
/*
 * Slots whose requests were provably never sent. Their place in the pace comes back too, if all
 * that is in flight was taken by one call: otherwise a later send may be paced by it.
 */
void budget_give_back(struct budget *budget, unsigned count, int64_t now_us);
/* The response came in, or the request ended without one. */
void budget_answered(struct budget *budget, int64_t now_us);
/* Nothing leaves before `until_us`; never shortens a pause. */
void budget_pause(struct budget *budget, int64_t until_us);
/* As a pause, after a refusal for rate: when it is over, one request leaves alone. */
void budget_refused(struct budget *budget, int64_t until_us);
/*
 * A request that was sent at `sent_us` was answered and not refused for rate: if it was the probe,
 * everything goes on. One that had left before the refusal says nothing.
 */
void budget_was_let_through(struct budget *budget, int64_t sent_us);
/* A request leaves now, on a slot that was taken before: the pace goes on from here if it is late.
 */
void budget_note_sent(struct budget *budget, int64_t now_us);
/* How long an answer took from the taking of its slot, whatever it said. */
void budget_note_took(struct budget *budget, int64_t took_us);
/* The pace at this moment, in requests a minute; 0 = none. */
double budget_per_minute(const struct budget *budget);
/*
 * Forgets what was answered, before all of it is restored from what is kept elsewhere. What is in
 * flight, the pace and a pause stay.
 */
void budget_forget(struct budget *budget, int64_t now_us);
/*
 * What an earlier process used: `count` requests whose responses were in by `at_us` (before or at
 * now; may lie before the clock's zero). Requests that it left in flight are restored as answered
 * now.
 */
void budget_restore(struct budget *budget, unsigned count, int64_t at_us, int64_t now_us);
/*
 * When the last of `queued` adds (at least 1) is expected to leave: not before `from_us` (a pause
 * the gate does not know of), at its pace, with the polls' turns between them, no faster than
 * `at_once` connections answer, and when the day is used up, as it gets free again.
 */
int64_t budget_queue_ends_us(struct budget *budget, unsigned queued, unsigned at_once,
                             int64_t from_us, int64_t now_us);
/* How many requests of a rolling day are free again in the first, second ... 24th hour from now. */
void budget_day_frees(struct budget *budget, unsigned ret_hours[24], int64_t now_us);
/*
 * Used in the last minute and in the day, both with what is in flight; without a minute's limit the
 * first is that alone.
 */
unsigned budget_minute_used(struct budget *budget, int64_t now_us);
unsigned budget_day_used(struct budget *budget, int64_t now_us);
