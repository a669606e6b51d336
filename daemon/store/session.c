#include "store/session.h"
#include "store/conninfo.h"
#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct session {
    PGconn *connection;
    int64_t time_limit_ms;
    char sqlstate[6];
    struct problem *notices;
    size_t notice_count;
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* libpq ends its messages with a line end and breaks long ones: one sentence of it. */
static void set_problem(struct problem *problem, const char *before, const char *message)
{
    char sentence[sizeof problem->text];
    size_t length = 0;
    for (; *message && length + 1 < sizeof sentence; message++) {
        bool is_space = *message == '\n' || *message == '\t' || *message == ' ';
        if (is_space && (length == 0 || sentence[length - 1] == ' '))
            continue;
        sentence[length++] = is_space ? ' ' : *message;
    }
    while (length > 0 && (sentence[length - 1] == ' ' || sentence[length - 1] == '.'))
        length--;
    sentence[length] = '\0';
    problem_set(problem, "%s%s", before, sentence);
}

static void receive_notice(void *userdata, const PGresult *result)
{
    struct session *session = userdata;
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
    struct problem *grown =
        reallocarray(session->notices, session->notice_count + 1, sizeof *session->notices);
    if (!grown)
        return; /* a remark less */
    session->notices = grown;
    struct problem *notice = &grown[session->notice_count++];
    problem_set(notice, "%s", message ? message : "");
    if (hint)
        problem_hint(notice, "%s", hint);
}

/* The conninfo's own words, without what does not count, then ours for what it leaves open. */
#define SETTINGS_MAX 64
struct settings {
    const char *keywords[SETTINGS_MAX], *values[SETTINGS_MAX];
    size_t count;
};

static void add_setting(struct settings *settings, const char *keyword, const char *value)
{
    for (size_t i = 0; i < settings->count; i++)
        if (strcmp(settings->keywords[i], keyword) == 0)
            return;
    if (settings->count + 1 < SETTINGS_MAX) {
        settings->keywords[settings->count] = keyword;
        settings->values[settings->count++] = value;
    }
}

static void collect_settings(struct settings *settings, const PQconninfoOption *parsed,
                             const struct session_options *options, const char *time_limit)
{
    for (const PQconninfoOption *option = parsed; option->keyword; option++) {
        bool about_user =
            strcmp(option->keyword, "user") == 0 || strcmp(option->keyword, "password") == 0;
        if (option->val && !(about_user && options->as_calling_user))
            add_setting(settings, option->keyword, option->val);
    }
    if (options->passfile)
        add_setting(settings, "passfile", options->passfile);
    add_setting(settings, "connect_timeout", time_limit);
    add_setting(settings, "fallback_application_name", "chwsyncd");
    add_setting(settings, "client_encoding", "UTF8");
}

/*
 * Peer authentication asks which system user connects, and lets root in as root alone. So root
 * connects as the system user of the role's name where there is one. NULL: not this way.
 */
static PGconn *connect_as_role(const struct settings *settings)
{
    const struct passwd *user = NULL;
    const char *host = NULL;
    PGconn *connection;

    for (size_t i = 0; i < settings->count; i++) {
        if (strcmp(settings->keywords[i], "user") == 0)
            user = getpwnam(settings->values[i]);
        if (strcmp(settings->keywords[i], "host") == 0)
            host = settings->values[i];
    }
    if (geteuid() != 0 || !user || user->pw_uid == 0 || (host && host[0] != '/') ||
        seteuid(user->pw_uid) < 0)
        return NULL;
    connection = PQconnectdbParams(settings->keywords, settings->values, 0);
    if (seteuid(0) < 0)
        abort();
    return connection;
}

/* As the caller where that way is not there, or does not lead in. What was wrong on it is what is
 * wrong where the caller is merely nobody there. */
static PGconn *connect_either_way(const struct settings *settings)
{
    PGconn *connection = connect_as_role(settings), *own;

    if (connection && PQstatus(connection) == CONNECTION_OK)
        return connection;
    own = PQconnectdbParams(settings->keywords, settings->values, 0);
    if (connection && strstr(PQerrorMessage(own), "Peer authentication failed")) {
        PQfinish(own);
        return connection;
    }
    PQfinish(connection);
    return own;
}

static PGconn *connect_with(const struct session_options *options, struct problem *reterr_problem)
{
    char *message = NULL, time_limit[16];
    PQconninfoOption *parsed = PQconninfoParse(options->conninfo, &message);
    if (!parsed) {
        PQfreemem(message); /* it quotes the text, which may hold a password */
        problem_set(reterr_problem, "the connection string cannot be read");
        problem_hint(reterr_problem,
                     "it looks like: host=/run/postgresql dbname=shop user=chwsync");
        return NULL;
    }
    struct settings settings = {0};
    snprintf(time_limit, sizeof time_limit, "%u",
             options->connect_limit_s ? options->connect_limit_s : 10);
    collect_settings(&settings, parsed, options, time_limit);
    PGconn *connection = connect_either_way(&settings);
    PQconninfoFree(parsed);
    return connection;
}

