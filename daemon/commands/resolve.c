#include "base/own.h"
#include "commands/commands.h"
#include "commands/output.h"
#include "rules/order_state.h"
#include "store/comparisons.h"
#include "store/settle.h"
#include "wire/value.h"
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_S = 30, POLL_MS = 200 };

void command_name_operator(char *ret_name, size_t size)
{
    const struct passwd *user = getpwuid(getuid());
    const char *name = user ? user->pw_name : "somebody", *behind = getenv("SUDO_USER");
    char line[64];

    text_one_line(line, sizeof line, behind && behind[0] ? behind : name);
    if (behind && behind[0] && strcmp(behind, name) != 0)
        snprintf(ret_name, size, "%s (as %s)", line, name);
    else
        snprintf(ret_name, size, "%s", line);
}

static enum exit_code refuse(const char *order_ref, const char *sentence, const char *hint)
{
    struct problem problem = {0};
    char line[200];

    text_one_line(line, sizeof line, order_ref);
    problem_set(&problem, "order %s %s", line, sentence);
    problem_hint(&problem, "%s", hint);
    command_complain(&problem);
    return EXIT_FINDING;
}

/* Opens the ledger and reads the order, which must be there. The session is free to write then. */
static enum exit_code open_order(const struct arguments *arguments, struct config **ret_config,
                                 struct session **ret_session, PGresult **ret_facts)
{
    OWN(session_freep) struct session *session = NULL;
    OWN(rows_freep) PGresult *facts = NULL;
    struct problem problem = {0};
    int64_t now_s = 0;
    enum exit_code code = command_open_report(arguments, ret_config, &session, &now_s);
    enum session_verdict verdict;

    if (code != EXIT_DONE)
        return code;
    verdict = resolve_facts(session, arguments->words[0], &facts, &problem);
    session_rollback(session);
    if (verdict != SESSION_DONE) {
        command_complain(&problem);
        return command_exit_code(session, verdict);
    }
    if (PQntuples(facts) == 0)
        return refuse(arguments->words[0], "is not in the ledger",
                      "the key is that of the order line, as the shop's view shows it");
    *ret_session = GIVE(session);
    *ret_facts = GIVE(facts);
    return EXIT_DONE;
}

static enum order_state state_of(const PGresult *facts)
{
    enum order_state state = ORDER_QUEUED;

    (void)order_state_parse(row_text(facts, 0, RESOLVE_STATE), &state);
    return state;
}

/* ---- what is known ---- */

static void print_when(const char *label, const PGresult *facts, enum resolve_column column)
{
    char text[RELATION_SIZE];

    if (!row_text(facts, 0, column))
        return;
    output_relation(row_integer(facts, 0, column, 0), row_integer(facts, 0, RESOLVE_NOW_S, 0),
                    text);
    output_fact(label, text);
}

static void print_evidence(const char *order_ref, const PGresult *facts)
{
    const char *display_ref = row_text(facts, 0, RESOLVE_DISPLAY_REF);
    OWN(text_done) struct text title = {0};

    text_format(&title, "Order %s%s%s%s: %s", order_ref, display_ref ? " (" : "",
                display_ref ? display_ref : "", display_ref ? ")" : "",
                row_text(facts, 0, RESOLVE_STATE));
    output_field(stdout, "", 0, text_string(&title));
    output_fact("  provider", row_text(facts, 0, RESOLVE_PROVIDER));
    output_fact("  service", row_text(facts, 0, RESOLVE_SERVICE));
    output_fact("  link", row_text(facts, 0, RESOLVE_LINK));
    output_fact("  quantity", row_text(facts, 0, RESOLVE_QUANTITY));
    print_when("  claimed", facts, RESOLVE_CLAIMED_AT);
    print_when("  given up", facts, RESOLVE_ENDED_AT);
    output_fact("  answer", row_text(facts, 0, RESOLVE_ANSWER));
    output_fact("  evidence", row_text(facts, 0, RESOLVE_EVIDENCE)
                                  ? row_text(facts, 0, RESOLVE_EVIDENCE)
                                  : "none was collected yet");
    print_when("  next look", facts, RESOLVE_NEXT_LOOK_AT);
    fflush(stdout); /* before what may follow on stderr */
}

