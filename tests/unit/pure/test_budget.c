/*
 * The gate in front of the provider: rule by rule, then as a whole against servers that count in
 * their own ways and against a plain model of what the header promises. Seeded, so that a failure
 * comes again.
 */
#include "base/own.h"
#include "rules/budget.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MILLISECOND INT64_C(1000)
#define SECOND INT64_C(1000000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define GUARD (10 * SECOND)      /* around the end of a calendar day */
#define PACE_60 INT64_C(1020409) /* 60 / (0.98 * 60) s, rounded up */

static struct budget_limits limits_of(unsigned per_minute, unsigned per_day, unsigned burst)
{
    return (struct budget_limits){
        .per_minute = per_minute, .per_day = per_day, .burst = burst, .day_rolling = true};
}

static void start(struct budget *budget, unsigned per_minute, unsigned per_day, unsigned burst)
{
    struct budget_limits limits = limits_of(per_minute, per_day, burst);
    assert_int_equal(budget_init(budget, &limits, 0), 0);
}

static void answer(struct budget *budget, unsigned count, int64_t now_us)
{
    while (count-- > 0)
        budget_answered(budget, now_us);
}

/* Sends as many as the gate allows, each answered at once; returns how many. */
static unsigned spend(struct budget *budget, enum budget_kind kind, unsigned wanted, int64_t now_us)
{
    unsigned count = budget_available(budget, kind, wanted, now_us);
    budget_take(budget, kind, count, now_us);
    answer(budget, count, now_us);
    return count;
}

static void test_unlimited(void **state)
{
    struct budget budget;
    (void)state;
    start(&budget, 0, 0, 0);
    assert_null(budget.freed_us);
    budget.adds_waiting = true;
    assert_int_equal(spend(&budget, BUDGET_ADD, 5000, 0), 5000);
    assert_int_equal(spend(&budget, BUDGET_POLL, 3000, 0), 3000);
    assert_int_equal(budget_next_us(&budget, BUDGET_POLL, 0), 0);
    budget_take(&budget, BUDGET_READ, 2, 1);
    assert_int_equal(budget_minute_used(&budget, 1), 2);
    assert_int_equal(budget_day_used(&budget, 1), 8002);
    budget_restore(&budget, 10, 1, 1);
    assert_int_equal(budget_day_used(&budget, 2), 8012);
    budget_done(&budget);
}

static void test_rejects_an_absurd_limit(void **state)
{
    struct budget budget;
    struct budget_limits limits = limits_of(100001, 0, 1);
    (void)state;
    assert_int_equal(budget_init(&budget, &limits, 0), -EINVAL);
    budget_done(&budget);
    start(&budget, 60, 0, 1);
    assert_int_equal(budget_set_limits(&budget, &limits, 0), -EINVAL);
    assert_int_equal(budget.limits.per_minute, 60);
    limits.per_minute = 100000;
    assert_int_equal(budget_set_limits(&budget, &limits, 0), 0);
    budget_done(&budget);
}

static void test_pace(void **state)
{
    static const struct {
        unsigned burst;
        int64_t now;
        unsigned available;
    } cases[] = {
        /* after one send at 0 */
        {0, 0, 0},           {1, 0, 0},       {1, 1, 0},    {1, PACE_60 - 1, 0},
        {1, PACE_60, 1},     {1, HOUR, 1},    {5, 0, 4},    {5, 1, 4},
        {5, PACE_60 - 1, 4}, {5, PACE_60, 5}, {5, HOUR, 5},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct budget budget;
        start(&budget, 60, 0, cases[i].burst);
        budget_take(&budget, BUDGET_ADD, 1, 0);
        assert_int_equal(budget_available(&budget, BUDGET_ADD, 100, cases[i].now),
                         cases[i].available);
        assert_int_equal(budget_available(&budget, BUDGET_ADD, 0, cases[i].now), 0);
        budget_done(&budget);
    }
}

static void test_burst_is_earned_back_slot_by_slot(void **state)
{
    struct budget budget;
    (void)state;
    start(&budget, 60, 0, 3);
    assert_int_equal(spend(&budget, BUDGET_ADD, 100, 0), 3);
    assert_int_equal(budget_next_us(&budget, BUDGET_ADD, 0), PACE_60);
    assert_int_equal(budget_available(&budget, BUDGET_ADD, 9, 2 * PACE_60 - 1), 1);
    assert_int_equal(budget_available(&budget, BUDGET_ADD, 9, 2 * PACE_60), 2);
    budget_done(&budget);
}

/* The limit counts from the response, and what is in flight is used. */
static void test_minute_is_freed_after_the_response(void **state)
{
    struct budget budget;
    (void)state;
    start(&budget, 3, 0, 3);
    budget_take(&budget, BUDGET_ADD, 3, 0);
    assert_int_equal(budget_minute_used(&budget, 0), 3);
    assert_int_equal(budget_next_us(&budget, BUDGET_ADD, 0), INT64_MAX);
    assert_int_equal(budget_available(&budget, BUDGET_ADD, 1, HOUR), 0);
    budget_answered(&budget, HOUR);
    assert_int_equal(budget_next_us(&budget, BUDGET_ADD, HOUR), HOUR + MINUTE);
    assert_int_equal(budget_available(&budget, BUDGET_ADD, 1, HOUR + MINUTE - 1), 0);
    assert_int_equal(budget_available(&budget, BUDGET_ADD, 9, HOUR + MINUTE), 1);
    budget_answered(&budget, HOUR + MINUTE);
    budget_take(&budget, BUDGET_ADD, 1, HOUR + MINUTE);
    assert_int_equal(budget_minute_used(&budget, HOUR + MINUTE), 3);
    answer(&budget, 2, HOUR + MINUTE);
    assert_int_equal(budget_minute_used(&budget, HOUR + 2 * MINUTE), 0);
    budget_done(&budget);
}

/* Slots that each kind leaves free when no add waits. */
static void test_shares_of_the_minute(void **state)
{
    static const struct {
        unsigned limit, polls, reads;
    } cases[] = {
        {1, 1, 1},    {2, 1, 2},    {5, 4, 5},       {10, 9, 10},
        {20, 17, 19}, {60, 51, 56}, {600, 510, 555}, {100000, 85000, 92500},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct budget budget;
        start(&budget, cases[i].limit, 0, cases[i].limit);
        assert_int_equal(spend(&budget, BUDGET_POLL, 200000, 0), cases[i].polls);
        assert_int_equal(spend(&budget, BUDGET_READ, 200000, 0), cases[i].reads - cases[i].polls);
        assert_int_equal(spend(&budget, BUDGET_ADD, 200000, 0), cases[i].limit - cases[i].reads);
        /* Of one a minute, the pace is later than the window. */
        assert_in_range(budget_next_us(&budget, BUDGET_POLL, 0), MINUTE,
                        cases[i].limit == 1 ? 62 * SECOND : MINUTE);
        budget_done(&budget);
    }
}

/* A slot that was long in use before its request left: the next one is paced from there. */
static void test_late_sends_keep_their_distance(void **state)
{
    struct budget budget;
    (void)state;
    start(&budget, 60, 0, 1);
    budget_take(&budget, BUDGET_ADD, 1, 0);
    budget_note_sent(&budget, 20 * MILLISECOND);
    assert_int_equal(budget_next_us(&budget, BUDGET_ADD, 0), PACE_60);
    budget_note_sent(&budget, 900 * MILLISECOND);
    assert_int_equal(budget_next_us(&budget, BUDGET_ADD, 0), PACE_60 + 875 * MILLISECOND);
    answer(&budget, 1, SECOND);
    budget_done(&budget);
}

