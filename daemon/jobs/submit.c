#include "jobs/submit.h"
#include "base/own.h"
#include "host/clock.h"
#include "host/crash_point.h"
#include "host/events.h"
#include "rules/add_outcome.h"
#include "store/shop.h"
#include "wire/add_check.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEND_WITHIN_S 30 /* a claim that could not be sent by then goes back to the queue */
#define FIRST_POLL_S 5
#define JOURNAL_AGAIN_S 5
#define SERVICE_WAIT_S                                                                             \
    60 /* by then its service is known as refused, and it waits for the catalogue */
#define UNRECORDED_MAX 1000 /* no claim while that many ends wait for the ledger */
/* Instead of a wait: the account is paused, and when it is not, the older ones go first. */
#define IN_ITS_PLACE ((int64_t)-1)

/* The rows of one claim, shared by its flights until the last of them is sent. */
struct claim_batch {
    PGresult *rows;
    unsigned users;
};

static void batch_release(struct claim_batch *batch)
{
    if (!batch || --batch->users > 0)
        return;
    PQclear(batch->rows);
    free(batch);
}

static void flight_free(struct flight *flight)
{
    batch_release(flight->batch);
    flight_file_release(flight->journal);
    free(flight->order_ref);
    free(flight->provider_order_id);
    free(flight->answer);
    free(flight);
}

static const char *provider_of(const struct submit *submit)
{
    return submit->account->config->name;
}

/* ---- the end of a flight ---- */

/* What comes from outside is kept in a form that the ledger and a terminal can hold. */
static char *copy_words(const char *words)
{
    char line[1000];

    if (!words)
        return NULL;
    text_one_line(line, sizeof line, words);
    return strdup(line);
}

/* The journal's record of the end comes first: from then on no death loses it. */
static void journal_end(struct flight *flight)
{
    const struct flight_record record = {.kind = RECORD_ENDED,
                                         .account_id = flight->submit->account->id,
                                         .order_id = flight->order_id,
                                         .number = flight->number,
                                         .order_ref = flight->order_ref,
                                         .provider = provider_of(flight->submit),
                                         .outcome = flight->outcome,
                                         .provider_order_id = flight->provider_order_id,
                                         .answer = flight->answer,
                                         .http_status = (int)flight->http_status,
                                         .wait_s = flight->wait_s};

    if (!flight->left)
        return;
    CRASH_POINT("reply: before the journal");
    flight_file_ended(flight->journal, &record);
    flight->left = false;
    CRASH_POINT("reply: after the journal");
}

static void flight_end(struct flight *flight, const char *outcome, const char *words,
                       int64_t wait_s)
{
    struct submit *submit = flight->submit;

    flight->outcome = outcome;
    flight->answer = copy_words(words);
    flight->wait_s = wait_s;
    journal_end(flight);
    flight->stage = FLIGHT_ENDED;
    submit->ended++;
    batch_release(flight->batch);
    flight->batch = NULL;
}

static struct log_entry entry_of(const struct flight *flight)
{
    return (struct log_entry){.order_ref = flight->order_ref,
                              .provider = provider_of(flight->submit),
                              .action = "add",
                              .http_status = flight->http_status};
}

/* By us, before anything was sent. */
static void note_rejected(struct submit *submit, struct log_entry *entry, const char *words)
{
    submit->workshop->counts.refused++;
    entry->message_id = MESSAGE_ORDER_REJECTED;
    entry->hint = "correct it in the shop, then chwsyncd retry";
    log_write(LOG_LEVEL_WARNING, entry, "order %s rejected, nothing was sent: %s", entry->order_ref,
              words);
}

static void end_accepted(struct flight *flight, const char *provider_order_id, int64_t sent_us)
{
    struct log_entry entry = entry_of(flight);

    account_note_accepted(flight->submit->account, sent_us);
    flight->provider_order_id = strdup(provider_order_id);
    flight_end(flight, "accepted", NULL, 0);
    flight->submit->workshop->counts.bought++;
    entry.message_id = MESSAGE_ORDER_BOUGHT;
    log_write(LOG_LEVEL_INFO, &entry, "order %s bought: %s order %s", flight->order_ref,
              provider_of(flight->submit), provider_order_id);
}

