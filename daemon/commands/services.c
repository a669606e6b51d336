#include "store/services.h"
#include "api/client.h"
#include "api/transport.h"
#include "base/own.h"
#include "commands/commands.h"
#include "commands/output.h"
#include "commands/slot.h"
#include "host/clock.h"
#include "host/credentials.h"
#include "store/accounts.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LIST_LIMIT = 20, CHANGES_TOLD = 10 };

DEFINE_OWN(char, free, services_textp)
DEFINE_OWN(struct client, client_free, services_clientp)
DEFINE_OWN(struct transport, transport_free, services_transportp)

/* ---- --refresh: one provider is asked, and the answer kept ---- */

/* What is under way for one provider. */
struct refresh {
    const struct arguments *arguments;
    const struct config *config;
    const struct provider_config *provider;
    struct session *session;
    FILE *stream; /* for people: not where JSON goes */
    int account_id;
    int64_t asked_us;
    bool waits;
    struct reply reply; /* owned */
    long http_status;
    struct problem problem; /* without a reply */
    struct catalogue_news news;
};

static void refresh_done(struct refresh *refresh)
{
    reply_done(&refresh->reply);
}

static enum exit_code complain(enum exit_code code, const struct problem *problem)
{
    command_complain(problem);
    return code;
}

static enum exit_code complain_ledger(const struct refresh *refresh, enum session_verdict verdict,
                                      const struct problem *problem)
{
    return complain(command_exit_code(refresh->session, verdict), problem);
}

static enum exit_code read_key(const struct refresh *refresh, struct secret *ret_key)
{
    struct problem problem = {0};
    int r = credentials_read(credentials_directory(refresh->arguments->credentials_dir),
                             refresh->provider->key_file, ret_key, &problem);
    if (r < 0)
        problem_set(&problem, "unable to read the key of %s: %s", refresh->provider->name,
                    strerror(-r));
    return r == 0 ? EXIT_DONE : complain(EXIT_PERMISSION, &problem);
}

static enum exit_code find_account(struct refresh *refresh, const struct secret *key)
{
    OWN(services_textp) char *salt = NULL, *digest = NULL;
    struct problem problem = {0};
    enum session_verdict verdict = services_salt(refresh->session, &salt, &problem);
    if (verdict == SESSION_DONE && (!salt || accounts_digest(salt, key->text, &digest) != 0)) {
        problem_set(&problem, "unable to make the digest of the key of %s",
                    refresh->provider->name);
        return complain(EXIT_FINDING, &problem);
    }
    if (verdict == SESSION_DONE)
        verdict = services_account(refresh->session, refresh->provider->name,
                                   refresh->provider->url, digest, &refresh->account_id, &problem);
    return verdict == SESSION_DONE ? EXIT_DONE : complain_ledger(refresh, verdict, &problem);
}

/* The provider's wish to be left alone, and the budget, hold for commands too. */
static enum exit_code take_slot(const struct refresh *refresh)
{
    static const struct timespec pause = {.tv_nsec = SLOT_LOOK_US * 1000L};
    struct slot slot = {.session = refresh->session,
                        .config = refresh->config,
                        .provider = refresh->provider,
                        .tells = true};
    struct problem problem = {0};
    enum slot_verdict verdict = slot_take(&slot, &problem);
    while (verdict == SLOT_WAITS) {
        nanosleep(&pause, NULL);
        verdict = slot_take(&slot, &problem);
    }
    if (verdict == SLOT_FAULT)
        return complain_ledger(refresh, slot.verdict, &problem);
    return verdict == SLOT_TAKEN ? EXIT_DONE : complain(EXIT_UNAVAILABLE, &problem);
}

static void take_answer(void *userdata, const struct client_answer *answer)
{
    struct refresh *refresh = userdata;
    refresh->waits = false;
    refresh->http_status = answer->http_status;
    refresh->problem = answer->problem;
    if (!answer->reply)
        return;
    refresh->reply = *answer->reply;
    *answer->reply = (struct reply){0};
}

