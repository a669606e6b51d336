#include "store/adapter.h"
#include "commands/commands.h"
#include "commands/output.h"
#include "store/adapter_switch.h"
#include "store/generator.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TIME_LIMIT_S 120

static enum exit_code print_text(const struct text *text)
{
    if (text->failed) {
        fputs("chwsyncd: out of memory\n", stderr);
        return EXIT_FINDING;
    }
    fputs(text_string(text), stdout);
    return EXIT_DONE;
}

static int add_wanted(const struct arguments *arguments, struct text *text)
{
    OWN(text_done) struct text adapter = {0};
    struct problem problem = {0};
    int r = 0;

    text_add(&adapter, text_string(text));
    if (arguments->adapter[ADAPTER_WITH_QUEUE])
        r = adapter_add(text, text_string(&adapter), ADAPTER_QUEUE, &problem);
    if (r == 0 && arguments->adapter[ADAPTER_WITH_WAKE])
        r = adapter_add(text, text_string(&adapter), ADAPTER_WAKE, &problem);
    if (r > 0)
        command_complain(&problem);
    return r;
}

/* ---- the ready ones ---- */

static enum exit_code print_list(void)
{
    char name[64];

    puts("Ready adapters, printed by chwsyncd adapter NAME:");
    for (size_t i = 0; adapter_name(i, name, sizeof name); i++) {
        const char *text = adapter_text(name), *title = strstr(text, " - ");
        char summary[160];
        size_t length = title ? strcspn(title + 3, "\n") : 0;

        snprintf(summary, sizeof summary, "%.*s", (int)length, title ? title + 3 : "");
        output_field(stdout, name, 16, summary);
    }
    puts("For any other shop: chwsyncd adapter --table ..., or begin with the template.");
    return EXIT_DONE;
}

static enum exit_code complain_name(const char *name)
{
    enum { NAMES_MAX = 32 };
    char found[NAMES_MAX][64];
    const char *names[NAMES_MAX + 3] = {"off", "on"};

    for (size_t i = 0; i < NAMES_MAX && adapter_name(i, found[i], sizeof found[i]); i++)
        names[i + 2] = found[i];
    command_complain_unknown("adapter", name, names);
    fprintf(stderr, "    HINT: chwsyncd adapter lists them\n");
    return EXIT_USAGE;
}

static enum exit_code print_ready(const struct arguments *arguments, const char *name)
{
    OWN(text_done) struct text text = {0};
    const char *adapter = adapter_text(name);

    if (!adapter)
        return complain_name(name);
    text_add(&text, adapter);
    return add_wanted(arguments, &text) == 0 ? print_text(&text) : EXIT_FINDING;
}

/* ---- one for a table ---- */

static enum exit_code complain_missing(const char *option)
{
    fprintf(stderr, "chwsyncd: --table needs %s too\n    HINT: chwsyncd adapter --help\n", option);
    return EXIT_USAGE;
}

static enum exit_code print_trial(const struct generator_trial *trial)
{
    fprintf(stderr, "Tried%s, and taken back: the view shows %" PRId64 " line%s in %" PRId64 " ms",
            trial->as_daemon ? " as role chwsync" : "", trial->rows, output_plural(trial->rows),
            trial->took_ms);
    if (trial->faulty)
        fprintf(stderr, ", %" PRId64 " of them without a service", trial->faulty);
    fprintf(stderr, ";\nthe function answers %s to a key that does not exist%s.\n",
            trial->answer == 'f'   ? "false"
            : trial->answer == 't' ? "true"
                                   : "NULL",
            trial->answer == 'f' ? "" : ", and should answer false");
    return trial->answer == 'f' && !trial->faulty ? EXIT_DONE : EXIT_FINDING;
}

static enum exit_code try_adapter(struct session *session, const struct text *text)
{
    struct generator_trial trial;
    struct problem problem = {0};
    enum session_verdict verdict = generator_try(session, text_string(text), &trial, &problem);

    if (verdict == SESSION_DONE)
        return print_trial(&trial);
    command_complain(&problem);
    return command_exit_code(session, verdict);
}

static void complain_faults(const struct generator_faults *faults)
{
    for (size_t i = 0; i < faults->count; i++)
        command_complain(&faults->list[i].problem);
}

