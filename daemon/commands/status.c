#include "base/own.h"
#include "commands/commands.h"
#include "commands/output.h"
#include "commands/watch.h"
#include "store/comparisons.h"
#include "store/report.h"
#include "store/settle.h"
#include <stdlib.h>
#include <string.h>

#define WATCH_INTERVAL_S 2
enum { FAULTS_SHOWN = 3, PARKED_SHOWN = 5, BUSY_SHOWN = 3, TROUBLES_SHOWN = 5 };
#define STOPS_NAMED 20

/* Everything the ledger says, from one snapshot. */
struct status {
    const struct config *config; /* borrowed */
    int64_t now_s;
    PGresult *stops, *providers, *states, *queue, *write_backs, *write_back_faults, *contract,
        *busy, *parked, *troubles, *undecided, *presence; /* owned */
};

static void status_done(struct status *status)
{
    PQclear(status->stops);
    PQclear(status->providers);
    PQclear(status->states);
    PQclear(status->queue);
    PQclear(status->write_backs);
    PQclear(status->write_back_faults);
    PQclear(status->contract);
    PQclear(status->busy);
    PQclear(status->parked);
    PQclear(status->troubles);
    PQclear(status->undecided);
    PQclear(status->presence);
}

static enum session_verdict collect(struct session *session, struct status *status,
                                    struct problem *reterr_problem)
{
    enum session_verdict verdict = report_providers(session, &status->providers, reterr_problem);
    if (verdict == SESSION_DONE)
        verdict = resolve_stops(session, NULL, &status->stops, reterr_problem);
    if (verdict == SESSION_DONE)
        verdict = report_states(session, &status->states, reterr_problem);
    if (verdict == SESSION_DONE)
        verdict = report_queue(session, &status->queue, reterr_problem);
    if (verdict == SESSION_DONE)
        verdict = report_write_backs(session, &status->write_backs, reterr_problem);
    if (verdict == SESSION_DONE)
        verdict = report_write_back_faults(session, FAULTS_SHOWN, &status->write_back_faults,
                                           reterr_problem);
    if (verdict == SESSION_DONE)
        verdict = report_contract(session, &status->contract, reterr_problem);
    if (verdict == SESSION_DONE)
        verdict = report_busy(session, BUSY_SHOWN, &status->busy, reterr_problem);
    if (verdict == SESSION_DONE)
        verdict = report_parked(session, PARKED_SHOWN, &status->parked, reterr_problem);
    if (verdict == SESSION_DONE)
        verdict = report_errors(session, TROUBLES_SHOWN, &status->troubles, reterr_problem);
    if (verdict == SESSION_DONE)
        verdict = comparisons_undecided(session, &status->undecided, reterr_problem);
    if (verdict == SESSION_DONE)
        verdict = report_presence(session, &status->presence, reterr_problem);
    return verdict;
}

/* ---- providers ---- */

/* An account that is no longer in use is shown while anything of it is open. */
static bool is_shown(const PGresult *providers, int row)
{
    return PQgetvalue(providers, row, PROVIDER_IS_CURRENT)[0] == 't' ||
           row_integer(providers, row, PROVIDER_OPEN, 0) ||
           row_integer(providers, row, PROVIDER_UNDER_WAY, 0) ||
           row_integer(providers, row, PROVIDER_UNCERTAIN, 0);
}

static void add_used(struct table *table, const char *used, bool limited, unsigned limit)
{
    char text[48];
    if (limited)
        snprintf(text, sizeof text, "%s / %u", used, limit);
    else
        snprintf(text, sizeof text, "%s", used);
    table_add(table, text);
}

static void add_account(struct table *table, const struct status *status, int row)
{
    const PGresult *rows = status->providers;
    const char *name = PQgetvalue(rows, row, PROVIDER_NAME);
    bool is_current = PQgetvalue(rows, row, PROVIDER_IS_CURRENT)[0] == 't';
    const struct provider_config *configured =
        is_current ? config_provider(status->config, name) : NULL;
    char title[64];
    snprintf(title, sizeof title, "%s%s", name,
             is_current ? configured ? "" : " (not configured)" : " (former account)");
    table_add(table, title);
    table_add(table, is_current ? PQgetvalue(rows, row, PROVIDER_QUEUED) : "");
    table_add(table, PQgetvalue(rows, row, PROVIDER_UNDER_WAY));
    table_add(table, PQgetvalue(rows, row, PROVIDER_OPEN));
    table_add(table, PQgetvalue(rows, row, PROVIDER_UNCERTAIN));
    add_used(table, PQgetvalue(rows, row, PROVIDER_MINUTE),
             configured && configured->requests_per_minute,
             configured ? configured->requests_per_minute : 0);
    add_used(table, PQgetvalue(rows, row, PROVIDER_DAY), configured && configured->requests_per_day,
             configured ? configured->requests_per_day : 0);
}

