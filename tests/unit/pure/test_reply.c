/* Replies of tests/replies/ against what is wanted of them, and what needs bytes that no text file
 * shows well. */
#include "base/own.h"
#include "base/text.h"
#include "wire/reply.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define REPLIES_LINES 57
#define MORE_LINES 326

static const char *const outcome_names[] = {
    [REPLY_ACCEPTED] = "accepted",
    [REPLY_STATUS] = "status",
    [REPLY_STATUSES] = "statuses",
    [REPLY_SERVICES] = "services",
    [REPLY_NO_CATALOGUE] = "not a catalogue",
    [REPLY_BALANCE] = "balance",
    [REPLY_REFILL] = "refill",
    [REPLY_REFILL_STATUS] = "refill status",
    [REPLY_PONG] = "pong",
    [REPLY_REFUSED] = "refused",
    [REPLY_NOT_EXECUTED] = "not executed",
    [REPLY_UNKNOWN] = "unknown",
};

static struct json_object *member(struct json_object *object, const char *key)
{
    return json_object_object_get(object, key);
}

static const char *string_member(struct json_object *object, const char *key)
{
    return json_object_get_string(member(object, key));
}

/* NULL and "" are both "absent" in a reply; in the files null is. */
static void assert_text(const char *got, struct json_object *wanted)
{
    if (!wanted) {
        assert_true(!got || got[0] == '\0');
        return;
    }
    assert_non_null(got);
    assert_string_equal(got, json_object_get_string(wanted));
}

static void assert_count(bool has, int64_t got, struct json_object *wanted)
{
    assert_int_equal(has, wanted != NULL);
    if (wanted)
        assert_int_equal(got, json_object_get_int64(wanted));
}

static void check_order(const struct reply_order *order, struct json_object *want)
{
    json_object_object_foreach(want, key, wanted)
    {
        if (strcmp(key, "error") == 0)
            assert_text(order->error, wanted);
        else if (strcmp(key, "class") == 0)
            assert_string_equal(error_class_name(order->error_class),
                                json_object_get_string(wanted));
        else if (strcmp(key, "status") == 0)
            assert_text(order_status_name(order->status), wanted);
        else if (strcmp(key, "word") == 0)
            assert_text(order->status_word, wanted);
        else if (strcmp(key, "charge") == 0)
            assert_text(order->charge, wanted);
        else if (strcmp(key, "currency") == 0)
            assert_text(order->currency, wanted);
        else if (strcmp(key, "remains") == 0)
            assert_count(order->has_remains, order->remains, wanted);
        else if (strcmp(key, "start_count") == 0)
            assert_count(order->has_start_count, order->start_count, wanted);
        else
            fail_msg("unknown wish %s", key);
    }
    if (!member(want, "error"))
        assert_null(order->error);
}

static void check_orders(const struct reply *reply, struct json_object *want)
{
    assert_int_equal(reply->order_count, json_object_object_length(want));
    for (size_t i = 0; i < reply->order_count; i++) {
        struct json_object *order = member(want, reply->orders[i].id);
        assert_non_null(order);
        check_order(&reply->orders[i], order);
    }
}

static void check_service(const struct reply_service *service, const char *key,
                          struct json_object *wanted)
{
    if (strcmp(key, "service") == 0)
        assert_text(service->service, wanted);
    else if (strcmp(key, "name") == 0)
        assert_text(service->name, wanted);
    else if (strcmp(key, "type") == 0)
        assert_text(service->type, wanted);
    else if (strcmp(key, "category") == 0)
        assert_text(service->category, wanted);
    else if (strcmp(key, "product_id") == 0)
        assert_text(service->product_id, wanted);
    else if (strcmp(key, "rate") == 0)
        assert_text(service->rate, wanted);
    else if (strcmp(key, "min") == 0)
        assert_text(service->min, wanted);
    else if (strcmp(key, "max") == 0)
        assert_text(service->max, wanted);
    else if (strcmp(key, "refill") == 0)
        assert_int_equal(service->refill, json_object_get_boolean(wanted));
    else
        fail_msg("unknown wish %s", key);
}

