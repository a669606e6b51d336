#include "store/metrics.h"
#include "base/own.h"
#include "base/text.h"
#include "commands/commands.h"
#include "commands/http.h"
#include "host/clock.h"
#include "store/report.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Every metric there is; documented in chwsyncd(8), which a test compares with this table. */
static const struct family {
    const char *name; /* without chwsyncd_ */
    const char *type, *first, *second;
    const char *help;
} families[] = {
    {"build", "info", "version", NULL, "The version of the program that answers."},
    {"database_up", "gauge", NULL, NULL, "1 when the ledger could be read, else 0."},
    {"scrape_duration_seconds", "gauge", NULL, NULL, "How long this answer took to collect."},
    {"orders", "gauge", "state", NULL,
     "Order lines in the ledger; final states are estimated above 500,000 lines."},
    {"oldest_order_age_seconds", "gauge", "state", NULL,
     "Age of the oldest order line in a state that waits for something."},
    {"orders_ended_last_day", "gauge", "state", NULL,
     "Order lines that came to this end in the last 24 hours."},
    {"uncertain_charge_limit", "gauge", "provider", NULL,
     "The most that the uncertain order lines may have cost, as far as the shop gave a limit."},
    {"uncertain_expected_charge", "gauge", "provider", NULL,
     "What the uncertain order lines were expected to cost, by the catalogue."},
    {"bought_delay_seconds", "summary", "since", "quantile",
     "From payment, and from being taken, to the provider's acceptance; the newest 1000 lines."},
    {"last_bought_timestamp_seconds", "gauge", NULL, NULL,
     "When an order was last accepted by a provider."},
    {"write_backs", "gauge", "state", NULL, "Order lines whose result the shop was not told yet."},
    {"oldest_write_back_age_seconds", "gauge", "of", NULL,
     "For how long the shop was not told: of any change, and of a final status."},
    {"parked_lines", "gauge", NULL, NULL, "Lines of the shop's view that cannot be taken."},
    {"provider_up", "gauge", "provider", NULL, "0 while the provider's account is paused."},
    {"provider_paused", "gauge", "provider", "what",
     "1 while nothing is submitted, or nothing at all is asked."},
    {"provider_worked_on", "gauge", "provider", NULL,
     "1 while a daemon works for the account, or looks after it without having work."},
    {"submit_stops", "gauge", "provider", NULL,
     "Lost attempts that keep submits stopped until somebody releases them."},
    {"surplus_purchases", "gauge", "provider", NULL, "Orders that were bought twice, ever."},
    {"provider_last_used_timestamp_seconds", "gauge", "provider", NULL,
     "When the account was last opened."},
    {"provider_last_error_timestamp_seconds", "gauge", "provider", NULL,
     "When the provider last gave an error that was noted."},
    {"provider_balance", "gauge", "provider", NULL, "The balance, in the provider's currency."},
    {"provider_available", "gauge", "provider", NULL,
     "What of the balance is not spoken for: less the expected charges of orders that it cannot "
     "have included."},
    {"provider_balance_age_seconds", "gauge", "provider", NULL,
     "How long ago the provider was asked for the balance."},
    {"provider_balance_low", "gauge", "provider", NULL,
     "1 while the balance is below low_balance."},
    {"provider_out_of_funds", "gauge", "provider", NULL, "1 while orders wait for money."},
    {"expected_charge_last_day", "gauge", "provider", NULL,
     "What the order lines that were sent in the last 24 hours were expected to cost, by the "
     "catalogue."},
    {"charge_last_day", "gauge", "provider", "currency",
     "What the provider says it charged for the order lines of the last 24 hours."},
    {"provider_orders", "gauge", "provider", "state", "Order lines of a provider by open state."},
    {"requests_limit", "gauge", "provider", "window",
     "Requests that the account allows; absent when unlimited."},
    {"requests_used", "gauge", "provider", "window", "Requests that were spent in the window."},
    {"requests_last_day", "gauge", "provider", "action",
     "Requests of the last 24 hours by what they were for."},
    {"requests", "counter", "provider", "action",
     "The daemon's requests by what they were for and what became of them, ever."},
    {"told_delay_seconds", "histogram", "le", NULL,
     "From an order's end in the ledger to the shop's having been told of it."},
    {"recent_attempts", "gauge", "provider", "outcome",
     "How the attempts of the newest 10,000 order lines ended."},
};

/* Label values and help texts, as OpenMetrics escapes them. */
static void add_escaped(struct text *text, const char *value)
{
    for (; *value; value++) {
        if (*value == '\n') {
            text_add(text, "\\n");
            continue;
        }
        if (*value == '\\' || *value == '"')
            text_add_char(text, '\\');
        text_add_char(text, *value);
    }
}

static void add_label(struct text *text, const char *name, const char *value, bool *any)
{
    if (!name || !value)
        return;
    text_format(text, "%s%s=\"", *any ? "," : "{", name);
    add_escaped(text, value);
    text_add(text, "\"");
    *any = true;
}

/* What stands behind the family's name in a sample's. */
static const char *suffix_of(const struct family *family, const char *part)
{
    if (strcmp(family->type, "info") == 0)
        return "_info";
    if (strcmp(family->type, "counter") == 0)
        return "_total";
    return !part                         ? ""
           : strcmp(part, "bucket") == 0 ? "_bucket"
           : strcmp(part, "count") == 0  ? "_count"
                                         : "_sum";
}

struct sample {
    const char *first, *second, *third, *part, *value;
};