/* True when the operator says so, or said so with --yes. Without either it is not done. */
static bool is_sure(const struct arguments *arguments, const char *consequence)
{
    char line[16];

    if (arguments->yes)
        return true;
    output_field(stdout, "", 0, consequence);
    fflush(stdout);
    if (!isatty(STDIN_FILENO)) {
        fprintf(stderr, "chwsyncd: nothing was done: this is no terminal\n"
                        "    HINT: --yes, when you are sure\n");
        return false;
    }
    fputs("Type yes to go on: ", stdout);
    fflush(stdout);
    if (fgets(line, sizeof line, stdin) && strcmp(line, "yes\n") == 0)
        return true;
    puts("Nothing was done.");
    return false;
}

/* ---- --release ---- */

static enum exit_code check_release_words(const struct arguments *arguments)
{
    if (arguments->word_count == 0 && !arguments->placed && !arguments->not_placed &&
        !arguments->give_up)
        return EXIT_DONE;
    fputs("chwsyncd: --release names a provider or an order; nothing else goes with it\n"
          "    HINT: chwsyncd resolve --help\n",
          stderr);
    return EXIT_USAGE;
}

/* What stops submits, an order a paragraph; they are what is released then, and nothing that is
 * found meanwhile. */
static void print_stops(const PGresult *stops, int64_t now_s)
{
    for (int i = 0; i < PQntuples(stops); i++) {
        const char *display_ref = row_text(stops, i, STOP_DISPLAY_REF);
        OWN(text_done) struct text title = {0};
        char when[RELATION_SIZE];

        text_format(&title, "Order %s%s%s%s: %s", row_text(stops, i, STOP_ORDER_REF),
                    display_ref ? " (" : "", display_ref ? display_ref : "", display_ref ? ")" : "",
                    row_text(stops, i, STOP_STATE));
        output_field(stdout, "", 0, text_string(&title));
        output_relation(row_integer(stops, i, STOP_FOUND_AT, 0), now_s, when);
        output_fact("  provider", row_text(stops, i, STOP_PROVIDER));
        output_fact("  service", row_text(stops, i, STOP_SERVICE));
        output_fact("  link", row_text(stops, i, STOP_LINK));
        output_fact("  quantity", row_text(stops, i, STOP_QUANTITY));
        output_fact("  was lost", row_text(stops, i, STOP_DETAIL));
        output_fact("  found", when);
        output_fact("  followed as", row_text(stops, i, STOP_PROVIDER_ORDER_ID));
    }
    fflush(stdout);
}

static unsigned count_uncertain(const PGresult *stops)
{
    unsigned count = 0;

    for (int i = 0; i < PQntuples(stops); i++)
        count += strcmp(row_text(stops, i, STOP_STATE), "uncertain") == 0;
    return count;
}

static enum exit_code release_stops(const struct arguments *arguments, struct session *session,
                                    const struct config *config, const PGresult *stops)
{
    struct problem problem = {0};
    char who[160];
    enum session_verdict verdict;
    int64_t released = 0;

    command_name_operator(who, sizeof who);
    verdict = resolve_release(session, stops, who, arguments->reason, config->wake_channel,
                              &released, &problem);
    if (verdict != SESSION_DONE) {
        command_complain(&problem);
        return command_exit_code(session, verdict);
    }
    printf("%lld released. The daemon goes on within seconds, when nothing else stops it.\n",
           (long long)released);
    return EXIT_DONE;
}

static enum exit_code release(const struct arguments *arguments)
{
    OWN(command_config_freep) struct config *config = NULL;
    OWN(session_freep) struct session *session = NULL;
    OWN(rows_freep) PGresult *stops = NULL;
    OWN(text_done) struct text consequence = {0};
    struct problem problem = {0};
    int64_t now_s = 0;
    enum exit_code code = check_release_words(arguments);
    enum session_verdict verdict;

    if (code == EXIT_DONE)
        code = command_open_report(arguments, &config, &session, &now_s);
    if (code != EXIT_DONE)
        return code;
    verdict = resolve_stops(session, arguments->release, &stops, &problem);
    session_rollback(session);
    if (verdict != SESSION_DONE) {
        command_complain(&problem);
        return command_exit_code(session, verdict);
    }
    if (PQntuples(stops) == 0) {
        char line[200];

        text_one_line(line, sizeof line, arguments->release);
        problem_set(&problem, "nothing stops submits of %s", line);
        problem_hint(&problem, "chwsyncd status names what does");
        command_complain(&problem);
        return EXIT_FINDING;
    }
    print_stops(stops, now_s);
    text_format(&consequence,
                "What the journal lost as well is bought again when the shop shows it as paid: "
                "compare with the provider's dashboard first.%s",
                count_uncertain(stops) ? " Those that are uncertain stay so until chwsyncd resolve "
                                         "says what became of them."
                                       : "");
    return is_sure(arguments, text_string(&consequence))
               ? release_stops(arguments, session, config, stops)
               : EXIT_FINDING;
}

