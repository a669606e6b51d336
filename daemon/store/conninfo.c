#include "store/conninfo.h"

#include "base/own.h"
#include "base/text.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYWORDS_MAX 128 /* libpq 15 knows 42 */

struct keyword_default {
    const char *keyword, *value;
};

/*
 * A lane that only listens hears nothing from a peer that died: the kernel has to ask (30 s, then 3
 * x 10 s), and has to give up on what was sent into the void. read-write: after a fail-over the old
 * primary may still answer, read-only.
 */
static const struct keyword_default keyword_defaults[] = {
    {"client_encoding", "UTF8"},
    {"keepalives", "1"},
    {"keepalives_idle", "30"},
    {"keepalives_interval", "10"},
    {"keepalives_count", "3"},
    {"tcp_user_timeout", "30000"},
    {"target_session_attrs", "read-write"},
};

static const struct {
    const char *part, *also, *hint;
} hints[] = {
    {"starting up", NULL, "it comes back by itself"},
    {"in recovery mode", NULL, "it comes back by itself"},
    {"shutting down", NULL, "the daemon connects again as soon as PostgreSQL runs"},
    {"administrator command", NULL, "somebody restarted PostgreSQL or ended this connection"},
    {"Connection refused", NULL,
     "is PostgreSQL running, and does it listen where database.conninfo points?"},
    {"on socket", "No such file or directory",
     "is PostgreSQL running, and is its socket where database.conninfo points?"},
    {"too many connections", NULL, "the role or database has reached its CONNECTION LIMIT"},
    {"too many clients", NULL, "raise max_connections in postgresql.conf"},
    {"remaining connection slots", NULL, "raise max_connections in postgresql.conf"},
    {"no password supplied", NULL,
     "give the password in the credential \"pgpass\" or in a PGPASSFILE"},
    {"password authentication failed", NULL,
     "compare the credential \"pgpass\" with the role's password"},
    {"authentication failed for user", NULL,
     "peer authentication wants a system user of the role's name, or a map in pg_ident.conf"},
    {"no pg_hba.conf entry", NULL, "let the role in with a line in pg_hba.conf"},
    {"session is read-only", NULL,
     "none of the servers accepts writes now; database.conninfo must lead to the primary"},
    {"in hot standby mode", NULL,
     "none of the servers accepts writes now; database.conninfo must lead to the primary"},
    {"database \"", "does not exist",
     "correct dbname in database.conninfo, or create the database"},
    {"role \"", "does not exist", "chwsyncd schema install creates the roles"},
    {"could not translate host name", NULL,
     "check the name in database.conninfo, or use a unix socket or hostaddr"},
};

static const char *option_value(const PQconninfoOption *options, const char *keyword)
{
    for (; options->keyword; options++)
        if (strcmp(options->keyword, keyword) == 0)
            return options->val;
    return NULL;
}

static unsigned count_elements(const char *list)
{
    unsigned count = 1;

    for (; list && *list; list++)
        count += *list == ',';
    return count;
}

/* A list of one element stands for every host, as a common port does. */
static void add_rotated(struct text *text, const char *list, unsigned rotation)
{
    const char *tail = list;

    for (unsigned i = rotation % count_elements(list); i > 0; i--)
        tail = strchr(tail, ',') + 1;
    text_add(text, tail);
    if (tail == list)
        return;
    text_add_char(text, ',');
    text_add_bytes(text, list, (size_t)(tail - list - 1));
}

static const char *default_of(const struct conninfo *conninfo, const char *keyword)
{
    if (strcmp(keyword, "fallback_application_name") == 0)
        return conninfo->application_name;
    if (strcmp(keyword, "passfile") == 0)
        return conninfo->passfile;
    for (size_t i = 0; i < COUNT_OF(keyword_defaults); i++)
        if (strcmp(keyword_defaults[i].keyword, keyword) == 0)
            return keyword_defaults[i].value;
    return NULL;
}