static bool has_account(const PGresult *providers, const char *name)
{
    for (int row = 0; row < PQntuples(providers); row++)
        if (strcmp(PQgetvalue(providers, row, PROVIDER_NAME), name) == 0)
            return true;
    return false;
}

static const char *queued_for(const PGresult *queue, const char *provider)
{
    for (int row = 0; row < PQntuples(queue); row++)
        if (strcmp(PQgetvalue(queue, row, QUEUE_PROVIDER), provider) == 0)
            return PQgetvalue(queue, row, QUEUE_ORDERS);
    return "0";
}

/* One that has no account yet: configured and never used, or only named by the shop's lines. */
static void add_without_account(struct table *table, const struct status *status, const char *name,
                                const char *remark)
{
    char title[64];
    snprintf(title, sizeof title, "%.40s (%s)", name, remark);
    table_add(table, title);
    table_add(table, queued_for(status->queue, name));
    for (int column = 2; column < table->column_count; column++)
        table_add(table, "");
}

static void print_trouble_of(const struct status *status, int row)
{
    const PGresult *rows = status->providers;
    OWN(text_done) struct text text = {0};
    char when[RELATION_SIZE];
    const char *name = PQgetvalue(rows, row, PROVIDER_NAME),
               *reason = row_text(rows, row, PROVIDER_PAUSE_REASON);
    int64_t submits_s = row_integer(rows, row, PROVIDER_SUBMITS_PAUSED_UNTIL, 0),
            all_s = row_integer(rows, row, PROVIDER_ALL_PAUSED_UNTIL, 0);
    if (all_s > status->now_s) {
        output_until(all_s, status->now_s, when);
        text_format(&text, "%s: no request %s%s%s", name, when, reason ? ": " : "",
                    reason ? reason : "");
        output_field(stdout, "  ", 2, text_string(&text));
    } else if (submits_s > status->now_s) {
        output_until(submits_s, status->now_s, when);
        text_format(&text, "%s: no order is sent %s%s%s", name, when, reason ? ": " : "",
                    reason ? reason : "");
        output_field(stdout, "  ", 2, text_string(&text));
    }
    if (row_text(rows, row, PROVIDER_LAST_ERROR)) {
        output_relation(row_integer(rows, row, PROVIDER_LAST_ERROR_AT, 0), status->now_s, when);
        text_clear(&text);
        text_format(&text, "%s: last error %s: %s", name, when,
                    PQgetvalue(rows, row, PROVIDER_LAST_ERROR));
        output_field(stdout, "  ", 2, text_string(&text));
    }
}

/* "; limits as learned: 42 a minute, ..." while refusals for rate have left their mark. */
static void describe_learned(const struct status *status, int row, struct text *text)
{
    const PGresult *rows = status->providers;
    const struct provider_config *configured =
        config_provider(status->config, PQgetvalue(rows, row, PROVIDER_NAME));
    char when[RELATION_SIZE];
    if (configured &&
        (row_integer(rows, row, PROVIDER_LIMIT_MINUTE, 0) != configured->requests_per_minute ||
         row_integer(rows, row, PROVIDER_LIMIT_DAY, 0) != configured->requests_per_day))
        text_format(text, "; limits as learned: %s a minute, %s a day (0 = none)",
                    PQgetvalue(rows, row, PROVIDER_LIMIT_MINUTE),
                    PQgetvalue(rows, row, PROVIDER_LIMIT_DAY));
    if (row_text(rows, row, PROVIDER_TOLD_MINUTE) || row_text(rows, row, PROVIDER_TOLD_DAY))
        text_add(text, ", named by the provider");
    if (row_integer(rows, row, PROVIDER_BURST, 0) <
        row_integer(rows, row, PROVIDER_CONFIGURED_BURST, 0))
        text_format(text, "; at most %s at once, as learned",
                    PQgetvalue(rows, row, PROVIDER_BURST));
    if (row_integer(rows, row, PROVIDER_RATE_REFUSALS, 0) > 0) {
        output_relation(row_integer(rows, row, PROVIDER_RATE_REFUSED_AT, 0), status->now_s, when);
        text_format(text, "; refused for rate %s times, last %s",
                    PQgetvalue(rows, row, PROVIDER_RATE_REFUSALS), when);
    }
    if (PQgetvalue(rows, row, PROVIDER_PROBING)[0] == 't')
        text_add(text, "; one request goes alone to see whether that is over");
}

