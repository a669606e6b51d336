/* Every way an `add` can end: sent or not, every outcome of a reply, every class of refusal. */
#include "base/own.h"
#include "rules/add_outcome.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static enum add_outcome outcome_of(enum reply_outcome outcome, enum error_class class,
                                   const char *id, bool other_live_order)
{
    struct reply reply = {.outcome = outcome, .class = class, .id = id, .error = "words"};
    return add_outcome_of(true, &reply, other_live_order);
}

static void test_refusals(void **state)
{
    static const struct {
        enum error_class class;
        enum add_outcome alone, beside_another; /* without, with another live order for the link */
    } cases[] = {
        {ERROR_NONE, ADD_UNKNOWN, ADD_UNKNOWN},
        {ERROR_KEY, ADD_PUT_OFF, ADD_PUT_OFF},
        {ERROR_FUNDS, ADD_PUT_OFF, ADD_PUT_OFF},
        {ERROR_RATE, ADD_NOT_EXECUTED, ADD_NOT_EXECUTED},
        {ERROR_SERVICE, ADD_REFUSED, ADD_REFUSED},
        {ERROR_PARAMETERS, ADD_REFUSED, ADD_REFUSED},
        {ERROR_DUPLICATE, ADD_UNKNOWN, ADD_PUT_OFF},
        {ERROR_ORDER, ADD_REFUSED, ADD_REFUSED},
        {ERROR_REFILL, ADD_REFUSED, ADD_REFUSED},
        {ERROR_REQUEST, ADD_REFUSED, ADD_REFUSED},
        {ERROR_ENDPOINT, ADD_NOT_EXECUTED, ADD_NOT_EXECUTED},
        {ERROR_SERVER, ADD_UNKNOWN, ADD_UNKNOWN},
        {ERROR_OTHER, ADD_REFUSED, ADD_REFUSED},
        {(enum error_class)77, ADD_UNKNOWN, ADD_UNKNOWN},
    };
    (void)state;
    assert_int_equal(COUNT_OF(cases), ERROR_OTHER + 2);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(outcome_of(REPLY_REFUSED, cases[i].class, NULL, false), cases[i].alone);
        assert_int_equal(outcome_of(REPLY_REFUSED, cases[i].class, NULL, true),
                         cases[i].beside_another);
    }
}

static void test_replies(void **state)
{
    static const struct {
        enum reply_outcome outcome;
        const char *id;
        enum add_outcome expected;
    } cases[] = {
        {REPLY_ACCEPTED, "23501", ADD_ACCEPTED}, {REPLY_ACCEPTED, "", ADD_UNKNOWN},
        {REPLY_ACCEPTED, NULL, ADD_UNKNOWN},     {REPLY_STATUS, "1", ADD_UNKNOWN},
        {REPLY_STATUSES, NULL, ADD_UNKNOWN},     {REPLY_SERVICES, NULL, ADD_UNKNOWN},
        {REPLY_NO_CATALOGUE, NULL, ADD_UNKNOWN}, {REPLY_BALANCE, NULL, ADD_UNKNOWN},
        {REPLY_REFILL, "1", ADD_UNKNOWN},        {REPLY_REFILL_STATUS, NULL, ADD_UNKNOWN},
        {REPLY_PONG, NULL, ADD_UNKNOWN},         {REPLY_NOT_EXECUTED, NULL, ADD_NOT_EXECUTED},
        {REPLY_UNKNOWN, "23501", ADD_UNKNOWN},   {(enum reply_outcome)77, "23501", ADD_UNKNOWN},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        /* Only refusals look at the class and at the other order. */
        for (int class = ERROR_NONE; class <= ERROR_OTHER; class ++) {
            enum error_class error = (enum error_class) class;
            assert_int_equal(outcome_of(cases[i].outcome, error, cases[i].id, false),
                             cases[i].expected);
            assert_int_equal(outcome_of(cases[i].outcome, error, cases[i].id, true),
                             cases[i].expected);
        }
    }
}

static void test_without_a_reply(void **state)
{
    struct reply accepted = {.outcome = REPLY_ACCEPTED, .id = "1"};
    (void)state;
    assert_int_equal(add_outcome_of(true, NULL, false), ADD_UNKNOWN);
    assert_int_equal(add_outcome_of(true, NULL, true), ADD_UNKNOWN);
    assert_int_equal(add_outcome_of(false, NULL, false), ADD_NOT_EXECUTED);
    assert_int_equal(add_outcome_of(false, NULL, true), ADD_NOT_EXECUTED);
    assert_int_equal(add_outcome_of(true, &accepted, false), ADD_ACCEPTED);
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(add_outcome_name(ADD_ACCEPTED), "accepted");
    assert_string_equal(add_outcome_name(ADD_REFUSED), "refused");
    assert_string_equal(add_outcome_name(ADD_PUT_OFF), "put_off");
    assert_string_equal(add_outcome_name(ADD_NOT_EXECUTED), "not_executed");
    assert_string_equal(add_outcome_name(ADD_UNKNOWN), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_replies),
        cmocka_unit_test(test_without_a_reply),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests_name("add_outcome", tests, NULL, NULL);
}
