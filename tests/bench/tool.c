/*
 * tests/bench/tool.c - what tests/bench/run needs a program for.
 *
 *     tool statements CONNINFO VIEW FUNCTION DIRECTORY
 *         the daemon's statements, as pgbench scripts
 *     tool cpu PID...
 *         their processor time, in µs, summed
 *     tool pay CONNINFO COUNT FROM_MS TO_MS
 *         pays placed orders one by one
 *     tool buy PORT KEY SERVICE COUNT
 *         that many adds at the simulated provider
 *     tool bare URL KEY SERVICE COUNT
 *         the same by libcurl and nothing else: processor time of each, in ms
 *
 * It is linked with the daemon's objects. The door for statements, connection_run(), is wrapped:
 * what a module of store/ wants to run is written down instead, with its values, so the scripts are
 * the daemon's own statements.
 */
#include "base/own.h"
#include "base/text.h"
#include "store/contract.h"
#include "store/orders.h"
#include "store/polls.h"
#include "store/session.h"
#include "store/shop.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <curl/curl.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* The lease that run gives itself is this instance's. */
#define INSTANCE "0b0e2c1e-6a52-4a0f-9d35-6f1d2c9a7b11"

static int fail(const char *what, const char *why)
{
    fprintf(stderr, "bench: %s: %s\n", what, why);
    return 1;
}

