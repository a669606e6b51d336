/* The transport against a server that closes, cuts, floods and stalls where it hurts most. */
#include "api/transport.h"
#include "base/own.h"
#include "host/clock.h"
#include "wire_server.h"
#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h needs the four above. */
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BODY "key=sekret&action=add&link=a"
#define REPLY "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"order\":1}"
#define PATIENCE_US (15 * US_PER_S)

struct outcome {
    unsigned calls;
    struct transfer_end end;
    char body[256], retry_after[64];
    bool gate_open;
    unsigned gate_calls;
};

struct bench {
    struct wire_server *server;
    struct transport *transport;
    struct endpoint *endpoint;
};

static void take_outcome(void *userdata, const struct transfer_end *end)
{
    struct outcome *outcome = userdata;

    outcome->calls++;
    outcome->end = *end;
    if (end->complete)
        snprintf(outcome->body, sizeof outcome->body, "%s", end->bytes.body);
    if (end->complete && end->bytes.retry_after)
        snprintf(outcome->retry_after, sizeof outcome->retry_after, "%s", end->bytes.retry_after);
}

static bool ask_gate(void *userdata)
{
    struct outcome *outcome = userdata;

    outcome->gate_calls++;
    return outcome->gate_open;
}

static struct endpoint *new_endpoint(struct transport *transport, const char *scheme, unsigned port,
                                     const char *ca_file, unsigned timeout_s)
{
    struct endpoint *endpoint = NULL;
    struct problem problem = {.text = ""};
    char url[64];
    struct endpoint_options options = {
        .url = url, .ca_file = ca_file, .max_in_flight = 4, .timeout_s = timeout_s};

    snprintf(url, sizeof url, "%s://127.0.0.1:%u/api/v2?secret=1", scheme, port);
    assert_int_equal(endpoint_new(transport, &options, &endpoint, &problem), 0);
    return endpoint;
}

static void set_up_timed(struct bench *bench, const struct wire_step *const *scripts,
                         unsigned timeout_s)
{
    *bench = (struct bench){.server = wire_server_start(scripts, NULL)};
    assert_int_equal(transport_new(&bench->transport), 0);
    bench->endpoint =
        new_endpoint(bench->transport, "http", wire_server_port(bench->server), NULL, timeout_s);
}

static void set_up(struct bench *bench, const struct wire_step *const *scripts)
{
    set_up_timed(bench, scripts, 10);
}

/* Ends the client first, so that everything it ever sends has been counted. */
static void close_client(struct bench *bench)
{
    endpoint_free(bench->endpoint);
    transport_free(bench->transport);
    wire_server_stop(bench->server);
}

static void tear_down(struct bench *bench)
{
    close_client(bench);
    wire_server_free(bench->server);
}

static void post_limited(struct endpoint *endpoint, struct outcome *outcome, size_t limit_bytes)
{
    struct text body = {0};

    *outcome = (struct outcome){.gate_open = outcome->gate_open};
    text_add(&body, BODY);
    assert_int_equal(transport_post(endpoint, &body, limit_bytes, ask_gate, take_outcome, outcome),
                     0);
    assert_null(body.bytes);
}

static void await(struct transport *transport, const struct outcome *outcome)
{
    int64_t until_us = clock_monotonic_us() + PATIENCE_US;

    while (outcome->calls == 0 && clock_monotonic_us() < until_us) {
        assert_int_equal(transport_wait(transport, -1, US_PER_S), 0);
        assert_int_equal(transport_work(transport), 0);
    }
    assert_int_equal(outcome->calls, 1);
}

/* Nothing but the key's absence can be said of every text. */
static void assert_fit_to_print(const struct problem *problem)
{
    assert_null(strstr(problem->text, "sekret"));
    assert_null(strstr(problem->text, "secret"));
    assert_null(strstr(problem->text, "/api"));
    assert_null(strstr(problem->hint, "sekret"));
    assert_true(problem->text[0] != '\0');
}

static void exchange(struct bench *bench, struct outcome *outcome)
{
    outcome->gate_open = true;
    post_limited(bench->endpoint, outcome, 1000);
    await(bench->transport, outcome);
    if (!outcome->end.complete)
        assert_fit_to_print(&outcome->end.problem);
}

static void await_count(size_t (*count)(struct wire_server *), struct wire_server *server,
                        size_t wanted)
{
    int64_t until_us = clock_monotonic_us() + PATIENCE_US;

    while (count(server) < wanted && clock_monotonic_us() < until_us)
        sched_yield();
    assert_true(count(server) >= wanted);
}

static void sleep_until(int64_t until_us)
{
    struct timespec until = {.tv_sec = until_us / US_PER_S, .tv_nsec = until_us % US_PER_S * 1000};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0)
        ;
}

/* What a server may send, and what becomes of it; each on a new connection, the request always sent
 * once. */
struct reply_case {
    const char *name;
    struct wire_step script[6];
    bool complete;
    long http_status;
    const char *body, *retry_after, *problem;
    unsigned timeout_s; /* 0 = long enough */
};

