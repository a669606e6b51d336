/* Figures: what a request came to, and the steps of a delay. */
#include "base/own.h"
#include "rules/figures.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_what_became_of_a_request(void **state)
{
    static const struct {
        enum reply_outcome outcome;
        enum error_class class;
        enum request_end expected;
    } cases[] = {
        {REPLY_ACCEPTED, 0, REQUEST_DONE},
        {REPLY_STATUS, 0, REQUEST_DONE},
        {REPLY_STATUSES, 0, REQUEST_DONE},
        {REPLY_SERVICES, 0, REQUEST_DONE},
        {REPLY_BALANCE, 0, REQUEST_DONE},
        {REPLY_REFILL, 0, REQUEST_DONE},
        {REPLY_REFILL_STATUS, 0, REQUEST_DONE},
        {REPLY_PONG, 0, REQUEST_DONE},
        {REPLY_REFUSED, ERROR_REQUEST, REQUEST_REFUSED},
        {REPLY_REFUSED, ERROR_RATE, REQUEST_THROTTLED},
        {REPLY_NOT_EXECUTED, ERROR_RATE, REQUEST_THROTTLED},
        {REPLY_NOT_EXECUTED, ERROR_ENDPOINT, REQUEST_NOT_EXECUTED},
        {REPLY_NO_CATALOGUE, 0, REQUEST_UNREADABLE},
        {REPLY_UNKNOWN, ERROR_SERVER, REQUEST_UNREADABLE},
    };
    struct request_counts counts = {0};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct reply reply = {.outcome = cases[i].outcome, .class = cases[i].class};

        assert_int_equal(request_end_of(true, &reply), cases[i].expected);
        assert_non_null(request_end_name(cases[i].expected));
    }
    assert_int_equal(request_end_of(true, NULL), REQUEST_NO_ANSWER);
    assert_int_equal(request_end_of(false, NULL), REQUEST_NOT_SENT);
    request_counts_note(&counts, ACTION_ADD, REQUEST_DONE);
    request_counts_note(&counts, ACTION_ADD, REQUEST_DONE);
    request_counts_note(&counts, ACTION_REFILL_STATUS, REQUEST_NOT_SENT);
    assert_int_equal(counts.ended[ACTION_ADD][REQUEST_DONE], 2);
    assert_int_equal(counts.ended[ACTION_REFILL_STATUS][REQUEST_NOT_SENT], 1);
    assert_int_equal(counts.all, 3);
}

static void test_a_delay_goes_into_the_step_that_holds_it(void **state)
{
    static const struct {
        double seconds;
        unsigned step;
    } cases[] = {{-5, 0}, {0, 0}, {1, 0}, {1.001, 1}, {60, 3}, {7200, 6}, {7201, 7}, {1e9, 7}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct told_delays delays = {0};

        told_delays_note(&delays, cases[i].seconds);
        assert_int_equal(delays.results[cases[i].step], 1);
        assert_int_equal(delays.all, 1);
        assert_true(delays.seconds[cases[i].step] >= 0);
        assert_true(cases[i].seconds <= told_step_s(cases[i].step));
    }
    for (unsigned step = 1; step < TOLD_STEPS; step++)
        assert_true(told_step_s(step) > told_step_s(step - 1));
    assert_true(isinf(told_step_s(TOLD_STEPS - 1)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_became_of_a_request),
        cmocka_unit_test(test_a_delay_goes_into_the_step_that_holds_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