/* A command is run by people, who may be nobody in the database. */
static void hint_at_caller(const PGconn *connection, const char *message, struct problem *problem)
{
    const struct passwd *caller = getpwuid(geteuid());
    const char *role = PQuser(connection);
    bool is_own = caller && role && strcmp(caller->pw_name, role) == 0;

    if (is_own && strstr(message, "role \"") && strstr(message, "does not exist"))
        problem_hint(problem,
                     "you are no role there: run it as one that is, sudo -u postgres chwsyncd ...; "
                     "or --conninfo names one");
    else if (!is_own && role && geteuid() != 0 && strstr(message, "Peer authentication failed"))
        problem_hint(problem, "run it as root, or sudo -u %s chwsyncd ...", role);
}

int session_open(const struct session_options *options, struct session **ret_session,
                 struct problem *reterr_problem)
{
    OWN(session_freep) struct session *session = calloc(1, sizeof *session);
    if (!session)
        return -ENOMEM;
    session->time_limit_ms = (options->time_limit_s ? options->time_limit_s : 10) * INT64_C(1000);
    *reterr_problem = (struct problem){0};
    session->connection = connect_with(options, reterr_problem);
    if (!session->connection) {
        if (reterr_problem->text[0])
            return 1;
        return -ENOMEM;
    }
    if (PQstatus(session->connection) != CONNECTION_OK) {
        struct problem why;
        conninfo_explain(PQerrorMessage(session->connection), &why);
        problem_set(reterr_problem, "unable to reach the database: %s", why.text);
        problem_hint(reterr_problem, "%s",
                     why.hint[0] ? why.hint : "is PostgreSQL running, and is the conninfo right?");
        hint_at_caller(session->connection, why.text, reterr_problem);
        return 1;
    }
    PQsetNoticeReceiver(session->connection, receive_notice, session);
    *ret_session = GIVE(session);
    return 0;
}

void session_free(struct session *session)
{
    if (!session)
        return;
    PQfinish(session->connection);
    free(session->notices);
    free(session);
}

/* Waits for the whole answer of what was sent; the last result, or the first that is an error. NULL
 * = lost. */
static PGresult *receive(struct session *session)
{
    PGconn *connection = session->connection;
    int64_t deadline_ms = now_ms() + session->time_limit_ms;
    PGresult *last = NULL;
    for (;;) {
        int64_t left_ms = deadline_ms - now_ms();
        int unsent = PQflush(connection);
        if (unsent >= 0 && PQisBusy(connection)) {
            struct pollfd waited = {.fd = PQsocket(connection), .events = POLLIN};
            if (unsent)
                waited.events |= POLLOUT;
            if (left_ms <= 0 || (poll(&waited, 1, (int)left_ms) < 0 && errno != EINTR))
                break;
            if (!PQconsumeInput(connection))
                break;
            continue;
        }
        PGresult *result = PQgetResult(connection);
        if (!result)
            return last;
        if (last && PQresultStatus(last) == PGRES_FATAL_ERROR) {
            PQclear(result);
            continue;
        }
        PQclear(last);
        last = result;
    }
    PQclear(last);
    return NULL;
}

static enum session_verdict lost(struct session *session, const char *what,
                                 struct problem *reterr_problem)
{
    const char *message = PQerrorMessage(session->connection);
    if (message[0]) {
        set_problem(reterr_problem, "the database connection was lost: ", message);
    } else {
        problem_set(reterr_problem, "the database did not answer within %lld s (%s)",
                    (long long)(session->time_limit_ms / 1000), what);
        problem_hint(reterr_problem, "try again; what holds it up stands in pg_stat_activity");
    }
    return SESSION_LOST;
}

static unsigned line_of(const char *script, const char *position)
{
    unsigned line = 1;
    for (long left = atol(position); *script && left > 1; script++) {
        if (*script == '\n')
            line++;
        if (((unsigned char)*script & 0xC0) != 0x80)
            left--; /* the server counts characters */
    }
    return line;
}

static enum session_verdict refused(struct session *session, const PGresult *result,
                                    const char *file, const char *script,
                                    struct problem *reterr_problem)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
    const char *position = PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION);
    if (!sqlstate)
        return lost(session, file, reterr_problem);
    snprintf(session->sqlstate, sizeof session->sqlstate, "%s", sqlstate);

    char before[128] = "";
    if (script && position)
        snprintf(before, sizeof before, "sql/%s:%u: ", file, line_of(script, position));
    else if (script)
        snprintf(before, sizeof before, "sql/%s: ", file);
    set_problem(reterr_problem, before, message ? message : "the server gave no reason");
    if (hint)
        problem_hint(reterr_problem, "%s", hint);
    return SESSION_REFUSED;
}

