#include "base/own.h"
#include "commands/commands.h"
#include "commands/output.h"
#include "rules/order_state.h"
#include "store/report.h"
#include <stdlib.h>
#include <string.h>

enum { INDENT = 14, LIST_LIMIT = 20, ENTRIES_TOLD = 5, FURTHER_TOLD = 400 };

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

/* The list is of several providers' orders. */
static bool is_mixed(const PGresult *rows)
{
    for (int row = 1; row < PQntuples(rows); row++)
        if (strcmp(PQgetvalue(rows, row, LINE_PROVIDER), PQgetvalue(rows, 0, LINE_PROVIDER)) != 0)
            return true;
    return false;
}

/* Ids are a provider's own: in a list of several the name stands before it. */
static void add_id(struct table *table, const PGresult *rows, int row, bool mixed)
{
    const char *id = row_text(rows, row, LINE_PROVIDER_ORDER_ID);
    OWN(text_done) struct text text = {0};
    if (mixed) {
        text_format(&text, "%s%s%s", PQgetvalue(rows, row, LINE_PROVIDER), id ? " " : "",
                    id ? id : "");
        id = text_string(&text);
    }
    table_add(table, id);
}

static void print_list(const PGresult *rows, int64_t now_s, long limit)
{
    bool mixed = is_mixed(rows);
    const struct table_column columns[] = {
        {"Order", false, true},
        {"Status", false, false},
        {mixed ? "Provider and id" : "Provider's id", false, true},
        {"Service", false, true},
        {"Quantity", true, false},
        {"Charge", true, true},
        {"Age", true, false}};
    struct table table = {.columns = columns, .column_count = COUNT_OF(columns)};
    for (int row = 0; row < PQntuples(rows); row++) {
        char age[DURATION_SIZE];
        output_duration(now_s - row_integer(rows, row, LINE_CREATED_AT, 0), age);
        table_add(&table, row_text(rows, row, LINE_REF));
        table_add(&table, row_text(rows, row, LINE_STATUS));
        add_id(&table, rows, row, mixed);
        table_add(&table, row_text(rows, row, LINE_SERVICE));
        table_add(&table, row_text(rows, row, LINE_QUANTITY));
        table_add(&table, row_text(rows, row, LINE_CHARGE));
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
    struct report_filter filter = {.state = arguments->state,
                                   .provider = arguments->provider,
                                   .older_than_s = arguments->older_than_s,
                                   .newer_than_s = arguments->newer_than_s,
                                   .limit = limit};
    enum session_verdict verdict = report_orders(session, &filter, &rows, &problem);
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

struct story {
    PGresult *order, *attempts, *history; /* owned */
};

static void story_done(struct story *story)
{
    PQclear(story->order);
    PQclear(story->attempts);
    PQclear(story->history);
}

static void print_moment(const char *label, const PGresult *order, int column, int64_t now_s)
{
    char text[RELATION_SIZE];
    if (!row_text(order, 0, column))
        return;
    output_relation(row_integer(order, 0, column, 0), now_s, text);
    output_fact(label, text);
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
    output_fact(label, text_string(&text));
}

/* What has one entry a line: there may be thousands. */
static void print_entries(const char *label, const char *value)
{
    OWN(text_done) struct text rest = {0};
    size_t count = 0;
    for (const char *line = value; line && *line;) {
        size_t length = strcspn(line, "\r\n");
        OWN(text_done) struct text entry = {0};
        text_add_bytes(&entry, line, length);
        if (strspn(line, " \t\v\f") < length && ++count <= ENTRIES_TOLD)
            output_field(stdout, count == 1 ? label : "", INDENT, text_string(&entry));
        line += length + strspn(line + length, "\r\n");
    }
    text_format(&rest, "and %zu more; --json tells all of them", count - ENTRIES_TOLD);
    if (count > ENTRIES_TOLD)
        output_field(stdout, "", INDENT, text_string(&rest));
}

/* What the catalogue says of the service, where it was read. */
static void print_service(const PGresult *order)
{
    OWN(text_done) struct text text = {0};
    const char *name = row_text(order, 0, STORY_SERVICE_NAME),
               *type = row_text(order, 0, STORY_SERVICE_TYPE),
               *rate = row_text(order, 0, STORY_SERVICE_RATE);
    if (!name)
        return;
    text_format(&text, "%s (%s%s%s)", *name ? name : "without a name",
                type && *type ? type : "no type", rate ? ", rate " : "", rate ? rate : "");
    output_fact("", text_string(&text));
}

static void print_wanted(const PGresult *order, int64_t now_s)
{
    static const struct {
        const char *label;
        enum report_story column;
        void (*print)(const char *label, const char *value);
    } fields[] = {
        {"  provider", STORY_PROVIDER, output_fact},
        {"  service", STORY_SERVICE, output_fact},
        {"  link", STORY_LINK, output_fact},
        {"  quantity", STORY_QUANTITY, output_fact},
        {"  runs", STORY_RUNS, output_fact},
        {"  interval", STORY_INTERVAL, output_fact},
        {"  min", STORY_MIN, output_fact},
        {"  max", STORY_MAX, output_fact},
        {"  username", STORY_USERNAME, output_fact},
        {"  usernames", STORY_USERNAMES, print_entries},
        {"  hashtags", STORY_HASHTAGS, print_entries},
        {"  comments", STORY_COMMENTS, print_entries},
        {"  params", STORY_PARAMS, output_fact},
    };
    puts("\nWhat the shop wants");
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        fields[i].print(fields[i].label, row_text(order, 0, fields[i].column));
        if (fields[i].column == STORY_SERVICE)
            print_service(order);
    }
    print_moment("  ordered", order, STORY_SHOP_CREATED_AT, now_s);
    print_moment("  taken", order, STORY_CREATED_AT, now_s);
}

static void print_standing(const PGresult *order, int64_t now_s)
{
    puts("\nWhere it stands");
    print_pair("  status", row_text(order, 0, STORY_STATUS), "");
    output_fact("  because", row_text(order, 0, STORY_ERROR));
    output_fact("  order id", row_text(order, 0, STORY_PROVIDER_ORDER_ID));
    output_fact("  their word", row_text(order, 0, STORY_PROVIDER_STATUS));
    output_fact("  start count", row_text(order, 0, STORY_START_COUNT));
    output_fact("  remains", row_text(order, 0, STORY_REMAINS));
    output_fact("  attempts", row_text(order, 0, STORY_ATTEMPTS));
    print_moment("  accepted", order, STORY_ACCEPTED_AT, now_s);
    print_moment("  last asked", order, STORY_POLLED_AT, now_s);
    print_moment("  last moved", order, STORY_CHANGED_AT, now_s);
}

/* Amounts are PostgreSQL's; nothing is reckoned here. */
static void print_money(const PGresult *order)
{
    const char *charge = row_text(order, 0, STORY_CHARGE),
               *expected = row_text(order, 0, STORY_EXPECTED_CHARGE),
               *highest = row_text(order, 0, STORY_MAX_CHARGE),
               *difference = row_text(order, 0, STORY_DIFFERENCE),
               *currency = row_text(order, 0, STORY_CURRENCY);
    if (!charge && !expected && !highest)
        return;
    puts("\nMoney");
    print_pair("  expected", expected, currency);
    print_pair("  charge", charge, currency);
    if (difference && strspn(difference, "-0.") == strlen(difference))
        output_fact("  difference", "none");
    else
        print_pair("  difference", difference, currency);
    print_pair("  max charge", highest, currency);
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
    int64_t until_s = row_integer(order, 0, column, 0);
    const char *reason = row_text(order, 0, STORY_PAUSE_REASON);
    if (until_s <= now_s)
        return;
    output_until(until_s, now_s, until);
    text_format(text, "; but %s %s%s%s", what, until, reason ? ": " : "", reason ? reason : "");
}

/* Why a line that is due is not claimed (chwsync.queue.held). */
static const char *held_sentence(const char *held)
{
    static const struct {
        const char *word, *sentence;
    } sentences[] = {
        {"price", "when the price has fallen to its max charge"},
        {"limit", "when the price is within max_charge_per_order and max_spend_per_day"},
        {"spent", "when the provider's max_spend_per_day allows it"},
        {"funds", "when the balance reaches"},
        {"disabled", "when the provider offers the service"},
        {"identity",
         "when chwsyncd services --accept says that the service's id, which stands for another one "
         "now, is right"},
        {"link", "when no other order at the provider has its link"},
        {"unpriced", "when the catalogue names a price, or without a limit"},
    };
    for (size_t i = 0; i < COUNT_OF(sentences); i++)
        if (strcmp(sentences[i].word, held) == 0)
            return sentences[i].sentence;
    return held;
}

static bool is_true(const PGresult *order, enum report_story column)
{
    const char *value = row_text(order, 0, column);
    return value && value[0] == 't';
}

static void describe_queued(const PGresult *order, const struct config *config, int64_t now_s,
                            struct text *text)
{
    const char *provider = PQgetvalue(order, 0, STORY_PROVIDER),
               *held = row_text(order, 0, STORY_HELD);
    if (!config_provider(config, provider)) {
        text_format(text,
                    "It is sent when provider %s is configured, or when the view names another.",
                    provider);
        return;
    }
    if (held)
        text_format(text, "It is sent %s; looked at again", held_sentence(held));
    add_when(text, held ? "" : "It is sent", row_integer(order, 0, STORY_NEXT_ATTEMPT_AT, 0),
             now_s);
    if (is_true(order, STORY_ACCOUNT_UNDECIDED))
        text_format(text,
                    "; but nothing is sent to this provider until it is decided whose account its "
                    "key is: chwsyncd resolve --account %s",
                    provider);
    if (row_integer(order, 0, STORY_STOPS, 0) > 0)
        text_format(text,
                    "; but nothing is sent to this provider until %s lost attempts are looked at: "
                    "chwsyncd status",
                    PQgetvalue(order, 0, STORY_STOPS));
    add_pause(text, order, STORY_SUBMITS_PAUSED_UNTIL, "nothing is sent to this provider", now_s);
    add_pause(text, order, STORY_ALL_PAUSED_UNTIL, "this provider gets no request", now_s);
}

static void describe_uncertain(const PGresult *order, int64_t now_s, struct text *text)
{
    text_add(text, "It is not sent again by itself, because it may exist at the provider. Look "
                   "there for the link and compare, then: chwsyncd resolve.");
    if (row_text(order, 0, STORY_NEXT_LOOK_AT))
        add_when(text, " The daemon looks for it again",
                 row_integer(order, 0, STORY_NEXT_LOOK_AT, 0), now_s);
}

static void describe_followed(const PGresult *order, int64_t now_s, struct text *text)
{
    if (!row_text(order, 0, STORY_NEXT_POLL_AT)) {
        text_add(text, "It has ended.");
        if (row_text(order, 0, STORY_NEXT_RECHECK_AT))
            add_when(text, " Whether the provider changed its mind is looked at",
                     row_integer(order, 0, STORY_NEXT_RECHECK_AT, 0), now_s);
        return;
    }
    if (is_true(order, STORY_ACCOUNT_IS_FORMER)) {
        text_format(text,
                    "Nobody asks about it: it was bought with another key than the provider has "
                    "now. Put that key back, or: chwsyncd resolve --account %s",
                    PQgetvalue(order, 0, STORY_PROVIDER));
        return;
    }
    add_when(text, "The provider is asked about it", row_integer(order, 0, STORY_NEXT_POLL_AT, 0),
             now_s);
    add_pause(text, order, STORY_ALL_PAUSED_UNTIL, "this provider gets no request", now_s);
}

/* The next step towards the provider, in one sentence. */
static void describe_next(const PGresult *order, const struct config *config, int64_t now_s,
                          struct text *text)
{
    enum order_state state;
    if (!order_state_parse(PQgetvalue(order, 0, STORY_STATE), &state))
        return;
    switch (state) {
    case ORDER_QUEUED:
        describe_queued(order, config, now_s, text);
        break;
    case ORDER_SUBMITTING:
        text_add(
            text,
            "The provider's answer is awaited. Should it be lost, the order becomes uncertain.");
        break;
    case ORDER_UNCERTAIN:
        describe_uncertain(order, now_s, text);
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
        describe_followed(order, now_s, text);
        break;
    }
}

static void print_refill(const PGresult *order, int64_t now_s)
{
    OWN(text_done) struct text text = {0};
    if (!row_text(order, 0, STORY_REFILL))
        return;
    text_format(&text, "Refill: %s", PQgetvalue(order, 0, STORY_REFILL));
    if (row_integer(order, 0, STORY_REFILL_LOOK_AT, 0) > now_s)
        add_when(&text, "; the provider is asked", row_integer(order, 0, STORY_REFILL_LOOK_AT, 0),
                 now_s);
    output_field(stdout, "  ", 2, text_string(&text));
}

static void print_next(const PGresult *order, const struct config *config, int64_t now_s)
{
    OWN(text_done) struct text text = {0}, shop = {0};
    describe_next(order, config, now_s, &text);
    puts("\nWhat happens next");
    output_field(stdout, "  ", 2, text_string(&text));
    print_refill(order, now_s);
    if (!row_text(order, 0, STORY_NEXT_WRITE_BACK_AT))
        return;
    add_when(&shop, "The shop is told", row_integer(order, 0, STORY_NEXT_WRITE_BACK_AT, 0), now_s);
    if (row_text(order, 0, STORY_WRITE_BACK_ERROR))
        text_format(&shop, "; failures so far: %s, the last: %s (%s)",
                    PQgetvalue(order, 0, STORY_WRITE_BACK_FAILURES),
                    PQgetvalue(order, 0, STORY_WRITE_BACK_ERROR),
                    PQgetvalue(order, 0, STORY_WRITE_BACK_SQLSTATE));
    output_field(stdout, "  ", 2, text_string(&shop));
}

/* What we refuse ourselves, the provider never sees. */
static bool was_sent(const PGresult *attempts, int row)
{
    const char *outcome = row_text(attempts, row, ATTEMPT_OUTCOME),
               *http = row_text(attempts, row, ATTEMPT_HTTP_STATUS);
    return !outcome || strcmp(outcome, "refused") != 0 || (http && strcmp(http, "0") != 0);
}

static void add_cut(struct text *text, const char *value)
{
    size_t bytes = strlen(value), told = FURTHER_TOLD;
    if (bytes <= told) {
        text_add(text, value);
        return;
    }
    while (((unsigned char)value[told] & 0xC0) == 0x80)
        told--;
    text_add_bytes(text, value, told);
    text_format(text, "... (%zu bytes; --json tells all of them)", bytes);
}

/* What was asked for, as it was sent but for the key. */
static void describe_request(const PGresult *attempts, int row, struct text *text)
{
    static const struct {
        const char *name;
        enum report_attempt column;
    } sent[] = {{"service", ATTEMPT_SERVICE},
                {"link", ATTEMPT_LINK},
                {"quantity", ATTEMPT_QUANTITY},
                {"further", ATTEMPT_FURTHER}};
    const char *separator = "";
    text_add(text, was_sent(attempts, row) ? "asked for " : "not sent: ");
    for (size_t i = 0; i < COUNT_OF(sent); i++)
        if (row_text(attempts, row, sent[i].column)) {
            text_format(text, "%s%s ", separator, sent[i].name);
            add_cut(text, row_text(attempts, row, sent[i].column));
            separator = ", ";
        }
    if (row_text(attempts, row, ATTEMPT_ENDPOINT) && was_sent(attempts, row))
        text_format(text, " at %s", row_text(attempts, row, ATTEMPT_ENDPOINT));
    if (row_text(attempts, row, ATTEMPT_EXPECTED_CHARGE))
        text_format(text, "; expected charge %s", row_text(attempts, row, ATTEMPT_EXPECTED_CHARGE));
}

static void describe_reply(const PGresult *attempts, int row, struct text *text)
{
    const char *outcome = row_text(attempts, row, ATTEMPT_OUTCOME),
               *id = row_text(attempts, row, ATTEMPT_PROVIDER_ORDER_ID),
               *http = row_text(attempts, row, ATTEMPT_HTTP_STATUS),
               *found_by = row_text(attempts, row, ATTEMPT_FOUND_BY),
               *answer = row_text(attempts, row, ATTEMPT_ANSWER);
    text_add(text, !was_sent(attempts, row) ? "refused by ourselves"
                   : outcome                ? outcome
                                            : "no answer yet");
    if (row_text(attempts, row, ATTEMPT_TOOK_S))
        text_format(text, " after %s s", row_text(attempts, row, ATTEMPT_TOOK_S));
    if (id)
        text_format(text, ", order id %s", id);
    if (http && strcmp(http, "0") != 0)
        text_format(text, ", HTTP %s", http);
    if (found_by)
        text_format(text, ", %s",
                    strcmp(found_by, "proof") == 0 ? "by proof" : "by an operator's word");
    if (answer && answer[0])
        text_format(text, ": %s", answer);
}

static void print_attempts(const PGresult *attempts)
{
    if (PQntuples(attempts))
        puts("\nAttempts");
    for (int row = 0; row < PQntuples(attempts); row++) {
        OWN(text_done) struct text request = {0}, reply = {0};
        char when[MOMENT_SIZE], label[MOMENT_SIZE + 24];
        output_moment(row_integer(attempts, row, ATTEMPT_CLAIMED_AT, 0), when);
        snprintf(label, sizeof label, "  %s  %s", PQgetvalue(attempts, row, ATTEMPT_NUMBER), when);
        describe_request(attempts, row, &request);
        describe_reply(attempts, row, &reply);
        output_field(stdout, label, 26, text_string(&request));
        output_field(stdout, "", 26, text_string(&reply));
    }
}

static void print_history(const PGresult *history)
{
    puts("\nWhat happened");
    for (int row = 0; row < PQntuples(history); row++) {
        OWN(text_done) struct text text = {0};
        char when[MOMENT_SIZE], label[MOMENT_SIZE + 2];
        const char *attempt = row_text(history, row, HAPPENED_ATTEMPT),
                   *detail = row_text(history, row, HAPPENED_DETAIL);
        const char *id = row_text(history, row, HAPPENED_PROVIDER_ORDER_ID);
        output_moment(row_integer(history, row, HAPPENED_AT, 0), when);
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

static void print_story(const struct story *story, const struct config *config, int64_t now_s)
{
    const PGresult *order = story->order;
    OWN(text_done) struct text title = {0};
    text_format(&title, "Order %s", PQgetvalue(order, 0, STORY_REF));
    if (row_text(order, 0, STORY_DISPLAY_REF))
        text_format(&title, " (%s)", PQgetvalue(order, 0, STORY_DISPLAY_REF));
    text_format(&title, ": %s", PQgetvalue(order, 0, STORY_STATUS));
    output_field(stdout, "", 0, text_string(&title));
    print_wanted(order, now_s);
    print_standing(order, now_s);
    print_money(order);
    print_next(order, config, now_s);
    print_attempts(story->attempts);
    print_history(story->history);
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

static enum session_verdict read_story(struct session *session, const char *order_ref,
                                       struct story *story, struct problem *reterr_problem)
{
    enum session_verdict verdict = report_order(session, order_ref, &story->order, reterr_problem);
    if (verdict == SESSION_DONE)
        verdict = report_attempts(session, order_ref, &story->attempts, reterr_problem);
    if (verdict == SESSION_DONE)
        verdict = report_history(session, order_ref, &story->history, reterr_problem);
    return verdict;
}

static enum exit_code tell(const struct arguments *arguments, const struct config *config,
                           struct session *session, int64_t now_s)
{
    OWN(story_done) struct story story = {0};
    struct problem problem = {0};
    const char *order_ref = arguments->words[0];
    enum session_verdict verdict = read_story(session, order_ref, &story, &problem);
    if (verdict != SESSION_DONE) {
        command_complain(&problem);
        return command_exit_code(session, verdict);
    }
    if (PQntuples(story.order) == 0) {
        complain_unknown_order(session, order_ref);
        return EXIT_FINDING;
    }
    if (arguments->json) {
        struct json_object *object = output_row_json(story.order, 0);
        json_object_object_add(object, "attempt_list", output_rows_json(story.attempts));
        json_object_object_add(object, "history", output_rows_json(story.history));
        output_json(stdout, object);
    } else {
        print_story(&story, config, now_s);
    }
    return EXIT_DONE;
}

enum exit_code command_orders(const struct arguments *arguments)
{
    OWN(command_config_freep) struct config *config = NULL;
    OWN(session_freep) struct session *session = NULL;
    int64_t now_s = 0;
    if (arguments->state && !is_state(arguments->state)) {
        const char *names[ORDER_STATE_COUNT + 3];
        list_states(names);
        command_complain_unknown("state", arguments->state, names);
        fputs("    HINT: there are", stderr);
        for (size_t i = 0; names[i]; i++)
            fprintf(stderr, "%s %s", i ? "," : "", names[i]);
        fputc('\n', stderr);
        return EXIT_USAGE;
    }
    enum exit_code code = command_open_report(arguments, &config, &session, &now_s);
    if (code != EXIT_DONE)
        return code;
    return arguments->word_count ? tell(arguments, config, session, now_s)
                                 : list(arguments, session, now_s);
}