/* ---- --placed ---- */

/* Waits until the daemon has answered. EXIT_UNAVAILABLE when it does not. */
static enum exit_code await_answer(struct session *session, int64_t resolution_id,
                                   const char *order_ref)
{
    const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};

    for (int i = 0; i < WAIT_S * 1000 / POLL_MS; i++) {
        OWN(rows_freep) PGresult *rows = NULL;
        struct problem problem = {0};
        enum session_verdict verdict = resolve_poll(session, resolution_id, &rows, &problem);

        if (verdict != SESSION_DONE) {
            command_complain(&problem);
            return command_exit_code(session, verdict);
        }
        if (PQntuples(rows) && row_text(rows, 0, 0)) {
            OWN(text_done) struct text said = {0};
            bool placed = row_boolean(rows, 0, 0);

            text_format(&said, "%s: %s", placed ? "Done" : "Nothing was changed",
                        row_text(rows, 0, 1));
            output_field(stdout, "", 0, text_string(&said));
            return placed ? EXIT_DONE : EXIT_FINDING;
        }
        nanosleep(&pause, NULL);
    }
    fprintf(
        stderr,
        "chwsyncd: the daemon did not answer within %d s\n"
        "    HINT: what you said is kept, and looked at when the daemon runs (systemctl status "
        "chwsyncd) and the provider's budget allows; the answer stands in: chwsyncd orders %s\n",
        WAIT_S, order_ref);
    return EXIT_UNAVAILABLE;
}

static enum exit_code ask_daemon(const struct arguments *arguments, struct session *session,
                                 const struct resolve_word *word)
{
    struct problem problem = {0};
    int64_t resolution_id = 0;
    enum session_verdict verdict =
        resolve_ask(session, word, arguments->placed, &resolution_id, &problem);

    if (verdict != SESSION_DONE) {
        command_complain(&problem);
        return command_exit_code(session, verdict);
    }
    if (resolution_id == 0)
        return refuse(arguments->words[0], "has changed meanwhile", "look at it again");
    puts("The daemon asks the provider about that id.");
    fflush(stdout);
    return await_answer(session, resolution_id, arguments->words[0]);
}

/* ---- the others ---- */

typedef enum session_verdict (*word_function)(struct session *session,
                                              const struct resolve_word *word,
                                              enum resolve_result *ret_result,
                                              struct problem *reterr_problem);

static enum exit_code carry_out(const struct arguments *arguments, struct session *session,
                                const struct resolve_word *word, word_function function,
                                const char *sentence)
{
    struct problem problem = {0};
    enum resolve_result result = RESOLVE_OVERTAKEN;
    enum session_verdict verdict = function(session, word, &result, &problem);

    if (verdict != SESSION_DONE) {
        command_complain(&problem);
        return command_exit_code(session, verdict);
    }
    if (result == RESOLVE_OVERTAKEN)
        return refuse(arguments->words[0], "has changed meanwhile", "look at it again");
    output_field(stdout, "", 0,
                 result == RESOLVE_ANOTHER
                     ? "It is said of this attempt. Another one of the order may exist as well, so "
                       "it stays uncertain: chwsyncd resolve shows that one now."
                     : sentence);
    return EXIT_DONE;
}

static struct resolve_word word_of(const struct arguments *arguments, const struct config *config,
                                   const PGresult *facts, const char *who)
{
    return (struct resolve_word){.order_id = row_integer(facts, 0, RESOLVE_ORDER_ID, 0),
                                 .number = (int)row_integer(facts, 0, RESOLVE_NUMBER, 0),
                                 .who = who,
                                 .reason = arguments->reason,
                                 .tell_shop = config->write_back != NULL,
                                 .follow_s = (unsigned)config->intake_interval_s + 1,
                                 .wake_channel = config->wake_channel};
}