static const struct reply_case reply_cases[] = {
    {.name = "whole reply",
     .script = {{WIRE_EXPECT, NULL}, {WIRE_SEND, REPLY}, {WIRE_DRAIN, NULL}},
     .complete = true,
     .http_status = 200,
     .body = "{\"order\":1}"},
    {.name = "interim heads before it",
     .script = {{WIRE_EXPECT, NULL},
                {WIRE_SEND, "HTTP/1.1 100 Continue\r\nRetry-After: 9\r\n\r\n"
                            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" REPLY}},
     .complete = true,
     .http_status = 200,
     .body = "{\"order\":1}"},
    {.name = "redirect is not followed",
     .script = {{WIRE_EXPECT, NULL},
                {WIRE_SEND, "HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\n"
                            "Content-Length: 0\r\n\r\n"}},
     .complete = true,
     .http_status = 301,
     .body = ""},
    {.name = "chunked, with a trailer",
     .script = {{WIRE_EXPECT, NULL},
                {WIRE_SEND, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                            "5\r\n{\"ord\r\n"},
                {WIRE_SEND, "6\r\ner\":1}\r\n0\r\nRetry-After: 9\r\n\r\n"}},
     .complete = true,
     .http_status = 200,
     .body = "{\"order\":1}"},
    {.name = "until the connection's end",
     .script = {{WIRE_EXPECT, NULL},
                {WIRE_SEND, "HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<html>"}},
     .complete = true,
     .http_status = 200,
     .body = "<html>"},
    {.name = "error page with Retry-After in any case",
     .script = {{WIRE_EXPECT, NULL},
                {WIRE_SEND, "HTTP/1.1 503 Busy\r\nrEtry-aFter:  \t17 \r\nContent-Length: 4\r\n"
                            "\r\nbusy"}},
     .complete = true,
     .http_status = 503,
     .body = "busy",
     .retry_after = "17"},
    {.name = "unauthorised is not tried again",
     .script = {{WIRE_EXPECT, NULL},
                {WIRE_SEND, "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=x\r\n"
                            "Content-Length: 2\r\n\r\nno"}},
     .complete = true,
     .http_status = 401,
     .body = "no"},
    {.name = "expectation failed is not tried again",
     .script = {{WIRE_EXPECT, NULL}, {WIRE_SEND, "HTTP/1.1 417 No\r\nContent-Length: 2\r\n\r\nno"}},
     .complete = true,
     .http_status = 417,
     .body = "no"},
    {.name = "cut body",
     .script = {{WIRE_EXPECT, NULL},
                {WIRE_SEND, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"order\":1}"}},
     .problem = "cut off"},
    {.name = "cut head",
     .script = {{WIRE_EXPECT, NULL}, {WIRE_SEND, "HTTP/1.1 200 OK\r\nContent-Le"}},
     .problem = "cut off"},
    {.name = "cut after a head's line",
     .script = {{WIRE_EXPECT, NULL}, {WIRE_SEND, "HTTP/1.1 200 OK\r\n"}},
     .problem = "cut off"},
    {.name = "only an interim head",
     .script = {{WIRE_EXPECT, NULL}, {WIRE_SEND, "HTTP/1.1 100 Continue\r\n\r\n"}},
     .problem = "cut off"},
    /* libcurl takes the last. Half an object is none, so it decodes to unknown. */
    {.name = "two lengths that differ",
     .script = {{WIRE_EXPECT, NULL},
                {WIRE_SEND, "HTTP/1.1 200 OK\r\nContent-Length: 11\r\nContent-Length: 5\r\n\r\n"
                            "{\"order\":1}"}},
     .complete = true,
     .http_status = 200,
     .body = "{\"ord"},
    {.name = "chunked and a length",
     .script = {{WIRE_EXPECT, NULL},
                {WIRE_SEND, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n"
                            "\r\nb\r\n{\"order\":1}\r\n0\r\n\r\n"}},
     .complete = true,
     .http_status = 200,
     .body = "{\"order\":1}"},
    {.name = "no number of bytes",
     .script = {{WIRE_EXPECT, NULL},
                {WIRE_SEND, "HTTP/1.1 200 OK\r\nContent-Length: -11\r\n\r\n{\"order\":1}"}},
     .problem = ""},
    {.name = "a chunk without a size",
     .script = {{WIRE_EXPECT, NULL},
                {WIRE_SEND, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                            "{\"order\":1}\r\n0\r\n\r\n"}},
     .problem = ""},
    {.name = "cut chunk",
     .script = {{WIRE_EXPECT, NULL},
                {WIRE_SEND, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                            "ff\r\n{\"order\":1}"}},
     .problem = "cut off"},
    {.name = "last chunk missing",
     .script = {{WIRE_EXPECT, NULL},
                {WIRE_SEND, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                            "b\r\n{\"order\":1}\r\n"}},
     .problem = "cut off"},
    {.name = "closed without a reply", .script = {{WIRE_EXPECT, NULL}}, .problem = "closed"},
    {.name = "reset without a reply",
     .script = {{WIRE_EXPECT, NULL}, {WIRE_RESET, NULL}},
     .problem = "closed"},
    {.name = "reset within the reply",
     .script = {{WIRE_EXPECT, NULL},
                {WIRE_SEND, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"},
                {WIRE_RESET, NULL}},
     .problem = ""},
    {.name = "stalls within the reply",
     .script = {{WIRE_EXPECT, NULL},
                {WIRE_SEND, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"},
                {WIRE_DRAIN, NULL}},
     .timeout_s = 1,
     .problem = "not complete within 1 s, only 40 bytes came"},
    {.name = "an upgrade that nobody asked for",
     .script = {{WIRE_EXPECT, NULL},
                {WIRE_SEND, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n"
                            "Connection: Upgrade\r\n\r\n"}},
     .problem = ""},
    {.name = "HTTP/2 on a connection of HTTP/1.1",
     .script = {{WIRE_EXPECT, NULL},
                {WIRE_SEND, "HTTP/2 200 \r\nContent-Length: 11\r\n\r\n{\"order\":1}"}},
     .problem = ""},
    {.name = "no HTTP",
     .script = {{WIRE_EXPECT, NULL}, {WIRE_SEND, "SSH-2.0-x\r\n"}},
     .problem = "no valid HTTP"},
    {.name = "endless body",
     .script = {{WIRE_EXPECT, NULL},
                {WIRE_SEND, "HTTP/1.1 200 OK\r\n\r\n"},
                {WIRE_FLOOD, "0123456789abcdef0123456789abcdef"}},
     .problem = "longer than 1000 bytes"},
    {.name = "announced as too long",
     .script = {{WIRE_EXPECT, NULL},
                {WIRE_SEND, "HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n"},
                {WIRE_FLOOD, "0123456789abcdef"}},
     .problem = "longer than 1000 bytes"},
    {.name = "endless head",
     .script = {{WIRE_EXPECT, NULL},
                {WIRE_SEND, "HTTP/1.1 200 OK\r\n"},
                {WIRE_FLOOD, "X-Filler: 0123456789abcdef0123456789abcdef\r\n"}},
     .problem = "longer than"},
    {.name = "endless interim heads",
     .script = {{WIRE_EXPECT, NULL}, {WIRE_FLOOD, "HTTP/1.1 100 Continue\r\n\r\n"}},
     .problem = "longer than"},
    {.name = "silence",
     .script = {{WIRE_EXPECT, NULL}, {WIRE_DRAIN, NULL}},
     .timeout_s = 1,
     .problem = "no reply within 1 s"},
};

static void test_replies(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(reply_cases); i++) {
        const struct reply_case *expected = &reply_cases[i];
        const struct wire_step *const scripts[] = {expected->script, NULL};
        struct outcome outcome = {.calls = 0};
        struct bench bench;

        print_message("# %s\n", expected->name);
        set_up_timed(&bench, scripts, expected->timeout_s ? expected->timeout_s : 10);
        exchange(&bench, &outcome);
        assert_true(outcome.end.sent);
        assert_false(outcome.end.refused_at_gate);
        assert_int_equal(outcome.gate_calls, 1);
        assert_int_equal(outcome.end.complete, expected->complete);
        if (expected->complete) {
            assert_int_equal(outcome.end.bytes.http_status, expected->http_status);
            assert_string_equal(outcome.body, expected->body);
            assert_string_equal(outcome.retry_after,
                                expected->retry_after ? expected->retry_after : "");
        } else {
            print_message("#   %s\n", outcome.end.problem.text);
            assert_non_null(strstr(outcome.end.problem.text, expected->problem));
            if (expected->timeout_s)
                assert_in_range(outcome.end.took_us, US_PER_S, 1800 * US_PER_MS);
        }
        close_client(&bench);
        assert_int_equal(wire_server_requests(bench.server), 1);
        wire_server_free(bench.server);
    }
}

static void test_request_bytes(void **state)
{
    const struct wire_step script[] = {{WIRE_EXPECT, NULL}, {WIRE_SEND, REPLY}, {WIRE_END, NULL}};
    const struct wire_step *const scripts[] = {script, NULL};
    static const char *const heads[] = {
        "POST /api/v2?secret=1 HTTP/1.1\r\n",
        "\r\nAccept: application/json\r\n",
        "\r\nContent-Type: application/x-www-form-urlencoded\r\n",
        "\r\nUser-Agent: chwsyncd/",
        "\r\n\r\n" BODY,
    };
    static const char *const absent[] = {"Expect", "Accept-Encoding", "Cookie", "Authorization",
                                         "Upgrade"};
    struct outcome outcome = {.calls = 0};
    const char *request;
    struct bench bench;

    (void)state;
    set_up(&bench, scripts);
    exchange(&bench, &outcome);
    assert_true(outcome.end.complete);
    close_client(&bench);
    request = wire_server_last_request(bench.server);
    for (size_t i = 0; i < COUNT_OF(heads); i++)
        assert_non_null(strstr(request, heads[i]));
    for (size_t i = 0; i < COUNT_OF(absent); i++)
        assert_null(strcasestr(request, absent[i]));
    wire_server_free(bench.server);
}

/* Long replies are asked for compressed, others never, whatever the same handle asked before. */
static void test_compression_is_for_long_replies(void **state)
{
    static const struct wire_step three[] = {
        {WIRE_EXPECT, NULL}, {WIRE_SEND, REPLY}, {WIRE_EXPECT, NULL}, {WIRE_SEND, REPLY},
        {WIRE_EXPECT, NULL}, {WIRE_SEND, REPLY}, {WIRE_END, NULL}};
    static const size_t limits[] = {1000, 64 << 20, 1000};

    (void)state;
    for (size_t count = 1; count <= COUNT_OF(limits); count++) {
        /* All on one connection, which ends after the last: it must not end between two of them. */
        const struct wire_step *const scripts[] = {&three[2 * (COUNT_OF(limits) - count)], NULL};
        struct outcome outcome = {.calls = 0};
        const char *accepted;
        struct bench bench;

        set_up(&bench, scripts);
        for (size_t i = 0; i < count; i++) {
            outcome.gate_open = true;
            post_limited(bench.endpoint, &outcome, limits[i]);
            await(bench.transport, &outcome);
            assert_true(outcome.end.complete);
        }
        close_client(&bench);
        accepted = strstr(wire_server_last_request(bench.server), "\r\nAccept-Encoding: gzip\r\n");
        assert_int_equal(accepted != NULL, limits[count - 1] > 1000);
        wire_server_free(bench.server);
    }
}

/* What libcurl does by itself: sends again on a new connection. The second connection would answer.
 */
static void test_reused_connection_closed_after_request(void **state)
{
    static const struct wire_step ends[][6] = {
        {{WIRE_EXPECT, NULL}, {WIRE_SEND, REPLY}, {WIRE_EXPECT, NULL}, {WIRE_END, NULL}},
        {{WIRE_EXPECT, NULL}, {WIRE_SEND, REPLY}, {WIRE_EXPECT, NULL}, {WIRE_RESET, NULL}},
        {{WIRE_EXPECT, NULL}, {WIRE_SEND, REPLY}, {WIRE_BEGIN, NULL}, {WIRE_RESET, NULL}},
    };
    static const struct wire_step answering[] = {
        {WIRE_EXPECT, NULL}, {WIRE_SEND, REPLY}, {WIRE_DRAIN, NULL}, {WIRE_END, NULL}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        const struct wire_step *const scripts[] = {ends[i], answering, NULL};
        struct outcome first = {.calls = 0}, second = {.calls = 0};
        struct bench bench;

        set_up(&bench, scripts);
        exchange(&bench, &first);
        assert_true(first.end.complete);
        exchange(&bench, &second);
        assert_true(second.end.sent);
        assert_false(second.end.complete);
        assert_int_equal(second.gate_calls, 1);
        assert_non_null(strstr(second.end.problem.text, "closed before a reply"));
        close_client(&bench);
        assert_int_equal(wire_server_requests(bench.server), 2);
        wire_server_free(bench.server);
    }
}

static const char *temporary_file(const char *name)
{
    static char path[256];
    const char *directory = getenv("TMPDIR");

    snprintf(path, sizeof path, "%s/chwsyncd-test-%d-%s", directory ? directory : "/tmp",
             (int)getpid(), name);
    return path;
}

/* Closed, or told that it will be, while it was idle: the next request goes to a new connection,
 * once, and is answered. */
static void test_idle_connection_ended(void **state)
{
    static const struct wire_step closing[] = {
        {WIRE_EXPECT, NULL}, {WIRE_SEND, REPLY}, {WIRE_HOLD, NULL}, {WIRE_END, NULL}};
    static const struct wire_step resetting[] = {
        {WIRE_EXPECT, NULL}, {WIRE_SEND, REPLY}, {WIRE_HOLD, NULL}, {WIRE_RESET, NULL}};
    static const struct wire_step late_408[] = {
        {WIRE_EXPECT, NULL},
        {WIRE_SEND, REPLY},
        {WIRE_HOLD, NULL},
        {WIRE_SEND, "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"},
        {WIRE_DRAIN, NULL},
        {WIRE_END, NULL},
    };
    static const struct wire_step answering[] = {
        {WIRE_EXPECT, NULL}, {WIRE_SEND, REPLY}, {WIRE_DRAIN, NULL}, {WIRE_END, NULL}};
    static const struct {
        const struct wire_step *script;
        bool tls;
    } cases[] = {{closing, false},  {closing, true},   {resetting, false},
                 {resetting, true}, {late_408, false}, {late_408, true}};
    const char *ca_path = temporary_file("idle-ca");
    struct wire_identity *identity = wire_identity_new(ca_path);

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct wire_step *const scripts[] = {cases[i].script, answering, NULL};
        struct outcome outcome = {.calls = 0};
        struct bench bench = {.server = wire_server_start(scripts, cases[i].tls ? identity : NULL)};

        assert_int_equal(transport_new(&bench.transport), 0);
        bench.endpoint =
            new_endpoint(bench.transport, cases[i].tls ? "https" : "http",
                         wire_server_port(bench.server), cases[i].tls ? ca_path : NULL, 10);
        exchange(&bench, &outcome);
        assert_true(outcome.end.complete);
        wire_server_release(bench.server);
        if (cases[i].script == late_408)
            await_count(wire_server_sends, bench.server, 2);
        else
            await_count(wire_server_closed, bench.server, 1);
        exchange(&bench, &outcome);
        print_message("# case %zu: %s\n", i, outcome.end.problem.text);
        assert_true(outcome.end.sent);
        assert_true(outcome.end.complete);
        assert_int_equal(outcome.end.bytes.http_status, 200);
        assert_int_equal(outcome.gate_calls, 1);
        close_client(&bench);
        assert_int_equal(wire_server_requests(bench.server), 2);
        assert_int_equal(wire_server_connections(bench.server), 2);
        wire_server_free(bench.server);
    }
    wire_identity_free(identity);
    unlink(ca_path);
}

#define SECOND_REPLY "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"order\":2}"

/*
 * What follows a reply on its connection is no answer to the next request: libcurl ends the
 * connection, or after the last chunk throws away what came with it.
 */
static void test_more_than_announced(void **state)
{
    static const char *const replies[] = {
        REPLY "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"order\":99}",
        REPLY "\r\n",
        REPLY "x",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n{\"order\":1}\r\n0\r\n\r\n"
        "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"order\":99}",
        "HTTP/1.1 204 None\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"order\":99}",
    };
    static const struct wire_step second[] = {
        {WIRE_EXPECT, NULL}, {WIRE_SEND, SECOND_REPLY}, {WIRE_DRAIN, NULL}, {WIRE_END, NULL}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(replies); i++) {
        const struct wire_step first[] = {{WIRE_EXPECT, NULL}, {WIRE_SEND, replies[i]},
                                          {WIRE_EXPECT, NULL}, {WIRE_SEND, SECOND_REPLY},
                                          {WIRE_DRAIN, NULL},  {WIRE_END, NULL}};
        const struct wire_step *const scripts[] = {first, second, NULL};
        struct outcome outcome = {.calls = 0};
        struct bench bench;

        set_up(&bench, scripts);
        exchange(&bench, &outcome);
        assert_true(outcome.end.complete);
        assert_string_equal(outcome.body, strstr(replies[i], "204") == NULL ? "{\"order\":1}" : "");
        exchange(&bench, &outcome);
        assert_true(outcome.end.complete);
        assert_string_equal(outcome.body, "{\"order\":2}");
        assert_int_equal(outcome.gate_calls, 1);
        close_client(&bench);
        assert_int_equal(wire_server_requests(bench.server), 2);
        print_message("# %zu connections\n", wire_server_connections(bench.server));
        wire_server_free(bench.server);
    }
}

/* A reply that comes before the whole request was sent is one; the connection is used no more. */
static void test_reply_before_all_is_sent(void **state)
{
    static const struct wire_step early[] = {
        {WIRE_BEGIN, NULL},
        {WIRE_SEND, "HTTP/1.1 413 Too long\r\nContent-Length: 4\r\n\r\nlong"},
        {WIRE_HOLD, NULL},
        {WIRE_DRAIN, NULL},
        {WIRE_END, NULL}};
    static const struct wire_step second[] = {
        {WIRE_EXPECT, NULL}, {WIRE_SEND, REPLY}, {WIRE_DRAIN, NULL}, {WIRE_END, NULL}};
    const struct wire_step *const scripts[] = {early, second, NULL};
    struct outcome outcome = {.gate_open = true};
    struct text body = {0};
    struct bench bench;

    (void)state;
    set_up(&bench, scripts);
    for (int part = 0; part < 1 << 20; part++)
        text_add(&body, "0123456789abcdef");
    assert_int_equal(transport_post(bench.endpoint, &body, 1000, ask_gate, take_outcome, &outcome),
                     0);
    await(bench.transport, &outcome);
    assert_true(outcome.end.sent);
    assert_true(outcome.end.complete);
    assert_int_equal(outcome.end.bytes.http_status, 413);
    assert_int_equal(outcome.gate_calls, 1);
    exchange(&bench, &outcome);
    assert_true(outcome.end.complete);
    assert_string_equal(outcome.body, "{\"order\":1}");
    wire_server_release(bench.server);
    close_client(&bench);
    assert_int_equal(wire_server_connections(bench.server), 2);
    wire_server_free(bench.server);
}

/* For people who look: version and end of the certificate, kept over a connection that is used
 * again. */
static void test_tls_is_observed(void **state)
{
    static const struct wire_step script[] = {{WIRE_EXPECT, NULL}, {WIRE_SEND, REPLY},
                                              {WIRE_EXPECT, NULL}, {WIRE_SEND, REPLY},
                                              {WIRE_DRAIN, NULL},  {WIRE_END, NULL}};
    const struct wire_step *const scripts[] = {script, NULL};
    const char *ca_path = temporary_file("observed-ca");
    struct wire_identity *identity = wire_identity_new(ca_path);
    struct outcome outcome = {.calls = 0};
    struct problem problem = {.text = ""};
    char url[64];
    struct endpoint_options options = {
        .url = url, .ca_file = ca_path, .max_in_flight = 1, .timeout_s = 10, .observes_tls = true};
    struct bench bench = {.server = wire_server_start(scripts, identity)};

    (void)state;
    snprintf(url, sizeof url, "https://127.0.0.1:%u/api", wire_server_port(bench.server));
    assert_int_equal(transport_new(&bench.transport), 0);
    assert_int_equal(endpoint_new(bench.transport, &options, &bench.endpoint, &problem), 0);
    assert_string_equal(endpoint_tls(bench.endpoint)->version, "");
    for (int i = 0; i < 2; i++) {
        exchange(&bench, &outcome);
        assert_true(outcome.end.complete);
        assert_false(endpoint_tls(bench.endpoint)->plain);
        assert_memory_equal(endpoint_tls(bench.endpoint)->version, "TLS", 3);
        assert_true(endpoint_tls(bench.endpoint)->certificate_s > clock_wall_s());
    }
    close_client(&bench);
    wire_server_free(bench.server);
    wire_identity_free(identity);
    unlink(ca_path);
}

static void test_connection_is_kept(void **state)
{
    static const struct wire_step script[] = {
        {WIRE_EXPECT, NULL}, {WIRE_SEND, REPLY}, {WIRE_EXPECT, NULL}, {WIRE_SEND, REPLY},
        {WIRE_EXPECT, NULL}, {WIRE_SEND, REPLY}, {WIRE_DRAIN, NULL},  {WIRE_END, NULL},
    };
    const struct wire_step *const scripts[] = {script, NULL};
    struct outcome outcome = {.calls = 0};
    struct bench bench;

    (void)state;
    set_up(&bench, scripts);
    for (int i = 0; i < 3; i++) {
        exchange(&bench, &outcome);
        assert_true(outcome.end.complete);
        assert_int_equal(endpoint_in_flight(bench.endpoint), 0);
    }
    close_client(&bench);
    assert_int_equal(wire_server_connections(bench.server), 1);
    wire_server_free(bench.server);
}

/* A server that closes after 2 s is not met at the moment it does so. */
static void test_keep_alive_is_heeded(void **state)
{
    static const struct wire_step script[] = {
        {WIRE_EXPECT, NULL},
        {WIRE_SEND,
         "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=2, max=100\r\nContent-Length: 0\r\n\r\n"},
        {WIRE_DRAIN, NULL},
        {WIRE_END, NULL},
    };
    const struct wire_step *const scripts[] = {script, NULL};
    struct outcome outcome = {.calls = 0};
    struct bench bench;

    (void)state;
    set_up(&bench, scripts);
    exchange(&bench, &outcome);
    assert_true(outcome.end.complete);
    sleep_until(clock_monotonic_us() + 1100 * US_PER_MS);
    exchange(&bench, &outcome);
    assert_true(outcome.end.complete);
    close_client(&bench);
    assert_int_equal(wire_server_connections(bench.server), 2);
    wire_server_free(bench.server);
}

static void test_gate_refuses(void **state)
{
    static const struct wire_step script[] = {
        {WIRE_EXPECT, NULL}, {WIRE_SEND, REPLY}, {WIRE_EXPECT, NULL}, {WIRE_END, NULL}};
    const struct wire_step *const scripts[] = {script, NULL};
    struct outcome outcome = {.calls = 0};
    struct bench bench;
    size_t bytes;

    (void)state;
    set_up(&bench, scripts);
    post_limited(bench.endpoint, &outcome, 1000); /* a new connection */
    await(bench.transport, &outcome);
    assert_false(outcome.end.sent);
    assert_true(outcome.end.refused_at_gate);
    assert_int_equal(outcome.gate_calls, 1);
    assert_int_equal(wire_server_bytes(bench.server), 0);
    await_count(wire_server_closed, bench.server, 1);
    assert_int_equal(wire_server_bytes(bench.server), 0);

    exchange(&bench, &outcome);
    assert_true(outcome.end.complete);
    bytes = wire_server_bytes(bench.server);
    outcome.gate_open = false;
    post_limited(bench.endpoint, &outcome, 1000); /* a kept one */
    await(bench.transport, &outcome);
    assert_false(outcome.end.sent);
    assert_true(outcome.end.refused_at_gate);
    close_client(&bench);
    assert_int_equal(wire_server_bytes(bench.server), bytes);
    wire_server_free(bench.server);
}

/* A listening socket whose queue is full: the kernel drops what would connect. */
static int fill_listener(int ret_fds[4], unsigned *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 0), 0);
    getsockname(listener, (struct sockaddr *)&address, &size);
    *ret_port = ntohs(address.sin_port);
    for (int i = 0; i < 4; i++) {
        ret_fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        connect(ret_fds[i], (struct sockaddr *)&address, size);
    }
    return listener;
}

/* One request to a URL where it cannot be sent. */
static void assert_unsent(const char *url, const char *ca_file, const char *problem,
                          const char *hint)
{
    struct endpoint_options options = {
        .url = url, .ca_file = ca_file, .max_in_flight = 1, .timeout_s = 1};
    struct problem fault = {.text = ""};
    struct outcome outcome = {.gate_open = true};
    struct transport *transport = NULL;
    struct endpoint *endpoint = NULL;

    assert_int_equal(transport_new(&transport), 0);
    assert_int_equal(endpoint_new(transport, &options, &endpoint, &fault), 0);
    post_limited(endpoint, &outcome, 1000);
    await(transport, &outcome);
    print_message("# %s [%s]\n", outcome.end.problem.text, outcome.end.problem.hint);
    assert_false(outcome.end.sent);
    assert_false(outcome.end.complete);
    assert_false(outcome.end.refused_at_gate);
    assert_int_equal(outcome.gate_calls, 0);
    assert_fit_to_print(&outcome.end.problem);
    assert_non_null(strstr(outcome.end.problem.text, problem));
    assert_non_null(strstr(outcome.end.problem.hint, hint));
    endpoint_free(endpoint);
    transport_free(transport);
}

static void test_never_sent(void **state)
{
    static const struct wire_step draining[] = {{WIRE_DRAIN, NULL}, {WIRE_END, NULL}};
    static const struct wire_step babbling[] = {
        {WIRE_SEND, "220 ready\r\n"}, {WIRE_DRAIN, NULL}, {WIRE_END, NULL}};
    const struct wire_step *const scripts[] = {draining, NULL}, *const no_tls[] = {babbling, NULL};
    char ca_path[256], other_path[256], url[256];
    struct wire_identity *identity, *other;
    struct wire_server *server;
    int listener, fds[4];
    unsigned port;

    (void)state;
    snprintf(ca_path, sizeof ca_path, "%s", temporary_file("ca"));
    snprintf(other_path, sizeof other_path, "%s", temporary_file("other-ca"));
    identity = wire_identity_new(ca_path);
    other = wire_identity_new(other_path);

    listener = fill_listener(fds, &port);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/api?secret=1", port);
    assert_unsent(url, NULL, "no connection to 127.0.0.1", "check");
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    close(listener);
    assert_unsent(url, NULL, "Connection refused", "");
    /* No resolver asks for a label of more than 63 bytes. */
    assert_unsent(
        "https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.invalid/"
        "?secret=1",
        NULL, "unable to find the address of aaa", "name");

    server = wire_server_start(scripts, identity);
    snprintf(url, sizeof url, "https://127.0.0.1:%u/api?secret=1", wire_server_port(server));
    assert_unsent(url, NULL, "is not trusted", "ca_file");
    assert_unsent(url, other_path, "is not trusted", "ca_file");
    wire_server_stop(server);
    assert_int_equal(wire_server_bytes(server), 0);
    wire_server_free(server);

    server = wire_server_start(no_tls, NULL);
    snprintf(url, sizeof url, "https://127.0.0.1:%u/api?secret=1", wire_server_port(server));
    assert_unsent(url, NULL, "no TLS connection", "TLS 1.2");
    wire_server_stop(server);
    assert_int_equal(wire_server_requests(server), 0);
    wire_server_free(server);

    wire_identity_free(identity);
    wire_identity_free(other);
    unlink(ca_path);
    unlink(other_path);
}

/* An authority that takes another's place while the process runs is trusted from the next
 * connection on. */
static void test_ca_file_is_replaced(void **state)
{
    static const struct wire_step draining[] = {{WIRE_DRAIN, NULL}, {WIRE_END, NULL}},
                                  answering[] = {{WIRE_EXPECT, NULL},
                                                 {WIRE_SEND, REPLY},
                                                 {WIRE_DRAIN, NULL},
                                                 {WIRE_END, NULL}};
    const struct wire_step *const scripts[] = {draining, answering, NULL};
    char ca_path[256], later_path[256];
    struct wire_identity *identity, *earlier;
    struct outcome outcome = {.gate_open = true};
    struct bench bench;

    (void)state;
    snprintf(ca_path, sizeof ca_path, "%s", temporary_file("replaced-ca"));
    snprintf(later_path, sizeof later_path, "%s", temporary_file("later-ca"));
    earlier = wire_identity_new(ca_path);
    identity = wire_identity_new(later_path);
    bench.server = wire_server_start(scripts, identity);
    assert_int_equal(transport_new(&bench.transport), 0);
    bench.endpoint =
        new_endpoint(bench.transport, "https", wire_server_port(bench.server), ca_path, 10);
    post_limited(bench.endpoint, &outcome, 1000);
    await(bench.transport, &outcome);
    assert_false(outcome.end.sent);

    assert_int_equal(rename(later_path, ca_path), 0);
    exchange(&bench, &outcome);
    assert_true(outcome.end.complete);
    close_client(&bench);
    wire_server_free(bench.server);
    wire_identity_free(identity);
    wire_identity_free(earlier);
    unlink(ca_path);
}

/* One transport, two endpoints: only the one with the right authority is served, in whatever order
 * they ask. */
static void test_ca_file_is_each_endpoints_own(void **state)
{
    static const struct wire_step script[] = {
        {WIRE_EXPECT, NULL}, {WIRE_SEND, REPLY}, {WIRE_DRAIN, NULL}, {WIRE_END, NULL}};
    const struct wire_step *const scripts[] = {script, NULL};
    char ca_path[256], other_path[256];
    struct wire_identity *identity, *other;
    struct outcome outcome = {.calls = 0};
    struct bench bench;
    struct endpoint *stranger;

    (void)state;
    snprintf(ca_path, sizeof ca_path, "%s", temporary_file("ca"));
    snprintf(other_path, sizeof other_path, "%s", temporary_file("other-ca"));
    identity = wire_identity_new(ca_path);
    other = wire_identity_new(other_path);
    bench.server = wire_server_start(scripts, identity);
    assert_int_equal(transport_new(&bench.transport), 0);
    bench.endpoint =
        new_endpoint(bench.transport, "https", wire_server_port(bench.server), ca_path, 10);
    stranger =
        new_endpoint(bench.transport, "https", wire_server_port(bench.server), other_path, 10);
    exchange(&bench, &outcome);
    assert_true(outcome.end.complete);
    assert_string_equal(outcome.body, "{\"order\":1}");
    outcome.gate_open = true;
    post_limited(stranger, &outcome, 1000);
    await(bench.transport, &outcome);
    assert_false(outcome.end.sent);
    endpoint_free(stranger);
    close_client(&bench);
    assert_int_equal(wire_server_requests(bench.server), 1);
    wire_server_free(bench.server);
    wire_identity_free(identity);
    wire_identity_free(other);
    unlink(ca_path);
    unlink(other_path);
}

/* Sent means that some of it may have left, not all: a server that reads nothing of a long request
 * still counts. */
static void test_partly_sent_counts_as_sent(void **state)
{
    static const struct wire_step script[] = {{WIRE_HOLD, NULL}, {WIRE_RESET, NULL}};
    const struct wire_step *const scripts[] = {script, NULL};
    struct outcome outcome = {.gate_open = true};
    struct text body = {0};
    struct bench bench;

    (void)state;
    set_up_timed(&bench, scripts, 1);
    for (int i = 0; i < 1 << 20; i++)
        text_add(&body, "0123456789abcdef");
    assert_int_equal(transport_post(bench.endpoint, &body, 1000, ask_gate, take_outcome, &outcome),
                     0);
    await(bench.transport, &outcome);
    assert_true(outcome.end.sent);
    assert_false(outcome.end.complete);
    tear_down(&bench);
}

/* HTTP/2 could refuse one stream of many and re-send it by itself: it is never offered, so a server
 * that would like it best gets HTTP/1.1; nor is an upgrade asked for, and one that comes unasked is
 * no reply. */
static void test_no_http_2(void **state)
{
    static const struct wire_step script[] = {
        {WIRE_EXPECT, NULL}, {WIRE_SEND, REPLY}, {WIRE_DRAIN, NULL}, {WIRE_END, NULL}};
    const struct wire_step *const scripts[] = {script, NULL};
    const char *ca_path = temporary_file("alpn-ca");
    struct wire_identity *identity = wire_identity_new(ca_path);
    struct bench bench = {.server = wire_server_start(scripts, identity)};
    struct outcome outcome = {.calls = 0};

    (void)state;
    assert_int_equal(transport_new(&bench.transport), 0);
    bench.endpoint =
        new_endpoint(bench.transport, "https", wire_server_port(bench.server), ca_path, 10);
    exchange(&bench, &outcome);
    assert_true(outcome.end.complete);
    close_client(&bench);
    assert_string_equal(wire_server_protocols(bench.server), "http/1.1");
    assert_memory_equal(wire_server_last_request(bench.server), "POST ", 5);
    assert_non_null(strstr(wire_server_last_request(bench.server), " HTTP/1.1\r\n"));
    wire_server_free(bench.server);
    wire_identity_free(identity);
    unlink(ca_path);
}

/* TLS that fails after the handshake: the request may have been sent; a reply that says how long it
 * is is whole or none. */
static void test_tls_fails_half_way(void **state)
{
    static const struct {
        const char *name;
        struct wire_step script[5];
        bool complete;
        const char *problem;
    } cases[] = {
        {"cut before the request is read", {{WIRE_CUT, NULL}}, false, ""},
        {"closed before the request is read", {{WIRE_END, NULL}}, false, ""},
        {"reset before the request is read", {{WIRE_RESET, NULL}}, false, ""},
        {"cut after the request", {{WIRE_EXPECT, NULL}, {WIRE_CUT, NULL}}, false, "closed"},
        {"reset after the request", {{WIRE_EXPECT, NULL}, {WIRE_RESET, NULL}}, false, "closed"},
        {"cut within the head",
         {{WIRE_EXPECT, NULL}, {WIRE_SEND, "HTTP/1.1 200 OK\r\nConten"}, {WIRE_CUT, NULL}},
         false,
         "cut off"},
        {"cut within the body",
         {{WIRE_EXPECT, NULL},
          {WIRE_SEND, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"order\":1}"},
          {WIRE_CUT, NULL}},
         false,
         "cut off"},
        {"cut after a body of known length",
         {{WIRE_EXPECT, NULL}, {WIRE_SEND, REPLY}, {WIRE_CUT, NULL}},
         true,
         NULL},
        {"body until the end, closed in order",
         {{WIRE_EXPECT, NULL},
          {WIRE_SEND, "HTTP/1.1 200 OK\r\n\r\n{\"order\":1}"},
          {WIRE_END, NULL}},
         true,
         NULL},
        /* libcurl takes it for the end. A part of a JSON object is none, so the reply stays
           unknown. */
        {"body until the end, cut",
         {{WIRE_EXPECT, NULL},
          {WIRE_SEND, "HTTP/1.1 200 OK\r\n\r\n{\"order\":1"},
          {WIRE_CUT, NULL}},
         true,
         NULL},
    };
    const char *ca_path = temporary_file("half-ca");
    struct wire_identity *identity = wire_identity_new(ca_path);

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct wire_step *const scripts[] = {cases[i].script, NULL};
        struct bench bench = {.server = wire_server_start(scripts, identity)};
        struct outcome outcome = {.calls = 0};

        print_message("# %s\n", cases[i].name);
        assert_int_equal(transport_new(&bench.transport), 0);
        bench.endpoint =
            new_endpoint(bench.transport, "https", wire_server_port(bench.server), ca_path, 10);
        exchange(&bench, &outcome);
        print_message("#   %s\n", outcome.end.problem.text);
        assert_int_equal(outcome.end.complete, cases[i].complete);
        if (cases[i].problem)
            assert_non_null(strstr(outcome.end.problem.text, cases[i].problem));
        assert_true(outcome.gate_calls <= 1);
        assert_true(outcome.end.sent || i < 3);
        close_client(&bench);
        assert_true(wire_server_requests(bench.server) <= outcome.end.sent);
        wire_server_free(bench.server);
    }
    wire_identity_free(identity);
    unlink(ca_path);
}

