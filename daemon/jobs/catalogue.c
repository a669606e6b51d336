#include "jobs/catalogue.h"
#include "base/own.h"
#include "host/clock.h"
#include "host/crash_point.h"
#include "host/events.h"
#include "store/accounts.h"
#include "store/services.h"

#define LOOK_INTERVAL_US (60 * US_PER_S) /* somebody may want one, and was not heard */
#define LEASE_LOOK_US (5 * US_PER_S)     /* another instance has the lease, and may be reading */
#define SLOT_LOOK_US (250 * US_PER_MS)   /* while it was never read */
#define WAKE_LOOK_US (2 * US_PER_S)      /* a busy shop wakes us many times a second */
#define LEDGER_RETRY_S 15
#define LOST_MAX 3 /* then it is more likely that this catalogue is what ends the connection */

static const char *provider_of(const struct catalogue *catalogue)
{
    return catalogue->account->config->name;
}

static struct connection *ledger_of(const struct catalogue *catalogue)
{
    return catalogue->workshop->lanes.ledger;
}

/* What is in hand goes; the next look is then. */
static void rest(struct catalogue *catalogue, int64_t next_us)
{
    reply_done(&catalogue->reply);
    catalogue->repeats = catalogue->stored = 0;
    catalogue->lost = 0;
    catalogue->news = (struct catalogue_news){0};
    catalogue->step = CATALOGUE_LOOKS;
    catalogue->busy = false;
    catalogue->next_us = next_us;
}

static void ledger_refused(struct catalogue *catalogue, const struct store_answer *answer)
{
    log_repeated(&catalogue->ledger_log, LOG_LEVEL_ERROR,
                 &(struct log_entry){.message_id = MESSAGE_LEDGER_FAILED,
                                     .provider = provider_of(catalogue),
                                     .sqlstate = answer->sqlstate},
                 "unable to keep the catalogue of provider %s: %s; next look in %d s",
                 provider_of(catalogue), answer->problem.text, LEDGER_RETRY_S);
}

/*
 * True when the statement was carried out. Otherwise its step is taken again when the connection
 * was lost, which may have been after the commit: all of them can be repeated. What the server
 * refuses begins anew, later.
 */
static bool carried_out(struct catalogue *catalogue, const struct store_answer *answer)
{
    catalogue->busy = false;
    if (answer->verdict == STORE_DONE) {
        catalogue->lost = 0;
        return true;
    }
    if (answer->verdict == STORE_LOST && ++catalogue->lost < LOST_MAX)
        return false;
    if (answer->verdict == STORE_REFUSED)
        ledger_refused(catalogue, answer);
    rest(catalogue, clock_monotonic_us() + LEDGER_RETRY_S * US_PER_S);
    return false;
}

/* A statement that could not be handed over, as there is no memory or too many wait. */
static void handed_over(struct catalogue *catalogue, int r)
{
    if (r == 0)
        catalogue->busy = true;
    else
        rest(catalogue, clock_monotonic_us() + LEDGER_RETRY_S * US_PER_S);
}

/* ---- no catalogue ---- */

static void fault_noted(void *userdata, const struct store_answer *answer)
{
    struct catalogue *catalogue = userdata;

    if (answer->verdict == STORE_REFUSED)
        ledger_refused(catalogue, answer);
    rest(catalogue,
         clock_monotonic_us() + (answer->verdict == STORE_DONE ? 0 : LEDGER_RETRY_S * US_PER_S));
}

/* Said once, and when it is another fault. */
static void tell_fault(struct catalogue *catalogue, const char *fault, long http_status)
{
    struct log_entry entry = {.message_id = MESSAGE_CATALOGUE_UNREADABLE,
                              .provider = provider_of(catalogue),
                              .action = api_action_name(ACTION_SERVICES),
                              .http_status = http_status};

    log_repeated(&catalogue->fault_log, LOG_LEVEL_WARNING, &entry,
                 "unable to read the catalogue of provider %s: %s; %s, next tries at growing "
                 "intervals of up to an hour",
                 provider_of(catalogue), fault,
                 catalogue->read_before ? "the known one stays"
                                        : "orders are not checked against it");
    workshop_note_error(catalogue->workshop, "catalogue of %s: %s", provider_of(catalogue), fault);
}

/*
 * No catalogue came; the ledger keeps why, with the time of the try. A provider that is not there
 * for a moment is no fault of its catalogue: without a reply it is told when the next try has none
 * either.
 */
