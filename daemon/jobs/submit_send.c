#include "jobs/submit_send.h"
#include "base/own.h"
#include "host/clock.h"
#include "host/crash_point.h"
#include "host/events.h"
#include "rules/add_outcome.h"
#include "wire/add_check.h"
#include <stdlib.h>

#define SERVICE_WAIT_S                                                                             \
    60 /* by then its service is known as refused, and it waits for the catalogue */
/* Instead of a wait: the account is paused, and when it is not, the older ones go first. */
#define IN_ITS_PLACE ((int64_t)-1)

/* ---- an answer of the provider ---- */

static int64_t seconds_until(int64_t then_us, int64_t now_us)
{
    return then_us > now_us ? (then_us - now_us + US_PER_S - 1) / US_PER_S : 0;
}

/* It did not leave: nobody was there, or the account's pause overtook it. */
static int64_t wait_unsent(const struct account *account)
{
    int64_t now_us = clock_monotonic_us(),
            wait_s = seconds_until(account_submits_free_us(account, now_us), now_us);

    if (account->out_of_funds || account->pauses > 0)
        return IN_ITS_PLACE;
    return wait_s > 5 ? wait_s : 5;
}

/* What a refusal that can pass means for the account, and how long this order waits. */
static int64_t wait_after(struct flight *flight, const struct reply *reply, const char *words)
{
    struct account *account = flight->submit->account;
    int64_t now_us = clock_monotonic_us();

    if (!reply)
        return wait_unsent(account);
    switch (reply->class) {
    case ERROR_KEY:
    case ERROR_ENDPOINT:
        account_pause(account, reply->class, words, now_us);
        return IN_ITS_PLACE;
    case ERROR_FUNDS:
        account_pause_submits(account, words, flight->sent_us, now_us);
        return IN_ITS_PLACE;
    case ERROR_RATE:
        account_note_rate(account, words, now_us);
        return seconds_until(client_budget(account->client)->paused_until_us, now_us);
    case ERROR_DUPLICATE:
        return 300;
    case ERROR_SERVICE:
        return SERVICE_WAIT_S;
    case ERROR_NONE:
    case ERROR_PARAMETERS:
    case ERROR_ORDER:
    case ERROR_REFILL:
    case ERROR_REQUEST:
    case ERROR_SERVER:
    case ERROR_OTHER:
        break;
    }
    return 5;
}

static void put_off(struct flight *flight, const char *outcome, const struct reply *reply,
                    const char *words)
{
    flight_end_put_off(flight, outcome, words, wait_after(flight, reply, words));
}

static void service_noted(void *userdata, const struct store_answer *answer)
{
    (void)userdata;
    if (answer->verdict == STORE_REFUSED)
        log_debug("unable to note a refused service: %s", answer->problem.text);
}

/* By the known catalogue: the claim found its type there. */
static bool is_listed(const struct flight *flight)
{
    return row_text(flight->batch->rows, flight->row, CLAIM_TYPE) != NULL;
}

/* "Not found or disabled", though it is listed: it is disabled, and that can pass. What is asked
 * of the ledger first is done before this end is recorded; without it the next try says it again.
 */
static void put_off_service(struct flight *flight, const struct reply *reply)
{
    struct submit *submit = flight->submit;
    const char *service = row_text(flight->batch->rows, flight->row, CLAIM_SERVICE);
    struct log_entry entry = flight_log_entry(flight);

    entry.message_id = MESSAGE_ORDER_HELD;
    log_write(LOG_LEVEL_INFO, &entry,
              "order %s waits: %s lists service %s and refuses it (%s); tried again after the next "
              "catalogue",
              flight->order_ref, submit_provider(submit), service, reply->error);
    (void)orders_refuse_service(submit->workshop->lanes.ledger, submit->account->id, service,
                                service_noted, NULL);
    put_off(flight, "put off", reply, reply->error);
}