/* A burst goes first; a queue that is longer than that leaves polls their twentieth. */
static void test_one_slot_in_a_hundred_while_a_burst_waits(void **state)
{
    struct budget budget;
    unsigned polls = 0;
    int64_t now = 0;
    (void)state;
    start(&budget, 60, 0, 1);
    budget.adds_waiting = true;
    for (unsigned slot = 0; slot < 600; slot++) {
        now = budget_next_us(&budget, BUDGET_ADD, now);
        if (budget_available(&budget, BUDGET_POLL, 9, now))
            polls += spend(&budget, BUDGET_POLL, 9, now);
        else
            assert_int_equal(spend(&budget, BUDGET_ADD, 1, now), 1);
    }
    assert_in_range(polls, 5, 6);
    budget.adds_waiting = false;
    now += MINUTE;
    assert_int_equal(spend(&budget, BUDGET_POLL, 1, now), 1);
    assert_int_equal(budget.rush_adds, 0);
    budget_done(&budget);
}

/* After a refusal for rate: nothing until the pause is over, then one alone, then all again. */
static void test_one_probe_after_a_refusal(void **state)
{
    struct budget budget;
    (void)state;
    start(&budget, 60, 0, 60);
    budget_take(&budget, BUDGET_ADD, 2, 0);
    budget_answered(&budget, 0);
    budget_refused(&budget, MINUTE);
    assert_int_equal(budget_available(&budget, BUDGET_ADD, 9, MINUTE - 1), 0);
    assert_int_equal(budget_next_us(&budget, BUDGET_READ, 0), MINUTE);
    assert_int_equal(budget_available(&budget, BUDGET_ADD, 9, MINUTE), 1);
    /* An answer to what left before the refusal is no answer to the probe, sooner or later. */
    budget_was_let_through(&budget, 0);
    assert_int_equal(budget_available(&budget, BUDGET_ADD, 9, MINUTE), 1);
    budget_take(&budget, BUDGET_ADD, 1, MINUTE);
    assert_int_equal(budget_available(&budget, BUDGET_ADD, 9, MINUTE), 0);
    budget_was_let_through(&budget, -1);
    assert_int_equal(budget_available(&budget, BUDGET_ADD, 9, MINUTE), 0);
    assert_int_equal(budget_next_us(&budget, BUDGET_ADD, MINUTE), INT64_MAX);
    /* It was never sent. */
    budget_give_back(&budget, 1, MINUTE);
    assert_int_equal(budget_available(&budget, BUDGET_ADD, 9, MINUTE), 1);
    budget_take(&budget, BUDGET_ADD, 1, MINUTE);
    budget_answered(&budget, MINUTE + SECOND);
    budget_refused(&budget, 2 * MINUTE);
    assert_int_equal(budget_available(&budget, BUDGET_ADD, 9, 2 * MINUTE), 1);
    budget_take(&budget, BUDGET_ADD, 1, 2 * MINUTE);
    budget_answered(&budget, 2 * MINUTE);
    budget_was_let_through(&budget,
                           MINUTE); /* which was slow, and left before the second refusal */
    assert_int_equal(budget_available(&budget, BUDGET_ADD, 90, 2 * MINUTE + SECOND), 0);
    budget_was_let_through(&budget, 2 * MINUTE);
    assert_in_range(budget_available(&budget, BUDGET_ADD, 90, 2 * MINUTE + SECOND), 50, 60);
    budget_done(&budget);
}

/* The pace is as near to the limit as answers are regular, and never below 0.98 of it. */
static void test_pace_follows_the_jitter(void **state)
{
    static const struct {
        int64_t least, most, spacing;
    } cases[] = {
        {50 * MILLISECOND, 50 * MILLISECOND, 1001667},
        {50 * MILLISECOND, 500 * MILLISECOND, 1009167},
        {50 * MILLISECOND, 20 * SECOND, PACE_60},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct budget budget;
        start(&budget, 60, 0, 1);
        for (int j = 0; j < 30; j++)
            budget_note_took(&budget, j % 2 ? cases[i].least : cases[i].most);
        budget_take(&budget, BUDGET_ADD, 1, 0);
        assert_in_range(budget_next_us(&budget, BUDGET_ADD, 0), cases[i].spacing - 20000,
                        cases[i].spacing);
        assert_in_range(60e6 / budget_per_minute(&budget), cases[i].spacing - 20000,
                        cases[i].spacing);
        budget_answered(&budget, 0);
        budget_done(&budget);
    }
}

/* An odd answer counts at once, and is forgotten after some hundred even ones. */
static void test_jitter_is_forgotten(void **state)
{
    struct budget budget;
    double even, odd;
    (void)state;
    start(&budget, 60, 0, 1);
    for (int i = 0; i < 100; i++)
        budget_note_took(&budget, 50 * MILLISECOND);
    even = budget_per_minute(&budget);
    assert_in_range(even * 1000, 59800, 60000);
    budget_note_took(&budget, 550 * MILLISECOND);
    odd = budget_per_minute(&budget);
    assert_in_range(odd * 1000, 59400, 59410);
    for (int i = 0; i < 3000; i++)
        budget_note_took(&budget, 50 * MILLISECOND);
    assert_in_range(budget_per_minute(&budget) * 1000, (unsigned)(even * 1000) - 2, 60000);
    budget_done(&budget);
    /* Without a limit there is no pace, whatever the answers took. */
    start(&budget, 0, 0, 1);
    assert_true(budget_per_minute(&budget) == 0);
    budget_done(&budget);
}

static void test_one_slot_in_twenty_while_adds_wait(void **state)
{
    struct budget budget;
    unsigned sent[3] = {0};
    int64_t now = 0;
    (void)state;
    start(&budget, 60, 0, 1);
    budget.adds_waiting = true;
    budget.rush_adds = 600;
    for (unsigned slot = 0; slot < 2000; slot++) {
        enum budget_kind kind = BUDGET_ADD;
        now = budget_next_us(&budget, BUDGET_ADD, now);
        /* Reads want one slot in a hundred, polls whatever they get. */
        if (sent[BUDGET_READ] * 100 < slot && budget_available(&budget, BUDGET_READ, 9, now))
            kind = BUDGET_READ;
        else if (budget_available(&budget, BUDGET_POLL, 9, now))
            kind = BUDGET_POLL;
        sent[kind] += spend(&budget, kind, kind == BUDGET_ADD ? 1 : 9, now);
        assert_int_equal(sent[BUDGET_ADD] + sent[BUDGET_POLL] + sent[BUDGET_READ], slot + 1);
    }
    assert_in_range(sent[BUDGET_POLL], 95, 100);
    assert_int_equal(sent[BUDGET_READ], 20);
    budget_done(&budget);
}

static void test_the_first_read_is_due_at_once(void **state)
{
    struct budget budget;
    (void)state;
    start(&budget, 60, 0, 1);
    budget.adds_waiting = true;
    assert_int_equal(budget_available(&budget, BUDGET_POLL, 9, 0), 0);
    assert_int_equal(budget_available(&budget, BUDGET_READ, 9, 0), 1);
    budget_done(&budget);
}