static enum exit_code check_words(const struct arguments *arguments)
{
    if (arguments->word_count == 0) {
        fputs("chwsyncd: which one? REF\n    HINT: chwsyncd resolve --help\n", stderr);
        return EXIT_USAGE;
    }
    if ((arguments->placed != NULL) + arguments->not_placed + arguments->give_up != 1) {
        fputs("chwsyncd: say one of --placed ID, --not-placed, --give-up\n"
              "    HINT: chwsyncd resolve --help\n",
              stderr);
        return EXIT_USAGE;
    }
    if (arguments->placed && !value_is_id(arguments->placed)) {
        fputs("chwsyncd: the ID after --placed is the provider's order id, one word\n", stderr);
        return EXIT_USAGE;
    }
    return EXIT_DONE;
}

/* ---- --account ---- */

static enum exit_code check_account_words(const struct arguments *arguments)
{
    if (arguments->word_count == 0 && arguments->same_account + arguments->new_account == 1 &&
        !arguments->release && !arguments->placed && !arguments->not_placed && !arguments->give_up)
        return EXIT_DONE;
    fputs("chwsyncd: say --account NAME with one of --same, --new\n"
          "    HINT: chwsyncd resolve --help\n",
          stderr);
    return EXIT_USAGE;
}

/* What is in doubt, and how many open orders hang on it. */
static enum exit_code print_undecided(struct session *session, const char *provider, int64_t now_s,
                                      int64_t *ret_open)
{
    OWN(rows_freep) PGresult *rows = NULL;
    struct problem problem = {0};
    enum session_verdict verdict = comparisons_undecided(session, &rows, &problem);

    *ret_open = 0;
    if (verdict != SESSION_DONE) {
        command_complain(&problem);
        return command_exit_code(session, verdict);
    }
    for (int i = 0; i < PQntuples(rows); i++) {
        char when[RELATION_SIZE];

        if (strcmp(row_text(rows, i, UNDECIDED_PROVIDER), provider) != 0)
            continue;
        *ret_open += row_integer(rows, i, UNDECIDED_OPEN_ORDERS, 0);
        output_relation(row_integer(rows, i, UNDECIDED_FOUND_AT, 0), now_s, when);
        output_fact("  url before", row_text(rows, i, UNDECIDED_EARLIER_ENDPOINT));
        output_fact("  open orders", row_text(rows, i, UNDECIDED_OPEN_ORDERS));
        output_fact("  changed", when);
        output_fact("  evidence", row_text(rows, i, UNDECIDED_EVIDENCE)
                                      ? row_text(rows, i, UNDECIDED_EVIDENCE)
                                      : "the provider was not asked yet");
    }
    return EXIT_DONE;
}

static enum exit_code decide(const struct arguments *arguments, struct session *session,
                             const struct config *config)
{
    OWN(rows_freep) PGresult *rows = NULL;
    OWN(text_done) struct text said = {0};
    struct problem problem = {0};
    char who[160];
    enum session_verdict verdict;

    command_name_operator(who, sizeof who);
    verdict = comparisons_decide(session, arguments->account, arguments->same_account, who,
                                 config->wake_channel, &rows, &problem);
    if (verdict != SESSION_DONE) {
        command_complain(&problem);
        return command_exit_code(session, verdict);
    }
    if (PQntuples(rows) == 0) {
        problem_set(&problem, "provider %s has no earlier account with orders to decide about",
                    arguments->account);
        problem_hint(&problem, "chwsyncd status names those that have");
        command_complain(&problem);
        return EXIT_FINDING;
    }
    text_add(&said, arguments->same_account
                        ? "It is the same account: the orders of before are followed with the "
                          "new key. The daemon does it within seconds, or at its next reload."
                        : "It is another account: orders are bought there, and those of before "
                          "are followed when their key is back.");
    output_field(stdout, "", 0, text_string(&said));
    return EXIT_DONE;
}

static enum exit_code resolve_account(const struct arguments *arguments)
{
    OWN(command_config_freep) struct config *config = NULL;
    OWN(session_freep) struct session *session = NULL;
    OWN(text_done) struct text consequence = {0};
    int64_t now_s = 0, open = 0;
    enum exit_code code = check_account_words(arguments);