/* "at most 58.8 a minute; today 1200 left, of which 625 are kept for a burst; ..." */
static void describe_budget(const struct status *status, int row, struct text *text)
{
    const PGresult *rows = status->providers;
    const char *name = PQgetvalue(rows, row, PROVIDER_NAME);
    char when[RELATION_SIZE];
    text_format(text, "%s: ", name);
    if (row_integer(rows, row, PROVIDER_LIMIT_MINUTE, 0) > 0)
        text_format(text, "at most %s requests a minute", PQgetvalue(rows, row, PROVIDER_PACE));
    else
        text_add(text, "no limit for a minute");
    if (row_text(rows, row, PROVIDER_LEFT_DAY)) {
        text_format(text, ", %s left of the day", PQgetvalue(rows, row, PROVIDER_LEFT_DAY));
        if (row_text(rows, row, PROVIDER_DAY_ENDS_AT)) {
            output_relation(row_integer(rows, row, PROVIDER_DAY_ENDS_AT, 0), status->now_s, when);
            text_format(text, " that ends %s", when);
        }
        text_format(text, ", %s kept for a burst", PQgetvalue(rows, row, PROVIDER_RESERVE));
    }
    text_format(text, "; %s polls a minute", PQgetvalue(rows, row, PROVIDER_POLLS_PER_MINUTE));
    if (strtod(PQgetvalue(rows, row, PROVIDER_MEASURED_DELAY_S), NULL) > 0)
        text_format(text, ", ends are known after %s s (planned %s s)",
                    PQgetvalue(rows, row, PROVIDER_MEASURED_DELAY_S),
                    PQgetvalue(rows, row, PROVIDER_PLANNED_DELAY_S));
    if (row_integer(rows, row, PROVIDER_QUEUED, 0) > 0 &&
        row_integer(rows, row, PROVIDER_QUEUE_ENDS_AT, 0) > status->now_s) {
        output_relation(row_integer(rows, row, PROVIDER_QUEUE_ENDS_AT, 0), status->now_s, when);
        text_format(text, "; the queue ends %s", when);
    }
    describe_learned(status, row, text);
}

static void print_budget_of(const struct status *status, int row)
{
    OWN(text_done) struct text text = {0};
    if (!row_text(status->providers, row, PROVIDER_PACE))
        return; /* the daemon has not kept it yet */
    describe_budget(status, row, &text);
    output_field(stdout, "  ", 2, text_string(&text));
}

/* Providers whose key or URL was changed, and nobody knows yet what that means. */
static void print_undecided(const struct status *status)
{
    const PGresult *rows = status->undecided;
    for (int row = 0; row < PQntuples(rows); row++) {
        OWN(text_done) struct text text = {0};
        const char *name = PQgetvalue(rows, row, UNDECIDED_PROVIDER),
                   *evidence = row_text(rows, row, UNDECIDED_EVIDENCE);
        if (!config_provider(status->config, name))
            continue;
        text_format(
            &text,
            "%s: no order is sent: its key or url was changed, and its open orders of "
            "before, %s in all, may be another account's (%s). Put the old key back, or: chwsyncd "
            "resolve --account %s --same|--new",
            name, PQgetvalue(rows, row, UNDECIDED_OPEN_ORDERS),
            evidence ? evidence : "the provider was not asked yet", name);
        output_field(stdout, "  ", 2, text_string(&text));
    }
}