/* A handshake that ends early: not one byte of the request left. */
static void test_tls_handshake_ends(void **state)
{
    static const struct wire_step ends[][3] = {
        {{WIRE_BEGIN, NULL}, {WIRE_END, NULL}},
        {{WIRE_BEGIN, NULL}, {WIRE_RESET, NULL}},
        {{WIRE_BEGIN, NULL}, {WIRE_SEND, "\x15\x03\x03"}, {WIRE_END, NULL}},
        {{WIRE_RESET, NULL}},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        const struct wire_step *const scripts[] = {ends[i], NULL};
        struct wire_server *server = wire_server_start(scripts, NULL);
        char url[256];

        snprintf(url, sizeof url, "https://127.0.0.1:%u/api?secret=1", wire_server_port(server));
        assert_unsent(url, NULL, "", "");
        wire_server_stop(server);
        assert_int_equal(wire_server_requests(server), 0);
        wire_server_free(server);
    }
}

/* With TLS 1.3 a server that wants a client's certificate says no after the client has sent: the
 * request left, whatever became of it. */
static void test_tls_client_refused(void **state)
{
    static const struct wire_step script[] = {{WIRE_EXPECT, NULL}, {WIRE_END, NULL}};
    const struct wire_step *const scripts[] = {script, NULL};
    const char *ca_path = temporary_file("client-ca");
    struct wire_identity *identity = wire_identity_new(ca_path);
    struct outcome outcome = {.calls = 0};
    struct bench bench;

    (void)state;
    wire_identity_ask_client(identity);
    bench = (struct bench){.server = wire_server_start(scripts, identity)};
    assert_int_equal(transport_new(&bench.transport), 0);
    bench.endpoint =
        new_endpoint(bench.transport, "https", wire_server_port(bench.server), ca_path, 10);
    exchange(&bench, &outcome);
    print_message("# %s\n", outcome.end.problem.text);
    assert_true(outcome.end.sent);
    assert_false(outcome.end.complete);
    assert_int_equal(outcome.gate_calls, 1);
    close_client(&bench);
    assert_int_equal(wire_server_connections(bench.server), 1);
    wire_server_free(bench.server);
    wire_identity_free(identity);
    unlink(ca_path);
}