static void duplicate_decided(void *userdata, const struct store_answer *answer)
{
    struct flight *flight = userdata;
    bool other = answer->verdict == STORE_DONE && row_boolean(answer->rows, 0, 0);
    const struct reply reply = {.outcome = REPLY_REFUSED, .class = ERROR_DUPLICATE};
    OWN(text_done) struct text words = {0};

    flight->submit->asking--;
    text_add(&words,
             flight->answer ? flight->answer : "the provider has an active order with this link");
    free(GIVE(flight->answer));
    if (other)
        put_off(flight, "put off", &reply, text_string(&words));
    else
        flight_end_unknown(flight, text_string(&words));
}

/* "Duplicate link" echoes another order of ours, or this very attempt: the ledger tells. Without
 * its answer it stays unknown. */
static void decide_duplicate(struct flight *flight, const struct reply *reply)
{
    if (orders_hold_duplicates(flight->submit->workshop->lanes.ledger, flight->order_id,
                               flight->submit->workshop->tell_shop, duplicate_decided,
                               flight) != 0) {
        flight_end_unknown(flight, reply->error);
        return;
    }
    flight->stage = FLIGHT_ASKING;
    flight->submit->asking++;
    flight->answer = flight_copy_words(reply->error);
}

static void note_took(struct submit *submit, int64_t took_us)
{
    if (submit->add_took_us == 0)
        submit->add_took_us = took_us;
    submit->add_took_us += (took_us - submit->add_took_us) / 16;
}

static void answered(void *userdata, const struct client_answer *answer)
{
    struct flight *flight = userdata;
    struct submit *submit = flight->submit;
    const struct reply *reply = answer->reply;
    const char *words = reply ? reply->error : answer->problem.text;

    CRASH_POINT("reply: arrived");
    submit->on_the_wire--;
    if (reply)
        note_took(submit, answer->took_us);
    flight->http_status = answer->http_status;
    if (reply && reply->outcome != REPLY_UNKNOWN)
        account_note_told(submit->account);
    if (reply && reply->outcome == REPLY_REFUSED && reply->class == ERROR_SERVICE)
        submit->account->service_refused = true;
    if (reply && reply->outcome == REPLY_REFUSED && reply->class == ERROR_DUPLICATE) {
        account_note_answer(submit->account);
        decide_duplicate(flight, reply);
        return;
    }
    switch (add_outcome_of(answer->sent, reply, false)) {
    case ADD_ACCEPTED:
        flight_end_accepted(flight, reply->id, clock_monotonic_us() - answer->took_us);
        break;
    case ADD_REFUSED:
        account_note_answer(submit->account);
        if (reply->class == ERROR_SERVICE && is_listed(flight))
            put_off_service(flight, reply);
        else
            flight_end_refused(flight, words);
        break;
    case ADD_PUT_OFF:
        put_off(flight, "put off", reply, words);
        break;
    case ADD_NOT_EXECUTED:
        if (!reply && !answer->refused_at_gate) {
            account_note_failure(submit->account, BREAKER_NOBODY, words, clock_monotonic_us());
        }
        put_off(flight, "not executed", reply, words);
        break;
    case ADD_UNKNOWN:
        account_note_failure(submit->account, BREAKER_LOST, words ? words : "no answer",
                             clock_monotonic_us());
        flight_end_unknown(flight, words);
        break;
    }
    submit_send_ready(submit);
}

/* ---- sending ---- */

static bool may_leave(const struct flight *flight)
{
    return clock_boottime_us() < flight->send_before_us &&
           flight->epoch == flight->submit->workshop->epoch &&
           lease_holds(&flight->submit->account->lease);
}

static bool journal_leaves(struct flight *flight)
{
    const PGresult *rows = flight->batch->rows;
    const struct flight_record record = {.kind = RECORD_LEAVES,
                                         .account_id = flight->submit->account->id,
                                         .order_id = flight->order_id,
                                         .number = flight->number,
                                         .order_ref = flight->order_ref,
                                         .provider = submit_provider(flight->submit),
                                         .service = row_text(rows, flight->row, CLAIM_SERVICE),
                                         .link = row_text(rows, flight->row, CLAIM_LINK),
                                         .quantity = row_text(rows, flight->row, CLAIM_QUANTITY)};

    CRASH_POINT("send: before the journal");
    flight->left = flight_file_leaves(flight->journal, &record);
    CRASH_POINT("send: after the journal");
    return flight->left;
}