static void end_refused(struct flight *flight, const char *words)
{
    struct log_entry entry = entry_of(flight);

    flight_end(flight, "refused", words, 0);
    flight->submit->workshop->counts.refused++;
    entry.message_id = MESSAGE_ORDER_REJECTED;
    log_write(LOG_LEVEL_WARNING, &entry, "order %s rejected by %s: %s", flight->order_ref,
              provider_of(flight->submit), flight->answer ? flight->answer : "no reason given");
}

/* It never left. */
static void end_unsound(struct flight *flight, const char *words)
{
    struct log_entry entry = entry_of(flight);

    flight_end(flight, "refused", words, 0);
    note_rejected(flight->submit, &entry, words);
}

static void end_unknown(struct flight *flight, const char *words)
{
    struct log_entry entry = entry_of(flight);

    flight_end(flight, "unknown", words, 0);
    flight->submit->workshop->counts.unknown++;
    entry.message_id = MESSAGE_ORDER_UNCERTAIN;
    entry.hint =
        "it is not sent again; look in the provider's dashboard whether the order exists there";
    workshop_note_error(flight->submit->workshop, "order %s is uncertain", flight->order_ref);
    log_write(LOG_LEVEL_ERROR, &entry, "order %s is uncertain: sent to %s, but %s",
              flight->order_ref, provider_of(flight->submit),
              flight->answer ? flight->answer : "no answer came");
}

static void end_put_off(struct flight *flight, const char *outcome, const char *words,
                        int64_t wait_s)
{
    struct log_entry entry = entry_of(flight);

    flight_end(flight, outcome, words, wait_s);
    flight->submit->workshop->counts.put_off++;
    if (wait_s < 0)
        log_write(LOG_LEVEL_DEBUG, &entry,
                  "order %s was not bought: %s; next try when orders go on", flight->order_ref,
                  flight->answer ? flight->answer : outcome);
    else
        log_write(LOG_LEVEL_DEBUG, &entry, "order %s was not bought: %s; next try in %lld s",
                  flight->order_ref, flight->answer ? flight->answer : outcome, (long long)wait_s);
}

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
    end_put_off(flight, outcome, words, wait_after(flight, reply, words));
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
    struct log_entry entry = entry_of(flight);

    entry.message_id = MESSAGE_ORDER_HELD;
    log_write(LOG_LEVEL_INFO, &entry,
              "order %s waits: %s lists service %s and refuses it (%s); tried again after the next "
              "catalogue",
              flight->order_ref, provider_of(submit), service, reply->error);
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

    text_add(&words,
             flight->answer ? flight->answer : "the provider has an active order with this link");
    free(GIVE(flight->answer));
    if (other)
        put_off(flight, "put off", &reply, text_string(&words));
    else
        end_unknown(flight, text_string(&words));
}

/* "Duplicate link" echoes another order of ours, or this very attempt: the ledger tells. Without
 * its answer it stays unknown. */
static void decide_duplicate(struct flight *flight, const struct reply *reply)
{
    flight->stage = FLIGHT_ASKING;
    flight->answer = copy_words(reply->error);
    if (orders_hold_duplicates(flight->submit->workshop->lanes.ledger, flight->order_id,
                               flight->submit->workshop->tell_shop, duplicate_decided, flight) != 0)
        end_unknown(flight, reply->error);
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
        end_accepted(flight, reply->id, clock_monotonic_us() - answer->took_us);
        break;
    case ADD_REFUSED:
        account_note_answer(submit->account);
        if (reply->class == ERROR_SERVICE && is_listed(flight))
            put_off_service(flight, reply);
        else
            end_refused(flight, words);
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
        end_unknown(flight, words);
        break;
    }
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
                                         .provider = provider_of(flight->submit),
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
    journal_end(flight);
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
            end_unsound(flight, problem.text);
        else
            end_put_off(flight, "not executed", "the request could not be made: out of memory", 5);
        return;
    }
    flight->stage = FLIGHT_ON_THE_WIRE;
    flight->sent_us = clock_monotonic_us();
    submit->on_the_wire++;
    account_note_add(submit->account, clock_monotonic_us());
    if (client_send(submit->account->client, &request, leave, answered, flight) < 0) {
        submit->on_the_wire--;
        end_put_off(flight, "not executed", "the request could not be made: out of memory", 5);
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
    end_put_off(flight, "not executed", "not sent: submits to the provider wait", IN_ITS_PLACE);
}