static enum exit_code generate(const struct arguments *arguments)
{
    const char *const *given = arguments->adapter;
    struct generator_request request = {.table = given[ADAPTER_TABLE],
                                        .order_table = given[ADAPTER_ORDER],
                                        .by = given[ADAPTER_BY],
                                        .pending = given[ADAPTER_PENDING],
                                        .pack = given[ADAPTER_PACK]};
    OWN(command_config_freep) struct config *config = NULL;
    OWN(session_freep) struct session *session = NULL;
    OWN(text_done) struct text text = {0};
    struct generator_faults faults;
    struct problem problem = {0};

    memcpy(request.columns, given, sizeof request.columns);
    if (!given[CONTRACT_ORDER_REF] || !given[CONTRACT_SERVICE] || !request.pending)
        return complain_missing("--key, --service and --pending");
    if (!request.order_table != !request.by)
        return complain_missing("both of --order and --by");
    enum exit_code code = command_open_database(arguments, TIME_LIMIT_S, &config, &session);
    if (code != EXIT_DONE)
        return code;
    enum session_verdict verdict = generator_write(session, &request, &text, &faults, &problem);
    if (verdict != SESSION_DONE) {
        command_complain(&problem);
        return command_exit_code(session, verdict);
    }
    complain_faults(&faults);
    if (faults.errors || add_wanted(arguments, &text) != 0)
        return EXIT_FINDING;
    code = given[ADAPTER_CHECK] ? try_adapter(session, &text) : EXIT_DONE;
    return code == EXIT_DONE ? print_text(&text) : code;
}

/* ---- off and on ---- */

static enum exit_code tell_off(enum switch_verdict verdict, const char *view, const char *views)
{
    if (verdict == SWITCH_DONE)
        printf("Taken away: %s.\nThe daemon takes no new lines and follows what it has bought. "
               "Upgrade the shop,\nthen run chwsyncd adapter on.\n",
               views);
    else if (verdict == SWITCH_ALREADY)
        puts("It is off already. To put it back: chwsyncd adapter on.");
    else
        fprintf(stderr, "chwsyncd: view %s does not exist: there is nothing to switch off\n", view);
    return verdict == SWITCH_NOTHING ? EXIT_FINDING : EXIT_DONE;
}

static enum exit_code tell_on(enum switch_verdict verdict, const char *views)
{
    if (verdict == SWITCH_DONE)
        printf("Put back: %s.\nchwsyncd check tells whether all is well.\n", views);
    else if (verdict == SWITCH_ALREADY)
        printf("%s had been put back by another hand and stays as it is.\n", views);
    else
        fputs("chwsyncd: nothing was switched off\n", stderr);
    return verdict == SWITCH_NOTHING ? EXIT_FINDING : EXIT_DONE;
}

static enum exit_code switch_adapter(const struct arguments *arguments, bool on)
{
    OWN(command_config_freep) struct config *config = NULL;
    OWN(session_freep) struct session *session = NULL;
    OWN(text_done) struct text views = {0};
    struct problem problem = {0};
    enum exit_code code = command_open_database(arguments, TIME_LIMIT_S, &config, &session);
    const char *view = config ? config->pending_orders : "chwsync_shop.pending_orders";

    if (code != EXIT_DONE)
        return code;
    enum switch_verdict verdict = on ? adapter_switch_on(session, &views, &problem)
                                     : adapter_switch_off(session, view, &views, &problem);
    if (verdict == SWITCH_REFUSED || verdict == SWITCH_LOST) {
        command_complain(&problem);
        return command_exit_code(session, verdict == SWITCH_LOST ? SESSION_LOST : SESSION_REFUSED);
    }
    return on ? tell_on(verdict, text_string(&views))
              : tell_off(verdict, view, text_string(&views));
}

enum exit_code command_adapter(const struct arguments *arguments)
{
    const char *name = arguments->word_count ? arguments->words[0] : NULL;

    if (arguments->adapter[ADAPTER_TABLE] && !name)
        return generate(arguments);
    if (arguments->adapter[ADAPTER_TABLE]) {
        fputs("chwsyncd: a name and --table are two ways: which one?\n", stderr);
        return EXIT_USAGE;
    }
    for (int i = 0; i < ADAPTER_OPTION_COUNT; i++)
        if (arguments->adapter[i] && i != ADAPTER_WITH_QUEUE && i != ADAPTER_WITH_WAKE) {
            fputs("chwsyncd: these options go with --table TABLE, the shop's table of lines\n"
                  "    HINT: chwsyncd adapter --help\n",
                  stderr);
            return EXIT_USAGE;
        }
    if (!name)
        return print_list();
    if (strcmp(name, "off") == 0 || strcmp(name, "on") == 0)
        return switch_adapter(arguments, name[1] == 'n');
    return print_ready(arguments, name);
}
