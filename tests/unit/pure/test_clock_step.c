/* Whether a clock was set is told from two looks at it, however long they took. */
#include "base/own.h"
#include "rules/clock_step.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define S INT64_C(1000000)
#define HOUR (3600 * S)
#define NOW (1764000000 * S)

static void test_steps(void **state)
{
    /* The first look: asked at 100 s, told at 100 s. */
    static const struct {
        const char *name;
        int64_t asked_us, told_us; /* by our clock, of the second look */
        int64_t passed_us;         /* by the server's since the first */
        int64_t expected_us;
    } cases[] = {
        {"as ours", 160 * S, 160 * S, 60 * S, 0},
        {"drifts", 160 * S, 160 * S, 64 * S, 0},
        {"drifts back", 160 * S, 160 * S, 56 * S, 0},
        {"the least", 160 * S, 160 * S, 65 * S, 0},
        {"more than the least", 160 * S, 160 * S, 65 * S + 1, 5 * S + 1},
        {"the least, back", 160 * S, 160 * S, 55 * S, 0},
        {"more than the least, back", 160 * S, 160 * S, 55 * S - 1, -5 * S - 1},
        {"an hour", 160 * S, 160 * S, HOUR + 60 * S, HOUR},
        {"an hour back", 160 * S, 160 * S, 60 * S - HOUR, -HOUR},
        {"a month back", 160 * S, 160 * S, 60 * S - 720 * HOUR, -720 * HOUR},
        /* The server may have read its clock at once, or at the end of the wait. */
        {"a long wait", 160 * S, 250 * S, 60 * S, 0},
        {"a long wait, told late", 160 * S, 250 * S, 150 * S, 0},
        {"a long wait, and more", 160 * S, 250 * S, HOUR, HOUR - 150 * S},
        {"a long wait, and back", 160 * S, 250 * S, 60 * S - HOUR, -HOUR},
        {"at once", 100 * S, 100 * S, -HOUR, -HOUR},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct clock_look before = {NOW, 100 * S, 100 * S};
        const struct clock_look after = {NOW + cases[i].passed_us, cases[i].asked_us,
                                         cases[i].told_us};

        print_message("# %s\n", cases[i].name);
        assert_int_equal(clock_step_us(&before, &after), cases[i].expected_us);
    }
}

/* A first look that took long leaves the same doubt. */
static void test_first_look_took_long(void **state)
{
    const struct clock_look before = {NOW, 100 * S, 190 * S};
    const struct clock_look late = {NOW + 150 * S, 250 * S, 250 * S};
    const struct clock_look early = {NOW + 60 * S, 250 * S, 250 * S};
    const struct clock_look back = {NOW - HOUR, 250 * S, 250 * S};

    (void)state;
    assert_int_equal(clock_step_us(&before, &late), 0);
    assert_int_equal(clock_step_us(&before, &early), 0);
    assert_int_equal(clock_step_us(&before, &back), -HOUR - 60 * S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_first_look_took_long),
    };
    return cmocka_run_group_tests_name("clock_step", tests, NULL, NULL);
}