static enum exit_code ask(struct refresh *refresh, const struct secret *key)
{
    const struct provider_config *provider = refresh->provider;
    const struct api_request request = {.action = ACTION_SERVICES};
    const struct client_options options = {
        .name = provider->name,
        .key = key->text,
        .endpoint = {.url = provider->url,
                     .ca_file = provider->ca_file,
                     .max_in_flight = 1,
                     .timeout_s = provider->timeout_s},
        .limits = {.burst = 1},
    };
    OWN(services_transportp) struct transport *transport = NULL;
    OWN(services_clientp) struct client *client = NULL;
    struct problem problem = {0};
    refresh->asked_us = clock_monotonic_us();
    int r = transport_new(&transport);
    if (r == 0)
        r = client_new(transport, &options, refresh->asked_us, &client, &problem);
    if (r > 0)
        return complain(EXIT_CONFIGURATION, &problem);
    if (r == 0 && client_take(client, BUDGET_READ, 1, 0, refresh->asked_us) == 1)
        r = client_send(client, &request, NULL, take_answer, refresh);
    refresh->waits = r == 0;
    while (refresh->waits && r >= 0) {
        r = transport_wait(transport, -1, US_PER_S);
        if (r >= 0)
            r = transport_work(transport);
    }
    if (r >= 0)
        return EXIT_DONE;
    problem_set(&problem, "unable to ask %s: %s", provider->name, strerror(-r));
    return complain(EXIT_FINDING, &problem);
}

/* Why it is no catalogue; kept in the ledger, unless it is about the account and not the list. */
static enum exit_code refuse(const struct refresh *refresh, const char *fault, enum exit_code code)
{
    const struct reply *reply = &refresh->reply;
    struct problem problem = {0}, ignored = {0};
    char line[300];
    text_one_line(line, sizeof line, fault);
    problem_set(&problem, "%s gives no catalogue: %s; the known one stays", refresh->provider->name,
                line);
    if (reply->class == ERROR_KEY)
        problem_hint(&problem, "is it the right key, and may this address use it?");
    else if (reply->class == ERROR_ENDPOINT)
        problem_hint(&problem, "is url the API's address?");
    else if (refresh->problem.hint[0])
        problem_hint(&problem, "%s", refresh->problem.hint);
    if (reply->class != ERROR_KEY && reply->class != ERROR_ENDPOINT && reply->class != ERROR_RATE)
        (void)services_fault_now(refresh->session, refresh->account_id, line, &ignored);
    return complain(code, &problem);
}

/* EXIT_DONE when it is to be stored. */
static enum exit_code judge(struct refresh *refresh)
{
    OWN(rows_freep) PGresult *look = NULL, *compared = NULL;
    OWN(text_done) struct text fault = {0};
    struct problem problem = {0};
    struct catalogue_timing timing = {0};
    enum session_verdict verdict =
        services_look_now(refresh->session, refresh->account_id, &look, &problem);
    if (verdict == SESSION_DONE)
        verdict = services_compare_now(refresh->session, refresh->account_id, &refresh->reply,
                                       &compared, &problem);
    if (verdict != SESSION_DONE)
        return complain_ledger(refresh, verdict, &problem);
    services_timing(look, &timing);
    const struct catalogue_facts facts = {.rows = refresh->reply.service_count,
                                          .bad_rows = refresh->reply.bad_rows,
                                          .known = row_integer(compared, 0, 0, 0),
                                          .missing = row_integer(compared, 0, 1, 0),
                                          .doubted = timing.doubted,
                                          .doubted_ago_s = timing.tried_ago_s};
    enum catalogue_verdict worth = catalogue_judge(&facts);
    if (worth == CATALOGUE_BELIEVED)
        return EXIT_DONE;
    catalogue_describe_fault(&fault, worth, &facts);
    return refuse(refresh, text_string(&fault), EXIT_FINDING);
}

static enum exit_code store(struct refresh *refresh)
{
    struct session *session = refresh->session;
    const struct reply *reply = &refresh->reply;
    struct problem problem = {0};
    enum session_verdict verdict = SESSION_DONE;
    for (size_t i = 0; i < reply->service_count && verdict == SESSION_DONE; i += SERVICES_PART) {
        OWN(rows_freep) PGresult *rows = NULL;
        verdict = services_store_now(session, refresh->account_id, reply, i, &rows, &problem);
        if (verdict == SESSION_DONE)
            services_news(rows, &refresh->news);
    }
    OWN(rows_freep) PGresult *rows = NULL;
    double asked_ago_s = (double)(clock_monotonic_us() - refresh->asked_us) / (double)US_PER_S;
    if (verdict == SESSION_DONE)
        verdict = services_end_now(session, refresh->account_id, refresh->provider->name, reply,
                                   asked_ago_s, &rows, &problem);
    if (verdict != SESSION_DONE)
        return complain_ledger(refresh, verdict, &problem);
    services_news(rows, &refresh->news);
    return EXIT_DONE;
}

