#include "base/decimal.h"
#include "base/own.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define THIRTY_DIGITS "123456789012345678901234567890"

static void test_amounts(void **state)
{
    (void)state;
    static const struct {
        const char *string, *decimal; /* NULL = refused */
    } cases[] = {
        {"1.5", "1.5"},
        {"60.0", "60.0"},
        {"0", "0"},
        {"007", "007"},
        {"0.08011655652", "0.08011655652"},
        {"1,234.50000", "1234.50000"},
        {"1,234", "1234"},
        {"12,345,678.9", "12345678.9"},
        {"-1,234.5", "-1234.5"},
        {"123,456", "123456"},
        {" 7 ", "7"},
        {"\t7.0\r\n", "7.0"},
        {"-0", "-0"},
        {"-12.34", "-12.34"},
        {THIRTY_DIGITS, THIRTY_DIGITS},
        {"-1." THIRTY_DIGITS, NULL},
        {"-.5", NULL},
        {"-123456789012345.123456789012345", "-123456789012345.123456789012345"},
        {"1" THIRTY_DIGITS, NULL},
        {"0.1" THIRTY_DIGITS, NULL},
        {"", NULL},
        {" ", NULL},
        {"-", NULL},
        {".", NULL},
        {".5", NULL},
        {"5.", NULL},
        {"1.2.3", NULL},
        {"+5", NULL},
        {"--5", NULL},
        {"- 5", NULL},
        {"1 000", NULL},
        {"1e5", NULL},
        {"1E-5", NULL},
        {"NaN", NULL},
        {"Infinity", NULL},
        {"0x10", NULL},
        {"$5", NULL},
        {"5 USD", NULL},
        {"1,23", NULL},
        {"0,123", NULL},
        {",123", NULL},
        {"1234,567", NULL},
        {"1,2345", NULL},
        {"1,234,", NULL},
        {"1,234,5", NULL},
        {"1,,234", NULL},
        {"1,234567", NULL},
        {"1,23x", NULL},
        {"1.234,567", NULL},
        {"1,234.567,8", NULL},
        {"1\xD9\xA0", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char decimal[DECIMAL_SIZE] = "untouched";
        bool wanted = cases[i].decimal != NULL;
        assert_int_equal(decimal_parse(cases[i].string, decimal), wanted);
        assert_string_equal(decimal, wanted ? cases[i].decimal : "untouched");
    }
}

static void test_into_itself(void **state)
{
    (void)state;
    char decimal[DECIMAL_SIZE] = " 1,234.5";
    assert_true(decimal_parse(decimal, decimal));
    assert_string_equal(decimal, "1234.5");
}

static void test_same(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        {"1.5", "1.5", true},   {"1.50", "1.5", true},   {"2.000", "2", true},
        {"0.0", "0", true},     {"10", "1", false},      {"100", "10.0", false},
        {"1.05", "1.5", false}, {"-1.50", "-1.5", true}, {"-1.5", "1.5", false},
        {"1.5", "1.51", false}, {"20", "20.0", true},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(decimal_same(cases[i].a, cases[i].b), cases[i].same);
        assert_int_equal(decimal_same(cases[i].b, cases[i].a), cases[i].same);
    }
}

static void test_integers(void **state)
{
    (void)state;
    static const struct {
        const char *string;
        bool valid;
        int64_t value;
    } cases[] = {
        {"0", true, 0},
        {"12", true, 12},
        {"-12", true, -12},
        {"+12", true, 12},
        {" 12 ", true, 12},
        {"012", true, 12},
        {"12.0", true, 12},
        {"-12.000 ", true, -12},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"", false, 0},
        {" ", false, 0},
        {"-", false, 0},
        {"- 1", false, 0},
        {"12.", false, 0},
        {".0", false, 0},
        {"12.5", false, 0},
        {"12.05", false, 0},
        {"12.0.0", false, 0},
        {"1,234", false, 0},
        {"1 2", false, 0},
        {"1e3", false, 0},
        {"0x10", false, 0},
        {"Unknown", false, 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int64_t value = 4711;
        assert_int_equal(decimal_parse_integer(cases[i].string, &value), cases[i].valid);
        assert_int_equal(value, cases[i].valid ? cases[i].value : 4711);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_amounts),
        cmocka_unit_test(test_into_itself),
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_integers),
    };
    return cmocka_run_group_tests_name("decimal", tests, NULL, NULL);
}