/* "panel: balance 12.50 USD, told 3 min ago (08:30:01), 10.20 of it not spoken for" */
static void print_money_of(const struct status *status, int row)
{
    const PGresult *rows = status->providers;
    OWN(text_done) struct text text = {0};
    char when[RELATION_SIZE];
    const char *amount = row_text(rows, row, PROVIDER_BALANCE);
    int64_t held = row_integer(rows, row, PROVIDER_HELD_FOR_FUNDS, 0);
    if (!amount)
        return; /* never told */
    output_relation(row_integer(rows, row, PROVIDER_BALANCE_AT, 0), status->now_s, when);
    text_format(&text, "%s: balance %s%s%s, told %s", PQgetvalue(rows, row, PROVIDER_NAME), amount,
                row_text(rows, row, PROVIDER_CURRENCY) ? " " : "",
                PQgetvalue(rows, row, PROVIDER_CURRENCY), when);
    if (strcmp(amount, PQgetvalue(rows, row, PROVIDER_AVAILABLE)) != 0)
        text_format(&text, ", %s of it not spoken for", PQgetvalue(rows, row, PROVIDER_AVAILABLE));
    if (PQgetvalue(rows, row, PROVIDER_BALANCE_IS_LOW)[0] == 't')
        text_add(&text, "; LOW: add funds");
    if (row_text(rows, row, PROVIDER_OUT_OF_FUNDS_SINCE_AT)) {
        output_relation(row_integer(rows, row, PROVIDER_OUT_OF_FUNDS_SINCE_AT, 0), status->now_s,
                        when);
        text_format(&text, "; out of funds, first seen %s", when);
    }
    if (held > 0)
        text_format(&text, "; order lines that wait for money: %lld", (long long)held);
    output_field(stdout, "  ", 2, text_string(&text));
}

static void print_providers(const struct status *status)
{
    static const struct table_column columns[] = {
        {"Provider", false, true}, {"Queued", true, false},    {"Under way", true, false},
        {"Open", true, false},     {"Uncertain", true, false}, {"Last minute", true, false},
        {"Last day", true, false}};
    struct table table = {.columns = columns, .column_count = COUNT_OF(columns)};
    for (int row = 0; row < PQntuples(status->providers); row++)
        if (is_shown(status->providers, row))
            add_account(&table, status, row);
    for (size_t i = 0; i < status->config->provider_count; i++)
        if (!has_account(status->providers, status->config->providers[i].name))
            add_without_account(&table, status, status->config->providers[i].name, "never used");
    for (int row = 0; row < PQntuples(status->queue); row++) {
        const char *name = PQgetvalue(status->queue, row, QUEUE_PROVIDER);
        if (!has_account(status->providers, name) && !config_provider(status->config, name))
            add_without_account(&table, status, name, "not configured");
    }
    table_print(&table, 0, stdout);
    table_done(&table);
    for (int row = 0; row < PQntuples(status->providers); row++)
        if (is_shown(status->providers, row)) {
            print_budget_of(status, row);
            print_money_of(status, row);
            print_trouble_of(status, row);
        }
    print_undecided(status);
}

/* Purchases that the database had lost: no order is sent until somebody has looked at each. */
static void print_stops_of(const PGresult *rows, int from, int to)
{
    const char *provider = PQgetvalue(rows, from, STOP_PROVIDER);
    OWN(text_done) struct text text = {0};
    text_format(&text, "%s: no order is sent, the database had lost purchases: ", provider);
    for (int row = from; row < to && row < from + STOPS_NAMED; row++)
        text_format(&text, "%s%s (%s)", row > from ? ", " : "",
                    PQgetvalue(rows, row, STOP_ORDER_REF), PQgetvalue(rows, row, STOP_STATE));
    if (to - from > STOPS_NAMED)
        text_format(&text, " and %d more", to - from - STOPS_NAMED);
    text_format(&text, ". When each is as it should be: chwsyncd resolve --release %s", provider);
    output_field(stdout, "  ", 2, text_string(&text));
}

static void print_stops(const struct status *status)
{
    const PGresult *rows = status->stops;
    int from = 0;
    for (int row = 1; row <= PQntuples(rows); row++) {
        if (row < PQntuples(rows) && strcmp(PQgetvalue(rows, row, STOP_PROVIDER),
                                            PQgetvalue(rows, from, STOP_PROVIDER)) == 0)
            continue;
        print_stops_of(rows, from, row);
        from = row;
    }
}

/* ---- orders ---- */

static void print_states(const struct status *status)
{
    const PGresult *rows = status->states;
    puts("\nOrders");
    if (PQntuples(rows) == 0)
        puts("  none yet");
    for (int row = 0; row < PQntuples(rows); row++) {
        const char *state = PQgetvalue(rows, row, STATE_NAME);
        char oldest[DURATION_SIZE];
        bool waits = strcmp(state, "queued") == 0 || strcmp(state, "submitting") == 0 ||
                     strcmp(state, "active") == 0 || strcmp(state, "uncertain") == 0;
        output_duration(status->now_s - row_integer(rows, row, STATE_OLDEST_AT, 0), oldest);
        printf("  %-10s %10s%s%s\n", state, PQgetvalue(rows, row, STATE_ORDERS),
               waits ? "   oldest " : "", waits ? oldest : "");
    }
}

