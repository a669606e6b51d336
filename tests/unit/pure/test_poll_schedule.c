/* Which orders are asked about next, and when a batch leaves. */
#include "base/own.h"
#include "rules/poll_schedule.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SECOND INT64_C(1000000)

static void test_stride(void **state)
{
    (void)state;
    assert_true(fabs(poll_stride(0.01) - 10) < 1e-9);
    assert_false(poll_stride_moved(100, 105));
    assert_true(poll_stride_moved(100, 111));
    assert_true(poll_stride_moved(100, 89));
}

/* A hundredth of an end per second, unasked for 10 s: half a second is lost. */
static void test_worth(void **state)
{
    (void)state;
    assert_true(fabs(poll_worth(10, 10) - 0.5) < 1e-9);
    assert_true(poll_worth(0, 10) == 0);
    assert_true(poll_worth(10, -1) == 0);
}

static void test_errors_double_the_wait(void **state)
{
    static const struct {
        unsigned errors;
        double expected;
    } cases[] = {{1, 60}, {2, 120}, {3, 240}, {9, 15360}, {10, 21600}, {4000000, 21600}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_true(poll_error_wait_s(cases[i].errors) == cases[i].expected);
}

static void test_batches_accrue(void **state)
{
    struct poll_pace pace;
    (void)state;
    poll_pace_init(&pace, 0);
    assert_int_equal(poll_pace_next_us(&pace, 0.1), 0);
    poll_pace_sent(&pace, 1, 1);
    assert_int_equal(poll_pace_next_us(&pace, 0.1), 10 * SECOND);
    assert_int_equal(poll_pace_next_us(&pace, 0), INT64_MAX);
    poll_pace_advance(&pace, 0.1, false, 4 * SECOND);
    assert_int_equal(poll_pace_next_us(&pace, 0.1), 10 * SECOND);
    poll_pace_advance(&pace, 0.1, false, 3 * SECOND); /* an older time stands still */
    assert_int_equal(poll_pace_next_us(&pace, 0.1), 10 * SECOND);
    poll_pace_advance(&pace, 0.1, false, 1000 * SECOND);
    assert_true(pace.tokens == 4);
}

/* With few tokens left a batch must be worth more than usual, with many anything goes. */
static void test_price(void **state)
{
    struct poll_pace pace;
    double few, half;
    (void)state;
    poll_pace_init(&pace, 0);
    assert_true(poll_pace_price(&pace, 100) == 0);
    poll_pace_sent(&pace, 10, 1);
    assert_true(pace.usual_worth == 10);
    pace.tokens = 1;
    few = poll_pace_price(&pace, 100);
    pace.tokens = 2;
    half = poll_pace_price(&pace, 100);
    assert_true(few > half && fabs(half - 10) < 1e-9);
    assert_true(poll_pace_price(&pace, 2001) == 0);
    pace.tokens = 3.5;
    assert_true(poll_pace_price(&pace, 100) == 0);
}

static void test_what_was_declined_is_looked_at_later(void **state)
{
    struct poll_pace pace;
    (void)state;
    poll_pace_init(&pace, 0);
    poll_pace_sent(&pace, 10, 1);
    poll_pace_advance(&pace, 0.1, false, 20 * SECOND);
    poll_pace_declined(&pace, 5, 20);
    assert_in_range(poll_pace_next_us(&pace, 0.1), 20 * SECOND + SECOND / 4, 30 * SECOND);
    /* Full: it goes, whatever it is worth. */
    poll_pace_declined(&pace, 0, 20);
    assert_int_equal(pace.look_us, 30 * SECOND);
    poll_pace_advance(&pace, 1, false, 29 * SECOND);
    assert_int_equal(poll_pace_next_us(&pace, 1), 29 * SECOND);
}

/* Not at once again, though it is nearly worth it or the last one has just left; and in 10 s at the
 * latest. */
static void test_when_what_was_declined_is_looked_at(void **state)
{
    static const struct {
        int64_t unasked_us;
        double worth, price;
        int64_t expected_us; /* later */
    } cases[] = {
        {20 * SECOND, 19.9, 20, SECOND / 4},       /* would be worth it in 35 ms */
        {4 * SECOND, 5, 20, 4 * SECOND * 7 / 10},  /* in the same time once more, not quite */
        {SECOND / 10, 5, 20, SECOND / 2 * 7 / 10}, /* counts as half a second */
        {0, 5, 20, SECOND / 2 * 7 / 10},
        {20 * SECOND, 1, 20, 10 * SECOND},
        {SECOND, 0, 20, 10 * SECOND},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct poll_pace pace;
        poll_pace_init(&pace, 0);
        poll_pace_sent(&pace, 10, 1);
        poll_pace_advance(&pace, 0.1, false, cases[i].unasked_us);
        poll_pace_declined(&pace, cases[i].worth, cases[i].price);
        assert_in_range(pace.look_us - cases[i].unasked_us, cases[i].expected_us - 1,
                        cases[i].expected_us + 1);
    }
}

static void test_one_odd_batch_does_not_set_the_price(void **state)
{
    struct poll_pace pace;
    (void)state;
    poll_pace_init(&pace, 0);
    poll_pace_sent(&pace, 10, 1);
    poll_pace_sent(&pace, 1e9, 2);
    assert_true(pace.usual_worth < 12);
}

/* What could not leave between adds comes back in the minutes after, and no more than forty. */
static void test_what_waited_comes_back(void **state)
{
    struct poll_pace pace;
    double back = 0;
    (void)state;
    poll_pace_init(&pace, 0);
    poll_pace_advance(&pace, 0.1, false, 100 * SECOND);
    assert_true(pace.tokens == 4 && pace.saved == 0);
    poll_pace_advance(&pace, 0.1, true, 300 * SECOND);
    assert_true(pace.tokens == 4 && fabs(pace.saved - 20) < 1e-6);
    poll_pace_advance(&pace, 0.1, true, 9000 * SECOND);
    assert_true(pace.saved == 40);
    for (int64_t i = 1; i <= 600; i++) { /* none accrues any more */
        pace.tokens = 0;
        poll_pace_advance(&pace, 0, false, (9000 + i) * SECOND);
        back += pace.tokens;
        if (i == 1)
            assert_true(back < 0.2);
        if (i == 300)
            assert_true(back > 24 && back < 26);
    }
    assert_true(fabs(back + pace.saved - 40) < 1e-6 && pace.saved < 6);
}

static void test_speed_and_delays(void **state)
{
    struct poll_pace pace;
    (void)state;
    poll_pace_init(&pace, 0);
    poll_pace_ended(&pace, 100, 10);
    assert_true(pace.planned_s == 0);
    for (int64_t i = 1; i <= 100; i++) {
        poll_pace_advance(&pace, 1, false, i * SECOND);
        poll_pace_sent(&pace, 1, 5.0 * (double)i);
    }
    assert_true(fabs(pace.speed - 5) < 1e-6);
    poll_pace_ended(&pace, 100, 30);
    assert_true(fabs(pace.planned_s - 10) < 1e-6 && pace.measured_s == 15);
    /* One that is in every batch is known half the time between batches later. */
    assert_true(fabs(pace.apart_s - 1) < 1e-6);
    pace.planned_s = 0;
    poll_pace_ended(&pace, 1, 1);
    assert_true(fabs(pace.planned_s - 0.5) < 1e-6);
    /* A night without orders is no time between batches. */
    poll_pace_advance(&pace, 1, false, 30000 * SECOND);
    poll_pace_sent(&pace, 1, 600);
    assert_true(pace.apart_s < 1.1);
}

/* What tells nothing of the clock's speed: two batches at one time, a turn that is no later than
 * the one before, and an end of an order whose stride is not known. */
static void test_what_tells_no_speed(void **state)
{
    struct poll_pace pace;
    (void)state;
    poll_pace_init(&pace, 0);
    poll_pace_sent(&pace, 1, 5);
    poll_pace_sent(&pace, 1, 50);
    assert_true(pace.speed == 0 && pace.apart_s == 0);
    poll_pace_advance(&pace, 1, false, 10 * SECOND);
    poll_pace_sent(&pace, 1, 20);
    assert_true(pace.speed == 0 && pace.apart_s == 10 && pace.turn == 20);
    poll_pace_advance(&pace, 1, false, 20 * SECOND);
    poll_pace_sent(&pace, 1, 40);
    assert_true(pace.speed == 2);
    poll_pace_ended(&pace, 0, 30);
    assert_true(pace.planned_s == 0 && pace.measured_s == 0);
}

/* Two kinds of orders, one nine times as hazardous: it is asked about three times as often,
 * whatever the speed. */
static void test_turns_share_by_the_root_of_the_hazard(void **state)
{
    double turns[20], strides[20], clock = 0;
    unsigned asked[2] = {0};
    (void)state;
    for (int i = 0; i < 20; i++) {
        turns[i] = 0;
        strides[i] = poll_stride(i % 2 ? 0.09 : 0.01);
    }
    for (int batch = 0; batch < 4000; batch++) {
        int first = 0;
        for (int i = 1; i < 20; i++)
            if (turns[i] < turns[first])
                first = i;
        clock = turns[first];
        turns[first] = clock + strides[first];
        asked[first % 2]++;
    }
    assert_in_range(asked[1] * 100 / asked[0], 295, 305);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stride),
        cmocka_unit_test(test_worth),
        cmocka_unit_test(test_errors_double_the_wait),
        cmocka_unit_test(test_batches_accrue),
        cmocka_unit_test(test_price),
        cmocka_unit_test(test_what_was_declined_is_looked_at_later),
        cmocka_unit_test(test_when_what_was_declined_is_looked_at),
        cmocka_unit_test(test_one_odd_batch_does_not_set_the_price),
        cmocka_unit_test(test_what_waited_comes_back),
        cmocka_unit_test(test_speed_and_delays),
        cmocka_unit_test(test_what_tells_no_speed),
        cmocka_unit_test(test_turns_share_by_the_root_of_the_hazard),
    };
    return cmocka_run_group_tests_name("poll_schedule", tests, NULL, NULL);
}
