#include "commands/commands.h"
#include "base/own.h"
#include "base/text.h"
#include "commands/output.h"
#include "store/report.h"
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

const struct command commands[] = {
    {"run", "", 0, 0, "the daemon, in the foreground",
     "Buys the paid order lines of the shop at their providers, follows them to their end and "
     "tells the shop. Ends cleanly on SIGTERM and SIGINT; reads the configuration anew on SIGHUP.",
     TAKES_CONFIG | TAKES_CREDENTIALS_DIR, command_run},
    {"check", "", 0, 0, "configuration, credentials, database, contract, provider",
     "Lists every fault at once, each with its remedy. It changes nothing: the shop's function is "
     "called for an order that does not exist, in a transaction that is rolled back; each provider "
     "gets three requests: ping, balance, and the list of services. With --config-only neither "
     "network nor database is touched.",
     TAKES_CONFIG | TAKES_JSON | TAKES_CREDENTIALS_DIR | TAKES_CONFIG_ONLY, command_check},
    {"schema", "install|upgrade|show", 1, 1, "the roles and schemas in the shop's database",
     "install   creates the roles, schema chwsync, and an empty schema chwsync_shop\n"
     "upgrade   brings schema chwsync to this version; chwsync_shop is not touched\n"
     "show      version, owners, roles, objects and sizes\n"
     "\n"
     "All of it can be repeated, and a failure leaves nothing behind. The database is the "
     "configuration's, reached as the calling user; --conninfo names another one, and then no "
     "configuration is needed.",
     TAKES_CONFIG | TAKES_JSON | TAKES_CONNINFO, command_schema},
    {"adapter", "[NAME|off|on]", 0, 1, "what connects a shop: ready, or written for a table",
     "NAME      prints a ready adapter, to be run with psql; without NAME, their list\n"
     "--table   writes one for any table of paid lines, after a look at it; nothing is changed\n"
     "off       before an upgrade of the shop: takes the view away and keeps its text\n"
     "on        puts it back\n"
     "\n"
     "What --key and the like name is a column, a path into a column of JSON (options.link), or "
     "an SQL expression; the table of lines is called l, that of orders o. The database is found "
     "as by chwsyncd schema.",
     TAKES_CONFIG | TAKES_CONNINFO | TAKES_ADAPTER, command_adapter},
    {"status", "", 0, 0, "providers, budget, queue, what is held up and why",
     "Reads the ledger only; the daemon need not run. With --watch it fills the screen and is "
     "drawn anew every 2 seconds until q or Ctrl-C.",
     TAKES_CONFIG | TAKES_JSON | TAKES_WATCH, command_status},
    {"orders", "[REF]", 0, 1, "one order's whole story, or a list",
     "With REF, the key of an order line in the shop: what the shop wants, where it stands and "
     "why, its money, every attempt with what was sent and answered, what happens next and when, "
     "and everything that happened. Without: the newest orders.",
     TAKES_CONFIG | TAKES_JSON | TAKES_STATE | TAKES_LIMIT | TAKES_PROVIDER | TAKES_AGE,
     command_orders},
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
     TAKES_CONFIG | TAKES_PLACED | TAKES_NOT_PLACED | TAKES_GIVE_UP | TAKES_REASON | TAKES_YES |
         TAKES_ACCOUNT | TAKES_SAME | TAKES_NEW | TAKES_RELEASE,
     command_resolve},
    {"retry", "REF", 1, 1, "queues a rejected or failed order again",
     "The shop is asked before it is sent, as for every order. Never for an order that may exist "
     "at the provider. One that failed there was bought: it is charged again, so this asks first.",
     TAKES_CONFIG | TAKES_REASON | TAKES_YES, command_retry},
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
     TAKES_CONFIG | TAKES_JSON | TAKES_CREDENTIALS_DIR | TAKES_LIMIT | TAKES_PROVIDER | TAKES_ALL |
         TAKES_CHANGES | TAKES_REFRESH | TAKES_ACCEPT,
     command_services},
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
     TAKES_CONFIG | TAKES_JSON | TAKES_PLACED | TAKES_NOT_PLACED | TAKES_AGAIN, command_refill},
    {"metrics", "", 0, 0, "figures for a monitoring system",
     "Prints OpenMetrics text. With --http it answers one HTTP request on standard input, for a "
     "socket of systemd's (chwsyncd-metrics.socket). Reads the ledger only; the daemon need not "
     "run.",
     TAKES_CONFIG | TAKES_HTTP, command_metrics},
};
const size_t command_count = COUNT_OF(commands);

/* The place of enum adapter_option stands above the flags. */
#define ADAPTER_ROW(place) (TAKES_ADAPTER | (unsigned)(place) << OPTION_BITS)
_Static_assert(ADAPTER_OPTION_COUNT <= 1 << (32 - OPTION_BITS), "too many for their bits");