static enum session_verdict finish(struct session *session, const char *file, const char *script,
                                   PGresult **ret_rows, struct problem *reterr_problem)
{
    OWN(rows_freep) PGresult *result = receive(session);
    if (!result)
        return lost(session, file, reterr_problem);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK && status != PGRES_EMPTY_QUERY)
        return refused(session, result, file, script, reterr_problem);
    if (ret_rows)
        *ret_rows = GIVE(result);
    return SESSION_DONE;
}

enum session_verdict session_run(struct session *session, const struct statement *statement,
                                 const char *const *values, int count, PGresult **ret_rows,
                                 struct problem *reterr_problem)
{
    if (!PQsendQueryParams(session->connection, statement->text, count, NULL, values, NULL, NULL,
                           0))
        return lost(session, statement->name, reterr_problem);
    return finish(session, statement->name, NULL, ret_rows, reterr_problem);
}

enum session_verdict session_run_values(struct session *session, const struct statement *statement,
                                        struct values *values, PGresult **ret_rows,
                                        struct problem *reterr_problem)
{
    OWN(values_done) struct values taken = *values;
    const char *parameters[VALUES_MAX];

    *values = (struct values){0};
    if (taken.bytes.failed) {
        problem_set(reterr_problem, "out of memory");
        return SESSION_LOST;
    }
    for (int i = 0; i < taken.count; i++)
        parameters[i] = taken.offsets[i] < 0 ? NULL : taken.bytes.bytes + taken.offsets[i];
    return session_run(session, statement, parameters, taken.count, ret_rows, reterr_problem);
}

enum session_verdict session_run_script(struct session *session, const char *file,
                                        const char *script, struct problem *reterr_problem)
{
    if (!PQsendQuery(session->connection, script))
        return lost(session, file, reterr_problem);
    return finish(session, file, script, NULL, reterr_problem);
}

enum session_verdict session_run_on_name(struct session *session, const struct statement *statement,
                                         const char *name, struct problem *reterr_problem)
{
    OWN(text_done) struct text text = {0};
    const char *place = strstr(statement->text, "%I");
    char *quoted = PQescapeIdentifier(session->connection, name, strlen(name));
    if (!quoted)
        return lost(session, statement->name, reterr_problem);
    text_add_bytes(&text, statement->text, (size_t)(place - statement->text));
    text_add(&text, quoted);
    text_add(&text, place + 2);
    PQfreemem(quoted);
    const struct statement named = {statement->name, text_string(&text)};
    return session_run(session, &named, NULL, 0, NULL, reterr_problem);
}

void session_wake_daemon(struct session *session, const char *channel)
{
    static const struct statement statement = {"wake the daemon", "SELECT pg_notify($1::text, '')"};
    struct problem ignored;
    const char *values[] = {channel};

    if (channel)
        (void)session_run(session, &statement, values, 1, NULL, &ignored);
}

enum session_verdict session_begin(struct session *session, struct problem *reterr_problem)
{
    static const struct statement statement = {"begin", "BEGIN"};
    return session_run(session, &statement, NULL, 0, NULL, reterr_problem);
}

enum session_verdict session_begin_report(struct session *session, struct problem *reterr_problem)
{
    static const struct statement statement = {"begin",
                                               "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"};
    return session_run(session, &statement, NULL, 0, NULL, reterr_problem);
}

enum session_verdict session_commit(struct session *session, struct problem *reterr_problem)
{
    static const struct statement statement = {"commit", "COMMIT"};
    OWN(rows_freep) PGresult *result = NULL;
    enum session_verdict verdict =
        session_run(session, &statement, NULL, 0, &result, reterr_problem);
    if (verdict == SESSION_DONE && strcmp(PQcmdStatus(result), "COMMIT") != 0) {
        problem_set(reterr_problem, "the transaction had failed and was rolled back");
        return SESSION_REFUSED;
    }
    return verdict;
}

void session_rollback(struct session *session)
{
    static const struct statement statement = {"rollback", "ROLLBACK"};
    struct problem ignored;
    if (PQtransactionStatus(session->connection) != PQTRANS_IDLE)
        session_run(session, &statement, NULL, 0, NULL, &ignored);
}

const char *session_sqlstate(const struct session *session)
{
    return session->sqlstate;
}

size_t session_notice_count(const struct session *session)
{
    return session->notice_count;
}

const struct problem *session_notice(const struct session *session, size_t index)
{
    return &session->notices[index];
}

const char *session_database(const struct session *session)
{
    return PQdb(session->connection);
}

const char *session_user(const struct session *session)
{
    return PQuser(session->connection);
}
