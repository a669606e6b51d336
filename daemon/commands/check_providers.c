/* The part of `chwsyncd check` that asks the providers, and tells what keeps orders waiting. */
#include "api/client.h"
#include "api/transport.h"
#include "base/own.h"
#include "commands/check.h"
#include "commands/output.h"
#include "commands/slot.h"
#include "host/clock.h"
#include "store/rehearsal.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CERTIFICATE_SOON_S (14 * 86400)

/* What is asked of one provider, one request after the other. */
static const enum api_action questions[] = {ACTION_PING, ACTION_BALANCE, ACTION_SERVICES};

struct inquiry {
    struct check *check;
    const struct provider_config *provider;
    struct client *client;
    struct json_object *told; /* borrowed from check->providers */
    size_t next;              /* question */
    bool wants, waits;        /* the next one is to be asked; its answer is awaited */
    struct slot slot;         /* for the next one */
};

static void add_told(struct inquiry *inquiry, const char *name, struct json_object *taken)
{
    json_object_object_add(inquiry->told, name, taken);
}

/* ---- what a provider answers ---- */

static void describe_tls(struct text *text, struct inquiry *inquiry)
{
    const struct endpoint_tls *tls = client_tls(inquiry->client);
    char moment[MOMENT_SIZE];

    add_told(inquiry, "tls",
             tls->plain ? NULL : json_object_new_string(tls->version[0] ? tls->version : "TLS"));
    if (tls->plain) {
        text_add(text, "plain HTTP, on this machine only");
        return;
    }
    text_format(text, "%s, certificate verified", tls->version[0] ? tls->version : "TLS");
    if (tls->certificate_s <= 0)
        return;
    output_moment(tls->certificate_s, moment);
    text_format(text, ", good until %.10s", moment);
    add_told(inquiry, "certificate_ends_s", json_object_new_int64(tls->certificate_s));
}

static void judge_certificate(struct inquiry *inquiry)
{
    const struct endpoint_tls *tls = client_tls(inquiry->client);
    char left[DURATION_SIZE];
    struct problem *problem;

    if (tls->certificate_s <= 0 || tls->certificate_s > clock_wall_s() + CERTIFICATE_SOON_S)
        return;
    output_duration(tls->certificate_s - clock_wall_s(), left);
    problem = found(inquiry->check, SEVERITY_WARNING, "provider", EXIT_DONE);
    problem_set(problem, "%s: its certificate ends in %s", inquiry->provider->name, left);
    problem_hint(problem, "nothing is bought there when it has ended: tell the provider");
}

static void tell_reached(struct inquiry *inquiry, const struct client_answer *answer)
{
    OWN(text_done) struct text text = {0};
    char words[120];

    text_format(&text, "%s answers in %" PRId64 " ms; ", inquiry->provider->name,
                answer->took_us / US_PER_MS);
    describe_tls(&text, inquiry);
    if (answer->reply->outcome != REPLY_PONG) { /* some have no ping */
        text_one_line(words, sizeof words, answer->reply->error ? answer->reply->error : "");
        text_format(&text, "; it knows no ping (%s)", words);
    }
    add_told(inquiry, "latency_ms", json_object_new_int64(answer->took_us / US_PER_MS));
    problem_set(found(inquiry->check, SEVERITY_OK, "provider", EXIT_DONE), "%s",
                text_string(&text));
    judge_certificate(inquiry);
}

static void judge_balance(struct inquiry *inquiry, const char *amount)
{
    const char *mark = inquiry->provider->low_balance;
    struct problem problem = {0}, *found_one;
    bool is_below = false;

    if (!mark || !inquiry->check->session ||
        rehearsal_is_below(inquiry->check->session, amount, mark, &is_below, &problem) !=
            SESSION_DONE ||
        !is_below)
        return;
    found_one = found(inquiry->check, SEVERITY_WARNING, "provider", EXIT_DONE);
    problem_set(found_one, "%s: the balance is below low_balance (%s)", inquiry->provider->name,
                mark);
    problem_hint(found_one, "add funds at the provider, or set another low_balance");
}

