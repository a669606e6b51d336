#include "jobs/refill.h"
#include "base/own.h"
#include "host/clock.h"
#include "host/crash_point.h"
#include "host/events.h"
#include "rules/refill.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AGAIN_S 5      /* after a statement that failed */
#define LEASE_WAIT_S 2 /* it has been asked for */
#define NOT_SENT_WAIT_S 60
#define WORDS_SIZE 400

static char *copy(const char *text)
{
    char line[WORDS_SIZE];

    if (!text)
        return NULL;
    text_one_line(line, sizeof line, text);
    return strdup(line);
}

static void call_done(struct refill_call *call)
{
    free(call->order_ref);
    free(call->order_id);
    free(call->refill_id);
    free(call->state);
    free(call->new_refill_id);
    free(call->word);
    free(call->error);
    *call = (struct refill_call){0};
}

static const char *name_of(const struct refill *refill)
{
    return refill->account->config->name;
}

static bool is_request(const struct refill *refill)
{
    return strcmp(refill->call.state, "sending") == 0;
}

/* The job is free for the next one. */
static void end_call(struct refill *refill, int64_t next_us)
{
    call_done(&refill->call);
    refill->busy = refill->unrecorded = false;
    refill->next_us = next_us;
}

static void note_fault(struct refill *refill, const struct store_answer *answer, const char *what)
{
    log_repeated(&refill->fault_log, LOG_LEVEL_ERROR,
                 &(struct log_entry){.message_id = MESSAGE_LEDGER_FAILED,
                                     .provider = name_of(refill),
                                     .sqlstate = answer->sqlstate},
                 "unable to %s at %s: %s; next try in %d s", what, name_of(refill),
                 answer->problem.text, AGAIN_S);
}

/* ---- recording ---- */

static void record(struct refill *refill);

static void log_refill(const struct refill *refill, const PGresult *rows)
{
    const char *order_ref = row_text(rows, 0, 0), *before = row_text(rows, 0, 1),
               *state = row_text(rows, 0, 2), *refill_id = row_text(rows, 0, 3),
               *error = row_text(rows, 0, 5);
    struct log_entry entry = {
        .order_ref = order_ref, .provider = name_of(refill), .action = "refill"};

    if (strcmp(state, before) == 0)
        return;
    if (strcmp(state, "refused") == 0) {
        entry.message_id = MESSAGE_REFILL_REFUSED;
        log_write(LOG_LEVEL_WARNING, &entry, "order %s: %s refuses the refill: %s", order_ref,
                  name_of(refill), error ? error : "without words");
    } else if (strcmp(state, "uncertain") == 0) {
        entry.message_id = MESSAGE_REFILL_UNCERTAIN;
        entry.hint = "look for it at the provider, then: chwsyncd refill REF --placed ID, or "
                     "--not-placed";
        log_write(LOG_LEVEL_ERROR, &entry,
                  "order %s: it is not known whether %s took the request for a refill (%s); it is "
                  "not repeated",
                  order_ref, name_of(refill), error ? error : "no answer");
    } else if (refill_state_is_final(state)) {
        entry.message_id = MESSAGE_REFILL_ENDED;
        log_write(LOG_LEVEL_NOTICE, &entry, "order %s: refill %s is %s", order_ref, refill_id,
                  state);
    } else if (strcmp(state, "pending") == 0 && strcmp(before, "in_progress") != 0) {
        entry.message_id = MESSAGE_REFILL_ACCEPTED;
        log_write(LOG_LEVEL_DEBUG, &entry,
                  "order %s: %s took the request as refill %s; asked how it stands in %.0f s",
                  order_ref, name_of(refill), refill_id, refill->call.wait_s);
    } else {
        log_write(LOG_LEVEL_DEBUG, &entry, "order %s: refill %s is %s", order_ref,
                  refill_id ? refill_id : "", state);
    }
}

