#include "store/connection.h"

#include "base/own.h"
#include "host/clock.h"
#include "host/log.h"
#include "rules/backoff.h"
#include "store/conninfo.h"
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define WAITING_MAX 64
#define HOST_PATIENCE_US (10 * US_PER_S) /* for each host of the conninfo to let us in */
#define GIVE_UP_US (90 * US_PER_S)
#define RETRY_FIRST_US (200 * US_PER_MS)
#define RETRY_LONGEST_US (30 * US_PER_S)
#define PROVEN_AFTER_US (10 * US_PER_S)
#define TIMER_ACCURACY_US (5 * US_PER_MS)

enum lane_state {
    LANE_DOWN,       /* the timer says when to dial */
    LANE_CONNECTING, /* libpq shakes hands; the timer limits it */
    LANE_LISTENING,  /* LISTEN is on its way; the timer limits it */
    LANE_UP,         /* the timer limits the running transaction */
};

struct task {
    struct task *next;
    struct transaction transaction;
    struct values values;
    store_done done;
    void *userdata;
};

/* What has come back so far of what was sent up to the last Sync. */
struct round {
    bool open;          /* the Sync's answer is still missing */
    unsigned step;      /* results are those of the n-th command */
    unsigned statement; /* which of them is the statement */
    unsigned commands;
    int64_t sent_us;
    PGresult *rows;
    bool refused;
    char sqlstate[6];
    struct problem problem;
};

struct connection {
    sd_event *event;
    char *name, *listen_channel;
    struct conninfo conninfo;
    void (*on_up)(void *userdata);
    void (*on_down)(void *userdata, const struct problem *problem, int64_t retry_us);
    void (*on_notify)(void *userdata);
    void *userdata;

    enum lane_state state;
    PGconn *server;
    sd_event_source *socket, *timer, *kick;
    uint32_t socket_events;
    int64_t up_since_us;
    bool answered;        /* the present connection has carried out something */
    unsigned failures;    /* in a row */
    unsigned rotation;    /* of the list of hosts, while some of them keep silent */
    const char *host;     /* libpq's, that the handshake is with: for comparison only */
    unsigned hosts_tried; /* in this attempt */
    bool reset_wanted;
    struct problem farewell; /* the server's reason for ending the connection */

    struct round round;
    struct task *running, *first, **last;
    unsigned waiting;

    unsigned holds; /* handlers on the stack; the last one frees what connection_free() left */
    bool freed;
};

/*
 * What is set for one transaction alone. It holds until the end of the implicit transaction: the
 * server arms the statement's timer anew for each command, and so with the limit that the first one
 * has set.
 *
 * `by_index`: a work list that was empty a minute ago has no statistics, or those of an empty
 * table, and the planner then reads and sorts the whole of it for each batch. A plan that was
 * cached in the shop's function on the first day would even stay so. What a disabled step costs
 * must not wake the just-in-time compiler.
 */
static const char lock_setting[] = "set_config('lock_timeout', '%u', true)";
static const char statement_setting[] = "set_config('statement_timeout', '%u', true)";
static const char lazy_setting[] = "set_config('synchronous_commit', 'off', true)";
static const char index_settings[] = "set_config('enable_seqscan', 'off', true), "
                                     "set_config('enable_bitmapscan', 'off', true), "
                                     "set_config('jit', 'off', true)";

/*
 * Inside DO, because at the top level of an implicit transaction it works as well, but PostgreSQL
 * puts a warning that it does not into its log, each time.
 */
static const char constraints_text[] =
    "DO 'BEGIN SET CONSTRAINTS ALL IMMEDIATE; END' LANGUAGE plpgsql";

DEFINE_OWN(PGresult, PQclear, result_freep)

static void task_free(struct task *task)
{
    if (!task)
        return;
    values_done(&task->values);
    free(task);
}

static void round_done(struct round *round)
{
    PQclear(round->rows);
    *round = (struct round){0};
}

static void connection_destroy(struct connection *connection)
{
    sd_event_unref(connection->event);
    free(connection->name);
    free(connection->listen_channel);
    conninfo_done(&connection->conninfo);
    free(connection);
}

static void hold(struct connection *connection)
{
    connection->holds++;
}

static void release(struct connection *connection)
{
    connection->holds--;
    if (connection->holds == 0 && connection->freed)
        connection_destroy(connection);
}

static void forget_socket(struct connection *connection)
{
    connection->socket = sd_event_source_disable_unref(connection->socket);
}

