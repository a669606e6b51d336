/* Numbers in a statement's values read back as what they were. */
#include "store/connection.h"
#include <float.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the four above */
#include <cmocka.h>

static void reals_are_exact(void **state)
{
    static const double fixed[] = {
        0,     1,       -1,      0.1,     -0.000001,        1e-7, 1e9, 999999999.5, 123456.789012,
        1e300, -5e-324, DBL_MAX, 1.0 / 3, 1700000000.123456};
    unsigned seed = 4711;

    (void)state;
    for (size_t i = 0; i < 20000; i++) {
        struct values values = {0};
        double real = i < sizeof fixed / sizeof fixed[0]
                          ? fixed[i]
                          : ((double)rand_r(&seed) - RAND_MAX / 2) / (i % 2 ? 1e6 : 77777.7);

        values_add_real(&values, real);
        assert_true(strtod(values.bytes.bytes, NULL) == real);
        values_done(&values);
    }
}

static void integers_are_exact(void **state)
{
    static const int64_t integers[] = {0, 9, 10, -1, -10, 1234567890, INT64_MAX, INT64_MIN};

    (void)state;
    for (size_t i = 0; i < sizeof integers / sizeof integers[0]; i++) {
        struct values values = {0};
        char wanted[24];

        (void)snprintf(wanted, sizeof wanted, "%" PRId64, integers[i]);
        values_add_integer(&values, integers[i]);
        assert_string_equal(values.bytes.bytes, wanted);
        values_done(&values);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reals_are_exact),
        cmocka_unit_test(integers_are_exact),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
