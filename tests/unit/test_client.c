/* The client's budget: when a slot is taken, answered or given back, and what makes the account
 * wait. */
#include "api/client.h"
#include "base/own.h"
#include "host/clock.h"
#include "wire_server.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h needs the four above. */
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define PATIENCE_US (15 * US_PER_S)
#define OK_HEAD "HTTP/1.1 200 OK\r\n\r\n" /* the body goes on to the connection's end */

struct answer {
    unsigned calls;
    bool sent, refused_at_gate, has_reply, gate_open;
    enum reply_outcome outcome;
    char id[64];
    size_t orders;
    long http_status;
    struct problem problem;
};

struct bench {
    struct wire_server *server;
    struct transport *transport;
    struct client *client;
};

static const struct api_request balance = {.action = ACTION_BALANCE};

static void take_answer(void *userdata, const struct client_answer *answer)
{
    struct answer *taken = userdata;

    taken->calls++;
    taken->sent = answer->sent;
    taken->refused_at_gate = answer->refused_at_gate;
    taken->http_status = answer->http_status;
    taken->problem = answer->problem;
    taken->has_reply = answer->reply;
    if (!answer->reply)
        return;
    taken->outcome = answer->reply->outcome;
    taken->orders = answer->reply->order_count;
    snprintf(taken->id, sizeof taken->id, "%s", answer->reply->id ? answer->reply->id : "");
}

static bool ask_gate(void *userdata)
{
    const struct answer *answer = userdata;

    return answer->gate_open;
}

static void set_up_limited(struct bench *bench, const struct wire_step *const *scripts,
                           struct budget_limits limits)
{
    char url[64];
    struct problem problem = {.text = ""};
    struct client_options options = {
        .name = "panel",
        .key = "sekret",
        .endpoint = {.url = url, .max_in_flight = 3, .timeout_s = 1},
        .limits = limits,
    };

    bench->server = wire_server_start(scripts, NULL);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", wire_server_port(bench->server));
    assert_int_equal(transport_new(&bench->transport), 0);
    assert_int_equal(
        client_new(bench->transport, &options, clock_monotonic_us(), &bench->client, &problem), 0);
}

static void set_up(struct bench *bench, const struct wire_step *const *scripts)
{
    set_up_limited(bench, scripts,
                   (struct budget_limits){.per_minute = 60, .burst = 60, .day_rolling = true});
}

static void close_client(struct bench *bench)
{
    client_free(bench->client);
    transport_free(bench->transport);
    wire_server_stop(bench->server);
}

static void tear_down(struct bench *bench)
{
    close_client(bench);
    wire_server_free(bench->server);
}

static void await(struct bench *bench, const struct answer *answer)
{
    int64_t until_us = clock_monotonic_us() + PATIENCE_US;

    while (answer->calls == 0 && clock_monotonic_us() < until_us) {
        assert_int_equal(transport_wait(bench->transport, -1, US_PER_S), 0);
        assert_int_equal(transport_work(bench->transport), 0);
    }
    assert_int_equal(answer->calls, 1);
}

static void ask(struct bench *bench, const struct api_request *request, struct answer *answer)
{
    *answer = (struct answer){.gate_open = answer->gate_open};
    assert_int_equal(client_take(bench->client, BUDGET_ADD, 1, 0, clock_monotonic_us()), 1);
    assert_int_equal(client_send(bench->client, request, ask_gate, take_answer, answer), 0);
    await(bench, answer);
}

/* How long the account is to wait, in whole seconds; 0 = it may go on. */
static int64_t paused_s(struct bench *bench)
{
    int64_t left_us = client_budget(bench->client)->paused_until_us - clock_monotonic_us();

    return left_us > 0 ? (left_us + US_PER_S - 1) / US_PER_S : 0;
}

/* What a reply makes the account wait: between the time and 5 % more. */
struct pause_case {
    const char *name, *reply;
    enum reply_outcome outcome;
    int64_t least_s, most_s;
};