/* Adds that wait but never leave do not stop polls for good. */
static void test_polls_go_on_when_adds_do_not(void **state)
{
    struct budget budget;
    (void)state;
    start(&budget, 60, 0, 1);
    assert_int_equal(spend(&budget, BUDGET_POLL, 1, 0), 1);
    budget.adds_waiting = true;
    assert_int_equal(budget_next_us(&budget, BUDGET_POLL, 0), 20 * PACE_60);
    assert_int_equal(budget_available(&budget, BUDGET_POLL, 9, 20 * PACE_60 - 1), 0);
    assert_int_equal(spend(&budget, BUDGET_POLL, 9, 20 * PACE_60), 1);
    assert_int_equal(budget_next_us(&budget, BUDGET_POLL, 20 * PACE_60), 40 * PACE_60);
    budget_done(&budget);
}

static void test_pause(void **state)
{
    struct budget budget;
    (void)state;
    start(&budget, 60, 5000, 1);
    budget_pause(&budget, MINUTE);
    budget_pause(&budget, SECOND);
    assert_int_equal(budget_available(&budget, BUDGET_ADD, 1, MINUTE - 1), 0);
    assert_int_equal(budget_next_us(&budget, BUDGET_ADD, MINUTE - 1), MINUTE);
    assert_int_equal(budget_available(&budget, BUDGET_ADD, 1, MINUTE), 1);
    budget_done(&budget);
}

static void test_rolling_day(void **state)
{
    struct budget budget;
    (void)state;
    start(&budget, 0, 10, 1);
    budget_take(&budget, BUDGET_ADD, 10, 5 * SECOND);
    assert_int_equal(budget_next_us(&budget, BUDGET_ADD, 2 * DAY), INT64_MAX);
    answer(&budget, 4, 2 * DAY + 30 * SECOND);
    answer(&budget, 3, 2 * DAY + 60 * SECOND);
    assert_int_equal(budget_day_used(&budget, 2 * DAY + MINUTE), 10);
    assert_int_equal(budget_next_us(&budget, BUDGET_POLL, 2 * DAY + MINUTE), 3 * DAY + MINUTE);
    assert_int_equal(budget_available(&budget, BUDGET_ADD, 99, 3 * DAY + MINUTE - 1), 0);
    assert_int_equal(budget_available(&budget, BUDGET_ADD, 99, 3 * DAY + MINUTE), 4);
    answer(&budget, 3, 3 * DAY + MINUTE);
    assert_int_equal(budget_available(&budget, BUDGET_ADD, 99, 3 * DAY + 2 * MINUTE), 7);
    assert_int_equal(budget_day_used(&budget, 9 * DAY), 0);
    budget_done(&budget);
}

static void test_calendar_day(void **state)
{
    struct budget budget;
    struct budget_limits limits = {.per_day = 10, .day_ends_us = HOUR};
    int64_t end = 3 * DAY + HOUR;
    (void)state;
    assert_int_equal(budget_init(&budget, &limits, 3 * DAY), 0);
    assert_int_equal(budget.limits.day_ends_us, end);
    budget_take(&budget, BUDGET_ADD, 10, 3 * DAY);
    answer(&budget, 7, 3 * DAY);
    assert_int_equal(budget_available(&budget, BUDGET_ADD, 99, end + GUARD - 1), 0);
    assert_int_equal(budget_next_us(&budget, BUDGET_ADD, end + GUARD - 1), end + GUARD);
    /* In flight over the boundary: counted in the new day. */
    assert_int_equal(budget_available(&budget, BUDGET_ADD, 99, end + GUARD), 7);
    answer(&budget, 3, end + GUARD);
    assert_int_equal(budget_day_used(&budget, 4 * DAY), 3);
    assert_int_equal(budget_day_used(&budget, end + DAY + GUARD - 1), 3);
    assert_int_equal(budget_day_used(&budget, end + DAY + GUARD), 0);
    assert_int_equal(budget_day_used(&budget, 40 * DAY), 0);
    assert_int_equal(budget.limits.day_ends_us, 40 * DAY + HOUR);
    budget_restore(&budget, 4, 39 * DAY + HOUR - GUARD - 1, 40 * DAY);
    assert_int_equal(budget_day_used(&budget, 40 * DAY), 0);
    budget_restore(&budget, 4, 39 * DAY + HOUR - GUARD, 40 * DAY);
    assert_int_equal(budget_day_used(&budget, 40 * DAY), 4);
    budget_done(&budget);
}

/* What is answered near the end of a calendar day counts in both days. */
static void test_the_end_of_a_day_counts_twice(void **state)
{
    static const struct {
        int64_t at; /* from the day's end */
        unsigned old_day, new_day;
    } cases[] = {{-GUARD - 1, 4, 0}, {-GUARD, 4, 4}, {0, 4, 4}, {GUARD - 1, 4, 4}, {GUARD, 0, 4}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct budget budget;
        struct budget_limits limits = {.per_day = 10, .day_ends_us = HOUR};
        assert_int_equal(budget_init(&budget, &limits, 0), 0);
        assert_int_equal(spend(&budget, BUDGET_ADD, 4, HOUR + cases[i].at), 4);
        if (cases[i].at < GUARD)
            assert_int_equal(budget_day_used(&budget, HOUR + GUARD - 1), cases[i].old_day);
        assert_int_equal(budget_day_used(&budget, HOUR + GUARD), cases[i].new_day);
        assert_int_equal(budget_day_used(&budget, HOUR + DAY), cases[i].new_day);
        assert_int_equal(budget_day_used(&budget, HOUR + DAY + GUARD), 0);
        budget_done(&budget);
    }
}

/* The end that a corrected clock names takes the place of the old one; what was used stays used. */
static void test_the_end_of_a_day_is_moved(void **state)
{
    struct budget budget;
    struct budget_limits limits = {.per_day = 10, .day_ends_us = HOUR};
    (void)state;
    assert_int_equal(budget_init(&budget, &limits, 0), 0);
    assert_int_equal(spend(&budget, BUDGET_ADD, 4, HOUR - 5 * SECOND), 4);
    limits.day_ends_us = HOUR + 3 * SECOND; /* still near: counts in both */
    assert_int_equal(budget_set_limits(&budget, &limits, HOUR - 4 * SECOND), 0);
    assert_int_equal(budget_day_used(&budget, HOUR + 3 * SECOND + GUARD), 4);
    limits.day_ends_us = 3 * HOUR;
    assert_int_equal(budget_set_limits(&budget, &limits, 2 * HOUR), 0);
    assert_int_equal(budget_day_used(&budget, 3 * HOUR + GUARD - 1), 4);
    assert_int_equal(budget_day_used(&budget, 3 * HOUR + GUARD), 0);
    assert_int_equal(spend(&budget, BUDGET_ADD, 4, 3 * HOUR + DAY), 4);
    limits.day_ends_us = 3 * HOUR + 2 * DAY; /* far away again */
    assert_int_equal(budget_set_limits(&budget, &limits, 3 * HOUR + DAY), 0);
    assert_int_equal(budget_day_used(&budget, 3 * HOUR + 2 * DAY + GUARD), 0);
    budget_done(&budget);
}

