#include "base/own.h"
#include "host/config.h"
#include <string.h>

#define MDOC_COLUMNS 76

#define IN_CONFIG(member) offsetof(struct config, member)
#define IN_PROVIDER(member) offsetof(struct provider_config, member)

/* clang-format off */
const struct setting config_settings[] = {
    {"database", "conninfo", SETTING_CONNINFO, 1, 4096, NULL, NULL, "\"host=/run/postgresql dbname=shop user=chwsync\"",
     "The shop's database, as a libpq connection string or URI without password (that comes from PGPASSFILE or the credential \"pgpass\"). The daemon keeps four connections, and a fifth with wake_conninfo.",
     IN_CONFIG(conninfo)},
    {"database", "wake_conninfo", SETTING_CONNINFO, 0, 4096, NULL, "", NULL,
     "A direct connection for LISTEN when conninfo goes through PgBouncer; \"\" = conninfo serves for both.",
     IN_CONFIG(wake_conninfo)},

    {"shop", "pending_orders", SETTING_SQL_NAME, 1, 200, NULL, "\"chwsync_shop.pending_orders\"", NULL,
     "The view of the order lines that may be sent now.", IN_CONFIG(pending_orders)},
    {"shop", "write_back", SETTING_SQL_NAME, 0, 200, NULL, "\"chwsync_shop.write_back\"", NULL,
     "The function that takes results; \"\" = none, the shop reads chwsync.order_status.", IN_CONFIG(write_back)},
    {"shop", "wake_channel", SETTING_CHANNEL, 0, 63, NULL, "\"chwsync\"", NULL,
     "The channel of NOTIFY by which the shop may announce new order lines; \"\" = none.", IN_CONFIG(wake_channel)},
    {"shop", "intake_interval", SETTING_INTEGER, 1, 3600, NULL, "5", NULL,
     "Seconds between two looks at pending_orders.", IN_CONFIG(intake_interval_s)},
    {"shop", "write_back_timeout", SETTING_INTEGER, 1, 60, NULL, "2", NULL,
     "Seconds that one call of write_back may take.", IN_CONFIG(write_back_timeout_s)},
    {"shop", "default_provider", SETTING_LABEL, 0, 32, NULL, "", NULL,
     "The provider of order lines that name none; \"\" = the first one below.", IN_CONFIG(default_provider)},

    {"providers", "name", SETTING_LABEL, 1, 32, NULL, NULL, "\"chawang\"",
     "What this provider is called in the shop, in the ledger and in logs: a-z, 0-9, _ and -.", IN_PROVIDER(name)},
    {"providers", "url", SETTING_URL, 1, 1024, NULL, NULL, "\"https://gamestopup.shop/wp-json/chw/v2\"",
     "The address of its API: https://, or http:// to this machine only.", IN_PROVIDER(url)},
    {"providers", "key_file", SETTING_TEXT, 1, 1024, NULL, NULL, "\"chawang.key\"",
     "The file that holds its API key: in the credentials directory, or an absolute path that group and others cannot read.",
     IN_PROVIDER(key_file)},
    {"providers", "ca_file", SETTING_PATH, 0, 1024, NULL, "", NULL,
     "The only certificate authorities trusted for it (PEM); \"\" = the system's.", IN_PROVIDER(ca_file)},
    {"providers", "requests_per_minute", SETTING_INTEGER, 0, 100000, NULL, "60", NULL,
     "Requests that the account allows in a minute; 0 = unlimited.", IN_PROVIDER(requests_per_minute)},
    {"providers", "requests_per_day", SETTING_INTEGER, 0, 100000000, NULL, "5000", NULL,
     "Requests that the account allows in a day; 0 = unlimited.", IN_PROVIDER(requests_per_day)},
    {"providers", "day_resets", SETTING_DAY, 1, 20, NULL, "\"rolling\"", NULL,
     "When its day begins: \"rolling\" = the last 24 hours, or a time such as \"00:00\" (UTC) or \"00:00 +05:30\".",
     IN_PROVIDER(day_rolling)},
    {"providers", "burst", SETTING_INTEGER, 1, 1000, NULL, "1", NULL,
     "Requests that may leave at once after a pause.", IN_PROVIDER(burst)},
    {"providers", "max_in_flight", SETTING_INTEGER, 1, 1000, NULL, "8", NULL,
     "Requests that may wait for their reply at the same time.", IN_PROVIDER(max_in_flight)},
    {"providers", "timeout", SETTING_INTEGER, 1, 600, NULL, "30", NULL,
     "Seconds after which a reply is no longer waited for.", IN_PROVIDER(timeout_s)},
    {"providers", "low_balance", SETTING_AMOUNT, 0, 39, NULL, "\"10.00\"", NULL,
     "Warn when the balance is below this, in the provider's currency; \"\" = never.", IN_PROVIDER(low_balance)},
    {"providers", "max_charge_per_order", SETTING_AMOUNT, 0, 39, NULL, "", NULL,
     "Never buy an order line that costs more, in the provider's currency; \"\" = no limit.", IN_PROVIDER(max_charge_per_order)},
    {"providers", "max_spend_per_day", SETTING_AMOUNT, 0, 39, NULL, "", NULL,
     "Buy for no more than this in a day, in the provider's currency; \"\" = no limit.", IN_PROVIDER(max_spend_per_day)},
    {"providers", "catalogue_interval", SETTING_INTEGER, 60, 604800, NULL, "3600", NULL,
     "Seconds between two readings of its list of services.", IN_PROVIDER(catalogue_interval_s)},
    {"providers", "recheck_days", SETTING_INTEGER, 0, 365, NULL, "30", NULL,
     "Days for which orders that have ended are looked at again, rarely, because a provider may change its mind; 0 = never.",
     IN_PROVIDER(recheck_days)},
    {"providers", "uncertain", SETTING_CHOICE, 1, 16, "hold|prove", "\"hold\"", NULL,
     "Orders whose sending was never answered: \"hold\" them for an operator, or \"prove\" them, which declares that nobody else buys on this account. What was sent within a day of a step of the database's clock is never proved.",
     IN_PROVIDER(uncertain)},

    {"log", "level", SETTING_CHOICE, 1, 16, "error|warning|notice|info|debug", "\"info\"", NULL,
     "The least important messages that are logged.", IN_CONFIG(log_level)},
    {"log", "target", SETTING_CHOICE, 1, 16, "auto|journal|stderr", "\"auto\"", NULL,
     "Where messages go; auto = to the journal when it reads stderr, else to stderr.", IN_CONFIG(log_target)},

    {"", "state_directory", SETTING_PATH, 1, 1024, NULL, "\"/var/lib/chwsyncd\"", NULL,
     "Where the flight journal is kept; the default is $STATE_DIRECTORY, which systemd sets.", IN_CONFIG(state_directory)},
    {"", "history_days", SETTING_INTEGER, 0, 36500, NULL, "400", NULL,
     "Days for which the history of finished orders is kept; 0 = for ever.", IN_CONFIG(history_days)},
};
/* clang-format on */
const size_t config_setting_count = COUNT_OF(config_settings);

