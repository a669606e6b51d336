/* Refills: how a request can end, what a status word means, when it is asked about again. */
#include "base/own.h"
#include "rules/refill.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_outcomes(void **state)
{
    static const struct {
        enum reply_outcome outcome;
        enum error_class class;
        const char *id;
        enum refill_outcome expected;
    } cases[] = {
        {REPLY_REFILL, ERROR_NONE, "7", REFILL_ACCEPTED},
        {REPLY_REFILL, ERROR_NONE, "", REFILL_UNKNOWN},
        {REPLY_REFILL, ERROR_NONE, NULL, REFILL_UNKNOWN},
        {REPLY_NOT_EXECUTED, ERROR_RATE, NULL, REFILL_NOT_EXECUTED},
        {REPLY_NOT_EXECUTED, ERROR_ENDPOINT, NULL, REFILL_NOT_EXECUTED},
        {REPLY_REFUSED, ERROR_NONE, NULL, REFILL_UNKNOWN},
        {REPLY_REFUSED, ERROR_KEY, NULL, REFILL_NOT_EXECUTED},
        {REPLY_REFUSED, ERROR_FUNDS, NULL, REFILL_REFUSED},
        {REPLY_REFUSED, ERROR_RATE, NULL, REFILL_NOT_EXECUTED},
        {REPLY_REFUSED, ERROR_SERVICE, NULL, REFILL_REFUSED},
        {REPLY_REFUSED, ERROR_PARAMETERS, NULL, REFILL_REFUSED},
        {REPLY_REFUSED, ERROR_DUPLICATE, NULL, REFILL_REFUSED},
        {REPLY_REFUSED, ERROR_ORDER, NULL, REFILL_REFUSED},
        {REPLY_REFUSED, ERROR_REFILL, NULL, REFILL_REFUSED},
        {REPLY_REFUSED, ERROR_REQUEST, NULL, REFILL_REFUSED},
        {REPLY_REFUSED, ERROR_ENDPOINT, NULL, REFILL_NOT_EXECUTED},
        {REPLY_REFUSED, ERROR_SERVER, NULL, REFILL_UNKNOWN},
        {REPLY_REFUSED, ERROR_OTHER, NULL, REFILL_REFUSED},
        {REPLY_REFUSED, (enum error_class)77, NULL, REFILL_UNKNOWN},
        {REPLY_ACCEPTED, ERROR_NONE, "7", REFILL_UNKNOWN},
        {REPLY_STATUS, ERROR_NONE, NULL, REFILL_UNKNOWN},
        {REPLY_REFILL_STATUS, ERROR_NONE, NULL, REFILL_UNKNOWN},
        {REPLY_UNKNOWN, ERROR_SERVER, NULL, REFILL_UNKNOWN},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct reply reply = {
            .outcome = cases[i].outcome, .class = cases[i].class, .id = cases[i].id};
        assert_int_equal(refill_outcome_of(true, &reply), cases[i].expected);
        assert_int_equal(refill_outcome_of(false, &reply), REFILL_NOT_EXECUTED);
    }
    assert_int_equal(refill_outcome_of(true, NULL), REFILL_UNKNOWN);
    assert_int_equal(refill_outcome_of(false, NULL), REFILL_NOT_EXECUTED);
}

static void test_states(void **state)
{
    static const struct {
        enum order_status status;
        const char *name;
        bool final;
    } cases[] = {
        {ORDER_STATUS_UNKNOWN, NULL, false},
        {ORDER_STATUS_PENDING, "pending", false},
        {ORDER_STATUS_IN_PROGRESS, "in_progress", false},
        {ORDER_STATUS_COMPLETED, "completed", true},
        {ORDER_STATUS_PARTIAL, NULL, false},
        {ORDER_STATUS_CANCELED, "canceled", true},
        {ORDER_STATUS_REFUNDED, NULL, false},
        {ORDER_STATUS_FAILED, "rejected", true},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const char *name = refill_state_name(cases[i].status);
        if (!cases[i].name) {
            assert_null(name);
            continue;
        }
        assert_string_equal(name, cases[i].name);
        assert_int_equal(refill_state_is_final(name), cases[i].final);
    }
}

static void test_waits(void **state)
{
    static const struct {
        int64_t age_s, open;
        unsigned per_day;
        int64_t expected_s;
    } cases[] = {
        {0, 1, 5000, 300},
        {-5, 1, 0, 300},
        {600, 1, 5000, 600},
        {20000, 3, 5000, 20000},
        {100000, 1, 5000, 21600},
        {604800, 1, 5000, 21600},
        {604801, 1, 5000, 86400},
        {0, 50, 5000, 8640},
        {0, 50, 0, 300},
        {0, 1000, 5000, 172800},
        {0, 100000, 5000, 604800},
        {700000, 10, 5000, 86400},
        {700000, 1000, 5000, 172800},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_int_equal(refill_wait_s(cases[i].age_s, cases[i].open, cases[i].per_day),
                         cases[i].expected_s);
}

/* Whatever their number, they take a tenth of the day at the most. */
static void test_share(void **state)
{
    (void)state;
    for (int64_t open = 1; open < 3000; open += 7)
        assert_true(open * 86400 / refill_wait_s(0, open, 5000) <= 500 || open < 2);
}

/* A refill that takes a day costs about ten questions. */
static void test_cost_of_one(void **state)
{
    int questions = 0;
    (void)state;
    for (int64_t age_s = 300; age_s < 86400; age_s += refill_wait_s(age_s, 1, 5000))
        questions++;
    assert_in_range(questions, 8, 11);
}

static void test_waits_after_errors(void **state)
{
    static const int64_t expected_s[] = {300,  300,   600,   1200,  2400,  4800,
                                         9600, 19200, 38400, 76800, 86400, 86400};
    (void)state;
    for (unsigned i = 0; i < COUNT_OF(expected_s); i++)
        assert_int_equal(refill_error_wait_s(i), expected_s[i]);
    assert_int_equal(refill_error_wait_s(4000000000), 86400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outcomes),    cmocka_unit_test(test_states),
        cmocka_unit_test(test_waits),       cmocka_unit_test(test_share),
        cmocka_unit_test(test_cost_of_one), cmocka_unit_test(test_waits_after_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