/* The source goes first: a moment after libpq closes the socket its number is somebody else's. */
static void hang_up(struct connection *connection)
{
    forget_socket(connection);
    PQfinish(connection->server);
    connection->server = NULL;
    connection->host = NULL;
    connection->hosts_tried = 0;
    round_done(&connection->round);
}

static int set_timer(struct connection *connection, int64_t at_us)
{
    int r = sd_event_source_set_time(connection->timer, (uint64_t)at_us);

    return r < 0 ? r : sd_event_source_set_enabled(connection->timer, SD_EVENT_ONESHOT);
}

static void stop_timer(struct connection *connection)
{
    (void)sd_event_source_set_enabled(connection->timer, SD_EVENT_OFF);
}

static void answer_task(struct connection *connection, struct task *task,
                        const struct store_answer *answer)
{
    if (!connection->freed && task->done)
        task->done(task->userdata, answer);
    task_free(task);
}

/*
 * The only way down: ends what is left of the connection, arms the next attempt, tells the owner,
 * and then whoever's transaction was running. A connection that had proved to work is looked for
 * again at once; one that only let us in counts as another failure.
 */
static void go_down(struct connection *connection, const struct problem *problem, bool at_once)
{
    struct task *running = GIVE(connection->running);
    struct store_answer answer = {.verdict = STORE_LOST, .problem = *problem};
    int64_t now_us = clock_monotonic_us(), retry_us = 0;

    answer.took_us = now_us - connection->round.sent_us;
    if (connection->round.refused)
        memcpy(answer.sqlstate, connection->round.sqlstate, sizeof answer.sqlstate);
    if (connection->answered ||
        (connection->state == LANE_UP && now_us - connection->up_since_us >= PROVEN_AFTER_US))
        connection->failures = 0;
    hang_up(connection);
    connection->state = LANE_DOWN;
    connection->answered = false;
    connection->failures++;
    if (!at_once)
        retry_us =
            backoff_us(connection->failures, RETRY_FIRST_US, RETRY_LONGEST_US, clock_random());
    (void)set_timer(connection, now_us + retry_us);

    if (connection->on_down)
        connection->on_down(connection->userdata, &answer.problem, retry_us);
    if (running)
        answer_task(connection, running, &answer);
}

/* libpq says that the connection broke, or the server did so just before. */
static void go_down_broken(struct connection *connection)
{
    struct problem problem = {0};

    if (connection->farewell.text[0])
        problem = connection->farewell;
    else
        conninfo_explain(PQerrorMessage(connection->server), &problem);
    go_down(connection, &problem, false);
}

static void note_farewell(struct connection *connection, const PGresult *result)
{
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

    if (severity && message && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0))
        conninfo_explain(message, &connection->farewell);
}

static void on_notice(void *userdata, const PGresult *notice)
{
    struct connection *connection = userdata;
    char line[512];

    note_farewell(connection, notice);
    if (!log_enabled(LOG_LEVEL_DEBUG))
        return;
    text_one_line(line, sizeof line, PQresultErrorMessage(notice));
    log_debug("database lane %s: %s", connection->name, line);
}

/*
 * The function that an error comes from, which may be the shop's: the innermost line of the context
 * that is neither a quoted statement nor our own DO block.
 */
static void find_origin(const char *context, char *ret_line, size_t size)
{
    static const char statement[] = "SQL statement ";

    ret_line[0] = '\0';
    while (context && *context) {
        size_t length = strcspn(context, "\n");
        OWN(text_done) struct text line = {0};

        text_add_bytes(&line, context, length);
        if (strncmp(text_string(&line), statement, sizeof statement - 1) != 0 &&
            !strstr(text_string(&line), "inline_code_block")) {
            text_one_line(ret_line, size, text_string(&line));
            return;
        }
        context += length + (context[length] == '\n');
    }
}

static void describe_error(const PGresult *result, struct problem *ret_problem)
{
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
    const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
    char line[sizeof ret_problem->text], more[sizeof ret_problem->text];

    text_one_line(line, sizeof line, message ? message : PQresultErrorMessage(result));
    text_one_line(more, sizeof more, detail ? detail : "");
    problem_set(ret_problem, "%s%s%s%s", line, detail ? " (" : "", more, detail ? ")" : "");
    if (hint)
        text_one_line(more, sizeof more, hint);
    else
        find_origin(PQresultErrorField(result, PG_DIAG_CONTEXT), more, sizeof more);
    if (more[0])
        problem_hint(ret_problem, "%s%s", hint ? "" : "raised in ", more);
}