static const struct command_option_row {
    const char *name, *value, *help;
    unsigned taken_with; /* of enum command_option, 0 = always */
} option_rows[] = {
    {"--config", "FILE", "the configuration (" CONFIG_DEFAULT_PATH ")", TAKES_CONFIG},
    {"--credentials-dir", "DIR", "where key files are ($CREDENTIALS_DIRECTORY)",
     TAKES_CREDENTIALS_DIR},
    {"--conninfo", "TEXT", "the database, as libpq's connection string", TAKES_CONNINFO},
    {"--config-only", NULL, "check the configuration file alone", TAKES_CONFIG_ONLY},
    {"--state", "STATE", "only orders in that state", TAKES_STATE},
    {"--limit", "N", "at most so many (20)", TAKES_LIMIT},
    {"--provider", "NAME", "only of this provider", TAKES_PROVIDER},
    {"--all", NULL, "also what cannot be bought now", TAKES_ALL},
    {"--changes", NULL, "what changed, the newest first", TAKES_CHANGES},
    {"--refresh", NULL, "ask the providers first", TAKES_REFRESH},
    {"--accept", "ID", "this service is what its orders mean", TAKES_ACCEPT},
    {"--age", "TIME", "older than 2h, 3d ...; with -2h: newer", TAKES_AGE},
    {"--placed", "ID", "it exists at the provider under this id", TAKES_PLACED},
    {"--not-placed", NULL, "it does not exist there: ask for it again", TAKES_NOT_PLACED},
    {"--again", NULL, "although a refill ended only lately", TAKES_AGAIN},
    {"--give-up", NULL, "never buy it again", TAKES_GIVE_UP},
    {"--release", "WHAT", "let submits go on: PROVIDER, or REF", TAKES_RELEASE},
    {"--account", "NAME", "the provider whose key or URL was changed", TAKES_ACCOUNT},
    {"--same", NULL, "it is the same account as before", TAKES_SAME},
    {"--new", NULL, "it is another account", TAKES_NEW},
    {"--reason", "TEXT", "why, for the order's history", TAKES_REASON},
    {"--yes", NULL, "do not ask", TAKES_YES},
    {"--queue", NULL, "and a queue, for shops of 100,000 lines and more",
     ADAPTER_ROW(ADAPTER_WITH_QUEUE)},
    {"--wake", NULL, "and a NOTIFY when an order is paid", ADAPTER_ROW(ADAPTER_WITH_WAKE)},
    {"--table", "TABLE", "the table of order lines", ADAPTER_ROW(ADAPTER_TABLE)},
    {"--key", "COLUMN", "the line's key: unique, and the same for ever",
     ADAPTER_ROW(CONTRACT_ORDER_REF)},
    {"--pending", "SQL", "when a line is to be sent: \"status = 'paid'\"",
     ADAPTER_ROW(ADAPTER_PENDING)},
    {"--service", "WHAT", "the provider's product or service id", ADAPTER_ROW(CONTRACT_SERVICE)},
    {"--link", "WHAT", "what it is for", ADAPTER_ROW(CONTRACT_LINK)},
    {"--quantity", "WHAT", "how many", ADAPTER_ROW(CONTRACT_QUANTITY)},
    {"--pack", "N", "pieces one of them stands for: 1000, or a column", ADAPTER_ROW(ADAPTER_PACK)},
    {"--created-at", "WHAT", "when it was ordered; older lines stay alone",
     ADAPTER_ROW(CONTRACT_CREATED_AT)},
    {"--order", "TABLE", "the table of orders, when it is another", ADAPTER_ROW(ADAPTER_ORDER)},
    {"--by", "COLUMN", "the line's column that leads to the order", ADAPTER_ROW(ADAPTER_BY)},
    {"--display-ref", "WHAT", "the order number a person knows", ADAPTER_ROW(CONTRACT_DISPLAY_REF)},
    {"--max-charge", "WHAT", "never buy above this", ADAPTER_ROW(CONTRACT_MAX_CHARGE)},
    {"--provider", "WHAT", "the configured provider", ADAPTER_ROW(CONTRACT_PROVIDER)},
    {"--runs", "WHAT", "runs of a drip-feed that share the quantity", ADAPTER_ROW(CONTRACT_RUNS)},
    {"--interval", "WHAT", "minutes between them", ADAPTER_ROW(CONTRACT_INTERVAL)},
    {"--min", "WHAT", "of a subscription", ADAPTER_ROW(CONTRACT_MIN)},
    {"--max", "WHAT", "of a subscription", ADAPTER_ROW(CONTRACT_MAX)},
    {"--comments", "WHAT", "comments, one a line", ADAPTER_ROW(CONTRACT_COMMENTS)},
    {"--usernames", "WHAT", "names, one a line", ADAPTER_ROW(CONTRACT_USERNAMES)},
    {"--hashtags", "WHAT", "hashtags, one a line", ADAPTER_ROW(CONTRACT_HASHTAGS)},
    {"--username", "WHAT", "a single name, where the type asks for one",
     ADAPTER_ROW(CONTRACT_USERNAME)},
    {"--params", "WHAT", "any other parameters, as JSON", ADAPTER_ROW(CONTRACT_PARAMS)},
    {"--check", NULL, "run it in a transaction that is rolled back", ADAPTER_ROW(ADAPTER_CHECK)},
    {"--json", NULL, "print JSON", TAKES_JSON},
    {"--watch", NULL, "fill the screen, drawn anew every 2 seconds", TAKES_WATCH},
    {"--http", NULL, "answer one HTTP request on standard input", TAKES_HTTP},
    {"--help", NULL, "print this", 0},
};

