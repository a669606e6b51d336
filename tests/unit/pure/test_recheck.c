/* Looks after the end: their distances, what they cost, and when they leave alone. */
#include "base/own.h"
#include "rules/recheck.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define DAY_S 86400

static void test_distances(void **state)
{
    static const struct {
        const char *state;
        int64_t age_s;
        unsigned days;
        int64_t expected_s;
    } cases[] = {
        {"completed", 0, 30, 3600},
        {"completed", -3, 30, 3603},
        {"completed", 3600, 30, 5 * 3600},
        {"completed", 5400, 30, 21600 - 5400},
        {"completed", 20000, 30, DAY_S - 20000}, /* the one after 6 h would follow at once */
        {"completed", 6 * 3600, 30, 18 * 3600},
        {"partial", DAY_S, 30, 2 * DAY_S},
        {"partial", 3 * DAY_S, 30, 4 * DAY_S},
        {"completed", 7 * DAY_S, 30, 7 * DAY_S},
        {"completed", 14 * DAY_S, 30, 16 * DAY_S},
        {"completed", 30 * DAY_S, 30, -1},
        {"completed", 30 * DAY_S, 60, 30 * DAY_S},
        {"completed", 240 * DAY_S, 365, 125 * DAY_S},
        {"completed", 365 * DAY_S, 365, -1},
        {"completed", 14 * DAY_S, 29, -1},
        {"completed", 0, 0, -1},
        {"completed", 0, 1, 3600},
        {"completed", DAY_S, 1, -1},
        {"canceled", 0, 30, DAY_S},
        {"refunded", DAY_S, 30, 6 * DAY_S},
        {"failed", 7 * DAY_S, 30, 23 * DAY_S},
        {"failed", 30 * DAY_S, 30, -1},
        {"failed", 0, 0, -1},
        {"canceled", 365 * DAY_S, 365, -1},
        {"canceled", 120 * DAY_S, 365, 245 * DAY_S},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_int_equal(recheck_wait_s(cases[i].state, cases[i].age_s, cases[i].days),
                         cases[i].expected_s);
}

/* Each look may come half an hour late, and waits for its answer. */
static void test_number_of_looks(void **state)
{
    static const struct {
        const char *state;
        unsigned days, expected;
    } cases[] = {{"completed", 30, 7}, {"canceled", 30, 3}, {"completed", 7, 5}, {"partial", 0, 0}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        for (int64_t late_s = 0; late_s <= 1800; late_s += 1800) {
            int64_t age_s = 0, wait_s;
            unsigned looks = 0;
            while ((wait_s = recheck_wait_s(cases[i].state, age_s, cases[i].days)) >= 0) {
                age_s += wait_s + late_s;
                looks++;
            }
            assert_int_equal(looks, cases[i].expected);
        }
}

static void test_what_is_worth_a_request(void **state)
{
    (void)state;
    assert_false(recheck_is_worth(0, 100, 100000));
    assert_false(recheck_is_worth(99, 100, 1799));
    assert_true(recheck_is_worth(100, 100, 0));
    assert_true(recheck_is_worth(50, 50, 0));
    assert_true(recheck_is_worth(1, 100, 1800));
}

static void test_spacing(void **state)
{
    (void)state;
    assert_int_equal(recheck_spacing_s(0), 10);
    assert_int_equal(recheck_spacing_s(5000), 345);
    assert_int_equal(recheck_spacing_s(100), 17280);
    assert_int_equal(recheck_spacing_s(10000000), 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distances),
        cmocka_unit_test(test_number_of_looks),
        cmocka_unit_test(test_what_is_worth_a_request),
        cmocka_unit_test(test_spacing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