static void note_error(struct connection *connection, const PGresult *result)
{
    struct round *round = &connection->round;

    note_farewell(connection, result);
    if (round->refused)
        return;
    round->refused = true;
    (void)snprintf(round->sqlstate, sizeof round->sqlstate, "%s",
                   PQresultErrorField(result, PG_DIAG_SQLSTATE));
    describe_error(result, &round->problem);
}

/* Output that does not fit waits for the socket. False when the connection is broken. */
static bool flush(struct connection *connection)
{
    uint32_t events = EPOLLIN;
    int left = PQflush(connection->server);

    if (left < 0)
        return false;
    if (left > 0)
        events |= EPOLLOUT;
    if (events == connection->socket_events)
        return true;
    connection->socket_events = events;
    return sd_event_source_set_io_events(connection->socket, events) >= 0;
}

static bool send_command(struct connection *connection, const char *text,
                         const struct values *values)
{
    const char *parameters[VALUES_MAX];
    int count = values ? values->count : 0;

    for (int i = 0; i < count; i++)
        parameters[i] = values->offsets[i] < 0 ? NULL : values->bytes.bytes + values->offsets[i];
    connection->round.commands++;
    return PQsendQueryParams(connection->server, text, count, NULL, parameters, NULL, NULL, 0) == 1;
}

static bool send_settings(struct connection *connection, const struct transaction *transaction)
{
    OWN(text_done) struct text text = {0};
    const char *between = "SELECT ";

    if (transaction->lock_timeout_ms > 0) {
        text_add(&text, between);
        text_format(&text, lock_setting, transaction->lock_timeout_ms);
        between = ", ";
    }
    if (transaction->statement_timeout_ms > 0) {
        text_add(&text, between);
        text_format(&text, statement_setting, transaction->statement_timeout_ms);
        between = ", ";
    }
    if (transaction->lazy_commit) {
        text_add(&text, between);
        text_add(&text, lazy_setting);
        between = ", ";
    }
    if (transaction->by_index) {
        text_add(&text, between);
        text_add(&text, index_settings);
    }
    if (text.length == 0)
        return !text.failed;
    connection->round.statement = 1;
    return !text.failed && send_command(connection, text_string(&text), NULL);
}

static bool send_task(struct connection *connection, const struct task *task)
{
    const struct transaction *transaction = &task->transaction;

    return send_settings(connection, transaction) &&
           send_command(connection, transaction->statement->text, &task->values) &&
           (!transaction->constraints_immediate ||
            send_command(connection, constraints_text, NULL)) &&
           PQpipelineSync(connection->server) == 1 && flush(connection);
}

static struct task *take_first(struct connection *connection)
{
    struct task *task = connection->first;

    connection->first = task->next;
    if (!connection->first)
        connection->last = &connection->first;
    task->next = NULL;
    connection->waiting--;
    return task;
}

static void begin_round(struct connection *connection)
{
    round_done(&connection->round);
    connection->round.open = true;
    connection->round.sent_us = clock_monotonic_us();
}

/* After it either a transaction runs, or none waits, or the lane is down. */
static void run_next(struct connection *connection)
{
    struct task *task;
    int64_t give_up_us;

    if (connection->freed || connection->state != LANE_UP || connection->round.open ||
        !connection->first)
        return;
    task = take_first(connection);
    connection->running = task;
    begin_round(connection);
    give_up_us = task->transaction.give_up_us > 0 ? task->transaction.give_up_us : GIVE_UP_US;
    if (set_timer(connection, connection->round.sent_us + give_up_us) < 0 ||
        !send_task(connection, task))
        go_down_broken(connection);
}

/* The Sync was answered: what the server said before is now true for the whole transaction. */
static void end_transaction(struct connection *connection)
{
    struct task *task = GIVE(connection->running);
    struct round round = connection->round;
    struct store_answer answer = {.verdict = STORE_DONE};

    connection->round = (struct round){0};
    connection->answered = true;
    stop_timer(connection);
    answer.took_us = clock_monotonic_us() - round.sent_us;
    if (round.refused) {
        answer.verdict = STORE_REFUSED;
        answer.problem = round.problem;
        memcpy(answer.sqlstate, round.sqlstate, sizeof answer.sqlstate);
    } else {
        answer.rows = round.rows;
        answer.held = &round.rows;
    }
    answer_task(connection, task, &answer);
    round_done(&round);
    run_next(connection);
}