/* Ended while the request was being sent: part of it may have been enough. */
static void test_reset_while_sending(void **state)
{
    static const struct wire_step ends[][3] = {
        {{WIRE_RESET, NULL}},
        {{WIRE_END, NULL}},
        {{WIRE_BEGIN, NULL}, {WIRE_RESET, NULL}},
        {{WIRE_BEGIN, NULL}, {WIRE_END, NULL}},
        {{WIRE_BEGIN, NULL}, {WIRE_SEND, "HTTP/1.1 200 OK\r\n"}, {WIRE_RESET, NULL}},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        const struct wire_step *const scripts[] = {ends[i], NULL};
        struct outcome outcome = {.gate_open = true};
        struct text body = {0};
        struct bench bench;

        set_up(&bench, scripts);
        for (int part = 0; part < 1 << 18; part++)
            text_add(&body, "0123456789abcdef");
        assert_int_equal(
            transport_post(bench.endpoint, &body, 1000, ask_gate, take_outcome, &outcome), 0);
        await(bench.transport, &outcome);
        print_message("# %s\n", outcome.end.problem.text);
        assert_false(outcome.end.complete);
        assert_true(outcome.end.sent || i < 2);
        assert_true(outcome.gate_calls <= 1);
        close_client(&bench);
        assert_int_equal(wire_server_connections(bench.server), 1);
        wire_server_free(bench.server);
    }
}