int conninfo_parse(struct conninfo *ret_conninfo, const char *string, const char *passfile,
                   const char *lane)
{
    OWN(conninfo_done) struct conninfo conninfo = {0};
    char *reason = NULL;
    const char *hosts;

    conninfo.options = PQconninfoParse(string, &reason);
    if (!conninfo.options) {
        PQfreemem(reason);
        return reason ? -EINVAL : -ENOMEM;
    }
    if (passfile && !(conninfo.passfile = strdup(passfile)))
        return -ENOMEM;
    (void)snprintf(conninfo.application_name, sizeof conninfo.application_name, "chwsyncd %s",
                   lane);
    hosts = option_value(conninfo.options, "hostaddr");
    if (!hosts)
        hosts = option_value(conninfo.options, "host");
    conninfo.hosts = count_elements(hosts);

    *ret_conninfo = conninfo;
    conninfo = (struct conninfo){0};
    return 0;
}

void conninfo_done(struct conninfo *conninfo)
{
    for (PQconninfoOption *option = conninfo->options; option && option->keyword; option++)
        if (option->val && option->dispchar[0] == '*')
            explicit_bzero(option->val, strlen(option->val));
    PQconninfoFree(conninfo->options);
    free(conninfo->passfile);
    *conninfo = (struct conninfo){0};
}

PGconn *conninfo_connect(const struct conninfo *conninfo, unsigned rotation)
{
    static const char *const lists[] = {"host", "hostaddr", "port"};
    struct text rotated[COUNT_OF(lists)] = {0};
    const char *keywords[KEYWORDS_MAX + 1], *values[KEYWORDS_MAX + 1];
    size_t count = 0;
    PGconn *server = NULL;

    for (const PQconninfoOption *option = conninfo->options;
         option->keyword && count < KEYWORDS_MAX; option++) {
        keywords[count] = option->keyword;
        values[count] = option->val ? option->val : default_of(conninfo, option->keyword);
        for (size_t i = 0; i < COUNT_OF(lists); i++) {
            if (!values[count] || strcmp(option->keyword, lists[i]) != 0)
                continue;
            add_rotated(&rotated[i], values[count], rotation);
            values[count] = text_string(&rotated[i]);
        }
        if (values[count])
            count++;
    }
    keywords[count] = values[count] = NULL;
    if (!rotated[0].failed && !rotated[1].failed && !rotated[2].failed)
        server = PQconnectStartParams(keywords, values, 0);
    for (size_t i = 0; i < COUNT_OF(lists); i++)
        text_done(&rotated[i]);
    return server;
}

/* Advice lines begin with a tab; FATAL and its like is what every such message is. */
static void condense(const char *message, char *ret_line, size_t size)
{
    OWN(text_done) struct text text = {0};

    while (*message) {
        size_t length = strcspn(message, "\n");
        const char *severity = memmem(message, length, "FATAL:  ", 8);

        if (*message != '\t' && length > 0) {
            if (text.length > 0)
                text_add(&text, "; ");
            if (severity) {
                text_add_bytes(&text, message, (size_t)(severity - message));
                text_add_bytes(&text, severity + 8, length - (size_t)(severity - message) - 8);
            } else {
                text_add_bytes(&text, message, length);
            }
        }
        message += length + (message[length] == '\n');
    }
    text_one_line(ret_line, size, text.failed ? "memory ran out" : text_string(&text));
}

void conninfo_explain(const char *message, struct problem *ret_problem)
{
    char line[sizeof ret_problem->text];

    condense(message, line, sizeof line);
    problem_set(ret_problem, "%s", line[0] ? line : "the server closed the connection");
    for (size_t i = 0; i < COUNT_OF(hints); i++) {
        if (strstr(line, hints[i].part) && (!hints[i].also || strstr(line, hints[i].also))) {
            problem_hint(ret_problem, "%s", hints[i].hint);
            return;
        }
    }
}
