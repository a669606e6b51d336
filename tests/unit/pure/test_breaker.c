/* Five lost answers in a row open it, one order probes, any answer closes it. */
#include "rules/breaker.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define S ((int64_t)1000000)

static void test_opens_after_five(void **state)
{
    struct breaker breaker = {0};

    (void)state;
    for (int i = 0; i < 4; i++)
        assert_false(breaker_note_failure(&breaker, BREAKER_LOST, i));
    assert_false(breaker_is_open(&breaker));
    assert_true(breaker_note_failure(&breaker, BREAKER_LOST, 100));
    assert_true(breaker_is_open(&breaker));
    assert_int_equal(breaker.paused_until_us, 100 + 2 * S);
}

static void test_only_in_a_row(void **state)
{
    struct breaker breaker = {0};

    (void)state;
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 4; i++)
            assert_false(breaker_note_failure(&breaker, BREAKER_LOST, i));
        assert_false(breaker_note_answer(&breaker));
    }
    assert_false(breaker_is_open(&breaker));
}

/* Eight requests time out together: the last three do not double the pause. */
static void test_what_was_on_the_wire_does_not_double(void **state)
{
    struct breaker breaker = {0};
    int begun = 0;

    (void)state;
    for (int i = 0; i < 8; i++)
        begun += breaker_note_failure(&breaker, BREAKER_LOST, 1000 + i);
    assert_int_equal(begun, 1);
    assert_int_equal(breaker.pause_us, 2 * S);
}

static void test_doubles_to_a_minute(void **state)
{
    static const int64_t pauses_s[] = {2, 4, 8, 16, 32, 60, 60, 60};
    struct breaker breaker = {.lost = 4};
    int64_t now_us = 0;

    (void)state;
    for (size_t i = 0; i < sizeof pauses_s / sizeof pauses_s[0]; i++) {
        assert_true(breaker_note_failure(&breaker, BREAKER_LOST, now_us));
        assert_int_equal(breaker.paused_until_us - now_us, pauses_s[i] * S);
        now_us = breaker.paused_until_us;
    }
}

static void test_an_answer_closes_it(void **state)
{
    struct breaker breaker = {.lost = 4};

    (void)state;
    assert_true(breaker_note_failure(&breaker, BREAKER_LOST, 0));
    assert_true(breaker_note_answer(&breaker));
    assert_false(breaker_is_open(&breaker));
    assert_int_equal(breaker.paused_until_us, 0);
    assert_false(breaker_note_answer(&breaker));
    for (int i = 0; i < 4; i++)
        assert_false(breaker_note_failure(&breaker, BREAKER_LOST, i));
    assert_true(breaker_note_failure(&breaker, BREAKER_LOST, 9));
    assert_int_equal(breaker.pause_us, 2 * S);
}

/* Nothing is lost where nobody is reached: the first one pauses at once. */
static void test_nobody_there(void **state)
{
    static const int64_t pauses_s[] = {1, 2, 4, 8, 16, 30, 30};
    struct breaker breaker = {0};
    int64_t now_us = 0;

    (void)state;
    for (size_t i = 0; i < sizeof pauses_s / sizeof pauses_s[0]; i++) {
        assert_true(breaker_note_failure(&breaker, BREAKER_NOBODY, now_us));
        assert_int_equal(breaker.paused_until_us - now_us, pauses_s[i] * S);
        assert_false(breaker_note_failure(&breaker, BREAKER_NOBODY, now_us + 1));
        now_us = breaker.paused_until_us;
    }
    assert_int_equal(breaker_longest_us(BREAKER_NOBODY), 30 * S);
    assert_int_equal(breaker_longest_us(BREAKER_LOST), 60 * S);
}

/* Nobody there, then somebody who answers nothing: the probe's lost answer lengthens the pause. */
static void test_both(void **state)
{
    struct breaker breaker = {0};

    (void)state;
    assert_true(breaker_note_failure(&breaker, BREAKER_NOBODY, 0));
    assert_true(breaker_note_failure(&breaker, BREAKER_LOST, 1 * S));
    assert_int_equal(breaker.pause_us, 2 * S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_opens_after_five),
        cmocka_unit_test(test_only_in_a_row),
        cmocka_unit_test(test_what_was_on_the_wire_does_not_double),
        cmocka_unit_test(test_doubles_to_a_minute),
        cmocka_unit_test(test_an_answer_closes_it),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_both),
    };
    return cmocka_run_group_tests_name("breaker", tests, NULL, NULL);
}