static void take_balance(struct inquiry *inquiry, const struct reply *reply)
{
    char currency[16];

    text_one_line(currency, sizeof currency, reply->currency ? reply->currency : "");
    problem_set(found(inquiry->check, SEVERITY_OK, "provider", EXIT_DONE),
                "%s accepts the key; balance %s %s", inquiry->provider->name, reply->balance,
                currency);
    add_told(inquiry, "key_accepted", json_object_new_boolean(true));
    add_told(inquiry, "balance", json_object_new_string(reply->balance));
    add_told(inquiry, "currency", currency[0] ? json_object_new_string(currency) : NULL);
    judge_balance(inquiry, reply->balance);
}

static void take_services(struct inquiry *inquiry, const struct reply *reply)
{
    struct problem *problem;

    add_told(inquiry, "services", json_object_new_int64((int64_t)reply->service_count));
    if (reply->service_count > 0) {
        problem_set(found(inquiry->check, SEVERITY_OK, "provider", EXIT_DONE),
                    "%s sells %zu service%s", inquiry->provider->name, reply->service_count,
                    output_plural((int64_t)reply->service_count));
    } else {
        problem = found(inquiry->check, SEVERITY_WARNING, "provider", EXIT_DONE);
        problem_set(problem, "%s lists no services", inquiry->provider->name);
        problem_hint(problem, "the list that is known stays in use; look into its dashboard");
    }
    if (reply->bad_rows > 0)
        problem_set(found(inquiry->check, SEVERITY_WARNING, "provider", EXIT_DONE),
                    "%s: %zu row%s of its list of services cannot be read", inquiry->provider->name,
                    reply->bad_rows, output_plural((int64_t)reply->bad_rows));
}

static void tell_silence(struct inquiry *inquiry, const struct client_answer *answer)
{
    struct problem *problem = found(inquiry->check, SEVERITY_FAULT, "provider", EXIT_UNAVAILABLE);

    problem_set(problem, "%s: %s", inquiry->provider->name, answer->problem.text);
    problem_hint(problem, "%s",
                 answer->problem.hint[0] ? answer->problem.hint
                                         : "look at url, the network, and ca_file");
}

/* An HTML page, an empty body, half a reply: `words` say what. */
static void tell_nonsense(struct inquiry *inquiry, const char *words)
{
    struct problem *problem = found(inquiry->check, SEVERITY_FAULT, "provider", EXIT_UNAVAILABLE);

    problem_set(problem, "%s gives no usable answer: %s", inquiry->provider->name, words);
    problem_hint(problem, "is url the API's address? If it is, the provider is out of order: the "
                          "daemon goes on by itself when it answers again");
}

static void tell_refusal(struct inquiry *inquiry, const struct client_answer *answer)
{
    const struct reply *reply = answer->reply;
    bool is_key = reply->class == ERROR_KEY;
    char words[200];
    struct problem *problem;

    if (reply->class == ERROR_RATE) {
        problem = found(inquiry->check, SEVERITY_WARNING, "provider", EXIT_DONE);
        problem_set(problem, "%s has no request free: %s", inquiry->provider->name, reply->error);
        problem_hint(problem, "requests_per_minute and requests_per_day must be what its dashboard "
                              "says, less what others use of the key");
        return;
    }
    text_one_line(words, sizeof words,
                  reply->error ? reply->error : "an answer that is not understood");
    if (reply->outcome == REPLY_UNKNOWN) {
        tell_nonsense(inquiry, words);
        return;
    }
    problem = found(inquiry->check, SEVERITY_FAULT, "provider", EXIT_FINDING);
    problem_set(problem, "%s refuses: %s (HTTP %ld)", inquiry->provider->name, words,
                answer->http_status);
    problem_hint(problem, "%s",
                 is_key ? "is it the right key, and may this address use it? Then restart chwsyncd"
                        : "is url the API's address?");
    if (is_key)
        add_told(inquiry, "key_accepted", json_object_new_boolean(false));
}