static void recorded(void *userdata, const struct store_answer *answer)
{
    struct refill *refill = userdata;

    switch (answer->verdict) {
    case STORE_DONE:
        CRASH_POINT("refill: recorded");
        log_recovered(&refill->fault_log);
        if (PQntuples(answer->rows) > 0)
            log_refill(refill, answer->rows);
        end_call(refill, clock_monotonic_us());
        refill->on_recorded(refill->userdata);
        break;
    case STORE_REFUSED: /* the answer is kept: a refill that was taken must not be lost */
        note_fault(refill, answer, "record a refill");
        refill->busy = false;
        refill->unrecorded = true;
        refill->next_us = clock_monotonic_us() + AGAIN_S * US_PER_S;
        break;
    case STORE_LOST: /* saying it twice changes nothing */
        record(refill);
        break;
    }
}

static void record(struct refill *refill)
{
    const struct refill_call *call = &refill->call;
    const struct refill_answer answer = {
        .id = call->id,
        .attempt = call->attempt,
        .of_question = !is_request(refill),
        .state = call->new_state,
        .refill_id = call->new_refill_id,
        .word = call->word,
        .error = call->error,
        .wait_s = call->wait_s,
    };

    refill->busy = refills_record(refill->workshop->lanes.ledger, &answer, recorded, refill) == 0;
    refill->unrecorded = !refill->busy;
    if (refill->unrecorded)
        refill->next_us = clock_monotonic_us() + AGAIN_S * US_PER_S;
}

static void conclude(struct refill *refill, const char *state, const char *error, double wait_s)
{
    free(refill->call.error);
    refill->call.error = copy(error);
    refill->call.new_state = state;
    refill->call.wait_s = wait_s;
    record(refill);
}

/* ---- answers ---- */

static unsigned per_day(const struct refill *refill)
{
    return client_budget(refill->account->client)->limits.per_day;
}

/* The request certainly was not carried out: it is made again. */
static void put_off(struct refill *refill, const struct client_answer *answer)
{
    const struct reply *reply = answer->reply;
    const char *words = reply ? reply->error : answer->problem.text;
    int64_t now_us = clock_monotonic_us(),
            paused_us = client_budget(refill->account->client)->paused_until_us;

    if (reply)
        (void)account_take_refusal(refill->account, reply, now_us);
    else if (!answer->refused_at_gate)
        account_note_silence(refill->account, ACTION_REFILL, answer);
    conclude(refill, "requested", words,
             answer->refused_at_gate ? 0
             : paused_us > now_us    ? (double)(paused_us - now_us) / (double)US_PER_S
                                     : NOT_SENT_WAIT_S);
}

static void request_answered(struct refill *refill, const struct client_answer *answer)
{
    const struct reply *reply = answer->reply;
    const char *words = reply ? reply->error : answer->problem.text;

    switch (refill_outcome_of(answer->sent, reply)) {
    case REFILL_ACCEPTED:
        account_note_answer(refill->account);
        refill->call.new_refill_id = strdup(reply->id);
        conclude(refill, "pending", NULL,
                 (double)refill_wait_s(0, refill->call.open, per_day(refill)));
        return;
    case REFILL_REFUSED:
        account_note_answer(refill->account);
        conclude(refill, "refused", words, -1);
        return;
    case REFILL_NOT_EXECUTED:
        put_off(refill, answer);
        return;
    case REFILL_UNKNOWN:
        account_note_silence(refill->account, ACTION_REFILL, answer);
        conclude(refill, "uncertain", words && *words ? words : "no answer", -1);
        return;
    }
}

static void note_silent(struct refill *refill, const char *words)
{
    log_repeated(&refill->silent_log, LOG_LEVEL_WARNING,
                 &(struct log_entry){.message_id = MESSAGE_REFILL_SILENT,
                                     .order_ref = refill->call.order_ref,
                                     .provider = name_of(refill),
                                     .action = "refill_status"},
                 "order %s: %s does not say how refill %s stands (%s); asked again, less and less "
                 "often",
                 refill->call.order_ref, name_of(refill), refill->call.refill_id, words);
}

/* It stays as it is, with the reason. */
static void tells_nothing(struct refill *refill, const char *words)
{
    conclude(refill, refill->call.state, words && *words ? words : "no answer",
             (double)refill_error_wait_s(refill->call.errors + 1));
}

