#include "base/own.h"
#include "base/text.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_grows(void **state)
{
    (void)state;
    OWN(text_done) struct text text = {0};
    assert_string_equal(text_string(&text), "");
    text_clear(&text);
    assert_string_equal(text_string(&text), "");
    for (int i = 0; i < 1000; i++) {
        text_add(&text, "ab");
        text_add_char(&text, 'c');
        assert_int_equal(text.bytes[text.length], '\0');
    }
    assert_int_equal(text.length, 3000);
    assert_memory_equal(text.bytes + 2994, "abcabc", 7);
    text_add_bytes(&text, "x\0y", 3);
    assert_memory_equal(text.bytes + 3000, "x\0y", 4);
    text_clear(&text);
    assert_string_equal(text_string(&text), "");
    text_add_bytes(&text, NULL, 0);
    text_format(&text, "%d %s", 7, "seven");
    text_format(&text, "%0200d", 1);
    assert_int_equal(text.length, 207);
    assert_memory_equal(text.bytes, "7 seven000", 10);
    text_done(&text);
    assert_null(text.bytes);
    assert_int_equal(text.size, 0);
}

static void test_reserve_keeps_the_place(void **state)
{
    (void)state;
    OWN(text_done) struct text text = {0};
    text_add(&text, "secret");
    text_reserve(&text, 5000);
    const char *place = text.bytes;
    for (int i = 0; i < 5000; i++)
        text_add_char(&text, 'x');
    assert_ptr_equal(text.bytes, place);
    assert_memory_equal(text.bytes, "secretx", 7);
}

static void test_out_of_memory_is_remembered(void **state)
{
    (void)state;
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 2};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        OWN(text_done) struct text text = {0};
        text_add(&text, "kept");
        text_reserve(&text, sizes[i]);
        assert_true(text.failed);
        text_add(&text, "not added");
        text_format(&text, "%d", 1);
        text_add_form(&text, "x", 1);
        assert_string_equal(text_string(&text), "kept");
        text_clear(&text);
        assert_false(text.failed);
        text_add_form(&text, "x", sizes[i] / 2);
        assert_true(text.failed);
    }
}

static void test_form(void **state)
{
    (void)state;
    static const struct {
        const char *plain, *form;
    } cases[] = {
        {"", ""},
        {"azAZ09-._~", "azAZ09-._~"},
        {"a b&c=d", "a+b%26c%3Dd"},
        {"+%,/:", "%2B%25%2C%2F%3A"},
        {"one\r\ntwo", "one%0D%0Atwo"},
        {"\xC3\xA9\xF0\x9F\x98\x80", "%C3%A9%F0%9F%98%80"},
        {"\x01\x7F\xFF[`{@", "%01%7F%FF%5B%60%7B%40"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        OWN(text_done) struct text text = {0};
        text_add_form(&text, cases[i].plain, strlen(cases[i].plain));
        assert_string_equal(text_string(&text), cases[i].form);
        assert_int_equal(text.length, strlen(cases[i].form));
    }
    OWN(text_done) struct text text = {0};
    text_add_form(&text, "a\0b", 3);
    assert_string_equal(text_string(&text), "a%00b");
}

static void test_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t count;
        bool valid;
    } cases[] = {
        {"", 0, true},
        {"plain", 5, true},
        {"0123456789abcdef!", 17, true},
        {"01234567\x80", 9, false},
        {"0123456\xC3\xA9", 9, true},
        {"a\0b", 3, false},
        {"0123\0"
         "567",
         8, false},
        {"\xC2\x80", 2, true},
        {"\xC3", 1, false},
        {"\xC3(", 2, false},
        {"\x80", 1, false},
        {"\xC0\x80", 2, false},
        {"\xC1\xBF", 2, false},
        {"\xE0\x9F\xBF", 3, false},
        {"\xE0\xA0\x80", 3, true},
        {"\xE2\x82", 2, false},
        {"\xE2\x82\xAC", 3, true},
        {"\xE2\x82(", 3, false},
        {"\xED\x9F\xBF", 3, true},
        {"\xED\xA0\x80", 3, false},
        {"\xEE\x80\x80", 3, true},
        {"\xF0\x8F\xBF\xBF", 4, false},
        {"\xF0\x90\x80\x80", 4, true},
        {"\xF4\x8F\xBF\xBF", 4, true},
        {"\xF4\x90\x80\x80", 4, false},
        {"\xF5\x80\x80\x80", 4, false},
        {"\xFF", 1, false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_int_equal(text_is_utf8(cases[i].bytes, cases[i].count), cases[i].valid);
    assert_int_equal(text_utf8_length("", 0), 0);
    assert_int_equal(text_utf8_length("\xE2\x82\xACx", 4), 3);
}

static void test_distance(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        unsigned distance;
    } cases[] = {
        {"", "", 0},
        {"", "abc", 3},
        {"abc", "", 3},
        {"abc", "abc", 0},
        {"timeout", "timeuot", 1},
        {"ab", "ba", 1},
        {"kitten", "sitting", 3},
        {"url", "uri", 1},
        {"burst", "bursts", 1},
        {"abcd", "badc", 2},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(text_distance(cases[i].a, cases[i].b), cases[i].distance);
        assert_int_equal(text_distance(cases[i].b, cases[i].a), cases[i].distance);
    }
    char left[100], right[100];
    memset(left, 'x', sizeof left);
    memset(right, 'x', sizeof right);
    left[99] = right[99] = '\0';
    right[70] = 'y';
    assert_int_equal(text_distance(left, right), 0);
    right[63] = 'y';
    assert_int_equal(text_distance(left, right), 1);
    assert_int_equal(text_distance(left, ""), 64);
}

