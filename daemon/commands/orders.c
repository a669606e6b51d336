#include "base/own.h"
#include "commands/commands.h"
#include "commands/output.h"
#include "rules/order_state.h"
#include "store/report.h"
#include <stdlib.h>
#include <string.h>

enum { INDENT = 14, LIST_LIMIT = 20 };

static const char *cell(const PGresult *rows, int row, int column)
{
    return PQgetisnull(rows, row, column) ? NULL : PQgetvalue(rows, row, column);
}

static int64_t moment(const PGresult *rows, int row, int column)
{
    const char *value = cell(rows, row, column);
    return value ? strtoll(value, NULL, 10) : 0;
}

/* The words of the ledger and of the contract; NULL ends them. */
static void list_states(const char *ret_names[ORDER_STATE_COUNT + 3])
{
    size_t count = 0;
    for (int state = 0; state < ORDER_STATE_COUNT; state++)
        ret_names[count++] = order_state_name((enum order_state)state);
    ret_names[count++] = "pending";
    ret_names[count++] = "in_progress";
    ret_names[count] = NULL;
}

static bool is_state(const char *name)
{
    const char *names[ORDER_STATE_COUNT + 3];
    list_states(names);
    for (size_t i = 0; names[i]; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* ---- a list ---- */

static void print_list(const PGresult *rows, int64_t now_s, long limit)
{
    static const struct table_column columns[] = {
        {"Order", false, true},   {"Status", false, false},  {"Provider's id", false, true},
        {"Service", false, true}, {"Quantity", true, false}, {"Charge", true, true},
        {"Age", true, false}};
    struct table table = {.columns = columns, .column_count = COUNT_OF(columns)};
    for (int row = 0; row < PQntuples(rows); row++) {
        char age[DURATION_SIZE];
        output_duration(now_s - moment(rows, row, LINE_CREATED_AT), age);
        table_add(&table, cell(rows, row, LINE_REF));
        table_add(&table, cell(rows, row, LINE_STATUS));
        table_add(&table, cell(rows, row, LINE_PROVIDER_ORDER_ID));
        table_add(&table, cell(rows, row, LINE_SERVICE));
        table_add(&table, cell(rows, row, LINE_QUANTITY));
        table_add(&table, cell(rows, row, LINE_CHARGE));
        table_add(&table, age);
    }
    if (PQntuples(rows))
        table_print(&table, 0, stdout);
    else
        puts("No orders.");
    if (PQntuples(rows) == limit)
        printf("The newest %ld; --limit N shows more.\n", limit);
    table_done(&table);
}

static enum exit_code list(const struct arguments *arguments, struct session *session,
                           int64_t now_s)
{
    OWN(rows_freep) PGresult *rows = NULL;
    struct problem problem = {0};
    long limit = arguments->limit ? arguments->limit : LIST_LIMIT;
    enum session_verdict verdict = report_orders(session, arguments->state, limit, &rows, &problem);
    if (verdict != SESSION_DONE) {
        command_complain(&problem);
        return command_exit_code(session, verdict);
    }
    if (arguments->json)
        output_json(stdout, output_rows_json(rows));
    else
        print_list(rows, now_s, limit);
    return EXIT_DONE;
}

/* ---- one order's story ---- */

static void print_field(const char *label, const char *value)
{
    if (value && value[0])
        output_field(stdout, label, INDENT, value);
}

static void print_moment(const char *label, const PGresult *order, int column, int64_t now_s)
{
    char text[RELATION_SIZE];
    if (!cell(order, 0, column))
        return;
    output_relation(moment(order, 0, column), now_s, text);
    print_field(label, text);
}

/* An amount or count with what it is counted in. */
static void print_pair(const char *label, const char *value, const char *unit)
{
    OWN(text_done) struct text text = {0};
    if (!value)
        return;
    text_add(&text, value);
    if (unit && unit[0]) {
        text_add_char(&text, ' ');
        text_add(&text, unit);
    }
    print_field(label, text_string(&text));
}

static void print_wanted(const PGresult *order, int64_t now_s)
{
    static const struct {
        const char *label;
        enum report_story column;
    } fields[] = {
        {"  provider", STORY_PROVIDER}, {"  service", STORY_SERVICE},
        {"  link", STORY_LINK},         {"  quantity", STORY_QUANTITY},
        {"  runs", STORY_RUNS},         {"  interval", STORY_INTERVAL},
        {"  min", STORY_MIN},           {"  max", STORY_MAX},
        {"  username", STORY_USERNAME}, {"  usernames", STORY_USERNAMES},
        {"  hashtags", STORY_HASHTAGS}, {"  comments", STORY_COMMENTS},
        {"  params", STORY_PARAMS},     {"  max charge", STORY_MAX_CHARGE},
    };
    puts("\nWhat the shop wants");
    for (size_t i = 0; i < COUNT_OF(fields); i++)
        print_field(fields[i].label, cell(order, 0, fields[i].column));
    print_moment("  ordered", order, STORY_SHOP_CREATED_AT, now_s);
    print_moment("  taken", order, STORY_CREATED_AT, now_s);
}

static void print_standing(const PGresult *order, int64_t now_s)
{
    puts("\nWhere it stands");
    print_pair("  status", cell(order, 0, STORY_STATUS), "");
    print_field("  because", cell(order, 0, STORY_ERROR));
    print_field("  order id", cell(order, 0, STORY_PROVIDER_ORDER_ID));
    print_field("  their word", cell(order, 0, STORY_PROVIDER_STATUS));
    print_pair("  charge", cell(order, 0, STORY_CHARGE), cell(order, 0, STORY_CURRENCY));
    print_field("  start count", cell(order, 0, STORY_START_COUNT));
    print_field("  remains", cell(order, 0, STORY_REMAINS));
    print_field("  attempts", cell(order, 0, STORY_ATTEMPTS));
    print_moment("  accepted", order, STORY_ACCEPTED_AT, now_s);
    print_moment("  last asked", order, STORY_POLLED_AT, now_s);
    print_moment("  last moved", order, STORY_CHANGED_AT, now_s);
}

/* Adds "what", then when; "as soon as the daemon runs" for what is overdue. */
static void add_when(struct text *text, const char *what, int64_t at_s, int64_t now_s)
{
    char when[RELATION_SIZE];
    output_relation(at_s, now_s, when);
    text_add(text, what);
    text_add_char(text, ' ');
    text_add(text, at_s > now_s ? when : "now, as soon as the daemon gets to it");
}

static void add_pause(struct text *text, const PGresult *order, enum report_story column,
                      const char *what, int64_t now_s)
{
    char until[RELATION_SIZE];
    int64_t until_s = moment(order, 0, column);
    const char *reason = cell(order, 0, STORY_PAUSE_REASON);
    if (until_s <= now_s)
        return;
    output_until(until_s, now_s, until);
    text_format(text, "; but %s %s%s%s", what, until, reason ? ": " : "", reason ? reason : "");
}

/* The next step towards the provider, in one sentence. */
static void describe_next(const PGresult *order, int64_t now_s, struct text *text)
{
    enum order_state state;
    if (!order_state_parse(PQgetvalue(order, 0, STORY_STATE), &state))
        return;
    switch (state) {
    case ORDER_QUEUED:
        add_when(text, "It is sent", moment(order, 0, STORY_NEXT_ATTEMPT_AT), now_s);
        add_pause(text, order, STORY_SUBMITS_PAUSED_UNTIL, "nothing is sent to this provider",
                  now_s);
        add_pause(text, order, STORY_ALL_PAUSED_UNTIL, "this provider gets no request", now_s);
        break;
    case ORDER_SUBMITTING:
        text_add(
            text,
            "The provider's answer is awaited. Should it be lost, the order becomes uncertain.");
        break;
    case ORDER_UNCERTAIN:
        text_add(text, "It is not sent again by itself, because it may exist at the provider. Look "
                       "there for the "
                       "link and compare, then: chwsyncd resolve.");
        break;
    case ORDER_REJECTED:
        text_add(text, "It is not sent again by itself; chwsyncd retry does.");
        break;
    case ORDER_WITHDRAWN:
        text_add(text, "Nothing, unless the shop shows it again.");
        break;
    case ORDER_ABANDONED:
        text_add(text,
                 "Nothing: it is never bought again. A late proof that it was placed reopens it.");
        break;
    case ORDER_ACTIVE:
    case ORDER_COMPLETED:
    case ORDER_PARTIAL:
    case ORDER_CANCELED:
    case ORDER_REFUNDED:
    case ORDER_FAILED:
        if (cell(order, 0, STORY_NEXT_POLL_AT))
            add_when(text, "The provider is asked about it", moment(order, 0, STORY_NEXT_POLL_AT),
                     now_s);
        else
            text_add(text, "Nothing: it has ended.");
        add_pause(text, order, STORY_ALL_PAUSED_UNTIL, "this provider gets no request", now_s);
        break;
    }
}

static void print_next(const PGresult *order, int64_t now_s)
{
    OWN(text_done) struct text text = {0}, shop = {0};
    describe_next(order, now_s, &text);
    puts("\nWhat happens next");
    output_field(stdout, "  ", 2, text_string(&text));
    if (!cell(order, 0, STORY_NEXT_WRITE_BACK_AT))
        return;
    add_when(&shop, "The shop is told", moment(order, 0, STORY_NEXT_WRITE_BACK_AT), now_s);
    if (cell(order, 0, STORY_WRITE_BACK_ERROR))
        text_format(&shop, "; failures so far: %s, the last: %s (%s)",
                    PQgetvalue(order, 0, STORY_WRITE_BACK_FAILURES),
                    PQgetvalue(order, 0, STORY_WRITE_BACK_ERROR),
                    PQgetvalue(order, 0, STORY_WRITE_BACK_SQLSTATE));
    output_field(stdout, "  ", 2, text_string(&shop));
}

static void print_history(const PGresult *history)
{
    puts("\nWhat happened");
    for (int row = 0; row < PQntuples(history); row++) {
        OWN(text_done) struct text text = {0};
        char when[MOMENT_SIZE], label[MOMENT_SIZE + 2];
        const char *attempt = cell(history, row, HAPPENED_ATTEMPT),
                   *detail = cell(history, row, HAPPENED_DETAIL);
        const char *id = cell(history, row, HAPPENED_PROVIDER_ORDER_ID);
        output_moment(moment(history, row, HAPPENED_AT), when);
        snprintf(label, sizeof label, "  %s", when);
        text_add(&text, PQgetvalue(history, row, HAPPENED_EVENT));
        if (attempt)
            text_format(&text, " (attempt %s)", attempt);
        if (id)
            text_format(&text, ", order id %s", id);
        if (detail && detail[0])
            text_format(&text, ": %s", detail);
        output_field(stdout, label, 23, text_string(&text));
    }
}

static void print_story(const PGresult *order, const PGresult *history, int64_t now_s)
{
    OWN(text_done) struct text title = {0};
    text_format(&title, "Order %s", PQgetvalue(order, 0, STORY_REF));
    if (cell(order, 0, STORY_DISPLAY_REF))
        text_format(&title, " (%s)", PQgetvalue(order, 0, STORY_DISPLAY_REF));
    text_format(&title, ": %s", PQgetvalue(order, 0, STORY_STATUS));
    output_field(stdout, "", 0, text_string(&title));
    print_wanted(order, now_s);
    print_standing(order, now_s);
    print_next(order, now_s);
    print_history(history);
}

static void complain_unknown_order(struct session *session, const char *order_ref)
{
    OWN(rows_freep) PGresult *similar = NULL;
    OWN(text_done) struct text list = {0};
    char line[200];
    struct problem problem = {0};
    if (report_similar(session, order_ref, &similar, &problem) == SESSION_DONE)
        for (int row = 0; row < PQntuples(similar); row++) {
            text_one_line(line, sizeof line, PQgetvalue(similar, row, 0));
            text_format(&list, "%s%s", row ? ", " : "", line);
        }
    text_one_line(line, sizeof line, order_ref);
    problem_set(&problem, "no order %s in the ledger", line);
    if (list.length)
        problem_hint(&problem, "similar ones: %s", text_string(&list));
    else
        problem_hint(&problem, "the key is that of the order line, as the shop's view shows it");
    command_complain(&problem);
}

static enum exit_code tell(const struct arguments *arguments, struct session *session,
                           int64_t now_s)
{
    OWN(rows_freep) PGresult *order = NULL, *history = NULL;
    struct problem problem = {0};
    const char *order_ref = arguments->words[0];
    enum session_verdict verdict = report_order(session, order_ref, &order, &problem);
    if (verdict == SESSION_DONE)
        verdict = report_history(session, order_ref, &history, &problem);
    if (verdict != SESSION_DONE) {
        command_complain(&problem);
        return command_exit_code(session, verdict);
    }
    if (PQntuples(order) == 0) {
        complain_unknown_order(session, order_ref);
        return EXIT_FINDING;
    }
    if (arguments->json) {
        struct json_object *object = output_row_json(order, 0);
        json_object_object_add(object, "history", output_rows_json(history));
        output_json(stdout, object);
    } else {
        print_story(order, history, now_s);
    }
    return EXIT_DONE;
}

enum exit_code command_orders(const struct arguments *arguments)
{
    OWN(session_freep) struct session *session = NULL;
    int64_t now_s = 0;
    if (arguments->state && !is_state(arguments->state)) {
        const char *names[ORDER_STATE_COUNT + 3];
        list_states(names);
        command_complain_unknown("state", arguments->state, names);
        return EXIT_USAGE;
    }
    enum exit_code code = command_open_report(arguments, NULL, &session, &now_s);
    if (code != EXIT_DONE)
        return code;
    return arguments->word_count ? tell(arguments, session, now_s)
                                 : list(arguments, session, now_s);
}