static int64_t clock_us(clockid_t clock)
{
    struct timespec now = {0};

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- statements ---- */

/* A statement on its way to a script instead of a server. */
struct connection {
    FILE *script;
    const char *const *variables; /* by parameter; NULL = its value */
};

static void write_literal(FILE *script, const char *value)
{
    fputc('\'', script);
    for (; *value; value++) {
        if (*value == '\'')
            fputc('\'', script);
        fputc(*value, script);
    }
    fputc('\'', script);
}

static void write_parameter(const struct connection *connection, const struct values *values,
                            int index)
{
    const char *variable = connection->variables ? connection->variables[index] : NULL;

    if (variable)
        fprintf(connection->script, ":%s", variable);
    else if (values->offsets[index] < 0)
        fputs("NULL", connection->script);
    else
        write_literal(connection->script, values->bytes.bytes + values->offsets[index]);
}

int __wrap_connection_run(struct connection *connection, struct transaction *transaction,
                          store_done done, void *userdata);
int __wrap_connection_run(struct connection *connection, struct transaction *transaction,
                          store_done done, void *userdata)
{
    (void)done;
    (void)userdata;
    for (const char *text = transaction->statement->text; *text;) {
        char *rest = NULL;

        if (text[0] == '$' && isdigit((unsigned char)text[1])) {
            write_parameter(connection, transaction->values, (int)strtol(text + 1, &rest, 10) - 1);
            text = rest;
        } else {
            fputc(*text++, connection->script);
        }
    }
    fputs(";\n", connection->script);
    values_done(transaction->values);
    return 0;
}

static int open_script(const char *directory, const char *name, struct connection *ret_connection)
{
    char path[1000];

    snprintf(path, sizeof path, "%s/%s.sql", directory, name);
    ret_connection->script = fopen(path, "w");
    return ret_connection->script ? 0 : fail(path, "it cannot be written");
}

static int write_statements(struct shop *shop, const char *directory)
{
    static const char *const names[] = {"panel"};
    static const char *const variables[VALUES_MAX] = {[0] = "ids", [3] = "provider_ids"};
    static const char *const claim_variables[VALUES_MAX] = {[7] = "claims"}; /* the lease's count */
    const struct intake_options intake = {
        .default_provider = "panel", .providers = names, .provider_count = 1, .limit = 1000000};
    const struct claim_options claim = {.provider = "panel",
                                        .account_id = 1,
                                        .instance = INSTANCE,
                                        .limit = ORDERS_BATCH_MAX,
                                        .send_within_s = 30,
                                        .lease_number = 1,
                                        .journal = INSTANCE};
    const struct poll_wish wish = {
        .account_id = 1, .limit = POLLS_BATCH_MAX, .turn = 1, .speed = 1};
    struct attempt_end ends[ORDERS_BATCH_MAX];
    struct connection script = {0};

    for (size_t i = 0; i < ORDERS_BATCH_MAX; i++)
        ends[i] = (struct attempt_end){
            .number = 1, .outcome = "accepted", .provider_order_id = "", .http_status = 200};
    if (open_script(directory, "intake", &script) != 0)
        return 1;
    shop_intake(shop, &script, &intake, NULL, NULL);
    fclose(script.script);
    if (open_script(directory, "polls", &script) != 0)
        return 1;
    polls_pick(&script, &wish, NULL, NULL);
    fclose(script.script);
    if (open_script(directory, "orders", &script) != 0)
        return 1;
    fputs("\\set first :first + 100\n"
          "\\set claims :claims + 1\n"
          "SELECT array_agg(i)::text AS ids, array_agg('p' || i)::text AS provider_ids\n"
          "  FROM generate_series(:first::int, :first::int + 99) i \\gset\n",
          script.script);
    script.variables = claim_variables;
    shop_claim(shop, &script, &claim, NULL, NULL);
    script.variables = variables;
    orders_record(&script, ends, ORDERS_BATCH_MAX, shop_has_function(shop), 5, true, NULL, NULL);
    script.variables = NULL;
    if (shop_has_function(shop))
        shop_deliver(shop, &script, ORDERS_BATCH_MAX, 0, NULL, NULL);
    fclose(script.script);
    return 0;
}

static int statements(char **arguments)
{
    const char *values[] = {arguments[1], arguments[2][0] ? arguments[2] : NULL};
    struct session_options options = {.conninfo = arguments[0]};
    OWN(session_freep) struct session *session = NULL;
    OWN(contract_done) struct contract contract = {0};
    OWN(shop_freep) struct shop *shop = NULL;
    struct problem problem = {0};
    PGresult *rows = NULL;

    if (session_open(&options, &session, &problem) != 0 ||
        session_run(session, &contract_statement, values, 2, &rows, &problem) != SESSION_DONE)
        return fail("the contract", problem.text);
    if (contract_read(rows, &contract, &problem) != 0 || shop_new(&contract, 2, &shop) != 0 ||
        !shop_has_view(shop))
        return fail("the contract",
                    contract.fault_count ? contract.faults[0].problem.text : problem.text);
    PQclear(rows);
    return write_statements(shop, arguments[3]);
}

/* ---- processor time ---- */

/* A process that is gone counts nothing. */
static int cpu(char **pids)
{
    int64_t sum_us = 0;
    clockid_t clock;

    for (; *pids; pids++)
        if (clock_getcpuclockid((pid_t)atol(*pids), &clock) == 0)
            sum_us += clock_us(clock);
    printf("%lld\n", (long long)sum_us);
    return 0;
}

/* ---- paying ---- */

static bool run(PGconn *server, const char *text)
{
    PGresult *result = PQexec(server, text);
    ExecStatusType status = PQresultStatus(result);

    PQclear(result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

/* One line an order: the wall clock, in µs, when its COMMIT was sent and when it was confirmed. */
static int pay_each(PGconn *server, const PGresult *numbers, long from_ms, long to_ms)
{
    unsigned seed = 4711;

    for (int i = 0; i < PQntuples(numbers); i++) {
        char text[200];
        int64_t sent_us;

        usleep((useconds_t)(from_ms * 1000 + (long)rand_r(&seed) % ((to_ms - from_ms) * 1000 + 1)));
        snprintf(text, sizeof text, "SELECT store.pay_order('%s')", PQgetvalue(numbers, i, 0));
        if (!run(server, "BEGIN") || !run(server, text))
            return fail("paying", PQerrorMessage(server));
        sent_us = clock_us(CLOCK_REALTIME);
        if (!run(server, "COMMIT"))
            return fail("paying", PQerrorMessage(server));
        printf("%lld %lld\n", (long long)sent_us, (long long)clock_us(CLOCK_REALTIME));
    }
    return 0;
}

static int pay(char **arguments)
{
    PGconn *server = PQconnectdb(arguments[0]);
    char text[200];
    PGresult *numbers;
    int r;

    snprintf(text, sizeof text,
             "SELECT number FROM store.orders WHERE status = 'placed' ORDER BY id LIMIT %ld",
             atol(arguments[1]));
    numbers = PQexec(server, text);
    r = PQresultStatus(numbers) == PGRES_TUPLES_OK
            ? pay_each(server, numbers, atol(arguments[2]), atol(arguments[3]))
            : fail("placed orders", PQerrorMessage(server));
    PQclear(numbers);
    PQfinish(server);
    return r;
}

/* ---- buying ---- */

#define BUY_WINDOW 50 /* requests sent before their replies are read */

static bool send_all(int server, const char *bytes, size_t count)
{
    while (count > 0) {
        ssize_t sent = send(server, bytes, count, 0);

        if (sent <= 0)
            return false;
        bytes += sent;
        count -= (size_t)sent;
    }
    return true;
}

/* Reads until `count` replies have said that they are orders. */
static bool await_orders(int server, long count)
{
    static const char wanted[] = "{\"order\":";
    char bytes[16384];
    size_t matched = 0;

    while (count > 0) {
        ssize_t got = recv(server, bytes, sizeof bytes, 0);

        if (got <= 0)
            return false;
        for (ssize_t i = 0; i < got; i++) {
            matched = bytes[i] == wanted[matched] ? matched + 1 : bytes[i] == wanted[0];
            if (matched == sizeof wanted - 1) {
                matched = 0;
                count--;
            }
        }
    }
    return true;
}

static void add_request(struct text *text, char **arguments, long number)
{
    char body[500];
    int length =
        snprintf(body, sizeof body,
                 "key=%s&action=add&service=%s&quantity=1000&link=https%%3A%%2F%%2Fx.com%%2F%ld",
                 arguments[1], arguments[2], number);

    text_format(text,
                "POST /wp-json/chw/v2 HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
                length, body);
}

static int buy(char **arguments)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(arguments[0])),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), r = 0;
    long left = atol(arguments[3]);

    if (connect(server, (struct sockaddr *)&address, sizeof address) < 0)
        r = fail("buying", "the provider is not there");
    while (left > 0 && r == 0) {
        OWN(text_done) struct text requests = {0};
        long count = left < BUY_WINDOW ? left : BUY_WINDOW;

        for (long i = 0; i < count; i++)
            add_request(&requests, arguments, left - i);
        if (!send_all(server, requests.bytes, requests.length) || !await_orders(server, count))
            r = fail("buying", "the provider closed the connection");
        left -= count;
    }
    close(server);
    return r;
}