/* This process was held up past the time limit while a reply of several buffers came in time: it is
 * taken. */
static void test_reply_in_time_survives_a_stall(void **state)
{
    static char reply[125000];
    const struct wire_step script[] = {
        {WIRE_EXPECT, NULL}, {WIRE_SEND, reply}, {WIRE_DRAIN, NULL}, {WIRE_END, NULL}};
    const struct wire_step *const scripts[] = {script, NULL};
    struct outcome outcome = {.gate_open = true};
    struct bench bench;
    int head = snprintf(reply, sizeof reply, "HTTP/1.1 200 OK\r\nContent-Length: 120000\r\n\r\n");

    (void)state;
    memset(reply + head, ' ', 120000);
    set_up_timed(&bench, scripts, 1);
    post_limited(bench.endpoint, &outcome, 130000);
    while (outcome.gate_calls == 0)
        assert_int_equal(transport_work(bench.transport), 0);
    await_count(wire_server_sends, bench.server, 1);
    sleep_until(clock_monotonic_us() + 1200 * US_PER_MS);
    assert_int_equal(transport_work(bench.transport), 0);
    assert_int_equal(outcome.calls, 1);
    assert_true(outcome.end.complete);
    assert_int_equal(outcome.end.bytes.body_bytes, 120000);
    tear_down(&bench);
}

