#include "rules/budget.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_US INT64_C(1000000)
#define MINUTE_US (60 * SECOND_US)
#define DAY_US (24 * 60 * MINUTE_US)
#define DAY_CELLS 1441 /* a minute's cell is free when the last moment in it is 24 h ago */
#define PER_MINUTE_MOST 100000
#define TURN_AFTER 19        /* sends, so that one slot in 20 is a poll's or a read's */
#define RUSH_FIRST_AFTER 159 /* what was just bought has not ended: later it may have */
#define RUSH_TURN_AFTER 79
#define RUSH 600 /* adds: a queue that is longer is no burst */
/*
 * A minute holds so much less than its limit as answers may vary in their time. Two requests that
 * left a minute apart arrive up to that much nearer, and a server that weighs two windows counts
 * both.
 */
#define JITTER_MOST_US INT64_C(1224490) /* as a pace of 0.98 of the limit */
#define JITTER_MARGIN_US INT64_C(100000)
#define JITTER_ANSWERS 30             /* before what was measured counts */
#define CLAIM_US INT64_C(25000)       /* from slot to send, as a rule at most: part of the jitter */
#define DAY_GUARD_US (10 * SECOND_US) /* by so much a server's clock may differ */
#define USUAL_OF 16                   /* answers, for their mean */
#define LATE_US INT64_C(5000)         /* a send that is late by less does not set the pace back */