static void print_change(const struct refresh *refresh, enum catalogue_change change,
                         const char *verb)
{
    OWN(text_done) struct text text = {0};
    if (refresh->news.kinds[change].count == 0)
        return;
    text_format(&text, "%s ", verb);
    catalogue_describe(&text, &refresh->news, change);
    output_field(refresh->stream, "", 4, text_string(&text));
}

static void print_news(const struct refresh *refresh)
{
    OWN(text_done) struct text others = {0};
    fprintf(refresh->stream, "%s lists %zu service%s.\n", refresh->provider->name,
            refresh->reply.service_count, output_plural((int64_t)refresh->reply.service_count));
    print_change(refresh, CHANGE_PRICE, "other price:");
    print_change(refresh, CHANGE_GONE, "no longer listed:");
    catalogue_describe_rest(&others, &refresh->news);
    if (others.length > 0)
        output_field(refresh->stream, "", 4, text_string(&others));
}

static enum exit_code take_catalogue(struct refresh *refresh)
{
    const struct reply *reply = &refresh->reply;
    enum exit_code code;
    size_t repeats;
    if (refresh->problem.text[0])
        return refuse(refresh, refresh->problem.text, EXIT_UNAVAILABLE);
    if (reply->outcome != REPLY_SERVICES)
        return refuse(refresh, reply->error ? reply->error : "no answer that can be read",
                      EXIT_FINDING);
    if (catalogue_drop_repeats(&refresh->reply, &repeats) < 0)
        return refuse(refresh, "out of memory for it", EXIT_FINDING);
    code = judge(refresh);
    if (code == EXIT_DONE)
        code = store(refresh);
    if (code == EXIT_DONE)
        print_news(refresh);
    return code;
}

static enum exit_code refresh_one(const struct arguments *arguments, struct session *session,
                                  const struct config *config,
                                  const struct provider_config *provider)
{
    OWN(secret_done) struct secret key = {0};
    OWN(refresh_done)
    struct refresh refresh = {.arguments = arguments,
                              .config = config,
                              .provider = provider,
                              .session = session,
                              .stream = arguments->json ? stderr : stdout};
    enum exit_code code = read_key(&refresh, &key);
    if (code == EXIT_DONE)
        code = find_account(&refresh, &key);
    if (code == EXIT_DONE)
        code = take_slot(&refresh);
    if (code == EXIT_DONE)
        code = ask(&refresh, &key);
    return code == EXIT_DONE ? take_catalogue(&refresh) : code;
}

/* One that fails does not keep the others from being asked; the last failure is the answer. */
static enum exit_code refresh_all(const struct arguments *arguments)
{
    OWN(command_config_freep) struct config *config = NULL;
    OWN(session_freep) struct session *session = NULL;
    int64_t now_s = 0;
    enum exit_code worst = command_open_report(arguments, &config, &session, &now_s);
    if (worst != EXIT_DONE)
        return worst;
    session_rollback(session); /* what follows writes */
    for (size_t i = 0; i < config->provider_count; i++) {
        const struct provider_config *provider = &config->providers[i];
        if (arguments->provider && strcmp(arguments->provider, provider->name) != 0)
            continue;
        enum exit_code code = refresh_one(arguments, session, config, provider);
        worst = code == EXIT_DONE ? worst : code;
    }
    return worst;
}

/* ---- what is known ---- */

static bool has_several_providers(const PGresult *rows, int column)
{
    for (int row = 1; row < PQntuples(rows); row++)
        if (strcmp(PQgetvalue(rows, row, column), PQgetvalue(rows, 0, column)) != 0)
            return true;
    return false;
}