static void add_sample(struct text *text, const struct family *family, struct sample sample)
{
    bool any = false;

    text_format(text, "chwsyncd_%s%s", family->name, suffix_of(family, sample.part));
    add_label(text, family->first, sample.first, &any);
    add_label(text, family->second, sample.second, &any);
    add_label(text, "outcome", sample.third, &any); /* only requests have a third one */
    text_format(text, "%s %s\n", any ? "}" : "", sample.value);
}

static const char *cell(const PGresult *rows, int row, enum metric_column column)
{
    return (int)column >= PQnfields(rows) || PQgetisnull(rows, row, (int)column)
               ? NULL
               : PQgetvalue(rows, row, (int)column);
}

static void add_rows(struct text *text, const struct family *family, const PGresult *rows)
{
    for (int row = 0; row < PQntuples(rows); row++)
        if (strcmp(cell(rows, row, METRIC_FAMILY), family->name) == 0)
            add_sample(text, family,
                       (struct sample){.first = cell(rows, row, METRIC_FIRST_LABEL),
                                       .second = cell(rows, row, METRIC_SECOND_LABEL),
                                       .third = cell(rows, row, METRIC_THIRD_LABEL),
                                       .part = cell(rows, row, METRIC_PART),
                                       .value = cell(rows, row, METRIC_VALUE)});
}

static void add_limits(struct text *text, const struct family *family, const struct config *config)
{
    char number[24];

    for (size_t i = 0; i < config->provider_count; i++) {
        const struct provider_config *provider = &config->providers[i];

        if (provider->requests_per_minute) {
            snprintf(number, sizeof number, "%u", provider->requests_per_minute);
            add_sample(
                text, family,
                (struct sample){.first = provider->name, .second = "minute", .value = number});
        }
        if (provider->requests_per_day) {
            snprintf(number, sizeof number, "%u", provider->requests_per_day);
            add_sample(text, family,
                       (struct sample){.first = provider->name, .second = "day", .value = number});
        }
    }
}

struct collection {
    struct config *config;
    PGresult *groups[METRIC_GROUPS]; /* NULL when the ledger could not be read */
    bool database_up;
    int64_t began_us;
};

static void collection_done(struct collection *collection)
{
    for (int i = 0; i < METRIC_GROUPS; i++)
        PQclear(collection->groups[i]);
    config_free(collection->config);
}

static void render(struct text *text, const struct collection *collection)
{
    char number[32];

    for (size_t i = 0; i < COUNT_OF(families); i++) {
        const struct family *family = &families[i];

        text_format(text, "# TYPE chwsyncd_%s %s\n# HELP chwsyncd_%s ", family->name, family->type,
                    family->name);
        add_escaped(text, family->help);
        text_add(text, "\n");
        if (strcmp(family->name, "build") == 0) {
            add_sample(text, family, (struct sample){.first = CHWSYNCD_VERSION, .value = "1"});
        } else if (strcmp(family->name, "database_up") == 0) {
            add_sample(text, family, (struct sample){.value = collection->database_up ? "1" : "0"});
        } else if (strcmp(family->name, "scrape_duration_seconds") == 0) {
            int64_t us = clock_monotonic_us() - collection->began_us;

            snprintf(number, sizeof number, "%" PRId64 ".%06" PRId64, us / US_PER_S, us % US_PER_S);
            add_sample(text, family, (struct sample){.value = number});
        } else if (strcmp(family->name, "requests_limit") == 0) {
            add_limits(text, family, collection->config);
        }
        for (int group = 0; group < METRIC_GROUPS; group++)
            add_rows(text, family, collection->groups[group]);
    }
    text_add(text, "# EOF\n");
}

static enum exit_code read_ledger(struct collection *collection)
{
    OWN(session_freep) struct session *session = NULL;
    const struct session_options options = {
        .conninfo = collection->config->conninfo, .connect_limit_s = 5, .time_limit_s = 5};
    struct problem problem = {0};
    enum session_verdict verdict = SESSION_LOST;
    int64_t now_s;

    if (session_open(&options, &session, &problem) == 0)
        verdict = report_begin(session, &now_s, &problem);
    for (int i = 0; i < METRIC_GROUPS && verdict == SESSION_DONE; i++)
        verdict = metrics_read(session, (enum metric_group)i, &collection->groups[i], &problem);
    collection->database_up = verdict == SESSION_DONE;
    if (collection->database_up)
        return EXIT_DONE;
    command_complain(&problem);
    return session ? command_exit_code(session, verdict) : EXIT_UNAVAILABLE;
}

/* A ledger that cannot be read is a measurement too: the text is whole, with chwsyncd_database_up
 * 0. */
enum exit_code command_metrics(const struct arguments *arguments)
{
    OWN(collection_done) struct collection collection = {.began_us = clock_monotonic_us()};
    OWN(text_done) struct text text = {0};
    enum exit_code code;

    if (arguments->http && !http_wants_metrics(stdin, stdout))
        return EXIT_DONE;
    code = command_load_config(arguments, &collection.config);
    if (code != EXIT_DONE) {
        if (arguments->http)
            http_answer(stdout, "500 Internal Server Error", "text/plain", "see the journal\n");
        return code;
    }
    code = read_ledger(&collection);
    render(&text, &collection);
    if (text.failed)
        return EXIT_FINDING;
    if (!arguments->http) {
        fputs(text_string(&text), stdout);
        return code;
    }
    http_answer(stdout, "200 OK", HTTP_METRICS_TYPE, text_string(&text));
    return EXIT_DONE;
}