static void fail(struct catalogue *catalogue, const char *fault, bool replied, long http_status)
{
    char line[300];

    text_one_line(line, sizeof line, fault);
    catalogue->failures++;
    if (replied || catalogue->failures > 1)
        tell_fault(catalogue, line, http_status);
    else
        log_debug("unable to read the catalogue of provider %s: %s", provider_of(catalogue), line);
    handed_over(catalogue, services_fault(ledger_of(catalogue), catalogue->account->id, line,
                                          fault_noted, catalogue));
}

/* ---- the end of one ---- */

static void tell_change(const struct catalogue *catalogue, enum catalogue_change change,
                        enum log_level level, const char *verb, const char *message_id)
{
    OWN(text_done) struct text text = {0};

    if (catalogue->news.kinds[change].count == 0)
        return;
    catalogue_describe(&text, &catalogue->news, change);
    log_write(level,
              &(struct log_entry){.message_id = message_id, .provider = provider_of(catalogue)},
              "provider %s %s %s", provider_of(catalogue), verb, text_string(&text));
}

static void tell_news(const struct catalogue *catalogue)
{
    const struct reply *reply = &catalogue->reply;
    OWN(text_done) struct text others = {0}, odd = {0};

    tell_change(catalogue, CHANGE_PRICE, LOG_LEVEL_NOTICE, "changed the price of",
                MESSAGE_PRICES_CHANGED);
    tell_change(catalogue, CHANGE_GONE, LOG_LEVEL_WARNING, "no longer lists",
                MESSAGE_SERVICES_GONE);
    catalogue_describe_rest(&others, &catalogue->news);
    if (others.length > 0)
        log_info("the catalogue of provider %s changed: %s", provider_of(catalogue),
                 text_string(&others));
    if (reply->bad_rows > 0)
        text_format(&odd, "; rows that name none: %zu", reply->bad_rows);
    if (catalogue->repeats > 0)
        text_format(&odd, "; rows that name one again: %zu", catalogue->repeats);
    log_write(catalogue->read_before ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO,
              &(struct log_entry){.provider = provider_of(catalogue)},
              "the catalogue of provider %s was read: %zu service%s%s", provider_of(catalogue),
              reply->service_count, reply->service_count == 1 ? "" : "s", text_string(&odd));
}

static void ended(void *userdata, const struct store_answer *answer)
{
    struct catalogue *catalogue = userdata;

    if (!carried_out(catalogue, answer))
        return;
    CRASH_POINT("catalogue: ended");
    services_news(answer->rows, &catalogue->news);
    if (log_recovered(&catalogue->fault_log)) {
        log_write(LOG_LEVEL_NOTICE,
                  &(struct log_entry){.message_id = MESSAGE_CATALOGUE_READ,
                                      .provider = provider_of(catalogue)},
                  "the catalogue of provider %s can be read again", provider_of(catalogue));
        catalogue->workshop->last_error[0] = '\0';
    }
    if (log_recovered(&catalogue->ledger_log))
        log_provider_event(LOG_LEVEL_NOTICE, MESSAGE_LEDGER_WELL, provider_of(catalogue),
                           "the catalogue of provider %s is kept", provider_of(catalogue));
    tell_news(catalogue);
    catalogue->failures = 0;
    catalogue->refusals = catalogue->refused ? catalogue->refusals + 1 : 0;
    catalogue->refused = false;
    catalogue->read_before = true;
    rest(catalogue, clock_monotonic_us() + LOOK_INTERVAL_US);
    catalogue->on_stored(catalogue->userdata);
}

static void end(struct catalogue *catalogue, int64_t now_us)
{
    double asked_ago_s = (double)(now_us - catalogue->asked_us) / (double)US_PER_S;

    handed_over(catalogue,
                services_end(ledger_of(catalogue), catalogue->account->id, provider_of(catalogue),
                             &catalogue->reply, asked_ago_s, ended, catalogue));
}

/* ---- storing ---- */

static void part_stored(void *userdata, const struct store_answer *answer)
{
    struct catalogue *catalogue = userdata;

    if (!carried_out(catalogue, answer))
        return;
    CRASH_POINT("catalogue: part stored");
    services_news(answer->rows, &catalogue->news);
    catalogue->stored += SERVICES_PART;
    if (catalogue->stored >= catalogue->reply.service_count)
        catalogue->step = CATALOGUE_ENDS;
}

static void store(struct catalogue *catalogue)
{
    handed_over(catalogue,
                services_store(ledger_of(catalogue), catalogue->account->id, &catalogue->reply,
                               catalogue->stored, part_stored, catalogue));
}

