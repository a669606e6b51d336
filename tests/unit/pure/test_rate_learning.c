/* What refusals for rate teach. */
#include "base/own.h"
#include "rules/rate_learning.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SECOND INT64_C(1000000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (1440 * MINUTE)

static const struct budget_limits configured = {
    .per_minute = 60, .per_day = 5000, .burst = 1, .day_rolling = true};

static void test_one_refusal(void **state)
{
    static const struct {
        const char *what;
        unsigned burst;
        struct rate_refusal refusal;
        unsigned per_minute, per_day, burst_after;
        bool changed;
    } cases[] = {
        {"no words", 1, {.retry_after_s = 60, .minute_used = 40}, 42, 5000, 1, true},
        {"nothing said at all", 1, {.retry_after_s = -1, .minute_used = 40}, 42, 5000, 1, true},
        {"the burst goes first", 40, {.retry_after_s = 60, .minute_used = 40}, 60, 5000, 10, true},
        {"a small burst is one", 3, {.retry_after_s = 60}, 60, 5000, 1, true},
        {"a number", 1, {.limit = 30, .period_s = 60, .retry_after_s = 60}, 30, 5000, 1, true},
        {"a number with a burst",
         40,
         {.limit = 30, .period_s = 60, .retry_after_s = 60},
         30,
         5000,
         40,
         true},
        {"an hour's number",
         1,
         {.limit = 600, .period_s = 3600, .retry_after_s = -1},
         10,
         5000,
         1,
         true},
        {"a small hour", 1, {.limit = 20, .period_s = 3600, .retry_after_s = -1}, 1, 5000, 1, true},
        {"a day's number",
         1,
         {.limit = 2500, .period_s = 86400, .retry_after_s = -1},
         60,
         2500,
         1,
         true},
        {"a number that is ours already",
         1,
         {.limit = 60, .period_s = 60, .retry_after_s = 60},
         42,
         5000,
         1,
         true},
        {"a number above ours",
         1,
         {.limit = 90, .period_s = 60, .retry_after_s = 60},
         42,
         5000,
         1,
         true},
        {"a number beyond everything",
         1,
         {.limit = INT64_MAX, .period_s = 60, .retry_after_s = 60},
         42,
         5000,
         1,
         true},
        {"a long wait is a day's", 1, {.retry_after_s = 3600, .day_used = 2000}, 60, 1970, 1, true},
        {"a quiet day's keeps a quarter",
         1,
         {.retry_after_s = 3600, .day_used = 3},
         60,
         1250,
         1,
         true},
        {"a number for a second", 1, {.limit = 2, .period_s = 1}, 42, 5000, 1, true},
        {"a day above ours", 1, {.retry_after_s = 3600, .day_used = 6000}, 60, 5000, 1, false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct budget_limits limits = configured;
        struct rate_learning learning;
        limits.burst = cases[i].burst;
        rate_learning_init(&learning, &limits, 0);
        assert_false(rate_learning_is_cut(&learning));
        assert_int_equal(rate_learning_refused(&learning, &cases[i].refusal, MINUTE),
                         cases[i].changed);
        limits = rate_learning_limits(&learning);
        if (limits.per_minute != cases[i].per_minute || limits.per_day != cases[i].per_day ||
            limits.burst != cases[i].burst_after)
            fail_msg("%s: %u a minute, %u a day, burst %u", cases[i].what, limits.per_minute,
                     limits.per_day, limits.burst);
        assert_int_equal(rate_learning_is_cut(&learning), cases[i].changed);
        assert_int_equal(learning.refusals, 1);
    }
}

/* One cut for all that was on the wire; then again, down to the least. */
static void test_cuts_repeat(void **state)
{
    const struct rate_refusal refusal = {.retry_after_s = 60, .minute_used = 60};
    struct rate_learning learning;
    (void)state;
    rate_learning_init(&learning, &configured, 0);
    assert_true(rate_learning_refused(&learning, &refusal, 0));
    assert_false(rate_learning_refused(&learning, &refusal, 29 * SECOND));
    assert_int_equal(learning.per_minute, 42);
    assert_true(rate_learning_refused(&learning, &refusal, 30 * SECOND));
    assert_int_equal(learning.per_minute, 29);
    for (int64_t i = 1; i < 20; i++)
        (void)rate_learning_refused(&learning, &refusal, i * MINUTE);
    assert_int_equal(learning.per_minute, 6);
}

/* Of a day as well, whether a number was named or not; and never to nothing. */
static void test_cuts_of_a_day_repeat(void **state)
{
    const struct rate_refusal named = {.limit = 2500, .period_s = 86400, .day_used = 2500},
                              wait = {.retry_after_s = 3600, .day_used = 2000};
    struct rate_learning learning;
    (void)state;
    rate_learning_init(&learning, &configured, 0);
    assert_true(rate_learning_refused(&learning, &named, 0));
    assert_false(rate_learning_refused(&learning, &named, SECOND));
    assert_false(rate_learning_refused(&learning, &wait, 29 * SECOND));
    assert_int_equal(learning.per_day, 2500);
    assert_true(rate_learning_refused(&learning, &wait, 30 * SECOND));
    assert_false(rate_learning_refused(&learning, &wait, 31 * SECOND));
    assert_int_equal(learning.per_day, 1970);
    for (int64_t i = 1; i < 20; i++)
        (void)rate_learning_refused(
            &learning, &(struct rate_refusal){.retry_after_s = 3600, .day_used = 1}, i * MINUTE);
    assert_int_equal(learning.per_day, 100);
}

static void test_recovers_to_the_configuration(void **state)
{
    const struct rate_refusal minute = {.retry_after_s = 60},
                              day = {.retry_after_s = 3600, .day_used = 4000};
    struct rate_learning learning;
    int64_t now = 0;
    (void)state;
    rate_learning_init(&learning, &configured, 0);
    assert_false(rate_learning_recover(&learning, 100 * DAY));
    (void)rate_learning_refused(&learning, &minute, 0);
    (void)rate_learning_refused(&learning, &day, 0);
    assert_false(rate_learning_recover(&learning, 10 * MINUTE - 1));
    assert_true(rate_learning_recover(&learning, 10 * MINUTE));
    assert_int_equal(learning.per_minute, 45);
    for (now = 20 * MINUTE; now < 100 * MINUTE; now += MINUTE)
        (void)rate_learning_recover(&learning, now);
    assert_int_equal(learning.per_minute, 60);
    assert_int_equal(learning.per_day, 3940);
    for (; now < 20 * DAY; now += 10 * MINUTE)
        (void)rate_learning_recover(&learning, now);
    assert_int_equal(learning.per_day, 5000);
    assert_false(rate_learning_is_cut(&learning));
}

/* A number that was named holds for a week. */
static void test_told_numbers_hold(void **state)
{
    const struct rate_refusal told = {.limit = 30, .period_s = 60, .retry_after_s = 60},
                              cut = {.retry_after_s = 60};
    struct rate_learning learning;
    (void)state;
    rate_learning_init(&learning, &configured, 0);
    (void)rate_learning_refused(&learning, &told, 0);
    (void)rate_learning_refused(&learning, &cut, MINUTE);
    assert_int_equal(learning.per_minute, 21);
    for (int64_t now = MINUTE; now < 6 * DAY; now += 10 * MINUTE)
        (void)rate_learning_recover(&learning, now);
    assert_int_equal(learning.per_minute, 30);
    (void)rate_learning_recover(&learning, 8 * DAY);
    assert_int_equal(learning.per_minute, 33);
}

static void test_unlimited(void **state)
{
    const struct budget_limits none = {.burst = 1};
    const struct rate_refusal refusal = {.retry_after_s = 60, .minute_used = 300};
    struct rate_learning learning;
    (void)state;
    rate_learning_init(&learning, &none, 0);
    assert_true(rate_learning_refused(&learning, &refusal, 0));
    assert_int_equal(learning.per_minute, 210);
    for (int64_t now = 0; now < DAY; now += MINUTE)
        (void)rate_learning_recover(&learning, now);
    assert_int_equal(learning.per_minute, 0);
    /* The gate counted few in the minute, or none: that is no measure of what the provider allows.
     */
    for (unsigned used = 0; used < 80; used += 79) {
        const struct rate_refusal few = {.retry_after_s = 60, .minute_used = used};
        rate_learning_init(&learning, &none, 0);
        assert_true(rate_learning_refused(&learning, &few, 0));
        assert_int_equal(learning.per_minute, 60);
    }
}

/* What was given up comes back as a whole, a day after the last refusal. */
static void test_the_burst_comes_back(void **state)
{
    const struct rate_refusal refusal = {.retry_after_s = 60};
    struct budget_limits limits = configured;
    struct rate_learning learning;
    (void)state;
    limits.burst = 20;
    rate_learning_init(&learning, &limits, 0);
    assert_true(rate_learning_refused(&learning, &refusal, 0));
    assert_int_equal(learning.burst, 5);
    assert_true(rate_learning_refused(&learning, &refusal, HOUR));
    assert_int_equal(learning.burst, 1);
    assert_int_equal(learning.per_minute, 60);
    assert_false(rate_learning_recover(&learning, HOUR + DAY - 1));
    assert_true(rate_learning_is_cut(&learning));
    assert_true(rate_learning_recover(&learning, HOUR + DAY));
    assert_int_equal(learning.burst, 20);
    assert_false(rate_learning_is_cut(&learning));
    assert_false(rate_learning_recover(&learning, HOUR + DAY + 10 * MINUTE));
}

/* A step is at least one request, also of a small limit. */
static void test_a_small_limit_recovers(void **state)
{
    const struct budget_limits small = {.per_minute = 10, .per_day = 150, .burst = 1};
    const struct rate_refusal minute = {.retry_after_s = 60},
                              day = {.retry_after_s = 3600, .day_used = 120};
    struct rate_learning learning;
    (void)state;
    rate_learning_init(&learning, &small, 0);
    assert_true(rate_learning_refused(&learning, &minute, 0));
    assert_true(rate_learning_refused(&learning, &day, 0));
    assert_int_equal(learning.per_minute, 7);
    assert_int_equal(learning.per_day, 118);
    assert_true(rate_learning_recover(&learning, 10 * MINUTE));
    assert_int_equal(learning.per_minute, 8);
    assert_true(rate_learning_recover(&learning, 2 * DAY));
    assert_int_equal(learning.per_day, 125);
}

static void test_restore(void **state)
{
    struct rate_learning earlier, learning;
    const struct rate_refusal told = {.limit = 30, .period_s = 60, .retry_after_s = 60};
    struct budget_limits other = configured;
    (void)state;
    rate_learning_init(&earlier, &configured, 0);
    (void)rate_learning_refused(&earlier, &told, 0);
    rate_learning_init(&learning, &configured, 5 * DAY);
    rate_learning_restore(&learning, &earlier, 5 * DAY);
    assert_int_equal(learning.per_minute, 30);
    assert_int_equal(learning.told_minute, 30);
    assert_int_equal(learning.refusals, 1);
    (void)rate_learning_recover(&learning, 6 * DAY);
    assert_int_equal(learning.per_minute, 30);
    /* The week is that of the refusal. */
    (void)rate_learning_recover(&learning, 7 * DAY);
    assert_int_equal(learning.per_minute, 33);
    /* The administrator changed the limits: what was learned of others is forgotten. */
    other.per_minute = 600;
    rate_learning_init(&learning, &other, 5 * DAY);
    rate_learning_restore(&learning, &earlier, 5 * DAY);
    assert_int_equal(learning.per_minute, 600);
    assert_false(rate_learning_is_cut(&learning));
    other = configured;
    other.per_day = 6000;
    rate_learning_init(&learning, &other, 5 * DAY);
    rate_learning_restore(&learning, &earlier, 5 * DAY);
    assert_int_equal(learning.per_minute, 60);
    assert_int_equal(learning.per_day, 6000);
    /* The refusals are counted since the beginning, whatever became of the limits. */
    assert_int_equal(learning.refusals, 1);
    assert_int_equal(learning.met_us, INT64_MIN);
}

/* Who had learned nothing has nothing to recover from. */
static void test_restore_of_nothing(void **state)
{
    struct rate_learning earlier, learning;
    (void)state;
    rate_learning_init(&earlier, &configured, 0);
    rate_learning_init(&learning, &configured, 5 * DAY);
    rate_learning_restore(&learning, &earlier, 5 * DAY);
    assert_false(rate_learning_is_cut(&learning));
    assert_int_equal(learning.refused_us, INT64_MIN);
    assert_false(rate_learning_recover(&learning, 50 * DAY));
}

/* However often the process ends, a day comes back in its time, neither later nor sooner. */
static void test_recovers_over_restarts(void **state)
{
    const struct rate_refusal day = {.retry_after_s = 3600, .day_used = 4000};
    struct rate_learning learning, earlier;
    (void)state;
    rate_learning_init(&learning, &configured, 0);
    (void)rate_learning_refused(&learning, &day, 0);
    for (int64_t now = 0; now < 4 * DAY; now += 6 * 60 * MINUTE) {
        earlier = learning;
        rate_learning_init(&learning, &configured, now);
        rate_learning_restore(&learning, &earlier, now);
        (void)rate_learning_recover(&learning, now);
        assert_int_equal(learning.per_day, now < 2 * DAY ? 3940 : 4190);
    }
    /* What is not known, or is still to come by a clock that was set back, is now. */
    earlier.refused_us = earlier.raised_us = INT64_MIN;
    earlier.day_raised_us = 9 * DAY;
    rate_learning_init(&learning, &configured, 5 * DAY);
    rate_learning_restore(&learning, &earlier, 5 * DAY);
    assert_true(learning.refused_us == 5 * DAY && learning.raised_us == 5 * DAY);
    assert_true(learning.day_raised_us == 5 * DAY);
}

/* A burst that was given up holds for the burst it was learned of. */
static void test_restore_of_a_burst(void **state)
{
    static const struct {
        unsigned before, learned, now, after;
    } cases[] = {{10, 2, 10, 2}, {10, 2, 20, 20}, {10, 2, 1, 1}, {1, 1, 10, 10}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct budget_limits before = configured, now = configured;
        struct rate_learning earlier, learning;
        before.burst = cases[i].before;
        now.burst = cases[i].now;
        rate_learning_init(&earlier, &before, 0);
        earlier.burst = cases[i].learned;
        earlier.per_minute = 42;
        rate_learning_init(&learning, &now, DAY);
        rate_learning_restore(&learning, &earlier, DAY);
        assert_int_equal(learning.burst, cases[i].after);
        assert_int_equal(learning.per_minute, 42);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_refusal),
        cmocka_unit_test(test_cuts_repeat),
        cmocka_unit_test(test_cuts_of_a_day_repeat),
        cmocka_unit_test(test_recovers_to_the_configuration),
        cmocka_unit_test(test_told_numbers_hold),
        cmocka_unit_test(test_unlimited),
        cmocka_unit_test(test_the_burst_comes_back),
        cmocka_unit_test(test_a_small_limit_recovers),
        cmocka_unit_test(test_restore_of_nothing),
        cmocka_unit_test(test_restore),
        cmocka_unit_test(test_recovers_over_restarts),
        cmocka_unit_test(test_restore_of_a_burst),
    };
    return cmocka_run_group_tests_name("rate_learning", tests, NULL, NULL);
}
