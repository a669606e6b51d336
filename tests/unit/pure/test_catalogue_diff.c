/* Which catalogues are believed, when they are read, and what is said of changes. */
#include "base/own.h"
#include "rules/catalogue_diff.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* ---- what a list is worth ---- */

static void test_judge(void **state)
{
    static const struct {
        const char *what;
        struct catalogue_facts facts;
        enum catalogue_verdict verdict;
    } cases[] = {
        {"the first one", {.rows = 1}, CATALOGUE_BELIEVED},
        {"nothing at all", {.known = 5, .missing = 5}, CATALOGUE_EMPTY},
        {"bad rows alone", {.bad_rows = 9, .known = 5, .missing = 5}, CATALOGUE_EMPTY},
        {"a first one of bad rows", {.bad_rows = 9}, CATALOGUE_EMPTY},
        {"some bad rows", {.rows = 9, .bad_rows = 9, .known = 9}, CATALOGUE_BELIEVED},
        {"more bad rows than good", {.rows = 9, .bad_rows = 10, .known = 9}, CATALOGUE_BROKEN},
        {"half is missing", {.rows = 50, .known = 100, .missing = 50}, CATALOGUE_BELIEVED},
        {"more than half", {.rows = 49, .known = 100, .missing = 51}, CATALOGUE_SHRUNK},
        {"of an odd number", {.rows = 50, .known = 101, .missing = 51}, CATALOGUE_SHRUNK},
        {"as many others", {.rows = 900, .known = 100, .missing = 100}, CATALOGUE_SHRUNK},
        {"few are known", {.rows = 1, .known = 9, .missing = 9}, CATALOGUE_BELIEVED},
        {"few more", {.rows = 1, .known = 10, .missing = 9}, CATALOGUE_SHRUNK},
        {"again, but at once",
         {.rows = 1, .known = 10, .missing = 9, .doubted = true, .doubted_ago_s = 299},
         CATALOGUE_SHRUNK},
        {"again, later",
         {.rows = 1, .known = 10, .missing = 9, .doubted = true, .doubted_ago_s = 300},
         CATALOGUE_BELIEVED},
        {"later, and it was not doubted",
         {.rows = 1, .known = 10, .missing = 9, .doubted_ago_s = 3000},
         CATALOGUE_SHRUNK},
        {"doubt does not make nothing something",
         {.known = 10, .missing = 10, .doubted = true, .doubted_ago_s = 3000},
         CATALOGUE_EMPTY},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (catalogue_judge(&cases[i].facts) != cases[i].verdict)
            fail_msg("%s: %d", cases[i].what, catalogue_judge(&cases[i].facts));
}

static void check_fault(enum catalogue_verdict verdict, const char *wanted, bool is_doubt)
{
    const struct catalogue_facts facts = {.rows = 2, .bad_rows = 3, .known = 30, .missing = 28};
    OWN(text_done) struct text text = {0};

    catalogue_describe_fault(&text, verdict, &facts);
    assert_string_equal(text_string(&text), wanted);
    assert_int_equal(catalogue_fault_is_doubt(text_string(&text)), is_doubt);
}

static void test_faults(void **state)
{
    (void)state;
    check_fault(CATALOGUE_BELIEVED, "", false);
    check_fault(CATALOGUE_EMPTY, "it lists no service that can be read", false);
    check_fault(CATALOGUE_BROKEN, "3 of its 5 rows name no service", false);
    check_fault(CATALOGUE_SHRUNK,
                "it lacks 28 of the 30 known services, and is believed when it still does in 5 min",
                true);
    assert_false(catalogue_fault_is_doubt("HTTP 200 with an HTML page"));
}

static int decode(const char *body, struct reply *ret_reply)
{
    const struct api_request request = {.action = ACTION_SERVICES};
    const struct reply_bytes bytes = {.http_status = 200, .body = body, .body_bytes = strlen(body)};

    return reply_decode(&request, &bytes, ret_reply);
}

static void check_repeats(const char *body, const char *wanted, size_t dropped)
{
    OWN(reply_done) struct reply reply = {0};
    OWN(text_done) struct text got = {0};
    size_t count = 99;

    assert_int_equal(decode(body, &reply), 0);
    assert_int_equal(catalogue_drop_repeats(&reply, &count), 0);
    for (size_t i = 0; i < reply.service_count; i++)
        text_format(&got, "%s%s=%s", i ? " " : "", reply.services[i].service,
                    reply.services[i].name);
    assert_string_equal(text_string(&got), wanted);
    assert_int_equal(count, dropped);
}

static void test_repeats(void **state)
{
    (void)state;
    check_repeats("[]", "", 0);
    check_repeats("[{\"service\":1,\"name\":\"a\"}]", "1=a", 0);
    check_repeats("[{\"service\":3,\"name\":\"a\"},{\"service\":1,\"name\":\"b\"},"
                  "{\"service\":\"3\",\"name\":\"c\"},{\"service\":2,\"name\":\"d\"},"
                  "{\"service\":3,\"name\":\"e\"},{\"service\":2,\"name\":\"f\"}]",
                  "3=a 1=b 2=d", 3);
}

/* ---- when one is read ---- */

#define HOUR 3600
#define AGES(interval, read, tried) .interval_s = interval, .read_ago_s = read, .tried_ago_s = tried

static void test_wait(void **state)
{
    static const struct {
        const char *what;
        struct catalogue_timing timing;
        int64_t wait_s;
    } cases[] = {
        {"never read", {AGES(HOUR, -1, -1)}, 0},
        {"never read, the ledger knows a try", {AGES(HOUR, -1, 5)}, 0},
        {"just read", {AGES(HOUR, 0, 0)}, HOUR},
        {"in half an hour", {AGES(HOUR, 1800, 1800)}, 1800},
        {"overdue", {AGES(HOUR, 5000, 5000)}, 0},
        {"read in the future, by another clock", {AGES(HOUR, -5, -5)}, 0},
        {"failed once", {AGES(HOUR, 9999, 10), .failed = true, .failures = 1}, 50},
        {"failed before a restart", {AGES(HOUR, 9999, 10), .failed = true}, 50},
        {"failed thrice", {AGES(HOUR, 9999, 0), .failed = true, .failures = 3}, 240},
        {"failed for days", {AGES(HOUR, 9999, 0), .failed = true, .failures = 4000}, HOUR},
        {"an interval below the back-off's",
         {AGES(60, 9999, 0), .failed = true, .failures = 4000},
         60},
        {"an interval of a week", {AGES(7 * 86400, 9999, 0), .failed = true, .failures = 99}, HOUR},
        {"never read, and failed", {AGES(HOUR, -1, 20), .failed = true, .failures = 1}, 40},
        {"doubted", {AGES(HOUR, 9999, 0), .failed = true, .failures = 1, .doubted = true}, 300},
        {"doubted often",
         {AGES(HOUR, 9999, 0), .failed = true, .failures = 5, .doubted = true},
         960},
        {"an order was refused", {AGES(HOUR, 600, 600), .refused = true}, 0},
        {"soon after it was read", {AGES(HOUR, 100, 100), .refused = true}, 200},
        {"and again", {AGES(HOUR, 100, 100), .refused = true, .refusals = 1}, 500},
        {"and again and again",
         {AGES(HOUR, 100, 100), .refused = true, .refusals = 60},
         HOUR - 100},
        {"refused, when it is due anyway", {AGES(HOUR, HOUR, 5), .refused = true}, 0},
        {"refused, while it cannot be read",
         {AGES(HOUR, 9999, 10), .failed = true, .failures = 9, .refused = true},
         290},
        {"wanted", {AGES(HOUR, 600, 600), .wanted = true}, 0},
        {"wanted, when it was tried just now", {AGES(HOUR, 3, 3), .wanted = true}, 7},
        {"wanted, while it cannot be read",
         {AGES(HOUR, 9999, 60), .failed = true, .failures = 9, .wanted = true},
         0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (catalogue_wait_s(&cases[i].timing) != cases[i].wait_s)
            fail_msg("%s: %lld", cases[i].what, (long long)catalogue_wait_s(&cases[i].timing));
}

/* Looked at every 30 s, from a start with an empty ledger. */
static unsigned count_readings(int64_t seconds, int64_t works_from_s, bool is_refused)
{
    struct catalogue_timing timing = {.interval_s = HOUR, .read_ago_s = -1, .tried_ago_s = -1};
    unsigned readings = 0;

    for (int64_t now_s = 0; now_s < seconds; now_s += 30) {
        timing.refused = is_refused;
        if (catalogue_wait_s(&timing) == 0) {
            readings++;
            timing.failed = now_s < works_from_s;
            timing.failures = timing.failed ? timing.failures + 1 : 0;
            timing.refusals += is_refused;
            timing.tried_ago_s = 0;
            if (!timing.failed)
                timing.read_ago_s = 0;
        }
        timing.tried_ago_s += 30;
        timing.read_ago_s += timing.read_ago_s >= 0 ? 30 : 0;
    }
    return readings;
}

static void test_a_day(void **state)
{
    (void)state;
    assert_int_equal(count_readings(86400, 0, false), 24);
    /* 60, 120, 240 ... 1920 s, then hourly. */
    assert_int_equal(count_readings(86400, 86400, false), 29);
    /* Orders for a service that is listed and refused: 600, 1200, 2400 s, then hourly. */
    assert_int_equal(count_readings(86400, 0, true), 26);
}

/* ---- what is said ---- */

static void test_words(void **state)
{
    static const char *const words[] = {"new",  "gone", "back",     "price",  "min",       "max",
                                        "name", "type", "category", "refill", "product_id"};
    enum catalogue_change change;

    (void)state;
    assert_int_equal(COUNT_OF(words), CATALOGUE_CHANGES);
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        assert_true(catalogue_change_parse(words[i], &change));
        assert_int_equal(change, i);
    }
    assert_false(catalogue_change_parse("rate", &change));
}

static void check_description(const struct catalogue_news *news, enum catalogue_change change,
                              const char *wanted)
{
    OWN(text_done) struct text text = {0};

    catalogue_describe(&text, news, change);
    assert_string_equal(text_string(&text), wanted);
}

static void check_rest(const struct catalogue_news *news, const char *wanted)
{
    OWN(text_done) struct text text = {0};

    catalogue_describe_rest(&text, news);
    assert_string_equal(text_string(&text), wanted);
}

static void test_descriptions(void **state)
{
    struct catalogue_news news = {0};

    (void)state;
    check_rest(&news, "");
    catalogue_news_add(&news, CHANGE_PRICE, "3", "Likes — fast", "0.35", "0.40");
    check_description(&news, CHANGE_PRICE, "service 3 \"Likes — fast\" (0.35 -> 0.40)");
    catalogue_news_add(&news, CHANGE_PRICE, "4", "line\nend", NULL, "1");
    catalogue_news_add(&news, CHANGE_PRICE, "5", "", "1.5", NULL);
    check_description(&news, CHANGE_PRICE,
                      "3 services: 3 \"Likes — fast\" (0.35 -> 0.40), 4 \"line?end\" (none -> 1), "
                      "5 \"\" (1.5 -> none)");
    catalogue_news_add(&news, CHANGE_PRICE, "6", "not told", "1", "2");
    catalogue_news_count(&news, CHANGE_PRICE, 1196);
    check_description(&news, CHANGE_PRICE,
                      "1200 services, among them 3 \"Likes — fast\" (0.35 -> 0.40), 4 \"line?end\" "
                      "(none -> 1), 5 \"\" (1.5 -> none)");
    check_rest(&news, "");
    catalogue_news_add(&news, CHANGE_GONE, "7", "Gone", NULL, NULL);
    check_description(&news, CHANGE_GONE, "service 7 \"Gone\"");
    catalogue_news_add(&news, CHANGE_NAME, "8", "b", "a", "b");
    catalogue_news_count(&news, CHANGE_NEW, 12);
    catalogue_news_count(&news, CHANGE_BACK, 1);
    check_rest(&news, "12 new services, 1 service listed again, 1 other name");
}

static void test_long_words(void **state)
{
    struct catalogue_news news = {0};
    char name[1000], id[65], amount[60];
    OWN(text_done) struct text text = {0};

    (void)state;
    memset(name, 'n', sizeof name - 1);
    memset(id, '1', sizeof id - 1);
    memset(amount, '9', sizeof amount - 1);
    name[sizeof name - 1] = id[sizeof id - 1] = amount[sizeof amount - 1] = '\0';
    catalogue_news_add(&news, CHANGE_PRICE, id, name, amount, amount);
    catalogue_describe(&text, &news, CHANGE_PRICE);
    assert_true(text.length < 300);
    assert_true(strstr(text_string(&text), "...)") != NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_judge),        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_repeats),      cmocka_unit_test(test_wait),
        cmocka_unit_test(test_a_day),        cmocka_unit_test(test_words),
        cmocka_unit_test(test_descriptions), cmocka_unit_test(test_long_words),
    };

    return cmocka_run_group_tests_name("catalogue_diff", tests, NULL, NULL);
}