/* Held up between connecting and sending: the reply still has all its time. */
static void test_time_limit_begins_with_sending(void **state)
{
    static const struct wire_step script[] = {
        {WIRE_EXPECT, NULL}, {WIRE_SEND, REPLY}, {WIRE_DRAIN, NULL}, {WIRE_END, NULL}};
    const struct wire_step *const scripts[] = {script, NULL};
    struct outcome outcome = {.gate_open = true};
    struct bench bench;

    (void)state;
    set_up_timed(&bench, scripts, 1);
    post_limited(bench.endpoint, &outcome, 1000);
    assert_int_equal(transport_work(bench.transport), 0);
    sleep_until(clock_monotonic_us() + 1500 * US_PER_MS);
    await(bench.transport, &outcome);
    assert_true(outcome.end.complete);
    tear_down(&bench);
}

static void test_slow_endpoint_delays_no_other(void **state)
{
    static const struct wire_step silent[] = {
        {WIRE_EXPECT, NULL}, {WIRE_DRAIN, NULL}, {WIRE_END, NULL}};
    static const struct wire_step answering[] = {{WIRE_EXPECT, NULL},
                                                 {WIRE_SEND, REPLY},
                                                 {WIRE_EXPECT, NULL},
                                                 {WIRE_SEND, REPLY},
                                                 {WIRE_END, NULL}};
    const struct wire_step *const scripts[] = {silent, NULL}, *const other_scripts[] = {answering,
                                                                                        NULL};
    struct wire_server *other = wire_server_start(other_scripts, NULL);
    struct outcome slow = {.gate_open = true}, quick = {.gate_open = true};
    struct endpoint *quick_endpoint;
    struct bench bench;

    (void)state;
    set_up(&bench, scripts);
    quick_endpoint = new_endpoint(bench.transport, "http", wire_server_port(other), NULL, 10);
    post_limited(bench.endpoint, &slow, 1000);
    for (int i = 0; i < 6; i++) {
        post_limited(quick_endpoint, &quick, 1000);
        await(bench.transport, &quick);
        assert_true(quick.end.complete);
        if (i % 2 == 1)
            await_count(wire_server_closed, other, (size_t)i / 2 + 1);
    }
    assert_int_equal(slow.calls, 0);
    endpoint_free(quick_endpoint);
    close_client(&bench);
    wire_server_stop(other);
    wire_server_free(other);
    wire_server_free(bench.server);
}