/* Slots that were never used come back, with their place in the pace only when that is safe. */
static void test_give_back(void **state)
{
    struct budget budget;
    (void)state;
    start(&budget, 60, 100, 1);
    budget_take(&budget, BUDGET_ADD, 1, 0);
    budget_give_back(&budget, 1, 10);
    assert_int_equal(budget_minute_used(&budget, 10), 0);
    assert_int_equal(budget_day_used(&budget, 10), 0);
    assert_int_equal(budget_available(&budget, BUDGET_ADD, 1, 10), 1);

    /* Two in flight: the one that comes back may be the older one. */
    budget_take(&budget, BUDGET_ADD, 1, MINUTE);
    budget_take(&budget, BUDGET_ADD, 1, 2 * MINUTE);
    budget_give_back(&budget, 1, 2 * MINUTE);
    assert_int_equal(budget_minute_used(&budget, 2 * MINUTE), 1);
    assert_int_equal(budget_next_us(&budget, BUDGET_ADD, 2 * MINUTE), 2 * MINUTE + PACE_60);
    answer(&budget, 1, 2 * MINUTE);
    budget_done(&budget);

    /* Of three at once one was answered: two can still come back, no more. */
    start(&budget, 60, 100, 3);
    budget_take(&budget, BUDGET_ADD, 3, 0);
    budget_answered(&budget, 0);
    budget_give_back(&budget, 2, 0);
    assert_int_equal(budget_available(&budget, BUDGET_ADD, 9, 0), 2);
    budget_done(&budget);
}

static void test_new_limits_keep_what_was_used(void **state)
{
    struct budget budget;
    struct budget_limits limits = limits_of(600, 1000, 600);
    (void)state;
    assert_int_equal(budget_init(&budget, &limits, 0), 0);
    assert_int_equal(spend(&budget, BUDGET_ADD, 100, 0), 100);

    limits = limits_of(60, 1000, 60);
    assert_int_equal(budget_set_limits(&budget, &limits, SECOND), 0);
    assert_int_equal(budget_minute_used(&budget, SECOND), 100);
    assert_int_equal(budget_next_us(&budget, BUDGET_ADD, SECOND), MINUTE);

    limits = limits_of(700, 150, 700);
    assert_int_equal(budget_set_limits(&budget, &limits, 2 * SECOND), 0);
    assert_int_equal(budget_minute_used(&budget, 2 * SECOND), 100);
    assert_int_equal(budget_available(&budget, BUDGET_ADD, 999, 2 * SECOND), 50);
    assert_int_equal(spend(&budget, BUDGET_ADD, 999, 3 * SECOND), 50);
    assert_int_equal(budget_minute_used(&budget, MINUTE), 50);

    /* Without a limit the minute is forgotten, the day is not; with one again it counts as full. */
    limits = limits_of(0, 0, 1);
    assert_int_equal(budget_set_limits(&budget, &limits, MINUTE), 0);
    assert_int_equal(budget_minute_used(&budget, MINUTE), 0);
    assert_int_equal(budget_available(&budget, BUDGET_ADD, 999, MINUTE), 999);
    limits = limits_of(20, 0, 1);
    assert_int_equal(budget_set_limits(&budget, &limits, HOUR), 0);
    assert_int_equal(budget_minute_used(&budget, HOUR), 20);
    assert_int_equal(budget_next_us(&budget, BUDGET_ADD, HOUR), HOUR + MINUTE);
    assert_int_equal(budget_day_used(&budget, HOUR), 150);
    budget_done(&budget);

    /* Little was sent, but perhaps just now; a slot from before has no place in the pace. */
    start(&budget, 0, 0, 1);
    assert_int_equal(spend(&budget, BUDGET_ADD, 1, SECOND), 1);
    budget_take(&budget, BUDGET_ADD, 1, SECOND);
    limits = limits_of(60, 0, 1);
    assert_int_equal(budget_set_limits(&budget, &limits, SECOND), 0);
    budget_give_back(&budget, 1, SECOND);
    assert_int_equal(budget_next_us(&budget, BUDGET_ADD, SECOND), SECOND + PACE_60);
    budget_done(&budget);

    /* Nothing was sent yet: nothing to be careful about. */
    start(&budget, 0, 0, 1);
    assert_int_equal(budget_set_limits(&budget, &limits, 0), 0);
    assert_int_equal(budget_available(&budget, BUDGET_ADD, 9, 0), 1);
    budget_done(&budget);
}

/* A ring that begins in its middle grows without a change to what it holds. */
static void test_a_higher_limit_keeps_the_log(void **state)
{
    struct budget budget;
    struct budget_limits limits = limits_of(8, 0, 8);
    (void)state;
    start(&budget, 4, 0, 4);
    assert_int_equal(spend(&budget, BUDGET_ADD, 2, 0), 2);
    assert_int_equal(spend(&budget, BUDGET_ADD, 2, 50 * SECOND), 2);
    assert_int_equal(spend(&budget, BUDGET_ADD, 1, 70 * SECOND), 1);
    assert_int_equal(budget_set_limits(&budget, &limits, 80 * SECOND), 0);
    assert_int_equal(budget_minute_used(&budget, 110 * SECOND - 1), 3);
    assert_int_equal(budget_minute_used(&budget, 110 * SECOND), 1);
    assert_int_equal(budget_minute_used(&budget, 130 * SECOND), 0);
    budget_done(&budget);
}

/* A slower pace holds from the last send on. */
static void test_new_limits_change_the_pace(void **state)
{
    struct budget budget;
    struct budget_limits limits = limits_of(6, 0, 1);
    (void)state;
    start(&budget, 60, 0, 1);
    assert_int_equal(spend(&budget, BUDGET_ADD, 1, SECOND), 1);
    assert_int_equal(budget_set_limits(&budget, &limits, SECOND), 0);
    assert_in_range(budget_next_us(&budget, BUDGET_ADD, SECOND), 11 * SECOND, 12 * SECOND);
    limits = limits_of(60, 0, 1);
    assert_int_equal(budget_set_limits(&budget, &limits, SECOND), 0);
    assert_int_equal(budget_next_us(&budget, BUDGET_ADD, SECOND), SECOND + PACE_60);
    budget_done(&budget);
}

static void test_new_kind_of_day_keeps_what_was_used(void **state)
{
    struct budget budget;
    struct budget_limits rolling = limits_of(0, 50, 1);
    struct budget_limits calendar = {.per_day = 50, .day_ends_us = 10 * HOUR};
    (void)state;
    start(&budget, 0, 50, 1);
    assert_int_equal(spend(&budget, BUDGET_ADD, 30, HOUR), 30);
    assert_int_equal(budget_set_limits(&budget, &calendar, 2 * HOUR), 0);
    assert_int_equal(budget_day_used(&budget, 10 * HOUR - 1), 30);
    calendar.day_ends_us = 11 * HOUR;
    assert_int_equal(budget_set_limits(&budget, &calendar, 10 * HOUR - 1), 0);
    assert_int_equal(budget_day_used(&budget, 11 * HOUR - 1), 30);
    assert_int_equal(budget_set_limits(&budget, &rolling, 11 * HOUR - 1), 0);
    assert_int_equal(budget_day_used(&budget, 11 * HOUR + DAY - 1), 30);
    assert_int_equal(budget_day_used(&budget, 11 * HOUR + DAY + MINUTE), 0);
    budget_done(&budget);
}

static void test_restore(void **state)
{
    struct budget budget;
    (void)state;
    start(&budget, 10, 100, 10);
    /* Newer before older, as a ledger may list them; some from before the clock's zero. */
    budget_restore(&budget, 2, -10 * SECOND, 0);
    budget_restore(&budget, 3, -30 * SECOND, 0);
    budget_restore(&budget, 0, 0, 0);
    budget_restore(&budget, 4, -MINUTE, 0);
    budget_restore(&budget, 5, -DAY + MINUTE, 0);
    budget_restore(&budget, 7, -DAY - MINUTE, 0);
    budget_restore(&budget, 7, -9 * DAY, 0);
    assert_int_equal(budget_minute_used(&budget, 0), 5);
    assert_int_equal(budget_day_used(&budget, 0), 14);
    assert_int_equal(budget_day_used(&budget, 3 * MINUTE), 9);
    assert_int_equal(budget_day_used(&budget, DAY - 1), 9);
    assert_int_equal(budget_day_used(&budget, DAY), 0);
    budget_done(&budget);
}