/* "hold, prove" */
static void print_choices(const struct setting *setting, FILE *stream)
{
    for (const char *c = setting->choices; *c; c++) {
        if (*c == '|')
            fputs(", ", stream);
        else
            fputc(*c, stream);
    }
}

/* What its value must be, as a clause: "whole number, 1 to 3600". */
static void print_kind(const struct setting *setting, FILE *stream)
{
    switch (setting->type) {
    case SETTING_INTEGER:
        fprintf(stream, "whole number, %lld to %lld", setting->min, setting->max);
        return;
    case SETTING_CHOICE:
        fputs("one of ", stream);
        print_choices(setting, stream);
        return;
    case SETTING_AMOUNT:
        fputs("amount in quotes", stream);
        return;
    case SETTING_SQL_NAME:
        fputs("SQL name, with or without schema", stream);
        return;
    case SETTING_PATH:
        fputs("absolute path", stream);
        return;
    case SETTING_CHANNEL:
        fputs("a-z, 0-9 and _", stream);
        break;
    case SETTING_TEXT:
    case SETTING_DAY:
    case SETTING_URL:
    case SETTING_CONNINFO:
    case SETTING_LABEL:
        fputs("text", stream);
        break;
    }
    fprintf(stream, ", at most %lld bytes", setting->max);
}

