/*
 * One lane against a real PostgreSQL, which the environment names (PGHOST, PGPORT, PGUSER,
 * PGDATABASE). It must be a throwaway cluster on this machine and this process must be able to
 * signal its backends: the tests freeze and kill them.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/own.h"
#include "host/clock.h"
#include "store/connection.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define DEADLINE_US (20 * US_PER_S)
#define STALL_US (500 * US_PER_MS) /* a loop that waits for the server would take far longer */

struct lane {
    struct connection *connection;
    int ups, downs, notifies;
    struct problem problem;
    int64_t retry_us;
};

struct outcome {
    int calls, place; /* place: the how-manyeth answer of all */
    enum store_verdict verdict;
    char sqlstate[6];
    struct problem problem;
    char value[64]; /* first column of the first row */
    int rows;
    struct connection **to_free;
};

static struct fixture {
    sd_event *event;
    PGconn *side; /* a second, ordinary session: the shop, or the administrator */
    char directory[64];
    int silent;
    struct lane patient;
    int answers;
} fixture;

#define WAIT_FOR(condition)                                                                        \
    do {                                                                                           \
        int64_t deadline_us_ = clock_monotonic_us() + DEADLINE_US;                                 \
        while (!(condition)) {                                                                     \
            if (clock_monotonic_us() > deadline_us_)                                               \
                fail_msg("not within the deadline: %s", #condition);                               \
            turn();                                                                                \
        }                                                                                          \
    } while (0)

static void turn(void)
{
    int64_t before_us = clock_monotonic_us();

    assert_true(sd_event_run(fixture.event, 10000) >= 0);
    assert_in_range(clock_monotonic_us() - before_us, 0, STALL_US);
}

static void lane_up(void *userdata)
{
    struct lane *lane = userdata;

    assert_true(connection_is_up(lane->connection));
    lane->ups++;
}

static void lane_down(void *userdata, const struct problem *problem, int64_t retry_us)
{
    struct lane *lane = userdata;

    assert_false(connection_is_up(lane->connection));
    lane->downs++;
    lane->problem = *problem;
    lane->retry_us = retry_us;
}

static void lane_notified(void *userdata)
{
    struct lane *lane = userdata;

    lane->notifies++;
}

static void lane_open(struct lane *lane, const char *conninfo, const char *channel)
{
    const struct connection_options options = {
        .name = "test",
        .conninfo = conninfo,
        .listen_channel = channel,
        .on_up = lane_up,
        .on_down = lane_down,
        .on_notify = lane_notified,
        .userdata = lane,
    };

    *lane = (struct lane){0};
    assert_int_equal(connection_new(fixture.event, &options, &lane->connection), 0);
}

static void lane_open_up(struct lane *lane, const char *channel)
{
    lane_open(lane, "", channel);
    WAIT_FOR(lane->ups == 1);
    assert_int_equal(lane->downs, 0);
}

static void lane_close(struct lane *lane)
{
    connection_free(lane->connection);
    lane->connection = NULL;
}

static void take_answer(void *userdata, const struct store_answer *answer)
{
    struct outcome *outcome = userdata;

    outcome->calls++;
    outcome->place = ++fixture.answers;
    outcome->verdict = answer->verdict;
    outcome->problem = answer->problem;
    memcpy(outcome->sqlstate, answer->sqlstate, sizeof outcome->sqlstate);
    if (answer->verdict == STORE_DONE) {
        assert_non_null(answer->rows);
        outcome->rows = PQntuples(answer->rows);
        if (outcome->rows > 0 && row_text(answer->rows, 0, 0))
            (void)snprintf(outcome->value, sizeof outcome->value, "%s",
                           row_text(answer->rows, 0, 0));
    } else {
        assert_null(answer->rows);
    }
    if (outcome->to_free) {
        connection_free(*outcome->to_free);
        *outcome->to_free = NULL;
    }
}

static void run(struct lane *lane, struct transaction transaction, struct outcome *outcome)
{
    assert_int_equal(connection_run(lane->connection, &transaction, take_answer, outcome), 0);
    assert_int_equal(outcome->calls, 0);
}

static struct transaction plain(const struct statement *statement)
{
    return (struct transaction){.statement = statement};
}

/* Runs it to its end. */
static struct outcome ask(struct lane *lane, struct transaction transaction)
{
    struct outcome outcome = {0};

    run(lane, transaction, &outcome);
    WAIT_FOR(outcome.calls == 1);
    return outcome;
}

static void side_run(const char *text)
{
    PGresult *result = PQexec(fixture.side, text);
    ExecStatusType status = PQresultStatus(result);

    PQclear(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        fail_msg("%s: %s", text, PQerrorMessage(fixture.side));
}

static long side_count(const char *text)
{
    PGresult *result = PQexec(fixture.side, text);
    long count = PQresultStatus(result) == PGRES_TUPLES_OK ? atol(PQgetvalue(result, 0, 0)) : -1;

    PQclear(result);
    if (count < 0)
        fail_msg("%s: %s", text, PQerrorMessage(fixture.side));
    return count;
}

static const struct statement one = {"one", "SELECT 1"};
static const struct statement sleep_long = {"sleep_long", "SELECT pg_sleep(60)"};
static const struct statement backend_pid = {"backend_pid", "SELECT pg_backend_pid()"};
static const struct statement division = {"division", "SELECT 1 / 0"};
static const struct statement limits = {
    "limits",
    "SELECT current_setting('lock_timeout') || ' ' || current_setting('statement_timeout')"};
static const struct statement child = {"child", "INSERT INTO child (parent) VALUES (7)"};
static const struct statement good_child = {"good_child", "INSERT INTO child (parent) VALUES (1)"};
static const struct statement touch = {"touch", "UPDATE parent SET note = 'x' WHERE id = 1"};

static const char sleeping[] = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND "
                               "query = 'SELECT pg_sleep(60)' AND wait_event = 'PgSleep'";

static void answers_come_later_and_in_order(void **state)
{
    struct lane lane;
    struct outcome outcomes[5] = {0};

    (void)state;
    lane_open(&lane, "", NULL);
    assert_false(connection_is_up(lane.connection));
    for (size_t i = 0; i < COUNT_OF(outcomes); i++)
        run(&lane, plain(i == 2 ? &division : &one), &outcomes[i]);
    WAIT_FOR(outcomes[4].calls == 1);
    for (size_t i = 0; i < COUNT_OF(outcomes); i++) {
        assert_int_equal(outcomes[i].calls, 1);
        assert_int_equal(outcomes[i].place - outcomes[0].place, i);
        assert_int_equal(outcomes[i].verdict, i == 2 ? STORE_REFUSED : STORE_DONE);
    }
    assert_string_equal(outcomes[1].value, "1");
    assert_string_equal(outcomes[2].sqlstate, "22012");
    assert_string_equal(outcomes[2].problem.text, "division by zero");
    assert_true(connection_is_idle(lane.connection));
    lane_close(&lane);
}

static void limits_end_with_the_transaction(void **state)
{
    static const struct {
        unsigned lock_ms, statement_ms;
        const char *expected;
    } cases[] = {{0, 0, "0 0"},
                 {1234, 0, "1234ms 0"},
                 {0, 5678, "0 5678ms"},
                 {11, 22, "11ms 22ms"},
                 {0, 0, "0 0"}};
    struct lane lane;
    struct outcome outcome;

    (void)state;
    lane_open_up(&lane, NULL);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        outcome = ask(&lane, (struct transaction){.statement = &limits,
                                                  .lock_timeout_ms = cases[i].lock_ms,
                                                  .statement_timeout_ms = cases[i].statement_ms});
        assert_int_equal(outcome.verdict, STORE_DONE);
        assert_string_equal(outcome.value, cases[i].expected);
    }
    outcome =
        ask(&lane, (struct transaction){.statement = &sleep_long, .statement_timeout_ms = 50});
    assert_int_equal(outcome.verdict, STORE_REFUSED);
    assert_string_equal(outcome.sqlstate, "57014");

    side_run("BEGIN; SELECT * FROM parent WHERE id = 1 FOR UPDATE");
    outcome = ask(&lane, (struct transaction){.statement = &touch, .lock_timeout_ms = 50});
    assert_int_equal(outcome.verdict, STORE_REFUSED);
    assert_string_equal(outcome.sqlstate, "55P03");
    side_run("COMMIT");
    outcome = ask(&lane, plain(&touch));
    assert_int_equal(outcome.verdict, STORE_DONE);
    assert_string_equal(ask(&lane, plain(&limits)).value, "0 0");
    assert_int_equal(lane.downs, 0);
    lane_close(&lane);
}

static void refused_commits_leave_nothing(void **state)
{
    struct lane lane;

    (void)state;
    lane_open_up(&lane, NULL);
    for (int immediate = 0; immediate < 2; immediate++) {
        struct outcome outcome =
            ask(&lane, (struct transaction){.statement = &child,
                                            .statement_timeout_ms = 5000,
                                            .constraints_immediate = immediate});

        assert_int_equal(outcome.verdict, STORE_REFUSED);
        assert_string_equal(outcome.sqlstate, "23503");
        assert_non_null(strstr(outcome.problem.text, "Key (parent)=(7) is not present"));
        assert_string_equal(outcome.problem.hint, "");
        assert_int_equal(side_count("SELECT count(*) FROM child"), 0);
        outcome = ask(&lane, (struct transaction){.statement = &good_child,
                                                  .constraints_immediate = immediate});
        assert_int_equal(outcome.verdict, STORE_DONE);
        assert_int_equal(
            side_count("WITH gone AS (DELETE FROM child RETURNING 1) SELECT count(*) FROM gone"),
            1);
    }
    lane_close(&lane);
}

/* With a limit of its own the deferred trigger has to fall into the statement's time, not into the
 * unlimited commit. */
static void deferred_triggers_are_limited_when_immediate(void **state)
{
    static const struct statement slow = {"slow", "INSERT INTO slow DEFAULT VALUES"};
    struct lane lane;
    struct outcome outcome;

    (void)state;
    lane_open_up(&lane, NULL);
    outcome = ask(&lane, (struct transaction){.statement = &slow,
                                              .statement_timeout_ms = 50,
                                              .constraints_immediate = true});
    assert_int_equal(outcome.verdict, STORE_REFUSED);
    assert_string_equal(outcome.sqlstate, "57014");
    assert_non_null(strstr(outcome.problem.hint, "raised in PL/pgSQL function slowly()"));
    lane_close(&lane);
}

static void values_round_trip(void **state)
{
    static const char *const strings[] = {
        "",       NULL,         "NULL",    "null",         "\"",         "\\",
        "\\\"",   "{}",         "{a,b}",   "a,b",          " lead",      "trail ",
        "\t\n\r", "'; DROP --", "$1",      "\\\\x00",      "it''s",      "\\N",
        "ü€😀",    "\x01\x7f",   "a\"b\\c", "ends with \\", "\"quoted\"", "{\"x\": [1, 2]}",
    };
    static const struct statement text = {
        "text", "SELECT count(*) FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY AS u "
                "(value, place, n) "
                "WHERE place = n AND value IS NOT DISTINCT FROM $3::text"};
    static const struct statement scalars = {
        "scalars", "SELECT $1::text IS NULL AND $2::bigint = -9223372036854775808 AND $3::boolean "
                   "AND NOT $4::boolean "
                   "AND $5::bigint[] = '{9223372036854775807,-1}' AND $6::boolean[] = '{t,f}' AND "
                   "$7::text[] = '{}' "
                   "AND $8::text = '{a,\"b\"}'"};
    struct lane lane;
    struct values values = {0};

    (void)state;
    lane_open_up(&lane, NULL);
    for (size_t wanted = 0; wanted < COUNT_OF(strings); wanted++) {
        char expected[8];
        size_t same = 0;

        values_begin_array(&values);
        for (size_t i = 0; i < COUNT_OF(strings); i++)
            values_add_text(&values, strings[i]);
        values_end_array(&values);
        values_begin_array(&values);
        for (size_t i = 0; i < COUNT_OF(strings); i++)
            values_add_integer(&values, (int64_t)i + 1);
        values_end_array(&values);
        values_add_text(&values, strings[wanted]);
        for (size_t i = 0; i < COUNT_OF(strings); i++)
            same += strings[i] && strings[wanted] ? strcmp(strings[i], strings[wanted]) == 0
                                                  : strings[i] == strings[wanted];
        (void)snprintf(expected, sizeof expected, "%zu", same);
        assert_string_equal(
            ask(&lane, (struct transaction){.statement = &text, .values = &values}).value,
            expected);
        assert_int_equal(values.count, 0);
    }
    values_add_text(&values, NULL);
    values_add_integer(&values, INT64_MIN);
    values_add_boolean(&values, true);
    values_add_boolean(&values, false);
    values_begin_array(&values);
    values_add_integer(&values, INT64_MAX);
    values_add_integer(&values, -1);
    values_end_array(&values);
    values_begin_array(&values);
    values_add_boolean(&values, true);
    values_add_boolean(&values, false);
    values_end_array(&values);
    values_begin_array(&values);
    values_end_array(&values);
    values_add_text(&values, "{a,\"b\"}");
    assert_string_equal(
        ask(&lane, (struct transaction){.statement = &scalars, .values = &values}).value, "t");
    lane_close(&lane);
}

static void check_rows(void *userdata, const struct store_answer *answer)
{
    int *called = userdata;

    (*called)++;
    assert_int_equal(answer->verdict, STORE_DONE);
    assert_string_equal(row_text(answer->rows, 0, 0), "a\"\\\n");
    assert_null(row_text(answer->rows, 0, 1));
    assert_int_equal(row_integer(answer->rows, 0, 1, -5), -5);
    assert_true(row_integer(answer->rows, 0, 2, 0) == INT64_MIN);
    assert_true(row_boolean(answer->rows, 0, 3));
    assert_false(row_boolean(answer->rows, 0, 4));
    assert_false(row_boolean(answer->rows, 0, 1));
    assert_true(answer->took_us > 0);
}

static void rows_decode(void **state)
{
    static const struct statement row = {
        "row", "SELECT E'a\"\\\\\\n', NULL::bigint, -9223372036854775808, true, false"};
    struct transaction transaction = plain(&row);
    struct lane lane;
    int called = 0;

    (void)state;
    lane_open_up(&lane, NULL);
    assert_int_equal(connection_run(lane.connection, &transaction, check_rows, &called), 0);
    WAIT_FOR(called == 1);
    lane_close(&lane);
}

/* More than any socket buffer holds, both ways. */
static void large_values_pass(void **state)
{
    static const struct statement echo = {"echo",
                                          "SELECT value FROM unnest($1::text[]) AS u (value)"};
    enum { ROWS = 50000 };
    char text[100];
    struct values values = {0};
    struct lane lane;

    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    lane_open_up(&lane, NULL);
    values_begin_array(&values);
    for (int i = 0; i < ROWS; i++)
        values_add_text(&values, text);
    values_end_array(&values);
    assert_int_equal(ask(&lane, (struct transaction){.statement = &echo, .values = &values}).rows,
                     ROWS);
    lane_close(&lane);
}

static void notifications_arrive(void **state)
{
    struct lane lane;
    struct outcome outcome = {0};

    (void)state;
    lane_open_up(&lane, "odd \"Name\"");
    side_run("NOTIFY \"odd \"\"Name\"\"\"");
    WAIT_FOR(lane.notifies == 1);

    run(&lane, (struct transaction){.statement = &sleep_long, .statement_timeout_ms = 300},
        &outcome);
    WAIT_FOR(side_count(sleeping) == 1);
    side_run("NOTIFY \"odd \"\"Name\"\"\"");
    WAIT_FOR(outcome.calls == 1);
    WAIT_FOR(lane.notifies == 2);

    /* A changed setting is reported to idle sessions too, and must not hide what comes after it. */
    side_run("ALTER SYSTEM SET timezone = 'Asia/Kolkata'");
    side_run("SELECT pg_reload_conf()");
    WAIT_FOR(side_count("SELECT count(*) FROM pg_settings WHERE name = 'TimeZone' AND setting = "
                        "'Asia/Kolkata'") == 1);
    side_run("NOTIFY \"odd \"\"Name\"\"\"");
    WAIT_FOR(lane.notifies == 3);
    side_run("ALTER SYSTEM RESET timezone");
    side_run("SELECT pg_reload_conf()");
    assert_int_equal(lane.downs, 0);
    lane_close(&lane);
}

static void terminate(const char *pid)
{
    char text[160];

    (void)snprintf(text, sizeof text,
                   "SELECT count(*) FROM pg_terminate_backend(%s, 5000) AS ended WHERE ended", pid);
    assert_int_equal(side_count(text), 1);
}

static void a_terminated_lane_comes_back_and_listens(void **state)
{
    struct lane lane;

    (void)state;
    lane_open_up(&lane, "wake");
    for (int round = 1; round <= 3; round++) {
        terminate(ask(&lane, plain(&backend_pid)).value);
        WAIT_FOR(lane.downs == round);
        assert_non_null(strstr(lane.problem.text, "administrator command"));
        assert_in_range(lane.retry_us, 1, 200 * US_PER_MS);
        WAIT_FOR(lane.ups == round + 1);
        side_run("NOTIFY wake");
        WAIT_FOR(lane.notifies == round);
    }
    lane_close(&lane);
}

static void a_broken_transaction_is_lost_and_the_queue_goes_on(void **state)
{
    struct lane lane;
    struct outcome lost = {0}, waiting[2] = {0};
    struct outcome pid;

    (void)state;
    lane_open_up(&lane, NULL);
    pid = ask(&lane, plain(&backend_pid));
    run(&lane, plain(&sleep_long), &lost);
    run(&lane, plain(&one), &waiting[0]);
    run(&lane, plain(&one), &waiting[1]);
    WAIT_FOR(side_count(sleeping) == 1);
    assert_false(connection_is_idle(lane.connection));
    terminate(pid.value);
    WAIT_FOR(waiting[1].calls == 1);
    assert_int_equal(lost.calls, 1);
    assert_int_equal(lost.verdict, STORE_LOST);
    assert_int_equal(waiting[0].verdict, STORE_DONE);
    assert_int_equal(waiting[0].place, lost.place + 1);
    assert_int_equal(waiting[1].place, lost.place + 2);
    assert_int_equal(lane.downs, 1);
    assert_int_equal(lane.ups, 2);
    lane_close(&lane);
}

static void a_stalled_backend_delays_nobody(void **state)
{
    struct lane lane, other;
    struct outcome lost = {0}, next = {0};
    pid_t backend;
    int64_t began_us = clock_monotonic_us();

    (void)state;
    lane_open_up(&lane, NULL);
    lane_open_up(&other, NULL);
    backend = (pid_t)atol(ask(&lane, plain(&backend_pid)).value);
    assert_int_equal(kill(backend, SIGSTOP), 0);
    run(&lane, (struct transaction){.statement = &one, .give_up_us = 700 * US_PER_MS}, &lost);
    run(&lane, plain(&one), &next);
    while (lost.calls == 0) { /* each turn is timed */
        assert_int_equal(ask(&other, plain(&one)).verdict, STORE_DONE);
        assert_in_range(clock_monotonic_us() - began_us, 0, DEADLINE_US);
    }
    assert_int_equal(lost.verdict, STORE_LOST);
    assert_non_null(strstr(lost.problem.text, "no answer to statement \"one\" within 0.7 s"));
    WAIT_FOR(next.calls == 1);
    assert_int_equal(next.verdict, STORE_DONE);
    assert_int_equal(lane.downs, 1);
    assert_int_equal(other.downs, 0);
    assert_int_equal(kill(backend, SIGCONT), 0);
    lane_close(&lane);
    lane_close(&other);
}

/* Holds the loop up long enough for the answer to come in. */
static int wake_the_backend(sd_event_source *source, void *userdata)
{
    const pid_t *backend = userdata;

    (void)source;
    assert_int_equal(kill(*backend, SIGCONT), 0);
    side_run("SELECT pg_sleep(0.2)");
    return 0;
}

/* The answer comes after the timer was found due, and before it is dispatched. */
static void a_slow_loop_does_not_lose_an_answer(void **state)
{
    struct lane lane;
    struct outcome outcome = {0};
    sd_event_source *holdup = NULL;
    pid_t backend;

    (void)state;
    lane_open_up(&lane, NULL);
    backend = (pid_t)atol(ask(&lane, plain(&backend_pid)).value);
    assert_int_equal(kill(backend, SIGSTOP), 0);
    run(&lane, (struct transaction){.statement = &one, .give_up_us = 100 * US_PER_MS}, &outcome);
    turn(); /* sends it */
    side_run("SELECT pg_sleep(0.2)");
    assert_int_equal(outcome.calls, 0);
    assert_true(sd_event_add_defer(fixture.event, &holdup, wake_the_backend, &backend) >= 0);
    assert_true(sd_event_source_set_priority(holdup, SD_EVENT_PRIORITY_IMPORTANT) >= 0);
    WAIT_FOR(outcome.calls == 1);
    assert_int_equal(outcome.verdict, STORE_DONE);
    sd_event_source_unref(holdup);
    lane_close(&lane);
}

static void sixty_four_wait_while_the_server_is_away(void **state)
{
    char conninfo[128], link_path[96];
    struct lane lane;
    struct outcome outcomes[64] = {0}, surplus = {0};
    struct transaction transaction = plain(&one);

    (void)state;
    (void)snprintf(link_path, sizeof link_path, "%s/later", fixture.directory);
    (void)snprintf(conninfo, sizeof conninfo, "host=%s", link_path);
    lane_open(&lane, conninfo, "wake");
    for (size_t i = 0; i < COUNT_OF(outcomes); i++)
        run(&lane, transaction, &outcomes[i]);
    assert_int_equal(connection_run(lane.connection, &transaction, take_answer, &surplus),
                     -ENOBUFS);
    WAIT_FOR(lane.downs == 3);
    assert_non_null(strstr(lane.problem.text, "No such file or directory"));
    assert_null(strchr(lane.problem.text, '\n'));
    assert_in_range(lane.retry_us, 600 * US_PER_MS, 800 * US_PER_MS);
    assert_int_equal(outcomes[0].calls, 0);

    assert_int_equal(symlink(getenv("PGHOST"), link_path), 0);
    WAIT_FOR(outcomes[63].calls == 1);
    assert_int_equal(outcomes[63].place - outcomes[0].place, 63);
    assert_int_equal(outcomes[63].verdict, STORE_DONE);
    assert_int_equal(surplus.calls, 0);
    assert_int_equal(unlink(link_path), 0);
    lane_close(&lane);
}

static void refusals_to_connect_are_explained(void **state)
{
    static const struct {
        const char *conninfo, *text;
    } cases[] = {
        {"dbname=nowhere", "database \"nowhere\" does not exist"},
        {"user=nobody_here password=hidden", "role \"nobody_here\" does not exist"},
        {"user=nobody_here password=hidden sslmode=require hostaddr=127.0.0.1 port=1",
         "Connection refused"},
        {"sslmode=nonsense password=hidden", "invalid sslmode value"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct lane lane;

        lane_open(&lane, cases[i].conninfo, NULL);
        WAIT_FOR(lane.downs == 1);
        assert_non_null(strstr(lane.problem.text, cases[i].text));
        assert_null(strstr(lane.problem.text, "hidden"));
        assert_int_equal(lane.ups, 0);
        lane_close(&lane);
    }
}

static void a_reset_connects_anew(void **state)
{
    struct lane lane;
    struct outcome before, lost = {0};

    (void)state;
    lane_open_up(&lane, "wake");
    before = ask(&lane, plain(&backend_pid));
    run(&lane, plain(&sleep_long), &lost);
    WAIT_FOR(side_count(sleeping) == 1);
    connection_reset(lane.connection);
    assert_int_equal(lost.calls, 0);
    WAIT_FOR(lane.ups == 2);
    assert_int_equal(lost.verdict, STORE_LOST);
    assert_int_equal(lane.retry_us, 0);
    assert_string_not_equal(ask(&lane, plain(&backend_pid)).value, before.value);
    side_run("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE query = 'SELECT "
             "pg_sleep(60)'");
    lane_close(&lane);
}

static void free_is_allowed_in_every_callback_and_silent(void **state)
{
    struct lane lane;
    struct outcome outcome = {0}, waiting = {0};

    (void)state;
    lane_open_up(&lane, NULL);
    outcome.to_free = &lane.connection;
    run(&lane, plain(&one), &outcome);
    run(&lane, plain(&one), &waiting);
    WAIT_FOR(!lane.connection);
    assert_int_equal(outcome.calls, 1);
    assert_int_equal(waiting.calls, 0);

    lane_open_up(&lane, NULL);
    outcome = (struct outcome){0};
    run(&lane, plain(&sleep_long), &outcome);
    WAIT_FOR(side_count(sleeping) == 1);
    lane_close(&lane);
    assert_int_equal(outcome.calls, 0);
    side_run("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE query = 'SELECT "
             "pg_sleep(60)'");
}

/* A killed backend takes the whole cluster through recovery. */
static void a_crash_of_the_server_is_survived(void **state)
{
    struct lane lane;
    struct outcome lost = {0};
    pid_t backend;

    (void)state;
    lane_open_up(&lane, "wake");
    backend = (pid_t)atol(ask(&lane, plain(&backend_pid)).value);
    run(&lane, plain(&sleep_long), &lost);
    WAIT_FOR(side_count(sleeping) == 1);
    assert_int_equal(kill(backend, SIGKILL), 0);
    WAIT_FOR(lane.ups == 2);
    assert_int_equal(lost.verdict, STORE_LOST);
    assert_int_equal(ask(&lane, plain(&one)).verdict, STORE_DONE);
    PQreset(fixture.side);
    assert_int_equal(PQstatus(fixture.side), CONNECTION_OK);
    lane_close(&lane);
}

/* Opened by set_up(), so that its ten seconds pass meanwhile. */
static void a_silent_host_is_passed_over(void **state)
{
    (void)state;
    WAIT_FOR(fixture.patient.ups == 1);
    assert_int_equal(fixture.patient.downs, 1);
    assert_non_null(strstr(fixture.patient.problem.text, "no answer from the server at "));
    assert_int_equal(ask(&fixture.patient, plain(&one)).verdict, STORE_DONE);
}

static void silent_host_open(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char conninfo[256];

    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/.s.PGSQL.%s", fixture.directory,
                   getenv("PGPORT"));
    fixture.silent = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fixture.silent, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fixture.silent, 8), 0);
    (void)snprintf(conninfo, sizeof conninfo, "host=%s,%s", fixture.directory, getenv("PGHOST"));
    lane_open(&fixture.patient, conninfo, NULL);
}

