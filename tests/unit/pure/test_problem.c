/* What an operator reads: text and hint, cut to their room between characters. */
#include "base/problem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_text_and_hint(void **state)
{
    struct problem problem;
    (void)state;
    problem_set(&problem, "line %d: %s", 7, "no such setting");
    assert_string_equal(problem.text, "line 7: no such setting");
    assert_string_equal(problem.hint, "");
    problem_hint(&problem, "did you mean %s?", "timeout");
    assert_string_equal(problem.hint, "did you mean timeout?");
    assert_string_equal(problem.text, "line 7: no such setting");
    /* Another problem has not the hint of the one before. */
    problem_set(&problem, "nothing");
    assert_string_equal(problem.hint, "");
}

/* One to four bytes a character, at each place in the last bytes that have room. */
static void test_a_cut_leaves_whole_characters(void **state)
{
    static const char *const characters[] = {"a", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x99\x82"};
    struct problem problem;
    (void)state;
    for (size_t i = 0; i < 4; i++)
        for (size_t before = 0; before < 4; before++) {
            char text[sizeof problem.text + 64] = "";
            memset(text, 'x', before);
            while (strlen(text) < sizeof problem.text + 8)
                strcat(text, characters[i]);
            problem_set(&problem, "%s", text);
            problem_hint(&problem, "%s", text);
            size_t room = sizeof problem.text - 1, hint_room = sizeof problem.hint - 1;
            assert_int_equal(strlen(problem.text), room - (room - before) % (i + 1));
            assert_int_equal(strlen(problem.hint), hint_room - (hint_room - before) % (i + 1));
            assert_memory_equal(problem.text, text, strlen(problem.text));
            assert_memory_equal(problem.hint, text, strlen(problem.hint));
        }
}

/* What fits to the last byte is not cut. */
static void test_the_longest_that_fits(void **state)
{
    struct problem problem;
    char text[sizeof problem.text] = "";
    (void)state;
    memset(text, 'x', sizeof text - 3);
    strcat(text, "\xC3\xA9");
    problem_set(&problem, "%s", text);
    assert_string_equal(problem.text, text);
    problem_set(&problem, "%0600d", 1);
    assert_int_equal(strlen(problem.text), sizeof problem.text - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_and_hint),
        cmocka_unit_test(test_a_cut_leaves_whole_characters),
        cmocka_unit_test(test_the_longest_that_fits),
    };
    return cmocka_run_group_tests_name("problem", tests, NULL, NULL);
}
