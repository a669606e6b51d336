#include "base/own.h"
#include "rules/error_class.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_texts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum error_class class;
    } cases[] = {
        {"API key is required.", ERROR_KEY},
        {"Invalid API key.", ERROR_KEY},
        {"API key is blocked.", ERROR_KEY},
        {"invalid_key", ERROR_KEY},
        {"Your account has been suspended", ERROR_KEY},
        {"IP not allowed", ERROR_KEY},
        {"Your IP (192.0.2.1) is not allowed.", ERROR_KEY},
        {"Unauthorized", ERROR_KEY},
        {"Insufficient balance.", ERROR_FUNDS},
        {"Insufficient balance, please top up and try again", ERROR_FUNDS},
        {"Not enough funds on balance", ERROR_FUNDS},
        {"neworder.error.not_enough_funds", ERROR_FUNDS},
        {"NOT ENOUGH FUNDS", ERROR_FUNDS},
        {"Rate limit exceeded: max 60 requests per minute.", ERROR_RATE},
        {"rate_limit", ERROR_RATE},
        {"Too many requests, try again later", ERROR_RATE},
        {"Service not found or disabled.", ERROR_SERVICE},
        {"Incorrect service ID", ERROR_SERVICE},
        {"error.incorrect_service_id", ERROR_SERVICE},
        {"Service is disabled", ERROR_SERVICE},
        {"Minimum quantity for this service is 100.", ERROR_PARAMETERS},
        {"Maximum quantity for this service is 100.", ERROR_PARAMETERS},
        {"Quantity less than minimal 10", ERROR_PARAMETERS},
        {"Invalid order quantity", ERROR_PARAMETERS},
        {"Bad link", ERROR_PARAMETERS},
        {"Invalid link for this service", ERROR_PARAMETERS},
        {"Comments field is required", ERROR_PARAMETERS},
        {"Invalid keywords", ERROR_PARAMETERS},
        {"Duplicate comments are not allowed", ERROR_PARAMETERS},
        {"Invalid Interval in minutes", ERROR_PARAMETERS},
        {"neworder.error.min_posts", ERROR_PARAMETERS},
        {"You have active order with this link. Please wait until order being completed.",
         ERROR_DUPLICATE},
        {"neworder.error.link_duplicate", ERROR_DUPLICATE},
        {"There is already an order for this link", ERROR_DUPLICATE},
        {"Incorrect order ID", ERROR_ORDER},
        {"Order not found", ERROR_ORDER},
        {"Order Not found", ERROR_ORDER},
        {"Order doesn't exist", ERROR_ORDER},
        {"Refill not found", ERROR_REFILL},
        {"Order is not eligible for refill", ERROR_REFILL},
        {"Already requested", ERROR_REFILL},
        {"Refill is not available for this service", ERROR_REFILL},
        {"Maximum 100 IDs per request", ERROR_REQUEST},
        {"Too many order IDs", ERROR_REQUEST},
        {"No route was found matching the URL and request method.", ERROR_ENDPOINT},
        {"rest_no_route", ERROR_ENDPOINT},
        {"Internal error", ERROR_SERVER},
        {"Internal Server Error: rate limit", ERROR_SERVER},
        {"We are under maintenance!", ERROR_SERVER},
        {"Something went wrong, please try again", ERROR_SERVER},
        {"Service temporarily unavailable", ERROR_SERVER},
        {"503 Service Unavailable", ERROR_SERVER},
        {"Connection timed out", ERROR_SERVER},
        {"cURL error 7: Failed to connect", ERROR_SERVER},
        {"No route to host", ERROR_SERVER},
        {"Please try again later", ERROR_SERVER},
        {"Incorrect request", ERROR_OTHER},
        {"Daily order limit exceeded", ERROR_OTHER},
        {"The rate has changed", ERROR_OTHER},
        {"Monkey business", ERROR_OTHER},
        {"Неверная услуга", ERROR_OTHER},
        {"", ERROR_OTHER},
        {"...", ERROR_OTHER},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        if (error_class_of(cases[i].text) != cases[i].class)
            print_error("text: %s\n", cases[i].text);
        assert_string_equal(error_class_name(error_class_of(cases[i].text)),
                            error_class_name(cases[i].class));
    }
}

static void test_long_text(void **state)
{
    (void)state;
    char text[5000];
    memset(text, 'x', sizeof text);
    memcpy(text, "Insufficient balance ", 21);
    text[sizeof text - 1] = '\0';
    assert_int_equal(error_class_of(text), ERROR_FUNDS);
    memset(text, 'x', 2000);
    memcpy(text + 2000, " rate limit ", 12);
    assert_int_equal(error_class_of(text), ERROR_OTHER);
}

static void test_names(void **state)
{
    (void)state;
    static const char *const names[] = {"none",       "key",       "funds", "rate",   "service",
                                        "parameters", "duplicate", "order", "refill", "request",
                                        "endpoint",   "server",    "other"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        assert_string_equal(error_class_name((enum error_class)i), names[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_long_text),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests_name("error_class", tests, NULL, NULL);
}