/* More than the limit: the newest say when the gate opens. */
static void test_restore_more_than_the_limit(void **state)
{
    static const int64_t orders[][3] = {{0, 10 * SECOND, 20 * SECOND},
                                        {20 * SECOND, 10 * SECOND, 0},
                                        {10 * SECOND, 20 * SECOND, 0}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(orders); i++) {
        struct budget budget;
        start(&budget, 10, 0, 10);
        assert_int_equal(budget_minute_used(&budget, 20 * SECOND), 0);
        for (size_t k = 0; k < 3; k++)
            budget_restore(&budget, 4, orders[i][k], 20 * SECOND);
        assert_int_equal(budget_minute_used(&budget, 20 * SECOND), 10);
        assert_int_equal(budget_next_us(&budget, BUDGET_ADD, 20 * SECOND), MINUTE);
        assert_int_equal(budget_minute_used(&budget, MINUTE), 8);
        assert_int_equal(budget_minute_used(&budget, MINUTE + 10 * SECOND), 4);
        budget_restore(&budget, 25, 71 * SECOND, 71 * SECOND);
        assert_int_equal(budget_minute_used(&budget, 71 * SECOND), 10);
        assert_int_equal(budget_next_us(&budget, BUDGET_ADD, 71 * SECOND), 131 * SECOND);
        budget_done(&budget);
    }
}

static void test_restored_requests_pace_the_first_send(void **state)
{
    struct budget budget;
    (void)state;
    start(&budget, 60, 0, 1);
    budget_restore(&budget, 1, -SECOND / 2, 0);
    assert_int_equal(budget_next_us(&budget, BUDGET_ADD, 0), PACE_60 - SECOND / 2);
    budget_done(&budget);
}

/* xorshift64*: the same run every time. */
static uint64_t draw(uint64_t *chance)
{
    *chance ^= *chance >> 12;
    *chance ^= *chance << 25;
    *chance ^= *chance >> 27;
    return *chance * UINT64_C(2685821657736338717) >> 16;
}

static int64_t between(uint64_t *chance, int64_t least, int64_t most)
{
    return least + (int64_t)(draw(chance) % (uint64_t)(most - least + 1));
}

/* A provider that counts in every way at once, at the moment a request reaches it. */
struct server {
    unsigned per_minute, per_day;
    bool counts_estimate; /* the two counters that only hold with an even pace */
    int64_t phase_us;     /* where its fixed minute begins */
    int64_t minute, fixed, fixed_before;
    int64_t day, day_fixed;
    double tokens, bucket;
    int64_t tokens_at;
    int64_t *times; /* all requests, ascending */
    size_t count, minute_first, day_first;
    /* what it would have refused, by its way of counting */
    unsigned over_fixed, over_estimate, over_bucket, over_log, over_day, over_day_log;
};

static void server_fixed(struct server *server, int64_t at_us)
{
    int64_t minute = (at_us + server->phase_us) / MINUTE, day = (at_us + server->phase_us) / DAY;
    if (minute != server->minute)
        server->fixed_before = minute == server->minute + 1 ? server->fixed : 0;
    server->fixed = minute == server->minute ? server->fixed : 0;
    server->day_fixed = day == server->day ? server->day_fixed : 0;
    server->minute = minute;
    server->day = day;
    int64_t into_us = (at_us + server->phase_us) % MINUTE;
    double estimate = (double)server->fixed_before * (1 - (double)into_us / (double)MINUTE) +
                      (double)server->fixed;
    server->over_fixed += server->fixed >= server->per_minute;
    server->over_estimate += estimate >= server->per_minute;
    server->over_day += server->day_fixed >= server->per_day;
    server->fixed++;
    server->day_fixed++;
}

static void server_bucket(struct server *server, int64_t at_us)
{
    double earned = (double)(at_us - server->tokens_at) * server->per_minute / (double)MINUTE;
    server->tokens =
        server->tokens + earned > server->bucket ? server->bucket : server->tokens + earned;
    server->tokens_at = at_us;
    server->over_bucket += server->tokens < 1;
    server->tokens -= 1;
}

static void server_log(struct server *server, int64_t at_us)
{
    while (server->minute_first < server->count &&
           server->times[server->minute_first] <= at_us - MINUTE)
        server->minute_first++;
    while (server->day_first < server->count && server->times[server->day_first] <= at_us - DAY)
        server->day_first++;
    server->over_log += server->count - server->minute_first >= server->per_minute;
    server->over_day_log += server->count - server->day_first >= server->per_day;
    server->times[server->count++] = at_us;
}

static void server_receive(struct server *server, int64_t at_us)
{
    server_fixed(server, at_us);
    server_bucket(server, at_us);
    server_log(server, at_us);
}

static void assert_nothing_refused(const struct server *server)
{
    assert_int_equal(server->over_fixed, 0);
    assert_int_equal(server->over_log, 0);
    assert_int_equal(server->over_day, 0);
    assert_int_equal(server->over_day_log, 0);
    if (server->counts_estimate) {
        assert_int_equal(server->over_estimate, 0);
        assert_int_equal(server->over_bucket, 0);
    }
}

#define IN_FLIGHT_MOST 32

struct traffic {
    struct budget budget;
    struct budget_limits limits;
    struct server server;
    int64_t round_trip_least, round_trip_most, now;
    int64_t arrivals[IN_FLIGHT_MOST], responses[IN_FLIGHT_MOST]; /* arrival INT64_MAX = arrived */
    size_t in_flight;
    int64_t *answered; /* what a ledger would know */
    size_t answered_count;
    unsigned sent[3];
    uint64_t chance;
};

static size_t earliest(const int64_t *times, size_t count)
{
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        best = times[i] < times[best] ? i : best;
    return best;
}

/* Everything that happens on the wire until `until`, in order; `now` is then `until`. */
static void traffic_pass(struct traffic *traffic, int64_t until)
{
    while (traffic->in_flight > 0) {
        size_t a = earliest(traffic->arrivals, traffic->in_flight);
        size_t r = earliest(traffic->responses, traffic->in_flight);
        if (traffic->arrivals[a] <= until && traffic->arrivals[a] <= traffic->responses[r]) {
            server_receive(&traffic->server, traffic->arrivals[a]);
            traffic->arrivals[a] = INT64_MAX;
        } else if (traffic->responses[r] <= until) {
            budget_answered(&traffic->budget, traffic->responses[r]);
            traffic->answered[traffic->answered_count++] = traffic->responses[r];
            traffic->in_flight--;
            traffic->responses[r] = traffic->responses[traffic->in_flight];
            traffic->arrivals[r] = traffic->arrivals[traffic->in_flight];
        } else {
            break;
        }
    }
    traffic->now = until;
}

static void traffic_send(struct traffic *traffic, enum budget_kind kind)
{
    int64_t trip = between(&traffic->chance, traffic->round_trip_least, traffic->round_trip_most);
    int64_t out = between(&traffic->chance, 0, trip);
    budget_take(&traffic->budget, kind, 1, traffic->now);
    traffic->sent[kind]++;
    traffic->arrivals[traffic->in_flight] = traffic->now + out;
    traffic->responses[traffic->in_flight++] = traffic->now + trip;
}