static void go_up(struct connection *connection)
{
    stop_timer(connection);
    connection->state = LANE_UP;
    connection->up_since_us = clock_monotonic_us();
    if (connection->on_up)
        connection->on_up(connection->userdata);
    run_next(connection);
}

static void end_listen(struct connection *connection)
{
    struct problem problem = connection->round.problem;

    if (connection->round.refused) {
        go_down(connection, &problem, false);
        return;
    }
    round_done(&connection->round);
    connection->answered = true;
    go_up(connection);
}

enum intake {
    INTAKE_MORE,     /* look again */
    INTAKE_COMPLETE, /* the round is over */
    INTAKE_BROKEN,
};

/*
 * Only what has an SQLSTATE was said by the server. Errors of libpq's own, such as no memory for
 * the rows, do not: the server may well go on to commit.
 */
static enum intake take_error(struct connection *connection, const PGresult *result)
{
    if (!PQresultErrorField(result, PG_DIAG_SQLSTATE))
        return INTAKE_BROKEN;
    note_error(connection, result);
    return INTAKE_MORE;
}

/* The Sync's answer. Unless each command has had its own, we and libpq disagree on where we are. */
static enum intake take_sync(const struct round *round)
{
    return (round->refused || round->rows) && round->step >= round->commands ? INTAKE_COMPLETE
                                                                             : INTAKE_BROKEN;
}

/*
 * One result. Those of a command end with a NULL, the Sync's does not. An error of the commit
 * itself comes before the Sync's answer, like that of a command.
 */
static enum intake take_result(struct connection *connection)
{
    struct round *round = &connection->round;
    OWN(result_freep) PGresult *result = PQgetResult(connection->server);

    if (PQstatus(connection->server) != CONNECTION_OK) {
        note_farewell(connection, result);
        return INTAKE_BROKEN;
    }
    if (!result)
        return ++round->step <= round->commands + 1 ? INTAKE_MORE : INTAKE_BROKEN;
    switch (PQresultStatus(result)) {
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
        if (round->step == round->statement && !round->rows)
            round->rows = GIVE(result);
        return INTAKE_MORE;
    case PGRES_FATAL_ERROR:
        return take_error(connection, result);
    case PGRES_PIPELINE_ABORTED:
    case PGRES_NONFATAL_ERROR:
        return INTAKE_MORE;
    case PGRES_PIPELINE_SYNC:
        return take_sync(round);
    case PGRES_EMPTY_QUERY:
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH:
    case PGRES_SINGLE_TUPLE:
    case PGRES_BAD_RESPONSE:
        return INTAKE_BROKEN;
    }
    return INTAKE_BROKEN;
}

static void take_results(struct connection *connection)
{
    while (connection->round.open && !PQisBusy(connection->server)) {
        switch (take_result(connection)) {
        case INTAKE_MORE:
            break;
        case INTAKE_BROKEN:
            go_down_broken(connection);
            break;
        case INTAKE_COMPLETE:
            if (connection->state == LANE_LISTENING)
                end_listen(connection);
            else
                end_transaction(connection);
            break;
        }
    }
}

static void take_notifications(struct connection *connection)
{
    bool any = false;
    PGnotify *notification;

    while ((notification = PQnotifies(connection->server)) != NULL) {
        PQfreemem(notification);
        any = true;
    }
    if (any && connection->on_notify)
        connection->on_notify(connection->userdata);
}

static void serve(struct connection *connection)
{
    if (!PQconsumeInput(connection->server) || !flush(connection)) {
        go_down_broken(connection);
        return;
    }
    take_results(connection);
    if (connection->state == LANE_UP)
        take_notifications(connection);
}

static void listen_first(struct connection *connection)
{
    struct problem problem = {0};
    OWN(text_done) struct text listen = {0};
    char *channel = PQescapeIdentifier(connection->server, connection->listen_channel,
                                       strlen(connection->listen_channel));

    connection->state = LANE_LISTENING;
    begin_round(connection);
    text_add(&listen, "LISTEN ");
    text_add(&listen, channel ? channel : "");
    if (!channel || listen.failed) {
        problem_set(&problem, "unable to listen: %s",
                    channel ? "memory ran out" : "the channel's name is not UTF-8");
        go_down(connection, &problem, false);
    } else if (!send_command(connection, text_string(&listen), NULL) ||
               PQpipelineSync(connection->server) != 1 || !flush(connection)) {
        go_down_broken(connection);
    }
    PQfreemem(channel);
}