/*
 * Immediately before the first byte leaves: is the claim still good, and does the journal have it?
 * Writing may take long where the disk does, so the time is looked at again; what was recorded and
 * does not leave gets its end at once.
 */
static bool leave(void *userdata)
{
    struct flight *flight = userdata;

    if (!may_leave(flight) || !journal_leaves(flight))
        return false;
    if (may_leave(flight))
        return true;
    flight->outcome = "not executed";
    flight_keep_end(flight);
    return false;
}

/* What is sent, or why it is not: an add_verdict, or -ENOMEM. */
static int collect_parameters(const struct flight *flight, struct add_parameters *ret_parameters,
                              struct problem *reterr_problem)
{
    const PGresult *rows = flight->batch->rows;
    struct add_line line = {.type = row_text(rows, flight->row, CLAIM_TYPE),
                            .params = row_text(rows, flight->row, CLAIM_PARAMS)};

    for (int i = 0; i < ADD_COLUMN_COUNT; i++)
        line.columns[i] = row_text(rows, flight->row, CLAIM_SERVICE + i);
    return add_check(&line, ret_parameters, reterr_problem);
}

static void flight_send(struct flight *flight)
{
    struct submit *submit = flight->submit;
    OWN(add_parameters_done) struct add_parameters parameters = {0};
    struct problem problem = {0};
    int verdict = collect_parameters(flight, &parameters, &problem);
    struct api_request request = {
        .action = ACTION_ADD, .parameters = parameters.list, .parameter_count = parameters.count};

    submit->ready--;
    if (verdict != ADD_SOUND) {
        client_give_back(submit->account->client, 1, clock_monotonic_us());
        if (verdict == ADD_UNSOUND)
            flight_end_unsound(flight, problem.text);
        else
            flight_end_put_off(flight, "not executed",
                               "the request could not be made: out of memory", 5);
        return;
    }
    flight->stage = FLIGHT_ON_THE_WIRE;
    flight->sent_us = clock_monotonic_us();
    submit->on_the_wire++;
    account_note_add(submit->account, clock_monotonic_us());
    if (client_send(submit->account->client, &request, leave, answered, flight) < 0) {
        submit->on_the_wire--;
        flight_end_put_off(flight, "not executed", "the request could not be made: out of memory",
                           5);
    }
    CRASH_POINT("send: given to the transport");
}

/* A claimed line that the account's pause overtook: back to the queue, where it can be cancelled.
 */
static void hold_back(struct flight *flight)
{
    struct submit *submit = flight->submit;

    submit->ready--;
    client_give_back(submit->account->client, 1, clock_monotonic_us());
    flight_end_put_off(flight, "not executed", "not sent: submits to the provider wait",
                       IN_ITS_PLACE);
}

static int64_t wait_of(const struct submit *submit)
{
    int64_t now_us = clock_monotonic_us(),
            free_us = account_submits_free_us(submit->account, now_us),
            paused_until_us = client_budget(submit->account->client)->paused_until_us;

    return (paused_until_us > free_us ? paused_until_us : free_us) - now_us;
}

void submit_send_ready(struct submit *submit)
{
    struct flight *flight;
    int64_t wait_us;

    if (submit->ready == 0)
        return;
    wait_us = wait_of(submit);
    TAILQ_FOREACH(flight, &submit->flights, entry)
    {
        if (flight->stage == FLIGHT_READY && wait_us > 0) {
            hold_back(flight);
            continue;
        }
        if (client_free_connections(submit->account->client) == 0)
            return;
        if (flight->stage == FLIGHT_READY)
            flight_send(flight);
    }
}