static int64_t next_response(const struct traffic *traffic)
{
    return traffic->responses[earliest(traffic->responses, traffic->in_flight)];
}

/* A new process takes over with what the ledger knows. */
static void traffic_restart(struct traffic *traffic)
{
    while (traffic->in_flight > 0)
        traffic_pass(traffic, next_response(traffic));
    budget_done(&traffic->budget);
    assert_int_equal(budget_init(&traffic->budget, &traffic->limits, traffic->now), 0);
    for (size_t i = 0; i < traffic->answered_count; i++) {
        if (traffic->answered[i] > traffic->now - DAY - 5 * MINUTE)
            budget_restore(&traffic->budget, 1, traffic->answered[i], traffic->now);
    }
}

/* Sends whenever the gate opens for that kind, until `until`. */
static void traffic_flow(struct traffic *traffic, enum budget_kind kind, int64_t until)
{
    while (traffic->now < until) {
        int64_t next = budget_next_us(&traffic->budget, kind, traffic->now);
        assert_true(next >= traffic->now);
        bool full = traffic->in_flight == IN_FLIGHT_MOST || next == INT64_MAX;
        if (full || (traffic->in_flight > 0 && next_response(traffic) <= next))
            next = next_response(traffic);
        if (next > until) {
            traffic_pass(traffic, until);
            return;
        }
        if (full || next > traffic->now) {
            traffic_pass(traffic, next);
            continue;
        }
        assert_int_equal(budget_available(&traffic->budget, kind, 1, traffic->now), 1);
        if (draw(&traffic->chance) % 50 == 0) {
            budget_take(&traffic->budget, kind, 1, traffic->now);
            budget_give_back(&traffic->budget, 1, traffic->now);
        } else {
            traffic_send(traffic, kind);
        }
    }
}

static void traffic_start(struct traffic *traffic, const struct budget_limits *limits,
                          int64_t length, uint64_t seed)
{
    /* Three, or as many as can arrive at once because later ones travelled half a second less. */
    double bucket = 1 + 0.5 * 0.98 * limits->per_minute / 60;
    bucket = bucket > 3 ? bucket : 3;
    size_t most = (size_t)(limits->per_minute * (length / MINUTE + 2));
    memset(traffic, 0, sizeof *traffic);
    traffic->limits = *limits;
    traffic->chance = seed;
    traffic->round_trip_least = 50 * MILLISECOND;
    traffic->round_trip_most = 500 * MILLISECOND;
    traffic->server = (struct server){.per_minute = limits->per_minute,
                                      .per_day = limits->per_day ? limits->per_day : UINT32_MAX,
                                      .counts_estimate = true,
                                      .tokens = bucket,
                                      .bucket = bucket,
                                      .phase_us = between(&traffic->chance, 0, DAY)};
    traffic->answered = calloc(most, sizeof *traffic->answered);
    traffic->server.times = calloc(most, sizeof *traffic->server.times);
    assert_non_null(traffic->answered);
    assert_non_null(traffic->server.times);
    assert_int_equal(budget_init(&traffic->budget, limits, 0), 0);
}

static void traffic_end(struct traffic *traffic)
{
    budget_done(&traffic->budget);
    free(traffic->answered);
    free(traffic->server.times);
}

/* Two days of backlog, polling, idling and restarts, mixed by chance. */
static void two_days(const struct budget_limits *limits, int64_t slowest, uint64_t seed)
{
    struct traffic traffic;
    traffic_start(&traffic, limits, 2 * DAY + HOUR, seed);
    if (slowest > traffic.round_trip_most) {
        /* What overtakes by seconds breaks estimates at any pace; windows must still hold. */
        traffic.round_trip_most = slowest;
        traffic.server.counts_estimate = false;
    }
    while (traffic.now < 2 * DAY) {
        int64_t until = traffic.now + between(&traffic.chance, SECOND, HOUR);
        traffic.budget.adds_waiting = draw(&traffic.chance) % 2 == 0;
        switch (draw(&traffic.chance) % 4) {
        case 0:
            traffic_pass(&traffic, until);
            break;
        case 1:
            traffic_flow(&traffic, BUDGET_POLL, until);
            break;
        default:
            traffic_flow(&traffic, BUDGET_ADD, until);
            break;
        }
        if (draw(&traffic.chance) % 8 == 0)
            traffic_restart(&traffic);
    }
    assert_nothing_refused(&traffic.server);
    assert_true(traffic.sent[BUDGET_ADD] > limits->per_minute);
    assert_true(traffic.sent[BUDGET_POLL] > 0);
    traffic_end(&traffic);
}

static void test_no_server_ever_refuses(void **state)
{
    static const unsigned limits[][2] = {{60, 5000}, {600, 200000}, {5, 100}, {1, 700}, {20, 0}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(limits); i++) {
        struct budget_limits rolling = limits_of(limits[i][0], limits[i][1], 1);
        for (uint64_t seed = 1; seed <= (limits[i][0] > 100 ? 1 : 4); seed++)
            two_days(&rolling, 0, seed * 7919);
        two_days(&rolling, limits[i][0] > 100 ? 2 * SECOND : 30 * SECOND, 17);
    }
}

/* With `burst` the windows still hold: only estimates and small buckets need an even pace. */
static void test_bursts_stay_within_the_windows(void **state)
{
    struct budget_limits limits = limits_of(60, 5000, 60);
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++)
        two_days(&limits, SECOND, seed * 104729);
}

/* Whose clock is before or after ours by up to nine seconds, and one of latency. */
static void test_a_server_with_that_calendar_day_never_refuses(void **state)
{
    static const int64_t ahead_us[] = {0, 9 * SECOND, -9 * SECOND};
    struct budget_limits limits = {.per_minute = 60, .per_day = 1000, .burst = 1};
    struct traffic traffic;
    (void)state;
    limits.day_ends_us = 5 * HOUR;
    for (size_t i = 0; i < COUNT_OF(ahead_us); i++) {
        traffic_start(&traffic, &limits, 3 * DAY, 5);
        traffic.server.phase_us = DAY - 5 * HOUR + ahead_us[i];
        /* Its log of the day is not what this provider counts; the fixed day is. */
        traffic.server.per_day = UINT32_MAX;
        for (int day = 0; day < 3; day++) {
            int64_t ends = limits.day_ends_us + day * DAY;
            unsigned before = traffic.sent[BUDGET_ADD];
            traffic_flow(&traffic, BUDGET_ADD, ends + (day == 2 ? 0 : GUARD));
            assert_in_range(traffic.sent[BUDGET_ADD] - before, 995, 1000);
        }
        assert_nothing_refused(&traffic.server);
        traffic_end(&traffic);
    }
}

