/* When an order is asked about again, and how fast batches leave. */
#include "base/own.h"
#include "rules/poll_schedule.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SECOND INT64_C(1000000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

static void test_interval(void **state)
{
    /* Bought at 0. */
    static const struct {
        const char *what;
        int64_t now, changed, quantity, remains;
        unsigned errors;
        int64_t expected;
    } cases[] = {
        {"just bought", 0, 0, 1000, -1, 0, 5 * SECOND},
        {"a tenth would be less than the least", 30 * SECOND, 0, 1000, -1, 0, 5 * SECOND},
        {"a tenth of the quiet time", 10 * MINUTE, 0, 1000, 1000, 0, MINUTE},
        {"counted from the last change", 60 * MINUTE, 50 * MINUTE, -1, -1, 0, MINUTE},
        {"never longer than a quarter of an hour", 9 * HOUR, 0, 1000, -1, 0, 15 * MINUTE},
        {"a clock that went back", -HOUR, 0, 1000, -1, 0, 5 * SECOND},

        {"a quarter of what is left", 80 * MINUTE, 80 * MINUTE, 100, 20, 0, 5 * MINUTE},
        {"less what passed since", 92 * MINUTE, 80 * MINUTE, 100, 20, 0, 2 * MINUTE},
        {"near the end", 99 * MINUTE + 50 * SECOND, 80 * MINUTE, 100, 20, 0, 5 * SECOND},
        {"the end has passed", 101 * MINUTE, 80 * MINUTE, 100, 20, 0, 126 * SECOND},
        {"the end is far away", 80 * MINUTE, 80 * MINUTE, 100, 90, 0, 15 * MINUTE},
        {"huge numbers", DAY, DAY, INT64_MAX, INT64_MAX - 1, 0, 15 * MINUTE},
        {"0 remains proves nothing", 10 * MINUTE, 0, 100, 0, 0, MINUTE},
        {"over-delivered", 10 * MINUTE, 0, 100, -5, 0, MINUTE},
        {"more remains than was bought", 10 * MINUTE, 0, 100, 150, 0, MINUTE},
        {"quantity not known", 10 * MINUTE, 0, -1, 20, 0, MINUTE},
        {"changed when it was bought", 10 * MINUTE, 0, 100, 20, 0, MINUTE},

        {"one error", 10 * MINUTE, 0, 1000, -1, 1, 2 * MINUTE},
        {"two errors", 10 * MINUTE, 0, 1000, -1, 2, 4 * MINUTE},
        {"errors go past the quarter of an hour", 9 * HOUR, 0, 1000, -1, 3, 2 * HOUR},
        {"but not past six hours", 9 * HOUR, 0, 1000, -1, 5, 6 * HOUR},
        {"whatever their number", 9 * HOUR, 0, 1000, -1, 4000000000, 6 * HOUR},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct poll_order order = {.now_us = cases[i].now,
                                         .changed_us = cases[i].changed,
                                         .quantity = cases[i].quantity,
                                         .remains = cases[i].remains,
                                         .errors = cases[i].errors};
        if (poll_interval_us(&order) != cases[i].expected)
            fail_msg("%s: %lld us", cases[i].what, (long long)poll_interval_us(&order));
    }
}

static void test_interval_stays_in_bounds(void **state)
{
    (void)state;
    for (int64_t now = 0; now < 30 * DAY; now = now * 3 / 2 + 7 * SECOND) {
        for (int64_t remains = -1; remains <= 100; remains++) {
            const struct poll_order order = {
                .now_us = now, .changed_us = now / 2, .quantity = 100, .remains = remains};
            int64_t interval_us = poll_interval_us(&order);
            assert_in_range(interval_us, 5 * SECOND, 15 * MINUTE);
        }
    }
}

static void test_pace(void **state)
{
    static const struct {
        struct poll_pace pace;
        int64_t expected;
    } cases[] = {
        {{0, 0, 0, DAY}, SECOND},
        {{600, 0, 0, DAY}, SECOND},
        {{60, 0, 0, DAY}, 60 * SECOND / 51},
        {{1, 0, 0, DAY}, 60 * SECOND * 100 / 85},
        {{60, 5000, 0, DAY}, DAY / 5000},
        {{60, 5000, 2000, DAY / 2}, DAY / 2 / 3000},
        {{0, 5000, 4999, HOUR}, HOUR},
        {{0, 5000, 5000, HOUR}, HOUR},
        {{0, 5000, 6000, HOUR}, HOUR},
        {{60, 5000, 0, MINUTE}, 60 * SECOND / 51},
        {{600, 200000, 0, 10 * SECOND}, SECOND},
        {{60, 5000, 5000, -SECOND}, 60 * SECOND / 51},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_int_equal(poll_pace_us(&cases[i].pace), cases[i].expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_interval),
        cmocka_unit_test(test_interval_stays_in_bounds),
        cmocka_unit_test(test_pace),
    };
    return cmocka_run_group_tests_name("poll_schedule", tests, NULL, NULL);
}