static int64_t wait_of(const struct submit *submit)
{
    int64_t now_us = clock_monotonic_us(),
            free_us = account_submits_free_us(submit->account, now_us),
            paused_until_us = client_budget(submit->account->client)->paused_until_us;

    return (paused_until_us > free_us ? paused_until_us : free_us) - now_us;
}

static void send_ready(struct submit *submit)
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

/* ---- claiming ---- */

static void release_slots(struct submit *submit, unsigned used)
{
    if (submit->reserved > used)
        client_give_back(submit->account->client, submit->reserved - used, clock_monotonic_us());
    submit->reserved = 0;
}

static bool flight_begin(struct submit *submit, struct claim_batch *batch, int row,
                         int64_t send_before_us)
{
    struct flight *flight = calloc(1, sizeof *flight);

    if (!flight)
        return false;
    flight->order_ref = strdup(row_text(batch->rows, row, CLAIM_ORDER_REF));
    if (!flight->order_ref) {
        free(flight);
        return false;
    }
    flight->submit = submit;
    flight->order_id = row_integer(batch->rows, row, CLAIM_ORDER_ID, 0);
    flight->number = (int)row_integer(batch->rows, row, CLAIM_NUMBER, 0);
    flight->send_before_us = send_before_us;
    flight->epoch = submit->claim_epoch;
    flight->journal = flight_file_share(submit->claim_journal);
    flight->batch = batch;
    flight->row = row;
    batch->users++;
    flight->stage = FLIGHT_READY;
    submit->ready++;
    TAILQ_INSERT_TAIL(&submit->flights, flight, entry);
    return true;
}

/* Its last row is no order. */
static int claimed_count(const PGresult *rows)
{
    return PQntuples(rows) - 1;
}

static bool claim_has_more(const PGresult *rows)
{
    return row_boolean(rows, claimed_count(rows), CLAIM_MORE);
}

/* The safety catch of the configuration is told of once, until orders go again. */
static void note_limit(struct submit *submit, const struct log_entry *order, const char *reason)
{
    const struct log_entry entry = {.order_ref = order->order_ref,
                                    .provider = order->provider,
                                    .message_id = MESSAGE_SPENDING_STOPPED,
                                    .hint = "if that is right, raise the limit of the provider in "
                                            "the configuration and reload"};

    if (submit->limit_log.count == 0)
        log_repeated(&submit->limit_log, LOG_LEVEL_WARNING, &entry,
                     "orders for %s are stopped by a limit of the configuration, the first is %s: "
                     "%s",
                     entry.provider, entry.order_ref, reason);
}

/* Rejected, or held for another reason than before. */
static void note_judged(struct submit *submit, const PGresult *rows, int row)
{
    const char *verdict = row_text(rows, row, CLAIM_VERDICT),
               *reason = row_text(rows, row, CLAIM_REASON);
    struct log_entry entry = {.order_ref = row_text(rows, row, CLAIM_ORDER_REF),
                              .provider = provider_of(submit),
                              .message_id = MESSAGE_ORDER_HELD};

    if (strcmp(verdict, "rejected") == 0) {
        note_rejected(submit, &entry, reason);
        return;
    }
    submit->workshop->counts.put_off++;
    if (strcmp(verdict, "funds") == 0)
        submit->account->funds_short = true;
    if (strcmp(verdict, "limit") == 0 || strcmp(verdict, "spent") == 0)
        note_limit(submit, &entry, reason);
    log_write(LOG_LEVEL_INFO, &entry, "order %s waits: %s", entry.order_ref, reason);
}

/* The shop answered NULL: its row is locked, or its view shows nothing at all. */
static void note_busy(struct submit *submit, const char *order_ref)
{
    log_repeated(
        &submit->busy_log, LOG_LEVEL_INFO,
        &(struct log_entry){.order_ref = order_ref, .provider = provider_of(submit)},
        "the shop cannot say now whether order %s may be sent; it is asked again in 2 s, then "
        "at growing intervals of up to 30 s",
        order_ref);
}

static void note_withdrawn(const struct submit *submit, const char *order_ref)
{
    log_write(LOG_LEVEL_INFO,
              &(struct log_entry){.message_id = MESSAGE_ORDER_WITHDRAWN,
                                  .order_ref = order_ref,
                                  .provider = provider_of(submit)},
              "order %s was withdrawn by the shop before it was sent", order_ref);
}