static void test_one_line(void **state)
{
    (void)state;
    static const struct {
        const char *string;
        size_t size;
        const char *line;
    } cases[] = {
        {"plain", 32, "plain"},
        {"plain", 6, "plain"},
        {"plain", 5, "p..."},
        {"plain", 4, "..."},
        {"plain", 3, ".."},
        {"plain", 1, ""},
        {"", 8, ""},
        {"a\nb\tc\x1B[0m\x7F", 32, "a?b?c?[0m?"},
        {"\xC2\x9B"
         "31m\xC2\xA0.",
         32, "?31m\xC2\xA0."},
        {"a\xFFz\xE2\x82", 32, "a?z??"},
        {"\xE2\x80\xA8|\xE2\x80\xAE|\xE2\x81\xA6|\xE2\x81\xA9", 32, "?|?|?|?"},
        {"\xE2\x80\xA7|\xE2\x80\xAF|\xE2\x81\xA5|\xE2\x81\xAA|\xE2\x82\xAC|\xE3\x80\xA8", 64,
         "\xE2\x80\xA7|\xE2\x80\xAF|\xE2\x81\xA5|\xE2\x81\xAA|\xE2\x82\xAC|\xE3\x80\xA8"},
        {"\xF0\x9F\x98\x80", 32, "\xF0\x9F\x98\x80"},
        {"ab\xC3\xA9"
         "defgh",
         8, "ab\xC3\xA9..."},
        {"abc\xC3\xA9"
         "efgh",
         8, "abc..."},
        {"abcd\xC3\xA9"
         "fgh",
         8, "abcd..."},
        {"abcdef\xC3\xA9", 8, "abcd..."},
        {"abcde\xC3\xA9", 8, "abcde\xC3\xA9"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char line[64];
        text_one_line(line, cases[i].size, cases[i].string);
        assert_string_equal(line, cases[i].line);
    }
    char untouched = 'x';
    text_one_line(&untouched, 0, "plain");
    assert_int_equal(untouched, 'x');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grows),
        cmocka_unit_test(test_reserve_keeps_the_place),
        cmocka_unit_test(test_out_of_memory_is_remembered),
        cmocka_unit_test(test_form),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_distance),
        cmocka_unit_test(test_one_line),
    };
    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
