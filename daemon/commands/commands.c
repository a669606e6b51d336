#include "commands/commands.h"
#include "base/own.h"
#include "base/text.h"
#include "store/report.h"
#include <string.h>

const struct command commands[] = {
    {"run", "", 0, 0, "the daemon, in the foreground",
     "Buys the paid order lines of the shop at their providers, follows them to their end and "
     "tells the shop. Ends cleanly on SIGTERM and SIGINT; reads the configuration anew on SIGHUP.",
     FOR_RUN, command_run},
    {"check", "", 0, 0, "configuration, credentials, database, contract, provider",
     "Lists every fault at once, each with its remedy. It changes nothing: the shop's function is "
     "called for an order that does not exist, in a transaction that is rolled back; each provider "
     "gets three requests: ping, balance, and the list of services. With --config-only neither "
     "network nor database is touched.",
     FOR_CHECK, command_check},
    {"schema", "install|upgrade|show", 1, 1, "the roles and schemas in the shop's database",
     "install   creates the roles, schema chwsync, and an empty schema chwsync_shop\n"
     "upgrade   brings schema chwsync to this version; chwsync_shop is not touched\n"
     "show      version, owners, roles, objects and sizes\n"
     "\n"
     "All of it can be repeated, and a failure leaves nothing behind. The database is the "
     "configuration's, reached as the calling user; --conninfo names another one, and then no "
     "configuration is needed.",
     FOR_SCHEMA, command_schema},
    {"adapter", "[NAME|off|on]", 0, 1, "what connects a shop: ready, or written for a table",
     "NAME      prints a ready adapter, to be run with psql; without NAME, their list\n"
     "--table   writes one for any table of paid lines, after a look at it; nothing is changed\n"
     "off       before an upgrade of the shop: takes the view away and keeps its text\n"
     "on        puts it back\n"
     "\n"
     "What --key and the like name is a column, a path into a column of JSON (options.link), or "
     "an SQL expression; the table of lines is called l, that of orders o. The database is found "
     "as by chwsyncd schema.",
     FOR_ADAPTER, command_adapter},
    {"status", "", 0, 0, "providers, budget, queue, what is held up and why",
     "Reads the ledger only; the daemon need not run. With --watch it fills the screen and is "
     "drawn anew every 2 seconds until q or Ctrl-C.",
     FOR_STATUS, command_status},
    {"orders", "[REF]", 0, 1, "one order's whole story, or a list",
     "With REF, the key of an order line in the shop: what the shop wants, where it stands and "
     "why, its money, every attempt with what was sent and answered, what happens next and when, "
     "and everything that happened. Without: the newest orders.",
     FOR_ORDERS, command_orders},
    {"resolve", "REF", 0, 1, "says what became of an uncertain order",
     "Shows what is known of it, asks, and records who said so and why. Say one of:\n"
     "\n"
     "--placed ID    it exists there under this id. The running daemon asks the provider, within "
     "the budget, and takes it when the provider knows the id and no other order has it. The "
     "answer is waited for, at most 30 s; later it stands in `chwsyncd orders REF`.\n"
     "--not-placed   it does not exist there: it is queued and bought again. Finding nothing "
     "proves nothing, so the daemon never says this by itself.\n"
     "--give-up      it is abandoned and never bought again; --placed can still reopen it.\n"
     "\n"
     "With --release instead of REF it lets orders be sent again that were stopped because the "
     "database had lost purchases: it shows what it had lost. With a provider's name all that "
     "stand in its way are released, with an order's key that one.\n"
     "\n"
     "With --account NAME instead of REF it says what a changed key or URL of that provider means, "
     "when the daemon could not tell: --same, the orders of before are followed with it; --new, it "
     "is another account, and they are followed by nobody.",
     FOR_RESOLVE, command_resolve},
    {"retry", "REF", 1, 1, "queues a rejected or failed order again",
     "The shop is asked before it is sent, as for every order. Never for an order that may exist "
     "at the provider. One that failed there was bought: it is charged again, so this asks first.",
     FOR_RETRY, command_retry},
    {"services", "[TEXT]", 0, 1, "what the providers sell, and what changed",
     "With TEXT, the services whose id, product id, name or category has it; a single one is told "
     "whole. The rate is the price of 1000, or of the whole for packages.\n"
     "\n"
     "The daemon reads the catalogues at its start and then once in providers.catalogue_interval. "
     "--refresh asks the providers now, within their budgets, and keeps the answer as the daemon "
     "does, whether it runs or not: orders that wait for a price or a service are looked at again. "
     "It reads the keys.\n"
     "\n"
     "A provider may give a service id to another service. Orders that name a service by an id "
     "whose name or type is another than at the last order wait; --accept says that it is right, "
     "and they go.",
     FOR_SERVICES, command_services},
    {"refill", "REF", 1, 1, "asks the provider to refill an order, or tells how it stands",
     "As chwsync.request_refill() for the shop: the order is completed or partial, its service "
     "offers refills, and while one is open, or has ended only lately, the answer is where that "
     "one stands. The running daemon asks the provider; the answer is waited for, at most 10 s.\n"
     "\n"
     "When the answer was lost it is not known whether the provider took the request, and it is "
     "not repeated by itself. Look there, then say one of:\n"
     "\n"
     "--placed ID    the refill exists there under this id, and is followed\n"
     "--not-placed   it does not exist there: it is requested again",
     FOR_REFILL, command_refill},
    {"metrics", "", 0, 0, "figures for a monitoring system",
     "Prints OpenMetrics text. With --http it answers one HTTP request on standard input, for a "
     "socket of systemd's (chwsyncd-metrics.socket). Reads the ledger only; the daemon need not "
     "run.",
     FOR_METRICS, command_metrics},
};
const size_t command_count = COUNT_OF(commands);