static int on_socket(sd_event_source *source, int fd, uint32_t events, void *userdata);

/* False when there is no memory or descriptor for it. */
static bool watch(struct connection *connection, uint32_t events)
{
    connection->socket_events = events;
    return sd_event_add_io(connection->event, &connection->socket, PQsocket(connection->server),
                           events, on_socket, connection) >= 0;
}

static void greet(struct connection *connection)
{
    connection->rotation = 0;
    if (PQsetnonblocking(connection->server, 1) != 0 ||
        PQenterPipelineMode(connection->server) != 1)
        go_down_broken(connection);
    else if (connection->listen_channel)
        listen_first(connection);
    else
        go_up(connection);
}

/* Each host has its own time; libpq moves on to the next one by itself when a host refuses. */
static bool watch_handshake(struct connection *connection, uint32_t events)
{
    const char *host = PQhost(connection->server);

    if (!watch(connection, events))
        return false;
    if (host == connection->host)
        return true;
    connection->host = host;
    connection->hosts_tried++;
    return set_timer(connection, clock_monotonic_us() + HOST_PATIENCE_US) >= 0;
}

/* Within a step libpq may close the socket and open another of the same number: none is watched. */
static void shake_hands(struct connection *connection)
{
    struct problem problem = {0};
    bool watched = false;

    forget_socket(connection);
    switch (PQconnectPoll(connection->server)) {
    case PGRES_POLLING_FAILED:
        go_down_broken(connection);
        return;
    case PGRES_POLLING_OK:
        watched = watch(connection, EPOLLIN);
        if (watched)
            greet(connection);
        break;
    case PGRES_POLLING_READING:
    case PGRES_POLLING_ACTIVE:
        watched = watch_handshake(connection, EPOLLIN);
        break;
    case PGRES_POLLING_WRITING:
        watched = watch_handshake(connection, EPOLLOUT);
        break;
    }
    if (watched)
        return;
    problem_set(&problem, "unable to watch the connection's socket");
    go_down(connection, &problem, false);
}

static void dial(struct connection *connection)
{
    struct problem problem = {0};

    connection->farewell = (struct problem){0};
    connection->state = LANE_CONNECTING;
    connection->server = conninfo_connect(&connection->conninfo, connection->rotation);
    if (connection->server && PQstatus(connection->server) == CONNECTION_BAD) {
        go_down_broken(connection);
        return;
    }
    if (connection->server) {
        (void)PQsetNoticeReceiver(connection->server, on_notice, connection);
        if (watch_handshake(connection, EPOLLOUT))
            return;
    }
    problem_set(&problem, "unable to connect: memory or descriptors ran out");
    go_down(connection, &problem, false);
}

static void let_go_of_host(struct connection *connection)
{
    struct problem problem = {0};

    problem_set(&problem, "no answer from the server at %s within %d s", PQhost(connection->server),
                (int)(HOST_PATIENCE_US / US_PER_S));
    connection->rotation =
        (connection->rotation + connection->hosts_tried) % connection->conninfo.hosts;
    go_down(connection, &problem, false);
}

/* When we were the slow ones, the answer lies in the socket already. */
static void give_up(struct connection *connection)
{
    struct problem problem = {0};
    int64_t sent_us = connection->round.sent_us;

    serve(connection);
    if (connection->state != LANE_UP || !connection->round.open ||
        connection->round.sent_us != sent_us)
        return;
    problem_set(&problem, "no answer to statement \"%s\" within %.1f s",
                connection->running->transaction.statement->name,
                (double)(clock_monotonic_us() - sent_us) / (double)US_PER_S);
    go_down(connection, &problem, false);
}

static int on_socket(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    struct connection *connection = userdata;

    (void)source, (void)fd, (void)events;
    hold(connection);
    if (connection->state == LANE_CONNECTING)
        shake_hands(connection);
    else
        serve(connection);
    release(connection);
    return 0;
}

static int on_timer(sd_event_source *source, uint64_t time_us, void *userdata)
{
    struct connection *connection = userdata;

    (void)source, (void)time_us;
    hold(connection);
    switch (connection->state) {
    case LANE_DOWN:
        dial(connection);
        break;
    case LANE_CONNECTING:
    case LANE_LISTENING:
        let_go_of_host(connection);
        break;
    case LANE_UP:
        give_up(connection);
        break;
    }
    release(connection);
    return 0;
}