/*
 * Takes the answer's rows. Returns how many lines are ready to be sent. When memory was not left
 * for all of them, what the claim holds beyond those is released as if its commit had been
 * ambiguous.
 */
static unsigned take_rows(struct submit *submit, const struct store_answer *answer,
                          int64_t send_before_us)
{
    const PGresult *rows = answer->rows;
    struct claim_batch *batch = calloc(1, sizeof *batch);
    unsigned begun = 0, wanted = 0, judged = 0;

    if (batch) {
        batch->rows = store_take_rows(answer);
        batch->users = 1;
    }
    for (int i = 0; i < claimed_count(rows); i++) {
        const char *go = row_text(rows, i, CLAIM_GO);

        if (row_text(rows, i, CLAIM_VERDICT)) {
            note_judged(submit, rows, i);
            judged++;
        } else if (!go) {
            note_busy(submit, row_text(rows, i, CLAIM_ORDER_REF));
        } else if (row_boolean(rows, i, CLAIM_GO)) {
            wanted++;
            begun += batch && batch->rows && flight_begin(submit, batch, i, send_before_us);
        } else {
            note_withdrawn(submit, row_text(rows, i, CLAIM_ORDER_REF));
        }
    }
    if (begun < wanted)
        submit->ambiguous_claim = submit->account->lease.claims;
    if (wanted > 0)
        log_recovered(&submit->limit_log);
    if (judged > 0)
        submit->on_recorded(submit->userdata, 0); /* the shop is to be told */
    batch_release(batch);
    return begun;
}

static void put_off_single(void *userdata, const struct store_answer *answer)
{
    (void)answer;
    ((struct submit *)userdata)->claiming = false;
}

/* The line that is claimed alone. */
static void put_off_this(struct submit *submit, const char *why)
{
    struct singles *singles = &submit->singles;

    if (orders_put_off(submit->workshop->lanes.ledger, singles->ids[singles->next], 60, why,
                       put_off_single, submit) == 0)
        submit->claiming = true;
    singles->next++;
}

static void claim_failed(struct submit *submit, const struct store_answer *answer)
{
    struct log_entry entry = {.provider = provider_of(submit),
                              .sqlstate = answer->sqlstate,
                              .message_id = MESSAGE_CLAIM_FAILED,
                              .hint = "the shop's function (or view) failed for it; the order "
                                      "stays queued, the others go on"};
    struct singles *singles = &submit->singles;

    if (sqlstate_doubts_contract(answer->sqlstate))
        submit->workshop->contract_doubtful = true;
    if (!singles_left(singles)) { /* the whole batch failed: who is in it? */
        log_debug("a claim failed (%s), its lines are claimed one by one", answer->problem.text);
        submit->singles.count = submit->singles.next = 0;
        submit->hungry = true;
        submit->ask_due = true;
        return;
    }
    log_repeated(
        &submit->claim_log, LOG_LEVEL_WARNING, &entry,
        "unable to ask the shop whether an order may be sent: %s; it is asked again in 60 s",
        answer->problem.text);
    workshop_note_error(submit->workshop, "veto: %s", answer->problem.text);
    put_off_this(submit, answer->problem.text);
}

/* Nothing was claimed: another instance took over, or this database has lost our last claim. */
static void fenced_off(struct submit *submit)
{
    log_event(LOG_LEVEL_NOTICE, MESSAGE_DATABASE_CHANGED,
              "the lease for %s is not as it was: the ledger is looked at again",
              provider_of(submit));
    lease_forget(&submit->account->lease, clock_monotonic_us());
    submit->workshop->ledger_doubtful = true;
    submit->hungry = true;
}