static void print_troubles(const struct status *status)
{
    static const struct table_column columns[] = {{"Order", false, true},
                                                  {"State", false, false},
                                                  {"When", true, false},
                                                  {"What is in the way", false, true}};
    struct table table = {.columns = columns, .column_count = COUNT_OF(columns)};
    const PGresult *rows = status->troubles;
    for (int row = 0; row < PQntuples(rows); row++) {
        char ago[DURATION_SIZE];
        output_duration(status->now_s - row_integer(rows, row, TROUBLE_AT, 0), ago);
        table_add(&table, row_text(rows, row, TROUBLE_REF));
        table_add(&table, row_text(rows, row, TROUBLE_STATE));
        table_add(&table, ago);
        table_add(&table, row_text(rows, row, TROUBLE_TEXT));
    }
    if (PQntuples(rows)) {
        puts("\nLast errors");
        table_print(&table, 2, stdout);
    }
    table_done(&table);
}

/* ---- the shop's side ---- */

static void print_write_backs(const struct status *status)
{
    const PGresult *rows = status->write_backs, *faults = status->write_back_faults;
    char oldest[DURATION_SIZE], due[RELATION_SIZE];
    output_duration(status->now_s - row_integer(rows, 0, WRITE_BACK_OLDEST_AT, 0), oldest);
    if (row_integer(rows, 0, WRITE_BACK_WAITING, 0) == 0)
        puts("  told everything");
    else
        printf("  write-backs waiting %s, failing %s, the oldest for %s\n",
               PQgetvalue(rows, 0, WRITE_BACK_WAITING), PQgetvalue(rows, 0, WRITE_BACK_FAILING),
               oldest);
    for (int row = 0; row < PQntuples(faults); row++) {
        OWN(text_done) struct text text = {0};
        output_relation(row_integer(faults, row, WRITE_BACK_FAULT_DUE_AT, 0), status->now_s, due);
        text_format(&text, "%s: %s (%s), again %s", PQgetvalue(faults, row, WRITE_BACK_FAULT_REF),
                    row_text(faults, row, WRITE_BACK_FAULT_ERROR)
                        ? row_text(faults, row, WRITE_BACK_FAULT_ERROR)
                        : "no answer",
                    PQgetvalue(faults, row, WRITE_BACK_FAULT_SQLSTATE), due);
        output_field(stdout, "    ", 4, text_string(&text));
    }
}

static void print_contract(const struct status *status)
{
    const PGresult *rows = status->contract;
    for (int row = 0; row < PQntuples(rows); row++) {
        OWN(text_done) struct text text = {0};
        char since[DURATION_SIZE];
        output_duration(status->now_s - row_integer(rows, row, CONTRACT_FAULT_SINCE_AT, 0), since);
        text_format(&text, "%s%s, for %s",
                    row_text(rows, row, CONTRACT_FAULT_STOPS_INTAKE)[0] == 't'
                        ? "no new line is taken: "
                        : "",
                    row_text(rows, row, CONTRACT_FAULT_SENTENCE), since);
        output_field(stdout, "  ", 4, text_string(&text));
        if (row_text(rows, row, CONTRACT_FAULT_REMEDY) &&
            row_text(rows, row, CONTRACT_FAULT_REMEDY)[0])
            output_field(stdout, "    ", 4, row_text(rows, row, CONTRACT_FAULT_REMEDY));
    }
}

static void print_busy(const struct status *status)
{
    const PGresult *rows = status->busy;
    if (PQntuples(rows) == 0)
        return;
    printf("  lines for which the shop's function answers NULL: %s\n",
           PQgetvalue(rows, 0, BUSY_IN_ALL));
    for (int row = 0; row < PQntuples(rows); row++) {
        OWN(text_done) struct text text = {0};
        char since[DURATION_SIZE], next[RELATION_SIZE];
        output_duration(status->now_s - row_integer(rows, row, BUSY_SINCE_AT, 0), since);
        output_relation(row_integer(rows, row, BUSY_NEXT_AT, 0), status->now_s, next);
        text_format(&text, "%s: %s times, for %s, again %s", row_text(rows, row, BUSY_REF),
                    row_text(rows, row, BUSY_TIMES), since, next);
        output_field(stdout, "    ", 4, text_string(&text));
    }
}