/* Columns that are not wanted stand at the ends. */
static void print_list(const PGresult *rows, bool all)
{
    static const struct table_column columns[] = {
        {"Provider", false, true}, {"Id", false, false},  {"Product id", false, true},
        {"Name", false, true},     {"Rate", true, false}, {"Min", true, false},
        {"Max", true, false},      {"Sold", false, false}};
    bool several = has_several_providers(rows, SERVICE_PROVIDER);
    struct table table = {.columns = several ? columns : columns + 1,
                          .column_count = (int)COUNT_OF(columns) - !several - !all};
    for (int row = 0; row < PQntuples(rows); row++) {
        if (several)
            table_add(&table, row_text(rows, row, SERVICE_PROVIDER));
        table_add(&table, row_text(rows, row, SERVICE_ID));
        table_add(&table, row_text(rows, row, SERVICE_PRODUCT_ID));
        table_add(&table, row_text(rows, row, SERVICE_NAME));
        table_add(&table, row_text(rows, row, SERVICE_RATE));
        table_add(&table, row_text(rows, row, SERVICE_MIN));
        table_add(&table, row_text(rows, row, SERVICE_MAX));
        if (all)
            table_add(&table, row_boolean(rows, row, SERVICE_AVAILABLE) ? "yes" : "no");
    }
    table_print(&table, 0, stdout);
    table_done(&table);
}

static void print_changes(const PGresult *rows, int indent)
{
    static const struct table_column columns[] = {
        {"When", false, false}, {"Provider", false, true}, {"Id", false, false},
        {"Name", false, true},  {"Change", false, false},  {"Before", true, true},
        {"After", true, true}};
    struct table table = {.columns = columns, .column_count = COUNT_OF(columns)};
    for (int row = 0; row < PQntuples(rows); row++) {
        char when[MOMENT_SIZE];
        output_moment(row_integer(rows, row, SERVICE_CHANGE_AT, 0), when);
        table_add(&table, when);
        for (int column = SERVICE_CHANGE_PROVIDER; column <= SERVICE_CHANGE_AFTER; column++)
            table_add(&table, row_text(rows, row, column));
    }
    table_print(&table, indent, stdout);
    table_done(&table);
}

static void print_moment(const char *label, const PGresult *rows, int column, int64_t now_s)
{
    char text[RELATION_SIZE];
    output_relation(row_integer(rows, 0, column, 0), now_s, text);
    output_fact(label, text);
}

static void print_service(const PGresult *rows, const PGresult *changes, int64_t now_s)
{
    OWN(text_done) struct text title = {0}, rate = {0};
    const char *price = row_text(rows, 0, SERVICE_RATE);
    bool fixed = strcmp(row_text(rows, 0, SERVICE_CHARGED_BY), "fixed") == 0;
    text_format(&title, "Service %s: %s", row_text(rows, 0, SERVICE_ID),
                row_text(rows, 0, SERVICE_NAME));
    output_field(stdout, "", 0, text_string(&title));
    text_format(&rate, "%s%s", price ? price : "not told", !price ? "" : fixed ? "" : " per 1000");
    output_fact("  provider", row_text(rows, 0, SERVICE_PROVIDER));
    output_fact("  product id", row_text(rows, 0, SERVICE_PRODUCT_ID));
    output_fact("  category", row_text(rows, 0, SERVICE_CATEGORY));
    output_fact("  type", row_text(rows, 0, SERVICE_TYPE));
    output_fact("  rate", text_string(&rate));
    output_fact("  charged by", row_text(rows, 0, SERVICE_CHARGED_BY));
    output_fact("  min", row_text(rows, 0, SERVICE_MIN));
    output_fact("  max", row_text(rows, 0, SERVICE_MAX));
    output_fact("  refill", row_boolean(rows, 0, SERVICE_REFILL) ? "yes" : "no");
    output_fact("  available", row_boolean(rows, 0, SERVICE_AVAILABLE)
                                   ? "yes"
                                   : "no: orders for it wait until it is listed again");
    print_moment("  first seen", rows, SERVICE_FIRST_SEEN_AT, now_s);
    print_moment("  changed", rows, SERVICE_CHANGED_AT, now_s);
    if (PQntuples(changes) == 0)
        return;
    puts("\nWhat changed");
    print_changes(changes, 2);
}