static void claimed(void *userdata, const struct store_answer *answer)
{
    struct submit *submit = userdata;
    struct lease *lease = &submit->account->lease;
    bool single = singles_left(&submit->singles);
    unsigned begun = 0;
    bool more;

    submit->claiming = false;
    switch (answer->verdict) {
    case STORE_DONE:
        CRASH_POINT("claim: committed");
        if (PQntuples(answer->rows) == 0) {
            fenced_off(submit);
            break;
        }
        lease_note_claim(lease, submit->claim_asked_us);
        if (submit->ambiguous_claim == lease->claims)
            submit->ambiguous_claim = 0; /* the other of that number can no longer be committed */
        more = claim_has_more(answer->rows); /* the rows are given away next */
        begun = take_rows(submit, answer, submit->claim_asked_us + SEND_WITHIN_S * US_PER_S);
        submit->claim_took_us += (answer->took_us - submit->claim_took_us) / 8;
        if (single)
            submit->singles.next++;
        else
            submit->hungry = more;
        break;
    case STORE_REFUSED:
        claim_failed(submit, answer);
        break;
    case STORE_LOST:
        submit->ambiguous_claim = lease->claims + 1;
        lease_forget(lease, clock_monotonic_us());
        submit->hungry = true;
        /* Perhaps the shop's function killed its backend: then for one of these lines. */
        if (single)
            put_off_this(submit, "the database connection broke while the shop was asked");
        else
            submit->ask_due = true;
        break;
    }
    flight_file_release(submit->claim_journal);
    submit->claim_journal = NULL;
    release_slots(submit, begun);
    send_ready(submit);
}

static void due_listed(void *userdata, const struct store_answer *answer)
{
    struct submit *submit = userdata;

    submit->claiming = false;
    submit->ask_due = false;
    if (answer->verdict == STORE_DONE)
        singles_fill(&submit->singles, answer->rows);
}

/*
 * Connections that will be free by the time a claim is answered, as claims and requests went
 * lately: without them every connection would stand idle for the time of a claim after each
 * request. One that keeps silent far longer than usual is not expected back soon, and before the
 * first reply nothing is known. When the next one comes near: ret_next_us.
 */
static unsigned claim_ahead(const struct submit *submit, int64_t now_us, int64_t *ret_next_us)
{
    int64_t lead_us = submit->claim_took_us * 3 / 2 + US_PER_MS;
    int64_t near_us = submit->add_took_us - lead_us, late_us = 2 * submit->add_took_us + lead_us;
    unsigned ahead = 0, left = submit->on_the_wire;
    const struct flight *flight;

    *ret_next_us = INT64_MAX;
    if (submit->add_took_us == 0)
        return 0;
    TAILQ_FOREACH(flight, &submit->flights, entry)
    {
        int64_t age_us = now_us - flight->sent_us;

        if (left == 0)
            break;
        if (flight->stage != FLIGHT_ON_THE_WIRE)
            continue;
        left--;
        if (age_us >= near_us && age_us <= late_us)
            ahead++;
        else if (age_us < near_us && flight->sent_us + near_us < *ret_next_us)
            *ret_next_us = flight->sent_us + near_us;
    }
    return ahead;
}

/* The journal that the next claim names. Without one nothing is bought; everything else goes on. */
static bool take_journal(struct submit *submit, int64_t now_us)
{
    struct problem problem = {0};
    struct log_entry entry = {.message_id = MESSAGE_NO_JOURNAL, .hint = problem.hint};

    submit->claim_journal = flight_journal_hold(submit->workshop->journal, now_us, &problem);
    if (submit->claim_journal) {
        if (log_recovered(&submit->journal_log)) {
            log_event(LOG_LEVEL_NOTICE, MESSAGE_JOURNAL_WELL,
                      "the flight journal can be written again: orders for %s are bought",
                      provider_of(submit));
            submit->workshop->last_error[0] = '\0';
        }
        return true;
    }
    submit->journal_us = now_us + JOURNAL_AGAIN_S * US_PER_S;
    log_repeated(&submit->journal_log, LOG_LEVEL_ERROR, &entry,
                 "nothing is bought at %s: %s; looked at again every %d s, polls go on",
                 provider_of(submit), problem.text, JOURNAL_AGAIN_S);
    workshop_note_error(submit->workshop, "nothing is bought: %s", problem.text);
    return false;
}