/* Under backlog nothing is wasted: the minute's pace, and the day as soon as it has room. */
static void test_backlog_uses_what_there_is(void **state)
{
    static const unsigned minutes[] = {5, 60, 600};
    struct traffic traffic;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(minutes); i++) {
        struct budget_limits limits = limits_of(minutes[i], 0, 1);
        traffic_start(&traffic, &limits, 4 * HOUR, 3);
        traffic.budget.adds_waiting = true;
        traffic_flow(&traffic, BUDGET_ADD, 3 * HOUR);
        double paced = 0.98 * minutes[i] * 180;
        assert_true(traffic.sent[BUDGET_ADD] >= 0.97 * paced);
        assert_true(traffic.sent[BUDGET_ADD] <= paced + 1);
        assert_nothing_refused(&traffic.server);
        traffic_end(&traffic);
    }
    struct budget_limits limits = limits_of(60, 5000, 1);
    traffic_start(&traffic, &limits, 4 * DAY, 3);
    traffic_flow(&traffic, BUDGET_ADD, 3 * DAY);
    assert_in_range(traffic.sent[BUDGET_ADD], 14900, 15000);
    assert_nothing_refused(&traffic.server);
    traffic_end(&traffic);
}

/* The header's promises, counted the slow way over everything that ever happened. */
struct model {
    struct budget_limits limits;
    int64_t answered[4000];
    size_t count;
    unsigned in_flight;
};

static unsigned model_minute(const struct model *model, int64_t now)
{
    unsigned used = model->in_flight;
    for (size_t i = 0; i < model->count; i++)
        used += model->answered[i] + MINUTE > now;
    return used;
}

static unsigned model_day(const struct model *model, int64_t now)
{
    unsigned used = model->in_flight;
    int64_t ends = model->limits.day_ends_us;
    while (ends + GUARD <= now)
        ends += DAY;
    for (size_t i = 0; i < model->count; i++) {
        if (model->limits.day_rolling)
            used += now / MINUTE - model->answered[i] / MINUTE <= 1440;
        else
            used += model->answered[i] >= ends - DAY - GUARD;
    }
    return used;
}

/* The moment it names is the first at which something may leave. */
static void check_next(const struct budget *budget, enum budget_kind kind, int64_t now)
{
    struct budget copy = *budget; /* looking ahead writes nothing to the shared ring */
    int64_t next = budget_next_us(&copy, kind, now);
    assert_true(next >= now);
    copy = *budget;
    if (next > now && next < INT64_MAX)
        assert_int_equal(budget_available(&copy, kind, 1, next - 1), 0);
    if (next == INT64_MAX)
        assert_int_equal(budget_available(&copy, kind, 1, now + 400 * DAY), 0);
    else
        assert_int_equal(budget_available(&copy, kind, 1, next), 1);
}

static void random_step(struct budget *budget, struct model *model, int64_t now, uint64_t *chance)
{
    enum budget_kind kind = (enum budget_kind)(draw(chance) % 3);
    unsigned wanted = (unsigned)(draw(chance) % 6), count;
    switch (draw(chance) % 8) {
    case 0:
        budget->adds_waiting = !budget->adds_waiting;
        break;
    case 1:
        if (draw(chance) % 8 == 0)
            budget_pause(budget, now + between(chance, 0, 5 * MINUTE));
        break;
    case 2:
        count = wanted < model->in_flight ? wanted : model->in_flight;
        budget_give_back(budget, count, now);
        model->in_flight -= count;
        break;
    case 3:
    case 4:
        for (count = 0; model->in_flight > 0 && count < wanted; count++) {
            budget_answered(budget, now);
            model->answered[model->count++] = now;
            model->in_flight--;
        }
        break;
    default:
        count = budget_available(budget, kind, wanted, now);
        assert_in_range(count, 0, wanted);
        budget_take(budget, kind, count, now);
        model->in_flight += count;
        break;
    }
}

static void random_run(const struct budget_limits *limits, int64_t longest_step, uint64_t seed)
{
    struct budget budget;
    struct model model = {.limits = *limits};
    uint64_t chance = seed;
    int64_t now = 0;
    assert_int_equal(budget_init(&budget, limits, now), 0);
    for (int step = 0; step < 800; step++) {
        now += draw(&chance) % 3 == 0 ? between(&chance, 0, longest_step) : 0;
        random_step(&budget, &model, now, &chance);
        for (enum budget_kind kind = BUDGET_ADD; kind <= BUDGET_READ; kind++)
            check_next(&budget, kind, now);
        assert_int_equal(budget_day_used(&budget, now), model_day(&model, now));
        assert_int_equal(budget_minute_used(&budget, now),
                         limits->per_minute ? model_minute(&model, now) : model.in_flight);
        if (limits->per_minute > 0)
            assert_true(budget_minute_used(&budget, now) <= limits->per_minute);
        if (limits->per_day > 0)
            assert_true(budget_day_used(&budget, now) <= limits->per_day);
    }
    budget_done(&budget);
}

static void test_random_steps_agree_with_the_model(void **state)
{
    static const unsigned minutes[] = {0, 1, 5, 60}, days[] = {0, 40, 300}, bursts[] = {1, 4, 60};
    static const int64_t steps[] = {2 * SECOND, MINUTE, 3 * HOUR};
    uint64_t seed = 1;
    (void)state;
    for (unsigned i = 0; i < COUNT_OF(minutes) * COUNT_OF(days) * COUNT_OF(bursts); i++) {
        for (size_t k = 0; k < COUNT_OF(steps); k++) {
            struct budget_limits limits =
                limits_of(minutes[i % 4], days[i / 4 % 3], bursts[i / 12]);
            random_run(&limits, steps[k], seed++ * 6364136223846793005);
            limits.day_rolling = false;
            limits.day_ends_us = 7 * HOUR;
            random_run(&limits, steps[k], seed++ * 6364136223846793005);
        }
    }
}

/* Polls between the adds of a burst and of a long queue: after how many adds each had its turn. */
static void test_turns_between_adds(void **state)
{
    static const unsigned expected[] = {160, 239, 318, 397, 476, 555, 600, 619, 638, 657};
    struct budget budget;
    unsigned adds = 0, polls = 0;
    (void)state;
    start(&budget, 600, 0, 1);
    assert_int_equal(spend(&budget, BUDGET_POLL, 1, 0), 1);
    budget.adds_waiting = true;
    for (int64_t now = SECOND / 10; adds < 660; now += 110 * MILLISECOND) {
        if (spend(&budget, BUDGET_POLL, 1, now) > 0) {
            assert_true(polls < COUNT_OF(expected));
            assert_in_range(adds, expected[polls] - 2, expected[polls] + 2);
            polls++;
        } else {
            adds += spend(&budget, BUDGET_ADD, 1, now);
        }
    }
    assert_int_equal(polls, COUNT_OF(expected));
    budget_done(&budget);
}

/* Before all is restored from what is kept: nothing of it stands twice, and what is on the wire and
 * what the provider asked for stay. */
static void test_forget(void **state)
{
    struct budget budget;
    struct budget_limits calendar = {
        .per_minute = 10, .per_day = 100, .burst = 10, .day_ends_us = HOUR};
    (void)state;
    start(&budget, 10, 100, 10);
    assert_int_equal(spend(&budget, BUDGET_ADD, 4, 0), 4);
    budget_take(&budget, BUDGET_ADD, 2, SECOND);
    budget_pause(&budget, 20 * SECOND);
    budget_forget(&budget, 2 * SECOND);
    assert_int_equal(budget_minute_used(&budget, 2 * SECOND), 2);
    assert_int_equal(budget_day_used(&budget, 2 * SECOND), 2);
    assert_int_equal(budget_available(&budget, BUDGET_ADD, 9, 20 * SECOND - 1), 0);
    budget_restore(&budget, 4, 0, 2 * SECOND);
    assert_int_equal(budget_minute_used(&budget, 2 * SECOND), 6);
    assert_int_equal(budget_day_used(&budget, 2 * SECOND), 6);
    answer(&budget, 2, 3 * SECOND);
    assert_int_equal(budget_day_used(&budget, DAY + 2 * MINUTE), 0);
    budget_done(&budget);

    /* What counts in the calendar day to come is forgotten with it. */
    assert_int_equal(budget_init(&budget, &calendar, 0), 0);
    assert_int_equal(spend(&budget, BUDGET_ADD, 4, HOUR - SECOND), 4);
    budget_forget(&budget, HOUR);
    assert_int_equal(budget_day_used(&budget, HOUR + GUARD), 0);
    budget_done(&budget);
}

