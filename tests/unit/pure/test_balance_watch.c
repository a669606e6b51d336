/* When the balance is asked for, and when orders go on. */
#include "rules/balance_watch.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])
#define DAY_S 86400

static void test_waits(void **state)
{
    static const struct {
        struct balance_facts facts;
        int64_t wait_s;
        enum balance_reason reason;
    } cases[] = {
        {{0}, 0, BALANCE_NEVER_TOLD},
        {{.out_of_funds = true}, 0, BALANCE_NEVER_TOLD},
        {{.told = true}, 6 * 3600, BALANCE_OLD},
        {{.told = true, .told_ago_s = 3600}, 5 * 3600, BALANCE_OLD},
        {{.told = true, .told_ago_s = 6 * 3600}, 0, BALANCE_OLD},
        {{.told = true, .told_ago_s = 100 * DAY_S}, 0, BALANCE_OLD},
        {{.told = true, .told_ago_s = 3599, .used = true}, 1, BALANCE_USED},
        {{.told = true, .told_ago_s = 3600, .used = true}, 0, BALANCE_USED},
        {{.told = true, .told_ago_s = 100, .used = true, .spent = true}, 200, BALANCE_SPENT},
        {{.told = true, .told_ago_s = 300, .used = true, .spent = true}, 0, BALANCE_SPENT},
        {{.told = true, .told_ago_s = 299, .spent = true, .low = true}, 1, BALANCE_LOW},
        {{.told = true, .told_ago_s = 10, .low = true, .out_of_funds = true}, 20, BALANCE_FUNDS},
        {{.told = true, .told_ago_s = 30, .out_of_funds = true}, 0, BALANCE_FUNDS},
        {{.told = true, .told_ago_s = 2, .out_of_funds = true, .refused = true}, 0, BALANCE_FUNDS},
        {{.told = true, .told_ago_s = 2, .refused = true}, 6 * 3600 - 2, BALANCE_OLD},
        /* A clock that was set back makes nobody wait longer than for a new answer. */
        {{.told = true, .told_ago_s = -4000, .out_of_funds = true}, 30, BALANCE_FUNDS},
        /* Failures are spaced, whatever is wanted. */
        {{.failures = 1}, 30, BALANCE_NEVER_TOLD},
        {{.failures = 1, .tried_ago_s = 30}, 0, BALANCE_NEVER_TOLD},
        {{.failures = 2, .tried_ago_s = 10}, 50, BALANCE_NEVER_TOLD},
        {{.failures = 8}, 3600, BALANCE_NEVER_TOLD},
        {{.failures = 4000000000u}, 3600, BALANCE_NEVER_TOLD},
        {{.told = true, .told_ago_s = 100, .out_of_funds = true, .failures = 3, .tried_ago_s = 20},
         100,
         BALANCE_FUNDS},
        {{.told = true, .out_of_funds = true, .failures = 9}, 120, BALANCE_FUNDS},
        {{.told = true, .told_ago_s = 100, .used = true, .failures = 1, .tried_ago_s = 90},
         3500,
         BALANCE_USED},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        enum balance_reason reason = BALANCE_OLD;

        assert_int_equal(balance_wait_s(&cases[i].facts, &reason), cases[i].wait_s);
        assert_int_equal(reason, cases[i].reason);
    }
}

/* Requests of a day in which the facts stay as they are but for the age of the answer. */
static unsigned requests_of_a_day(struct balance_facts facts, bool answered)
{
    unsigned count = 0;
    enum balance_reason reason;

    for (int64_t now_s = 0; now_s < DAY_S; now_s++) {
        if (balance_wait_s(&facts, &reason) == 0) {
            count++;
            facts.told = facts.told || answered;
            facts.told_ago_s = answered ? 0 : facts.told_ago_s;
            facts.failures += !answered;
            facts.tried_ago_s = 0;
        }
        facts.told_ago_s++;
        facts.tried_ago_s++;
    }
    return count;
}

static void test_days(void **state)
{
    (void)state;
    assert_int_equal(requests_of_a_day((struct balance_facts){0}, true), 4);
    assert_int_equal(requests_of_a_day((struct balance_facts){.told = true}, true), 3);
    assert_int_equal(requests_of_a_day((struct balance_facts){.used = true}, true), 24);
    assert_int_equal(requests_of_a_day((struct balance_facts){.spent = true}, true), 288);
    assert_int_equal(requests_of_a_day((struct balance_facts){.out_of_funds = true}, true), 2880);
    assert_int_equal(requests_of_a_day((struct balance_facts){0}, false), 30);
}

static void test_going_on(void **state)
{
    static const struct {
        struct balance_news news;
        bool goes_on;
    } cases[] = {
        {{0}, false},
        {{.rose = true}, true},
        {{.rose = true, .tried = true}, true},
        {{.reaches = true}, true},
        {{.reaches = true, .tried = true}, false},
        {{.tried = true}, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_int_equal(balance_lets_go_on(&cases[i].news), cases[i].goes_on);
    assert_int_equal(balance_probe_s(false), 30);
    assert_int_equal(balance_probe_s(true), 900);
}

static void test_texts(void **state)
{
    (void)state;
    for (int reason = 0; reason < BALANCE_REASON_COUNT; reason++)
        assert_true(strlen(balance_reason_text((enum balance_reason)reason)) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waits),
        cmocka_unit_test(test_days),
        cmocka_unit_test(test_going_on),
        cmocka_unit_test(test_texts),
    };

    return cmocka_run_group_tests_name("balance watch", tests, NULL, NULL);
}