static void check_wish(const struct reply *reply, const char *key, struct json_object *wanted)
{
    if (strcmp(key, "outcome") == 0)
        assert_string_equal(outcome_names[reply->outcome], json_object_get_string(wanted));
    else if (strcmp(key, "class") == 0)
        assert_string_equal(error_class_name(reply->class), json_object_get_string(wanted));
    else if (strcmp(key, "error") == 0)
        assert_text(reply->error, wanted);
    else if (strcmp(key, "id") == 0)
        assert_text(reply->id, wanted);
    else if (strcmp(key, "retry_after") == 0)
        assert_int_equal(reply->retry_after_s, wanted ? json_object_get_int64(wanted) : -1);
    else if (strcmp(key, "limit") == 0)
        assert_int_equal(reply->limit, json_object_get_int64(wanted));
    else if (strcmp(key, "limit_period") == 0)
        assert_int_equal(reply->limit_period_s, json_object_get_int64(wanted));
    else if (strcmp(key, "amount") == 0)
        assert_text(reply->balance, wanted);
    else if (strcmp(key, "currency") == 0)
        assert_text(reply->currency, wanted);
    else if (strcmp(key, "status") == 0)
        assert_text(order_status_name(reply->refill_status), wanted);
    else if (strcmp(key, "word") == 0)
        assert_text(reply->refill_status_word, wanted);
    else if (strcmp(key, "count") == 0)
        assert_int_equal(reply->service_count, json_object_get_int64(wanted));
    else if (strcmp(key, "bad_rows") == 0)
        assert_int_equal(reply->bad_rows, json_object_get_int64(wanted));
    else if (strcmp(key, "order") == 0 && reply->order_count == 1)
        check_order(&reply->orders[0], wanted);
    else if (strcmp(key, "orders") == 0)
        check_orders(reply, wanted);
    else if (reply->outcome == REPLY_SERVICES && reply->service_count > 0)
        check_service(&reply->services[0], key, wanted);
    else if (strcmp(key, "note") != 0)
        fail_msg("unknown wish %s", key);
}

static bool is_failure(enum reply_outcome outcome)
{
    return outcome == REPLY_UNKNOWN || outcome == REPLY_REFUSED || outcome == REPLY_NOT_EXECUTED ||
           outcome == REPLY_NO_CATALOGUE;
}

static void check_reply(const struct reply *reply, struct json_object *want)
{
    json_object_object_foreach(want, key, wanted) check_wish(reply, key, wanted);
    if (is_failure(reply->outcome)) {
        assert_non_null(reply->error);
        assert_null(reply->id);
    }
    if (!member(want, "bad_rows"))
        assert_int_equal(reply->bad_rows, 0);
    if (!member(want, "retry_after"))
        assert_int_equal(reply->retry_after_s, -1);
}

static enum api_action action_of(const char *name)
{
    if (strcmp(name, "orders") == 0)
        return ACTION_MULTI_STATUS;
    enum api_action action = ACTION_PING;
    while (strcmp(api_action_name(action), name) != 0)
        action++;
    return action;
}

/* "hex" holds a body whose bytes are no text. */
static char *body_of(struct json_object *line, size_t *ret_bytes)
{
    const char *hex = string_member(line, "hex");
    if (!hex) {
        *ret_bytes = (size_t)json_object_get_string_len(member(line, "body"));
        return strdup(string_member(line, "body"));
    }
    *ret_bytes = strlen(hex) / 2;
    char *body = calloc(1, *ret_bytes + 1);
    for (size_t i = 0; i < *ret_bytes; i++) {
        unsigned byte = 0;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        body[i] = (char)byte;
    }
    return body;
}