static void claim(struct submit *submit, unsigned ahead, int64_t now_us)
{
    struct client *client = submit->account->client;
    unsigned wanted = account_is_probing(submit->account) || singles_left(&submit->singles)
                          ? 1
                          : ORDERS_BATCH_MAX;
    struct claim_options options = {.provider = provider_of(submit),
                                    .account_id = submit->account->id,
                                    .instance = submit->workshop->instance,
                                    .send_within_s = SEND_WITHIN_S,
                                    .lease_number = submit->account->lease.number,
                                    .lease_claims = submit->account->lease.claims,
                                    .max_charge = submit->account->config->max_charge_per_order,
                                    .max_spend_per_day = submit->account->config->max_spend_per_day,
                                    .tell_shop = submit->workshop->tell_shop};

    if (account_is_probing(submit->account) && submit->on_the_wire + submit->ready > 0)
        return;
    submit->reserved = client_take(client, BUDGET_ADD, wanted, ahead, now_us);
    if (submit->reserved == 0)
        return;
    if (!take_journal(submit, now_us)) {
        release_slots(submit, 0);
        return;
    }
    options.limit = submit->reserved;
    options.journal = flight_file_id(submit->claim_journal);
    if (singles_left(&submit->singles))
        options.only_order_id = submit->singles.ids[submit->singles.next];
    submit->claim_asked_us = clock_boottime_us();
    submit->claim_epoch = submit->workshop->epoch;
    CRASH_POINT("claim: before");
    if (shop_claim(submit->workshop->shop, submit->workshop->lanes.orders, &options, claimed,
                   submit) < 0) {
        release_slots(submit, 0);
        flight_file_release(submit->claim_journal);
        submit->claim_journal = NULL;
    } else {
        submit->claiming = true;
    }
    CRASH_POINT("claim: asked");
}

static void list_due(struct submit *submit)
{
    if (orders_due(submit->workshop->lanes.ledger, provider_of(submit), SINGLES_MAX, due_listed,
                   submit) == 0)
        submit->claiming = true;
}

/* ---- recording ---- */

static void recorded_one(struct submit *submit, struct flight *flight, unsigned *accepted)
{
    int64_t due_us = clock_monotonic_us() + flight->wait_s * US_PER_S;

    *accepted += strcmp(flight->outcome, "accepted") == 0;
    submit->hungry |= flight->wait_s < 0;
    if (flight->wait_s > 0 && due_us < submit->due_us)
        submit->due_us = due_us;
    TAILQ_REMOVE(&submit->flights, flight, entry);
    flight_free(flight);
}

static void alarm_surplus(struct submit *submit, const PGresult *rows, int row)
{
    struct log_entry entry = {.order_ref = row_text(rows, row, 0),
                              .provider = provider_of(submit),
                              .message_id = MESSAGE_BOUGHT_TWICE,
                              .hint = "ask the provider to cancel one of them; both are followed"};

    if (strcmp(row_text(rows, row, 1), "surplus") == 0)
        log_write(LOG_LEVEL_ERROR, &entry,
                  "order %s was bought twice: %s has a second order %s for it", entry.order_ref,
                  provider_of(submit), row_text(rows, row, 2));
}

static void recorded(void *userdata, const struct store_answer *answer)
{
    struct submit *submit = userdata;
    unsigned accepted = 0;
    size_t count = submit->batch_count;

    submit->recording = false;
    submit->batch_count = 0;
    if (answer->verdict == STORE_DONE) {
        submit->batch_limit = ORDERS_BATCH_MAX;
        submit->workshop->replied = true;
        if (log_recovered(&submit->record_log))
            log_event(LOG_LEVEL_NOTICE, MESSAGE_LEDGER_WELL, "outcomes are recorded again");
        CRASH_POINT("record: committed");
        for (int i = 0; i < PQntuples(answer->rows); i++)
            alarm_surplus(submit, answer->rows, i);
        for (size_t i = 0; i < count; i++)
            recorded_one(submit, submit->batch[i], &accepted);
        if (submit->workshop->ledger_was_older)
            submit->workshop->ledger_doubtful =
                true; /* they may have other numbers there: by way of the journal */
        submit->on_recorded(submit->userdata, accepted);
        return;
    }
    /* Money was spent: the outcomes stay here until the ledger has them. Saying them twice changes
     * nothing. */
    for (size_t i = 0; i < count; i++)
        submit->batch[i]->stage = FLIGHT_ENDED;
    submit->ended += (unsigned)count;
    if (answer->verdict == STORE_REFUSED) {
        log_repeated(&submit->record_log, LOG_LEVEL_ERROR,
                     &(struct log_entry){.provider = provider_of(submit),
                                         .sqlstate = answer->sqlstate,
                                         .message_id = MESSAGE_LEDGER_FAILED},
                     "unable to record what %s answered: %s; kept in memory, next try in 1 s",
                     provider_of(submit), answer->problem.text);
        submit->batch_limit = 1;
        submit->record_us = clock_monotonic_us() + US_PER_S;
        if (count == 1) { /* the others first */
            TAILQ_REMOVE(&submit->flights, submit->batch[0], entry);
            TAILQ_INSERT_TAIL(&submit->flights, submit->batch[0], entry);
        }
    }
}