/* When each catalogue was read, and what is wrong with it. */
static void print_catalogues(const PGresult *rows, int64_t now_s)
{
    putchar('\n');
    if (PQntuples(rows) == 0)
        puts("No catalogue was ever read: the daemon does so at its start,\n"
             "chwsyncd services --refresh now.");
    for (int row = 0; row < PQntuples(rows); row++) {
        OWN(text_done) struct text text = {0};
        const char *error = row_text(rows, row, CATALOGUE_ERROR);
        char when[RELATION_SIZE];
        text_format(&text, "%s: ", row_text(rows, row, CATALOGUE_PROVIDER));
        if (row_text(rows, row, CATALOGUE_READ_AT)) {
            output_relation(row_integer(rows, row, CATALOGUE_READ_AT, 0), now_s, when);
            text_format(&text, "%s services available, read %s",
                        row_text(rows, row, CATALOGUE_SERVICES), when);
        } else {
            text_add(&text, "its catalogue was never read");
        }
        if (error) {
            output_relation(row_integer(rows, row, CATALOGUE_TRIED_AT, 0), now_s, when);
            text_format(&text, "; the last try failed %s: %s", when, error);
        }
        output_field(stdout, "", 0, text_string(&text));
    }
}

/* Everything that is printed, from one snapshot. */
struct found {
    PGresult *services, *changes, *catalogues; /* owned */
};

static void found_done(struct found *found)
{
    PQclear(found->services);
    PQclear(found->changes);
    PQclear(found->catalogues);
}

static bool is_named(const PGresult *rows, int row, const char *text)
{
    const char *product_id = row_text(rows, row, SERVICE_PRODUCT_ID);
    return strcmp(row_text(rows, row, SERVICE_ID), text) == 0 ||
           (product_id && strcmp(product_id, text) == 0);
}

/* One service is meant: the only one that was found, or the only one that is called so. It is the
 * first row. */
static bool is_one(const PGresult *rows, const char *text)
{
    int count = PQntuples(rows);
    if (!text || count == 0)
        return false;
    return count == 1 || (is_named(rows, 0, text) && !is_named(rows, 1, text));
}

static enum session_verdict look(struct session *session, const struct arguments *arguments,
                                 const struct services_search *search, struct found *found,
                                 struct problem *reterr_problem)
{
    struct services_search wider = *search;
    enum session_verdict verdict =
        services_catalogues(session, search->provider, &found->catalogues, reterr_problem);
    wider.all = true; /* what has vanished has changed */
    if (verdict == SESSION_DONE && arguments->changes)
        return services_changes(session, &wider, &found->changes, reterr_problem);
    if (verdict == SESSION_DONE)
        verdict = services_list(session, search, &found->services, reterr_problem);
    if (verdict != SESSION_DONE || !is_one(found->services, search->text))
        return verdict;
    wider = (struct services_search){.provider = row_text(found->services, 0, SERVICE_PROVIDER),
                                     .service = row_text(found->services, 0, SERVICE_ID),
                                     .all = true,
                                     .limit = CHANGES_TOLD};
    return services_changes(session, &wider, &found->changes, reterr_problem);
}

static void print_found(const struct arguments *arguments, const struct found *found,
                        const struct services_search *search, int64_t now_s)
{
    const PGresult *rows = arguments->changes ? found->changes : found->services;
    bool whole = !arguments->changes && found->changes;
    int count = PQntuples(rows);
    int64_t in_all = count && !arguments->changes ? row_integer(rows, 0, SERVICE_IN_ALL, 0) : count;
    if (count == 0)
        puts(arguments->changes ? "No changes."
             : search->all      ? "No such services."
                                : "No such services; --all also looks among those that cannot be "
                                  "bought now.");
    else if (arguments->changes)
        print_changes(rows, 0);
    else if (whole)
        print_service(rows, found->changes, now_s);
    else
        print_list(rows, search->all);
    if (in_all > count && !whole)
        printf("\n%d of %lld; --limit N shows more, TEXT finds some.\n", count, (long long)in_all);
    else if (arguments->changes && count == search->limit)
        printf("\nThe newest %d; --limit N shows more.\n", count);
    print_catalogues(found->catalogues, now_s);
}

static enum exit_code list(const struct arguments *arguments)
{
    OWN(session_freep) struct session *session = NULL;
    OWN(found_done) struct found found = {0};
    struct problem problem = {0};
    struct services_search search = {.text = arguments->word_count ? arguments->words[0] : NULL,
                                     .provider = arguments->provider,
                                     .all = arguments->all,
                                     .limit = arguments->limit ? arguments->limit : LIST_LIMIT};
    int64_t now_s = 0;
    enum exit_code code = command_open_report(arguments, NULL, &session, &now_s);
    if (code != EXIT_DONE)
        return code;
    enum session_verdict verdict = look(session, arguments, &search, &found, &problem);
    if (verdict != SESSION_DONE)
        return complain(command_exit_code(session, verdict), &problem);
    if (arguments->json)
        output_json(stdout, output_rows_json(arguments->changes ? found.changes : found.services));
    else
        print_found(arguments, &found, &search, now_s);
    return EXIT_DONE;
}