/* getopt_long() returns a row's number and this. */
enum { OPTION_BASE = 256 };

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

static void print_options(const struct command *command, FILE *stream)
{
    for (size_t i = 0; i < COUNT_OF(option_rows); i++) {
        const struct command_option_row *row = &option_rows[i];
        if (row->taken_with && !(command->options & row->taken_with))
            continue;
        int written = fprintf(stream, "  %s%s%s", row->name, row->value ? " " : "",
                              row->value ? row->value : "");
        fprintf(stream, "%*s%s\n", written < 26 ? 26 - written : 1, "", row->help);
    }
}

/* "--placed ID    it exists there ...": what stands behind the gap is broken beside it. */
static void print_paragraph(const char *paragraph, FILE *stream)
{
    char label[OUTPUT_WIDTH];
    const char *gap = strstr(paragraph, "  ");
    size_t label_length = gap ? (size_t)(gap - paragraph) : 0;
    size_t indent = gap ? label_length + strspn(gap, " ") : 0;
    snprintf(label, sizeof label, "%.*s", (int)label_length, paragraph);
    output_field(stream, label, (int)indent, paragraph + indent);
}

static void print_help(const struct command *command, FILE *stream)
{
    fprintf(stream, "Usage: chwsyncd %s%s%s [OPTION]...\n\n", command->name,
            command->words[0] ? " " : "", command->words);
    for (const char *line = command->help; *line;) {
        OWN(text_done) struct text paragraph = {0};
        size_t length = strcspn(line, "\n");
        text_add_bytes(&paragraph, line, length);
        print_paragraph(text_string(&paragraph), stream);
        line += length + (line[length] == '\n');
    }
    fputc('\n', stream);
    print_options(command, stream);
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

static int complain_usage(const struct command *command, const char *format, const char *word)
{
    char line[80];
    text_one_line(line, sizeof line, word);
    fputs("chwsyncd: ", stderr);
    fprintf(stderr, format, line);
    fprintf(stderr, "\n    HINT: chwsyncd %s --help\n", command->name);
    return -1;
}

/* What getopt_long() refused: `given` is the argument it came to last. */
static int complain_option(const struct command *command, const struct option *options,
                           const char *given)
{
    const char *names[COUNT_OF(option_rows) + 1] = {NULL};
    char name[80];
    if (optopt >= OPTION_BASE)
        return complain_usage(command, "option %s takes no value", given);
    for (size_t i = 0; options[i].name; i++)
        names[i] = options[i].name - 2;
    if (optopt)
        snprintf(name, sizeof name, "-%c", optopt);
    else
        snprintf(name, sizeof name, "%.*s", (int)strcspn(given, "="), given);
    command_complain_unknown("option", name, names);
    fprintf(stderr, "    HINT: chwsyncd %s --help\n", command->name);
    return -1;
}

static int take_limit(const struct command *command, const char *value, long *ret_limit)
{
    char *end = NULL;
    errno = 0;
    long limit = strtol(value, &end, 10);
    if (errno || end == value || *end || limit < 1 || limit > 1000000)
        return complain_usage(command, "--limit is a number from 1 to 1000000, not \"%s\"", value);
    *ret_limit = limit;
    return 0;
}

/* "90s", "15m", "2h", "3d", "4w": older than that; with a minus in front newer. */
static int take_age(const struct command *command, const char *value, struct arguments *arguments)
{
    static const struct {
        char letter;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};
    bool newer = value[0] == '-';
    char *end = NULL;
    long count;

    errno = 0;
    count = strtol(value + (newer || value[0] == '+'), &end, 10);
    for (size_t i = 0; i < COUNT_OF(units); i++)
        if (!errno && count >= 1 && count <= 100000 && end[0] == units[i].letter && !end[1]) {
            *(newer ? &arguments->newer_than_s : &arguments->older_than_s) =
                count * units[i].seconds;
            return 0;
        }
    return complain_usage(command, "--age is a time like 90s, 15m, 2h, 3d, 4w, not \"%s\"", value);
}

static int take_option(const struct command_option_row *row, const char *value,
                       struct arguments *arguments)
{
    switch (row->taken_with & ((1U << OPTION_BITS) - 1)) {
    case TAKES_CONFIG:
        arguments->config_path = value;
        return 0;
    case TAKES_CREDENTIALS_DIR:
        arguments->credentials_dir = value;
        return 0;
    case TAKES_CONNINFO:
        arguments->conninfo = value;
        return 0;
    case TAKES_CONFIG_ONLY:
        arguments->config_only = true;
        return 0;
    case TAKES_STATE:
        arguments->state = value;
        return 0;
    case TAKES_LIMIT:
        return take_limit(arguments->command, value, &arguments->limit);
    case TAKES_ACCEPT:
        arguments->accept = value;
        return 0;
    case TAKES_PROVIDER:
        arguments->provider = value;
        return 0;
    case TAKES_AGE:
        return take_age(arguments->command, value, arguments);
    case TAKES_ACCOUNT:
        arguments->account = value;
        return 0;
    case TAKES_SAME:
        arguments->same_account = true;
        return 0;
    case TAKES_NEW:
        arguments->new_account = true;
        return 0;
    case TAKES_PLACED:
        arguments->placed = value;
        return 0;
    case TAKES_NOT_PLACED:
        arguments->not_placed = true;
        return 0;
    case TAKES_GIVE_UP:
        arguments->give_up = true;
        return 0;
    case TAKES_RELEASE:
        arguments->release = value;
        return 0;
    case TAKES_AGAIN:
        arguments->again = true;
        return 0;
    case TAKES_REASON:
        arguments->reason = value;
        return 0;
    case TAKES_YES:
        arguments->yes = true;
        return 0;
    case TAKES_JSON:
        arguments->json = true;
        return 0;
    case TAKES_WATCH:
        arguments->watch = true;
        return 0;
    case TAKES_HTTP:
        arguments->http = true;
        return 0;
    case TAKES_ALL:
        arguments->all = true;
        return 0;
    case TAKES_CHANGES:
        arguments->changes = true;
        return 0;
    case TAKES_REFRESH:
        arguments->refresh = true;
        return 0;
    case TAKES_ADAPTER:
        arguments->adapter[row->taken_with >> OPTION_BITS] = value ? value : "";
        return 0;
    default:
        print_help(arguments->command, stdout);
        return 1;
    }
}

/* The rows a command takes, as getopt_long() wants them;
 */
static void list_options(const struct command *command, struct option *options)
{
    size_t count = 0;
    for (size_t i = 0; i < COUNT_OF(option_rows); i++) {
        const struct command_option_row *row = &option_rows[i];
        if (row->taken_with && !(command->options & row->taken_with))
            continue;
        options[count++] = (struct option){.name = row->name + 2,
                                           .has_arg = row->value ? required_argument : no_argument,
                                           .val = OPTION_BASE + (int)i};
    }
}

int command_parse(const struct command *command, int argc, char *argv[],
                  struct arguments *ret_arguments)
{
    struct arguments arguments = {.command = command, .config_path = CONFIG_DEFAULT_PATH};
    struct option options[COUNT_OF(option_rows) + 1] = {0};
    int option;
    list_options(command, options);
    opterr = 0;
    optind = 0; /* glibc: begins anew */
    while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        if (option == ':')
            return complain_usage(command, "option %s needs a value", argv[optind - 1]);
        if (option < OPTION_BASE)
            return complain_option(command, options, argv[optind - 1]);
        int r = take_option(&option_rows[option - OPTION_BASE], optarg, &arguments);
        if (r)
            return r;
    }
    arguments.words = argv + optind;
    arguments.word_count = argc - optind;
    if (arguments.word_count > command->words_max)
        return complain_usage(command, "unexpected argument \"%s\"",
                              argv[optind + command->words_max]);
    if (arguments.word_count < command->words_min)
        return complain_usage(command, "which one? %s", command->words);
    *ret_arguments = arguments;
    return 0;
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

enum exit_code command_open_owner(const struct arguments *arguments, unsigned time_limit_s,
                                  struct config **ret_config, struct session **ret_session)
{
    OWN(command_config_freep) struct config *config = NULL;
    struct session_options options = {.conninfo = arguments->conninfo,
                                      .time_limit_s = time_limit_s};
    enum exit_code code = EXIT_DONE;
    if (!options.conninfo) {
        code = command_load_config(arguments, &config);
        if (code != EXIT_DONE)
            return code;
        options.conninfo = config->conninfo;
        options.as_calling_user = true;
    }
    code = open_session(&options, ret_session);
    if (code == EXIT_DONE && ret_config)
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
