/* The same account knows the ids with the same facts; one order of somebody else's is enough to
 * doubt. */
#include "rules/account_match.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define NONE INT64_MIN

static void test_compare(void **state)
{
    static const struct {
        const char *what;
        struct account_facts known, told;
        bool lessened;
        enum account_sight wanted;
    } cases[] = {
        {"nothing is known", {NULL, NULL, NONE}, {"1.5", "USD", 7}, false, SIGHT_BARE},
        {"nothing is told", {"1.5", "USD", 7}, {"", NULL, NONE}, false, SIGHT_BARE},
        {"the charge", {"1.5", "USD", NONE}, {"1.50", "USD", NONE}, false, SIGHT_AGREES},
        {"a whole charge", {"2", NULL, NONE}, {"2.000", NULL, NONE}, false, SIGHT_AGREES},
        {"100 is not 1", {"100", NULL, NONE}, {"1", NULL, NONE}, false, SIGHT_DIFFERS},
        {"100.0 is 100", {"100.0", NULL, NONE}, {"100", NULL, NONE}, false, SIGHT_AGREES},
        {"the last digit",
         {"0.08011655652", NULL, NONE},
         {"0.08011655651", NULL, NONE},
         false,
         SIGHT_DIFFERS},
        {"taken off", {"1.5", NULL, NONE}, {"0.5", NULL, NONE}, true, SIGHT_BARE},
        {"taken off, the count agrees", {"1.5", NULL, 70}, {"0.5", NULL, 70}, true, SIGHT_AGREES},
        {"the count", {NULL, NULL, 70}, {NULL, NULL, 71}, false, SIGHT_DIFFERS},
        {"not counted yet", {NULL, NULL, 70}, {NULL, NULL, 0}, false, SIGHT_BARE},
        {"another currency", {"1.5", "USD", 70}, {"1.5", "EUR", 70}, false, SIGHT_DIFFERS},
        {"the count agrees, the charge does not",
         {"1.5", NULL, 70},
         {"1.7", NULL, 70},
         false,
         SIGHT_DIFFERS},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum account_sight got =
            account_compare(&cases[i].known, &cases[i].told, cases[i].lessened);

        if (got != cases[i].wanted)
            print_error("%s: %d, wanted %d\n", cases[i].what, got, cases[i].wanted);
        assert_int_equal(got, cases[i].wanted);
    }
}

/* One letter an id: s silent, n not known, b bare, a agrees, d differs. */
static void test_match(void **state)
{
    static const char letters[] = "snbad";
    static const struct {
        const char *ids;
        enum account_match wanted;
    } cases[] = {
        {"a", ACCOUNT_SAME},     {"aaaa", ACCOUNT_SAME}, {"aabb", ACCOUNT_SAME},
        {"b", ACCOUNT_SAME},     {"bb", ACCOUNT_SAME},   {"an", ACCOUNT_SAME},
        {"ann", ACCOUNT_OTHER},  {"abnn", ACCOUNT_SAME}, {"bn", ACCOUNT_OTHER},
        {"n", ACCOUNT_OTHER},    {"nnn", ACCOUNT_OTHER}, {"aaad", ACCOUNT_OTHER},
        {"d", ACCOUNT_OTHER},    {"s", ACCOUNT_UNCLEAR}, {"sn", ACCOUNT_UNCLEAR},
        {"sb", ACCOUNT_UNCLEAR}, {"sa", ACCOUNT_SAME},   {"sd", ACCOUNT_OTHER},
        {"", ACCOUNT_OTHER},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum account_sight sights[8];
        size_t count = strlen(cases[i].ids);

        for (size_t j = 0; j < count; j++)
            sights[j] = (enum account_sight)(strchr(letters, cases[i].ids[j]) - letters);
        if (account_match(sights, count) != cases[i].wanted)
            print_error("%s\n", cases[i].ids);
        assert_int_equal(account_match(sights, count), cases[i].wanted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_compare),
                                       cmocka_unit_test(test_match)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