/* What was used in each hour of the last day is free again in the same hour of the next. */
static void test_what_a_day_frees(void **state)
{
    struct budget budget;
    unsigned hours[24];
    (void)state;
    start(&budget, 0, 1000, 1);
    budget_restore(&budget, 7, -DAY - 10 * MINUTE, 0); /* free already */
    budget_restore(&budget, 5, -DAY + 30 * MINUTE, 0);
    budget_restore(&budget, 3, -DAY + 90 * MINUTE, 0);
    budget_restore(&budget, 2, -30 * MINUTE, 0);
    assert_int_equal(spend(&budget, BUDGET_ADD, 1, 0), 1);
    budget_day_frees(&budget, hours, 0);
    for (int hour = 0; hour < 24; hour++)
        assert_int_equal(hours[hour], hour == 0 ? 5 : hour == 1 ? 3 : hour == 23 ? 2 : 0);
    /* As they get free, so they do. */
    assert_int_equal(budget_day_used(&budget, 0), 11);
    assert_int_equal(budget_day_used(&budget, HOUR), 6);
    assert_int_equal(budget_day_used(&budget, 2 * HOUR), 3);
    budget_day_frees(&budget, hours, 2 * HOUR);
    assert_int_equal(hours[21], 2);
    assert_int_equal(hours[22], 1);
    budget_done(&budget);
}

/* When the last of a queue leaves. */
static void test_where_a_queue_ends(void **state)
{
    struct budget_limits rolling = limits_of(60, 0, 1), bursting = limits_of(60, 0, 60),
                         day = limits_of(60, 100, 1), calendar = day, none = limits_of(0, 0, 1),
                         free_burst = limits_of(0, 0, 60);
    calendar.day_rolling = false;
    calendar.day_ends_us = 5 * HOUR;
    struct {
        const char *what;
        struct budget_limits *limits;
        unsigned used_before; /* an hour ago */
        unsigned queued, at_once;
        int64_t from, pause, took, ends; /* from now, HOUR */
    } cases[] = {
        {"one leaves now", &rolling, 0, 1, 8, 0, 0, 0, 0},
        {"at the pace", &rolling, 0, 31, 8, 0, 0, 0, 30 * PACE_60},
        {"with the polls between", &rolling, 0, 100, 8, 0, 0, 0, 100 * PACE_60},
        {"one in twenty after 600", &rolling, 0, 790, 8, 0, 0, 0, (789 + 7 + 10) * PACE_60},
        {"after the gate's pause", &rolling, 0, 31, 8, 0, 90 * SECOND, 0,
         90 * SECOND + 30 * PACE_60},
        {"after a pause of submits", &rolling, 0, 31, 8, 80 * SECOND, 0, 0,
         80 * SECOND + 30 * PACE_60},
        {"no faster than answers come", &rolling, 0, 31, 2, 0, 0, 4 * SECOND, 60 * SECOND},
        {"no pace, one connection", &none, 0, 31, 1, 0, 0, 2 * SECOND, 60 * SECOND},
        {"a burst", &bursting, 0, 31, 0, 0, 0, 0, 0},
        {"a burst and a minute", &bursting, 0, 61, 0, 0, 0, 0, MINUTE},
        {"no pace, no minute, at once", &free_burst, 0, 500, 0, 0, 0, 0, 0},
        {"the day holds it", &day, 60, 40, 8, 0, 0, 0, 39 * PACE_60},
        {"a day, and the rest when it is free", &day, 60, 50, 8, 0, 0, 0, DAY - HOUR + MINUTE},
        {"two days", &day, 60, 150, 8, 0, 0, 0, 2 * DAY - HOUR + MINUTE},
        {"to the day's end, and on", &calendar, 60, 50, 8, 0, 0, 0, 4 * HOUR + GUARD + 9 * PACE_60},
        {"to the next day's end", &calendar, 60, 150, 8, 0, 0, 0,
         DAY + 4 * HOUR + GUARD + 10 * PACE_60},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct budget budget;
        assert_int_equal(budget_init(&budget, cases[i].limits, 0), 0);
        budget_restore(&budget, cases[i].used_before, 0, 0);
        if (cases[i].took)
            budget_note_took(&budget, cases[i].took);
        if (cases[i].pause)
            budget_pause(&budget, HOUR + cases[i].pause);
        int64_t ends = budget_queue_ends_us(&budget, cases[i].queued, cases[i].at_once,
                                            HOUR + cases[i].from, HOUR);
        if (ends != HOUR + cases[i].ends)
            print_error("%s\n", cases[i].what);
        assert_int_equal(ends - HOUR, cases[i].ends);
        budget_done(&budget);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unlimited),
        cmocka_unit_test(test_rejects_an_absurd_limit),
        cmocka_unit_test(test_pace),
        cmocka_unit_test(test_burst_is_earned_back_slot_by_slot),
        cmocka_unit_test(test_minute_is_freed_after_the_response),
        cmocka_unit_test(test_shares_of_the_minute),
        cmocka_unit_test(test_one_slot_in_twenty_while_adds_wait),
        cmocka_unit_test(test_one_slot_in_a_hundred_while_a_burst_waits),
        cmocka_unit_test(test_one_probe_after_a_refusal),
        cmocka_unit_test(test_late_sends_keep_their_distance),
        cmocka_unit_test(test_pace_follows_the_jitter),
        cmocka_unit_test(test_jitter_is_forgotten),
        cmocka_unit_test(test_the_first_read_is_due_at_once),
        cmocka_unit_test(test_polls_go_on_when_adds_do_not),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_rolling_day),
        cmocka_unit_test(test_calendar_day),
        cmocka_unit_test(test_the_end_of_a_day_counts_twice),
        cmocka_unit_test(test_the_end_of_a_day_is_moved),
        cmocka_unit_test(test_turns_between_adds),
        cmocka_unit_test(test_where_a_queue_ends),
        cmocka_unit_test(test_forget),
        cmocka_unit_test(test_what_a_day_frees),
        cmocka_unit_test(test_give_back),
        cmocka_unit_test(test_new_limits_keep_what_was_used),
        cmocka_unit_test(test_a_higher_limit_keeps_the_log),
        cmocka_unit_test(test_new_limits_change_the_pace),
        cmocka_unit_test(test_new_kind_of_day_keeps_what_was_used),
        cmocka_unit_test(test_restore),
        cmocka_unit_test(test_restore_more_than_the_limit),
        cmocka_unit_test(test_restored_requests_pace_the_first_send),
        cmocka_unit_test(test_no_server_ever_refuses),
        cmocka_unit_test(test_bursts_stay_within_the_windows),
        cmocka_unit_test(test_a_server_with_that_calendar_day_never_refuses),
        cmocka_unit_test(test_backlog_uses_what_there_is),
        cmocka_unit_test(test_random_steps_agree_with_the_model),
    };
    return cmocka_run_group_tests_name("budget", tests, NULL, NULL);
}
