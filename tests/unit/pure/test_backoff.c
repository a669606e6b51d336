/* Waits after failures: doubling, bounded, less up to a quarter by chance. */
#include "base/own.h"
#include "rules/backoff.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SIX_HOURS_US (INT64_C(6) * 3600 * 1000000)

static void test_doubles_up_to_the_longest(void **state)
{
    static const struct {
        unsigned failures;
        int64_t first_us, longest_us, expected_us;
    } cases[] = {
        {0, 1000, 60000, 1000},
        {1, 1000, 60000, 1000},
        {2, 1000, 60000, 2000},
        {3, 1000, 60000, 4000},
        {6, 1000, 60000, 32000},
        {7, 1000, 60000, 60000},
        {8, 1000, 60000, 60000},
        {4000000000, 1, 7, 7},
        {1, 90000, 60000, 60000},
        {2, 3, 6, 6},
        {2, 4, 7, 7},
        {1, 0, 0, 0},
        {64, 3, INT64_MAX, INT64_MAX},
        {12, 10000000, SIX_HOURS_US, 20480000000},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_int_equal(backoff_us(cases[i].failures, cases[i].first_us, cases[i].longest_us, 0),
                         cases[i].expected_us);
}

static void test_chance_takes_up_to_a_quarter(void **state)
{
    static const int64_t values[] = {1000000, 5000000, SIX_HOURS_US, INT64_MAX};
    static const uint32_t chances[] = {0, 1, 0x40000000, 0x80000000, 0xc0000000, 0xffffffff};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        int64_t before_us = INT64_MAX;
        for (size_t k = 0; k < COUNT_OF(chances); k++) {
            int64_t wait_us = backoff_us(1, values[i], values[i], chances[k]);
            assert_true(wait_us <= before_us && wait_us <= values[i]);
            assert_true(wait_us >= values[i] - values[i] / 4);
            before_us = wait_us;
        }
        assert_true(before_us <= values[i] - values[i] / 4 + values[i] / 1000000);
    }
    assert_int_equal(backoff_us(1, 1000000, 1000000, 0x80000000), 875000);
    assert_int_equal(backoff_us(3, 1000000, 9000000, 0x80000000), 3500000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_doubles_up_to_the_longest),
        cmocka_unit_test(test_chance_takes_up_to_a_quarter),
    };
    return cmocka_run_group_tests_name("backoff", tests, NULL, NULL);
}