/* ---- --accept ---- */

/* The one row that is meant, or what is wrong with the question. */
static enum exit_code find_accepted(const struct arguments *arguments, const PGresult *rows)
{
    struct problem problem = {0};
    if (PQntuples(rows) == 1)
        return EXIT_DONE;
    if (PQntuples(rows) == 0) {
        problem_set(&problem, "no provider is known to sell a service %s", arguments->accept);
        problem_hint(&problem, "chwsyncd services lists ids");
    } else {
        problem_set(&problem, "more than one provider sells a service %s", arguments->accept);
        problem_hint(&problem, "say which: --provider NAME");
    }
    return complain(PQntuples(rows) == 0 ? EXIT_FINDING : EXIT_USAGE, &problem);
}

static void print_accepted(const struct arguments *arguments, const char *provider,
                           const PGresult *rows)
{
    OWN(text_done) struct text text = {0};
    const char *was = row_text(rows, 0, 0), *now = row_text(rows, 0, 1);
    text_format(&text, "Service %s of %s is %s", arguments->accept, provider, now);
    if (was && strcmp(was, now) != 0)
        text_format(&text, "; at the last order it was %s", was);
    int64_t freed = row_integer(rows, 0, 2, 0);
    if (freed == 0)
        text_add(&text, ". No order line waited for this word.");
    else
        text_format(&text, ". %" PRId64 " order line%s that waited for this word %s due.", freed,
                    output_plural(freed), freed == 1 ? "is" : "are");
    output_field(stdout, "", 0, text_string(&text));
}

static enum exit_code accept_service(const struct arguments *arguments)
{
    OWN(session_freep) struct session *session = NULL;
    OWN(rows_freep) PGresult *found = NULL, *rows = NULL;
    struct problem problem = {0};
    const struct services_search search = {
        .provider = arguments->provider, .service = arguments->accept, .all = true, .limit = 2};
    int64_t now_s = 0;
    enum exit_code code = command_open_report(arguments, NULL, &session, &now_s);
    if (code != EXIT_DONE)
        return code;
    enum session_verdict verdict = services_list(session, &search, &found, &problem);
    if (verdict == SESSION_DONE) {
        code = find_accepted(arguments, found);
        if (code != EXIT_DONE)
            return code;
        session_rollback(session); /* what follows writes */
        verdict = services_accept(session, row_text(found, 0, SERVICE_PROVIDER), arguments->accept,
                                  &rows, &problem);
    }
    if (verdict != SESSION_DONE)
        return complain(command_exit_code(session, verdict), &problem);
    if (PQntuples(rows) == 1)
        print_accepted(arguments, row_text(found, 0, SERVICE_PROVIDER), rows);
    return EXIT_DONE;
}

/* False: no provider of that name is configured; stderr has told the nearest. */
static bool is_known_provider(const struct arguments *arguments, enum exit_code *ret_code)
{
    OWN(command_config_freep) struct config *config = NULL;
    *ret_code = command_load_config(arguments, &config);
    if (*ret_code != EXIT_DONE || !arguments->provider ||
        config_provider(config, arguments->provider))
        return *ret_code == EXIT_DONE;
    const char **names = calloc(config->provider_count + 1, sizeof *names);
    for (size_t i = 0; names && i < config->provider_count; i++)
        names[i] = config->providers[i].name;
    if (names)
        command_complain_unknown("provider", arguments->provider, names);
    free(names);
    *ret_code = EXIT_USAGE;
    return false;
}

enum exit_code command_services(const struct arguments *arguments)
{
    enum exit_code code, listed;
    if (!is_known_provider(arguments, &code))
        return code;
    if (arguments->accept)
        return accept_service(arguments);
    if (arguments->refresh)
        code = refresh_all(arguments);
    if (arguments->refresh && !arguments->word_count && !arguments->changes && !arguments->json)
        return code;
    listed = list(arguments);
    return code != EXIT_DONE ? code : listed;
}