static int set_up(void **state)
{
    (void)state;
    assert_true(sd_event_new(&fixture.event) >= 0);
    (void)snprintf(fixture.directory, sizeof fixture.directory, "/tmp/test_connection.XXXXXX");
    assert_non_null(mkdtemp(fixture.directory));
    fixture.side = PQconnectdb("");
    assert_int_equal(PQstatus(fixture.side), CONNECTION_OK);
    side_run("SET client_min_messages = error");
    side_run("DROP SCHEMA IF EXISTS test_connection CASCADE; CREATE SCHEMA test_connection");
    side_run("ALTER DATABASE postgres SET search_path = test_connection, public; SET search_path = "
             "test_connection");
    side_run("CREATE TABLE parent (id int PRIMARY KEY, note text); INSERT INTO parent VALUES (1);"
             "CREATE TABLE child (parent int REFERENCES parent DEFERRABLE INITIALLY DEFERRED);"
             "CREATE TABLE slow (id int);"
             "CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS "
             "'BEGIN PERFORM pg_sleep(30); RETURN NULL; END';"
             "CREATE CONSTRAINT TRIGGER slowly AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED "
             "FOR EACH ROW EXECUTE FUNCTION slowly()");
    silent_host_open();
    return 0;
}

static int tear_down(void **state)
{
    char path[128];

    (void)state;
    lane_close(&fixture.patient);
    (void)close(fixture.silent);
    (void)snprintf(path, sizeof path, "%s/.s.PGSQL.%s", fixture.directory, getenv("PGPORT"));
    (void)unlink(path);
    (void)rmdir(fixture.directory);
    side_run("SET client_min_messages = error"); /* the session may be a new one */
    side_run("ALTER DATABASE postgres RESET search_path; DROP SCHEMA test_connection CASCADE");
    PQfinish(fixture.side);
    sd_event_unref(fixture.event);
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_come_later_and_in_order),
        cmocka_unit_test(limits_end_with_the_transaction),
        cmocka_unit_test(refused_commits_leave_nothing),
        cmocka_unit_test(deferred_triggers_are_limited_when_immediate),
        cmocka_unit_test(values_round_trip),
        cmocka_unit_test(rows_decode),
        cmocka_unit_test(large_values_pass),
        cmocka_unit_test(notifications_arrive),
        cmocka_unit_test(a_terminated_lane_comes_back_and_listens),
        cmocka_unit_test(a_broken_transaction_is_lost_and_the_queue_goes_on),
        cmocka_unit_test(a_stalled_backend_delays_nobody),
        cmocka_unit_test(a_slow_loop_does_not_lose_an_answer),
        cmocka_unit_test(sixty_four_wait_while_the_server_is_away),
        cmocka_unit_test(refusals_to_connect_are_explained),
        cmocka_unit_test(a_reset_connects_anew),
        cmocka_unit_test(free_is_allowed_in_every_callback_and_silent),
        cmocka_unit_test(a_silent_host_is_passed_over),
        cmocka_unit_test(a_crash_of_the_server_is_survived),
    };

    if (!getenv("PGHOST") || !getenv("PGPORT")) {
        printf("1..0 # SKIP connection: no PostgreSQL (PGHOST and PGPORT are not set)\n");
        return 0;
    }
    return cmocka_run_group_tests_name("connection", tests, set_up, tear_down);
}
