/* How the day is shared between adds and polls. */
#include "base/own.h"
#include "rules/shares.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SECOND INT64_C(1000000)
#define HOUR (3600 * SECOND)
#define DAY (24 * HOUR)

static const struct budget_limits rolling = {
    .per_minute = 60, .per_day = 5000, .day_rolling = true};

static bool is_near(double wanted, double got)
{
    return fabs(got - wanted) <= 0.001 * fabs(wanted);
}

/* The rate with that much used of the day, a whole day of history, and nothing that gets free soon.
 */
static double rate_of(struct shares *shares, const struct budget_limits *limits, unsigned used,
                      int64_t now_us)
{
    struct budget budget;
    double rate;
    assert_int_equal(budget_init(&budget, limits, now_us), 0);
    budget_restore(&budget, used, now_us, now_us);
    rate = shares_poll_rate(shares, &budget, now_us);
    budget_done(&budget);
    return rate;
}

static void test_reserve(void **state)
{
    static const struct {
        double burst, reserve;
    } cases[] = {{0, 100}, {80, 100}, {200, 250}, {500, 625}, {5000, 1000}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct shares shares;
        shares_init(&shares, 0);
        shares_learn_burst(&shares, cases[i].burst);
        assert_true(shares_reserve(&shares, &rolling) == cases[i].reserve);
    }
}

static void test_rolling_day(void **state)
{
    static const struct {
        const char *what;
        unsigned adds, queued, used;
        double expected; /* polls a day */
    } cases[] = {
        {"nothing else", 0, 0, 0, 4900},
        {"adds are taken off", 1000, 0, 1000, 0},
        {"so are those that wait", 0, 400, 0, 4500},
        {"nearly used up", 0, 0, 4998, 0},
        {"nothing gets free in a day", 0, 0, 4950, 40},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct shares shares;
        shares_init(&shares, 0);
        /* Spread, so that they are no burst. */
        for (unsigned j = 0; j < cases[i].adds; j++)
            shares_count_adds(&shares, 1, -DAY + HOUR + j * (20 * HOUR / 1000), 0);
        shares.queued = cases[i].queued;
        double rate = rate_of(&shares, &rolling, cases[i].used, 0) * 86400;
        if (cases[i].adds)
            assert_in_range(rate, 2900, 3000);
        else
            assert_true(is_near(cases[i].expected + 1, rate + 1));
    }
}

/* A first day, on which nothing gets free: polls leave the adds that come what they need. */
static void test_first_day(void **state)
{
    const struct budget_limits unpaced = {.per_day = 5000, .day_rolling = true};
    struct budget budget;
    struct shares shares;
    double polls = 0, sent = 0;
    unsigned adds = 0;
    (void)state;
    assert_int_equal(budget_init(&budget, &unpaced, 0), 0);
    shares_init(&shares, 0);
    for (int64_t now = 0; now < 3 * DAY; now += 60 * SECOND) {
        polls += 60 * shares_poll_rate(&shares, &budget, now);
        for (; sent + 1 <= polls; sent++) {
            budget_take(&budget, BUDGET_POLL, 1, now);
            budget_answered(&budget, now);
        }
        /* Few by night, many in the evening. */
        if (now % (60 * SECOND * (now % DAY < 12 * HOUR ? 3 : 1)) != 0)
            continue;
        shares_count_adds(&shares, 1, now + SECOND, now + SECOND);
        assert_int_equal(budget_available(&budget, BUDGET_ADD, 1, now + 2 * SECOND), 1);
        budget_take(&budget, BUDGET_ADD, 1, now + 2 * SECOND);
        budget_answered(&budget, now + 2 * SECOND);
        adds++;
    }
    assert_int_equal(adds, 3 * (240 + 720));
    assert_in_range(sent, 11000, 12000);
    budget_done(&budget);
}

/* All of it is used by the end of a day that is known; the reserve is given back over the last
 * hours. */
static void test_calendar_day(void **state)
{
    struct budget_limits limits = {.per_minute = 60, .per_day = 5000, .day_ends_us = DAY};
    struct shares shares;
    double used = 0;
    (void)state;
    shares_init(&shares, 0);
    shares_learn_burst(&shares, 500);
    for (int64_t now = 0; now < DAY; now += 60 * SECOND)
        used += 60 * rate_of(&shares, &limits, (unsigned)used, now);
    assert_in_range(used, 4975, 5000);
    assert_true(rate_of(&shares, &limits, 5000, DAY - HOUR) == 0);
}

static void test_bursts_are_learned_and_fade(void **state)
{
    struct shares shares;
    (void)state;
    shares_init(&shares, 0);
    for (int i = 0; i < 500; i++)
        shares_count_adds(&shares, 1, i * SECOND, i * SECOND);
    assert_in_range(shares.burst, 490, 500);
    assert_int_equal(shares.adds_day, 500);
    (void)rate_of(&shares, &rolling, 0, 10 * DAY);
    assert_in_range(shares.burst, 395, 420);
    assert_int_equal(shares.adds_day, 0);
}

/* What an earlier process counted, as the ledger lists it: the day's is taken, older is not. */
static void test_what_is_older_than_a_day_is_not_counted(void **state)
{
    struct shares shares;
    (void)state;
    shares_init(&shares, 0);
    shares_count_adds(&shares, 7, -DAY - HOUR, 0);
    assert_int_equal(shares.adds_day, 0);
    assert_true(shares.burst == 0);
    shares_count_adds(&shares, 5, -DAY + HOUR, 0);
    assert_int_equal(shares.adds_day, 5);
    shares_count_adds(&shares, 3, -HOUR, 0);
    assert_int_equal(shares.adds_day, 8);
    (void)rate_of(&shares, &rolling, 0, 2 * HOUR);
    assert_int_equal(shares.adds_day, 3);
}

/* The day ahead is looked at once a minute; what is used in between is seen at the next look. */
static void test_the_day_is_looked_at_once_a_minute(void **state)
{
    struct budget budget;
    struct shares shares;
    double before;
    (void)state;
    assert_int_equal(budget_init(&budget, &rolling, 0), 0);
    shares_init(&shares, 0);
    (void)shares_poll_rate(&shares, &budget, 0);
    before = shares.most;
    budget_restore(&budget, 1000, 0, 0);
    (void)shares_poll_rate(&shares, &budget, 59 * SECOND);
    assert_true(shares.most == before);
    (void)shares_poll_rate(&shares, &budget, 60 * SECOND);
    assert_true(shares.most < before);
    budget_done(&budget);
}

static void test_limits(void **state)
{
    static const struct {
        struct budget_limits limits;
        double expected;
    } cases[] = {
        {{.per_minute = 0, .per_day = 0}, 2},
        {{.per_minute = 60, .per_day = 0}, 0.85},
        {{.per_minute = 60, .per_day = 1000000, .day_rolling = true}, 0.85},
        {{.per_minute = 60000, .per_day = 0}, 10},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct shares shares;
        shares_init(&shares, 0);
        assert_true(is_near(cases[i].expected, rate_of(&shares, &cases[i].limits, 0, 0)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reserve),
        cmocka_unit_test(test_rolling_day),
        cmocka_unit_test(test_first_day),
        cmocka_unit_test(test_calendar_day),
        cmocka_unit_test(test_bursts_are_learned_and_fade),
        cmocka_unit_test(test_what_is_older_than_a_day_is_not_counted),
        cmocka_unit_test(test_the_day_is_looked_at_once_a_minute),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests_name("shares", tests, NULL, NULL);
}