static unsigned smaller(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static unsigned minus(unsigned limit, size_t used)
{
    return used < limit ? limit - (unsigned)used : 0;
}

/* Rounded down also before the clock's zero, where an earlier process may have answered. */
static int64_t minute_of(int64_t time_us)
{
    return time_us / MINUTE_US - (time_us % MINUTE_US < 0);
}

static unsigned *day_cell(struct budget *budget, int64_t minute)
{
    return &budget->day_used[((minute % DAY_CELLS) + DAY_CELLS) % DAY_CELLS];
}

static int64_t *slot(const struct budget *budget, size_t i)
{
    return &budget->freed_us[(budget->ring_first + i) % budget->ring_size];
}

/* Least time between two sends at that limit; 0 = no pace. */
static int64_t spacing_at_us(const struct budget *budget, unsigned per_minute)
{
    int64_t jitter_us = budget->slowest_us - budget->quickest_us + JITTER_MARGIN_US;
    if (per_minute == 0)
        return 0;
    if (budget->answers < JITTER_ANSWERS || jitter_us > JITTER_MOST_US)
        jitter_us = JITTER_MOST_US;
    return (MINUTE_US + jitter_us + per_minute - 1) / per_minute;
}

static int64_t spacing_us(const struct budget *budget)
{
    return spacing_at_us(budget, budget->limits.per_minute);
}

/* How far ahead of an even pace a send may be. */
static int64_t burst_us(const struct budget *budget)
{
    unsigned burst = budget->limits.burst;
    return (burst > 0 ? burst - 1 : 0) * spacing_us(budget);
}

/* After how many sends a turn is due between waiting adds. */
static unsigned turn_after(const struct budget *budget, enum budget_kind kind)
{
    if (kind != BUDGET_POLL || budget->rush_adds >= RUSH)
        return TURN_AFTER;
    return budget->rush_adds < RUSH_FIRST_AFTER ? RUSH_FIRST_AFTER : RUSH_TURN_AFTER;
}

/* How many slots of the minute requests of that kind may fill. */
static unsigned minute_share(const struct budget *budget, enum budget_kind kind)
{
    unsigned limit = budget->limits.per_minute;
    if (kind == BUDGET_ADD || budget->adds_waiting || limit == 1)
        return limit;
    unsigned reserve = limit * 15 / 100;
    if (reserve == 0)
        reserve = 1;
    return limit - (kind == BUDGET_READ ? reserve / 2 : reserve);
}

/* From when a turn between waiting adds is due. */
static int64_t turn_us(const struct budget *budget, enum budget_kind kind)
{
    unsigned sends = kind == BUDGET_READ ? budget->sends_since_read : budget->sends_since_poll;
    if (kind == BUDGET_ADD || !budget->adds_waiting || sends >= turn_after(budget, kind))
        return INT64_MIN;
    return budget->next_send_us + TURN_AFTER * spacing_us(budget);
}

/* How many may leave at once without running ahead of the pace. */
static unsigned pace_room(const struct budget *budget, unsigned wanted)
{
    int64_t spacing = spacing_us(budget);
    int64_t ahead_us = later(budget->next_send_us - budget->now_us, 0);
    int64_t room_us = burst_us(budget) - ahead_us;
    if (room_us < 0)
        return 0;
    return room_us / spacing + 1 < wanted ? (unsigned)(room_us / spacing + 1) : wanted;
}

/*
 * Notes `count` requests whose slots are free at `freed_us`. A full ring drops its oldest entries:
 * as many newer ones as the limit allows keep the gate shut for as long as all of them together
 * would.
 */
static void log_insert(struct budget *budget, size_t count, int64_t freed_us)
{
    size_t older = budget->ring_count;
    while (older > 0 && *slot(budget, older - 1) > freed_us)
        older--;
    size_t excess = 0;
    if (budget->ring_count + count > budget->ring_size)
        excess = budget->ring_count + count - budget->ring_size;
    size_t dropped = excess < older ? excess : older;
    if (dropped > 0)
        budget->ring_first = (budget->ring_first + dropped) % budget->ring_size;
    budget->ring_count -= dropped;
    older -= dropped;
    count -= excess - dropped;
    for (size_t i = budget->ring_count; i > older; i--)
        *slot(budget, i - 1 + count) = *slot(budget, i - 1);
    for (size_t i = 0; i < count; i++)
        *slot(budget, older + i) = freed_us;
    budget->ring_count += count;
}

static void roll_rolling_day(struct budget *budget)
{
    int64_t minute = minute_of(budget->now_us);
    if (minute - budget->day_minute >= DAY_CELLS) {
        memset(budget->day_used, 0, sizeof budget->day_used);
        budget->day_total = 0;
        budget->day_minute = minute;
    }
    while (budget->day_minute < minute) {
        unsigned *cell = day_cell(budget, ++budget->day_minute);
        budget->day_total -= *cell;
        *cell = 0;
    }
}

/* Returns how many calendar days ended; the end is then the next one. */
static int64_t roll_day_end(struct budget *budget)
{
    int64_t over_us = budget->now_us - budget->limits.day_ends_us - DAY_GUARD_US;
    if (over_us < 0)
        return 0;
    int64_t days = over_us / DAY_US + 1;
    budget->limits.day_ends_us += days * DAY_US;
    return days;
}

static void roll_calendar_day(struct budget *budget)
{
    int64_t days = roll_day_end(budget);
    if (days == 0)
        return;
    budget->day_total = days == 1 ? budget->next_day_total : 0;
    budget->next_day_total = 0;
}

/*
 * Frees what is free by now, and returns the time to go on with. Every public function starts here.
 * A caller's time can be older than that of a reply it handled since: time then stands still, it
 * never goes back.
 */
static int64_t advance(struct budget *budget, int64_t now_us)
{
    if (now_us < budget->now_us)
        now_us = budget->now_us;
    budget->now_us = now_us;
    while (budget->ring_count > 0 && *slot(budget, 0) <= now_us) {
        budget->ring_first = (budget->ring_first + 1) % budget->ring_size;
        budget->ring_count--;
    }
    if (budget->limits.day_rolling)
        roll_rolling_day(budget);
    else
        roll_calendar_day(budget);
    return now_us;
}

static void count_in_day(struct budget *budget, unsigned count, int64_t at_us)
{
    if (budget->limits.day_rolling) {
        int64_t minute = minute_of(at_us);
        if (budget->day_minute - minute >= DAY_CELLS)
            return;
        *day_cell(budget, minute) += count;
    } else if (at_us < budget->limits.day_ends_us - DAY_US - DAY_GUARD_US) {
        return;
    } else if (at_us >= budget->limits.day_ends_us - DAY_GUARD_US) {
        budget->next_day_total += count;
    }
    budget->day_total += count;
}

/* When the day has room for one more, or INT64_MAX. */
static int64_t day_next_us(struct budget *budget)
{
    unsigned limit = budget->limits.per_day;
    if (limit == 0 || budget->day_total + budget->in_flight < limit)
        return budget->now_us;
    if (budget->in_flight >= limit)
        return INT64_MAX;
    if (!budget->limits.day_rolling)
        return budget->limits.day_ends_us + DAY_GUARD_US;
    unsigned surplus = budget->day_total + budget->in_flight - limit + 1;
    int64_t minute = budget->day_minute - DAY_CELLS;
    for (unsigned freed = 0; freed < surplus;)
        freed += *day_cell(budget, ++minute);
    return (minute + DAY_CELLS) * MINUTE_US;
}

/* When the minute has room for one more of that kind, or INT64_MAX. */
static int64_t minute_next_us(const struct budget *budget, enum budget_kind kind)
{
    unsigned share = minute_share(budget, kind);
    if (budget->in_flight >= share)
        return INT64_MAX;
    size_t kept = share - budget->in_flight - 1;
    return budget->ring_count > kept ? *slot(budget, budget->ring_count - kept - 1)
                                     : budget->now_us;
}

/* Room in the ring for a minute's limit. It never shrinks, so that nothing is forgotten. */
static int fit_ring(struct budget *budget, size_t size)
{
    if (size <= budget->ring_size)
        return 0;
    int64_t *freed_us = calloc(size, sizeof *freed_us);
    if (!freed_us)
        return -ENOMEM; /* uncovered: memory does not run out on demand */
    for (size_t i = 0; i < budget->ring_count; i++)
        freed_us[i] = *slot(budget, i);
    free(budget->freed_us);
    budget->freed_us = freed_us;
    budget->ring_size = size;
    budget->ring_first = 0;
    return 0;
}

/* The pace goes on from the last send; without one known, from now. */
static void adopt_minute(struct budget *budget, const struct budget_limits *limits)
{
    int64_t old_spacing_us = spacing_us(budget);
    budget->next_send_us += spacing_at_us(budget, limits->per_minute) - old_spacing_us;
    budget->taken_at_once = false;
    if (limits->per_minute == 0) {
        free(budget->freed_us);
        budget->freed_us = NULL;
        budget->ring_size = budget->ring_first = budget->ring_count = 0;
    } else if (old_spacing_us == 0) {
        budget->next_send_us = budget->now_us;
        if (budget->day_total + budget->in_flight > 0)
            budget->next_send_us += spacing_at_us(budget, limits->per_minute);
        log_insert(budget, smaller(budget->day_total, limits->per_minute),
                   budget->now_us + MINUTE_US);
    }
}

/* A change between rolling and calendar counts all of the old day as of now. */
static void adopt_day(struct budget *budget, const struct budget_limits *limits)
{
    if (limits->day_rolling || budget->now_us < limits->day_ends_us - DAY_GUARD_US)
        budget->next_day_total = 0;
    if (budget->limits.day_rolling == limits->day_rolling)
        return;
    memset(budget->day_used, 0, sizeof budget->day_used);
    budget->day_minute = minute_of(budget->now_us);
    if (limits->day_rolling)
        *day_cell(budget, budget->day_minute) = budget->day_total;
}

int budget_init(struct budget *budget, const struct budget_limits *limits, int64_t now_us)
{
    *budget = (struct budget){
        .now_us = now_us,
        .next_send_us = now_us,
        .paused_until_us = now_us,
        .day_minute = minute_of(now_us),
        .sends_since_read = RUSH_FIRST_AFTER,
    };
    return budget_set_limits(budget, limits, now_us);
}

void budget_done(struct budget *budget)
{
    free(budget->freed_us);
    *budget = (struct budget){0};
}

int budget_set_limits(struct budget *budget, const struct budget_limits *limits, int64_t now_us)
{
    if (limits->per_minute > PER_MINUTE_MOST)
        return -EINVAL;
    now_us = advance(budget, now_us);
    int error = fit_ring(budget, limits->per_minute);
    if (error < 0)
        return error; /* uncovered: memory does not run out on demand */
    adopt_minute(budget, limits);
    adopt_day(budget, limits);
    budget->limits = *limits;
    (void)roll_day_end(budget);
    return 0;
}

unsigned budget_available(struct budget *budget, enum budget_kind kind, unsigned wanted,
                          int64_t now_us)
{
    const struct budget_limits *limits = &budget->limits;
    now_us = advance(budget, now_us);
    if (now_us < budget->paused_until_us || budget->probe == BUDGET_PROBE_OUT)
        return 0;
    if (budget->probe == BUDGET_PROBE_DUE)
        wanted = smaller(wanted, 1);
    if (limits->per_day > 0)
        wanted = smaller(wanted, minus(limits->per_day, budget->day_total + budget->in_flight));
    if (limits->per_minute == 0)
        return wanted;
    size_t used = budget->ring_count + budget->in_flight;
    wanted = smaller(wanted, minus(minute_share(budget, kind), used));
    if (kind != BUDGET_ADD && budget->adds_waiting)
        wanted = smaller(wanted, now_us >= turn_us(budget, kind));
    return pace_room(budget, wanted);
}

int64_t budget_next_us(struct budget *budget, enum budget_kind kind, int64_t now_us)
{
    now_us = advance(budget, now_us);
    if (budget->probe == BUDGET_PROBE_OUT)
        return INT64_MAX;
    int64_t next_us = later(now_us, budget->paused_until_us);
    next_us = later(next_us, day_next_us(budget));
    if (budget->limits.per_minute == 0)
        return next_us;
    next_us = later(next_us, minute_next_us(budget, kind));
    next_us = later(next_us, turn_us(budget, kind));
    return later(next_us, budget->next_send_us - burst_us(budget));
}

void budget_take(struct budget *budget, enum budget_kind kind, unsigned count, int64_t now_us)
{
    unsigned available = budget_available(budget, kind, count, now_us);
    assert(count <= available);
    (void)available;
    if (count == 0)
        return;
    budget->taken_at_once = budget->in_flight == 0;
    budget->in_flight += count;
    if (budget->probe == BUDGET_PROBE_DUE)
        budget->probe = BUDGET_PROBE_OUT;
    if (now_us - budget->next_send_us > LATE_US)
        budget->next_send_us = now_us;
    budget->next_send_us += count * spacing_us(budget);
    unsigned sends = smaller(count, RUSH_FIRST_AFTER);
    budget->sends_since_poll += sends;
    budget->sends_since_read += sends;
    if (!budget->adds_waiting)
        budget->rush_adds = 0;
    else if (kind == BUDGET_ADD)
        budget->rush_adds = smaller(budget->rush_adds + count, RUSH);
    if (kind == BUDGET_POLL)
        budget->sends_since_poll = 0;
    if (kind == BUDGET_READ)
        budget->sends_since_read = 0;
    budget->sends_since_poll = smaller(budget->sends_since_poll, RUSH_FIRST_AFTER);
    budget->sends_since_read = smaller(budget->sends_since_read, RUSH_FIRST_AFTER);
}

void budget_give_back(struct budget *budget, unsigned count, int64_t now_us)
{
    assert(count <= budget->in_flight);
    now_us = advance(budget, now_us);
    /* With others in flight the slot might be an older one, and a later send is paced by it. */
    if (budget->taken_at_once)
        budget->next_send_us -= count * spacing_us(budget);
    budget->in_flight -= count;
    if (budget->probe == BUDGET_PROBE_OUT)
        budget->probe = BUDGET_PROBE_DUE;
}

void budget_answered(struct budget *budget, int64_t now_us)
{
    assert(budget->in_flight > 0);
    now_us = advance(budget, now_us);
    budget->in_flight--;
    count_in_day(budget, 1, now_us);
    if (budget->ring_size > 0)
        log_insert(budget, 1, now_us + MINUTE_US);
}

void budget_pause(struct budget *budget, int64_t until_us)
{
    budget->paused_until_us = later(budget->paused_until_us, until_us);
}

void budget_forget(struct budget *budget, int64_t now_us)
{
    advance(budget, now_us);
    budget->ring_first = budget->ring_count = 0;
    memset(budget->day_used, 0, sizeof budget->day_used);
    budget->day_total = budget->next_day_total = 0;
}

void budget_refused(struct budget *budget, int64_t until_us)
{
    budget_pause(budget, until_us);
    budget->probe = BUDGET_PROBE_DUE;
    budget->refused_us = budget->now_us;
}

void budget_was_let_through(struct budget *budget, int64_t sent_us)
{
    if (budget->probe == BUDGET_PROBE_OUT && sent_us >= budget->refused_us)
        budget->probe = BUDGET_PROBE_NONE;
}

void budget_note_sent(struct budget *budget, int64_t now_us)
{
    budget->next_send_us =
        later(budget->next_send_us, now_us + spacing_us(budget) - burst_us(budget) - CLAIM_US);
}

/* Both ends come nearer again, so that one odd answer is forgotten after some hundred. */
void budget_note_took(struct budget *budget, int64_t took_us)
{
    if (budget->answers == 0)
        budget->slowest_us = budget->quickest_us = budget->usual_us = took_us;
    budget->usual_us += (took_us - budget->usual_us) / USUAL_OF;
    budget->slowest_us -= (budget->slowest_us - budget->quickest_us) / 512;
    budget->slowest_us = later(budget->slowest_us, took_us);
    if (took_us < budget->quickest_us)
        budget->quickest_us = took_us;
    else
        budget->quickest_us += (took_us - budget->quickest_us) / 4096;
    if (budget->answers < JITTER_ANSWERS)
        budget->answers++;
}

double budget_per_minute(const struct budget *budget)
{
    int64_t spacing = spacing_us(budget);
    return spacing > 0 ? (double)MINUTE_US / (double)spacing : 0;
}

void budget_restore(struct budget *budget, unsigned count, int64_t at_us, int64_t now_us)
{
    assert(at_us <= now_us);
    now_us = advance(budget, now_us);
    if (count == 0)
        return;
    count_in_day(budget, count, at_us);
    if (budget->ring_size == 0)
        return;
    /* Its last send was no later than the response. */
    budget->next_send_us = later(budget->next_send_us, at_us + spacing_us(budget));
    log_insert(budget, count, at_us + MINUTE_US);
}

/* Requests until the last of so many adds: with the polls' turns between them. */
static unsigned with_turns(const struct budget *budget, unsigned adds)
{
    unsigned rush = smaller(adds, RUSH - smaller(budget->rush_adds, RUSH));
    return adds + rush / (RUSH_TURN_AFTER + 1) + (adds - rush) / TURN_AFTER;
}

/* When a day without an end of its own holds so many more than it has room for now. */
static int64_t rolling_day_holds_us(struct budget *budget, unsigned more)
{
    int64_t minute = budget->day_minute - DAY_CELLS;
    for (unsigned freed = 0; minute < budget->day_minute && freed < more;)
        freed += *day_cell(budget, ++minute);
    return (minute + DAY_CELLS) * MINUTE_US;
}

/* When the day has held that many more, at `apart_us` from each other. */
static int64_t day_held_us(struct budget *budget, unsigned requests, int64_t apart_us)
{
    unsigned limit = budget->limits.per_day;
    unsigned room = minus(limit, budget->day_total + budget->in_flight);
    if (limit == 0 || requests <= room)
        return budget->now_us;
    unsigned days = (requests - room - 1) / limit, more = requests - room - days * limit;
    if (budget->limits.day_rolling)
        return rolling_day_holds_us(budget, more) + days * DAY_US;
    return budget->limits.day_ends_us + DAY_GUARD_US + days * DAY_US + (more - 1) * apart_us;
}

/* Likewise the minute, which a burst may fill before its time. */
static int64_t minute_held_us(const struct budget *budget, unsigned requests, int64_t began_us)
{
    unsigned limit = budget->limits.per_minute;
    unsigned room = minus(limit, budget->ring_count + budget->in_flight);
    if (budget->limits.burst <= 1 || limit == 0 || requests <= room)
        return began_us;
    return began_us + (int64_t)((requests - room + limit - 1) / limit) * MINUTE_US;
}

int64_t budget_queue_ends_us(struct budget *budget, unsigned queued, unsigned at_once,
                             int64_t from_us, int64_t now_us)
{
    now_us = advance(budget, now_us);
    unsigned requests = with_turns(budget, queued), others = requests - 1;
    int64_t began_us = later(later(now_us, from_us), budget->paused_until_us);
    int64_t apart_us = later(spacing_us(budget), at_once > 0 ? budget->usual_us / at_once : 0);
    int64_t paced_us = later(began_us, budget->next_send_us) + others * spacing_us(budget);
    int64_t ends_us = later(began_us, paced_us - burst_us(budget));
    if (at_once > 0)
        ends_us = later(ends_us, began_us + others * (budget->usual_us / at_once));
    ends_us = later(ends_us, minute_held_us(budget, requests, began_us));
    return later(ends_us, day_held_us(budget, requests, apart_us));
}

void budget_day_frees(struct budget *budget, unsigned ret_hours[24], int64_t now_us)
{
    (void)advance(budget, now_us);
    for (int64_t i = 0; i < 24; i++) {
        ret_hours[i] = 0;
        for (int64_t minute = 60 * i + 1; minute <= 60 * (i + 1); minute++)
            ret_hours[i] += *day_cell(budget, budget->day_minute - DAY_CELLS + minute);
    }
}

unsigned budget_minute_used(struct budget *budget, int64_t now_us)
{
    now_us = advance(budget, now_us);
    return (unsigned)budget->ring_count + budget->in_flight;
}

unsigned budget_day_used(struct budget *budget, int64_t now_us)
{
    now_us = advance(budget, now_us);
    return budget->day_total + budget->in_flight;
}
