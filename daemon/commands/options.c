#include "commands/options.h"
#include "base/own.h"
#include "base/text.h"
#include "commands/output.h"
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

/* How an option is kept in struct arguments. */
enum option_kind {
    OPTION_TEXT, /* its value; "" when it takes none */
    OPTION_FLAG,
    OPTION_LIMIT, /* a number of rows */
    OPTION_AGE,   /* a time, older or newer than which */
    OPTION_HELP,  /* printed, and nothing is run */
};

/* The member must be of that type. */
#define PLACE(member, type)                                                                        \
    offsetof(struct arguments, member) +                                                           \
        0 * sizeof(_Generic(((struct arguments *)0)->member, type : 0))
#define TEXT(member) OPTION_TEXT, PLACE(member, const char *)
#define FLAG(member) OPTION_FLAG, PLACE(member, bool)
#define LIMIT OPTION_LIMIT, PLACE(limit, long)
#define AGE OPTION_AGE, 0 /* one of two members */
#define HELP OPTION_HELP, 0

static const struct option_row {
    const char *name, *value, *help;
    unsigned commands; /* of enum command_bit */
    enum option_kind kind;
    size_t place; /* in struct arguments */
} option_rows[] = {
    {"--config", "FILE", "the configuration (" CONFIG_DEFAULT_PATH ")", FOR_ALL, TEXT(config_path)},
    {"--credentials-dir", "DIR", "where key files are ($CREDENTIALS_DIRECTORY)",
     FOR_RUN | FOR_CHECK | FOR_SERVICES, TEXT(credentials_dir)},
    {"--conninfo", "TEXT", "the database, as libpq's connection string", FOR_SCHEMA | FOR_ADAPTER,
     TEXT(conninfo)},
    {"--config-only", NULL, "check the configuration file alone", FOR_CHECK, FLAG(config_only)},
    {"--state", "STATE", "only orders in that state", FOR_ORDERS, TEXT(state)},
    {"--limit", "N", "at most so many (20)", FOR_ORDERS | FOR_SERVICES, LIMIT},
    {"--provider", "NAME", "only of this provider", FOR_ORDERS | FOR_SERVICES, TEXT(provider)},
    {"--all", NULL, "also what cannot be bought now", FOR_SERVICES, FLAG(all)},
    {"--changes", NULL, "what changed, the newest first", FOR_SERVICES, FLAG(changes)},
    {"--refresh", NULL, "ask the providers first", FOR_SERVICES, FLAG(refresh)},
    {"--accept", "ID", "this service is what its orders mean", FOR_SERVICES, TEXT(accept)},
    {"--age", "TIME", "older than 2h, 3d ...; with -2h: newer", FOR_ORDERS, AGE},
    {"--placed", "ID", "it exists at the provider under this id", FOR_RESOLVE | FOR_REFILL,
     TEXT(placed)},
    {"--not-placed", NULL, "it does not exist there: ask for it again", FOR_RESOLVE | FOR_REFILL,
     FLAG(not_placed)},
    {"--again", NULL, "although a refill ended only lately", FOR_REFILL, FLAG(again)},
    {"--give-up", NULL, "never buy it again", FOR_RESOLVE, FLAG(give_up)},
    {"--release", "WHAT", "let submits go on: PROVIDER, or REF", FOR_RESOLVE, TEXT(release)},
    {"--account", "NAME", "the provider whose key or URL was changed", FOR_RESOLVE, TEXT(account)},
    {"--same", NULL, "it is the same account as before", FOR_RESOLVE, FLAG(same_account)},
    {"--new", NULL, "it is another account", FOR_RESOLVE, FLAG(new_account)},
    {"--reason", "TEXT", "why, for the order's history", FOR_RESOLVE | FOR_RETRY, TEXT(reason)},
    {"--yes", NULL, "do not ask", FOR_RESOLVE | FOR_RETRY, FLAG(yes)},
    {"--queue", NULL, "and a queue, for shops of 100,000 lines and more", FOR_ADAPTER,
     TEXT(adapter[ADAPTER_WITH_QUEUE])},
    {"--wake", NULL, "and a NOTIFY when an order is paid", FOR_ADAPTER,
     TEXT(adapter[ADAPTER_WITH_WAKE])},
    {"--table", "TABLE", "the table of order lines", FOR_ADAPTER, TEXT(adapter[ADAPTER_TABLE])},
    {"--key", "COLUMN", "the line's key: unique, and the same for ever", FOR_ADAPTER,
     TEXT(adapter[CONTRACT_ORDER_REF])},
    {"--pending", "SQL", "when a line is to be sent: \"status = 'paid'\"", FOR_ADAPTER,
     TEXT(adapter[ADAPTER_PENDING])},
    {"--service", "WHAT", "the provider's product or service id", FOR_ADAPTER,
     TEXT(adapter[CONTRACT_SERVICE])},
    {"--link", "WHAT", "what it is for", FOR_ADAPTER, TEXT(adapter[CONTRACT_LINK])},
    {"--quantity", "WHAT", "how many", FOR_ADAPTER, TEXT(adapter[CONTRACT_QUANTITY])},
    {"--pack", "N", "pieces one of them stands for: 1000, or a column", FOR_ADAPTER,
     TEXT(adapter[ADAPTER_PACK])},
    {"--created-at", "WHAT", "when it was ordered; older lines stay alone", FOR_ADAPTER,
     TEXT(adapter[CONTRACT_CREATED_AT])},
    {"--order", "TABLE", "the table of orders, when it is another", FOR_ADAPTER,
     TEXT(adapter[ADAPTER_ORDER])},
    {"--by", "COLUMN", "the line's column that leads to the order", FOR_ADAPTER,
     TEXT(adapter[ADAPTER_BY])},
    {"--display-ref", "WHAT", "the order number a person knows", FOR_ADAPTER,
     TEXT(adapter[CONTRACT_DISPLAY_REF])},
    {"--max-charge", "WHAT", "never buy above this", FOR_ADAPTER,
     TEXT(adapter[CONTRACT_MAX_CHARGE])},
    {"--provider", "WHAT", "the configured provider", FOR_ADAPTER,
     TEXT(adapter[CONTRACT_PROVIDER])},
    {"--runs", "WHAT", "runs of a drip-feed that share the quantity", FOR_ADAPTER,
     TEXT(adapter[CONTRACT_RUNS])},
    {"--interval", "WHAT", "minutes between them", FOR_ADAPTER, TEXT(adapter[CONTRACT_INTERVAL])},
    {"--min", "WHAT", "of a subscription", FOR_ADAPTER, TEXT(adapter[CONTRACT_MIN])},
    {"--max", "WHAT", "of a subscription", FOR_ADAPTER, TEXT(adapter[CONTRACT_MAX])},
    {"--comments", "WHAT", "comments, one a line", FOR_ADAPTER, TEXT(adapter[CONTRACT_COMMENTS])},
    {"--usernames", "WHAT", "names, one a line", FOR_ADAPTER, TEXT(adapter[CONTRACT_USERNAMES])},
    {"--hashtags", "WHAT", "hashtags, one a line", FOR_ADAPTER, TEXT(adapter[CONTRACT_HASHTAGS])},
    {"--username", "WHAT", "a single name, where the type asks for one", FOR_ADAPTER,
     TEXT(adapter[CONTRACT_USERNAME])},
    {"--params", "WHAT", "any other parameters, as JSON", FOR_ADAPTER,
     TEXT(adapter[CONTRACT_PARAMS])},
    {"--check", NULL, "run it in a transaction that is rolled back", FOR_ADAPTER,
     TEXT(adapter[ADAPTER_CHECK])},
    {"--json", NULL, "print JSON",
     FOR_CHECK | FOR_SCHEMA | FOR_STATUS | FOR_ORDERS | FOR_SERVICES | FOR_REFILL, FLAG(json)},
    {"--watch", NULL, "fill the screen, drawn anew every 2 seconds", FOR_STATUS, FLAG(watch)},
    {"--http", NULL, "answer one HTTP request on standard input", FOR_METRICS, FLAG(http)},
    {"--help", NULL, "print this", FOR_ALL, HELP},
};

/* getopt_long() returns a row's number and this. */
enum { OPTION_BASE = 256 };

static void print_options(const struct command *command, FILE *stream)
{
    for (size_t i = 0; i < COUNT_OF(option_rows); i++) {
        const struct option_row *row = &option_rows[i];
        if (!(row->commands & command->bit))
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

static int take_option(const struct option_row *row, const char *value, struct arguments *arguments)
{
    void *place = (char *)arguments + row->place;

    switch (row->kind) {
    case OPTION_TEXT:
        *(const char **)place = value ? value : "";
        return 0;
    case OPTION_FLAG:
        *(bool *)place = true;
        return 0;
    case OPTION_LIMIT:
        return take_limit(arguments->command, value, place);
    case OPTION_AGE:
        return take_age(arguments->command, value, arguments);
    case OPTION_HELP:
        break;
    }
    print_help(arguments->command, stdout);
    return 1;
}

/* The rows a command takes, as getopt_long() wants them. */
static void list_options(const struct command *command, struct option *options)
{
    size_t count = 0;
    for (size_t i = 0; i < COUNT_OF(option_rows); i++) {
        const struct option_row *row = &option_rows[i];
        if (!(row->commands & command->bit))
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