static void status_told(struct refill *refill, const struct reply *reply)
{
    struct refill_call *call = &refill->call;
    const char *state = refill_state_name(reply->refill_status);

    account_note_answer(refill->account);
    call->word = copy(reply->refill_status_word);
    if (!state)
        note_silent(refill, call->word ? call->word : "no word");
    if (state && refill_state_is_final(state))
        conclude(refill, state, NULL, -1);
    else
        conclude(refill, state ? state : call->state, NULL,
                 (double)refill_wait_s(call->age_s, call->open, per_day(refill)));
}

static void question_answered(struct refill *refill, const struct client_answer *answer)
{
    const struct reply *reply = answer->reply;
    bool refused =
        reply && (reply->outcome == REPLY_REFUSED || reply->outcome == REPLY_NOT_EXECUTED);

    if (reply && reply->outcome == REPLY_REFILL_STATUS) {
        status_told(refill, reply);
    } else if (refused && account_take_refusal(refill->account, reply, clock_monotonic_us())) {
        end_call(refill, clock_monotonic_us()); /* asked again in a few minutes, as it was taken */
    } else if (refused) {
        account_note_answer(refill->account);
        note_silent(refill, reply->error);
        tells_nothing(refill, reply->error);
    } else {
        account_note_silence(refill->account, ACTION_REFILL_STATUS, answer);
        tells_nothing(refill, reply ? reply->error : answer->problem.text);
    }
}

static void answered(void *userdata, const struct client_answer *answer)
{
    struct refill *refill = userdata;

    CRASH_POINT("refill: answered");
    if (is_request(refill))
        request_answered(refill, answer);
    else
        question_answered(refill, answer);
}

/* ---- asking ---- */

/* Right before the first byte leaves: the account is still ours. */
static bool may_leave(void *userdata)
{
    const struct refill *refill = userdata;

    return lease_holds(&refill->account->lease);
}

/* The slot was taken before. */
static void ask(struct refill *refill)
{
    const char *id = is_request(refill) ? refill->call.order_id : refill->call.refill_id;
    const struct api_request request = {.action = is_request(refill) ? ACTION_REFILL
                                                                     : ACTION_REFILL_STATUS,
                                        .ids = &id,
                                        .id_count = 1};

    CRASH_POINT("refill: committed");
    if (client_send(refill->account->client, &request, may_leave, answered, refill) < 0) {
        if (is_request(refill))
            conclude(refill, "requested", "the request could not be made", NOT_SENT_WAIT_S);
        else
            end_call(refill, clock_monotonic_us() + AGAIN_S * US_PER_S);
    }
}

static bool read_call(struct refill_call *call, const PGresult *rows)
{
    const char *order_id = row_text(rows, 0, REFILL_PROVIDER_ORDER_ID),
               *refill_id = row_text(rows, 0, REFILL_REFILL_ID);

    *call = (struct refill_call){
        .id = row_integer(rows, 0, REFILL_ID, 0),
        .attempt = (int)row_integer(rows, 0, REFILL_ATTEMPT, 0),
        .age_s = row_integer(rows, 0, REFILL_AGE_S, 0),
        .open = row_integer(rows, 0, REFILL_OPEN, 0),
        .errors = (unsigned)row_integer(rows, 0, REFILL_ERRORS, 0),
        .order_ref = strdup(row_text(rows, 0, REFILL_ORDER_REF)),
        .order_id = strdup(order_id ? order_id : ""),
        .refill_id = strdup(refill_id ? refill_id : ""),
        .state = strdup(row_text(rows, 0, REFILL_STATE)),
    };
    return call->order_ref && call->order_id && call->refill_id && call->state;
}

static void note_left_over(const struct refill *refill, const char *order_refs)
{
    struct log_entry entry = {.message_id = MESSAGE_REFILL_UNCERTAIN,
                              .provider = name_of(refill),
                              .action = "refill",
                              .hint = "look for it at the provider, then: chwsyncd refill REF "
                                      "--placed ID, or --not-placed"};

    log_write(LOG_LEVEL_ERROR, &entry,
              "it is not known whether %s took the request for a refill of %s: the run that asked "
              "ended before the answer was recorded; it is not repeated",
              name_of(refill), order_refs);
}

/* Something may be due, now or later. */
static void plan_next(struct refill *refill, const PGresult *rows)
{
    int64_t due_s = row_integer(rows, 0, REFILL_NEXT_S, -1);

    refill->next_us = due_s < 0 ? INT64_MAX : clock_monotonic_us() + due_s * US_PER_S;
}