static void test_proxy_variables_are_ignored(void **state)
{
    static const struct wire_step script[] = {
        {WIRE_EXPECT, NULL}, {WIRE_SEND, REPLY}, {WIRE_END, NULL}};
    static const char *const names[] = {"http_proxy", "all_proxy", "ALL_PROXY"};
    const struct wire_step *const scripts[] = {script, NULL};
    struct outcome outcome = {.calls = 0};
    struct bench bench;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        setenv(names[i], "http://127.0.0.1:1", 1);
    set_up(&bench, scripts);
    exchange(&bench, &outcome);
    for (size_t i = 0; i < COUNT_OF(names); i++)
        unsetenv(names[i]);
    assert_true(outcome.end.complete);
    tear_down(&bench);
}

struct chain {
    struct endpoint *endpoint;
    struct outcome outcome;
    unsigned left;
};

static void post_next(void *userdata, const struct transfer_end *end)
{
    struct chain *chain = userdata;
    struct text body = {0};

    assert_true(end->complete);
    assert_int_equal(endpoint_free_slots(chain->endpoint), 4);
    text_add(&body, BODY);
    if (--chain->left > 0)
        assert_int_equal(transport_post(chain->endpoint, &body, 1000, NULL, post_next, chain), 0);
    else
        text_done(&body);
}