static void reset(struct connection *connection)
{
    struct problem problem = {0};

    connection->reset_wanted = false;
    connection->failures = 0;
    connection->rotation = 0;
    problem_set(&problem, "the connection was given up on request");
    if (connection->state == LANE_DOWN)
        (void)set_timer(connection, clock_monotonic_us());
    else
        go_down(connection, &problem, true);
}

/* What callers ask for happens here, so that no callback is called from within their call. */
static int on_kick(sd_event_source *source, void *userdata)
{
    struct connection *connection = userdata;

    (void)source;
    hold(connection);
    if (connection->reset_wanted)
        reset(connection);
    run_next(connection);
    release(connection);
    return 0;
}

static int add_sources(struct connection *connection)
{
    /* 0 is long ago: what is due now may come as much later as the accuracy allows. */
    int r = sd_event_add_time(connection->event, &connection->timer, CLOCK_MONOTONIC, 0,
                              TIMER_ACCURACY_US, on_timer, connection);

    if (r >= 0)
        r = sd_event_add_defer(connection->event, &connection->kick, on_kick, connection);
    if (r >= 0)
        r = sd_event_source_set_enabled(connection->kick, SD_EVENT_OFF);
    return r;
}

DEFINE_OWN(struct connection, connection_free, connection_freep)

int connection_new(sd_event *event, const struct connection_options *options,
                   struct connection **ret_connection)
{
    OWN(connection_freep) struct connection *connection = calloc(1, sizeof *connection);
    int r;

    if (!connection)
        return -ENOMEM;
    connection->event = sd_event_ref(event);
    connection->last = &connection->first;
    connection->on_up = options->on_up;
    connection->on_down = options->on_down;
    connection->on_notify = options->on_notify;
    connection->userdata = options->userdata;
    connection->name = strdup(options->name);
    if (options->listen_channel)
        connection->listen_channel = strdup(options->listen_channel);
    if (!connection->name || (options->listen_channel && !connection->listen_channel))
        return -ENOMEM;
    r = conninfo_parse(&connection->conninfo, options->conninfo, options->passfile, options->name);
    if (r < 0)
        return r;
    r = add_sources(connection);
    if (r < 0)
        return r;
    *ret_connection = GIVE(connection);
    return 0;
}

void connection_free(struct connection *connection)
{
    if (!connection)
        return;
    connection->freed = true;
    connection->state = LANE_DOWN;
    hang_up(connection);
    connection->timer = sd_event_source_disable_unref(connection->timer);
    connection->kick = sd_event_source_disable_unref(connection->kick);
    task_free(GIVE(connection->running));
    while (connection->first)
        task_free(take_first(connection));
    if (connection->holds == 0)
        connection_destroy(connection);
}

bool connection_is_up(const struct connection *connection)
{
    return connection->state == LANE_UP;
}

bool connection_is_idle(const struct connection *connection)
{
    return connection->state == LANE_UP && !connection->running && !connection->first;
}

bool connection_is_quiet(const struct connection *connection)
{
    return !connection->running && !connection->first;
}

void connection_reset(struct connection *connection)
{
    connection->reset_wanted = true;
    (void)sd_event_source_set_enabled(connection->kick, SD_EVENT_ONESHOT);
}

PGresult *store_take_rows(const struct store_answer *answer)
{
    PGresult *rows = answer->held ? *answer->held : NULL;

    if (rows)
        *answer->held = NULL;
    return rows;
}

int connection_run(struct connection *connection, struct transaction *transaction, store_done done,
                   void *userdata)
{
    OWN(values_done) struct values values = {0};
    struct task *task;
    int r;

    if (transaction->values) {
        values = *transaction->values;
        *transaction->values = (struct values){0};
    }
    assert(!values.in_array);
    if (values.bytes.failed)
        return -ENOMEM;
    if (connection->waiting >= WAITING_MAX)
        return -ENOBUFS;
    r = sd_event_source_set_enabled(connection->kick, SD_EVENT_ONESHOT);
    if (r < 0)
        return r;
    task = calloc(1, sizeof *task);
    if (!task)
        return -ENOMEM;
    *task = (struct task){
        .transaction = *transaction, .values = values, .done = done, .userdata = userdata};
    values = (struct values){0};
    *connection->last = task;
    connection->last = &task->next;
    connection->waiting++;
    return 0;
}