    if (code == EXIT_DONE)
        code = command_open_report(arguments, &config, &session, &now_s);
    if (code == EXIT_DONE)
        code = print_undecided(session, arguments->account, now_s, &open);
    if (code != EXIT_DONE)
        return code;
    session_rollback(session);
    fflush(stdout);
    if (arguments->same_account)
        text_add(&consequence, "If it is another account after all, the ids of its orders are "
                               "taken for those of before. This cannot be taken back.");
    else
        text_format(&consequence,
                    "Its open orders of before, %lld in all, are followed by nobody, unless their "
                    "key comes back.",
                    (long long)open);
    return is_sure(arguments, text_string(&consequence)) ? decide(arguments, session, config)
                                                         : EXIT_FINDING;
}

static enum exit_code resolve_order(const struct arguments *arguments)
{
    OWN(command_config_freep) struct config *config = NULL;
    OWN(session_freep) struct session *session = NULL;
    OWN(rows_freep) PGresult *facts = NULL;
    char who[160];
    enum exit_code code;

    if (arguments->release)
        return release(arguments);
    code = check_words(arguments);
    if (code == EXIT_DONE)
        code = open_order(arguments, &config, &session, &facts);
    if (code != EXIT_DONE)
        return code;
    command_name_operator(who, sizeof who);
    struct resolve_word word = word_of(arguments, config, facts, who);
    enum order_state state = state_of(facts);

    print_evidence(arguments->words[0], facts);
    if (state != ORDER_UNCERTAIN && !(state == ORDER_ABANDONED && arguments->placed))
        return refuse(arguments->words[0], "is not uncertain: there is nothing to resolve",
                      "chwsyncd orders --state uncertain lists those that are");
    if (arguments->placed && row_integer(facts, 0, RESOLVE_UNKNOWN_ATTEMPTS, 0) == 0)
        return refuse(arguments->words[0], "has no attempt whose end is unknown: it has no such id",
                      "--not-placed queues it again, --give-up ends it");
    if (arguments->placed)
        return is_sure(arguments, "It is followed under that id, when the provider knows it and no "
                                  "other order has it.")
                   ? ask_daemon(arguments, session, &word)
                   : EXIT_FINDING;
    if (arguments->give_up)
        return is_sure(arguments, "It is never bought again. --placed ID can still reopen it.")
                   ? carry_out(arguments, session, &word, resolve_give_up, "It is abandoned.")
                   : EXIT_FINDING;
    return is_sure(arguments, "It is queued and bought again. If it does exist at the provider, it "
                              "is then bought twice.")
               ? carry_out(arguments, session, &word, resolve_not_placed, "It is queued again.")
               : EXIT_FINDING;
}

enum exit_code command_resolve(const struct arguments *arguments)
{
    if (arguments->account)
        return resolve_account(arguments);
    return arguments->same_account || arguments->new_account ? check_account_words(arguments)
                                                             : resolve_order(arguments);
}

enum exit_code command_retry(const struct arguments *arguments)
{
    OWN(command_config_freep) struct config *config = NULL;
    OWN(session_freep) struct session *session = NULL;
    OWN(rows_freep) PGresult *facts = NULL;
    OWN(text_done) struct text consequence = {0};
    char who[160];
    enum exit_code code = open_order(arguments, &config, &session, &facts);

    if (code != EXIT_DONE)
        return code;
    command_name_operator(who, sizeof who);
    struct resolve_word word = word_of(arguments, config, facts, who);
    enum order_state state = state_of(facts);

    if (row_integer(facts, 0, RESOLVE_UNKNOWN_ATTEMPTS, 0) > 0)
        return refuse(arguments->words[0], "may exist at the provider: it is not sent again",
                      "chwsyncd resolve says what became of it");
    if (state != ORDER_REJECTED && state != ORDER_FAILED)
        return refuse(arguments->words[0], "is neither rejected nor failed",
                      "only such orders can be tried again");
    if (state == ORDER_FAILED) {
        text_format(
            &consequence,
            "It was bought as order %s, charge %s %s, and failed there. Tried again, it is "
            "charged again.",
            row_text(facts, 0, RESOLVE_PROVIDER_ORDER_ID),
            row_text(facts, 0, RESOLVE_CHARGE) ? row_text(facts, 0, RESOLVE_CHARGE) : "not known",
            row_text(facts, 0, RESOLVE_CURRENCY) ? row_text(facts, 0, RESOLVE_CURRENCY) : "");
        if (!is_sure(arguments, text_string(&consequence)))
            return EXIT_FINDING;
    }
    return carry_out(arguments, session, &word, resolve_retry,
                     "It is queued; the shop is asked before it is sent.");
}