/* As it stands in a file: the default, or the example of a required setting. */
static const char *shown_value(const struct setting *setting)
{
    if (!setting->fallback)
        return setting->example;
    return *setting->fallback ? setting->fallback : "\"\"";
}

/* A comment broken into lines of at most 96 columns. */
static void print_comment(const char *indent, const char *sentence, FILE *stream)
{
    size_t column = 0, width = 96 - strlen(indent) - 1;

    while (*sentence) {
        size_t word = strcspn(sentence, " ");

        if (column && column + 1 + word > width) {
            fputc('\n', stream);
            column = 0;
        }
        if (!column)
            column = (size_t)fprintf(stream, "%s#", indent) - strlen(indent);
        fprintf(stream, " %.*s", (int)word, sentence);
        column += 1 + word;
        sentence += word + strspn(sentence + word, " ");
    }
    fputc('\n', stream);
}

static void print_setting(const struct setting *setting, FILE *stream)
{
    const char *indent = *setting->group ? "    " : "";

    print_comment(indent, setting->help, stream);
    fprintf(stream, "%s# (%s", indent, setting->fallback ? "" : "required: ");
    print_kind(setting, stream);
    fprintf(stream, ")\n%s%s%s = %s;\n", indent, setting->fallback ? "#" : "", setting->name,
            shown_value(setting));
}

static void print_group_end(const char *group, FILE *stream)
{
    if (*group)
        fputs(strcmp(group, "providers") ? "};\n" : "} );\n", stream);
}

static void print_group_start(const char *group, FILE *stream)
{
    if (!strcmp(group, "providers"))
        fputs("# One group { } for each account, with a comma between two of them.\nproviders = ( "
              "{\n",
              stream);
    else if (*group)
        fprintf(stream, "%s = {\n", group);
}

void config_print_example(FILE *stream)
{
    const char *group = NULL;

    fputs(
        "# " CONFIG_DEFAULT_PATH " - the configuration of chwsyncd\n"
        "#\n"
        "# A setting behind a # is shown with its default: to change it, remove the # and the "
        "value.\n"
        "# Texts and amounts stand in quotes, whole numbers do not, times are seconds.\n"
        "# After a change:  chwsyncd check --config-only  tells every mistake with its line, and\n"
        "# systemctl reload chwsyncd  puts it in force. Keys and passwords never stand here.\n",
        stream);
    for (size_t i = 0; i < config_setting_count; i++) {
        const struct setting *setting = &config_settings[i];
        bool begins = !group || strcmp(group, setting->group) != 0;

        if (begins && group)
            print_group_end(group, stream);
        fputc('\n', stream);
        if (begins)
            print_group_start(setting->group, stream);
        group = setting->group;
        print_setting(setting, stream);
    }
    print_group_end(group, stream);
}

/*
 * Text for mdoc, to which a backslash means something, in lines of at most MDOC_COLUMNS and with
 * each sentence on a line of its own. No line of ours begins with a point.
 */
static void print_mdoc(const char *text, FILE *stream)
{
    size_t column = 0;
    char before = 0;

    while (*text) {
        size_t length = strcspn(text, " ");
        bool sentence_ended = before == '.';

        if (column && (column + 1 + length > MDOC_COLUMNS || sentence_ended))
            column = 0, fputc('\n', stream);
        else if (column)
            column++, fputc(' ', stream);
        for (size_t i = 0; i < length; i++)
            text[i] == '\\' ? fputs("\\e", stream) : fputc(text[i], stream);
        column += length;
        before = length ? text[length - 1] : 0;
        text += length + (text[length] == ' ');
    }
}

void config_print_manual(FILE *stream)
{
    for (size_t i = 0; i < config_setting_count; i++) {
        const struct setting *setting = &config_settings[i];

        fprintf(stream, ".It Ic %s%s%s\n", setting->group, *setting->group ? "." : "",
                setting->name);
        print_mdoc(setting->help, stream);
        fputs("\nValue: ", stream);
        print_kind(setting, stream);
        if (setting->fallback) {
            fputs(".\nDefault: ", stream);
            print_mdoc(shown_value(setting), stream);
            fputs(".\n", stream);
        } else {
            fputs(".\nRequired.\n", stream);
        }
    }
}