static void record(struct submit *submit)
{
    struct attempt_end ends[ORDERS_BATCH_MAX];
    struct flight *flight;
    size_t count = 0;

    TAILQ_FOREACH(flight, &submit->flights, entry)
    {
        if (flight->stage != FLIGHT_ENDED)
            continue;
        ends[count] = (struct attempt_end){.order_id = flight->order_id,
                                           .number = flight->number,
                                           .outcome = flight->outcome,
                                           .provider_order_id = flight->provider_order_id,
                                           .http_status = flight->http_status,
                                           .answer = flight->answer,
                                           .journal = flight_file_id(flight->journal),
                                           .wait_s = flight->wait_s};
        submit->batch[count++] = flight;
        if (count == submit->batch_limit)
            break;
    }
    if (count == 0)
        return;
    CRASH_POINT("record: before");
    if (orders_record(submit->workshop->lanes.ledger, ends, count, submit->workshop->tell_shop,
                      FIRST_POLL_S, recorded, submit) < 0)
        return;
    CRASH_POINT("record: asked");
    for (size_t i = 0; i < count; i++)
        submit->batch[i]->stage = FLIGHT_RECORDING;
    submit->batch_count = count;
    submit->ended -= (unsigned)count;
    submit->recording = true;
}

/* ---- releasing what was claimed and never sent ---- */

static void released(void *userdata, const struct store_answer *answer)
{
    struct submit *submit = userdata;

    submit->releasing = false;
    if (answer->verdict != STORE_DONE)
        return;
    submit->ambiguous_claim = 0;
    if (PQntuples(answer->rows) > 0) {
        log_event(LOG_LEVEL_NOTICE, MESSAGE_CLAIMS_RETURNED,
                  "%d claimed orders were never sent and are queued again",
                  PQntuples(answer->rows));
        submit->hungry = true;
    }
}

DEFINE_OWN(int64_t, free, ids_freep)
DEFINE_OWN(char, free, words_freep)

static void release(struct submit *submit)
{
    OWN(ids_freep) int64_t *known = NULL;
    struct flight *flight;
    size_t count = 0;

    TAILQ_FOREACH(flight, &submit->flights, entry)
    count++;
    known = calloc(count + 1, sizeof *known);
    if (!known)
        return;
    count = 0;
    TAILQ_FOREACH(flight, &submit->flights, entry)
    known[count++] = flight->order_id;
    if (orders_release(submit->workshop->lanes.ledger, submit->workshop->instance,
                       submit->account->id, submit->ambiguous_claim, known, count, released,
                       submit) == 0)
        submit->releasing = true;
}

/* ---- the job ---- */

void submit_init(struct submit *submit, struct account *account)
{
    *submit = (struct submit){.account = account,
                              .workshop = account->workshop,
                              .batch_limit = ORDERS_BATCH_MAX,
                              .due_us = INT64_MAX};
    TAILQ_INIT(&submit->flights);
}

void submit_done(struct submit *submit)
{
    struct flight *flight;

    while ((flight = TAILQ_FIRST(&submit->flights))) {
        TAILQ_REMOVE(&submit->flights, flight, entry);
        flight_free(flight);
    }
}

void submit_wake(struct submit *submit, int64_t due_s, int64_t now_us)
{
    if (due_s == 0)
        submit->hungry = true;
    submit->due_us = due_s > 0 ? now_us + due_s * US_PER_S : INT64_MAX;
}

/* Whether the claim whose commit was ambiguous is committed: the lease's count says so. */
static bool must_release(const struct submit *submit)
{
    const struct lease *lease = &submit->account->lease;

    return submit->ambiguous_claim != 0 && lease->ours && lease->claims >= submit->ambiguous_claim;
}

bool submit_wants_lease(const struct submit *submit)
{
    return submit->ready > 0 || submit->ambiguous_claim != 0 ||
           (submit->hungry && (!submit->account->lease.ours || submit->account->lease.stops));
}