/* ---- what the machine needs for a request that is nobody's ---- */

static size_t drop_reply(char *bytes, size_t size, size_t count, void *userdata)
{
    (void)bytes, (void)userdata;
    return size * count;
}

static int bare(char **arguments)
{
    CURL *easy = curl_easy_init();
    char body[500];
    long count = atol(arguments[3]);
    CURLcode code = easy ? CURLE_OK : CURLE_OUT_OF_MEMORY;
    int64_t began_us = 0;

    snprintf(body, sizeof body,
             "key=%s&action=add&service=%s&quantity=1000&link=https%%3A%%2F%%2Fx.com%%2F1",
             arguments[1], arguments[2]);
    curl_easy_setopt(easy, CURLOPT_URL, arguments[0]);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop_reply);
    for (long i = 0; i <= count && code == CURLE_OK; i++) {
        if (i == 1) /* the first one opened the connection */
            began_us = clock_us(CLOCK_PROCESS_CPUTIME_ID);
        code = curl_easy_perform(easy);
    }
    if (code == CURLE_OK)
        printf("%.4f\n",
               (double)(clock_us(CLOCK_PROCESS_CPUTIME_ID) - began_us) / 1000 / (double)count);
    curl_easy_cleanup(easy);
    return code == CURLE_OK ? 0 : fail("a bare request", curl_easy_strerror(code));
}

int main(int count, char **arguments)
{
    if (count == 6 && strcmp(arguments[1], "statements") == 0)
        return statements(arguments + 2);
    if (count > 2 && strcmp(arguments[1], "cpu") == 0)
        return cpu(arguments + 2);
    if (count == 6 && strcmp(arguments[1], "pay") == 0)
        return pay(arguments + 2);
    if (count == 6 && strcmp(arguments[1], "buy") == 0)
        return buy(arguments + 2);
    if (count == 6 && strcmp(arguments[1], "bare") == 0)
        return bare(arguments + 2);
    return fail("usage", "tool statements|cpu|pay|buy|bare ...");
}