static const struct pause_case pause_cases[] = {
    {"accepted", OK_HEAD "{\"order\":7}", REPLY_ACCEPTED, 0, 0},
    {"rate limit that names its time",
     OK_HEAD "{\"error\":\"Rate limit exceeded\",\"retry_after\":9}", REPLY_NOT_EXECUTED, 9, 10},
    {"rate limit in a header", "HTTP/1.1 429 No\r\nRetry-After: 100\r\nContent-Length: 0\r\n\r\n",
     REPLY_NOT_EXECUTED, 100, 105},
    {"rate limit that names none", "HTTP/1.1 429 No\r\nContent-Length: 0\r\n\r\n",
     REPLY_NOT_EXECUTED, 60, 63},
    {"rate limit of no time", OK_HEAD "{\"error\":\"Rate limit exceeded\",\"retry_after\":0}",
     REPLY_NOT_EXECUTED, 1, 2},
    {"rate limit beyond reason",
     OK_HEAD "{\"error\":\"Rate limit exceeded\",\"retry_after\":999999}", REPLY_NOT_EXECUTED,
     86400, 86400},
    {"server's error with a wait",
     "HTTP/1.1 503 No\r\nRetry-After: 20\r\nContent-Length: 3\r\n\r\n<p>", REPLY_UNKNOWN, 20, 21},
    {"server's error", "HTTP/1.1 500 No\r\nContent-Length: 3\r\n\r\n<p>", REPLY_UNKNOWN, 0, 0},
};

static void pauses(const struct pause_case *expected)
{
    static const struct parameter parameters[] = {{"service", "1"}, {"link", "a"}};
    static const struct api_request add = {
        .action = ACTION_ADD, .parameters = parameters, .parameter_count = COUNT_OF(parameters)};
    const struct wire_step script[] = {
        {WIRE_EXPECT, NULL}, {WIRE_SEND, expected->reply}, {WIRE_END, NULL}};
    const struct wire_step *const scripts[] = {script, NULL};
    struct answer answer = {.gate_open = true};
    struct bench bench;

    print_message("# %s\n", expected->name);
    set_up(&bench, scripts);
    ask(&bench, &add, &answer);
    assert_true(answer.sent);
    assert_true(answer.has_reply);
    assert_int_equal(answer.outcome, expected->outcome);
    assert_in_range(paused_s(&bench), expected->least_s, expected->most_s);
    assert_int_equal(client_take(bench.client, BUDGET_ADD, 1, 0, clock_monotonic_us()),
                     expected->most_s == 0);
    assert_int_equal(budget_minute_used(client_budget(bench.client), clock_monotonic_us()),
                     1 + (expected->most_s == 0));
    close_client(&bench);
    assert_non_null(strstr(wire_server_last_request(bench.server),
                           "\r\n\r\nkey=sekret&action=add&service=1&link=a"));
    wire_server_free(bench.server);
}

static void test_pauses(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(pause_cases); i++)
        pauses(&pause_cases[i]);
}

/* Retry-After as a date. */
static void test_pause_until_a_date(void **state)
{
    char reply[160];
    struct tm then;
    time_t at_s = (time_t)clock_wall_s() + 100;

    (void)state;
    assert_non_null(gmtime_r(&at_s, &then));
    assert_true(strftime(reply, sizeof reply,
                         "HTTP/1.1 429 No\r\nRetry-After: %a, %d %b %Y %H:%M:%S GMT\r\n"
                         "Content-Length: 0\r\n\r\n",
                         &then) > 0);
    pauses(&(struct pause_case){"until a date", reply, REPLY_NOT_EXECUTED, 90, 105});
}

static void test_decoding_knows_the_request(void **state)
{
    static const char *const ids[] = {"7", "8"};
    static const struct api_request one = {.action = ACTION_STATUS, .ids = ids, .id_count = 1};
    static const struct api_request two = {
        .action = ACTION_MULTI_STATUS, .ids = ids, .id_count = 2};
    static const struct wire_step flat[] = {
        {WIRE_EXPECT, NULL},
        {WIRE_SEND, OK_HEAD "{\"status\":\"Pending\",\"charge\":\"0.50\"}"},
        {WIRE_END, NULL},
    };
    static const struct wire_step keyed[] = {
        {WIRE_EXPECT, NULL},
        {WIRE_SEND, OK_HEAD "{\"8\":{\"status\":\"Pending\"},\"7\":{\"status\":\"Completed\"}}"},
        {WIRE_END, NULL},
    };
    const struct wire_step *const scripts[] = {flat, keyed, NULL};
    struct answer answer = {.gate_open = true};
    struct bench bench;

    (void)state;
    set_up(&bench, scripts);
    ask(&bench, &one, &answer);
    assert_int_equal(answer.outcome, REPLY_STATUS);
    assert_int_equal(answer.orders, 1);
    ask(&bench, &two, &answer);
    assert_int_equal(answer.outcome, REPLY_STATUSES);
    assert_int_equal(answer.orders, 2);
    assert_int_equal(answer.http_status, 200);
    tear_down(&bench);
}

