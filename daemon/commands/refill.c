#include "base/own.h"
#include "commands/commands.h"
#include "commands/output.h"
#include "store/refills.h"
#include "wire/value.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WAIT_S = 10, POLL_MS = 200 };

static enum exit_code failed(struct session *session, enum session_verdict verdict,
                             const struct problem *problem)
{
    command_complain(problem);
    return command_exit_code(session, verdict);
}

/* Where the order's latest refill stands; no row when it has none. */
static enum exit_code look(const struct arguments *arguments, struct session *session,
                           PGresult **ret_rows)
{
    struct problem problem = {0};
    enum session_verdict verdict = refill_latest(session, arguments->words[0], ret_rows, &problem);

    return verdict == SESSION_DONE ? EXIT_DONE : failed(session, verdict, &problem);
}

static bool is_waiting(const PGresult *rows)
{
    return PQntuples(rows) && strcmp(row_text(rows, 0, REFILL_STATUS_STATUS), "requested") == 0;
}

/* Until the daemon has asked the provider, or the time is over. */
static enum exit_code await_answer(const struct arguments *arguments, struct session *session,
                                   PGresult **ret_rows)
{
    const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};

    for (int i = 0;; i++) {
        OWN(rows_freep) PGresult *rows = NULL;
        enum exit_code code = look(arguments, session, &rows);

        if (code != EXIT_DONE)
            return code;
        if (!is_waiting(rows) || i >= WAIT_S * 1000 / POLL_MS) {
            *ret_rows = GIVE(rows);
            return EXIT_DONE;
        }
        nanosleep(&pause, NULL);
    }
}

/* Refused and rejected ones, and what somebody has to do something about, are findings. */
static enum exit_code judge(const char *words)
{
    static const char *const findings[] = {"refused:", "rejected:", "canceled:", "uncertain:"};

    for (size_t i = 0; i < COUNT_OF(findings); i++)
        if (strncmp(words, findings[i], strlen(findings[i])) == 0)
            return EXIT_FINDING;
    return EXIT_DONE;
}

static void print_words(const char *words, const PGresult *rows)
{
    output_field(stdout, "", 0, words);
    fflush(stdout);
    if (strncmp(words, "uncertain:", strlen("uncertain:")) == 0)
        fputs("    HINT: look for it at the provider, then say --placed ID or --not-placed\n",
              stderr);
    else if (is_waiting(rows))
        fputs("    HINT: it is asked for when the daemon runs (systemctl status chwsyncd)\n"
              "          and the provider's limits allow\n",
              stderr);
}

/* Asks chwsync.ask_refill(); its words are owned by *ret_rows. */
static enum exit_code ask(const struct arguments *arguments, struct session *session, bool again,
                          PGresult **ret_rows)
{
    struct problem problem = {0};
    char who[160];
    enum session_verdict verdict;

    command_name_operator(who, sizeof who);
    verdict = refill_ask(session, arguments->words[0], who, again, ret_rows, &problem);
    return verdict == SESSION_DONE ? EXIT_DONE : failed(session, verdict, &problem);
}

/* As JSON: the row of refill_status, when there is one, and what was answered. */
static void print_json(const char *words, const PGresult *rows)
{
    struct json_object *object =
        PQntuples(rows) ? output_row_json(rows, 0) : json_object_new_object();

    json_object_object_add(object, "answer", json_object_new_string(words));
    output_json(stdout, object);
}

static enum exit_code request(const struct arguments *arguments, struct session *session,
                              const char *wake_channel)
{
    OWN(rows_freep) PGresult *first = NULL, *rows = NULL, *last = NULL;
    enum exit_code code = ask(arguments, session, arguments->again, &first);
    const char *words;

    if (code != EXIT_DONE)
        return code;
    words = row_text(first, 0, 0);
    if (judge(words) == EXIT_DONE) {
        session_wake_daemon(session, wake_channel);
        code = await_answer(arguments, session, &rows);
        if (code == EXIT_DONE) /* what is open or has just ended is only told */
            code = ask(arguments, session, false, &last);
        if (code == EXIT_DONE)
            words = row_text(last, 0, 0);
    } else {
        code = look(arguments, session, &rows);
    }
    if (code != EXIT_DONE)
        return code;
    if (arguments->json)
        print_json(words, rows);
    else
        print_words(words, rows);
    return judge(words);
}

static enum exit_code settle(const struct arguments *arguments, struct session *session,
                             const char *wake_channel)
{
    struct problem problem = {0};
    char who[160], line[200];
    bool done = false;
    enum session_verdict verdict;

    command_name_operator(who, sizeof who);
    verdict = refill_settle(session, arguments->words[0], who, arguments->placed, &done, &problem);
    if (verdict != SESSION_DONE)
        return failed(session, verdict, &problem);
    if (!done) {
        text_one_line(line, sizeof line, arguments->words[0]);
        problem_set(&problem, "order %s has no refill that is uncertain", line);
        problem_hint(&problem, "chwsyncd orders REF tells what happened");
        command_complain(&problem);
        return EXIT_FINDING;
    }
    session_wake_daemon(session, wake_channel);
    puts(arguments->placed ? "It is followed under that id."
                           : "It is requested again as soon as the provider's limits allow.");
    return EXIT_DONE;
}

static enum exit_code check_words(const struct arguments *arguments)
{
    if (arguments->placed && arguments->not_placed) {
        fputs("chwsyncd: --placed and --not-placed exclude each other\n"
              "    HINT: chwsyncd refill --help\n",
              stderr);
        return EXIT_USAGE;
    }
    if (arguments->placed && !value_is_id(arguments->placed)) {
        fputs("chwsyncd: the ID after --placed is the provider's refill id, one word\n", stderr);
        return EXIT_USAGE;
    }
    return EXIT_DONE;
}

enum exit_code command_refill(const struct arguments *arguments)
{
    OWN(command_config_freep) struct config *config = NULL;
    OWN(session_freep) struct session *session = NULL;
    int64_t now_s = 0;
    enum exit_code code = check_words(arguments);

    if (code == EXIT_DONE)
        code = command_open_report(arguments, &config, &session, &now_s);
    if (code != EXIT_DONE)
        return code;
    session_rollback(session); /* free to write */
    return arguments->placed || arguments->not_placed
               ? settle(arguments, session, config->wake_channel)
               : request(arguments, session, config->wake_channel);
}