void command_complain(const struct problem *problem)
{
    fprintf(stderr, "chwsyncd: %s\n", problem->text);
    if (problem->hint[0])
        fprintf(stderr, "    HINT: %s\n", problem->hint);
}

void command_complain_unknown(const char *what, const char *given, const char *const *names)
{
    char line[80];
    const char *nearest = NULL;
    unsigned least = 4; /* further away it is another word */
    for (; *names; names++) {
        unsigned distance = text_distance(given, *names);
        if (distance < least && distance < strlen(*names)) {
            nearest = *names;
            least = distance;
        }
    }
    text_one_line(line, sizeof line, given);
    fprintf(stderr, "chwsyncd: unknown %s \"%s\"", what, line);
    if (nearest)
        fprintf(stderr, "; did you mean \"%s\"?", nearest);
    fputc('\n', stderr);
}

const struct command *command_find(const char *name)
{
    const char *names[COUNT_OF(commands) + 1] = {NULL};
    for (size_t i = 0; i < COUNT_OF(commands); i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
        names[i] = commands[i].name;
    }
    command_complain_unknown("command", name, names);
    fprintf(stderr, "    HINT: chwsyncd --help lists the commands\n");
    return NULL;
}

void command_print_overview(FILE *stream)
{
    fputs("Usage: chwsyncd COMMAND [OPTION]...\n\n"
          "Buys the paid order lines of a shop at their providers, each exactly once,\n"
          "follows them to their end and writes the results back.\n\n",
          stream);
    for (size_t i = 0; i < COUNT_OF(commands); i++)
        fprintf(stream, "  %-8s %s\n", commands[i].name, commands[i].summary);
    fputs("\nEach command has --help. chwsyncd --version prints the version.\n"
          "Exit codes: 0 done, 1 finding or failure, 64 usage, 69 unavailable,\n"
          "77 permission, 78 configuration.\n",
          stream);
}

enum exit_code command_load_config(const struct arguments *arguments, struct config **ret_config)
{
    struct config_faults faults = {0};
    int r = config_load(arguments->config_path, ret_config, &faults);
    if (r == 0)
        return EXIT_DONE;
    if (r < 0) {
        fprintf(stderr, "chwsyncd: unable to read %s: %s\n", arguments->config_path, strerror(-r));
        return EXIT_FINDING;
    }
    config_faults_print(&faults, arguments->config_path, stderr);
    config_faults_done(&faults);
    return EXIT_CONFIGURATION;
}

/* Connects, or tells on stderr why not. */
static enum exit_code open_session(const struct session_options *options,
                                   struct session **ret_session)
{
    struct problem problem = {0};
    int r = session_open(options, ret_session, &problem);
    if (r == 0)
        return EXIT_DONE;
    if (r < 0)
        problem_set(&problem, "out of memory");
    command_complain(&problem);
    return r < 0 ? EXIT_FINDING : EXIT_UNAVAILABLE;
}

enum exit_code command_open_database(const struct arguments *arguments, unsigned time_limit_s,
                                     struct config **ret_config, struct session **ret_session)
{
    OWN(command_config_freep) struct config *config = NULL;
    struct session_options options = {.conninfo = arguments->conninfo,
                                      .time_limit_s = time_limit_s};
    enum exit_code code;

    if (!options.conninfo) {
        code = command_load_config(arguments, &config);
        if (code != EXIT_DONE)
            return code;
        options.conninfo = config->conninfo;
        options.as_calling_user = true;
    }
    code = open_session(&options, ret_session);
    if (code == EXIT_DONE)
        *ret_config = GIVE(config);
    return code;
}

static enum exit_code begin_report(struct session *session, int64_t *ret_now_s)
{
    struct problem problem = {0};
    enum session_verdict verdict = report_begin(session, ret_now_s, &problem);
    if (verdict == SESSION_DONE)
        return EXIT_DONE;
    const char *sqlstate = session_sqlstate(session);
    bool missing = strcmp(sqlstate, "3F000") == 0 || strcmp(sqlstate, "42P01") == 0;
    if (verdict == SESSION_REFUSED && missing) {
        problem_set(&problem, "schema chwsync is not installed in database %s",
                    session_database(session));
        problem_hint(&problem, "chwsyncd schema install");
    } else if (verdict == SESSION_REFUSED && !problem.hint[0]) {
        problem_hint(&problem, "database.conninfo connects as %s; the ledger is for role chwsync",
                     session_user(session));
    }
    command_complain(&problem);
    return command_exit_code(session, verdict);
}

enum exit_code command_open_report(const struct arguments *arguments, struct config **ret_config,
                                   struct session **ret_session, int64_t *ret_now_s)
{
    OWN(command_config_freep) struct config *config = NULL;
    OWN(session_freep) struct session *session = NULL;
    enum exit_code code = command_load_config(arguments, &config);
    if (code == EXIT_DONE)
        code = open_session(&(struct session_options){.conninfo = config->conninfo}, &session);
    if (code == EXIT_DONE)
        code = begin_report(session, ret_now_s);
    if (code != EXIT_DONE)
        return code;
    *ret_session = GIVE(session);
    if (ret_config)
        *ret_config = GIVE(config);
    return EXIT_DONE;
}

enum exit_code command_exit_code(const struct session *session, enum session_verdict verdict)
{
    switch (verdict) {
    case SESSION_DONE:
        return EXIT_DONE;
    case SESSION_REFUSED:
        return strcmp(session_sqlstate(session), "42501") == 0 ? EXIT_PERMISSION : EXIT_FINDING;
    case SESSION_LOST:
        return EXIT_UNAVAILABLE;
    }
    return EXIT_FINDING;
}