/* The list of services is wanted, not needed. */
static void tell_no_catalogue(struct inquiry *inquiry, const struct reply *reply)
{
    struct problem *problem = found(inquiry->check, SEVERITY_WARNING, "provider", EXIT_DONE);
    char words[200];

    text_one_line(words, sizeof words, reply->error ? reply->error : "an answer that is no list");
    problem_set(problem, "%s does not list its services: %s", inquiry->provider->name, words);
    problem_hint(problem, "orders are checked against the list that is known, or not at all");
}

/* False: nothing more is asked. */
static bool take_reply(struct inquiry *inquiry, const struct client_answer *answer)
{
    const struct reply *reply = answer->reply;

    switch (questions[inquiry->next]) {
    case ACTION_PING:
        if (reply->class == ERROR_RATE || reply->class == ERROR_ENDPOINT ||
            (reply->outcome == REPLY_UNKNOWN && answer->http_status >= 500))
            break;
        tell_reached(inquiry, answer);
        return true;
    case ACTION_BALANCE:
        if (reply->outcome != REPLY_BALANCE)
            break;
        take_balance(inquiry, reply);
        return true;
    case ACTION_SERVICES:
        if (reply->outcome == REPLY_SERVICES)
            take_services(inquiry, reply);
        else
            tell_no_catalogue(inquiry, reply);
        return true;
    case ACTION_ADD:
    case ACTION_STATUS:
    case ACTION_MULTI_STATUS:
    case ACTION_REFILL:
    case ACTION_REFILL_STATUS:
        break;
    }
    tell_refusal(inquiry, answer);
    return false;
}

/* ---- asking ---- */

/* Whether the next question may leave; until it may or may not, the inquiry wants. */
static bool may_ask(struct inquiry *inquiry)
{
    struct problem problem = {0};
    enum slot_verdict verdict = SLOT_TAKEN;

    if (inquiry->check->has_ledger) /* without one nobody counts, and nobody was asked to wait */
        verdict = slot_take(&inquiry->slot, &problem);
    inquiry->wants = verdict == SLOT_WAITS;
    if (verdict == SLOT_REFUSED)
        *found(inquiry->check, SEVERITY_WARNING, "provider", EXIT_DONE) = problem;
    else if (verdict == SLOT_FAULT)
        problem_set(found(inquiry->check, SEVERITY_WARNING, "provider", EXIT_DONE),
                    "%s was not asked: the request could not be counted in its budget: %s",
                    inquiry->provider->name, problem.text);
    return verdict == SLOT_TAKEN;
}

static void take_answer(void *userdata, const struct client_answer *answer)
{
    struct inquiry *inquiry = userdata;

    inquiry->waits = false;
    if (!answer->reply) {
        tell_silence(inquiry, answer);
        return;
    }
    if (!take_reply(inquiry, answer))
        return;
    inquiry->next++;
    inquiry->wants = inquiry->next < COUNT_OF(questions);
}

static void ask_next(struct inquiry *inquiry)
{
    const struct api_request request = {.action = questions[inquiry->next]};
    int r = -EBUSY;

    if (!may_ask(inquiry))
        return;
    if (client_take(inquiry->client, BUDGET_READ, 1, 0, clock_monotonic_us()) == 1)
        r = client_send(inquiry->client, &request, NULL, take_answer, inquiry);
    if (r < 0)
        problem_set(found(inquiry->check, SEVERITY_FAULT, "provider", EXIT_FINDING),
                    "%s: unable to ask: %s", inquiry->provider->name, strerror(-r));
    inquiry->waits = r == 0;
}

static void begin(struct check *check, struct transport *transport,
                  const struct provider_config *provider, const char *key, struct inquiry *inquiry)
{
    const struct client_options options = {
        .name = provider->name,
        .key = key,
        .endpoint = {.url = provider->url,
                     .ca_file = provider->ca_file,
                     .max_in_flight = 1,
                     .timeout_s = provider->timeout_s,
                     .observes_tls = true},
        .limits = {.burst = 1},
    };
    struct problem problem = {0};
    int r;

    *inquiry = (struct inquiry){.check = check,
                                .provider = provider,
                                .told = json_object_new_object(),
                                .slot = {.session = check->session,
                                         .config = check->config,
                                         .provider = provider,
                                         .tells = true}};
    add_told(inquiry, "name", json_object_new_string(provider->name));
    json_object_array_add(check->providers, inquiry->told);
    r = client_new(transport, &options, clock_monotonic_us(), &inquiry->client, &problem);
    if (r > 0)
        *found(check, SEVERITY_FAULT, "provider", EXIT_CONFIGURATION) = problem;
    else if (r < 0)
        check->failed = true;
    else
        inquiry->wants = true;
}