/* The slot of what provably never left is free at once; every other counts for its minute. */
static void test_slots_of_failures(void **state)
{
    static const struct wire_step script[] = {{WIRE_EXPECT, NULL}, {WIRE_END, NULL}};
    const struct wire_step *const scripts[] = {script, NULL};
    struct answer answer = {.gate_open = false};
    int64_t began_us = clock_monotonic_us();
    struct bench bench;

    (void)state;
    set_up(&bench, scripts);
    ask(&bench, &balance, &answer);
    assert_true(answer.refused_at_gate);
    assert_false(answer.sent);
    assert_false(answer.has_reply);
    assert_int_equal(budget_minute_used(client_budget(bench.client), clock_monotonic_us()), 0);

    answer.gate_open = true;
    ask(&bench, &balance, &answer);
    assert_true(answer.sent);
    assert_false(answer.has_reply);
    assert_non_null(strstr(answer.problem.text, "closed before a reply"));
    assert_int_equal(budget_minute_used(client_budget(bench.client), clock_monotonic_us()), 1);
    assert_int_equal(client_budget(bench.client)->in_flight, 0);
    /* A caller may have read its clock before that answer came in. */
    assert_int_equal(client_take(bench.client, BUDGET_ADD, 1, 0, began_us), 1);
    client_give_back(bench.client, 1, began_us);
    tear_down(&bench);
}

/* Slots are bounded by the budget and by connections; those taken and not yet used hold theirs. */
static void test_take(void **state)
{
    static const struct wire_step script[] = {
        {WIRE_EXPECT, NULL}, {WIRE_DRAIN, NULL}, {WIRE_END, NULL}};
    const struct wire_step *const scripts[] = {script, NULL};
    struct answer answers[3] = {{.gate_open = true}, {.gate_open = true}, {.gate_open = true}};
    struct answer none = {.gate_open = true};
    int64_t now_us = clock_monotonic_us();
    struct bench bench;

    (void)state;
    set_up(&bench, scripts);
    assert_int_equal(client_free_connections(bench.client), 3);
    assert_int_equal(client_take(bench.client, BUDGET_ADD, 2, 0, now_us), 2);
    assert_int_equal(client_take(bench.client, BUDGET_ADD, 2, 0, now_us), 1);
    assert_int_equal(client_take(bench.client, BUDGET_ADD, 2, 0, now_us), 0);
    assert_int_equal(client_take(bench.client, BUDGET_ADD, 2, 1, now_us), 1);
    client_give_back(bench.client, 1, now_us);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(client_send(bench.client, &balance, ask_gate, take_answer, &answers[i]),
                         0);
    assert_int_equal(client_in_flight(bench.client), 3);
    assert_int_equal(client_free_connections(bench.client), 0);
    assert_int_equal(client_take(bench.client, BUDGET_ADD, 1, 0, now_us), 0);

    /* A slot taken ahead for a connection that is not free after all comes back. */
    assert_int_equal(client_take(bench.client, BUDGET_ADD, 1, 1, now_us), 1);
    assert_int_equal(client_send(bench.client, &balance, ask_gate, take_answer, &none), -EBUSY);
    assert_int_equal(client_budget(bench.client)->in_flight, 3);
    tear_down(&bench);
    assert_int_equal(answers[0].calls + none.calls, 0);

    set_up_limited(&bench, scripts, (struct budget_limits){.per_minute = 2, .burst = 2});
    assert_int_equal(client_take(bench.client, BUDGET_ADD, 3, 0, clock_monotonic_us()), 2);
    assert_int_equal(client_take(bench.client, BUDGET_ADD, 3, 0, clock_monotonic_us()), 0);
    tear_down(&bench);
}

static void test_new_tells_what_is_wrong(void **state)
{
    struct client_options options = {
        .name = "panel",
        .key = "sekret",
        .endpoint = {.url = "http://192.0.2.1/", .max_in_flight = 1, .timeout_s = 1},
        .limits = {.burst = 1},
    };
    struct transport *transport = NULL;
    struct client *client = NULL;
    struct problem problem = {.text = ""};

    (void)state;
    assert_int_equal(transport_new(&transport), 0);
    assert_int_equal(client_new(transport, &options, 0, &client, &problem), 1);
    assert_non_null(strstr(problem.text, "would show the key"));
    assert_null(client);
    transport_free(transport);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pauses),
        cmocka_unit_test(test_pause_until_a_date),
        cmocka_unit_test(test_decoding_knows_the_request),
        cmocka_unit_test(test_slots_of_failures),
        cmocka_unit_test(test_take),
        cmocka_unit_test(test_new_tells_what_is_wrong),
    };

    return cmocka_run_group_tests_name("client", tests, NULL, NULL);
}
