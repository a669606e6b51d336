/* The line that `systemctl status` shows. */
#include "jobs/pulse.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct line_case {
    struct pulse pulse;
    struct pulse_sum sum;
    bool stopping;
    const char *last_error, *expected;
};

static void test_line(void **state)
{
    static const struct line_case cases[] = {
        {.last_error = "", .expected = "working; on the wire 0, open 0, uncertain 0; bought 7"},
        {.pulse = {.known = true, .queued = 12, .uncertain = 3},
         .sum = {.on_the_wire = 2, .used = 41, .limit = 60, .open = 1000},
         .last_error = "",
         .expected = "working; queued 12, on the wire 2, open 1000, uncertain 3, budget 41/60 a "
                     "minute; bought 7"},
        {.pulse = {.known = true},
         .stopping = true,
         .last_error = "database: gone",
         .expected = "finishing; queued 0, on the wire 0, open 0, uncertain 0; bought 7; database: "
                     "gone"},
    };
    char line[400];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct workshop workshop = {.stopping = cases[i].stopping, .counts = {.bought = 7}};
        struct pulse pulse = cases[i].pulse;

        snprintf(workshop.last_error, sizeof workshop.last_error, "%s", cases[i].last_error);
        pulse.workshop = &workshop;
        pulse_line(&pulse, &cases[i].sum, line, sizeof line);
        assert_string_equal(line, cases[i].expected);
    }
}

static void test_balances(void **state)
{
    static const struct provider_config first = {.name = (char *)(uintptr_t) "one"},
                                        second = {.name = (char *)(uintptr_t) "two"};
    const struct account accounts[] = {{.config = &first, .balance = "12.50", .currency = "USD"},
                                       {.config = &second},
                                       {.config = &second, .balance = "3", .balance_low = true},
                                       {.config = &second,
                                        .balance = "0.1",
                                        .currency = "EUR",
                                        .balance_low = true,
                                        .out_of_funds = true}};
    struct workshop workshop = {0};
    struct pulse pulse = {.workshop = &workshop};
    struct pulse_sum sum = {0};
    char line[400];

    (void)state;
    pulse_add_balance(&sum, &accounts[0], true);
    assert_string_equal(sum.balances, "12.50 USD");
    pulse_line(&pulse, &sum, line, sizeof line);
    assert_string_equal(line,
                        "working; on the wire 0, open 0, uncertain 0, balance 12.50 USD; bought 0");
    sum.balances[0] = '\0';
    for (size_t i = 0; i < COUNT_OF(accounts); i++)
        pulse_add_balance(&sum, &accounts[i], false);
    assert_string_equal(sum.balances, "one 12.50 USD, two 3 (low), two 0.1 EUR (out of funds)");
    for (size_t i = 0; i < 100; i++)
        pulse_add_balance(&sum, &accounts[0], false);
    assert_int_equal(strlen(sum.balances), sizeof sum.balances - 1);
}

/* What does not fit is cut, not written beyond the end. */
static void test_long_error(void **state)
{
    struct workshop workshop = {0};
    struct pulse pulse = {.workshop = &workshop};
    struct pulse_sum sum = {0};
    char line[100];

    (void)state;
    memset(workshop.last_error, 'x', sizeof workshop.last_error - 1);
    pulse_line(&pulse, &sum, line, sizeof line);
    assert_int_equal(strlen(line), sizeof line - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line),
        cmocka_unit_test(test_balances),
        cmocka_unit_test(test_long_error),
    };

    return cmocka_run_group_tests_name("pulse", tests, NULL, NULL);
}