/* ---- comparing ---- */

static void judge(struct catalogue *catalogue, int64_t known, int64_t missing)
{
    const struct catalogue_facts facts = {.rows = catalogue->reply.service_count,
                                          .bad_rows = catalogue->reply.bad_rows,
                                          .known = known,
                                          .missing = missing,
                                          .doubted = catalogue->timing.doubted,
                                          .doubted_ago_s = catalogue->timing.tried_ago_s};
    enum catalogue_verdict verdict = catalogue_judge(&facts);
    OWN(text_done) struct text fault = {0};

    if (verdict == CATALOGUE_BELIEVED) {
        catalogue->step = CATALOGUE_STORES;
        return;
    }
    catalogue_describe_fault(&fault, verdict, &facts);
    fail(catalogue, text_string(&fault), true, 200);
}

static void compared(void *userdata, const struct store_answer *answer)
{
    struct catalogue *catalogue = userdata;

    if (carried_out(catalogue, answer))
        judge(catalogue, row_integer(answer->rows, 0, 0, 0), row_integer(answer->rows, 0, 1, 0));
}

static void compare(struct catalogue *catalogue)
{
    handed_over(catalogue, services_compare(ledger_of(catalogue), catalogue->account->id,
                                            &catalogue->reply, compared, catalogue));
}

/* ---- asking ---- */

/* What a refusal means for the account is told there; asked again when it lets us. */
static bool is_for_the_account(struct catalogue *catalogue, const struct reply *reply)
{
    int64_t now_us = clock_monotonic_us();

    switch (reply->class) {
    case ERROR_KEY:
    case ERROR_ENDPOINT:
        account_pause(catalogue->account, reply->class, reply->error, now_us);
        return true;
    case ERROR_RATE:
        account_note_rate(catalogue->account, reply->error, now_us);
        return true;
    case ERROR_NONE:
    case ERROR_FUNDS:
    case ERROR_SERVICE:
    case ERROR_PARAMETERS:
    case ERROR_DUPLICATE:
    case ERROR_ORDER:
    case ERROR_REFILL:
    case ERROR_REQUEST:
    case ERROR_SERVER:
    case ERROR_OTHER:
        return false;
    }
    return false;
}

static void answered(void *userdata, const struct client_answer *answer)
{
    struct catalogue *catalogue = userdata;
    struct reply *reply = answer->reply;

    catalogue->busy = false;
    if (!reply) {
        fail(catalogue, answer->problem.text, false, answer->http_status);
    } else if (reply->outcome == REPLY_SERVICES) {
        account_note_answer(catalogue->account);
        catalogue->reply = *reply;
        *reply = (struct reply){0};
        catalogue->step = CATALOGUE_COMPARES;
        if (catalogue_drop_repeats(&catalogue->reply, &catalogue->repeats) < 0)
            fail(catalogue, "out of memory for it", true, answer->http_status);
    } else if ((reply->outcome == REPLY_REFUSED || reply->outcome == REPLY_NOT_EXECUTED) &&
               is_for_the_account(catalogue, reply)) {
        rest(catalogue, clock_monotonic_us() + US_PER_S);
    } else {
        fail(catalogue, reply->error ? reply->error : "no answer that can be read", true,
             answer->http_status);
    }
}

/* The slot was taken, and now counts in the ledger: what a crash leaves behind stays taken. */
static void counted(void *userdata, const struct store_answer *answer)
{
    const struct api_request request = {.action = ACTION_SERVICES};
    struct catalogue *catalogue = userdata;
    struct client *client = catalogue->account->client;
    int64_t now_us = clock_monotonic_us();

    catalogue->busy = false;
    if (answer->verdict != STORE_DONE || !lease_holds(&catalogue->account->lease) ||
        client_budget(client)->paused_until_us > now_us) {
        client_give_back(client, 1, now_us);
        rest(catalogue, now_us + US_PER_S);
        return;
    }
    catalogue->asked_us = now_us;
    if (client_send(client, &request, NULL, answered, catalogue) < 0)
        rest(catalogue, now_us + LEDGER_RETRY_S * US_PER_S);
    else
        catalogue->busy = true;
}

static void ask(struct catalogue *catalogue, int64_t now_us)
{
    if (accounts_count_read(ledger_of(catalogue), catalogue->account->id, 1, counted, catalogue) ==
        0) {
        catalogue->busy = true;
        return;
    }
    client_give_back(catalogue->account->client, 1, now_us);
    rest(catalogue, now_us + LEDGER_RETRY_S * US_PER_S);
}

