#include "base/own.h"
#include "wire/request.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void assert_body(const struct api_request *request, const char *key, const char *wanted)
{
    OWN(text_done) struct text body = {0};
    api_request_encode(request, key, &body);
    assert_false(body.failed);
    assert_string_equal(text_string(&body), wanted);
}

static void test_actions(void **state)
{
    (void)state;
    static const char *const one[] = {"12"}, *const three[] = {"1", "a-2", "3"};
    static const struct {
        enum api_action action;
        const char *const *ids;
        size_t id_count;
        const char *name, *body;
    } cases[ACTION_COUNT] = {
        {ACTION_PING, NULL, 0, "ping", "key=k&action=ping"},
        {ACTION_SERVICES, NULL, 0, "services", "key=k&action=services"},
        {ACTION_BALANCE, NULL, 0, "balance", "key=k&action=balance"},
        {ACTION_ADD, NULL, 0, "add", "key=k&action=add"},
        {ACTION_STATUS, one, 1, "status", "key=k&action=status&order=12"},
        {ACTION_MULTI_STATUS, three, 3, "status", "key=k&action=status&orders=1%2Ca-2%2C3"},
        {ACTION_REFILL, one, 1, "refill", "key=k&action=refill&order=12"},
        {ACTION_REFILL_STATUS, one, 1, "refill_status", "key=k&action=refill_status&refill=12"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct api_request request = {
            .action = cases[i].action, .ids = cases[i].ids, .id_count = cases[i].id_count};
        assert_string_equal(api_action_name(cases[i].action), cases[i].name);
        assert_body(&request, "k", cases[i].body);
    }
    struct api_request one_of_many = {.action = ACTION_MULTI_STATUS, .ids = one, .id_count = 1};
    assert_body(&one_of_many, "k", "key=k&action=status&orders=12");
}

static void test_ping_without_key(void **state)
{
    (void)state;
    assert_body(&(struct api_request){.action = ACTION_PING}, NULL, "action=ping");
}

static void test_add(void **state)
{
    (void)state;
    const struct parameter parameters[] = {
        {"service", "IG-FOLLOWERS-REAL"},
        {"link", "https://example.test/p?a=1&b=2#c"},
        {"runs", NULL},
        {"quantity", "100"},
        {"comments", "first one\r\nsecond \xF0\x9F\x98\x80"},
        {"answer number", ""},
    };
    struct api_request request = {
        .action = ACTION_ADD, .parameters = parameters, .parameter_count = COUNT_OF(parameters)};
    assert_body(&request, "CHW-A B+C",
                "key=CHW-A+B%2BC&action=add&service=IG-FOLLOWERS-REAL"
                "&link=https%3A%2F%2Fexample.test%2Fp%3Fa%3D1%26b%3D2%23c&quantity=100"
                "&comments=first+one%0D%0Asecond+%F0%9F%98%80&answer+number=");
}

/* The body is allocated once: a key is never left behind in memory that grew away. */
static void test_one_allocation(void **state)
{
    (void)state;
    char ids[MULTI_STATUS_MAX][65];
    const char *pointers[MULTI_STATUS_MAX];
    for (size_t i = 0; i < MULTI_STATUS_MAX; i++) {
        memset(ids[i], '%', 64);
        ids[i][64] = '\0';
        pointers[i] = ids[i];
    }
    char value[3000];
    memset(value, '\n', sizeof value);
    value[sizeof value - 1] = '\0';
    const struct parameter parameters[] = {{"&&&&", value}, {"comments", value}};
    struct api_request request = {.action = ACTION_MULTI_STATUS,
                                  .parameters = parameters,
                                  .parameter_count = COUNT_OF(parameters),
                                  .ids = pointers,
                                  .id_count = MULTI_STATUS_MAX};
    OWN(text_done) struct text body = {0};
    api_request_encode(&request, value, &body);
    assert_false(body.failed);
    /* Growing would have doubled the first size, which is never beyond three bytes for each given
     * one. */
    assert_in_range(body.size, body.length + 1,
                    3 * (64 + 3 * 3000 + 16 + 65 * MULTI_STATUS_MAX) + 1);
    size_t separators = 0;
    for (size_t i = 0; i < body.length; i++)
        separators += body.bytes[i] == '&';
    assert_int_equal(separators, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_actions),
        cmocka_unit_test(test_ping_without_key),
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_one_allocation),
    };
    return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