static void taken(void *userdata, const struct store_answer *answer)
{
    struct refill *refill = userdata;
    struct client *client = refill->account->client;
    int64_t now_us = clock_monotonic_us();
    const PGresult *rows = answer->rows;
    const char *state = NULL;

    if (answer->verdict == STORE_DONE) {
        plan_next(refill, rows);
        state = row_text(rows, 0, REFILL_STATE);
        if (row_text(rows, 0, REFILL_FOUND_UNCERTAIN))
            note_left_over(refill, row_text(rows, 0, REFILL_FOUND_UNCERTAIN));
        if (!row_boolean(rows, 0, REFILL_LEASED)) {
            lease_forget(&refill->account->lease, now_us);
            refill->next_us = now_us + LEASE_WAIT_S * US_PER_S;
        }
    } else {
        refill->next_us = now_us + AGAIN_S * US_PER_S;
    }
    if (answer->verdict == STORE_REFUSED)
        note_fault(refill, answer, "take a refill");
    if (state && strcmp(state, "refused") != 0 && read_call(&refill->call, rows)) {
        ask(refill);
        return;
    }
    if (state && strcmp(state, "refused") == 0)
        log_write(LOG_LEVEL_WARNING,
                  &(struct log_entry){.message_id = MESSAGE_REFILL_REFUSED,
                                      .order_ref = row_text(rows, 0, REFILL_ORDER_REF),
                                      .provider = name_of(refill)},
                  "order %s can no longer be refilled: it is not complete any more",
                  row_text(rows, 0, REFILL_ORDER_REF));
    client_give_back(client, 1, now_us);
    end_call(refill, refill->next_us);
}

/* ---- the job ---- */

void refill_init(struct refill *refill, struct account *account)
{
    *refill =
        (struct refill){.account = account, .workshop = account->workshop, .next_us = INT64_MAX};
}

void refill_done(struct refill *refill)
{
    call_done(&refill->call);
}

void refill_wake(struct refill *refill, int64_t now_us)
{
    if (!refill->busy && !refill->unrecorded && refill->next_us > now_us)
        refill->next_us = now_us;
}

void refill_note_due(struct refill *refill, const char *due, int64_t now_us)
{
    if (refill->busy || refill->unrecorded)
        return; /* it is looked for afterwards */
    refill->next_us = INT64_MAX;
    while (due && *due) {
        long long account_id, seconds;
        int length = 0;

        if (sscanf(due, "%lld:%lld%n", &account_id, &seconds, &length) < 2)
            return;
        if (account_id == refill->account->id)
            refill->next_us = now_us + seconds * US_PER_S;
        due += length;
    }
}

int64_t refill_work(struct refill *refill, int64_t now_us)
{
    struct account *account = refill->account;
    int64_t free_us = account_free_us(account, now_us);
    const struct refill_taker taker = {.account_id = account->id,
                                       .instance = refill->workshop->instance,
                                       .lease_number = account->lease.number};

    if (refill->busy || !connection_is_up(refill->workshop->lanes.ledger))
        return INT64_MAX;
    if (now_us < refill->next_us)
        return refill->next_us;
    if (refill->unrecorded) {
        record(refill);
        return refill->next_us;
    }
    if (refill->workshop->stopping)
        return INT64_MAX;
    if (!lease_holds(&account->lease))
        return now_us + LEASE_WAIT_S * US_PER_S;
    if (free_us > now_us)
        return free_us;
    if (client_take(account->client, BUDGET_READ, 1, 0, now_us) == 0)
        return client_next_us(account->client, BUDGET_READ, 0, now_us);
    refill->busy = true;
    if (refills_take(refill->workshop->lanes.ledger, &taker, taken, refill) != 0) {
        client_give_back(account->client, 1, now_us);
        end_call(refill, now_us + AGAIN_S * US_PER_S);
        return refill->next_us;
    }
    return INT64_MAX;
}

bool refill_wants_lease(const struct refill *refill, int64_t now_us)
{
    return refill->busy || refill->next_us <= now_us;
}

bool refill_is_quiet(const struct refill *refill)
{
    return !refill->busy && !refill->unrecorded;
}