static void test_callback_may_post(void **state)
{
    static const struct wire_step script[] = {
        {WIRE_EXPECT, NULL}, {WIRE_SEND, REPLY}, {WIRE_EXPECT, NULL}, {WIRE_SEND, REPLY},
        {WIRE_EXPECT, NULL}, {WIRE_SEND, REPLY}, {WIRE_DRAIN, NULL},  {WIRE_END, NULL},
    };
    const struct wire_step *const scripts[] = {script, NULL};
    struct text body = {0};
    struct chain chain = {.left = 3};
    struct bench bench;

    (void)state;
    set_up(&bench, scripts);
    chain.endpoint = bench.endpoint;
    text_add(&body, BODY);
    assert_int_equal(transport_post(bench.endpoint, &body, 1000, NULL, post_next, &chain), 0);
    while (chain.left > 0) {
        assert_int_equal(transport_wait(bench.transport, -1, US_PER_S), 0);
        assert_int_equal(transport_work(bench.transport), 0);
    }
    tear_down(&bench);
}

static void test_slots(void **state)
{
    static const struct wire_step script[] = {{WIRE_EXPECT, NULL},
                                              {WIRE_HOLD, NULL},
                                              {WIRE_SEND, REPLY},
                                              {WIRE_DRAIN, NULL},
                                              {WIRE_END, NULL}};
    const struct wire_step *const scripts[] = {script, NULL};
    struct outcome outcomes[4];
    struct text body = {0}, failed = {.failed = true};
    struct bench bench;

    (void)state;
    set_up(&bench, scripts);
    assert_int_equal(transport_post(bench.endpoint, &failed, 1000, NULL, take_outcome, NULL),
                     -ENOMEM);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(endpoint_free_slots(bench.endpoint), 4 - i);
        outcomes[i] = (struct outcome){.gate_open = true};
        post_limited(bench.endpoint, &outcomes[i], 1000);
    }
    text_add(&body, BODY);
    assert_int_equal(transport_post(bench.endpoint, &body, 1000, NULL, take_outcome, NULL), -EBUSY);
    assert_null(body.bytes);
    assert_int_equal(endpoint_in_flight(bench.endpoint), 4);
    wire_server_release(bench.server);
    for (unsigned i = 0; i < 4; i++) {
        await(bench.transport, &outcomes[i]);
        assert_true(outcomes[i].end.complete);
    }
    assert_int_equal(endpoint_free_slots(bench.endpoint), 4);
    tear_down(&bench);
}

/* Transfers under way are dropped with their endpoint, without a callback. */
static void test_freed_under_way(void **state)
{
    static const struct wire_step script[] = {
        {WIRE_EXPECT, NULL}, {WIRE_DRAIN, NULL}, {WIRE_END, NULL}};
    const struct wire_step *const scripts[] = {script, NULL};
    struct outcome sent = {.gate_open = true}, unsent = {.gate_open = true};
    struct bench bench;

    (void)state;
    set_up(&bench, scripts);
    post_limited(bench.endpoint, &sent, 1000);
    while (sent.gate_calls == 0)
        assert_int_equal(transport_work(bench.transport), 0);
    post_limited(bench.endpoint, &unsent, 1000);
    tear_down(&bench);
    assert_int_equal(sent.calls, 0);
    assert_int_equal(unsent.calls, 0);
}

static void test_wait(void **state)
{
    struct transport *transport = NULL;
    int64_t began_us = clock_monotonic_us();
    int fd = eventfd(0, EFD_CLOEXEC);

    (void)state;
    assert_int_equal(transport_new(&transport), 0);
    assert_int_equal(transport_wait(transport, fd, 20 * US_PER_MS), 0);
    assert_true(clock_monotonic_us() - began_us >= 20 * US_PER_MS);
    eventfd_write(fd, 1);
    began_us = clock_monotonic_us();
    assert_int_equal(transport_wait(transport, fd, 60 * US_PER_S), 0);
    assert_true(clock_monotonic_us() - began_us < 10 * US_PER_S);
    assert_int_equal(transport_work(transport), 0);
    transport_free(transport);
    close(fd);
}

static void test_endpoint_options(void **state)
{
    static const struct {
        const char *url, *ca_file, *problem;
    } cases[] = {
        {"https://127.0.0.1/api", NULL, NULL},
        {"http://127.0.0.1:8080/api?q=1", NULL, NULL},
        {"http://127.9.9.9/", NULL, NULL},
        {"http://localhost/", NULL, NULL},
        {"http://[::1]:81/", NULL, NULL},
        {"http://192.0.2.1/", NULL, "would show the key"},
        {"http://localhost.example.org/", NULL, "would show the key"},
        {"http://[::2]/", NULL, "would show the key"},
        {"ftp://127.0.0.1/", NULL, "https://"},
        {"file:///etc/passwd", NULL, "url"},
        {"https://name@example.org/", NULL, "user name"},
        {"no url", NULL, "not valid"},
        {"", NULL, "not valid"},
        {"https://127.0.0.1/", "/nonexistent/ca.pem", "unable to read the CA file"},
        {"https://127.0.0.1/", "/dev/null", "no certificate in the CA file"},
    };
    struct transport *transport = NULL;

    (void)state;
    assert_int_equal(transport_new(&transport), 0);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct endpoint_options options = {
            .url = cases[i].url, .ca_file = cases[i].ca_file, .max_in_flight = 1, .timeout_s = 1};
        struct endpoint *endpoint = NULL;
        struct problem problem = {.text = ""};

        assert_int_equal(endpoint_new(transport, &options, &endpoint, &problem),
                         cases[i].problem ? 1 : 0);
        if (cases[i].problem)
            assert_non_null(strstr(problem.text, cases[i].problem));
        endpoint_free(endpoint);
    }
    transport_free(transport);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies),
        cmocka_unit_test(test_request_bytes),
        cmocka_unit_test(test_compression_is_for_long_replies),
        cmocka_unit_test(test_reused_connection_closed_after_request),
        cmocka_unit_test(test_idle_connection_ended),
        cmocka_unit_test(test_connection_is_kept),
        cmocka_unit_test(test_tls_is_observed),
        cmocka_unit_test(test_keep_alive_is_heeded),
        cmocka_unit_test(test_gate_refuses),
        cmocka_unit_test(test_never_sent),
        cmocka_unit_test(test_ca_file_is_each_endpoints_own),
        cmocka_unit_test(test_ca_file_is_replaced),
        cmocka_unit_test(test_partly_sent_counts_as_sent),
        cmocka_unit_test(test_no_http_2),
        cmocka_unit_test(test_tls_fails_half_way),
        cmocka_unit_test(test_tls_handshake_ends),
        cmocka_unit_test(test_tls_client_refused),
        cmocka_unit_test(test_reset_while_sending),
        cmocka_unit_test(test_more_than_announced),
        cmocka_unit_test(test_reply_before_all_is_sent),
        cmocka_unit_test(test_reply_in_time_survives_a_stall),
        cmocka_unit_test(test_time_limit_begins_with_sending),
        cmocka_unit_test(test_slow_endpoint_delays_no_other),
        cmocka_unit_test(test_proxy_variables_are_ignored),
        cmocka_unit_test(test_callback_may_post),
        cmocka_unit_test(test_slots),
        cmocka_unit_test(test_freed_under_way),
        cmocka_unit_test(test_wait),
        cmocka_unit_test(test_endpoint_options),
    };

    return cmocka_run_group_tests_name("transport", tests, NULL, NULL);
}