static void check_line(struct json_object *line)
{
    const char *asked = string_member(line, "asked");
    struct json_object *count = member(line, "n");
    struct api_request request = {.action = action_of(string_member(line, "action"))};
    request.id_count = request.action == ACTION_MULTI_STATUS ? 3 : 1;
    if (count)
        request.id_count = (size_t)json_object_get_int(count);
    if (asked)
        request.ids = &asked;
    struct reply_bytes bytes = {.http_status = json_object_get_int(member(line, "http")),
                                .now_s = json_object_get_int64(member(line, "now"))};
    struct json_object *headers = member(line, "headers");
    if (headers)
        bytes.retry_after = string_member(headers, "Retry-After");
    char *body = body_of(line, &bytes.body_bytes);
    bytes.body = body;
    struct reply reply;
    assert_int_equal(reply_decode(&request, &bytes, &reply), 0);
    check_reply(&reply, member(line, "want"));
    reply_done(&reply);
    free(body);
}

static void check_file(const char *path, size_t wanted_lines)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char *text = NULL;
    size_t size = 0, lines = 0;
    while (getline(&text, &size, file) > 0) {
        struct json_object *line = json_tokener_parse(text);
        assert_non_null(line);
        print_message("%s:%zu %s\n", path, ++lines, string_member(line, "expect"));
        check_line(line);
        json_object_put(line);
    }
    free(text);
    fclose(file);
    assert_int_equal(lines, wanted_lines);
}

static void test_replies(void **state)
{
    (void)state;
    check_file("tests/replies/replies.jsonl", REPLIES_LINES);
}

static void test_more_replies(void **state)
{
    (void)state;
    check_file("tests/replies/more.jsonl", MORE_LINES);
}

static struct reply decode(enum api_action action, long http_status, const char *body)
{
    struct api_request request = {.action = action, .id_count = 1};
    struct reply_bytes bytes = {
        .http_status = http_status, .body = body, .body_bytes = body ? strlen(body) : 0};
    struct reply reply;
    assert_int_equal(reply_decode(&request, &bytes, &reply), 0);
    return reply;
}

static void assert_outcome(const char *body, enum reply_outcome wanted)
{
    struct reply reply = decode(ACTION_ADD, 200, body);
    assert_string_equal(outcome_names[reply.outcome], outcome_names[wanted]);
    reply_done(&reply);
}

static void test_no_body_at_all(void **state)
{
    (void)state;
    assert_outcome(NULL, REPLY_UNKNOWN);
}

static void test_depth(void **state)
{
    (void)state;
    enum { DEPTH = 100000 };
    char *body = malloc(DEPTH + 1);
    assert_non_null(body);
    memset(body, '[', DEPTH);
    body[DEPTH] = '\0';
    assert_outcome(body, REPLY_UNKNOWN);
    memcpy(body, "x", 1);
    assert_outcome(body, REPLY_UNKNOWN);
    free(body);
}

/* An answer behind more than 64 KiB of text, or behind many brackets, is not looked for. */
static void test_junk_is_bounded(void **state)
{
    (void)state;
    enum { JUNK = 70000 };
    static const char answer[] = "{\"order\":5}";
    char *body = malloc(JUNK + sizeof answer);
    assert_non_null(body);
    memset(body, 'x', JUNK);
    memcpy(body + JUNK, answer, sizeof answer);
    assert_outcome(body, REPLY_UNKNOWN);
    assert_outcome(body + JUNK - 1000, REPLY_ACCEPTED);
    assert_outcome("x [a [b [c [d [e [f [g {\"order\":5}", REPLY_ACCEPTED);
    assert_outcome("x [a [b [c [d [e [f [g [h {\"order\":5}", REPLY_UNKNOWN);
    free(body);
}