static void print_parked(const struct status *status)
{
    const PGresult *rows = status->parked;
    if (PQntuples(rows) == 0)
        return;
    printf("  parked lines of the view: %s\n", PQgetvalue(rows, 0, PARKED_IN_ALL));
    for (int row = 0; row < PQntuples(rows); row++) {
        OWN(text_done) struct text text = {0};
        char since[DURATION_SIZE];
        output_duration(status->now_s - row_integer(rows, row, PARKED_SINCE_AT, 0), since);
        text_format(&text, "%s: %s, for %s", PQgetvalue(rows, row, PARKED_REF),
                    PQgetvalue(rows, row, PARKED_REASON), since);
        output_field(stdout, "    ", 4, text_string(&text));
    }
}

/* Each daemon looks once a minute, and keeps that with the next look (report_presence). */
#define ABSENT_AFTER_S 180

static void print_absence(const struct status *status)
{
    int64_t seen_s = row_integer(status->presence, 0, 0, INT64_MAX);
    OWN(text_done) struct text text = {0};
    char when[RELATION_SIZE];
    if (seen_s >= status->now_s - ABSENT_AFTER_S)
        return;
    output_relation(seen_s, status->now_s, when);
    text_format(&text,
                "No daemon is at work here, the last one was %s: see 'systemctl status chwsyncd'.",
                when);
    output_field(stdout, "", 2, text_string(&text));
    puts("");
}

static void print_status(const struct status *status)
{
    print_absence(status);
    print_providers(status);
    print_stops(status);
    print_states(status);
    puts("\nShop");
    print_contract(status);
    print_write_backs(status);
    print_busy(status);
    print_parked(status);
    print_troubles(status);
}

/* The limits of the configuration beside what was used. */
static struct json_object *providers_json(const struct status *status)
{
    struct json_object *array = output_rows_json(status->providers);
    for (int row = 0; row < PQntuples(status->providers); row++) {
        const struct provider_config *configured =
            config_provider(status->config, PQgetvalue(status->providers, row, PROVIDER_NAME));
        struct json_object *object = json_object_array_get_idx(array, (size_t)row);
        json_object_object_add(object, "requests_per_minute",
                               configured ? json_object_new_int64(configured->requests_per_minute)
                                          : NULL);
        json_object_object_add(object, "requests_per_day",
                               configured ? json_object_new_int64(configured->requests_per_day)
                                          : NULL);
    }
    return array;
}

static void print_status_json(const struct status *status)
{
    struct json_object *object = json_object_new_object();
    json_object_object_add(object, "daemon", output_row_json(status->presence, 0));
    json_object_object_add(object, "providers", providers_json(status));
    json_object_object_add(object, "undecided_accounts", output_rows_json(status->undecided));
    json_object_object_add(object, "states", output_rows_json(status->states));
    json_object_object_add(object, "queue", output_rows_json(status->queue));
    json_object_object_add(object, "write_backs", output_row_json(status->write_backs, 0));
    json_object_object_add(object, "write_back_faults",
                           output_rows_json(status->write_back_faults));
    json_object_object_add(object, "submit_stops", output_rows_json(status->stops));
    json_object_object_add(object, "contract_faults", output_rows_json(status->contract));
    json_object_object_add(object, "busy_lines", output_rows_json(status->busy));
    json_object_object_add(object, "parked_lines", output_rows_json(status->parked));
    json_object_object_add(object, "last_errors", output_rows_json(status->troubles));
    output_json(stdout, object);
}

static enum exit_code look(const struct arguments *arguments)
{
    OWN(command_config_freep) struct config *config = NULL;
    OWN(session_freep) struct session *session = NULL;
    OWN(status_done) struct status status = {0};
    struct problem problem = {0};
    enum exit_code code = command_open_report(arguments, &config, &session, &status.now_s);
    if (code != EXIT_DONE)
        return code;
    status.config = config;
    enum session_verdict verdict = collect(session, &status, &problem);
    if (verdict != SESSION_DONE) {
        command_complain(&problem);
        return command_exit_code(session, verdict);
    }
    if (arguments->json)
        print_status_json(&status);
    else
        print_status(&status);
    return EXIT_DONE;
}

/* A frame of --watch: a database that is away is shown in it, and looked for again with the next
 * one. */
static void draw(void *userdata)
{
    FILE *shown = stderr;

    stderr = stdout;
    (void)look(userdata);
    stderr = shown;
}

enum exit_code command_status(const struct arguments *arguments)
{
    struct arguments plain = *arguments;

    if (!arguments->watch || arguments->json)
        return look(arguments);
    return watch_run("chwsyncd status", WATCH_INTERVAL_S, draw, &plain) == 0 ? EXIT_DONE
                                                                             : EXIT_FINDING;
}
