/* Durations, moments, wrapped fields and tables read well in 80 columns. */
#include "base/own.h"
#include "commands/output.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void durations_are_human(void **state)
{
    static const struct {
        int64_t seconds;
        const char *expected;
    } cases[] = {
        {-5, "0 s"},     {0, "0 s"},        {1, "1 s"},          {119, "119 s"},
        {120, "2 min"},  {7199, "119 min"}, {7200, "2 h 0 min"}, {35999, "9 h 59 min"},
        {36000, "10 h"}, {172799, "47 h"},  {172800, "2 days"},  {86400 * 400, "400 days"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char duration[DURATION_SIZE];
        output_duration(cases[i].seconds, duration);
        assert_string_equal(duration, cases[i].expected);
    }
}

static void moments_say_how_far(void **state)
{
    const int64_t now_s = 1795336200; /* 2026-11-22 08:30:00 UTC */
    static const struct {
        int64_t offset_s;
        const char *relation, *until;
    } cases[] = {
        {0, "now", "for 0 s, until 08:30:00"},
        {180, "in 3 min (08:33:00)", "for 3 min, until 08:33:00"},
        {-180, "3 min ago (08:27:00)", NULL},
        {86400, "in 24 h (2026-11-23 08:30)", "for 24 h, until 2026-11-23 08:30"},
    };
    char text[RELATION_SIZE];
    (void)state;
    setenv("TZ", "UTC", 1);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        output_relation(now_s + cases[i].offset_s, now_s, text);
        assert_string_equal(text, cases[i].relation);
        if (cases[i].until) {
            output_until(now_s + cases[i].offset_s, now_s, text);
            assert_string_equal(text, cases[i].until);
        }
    }
    output_relation(INT64_MAX, now_s, text);
    assert_string_equal(text, "until somebody does something");
}

/* What `print` wrote. Owned by the caller. */
static char *printed(void (*print)(FILE *stream))
{
    char *bytes = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&bytes, &size);
    assert_non_null(stream);
    print(stream);
    fclose(stream);
    return bytes;
}

static void print_words(FILE *stream)
{
    output_field(stream, "  label", 70, "nine char nine char");
}
static void print_long_word(FILE *stream)
{
    output_field(stream, "", 74, "abcdefghijkl");
}
static void print_foreign(FILE *stream)
{
    output_field(stream, "", 74, "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f \x1b[31m");
}
static void print_wide(FILE *stream)
{
    output_field(stream, "⭐", 74, "⭐⭐ 你 ❤️❤ 😍éée");
}
static void print_empty(FILE *stream)
{
    output_field(stream, "x", 4, "");
}

static void fields_are_wrapped(void **state)
{
    static const struct {
        void (*print)(FILE *stream);
        const char *expected;
    } cases[] = {
        {print_words, "  label%63snine char\n%70snine char\n%s"},
        {print_long_word, "%74sabcdef\n%74sghijkl\n%s"},
        {print_foreign, "%74säöüß\n%74s?[31m\n%s"},
        {print_wide, "⭐%72s⭐⭐\n%74s你 ❤️❤\n%74s😍éée\n"},
        {print_empty, "x   \n%s%s%s"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char expected[400];
        char *got = printed(cases[i].print);
        snprintf(expected, sizeof expected, cases[i].expected, "", "", "");
        assert_string_equal(got, expected);
        free(got);
    }
}

static void print_table(FILE *stream)
{
    static const struct table_column columns[] = {
        {"Name", false, true}, {"Number", true, false}, {"Remark", false, true}};
    struct table table = {.columns = columns, .column_count = 3};
    table_add(&table, "short");
    table_add(&table, "7");
    table_add(&table, NULL);
    table_add(&table, "a name of which much has to be left away, as it is so very long");
    table_add(&table, "1234567");
    table_add(&table, "and a remark that is long as well, ünïcode included, for good measure");
    table_add(&table, "⭐ Followers ⭐");
    table_add(&table, "1");
    table_add(&table, "😍😍😍😍😍😍😍😍😍😍😍😍😍😍😍😍😍😍😍😍");
    table_print(&table, 0, stream);
    table_done(&table);
}

static void tables_fit(void **state)
{
    char *got = printed(print_table);
    (void)state;
    assert_string_equal(
        got, "Name                                  Number  Remark\n"
             "short                                      7  -\n"
             "a name of which much has to be l...  1234567  and a remark that is long as we...\n"
             "⭐ Followers ⭐                            1  😍😍😍😍😍😍😍😍😍😍😍😍😍😍😍...\n");
    free(got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_human),
        cmocka_unit_test(moments_say_how_far),
        cmocka_unit_test(fields_are_wrapped),
        cmocka_unit_test(tables_fit),
    };
    return cmocka_run_group_tests_name("output", tests, NULL, NULL);
}