/* ---- looking ---- */

static void looked(void *userdata, const struct store_answer *answer)
{
    struct catalogue *catalogue = userdata;
    struct catalogue_timing *timing = &catalogue->timing;
    int64_t now_us = clock_monotonic_us(), wait_us;

    if (!carried_out(catalogue, answer))
        return;
    services_timing(answer->rows, timing);
    timing->interval_s = catalogue->account->config->catalogue_interval_s;
    timing->failures = catalogue->failures;
    timing->refused = catalogue->refused;
    timing->refusals = catalogue->refusals;
    catalogue->read_before = timing->read_ago_s >= 0;
    catalogue->looked_us = now_us;
    wait_us = catalogue_wait_s(timing) * US_PER_S;
    if (wait_us == 0)
        catalogue->step = CATALOGUE_ASKS;
    else
        rest(catalogue, now_us + (wait_us < LOOK_INTERVAL_US ? wait_us : LOOK_INTERVAL_US));
}

static void look(struct catalogue *catalogue, int64_t now_us)
{
    catalogue->step = CATALOGUE_LOOKS;
    catalogue->looked_holding = lease_holds(&catalogue->account->lease);
    catalogue->next_us = now_us + LOOK_INTERVAL_US;
    handed_over(catalogue,
                services_look(ledger_of(catalogue), catalogue->account->id, looked, catalogue));
}

/* ---- the job ---- */

void catalogue_init(struct catalogue *catalogue, struct account *account)
{
    *catalogue = (struct catalogue){.account = account, .workshop = account->workshop};
}

void catalogue_done(struct catalogue *catalogue)
{
    reply_done(&catalogue->reply);
}

void catalogue_wake(struct catalogue *catalogue, int64_t now_us)
{
    int64_t soon_us = catalogue->looked_us + WAKE_LOOK_US;

    if (catalogue->next_us > now_us)
        catalogue->next_us = soon_us > now_us ? soon_us : now_us;
}

/* At a first start orders wait for the list: they make way as soon as their claim finds that there
 * is none, which nobody tells. */
static int64_t next_slot_us(const struct catalogue *catalogue, int64_t now_us)
{
    int64_t next_us = client_next_us(catalogue->account->client, BUDGET_READ, 0, now_us);

    return !catalogue->read_before && next_us > now_us + SLOT_LOOK_US ? now_us + SLOT_LOOK_US
                                                                      : next_us;
}

/* Whoever had the lease before may have read it a moment ago: with the lease it is looked again. */
static int64_t work_towards_asking(struct catalogue *catalogue, int64_t now_us)
{
    struct account *account = catalogue->account;
    bool holds = lease_holds(&account->lease);

    if (holds && catalogue->looked_holding) {
        if (account_free_us(account, now_us) > now_us)
            return account_free_us(account, now_us);
        if (client_take(account->client, BUDGET_READ, 1, 0, now_us) == 0)
            return next_slot_us(catalogue, now_us);
        ask(catalogue, now_us);
    } else if (holds || now_us >= catalogue->looked_us + LEASE_LOOK_US) {
        look(catalogue, now_us);
    } else {
        return catalogue->looked_us + LEASE_LOOK_US;
    }
    return INT64_MAX;
}

int64_t catalogue_work(struct catalogue *catalogue, int64_t now_us)
{
    struct account *account = catalogue->account;

    if (account->service_refused) {
        account->service_refused = false;
        catalogue->refused = true;
        catalogue->next_us = now_us;
    }
    if (catalogue->busy || catalogue->workshop->stopping || !connection_is_up(ledger_of(catalogue)))
        return INT64_MAX;
    switch (catalogue->step) {
    case CATALOGUE_LOOKS:
        if (now_us < catalogue->next_us)
            return catalogue->next_us;
        look(catalogue, now_us);
        break;
    case CATALOGUE_ASKS:
        return work_towards_asking(catalogue, now_us);
    case CATALOGUE_COMPARES:
        compare(catalogue);
        break;
    case CATALOGUE_STORES:
        store(catalogue);
        break;
    case CATALOGUE_ENDS:
        end(catalogue, now_us);
        break;
    }
    return INT64_MAX;
}

bool catalogue_wants_lease(const struct catalogue *catalogue)
{
    return catalogue->step == CATALOGUE_ASKS;
}