/* Lines are queued, and nothing that lasts stands in their way. Otherwise they must not keep polls
 * waiting. */
static bool adds_wait(const struct submit *submit, int64_t now_us)
{
    const struct workshop *workshop = submit->workshop;
    const struct lease *lease = &submit->account->lease;

    return submit->hungry && submit->account->compared && !workshop->stopping &&
           workshop->reconciled && lease->ours && !lease->stops && now_us >= submit->journal_us &&
           shop_has_view(workshop->shop) && connection_is_up(workshop->lanes.orders);
}

/* Tells the gate. False: adds wait no longer, and the others, who were worked before this job and
 * made way for them, are to be worked again. */
static bool note_waiting(const struct submit *submit, int64_t now_us, int64_t free_us)
{
    struct budget *budget = client_budget(submit->account->client);
    bool waited = budget->adds_waiting;

    budget->adds_waiting = adds_wait(submit, now_us) && free_us <= now_us;
    return !waited || budget->adds_waiting;
}

static bool may_claim(const struct submit *submit, int64_t now_us)
{
    return adds_wait(submit, now_us) && !submit->claiming && !submit->account->lease.asking &&
           !must_release(submit) && !submit->releasing &&
           submit->ended + submit->batch_count < UNRECORDED_MAX;
}

/* While a recording or a release is under way, its own callback is the next moment. */
static int64_t next_without_claim(const struct submit *submit, int64_t now_us)
{
    int64_t next_us = submit->due_us;

    if (submit->ended > 0 && !submit->recording && submit->record_us < next_us)
        next_us = submit->record_us;
    if (submit->journal_us > now_us && submit->journal_us < next_us)
        next_us = submit->journal_us;
    return next_us;
}

int64_t submit_work(struct submit *submit, int64_t now_us)
{
    struct account *account = submit->account;
    int64_t free_us = account_submits_free_us(account, now_us), near_us, slot_us;
    unsigned ahead;

    send_ready(submit);
    if (submit->ended > 0 && !submit->recording && now_us >= submit->record_us)
        record(submit);
    if (must_release(submit) && !submit->releasing && submit->workshop->reconciled &&
        connection_is_up(submit->workshop->lanes.ledger))
        release(submit);
    if (now_us >= submit->due_us) {
        submit->hungry = true;
        submit->due_us = INT64_MAX;
    }
    if (!note_waiting(submit, now_us, free_us))
        return now_us;
    if (!may_claim(submit, now_us))
        return next_without_claim(submit, now_us);
    if (free_us > now_us)
        return free_us;
    ahead = claim_ahead(submit, now_us, &near_us);
    if (submit->ask_due)
        list_due(submit);
    else
        claim(submit, ahead, now_us);
    if (submit->claiming ||
        (account_is_probing(account) && submit->on_the_wire + submit->ready > 0))
        return INT64_MAX;
    slot_us = client_next_us(account->client, BUDGET_ADD, ahead, now_us);
    return slot_us < near_us ? slot_us : near_us;
}

bool submit_is_stuck(const struct submit *submit, int64_t now_us)
{
    int64_t allowed_us = (submit->account->config->timeout_s + 60) * US_PER_S;
    const struct flight *flight;

    TAILQ_FOREACH(flight, &submit->flights, entry)
    {
        if (flight->stage == FLIGHT_ON_THE_WIRE && now_us - flight->sent_us > allowed_us)
            return true;
    }
    return false;
}

bool submit_is_quiet(const struct submit *submit)
{
    return TAILQ_EMPTY(&submit->flights) && !submit->claiming && !submit->recording &&
           !submit->releasing;
}

bool submit_can_be_left(const struct submit *submit)
{
    const struct flight *flight;

    TAILQ_FOREACH(flight, &submit->flights, entry)
    {
        if (flight->stage == FLIGHT_ON_THE_WIRE || !flight_file_is_whole(flight->journal))
            return false;
    }
    return true;
}

unsigned submit_leave(struct submit *submit)
{
    struct flight *flight;
    unsigned unrecorded = 0;

    TAILQ_FOREACH(flight, &submit->flights, entry)
    {
        if (flight->stage == FLIGHT_ASKING) {
            OWN(words_freep) char *words = GIVE(flight->answer);

            end_unknown(flight, words);
        }
        unrecorded += flight->stage != FLIGHT_READY;
    }
    return unrecorded;
}