/* Of any length, in its order, behind junk and without. */
static void test_a_long_catalogue(void **state)
{
    (void)state;
    static const char *const fronts[] = {"", "<br>Deprecated: "};
    for (size_t front = 0; front < COUNT_OF(fronts); front++) {
        OWN(text_done) struct text body = {0};
        text_format(&body, "%s[", fronts[front]);
        for (int i = 1; i <= 1000; i++)
            text_format(&body, "%s{\"service\":%d,\"name\":\"Name %d\",\"rate\":\"0.%03d\"}",
                        i > 1 ? "," : "", i, i, i % 1000);
        text_add(&body, ",{\"name\":\"no id\"}]");
        struct reply reply = decode(ACTION_SERVICES, 200, text_string(&body));
        assert_int_equal(reply.outcome, REPLY_SERVICES);
        assert_int_equal(reply.service_count, 1000);
        assert_int_equal(reply.bad_rows, 1);
        for (int i = 1; i <= 1000; i++) {
            const struct reply_service *service = &reply.services[i - 1];
            char wanted[32];
            snprintf(wanted, sizeof wanted, "%d", i);
            assert_string_equal(service->service, wanted);
            snprintf(wanted, sizeof wanted, "Name %d", i);
            assert_string_equal(service->name, wanted);
            snprintf(wanted, sizeof wanted, "0.%03d", i % 1000);
            assert_string_equal(service->rate, wanted);
            assert_string_equal(service->category, "");
            assert_null(service->product_id);
        }
        reply_done(&reply);
    }
}

static void test_id_length(void **state)
{
    (void)state;
    char body[128];
    snprintf(body, sizeof body, "{\"order\":\"%064d\"}", 7);
    assert_outcome(body, REPLY_ACCEPTED);
    snprintf(body, sizeof body, "{\"order\":\"%065d\"}", 7);
    assert_outcome(body, REPLY_UNKNOWN);
}

static void test_status_words(void **state)
{
    (void)state;
    static const struct {
        const char *word;
        enum order_status status;
    } cases[] = {
        {"Pending", ORDER_STATUS_PENDING},
        {"Processing", ORDER_STATUS_IN_PROGRESS},
        {"In progress", ORDER_STATUS_IN_PROGRESS},
        {"Inprogress", ORDER_STATUS_IN_PROGRESS},
        {"In_Progress", ORDER_STATUS_IN_PROGRESS},
        {"in-progress", ORDER_STATUS_IN_PROGRESS},
        {"Active", ORDER_STATUS_IN_PROGRESS},
        {"Awaiting", ORDER_STATUS_PENDING},
        {"Completed", ORDER_STATUS_COMPLETED},
        {"COMPLETED ", ORDER_STATUS_COMPLETED},
        {"Partial", ORDER_STATUS_PARTIAL},
        {"Canceled", ORDER_STATUS_CANCELED},
        {"Cancelled", ORDER_STATUS_CANCELED},
        {"Refunded", ORDER_STATUS_REFUNDED},
        {"Fail", ORDER_STATUS_FAILED},
        {"Failed", ORDER_STATUS_FAILED},
        {"Error", ORDER_STATUS_FAILED},
        {"Paused", ORDER_STATUS_PENDING},
        {"Expired", ORDER_STATUS_FAILED},
        {"Success", ORDER_STATUS_COMPLETED},
        {"Refill", ORDER_STATUS_IN_PROGRESS},
        {"Completedd", ORDER_STATUS_UNKNOWN},
        {"Complete", ORDER_STATUS_UNKNOWN},
        {"", ORDER_STATUS_UNKNOWN},
        {"a word that is longer than any word of a status could ever be", ORDER_STATUS_UNKNOWN},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_string_equal(order_status_name(order_status_parse(cases[i].word)),
                            order_status_name(cases[i].status));
}

static void test_done_twice(void **state)
{
    (void)state;
    struct reply reply = decode(ACTION_ADD, 503, "<html>");
    assert_string_equal(reply.error, "HTTP 503 with an HTML page");
    reply_done(&reply);
    reply_done(&reply);
    assert_null(reply.error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies),          cmocka_unit_test(test_more_replies),
        cmocka_unit_test(test_no_body_at_all),   cmocka_unit_test(test_depth),
        cmocka_unit_test(test_junk_is_bounded),  cmocka_unit_test(test_id_length),
        cmocka_unit_test(test_a_long_catalogue), cmocka_unit_test(test_status_words),
        cmocka_unit_test(test_done_twice),
    };
    return cmocka_run_group_tests_name("reply", tests, NULL, NULL);
}