/* Asks whom something is to be asked; whether any answer or slot is awaited then. */
static bool go_on(struct inquiry *inquiries, size_t count)
{
    bool any = false;

    for (size_t i = 0; i < count; i++) {
        if (inquiries[i].wants)
            ask_next(&inquiries[i]);
        any |= inquiries[i].waits || inquiries[i].wants;
    }
    return any;
}

/* All at once; each has its own time limit in the transport. */
static void ask_all(struct check *check)
{
    size_t count = check->config->provider_count;
    struct transport *transport = NULL;
    struct inquiry *inquiries = calloc(count + 1, sizeof *inquiries);

    if (!inquiries || transport_new(&transport) < 0) {
        check->failed = true;
        free(inquiries);
        return;
    }
    for (size_t i = 0; i < count; i++)
        if (check->keys[i].text)
            begin(check, transport, &check->config->providers[i], check->keys[i].text,
                  &inquiries[i]);
    while (go_on(inquiries, count) && transport_wait(transport, -1, SLOT_LOOK_US) >= 0)
        if (transport_work(transport) < 0)
            break;
    for (size_t i = 0; i < count; i++)
        client_free(inquiries[i].client);
    transport_free(transport);
    free(inquiries);
}

/* ---- what keeps orders waiting ---- */

/* Less than configured, where 0 is no limit. */
static bool is_cut(unsigned limit, unsigned configured)
{
    return limit > 0 && (configured == 0 || configured > limit);
}

static void add_limit(struct text *text, unsigned limit, unsigned configured, const char *window)
{
    if (limit == 0)
        text_format(text, "no limit %s", window);
    else if (is_cut(limit, configured) && configured == 0)
        text_format(text, "%u %s (none configured)", limit, window);
    else if (is_cut(limit, configured))
        text_format(text, "%u %s (of %u configured)", limit, window, configured);
    else
        text_format(text, "%u %s", limit, window);
}

static void tell_limits(struct check *check, const struct provider_config *provider,
                        const struct rehearsal_account *account)
{
    OWN(text_done) struct text text = {0};
    bool learned = is_cut(account->limit_minute, account->configured_minute) ||
                   is_cut(account->limit_day, account->configured_day);
    bool full = provider->requests_per_day > 0 && account->used_day >= provider->requests_per_day;
    struct problem *problem;

    text_format(&text, "%s: requests allowed: ", provider->name);
    add_limit(&text, account->limit_minute, account->configured_minute, "a minute");
    text_add(&text, ", ");
    add_limit(&text, account->limit_day, account->configured_day, "a day");
    if (check->has_ledger) /* it counts them */
        text_format(&text, "; used in the last day: %" PRId64, account->used_day);
    problem = found(check, learned || full ? SEVERITY_WARNING : SEVERITY_OK, "provider", EXIT_DONE);
    problem_set(problem, "%s", text_string(&text));
    if (full)
        problem_hint(problem, "orders wait until the day has room: a larger plan, or less polling");
    else if (learned)
        problem_hint(problem,
                     "the provider refused %" PRId64 " request%s for rate: set the limits "
                     "that its dashboard shows, less what others use of the key",
                     account->refusals, output_plural(account->refusals));
}

static void tell_held(struct check *check, const struct provider_config *provider, const char *why,
                      int64_t lines)
{
    static const struct {
        const char *why, *text, *remedy;
    } reasons[] = {
        {"price", "cost more than their max_charge",
         "they go when the price falls, or when the shop raises it"},
        {"limit", "cost more than max_charge_per_order or max_spend_per_day",
         "raise it, or cancel them in the shop"},
        {"spent", "wait because max_spend_per_day is spent",
         "they go on by themselves; or raise it"},
        {"funds", "wait for money", "add funds at the provider; they go on by themselves"},
        {"disabled", "are for services that are not sold now",
         "they go when the service is listed again, or cancel them in the shop"},
        {"identity", "are for services whose id now names another service",
         "look at them (chwsyncd orders --state queued); if the new one is right: chwsyncd "
         "services --accept ID"},
        {"link", "have a link that another order at this provider has now",
         "they go one after the other"},
        {"unpriced", "have no known price, and a limit is set",
         "they go when the list of services has a price, or when that limit is taken away"},
    };
    const char *text = "wait", *remedy = "chwsyncd orders --state queued tells why";
    struct problem *problem = found(check, SEVERITY_WARNING, "orders", EXIT_DONE);

    for (size_t i = 0; i < COUNT_OF(reasons); i++)
        if (strcmp(reasons[i].why, why) == 0) {
            text = reasons[i].text;
            remedy = reasons[i].remedy;
        }
    problem_set(problem, "%s: order lines that %s: %" PRId64, provider->name, text, lines);
    problem_hint(problem, "%s", remedy);
}

static void tell_stops(struct check *check, const struct provider_config *provider,
                       const struct rehearsal_account *account)
{
    struct problem *problem;

    if (account->stops > 0) {
        problem = found(check, SEVERITY_FAULT, "orders", EXIT_FINDING);
        problem_set(problem,
                    "%s: nothing is submitted, because the database had lost %" PRId64 " attempt%s",
                    provider->name, account->stops, output_plural(account->stops));
        problem_hint(problem, "chwsyncd status names them; chwsyncd-operations(7), backup and "
                              "restore");
    }
    if (account->pause_reason[0]) {
        char left[DURATION_SIZE];
        output_duration(account->pause_s, left);
        problem = found(check, SEVERITY_WARNING, "orders", EXIT_DONE);
        problem_set(problem, "%s: no order is sent for another %s: %s", provider->name, left,
                    account->pause_reason);
        problem_hint(problem, "%s",
                     account->out_of_funds
                         ? "add funds at the provider; orders go on by themselves"
                         : "it goes on by itself; a restart of chwsyncd tries at once");
    }
    if (account->uncertain > 0) {
        problem = found(check, SEVERITY_WARNING, "orders", EXIT_DONE);
        problem_set(problem, "%s: %" PRId64 " order%s may or may not have been bought",
                    provider->name, account->uncertain, output_plural(account->uncertain));
        problem_hint(problem, "chwsyncd orders --state uncertain, then chwsyncd resolve");
    }
    if (account->catalogue_error[0]) {
        problem = found(check, SEVERITY_WARNING, "provider", EXIT_DONE);
        problem_set(problem, "%s: its list of services could not be read last: %s", provider->name,
                    account->catalogue_error);
        problem_hint(problem, "the list of before stays in use");
    }
}

static void check_account(struct check *check, const struct provider_config *provider)
{
    struct rehearsal_account account = {0};
    struct problem problem = {0};

    if (check->has_ledger && rehearsal_account(check->session, provider->name, provider->url,
                                               &account, &problem) != SESSION_DONE)
        *found(check, SEVERITY_FAULT, "database", EXIT_FINDING) = problem;
    if (!account.has_budget) {
        account.limit_minute = account.configured_minute = provider->requests_per_minute;
        account.limit_day = account.configured_day = provider->requests_per_day;
    }
    tell_limits(check, provider, &account);
    tell_stops(check, provider, &account);
    for (size_t i = 0; i < account.held_count; i++)
        tell_held(check, provider, account.held[i].why, account.held[i].lines);
}

void check_providers(struct check *check)
{
    check->providers = json_object_new_array();
    if (!check->providers) {
        check->failed = true;
        return;
    }
    ask_all(check);
    for (size_t i = 0; i < check->config->provider_count; i++)
        check_account(check, &check->config->providers[i]);
}
