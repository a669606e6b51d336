#include "jobs/recheck.h"
#include "base/own.h"
#include "host/clock.h"
#include "host/events.h"
#include "rules/recheck.h"
#include "store/accounts.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_INTERVAL_S 300
#define AGAIN_S 60   /* after a statement or a request that failed */
#define APART_S 3600 /* after a refusal of a request with such ids in it */
#define LEASE_WAIT_S 2

static void item_done(struct recheck_item *item)
{
    free(item->id);
    free(item->order_ref);
    *item = (struct recheck_item){0};
}

static void loan_free(struct recheck_loan *loan)
{
    if (!loan)
        return;
    LIST_REMOVE(loan, entry);
    for (size_t i = 0; i < loan->count; i++)
        item_done(&loan->items[i]);
    free(loan);
}

/* ---- what was told ---- */

/* The ledger's word for a status, NULL for one that is not known. */
static const char *state_of(enum order_status status)
{
    if (status == ORDER_STATUS_UNKNOWN)
        return NULL;
    if (status == ORDER_STATUS_PENDING || status == ORDER_STATUS_IN_PROGRESS)
        return "active";
    return order_status_name(status);
}

static const struct reply_order *find_order(const struct reply *reply, const char *id, bool alone)
{
    for (size_t i = 0; i < reply->order_count; i++) {
        const struct reply_order *order = &reply->orders[i];

        if (order->id ? strcmp(order->id, id) == 0 : alone)
            return order;
    }
    return NULL;
}

static void note_unknown_word(struct recheck *recheck, const char *order_ref, const char *word)
{
    char line[80];

    text_one_line(line, sizeof line, word ? word : "");
    log_repeated(&recheck->words_log, LOG_LEVEL_WARNING,
                 &(struct log_entry){.message_id = MESSAGE_STATUS_WORD,
                                     .order_ref = order_ref,
                                     .provider = recheck->account->config->name},
                 "order %s has the status \"%s\" after its end, which is not known: it stays as it "
                 "is",
                 order_ref, line);
}

/* An id that the provider does not tell of any more, or with an error, stays as it is. */
static struct recheck_answer answer_for(struct recheck *recheck, const struct recheck_item *item,
                                        const struct reply_order *order)
{
    unsigned days = recheck->account->config->recheck_days;
    struct recheck_answer answer = {.order_id = item->order_id,
                                    .next_s = recheck_wait_s(item->state, item->age_s, days),
                                    .first_s = -1};

    if (!order || order->error)
        return answer;
    answer.state = state_of(order->status);
    answer.in_progress = order->status == ORDER_STATUS_IN_PROGRESS;
    answer.word = order->status_word;
    answer.charge = order->charge[0] ? order->charge : NULL;
    answer.currency = order->currency;
    answer.start_count = order->start_count;
    answer.has_start_count = order->has_start_count;
    answer.remains = order->remains;
    answer.has_remains = order->has_remains;
    if (!answer.state)
        note_unknown_word(recheck, item->order_ref, order->status_word);
    else
        answer.first_s = recheck_wait_s(answer.state, 0, days);
    return answer;
}

static void log_change(const struct recheck *recheck, const PGresult *rows, int row)
{
    const char *order_ref = row_text(rows, row, 0), *before = row_text(rows, row, 1),
               *state = row_text(rows, row, 2), *old_charge = row_text(rows, row, 4),
               *charge = row_text(rows, row, 5), *currency = row_text(rows, row, 6),
               *name = recheck->account->config->name;

    log_write(LOG_LEVEL_NOTICE,
              &(struct log_entry){.message_id = MESSAGE_ORDER_CHANGED,
                                  .order_ref = order_ref,
                                  .provider = name,
                                  .action = "status"},
              "order %s, which had ended, is %s now and was %s (%s order %s, charge %s %s, was %s)",
              order_ref, state, before, name, row_text(rows, row, 3), charge ? charge : "not known",
              currency ? currency : "", old_charge ? old_charge : "not known");
}

static void applied(void *userdata, const struct store_answer *answer)
{
    struct recheck_loan *loan = userdata;
    struct recheck *recheck = loan->recheck;
    unsigned reopened = 0;

    if (answer->verdict == STORE_REFUSED)
        log_repeated(&recheck->fault_log, LOG_LEVEL_ERROR,
                     &(struct log_entry){.message_id = MESSAGE_LEDGER_FAILED,
                                         .provider = recheck->account->config->name,
                                         .sqlstate = answer->sqlstate},
                     "unable to record statuses of orders that have ended: %s; they are looked at "
                     "again in an hour",
                     answer->problem.text);
    for (int i = 0; answer->verdict == STORE_DONE && i < PQntuples(answer->rows); i++) {
        reopened += strcmp(row_text(answer->rows, i, 2), "active") == 0;
        log_change(recheck, answer->rows, i);
    }
    loan_free(loan); /* what is not recorded comes back by itself, an hour after it was taken */
    if (answer->verdict != STORE_DONE)
        return;
    log_recovered(&recheck->fault_log);
    recheck->on_applied(recheck->userdata, reopened);
}

void recheck_answered(struct recheck_loan *loan, const struct reply *reply, const char *asked_at)
{
    struct recheck_answer answers[RECHECKS_MAX];

    if (!loan)
        return;
    for (size_t i = 0; i < loan->count; i++)
        answers[i] = answer_for(loan->recheck, &loan->items[i],
                                find_order(reply, loan->items[i].id, loan->count == 1));
    if (rechecks_apply(loan->recheck->workshop->lanes.ledger, answers, loan->count, asked_at,
                       loan->recheck->workshop->tell_shop, applied, loan) != 0)
        loan_free(loan);
}

/* ---- lending ---- */

void recheck_wake(struct recheck *recheck, int64_t now_us)
{
    if (now_us < recheck->look_us)
        recheck->look_us = now_us;
}

struct recheck_loan *recheck_lend(struct recheck *recheck, size_t room)
{
    int64_t now_us = clock_monotonic_us();
    size_t count = recheck->held_count < room ? recheck->held_count : room;
    struct recheck_loan *loan;

    if (now_us < recheck->ride_us)
        return NULL;
    if (count == 0) {
        recheck->ride_passed = true;
        if (!recheck->looked_for_rides)
            recheck_wake(recheck, now_us);
        return NULL;
    }
    loan = calloc(1, sizeof *loan);
    if (!loan)
        return NULL;
    loan->recheck = recheck;
    loan->count = count;
    memcpy(loan->items, recheck->held, count * sizeof *loan->items);
    recheck->held_count -= count;
    memmove(recheck->held, recheck->held + count, recheck->held_count * sizeof *recheck->held);
    LIST_INSERT_HEAD(&recheck->loans, loan, entry);
    if (recheck->held_count == 0) /* there may be more */
        recheck->look_us = now_us + US_PER_S;
    return loan;
}

size_t recheck_loan_ids(const struct recheck_loan *loan, const char **ids)
{
    if (!loan)
        return 0;
    for (size_t i = 0; i < loan->count; i++)
        ids[i] = loan->items[i].id;
    return loan->count;
}

void recheck_return(struct recheck_loan *loan, bool refused)
{
    struct recheck *recheck;

    if (!loan)
        return;
    recheck = loan->recheck;
    if (refused)
        recheck->ride_us = clock_monotonic_us() + APART_S * US_PER_S;
    for (size_t i = 0; i < loan->count && recheck->held_count < RECHECKS_MAX; i++) {
        recheck->held[recheck->held_count++] = loan->items[i];
        loan->items[i] = (struct recheck_item){0};
    }
    loan_free(loan); /* what found no place comes back by itself in an hour */
}

/* ---- requests of its own ---- */

/*
 * Fewer are asked about at a time. What was answered leaves the list, so in the end an id that the
 * provider has forgotten, and refuses all of them for, is alone.
 */
static void refused(struct recheck *recheck, const struct recheck_loan *loan,
                    const struct reply *reply)
{
    if (account_take_refusal(recheck->account, reply, clock_monotonic_us()))
        return;
    if ((reply->class == ERROR_REQUEST || reply->class == ERROR_ORDER) && loan->count > 1)
        recheck->limit = (unsigned)loan->count / 2;
    else
        log_debug("provider %s refuses to tell of orders that have ended: %s",
                  recheck->account->config->name, reply->error);
    if (reply->class == ERROR_REQUEST)
        recheck->limit_max = recheck->limit;
}

static void raise_limit(struct recheck *recheck)
{
    recheck->limit *= 2;
    if (recheck->limit > recheck->limit_max)
        recheck->limit = recheck->limit_max;
}

static void answered(void *userdata, const struct client_answer *answer)
{
    struct recheck_loan *loan = userdata;
    struct recheck *recheck = loan->recheck;
    const struct reply *reply = answer->reply;

    recheck->own_loan = false;
    if (reply && (reply->outcome == REPLY_STATUS || reply->outcome == REPLY_STATUSES)) {
        account_note_answer(recheck->account);
        raise_limit(recheck);
        recheck_answered(loan, reply, recheck->asked_at);
        return;
    }
    if (reply && reply->outcome == REPLY_REFUSED && reply->class == ERROR_ORDER &&
        loan->count == 1) { /* not known there any more: that look is done */
        const struct reply nothing = {0};

        recheck_answered(loan, &nothing, recheck->asked_at);
        return;
    }
    if (reply && (reply->outcome == REPLY_REFUSED || reply->outcome == REPLY_NOT_EXECUTED))
        refused(recheck, loan, reply);
    else
        account_note_silence(recheck->account, ACTION_MULTI_STATUS, answer);
    recheck_return(loan, false);
}

/* The slot was taken before, and is counted in the ledger. */
static void ask_alone(struct recheck *recheck, int64_t now_us)
{
    const char *ids[RECHECKS_MAX];
    int64_t ride_us = recheck->ride_us;
    struct recheck_loan *loan;
    struct api_request request = {.ids = ids};

    recheck->ride_us = 0;
    loan = recheck_lend(recheck, recheck->limit);
    recheck->ride_us = ride_us;
    recheck->alone_us =
        now_us +
        recheck_spacing_s(client_budget(recheck->account->client)->limits.per_day) * US_PER_S;
    if (!loan) {
        client_give_back(recheck->account->client, 1, now_us);
        return;
    }
    request.id_count = recheck_loan_ids(loan, ids);
    request.action = request.id_count == 1 ? ACTION_STATUS : ACTION_MULTI_STATUS;
    recheck->own_loan = true;
    if (client_send(recheck->account->client, &request, NULL, answered, loan) < 0) {
        recheck->own_loan = false;
        recheck_return(loan, false);
    }
}

static void counted(void *userdata, const struct store_answer *answer)
{
    struct recheck *recheck = userdata;
    struct client *client = recheck->account->client;
    int64_t now_us = clock_monotonic_us();

    recheck->counting = false;
    if (answer->verdict == STORE_DONE && lease_holds(&recheck->account->lease) &&
        client_budget(client)->paused_until_us <= now_us) {
        ask_alone(recheck, now_us);
        return;
    }
    client_give_back(client, 1, now_us);
    recheck->alone_us = now_us + AGAIN_S * US_PER_S;
}

/* What a crash leaves behind stays taken: a request stands in the ledger before it leaves. */
static void count_alone(struct recheck *recheck, int64_t now_us)
{
    recheck->counting = accounts_count_read(recheck->workshop->lanes.ledger, recheck->account->id,
                                            1, counted, recheck) == 0;
    if (recheck->counting)
        return;
    client_give_back(recheck->account->client, 1, now_us);
    recheck->alone_us = now_us + AGAIN_S * US_PER_S;
}

/* ---- looking at the list ---- */

static bool hold(struct recheck *recheck, const PGresult *rows, int row)
{
    struct recheck_item *item = &recheck->held[recheck->held_count];

    *item = (struct recheck_item){
        .order_id = row_integer(rows, row, RECHECK_ORDER_ID, 0),
        .age_s = row_integer(rows, row, RECHECK_AGE_S, 0),
        .id = strdup(row_text(rows, row, RECHECK_PROVIDER_ORDER_ID)),
        .order_ref = strdup(row_text(rows, row, RECHECK_ORDER_REF)),
    };
    snprintf(item->state, sizeof item->state, "%s", row_text(rows, row, RECHECK_STATE));
    if (!item->id || !item->order_ref) {
        item_done(item);
        return false;
    }
    recheck->held_count++;
    return true;
}

static void picked(void *userdata, const struct store_answer *answer)
{
    struct recheck *recheck = userdata;
    int64_t now_us = clock_monotonic_us();
    int count = answer->verdict == STORE_DONE ? PQntuples(answer->rows) : 0;

    recheck->picking = false;
    recheck->look_us = now_us + LOOK_INTERVAL_S * US_PER_S;
    if (answer->verdict != STORE_DONE)
        recheck->look_us = now_us + AGAIN_S * US_PER_S;
    if (count == 0)
        return;
    recheck->held_us = now_us;
    recheck->overdue_s = 0;
    snprintf(recheck->asked_at, sizeof recheck->asked_at, "%s",
             row_text(answer->rows, 0, RECHECK_ASKED_AT));
    for (int i = 0; i < count && recheck->held_count < RECHECKS_MAX; i++) {
        int64_t overdue_s = row_integer(answer->rows, i, RECHECK_OVERDUE_S, 0);

        if (hold(recheck, answer->rows, i) && overdue_s > recheck->overdue_s)
            recheck->overdue_s = overdue_s;
    }
}

/* Open orders are asked about in requests that have room: what is due is taken along. */
static bool rides_are_near(const struct recheck *recheck, int64_t now_us)
{
    return lease_holds(&recheck->account->lease) && recheck->account->open > 0 &&
           recheck->account->open < recheck->limit && now_us >= recheck->ride_us;
}

static bool goes_alone(const struct recheck *recheck, int64_t now_us)
{
    int64_t waited_s = (now_us - recheck->held_us) / US_PER_S;

    return !recheck->own_loan && !recheck->counting && now_us >= recheck->alone_us &&
           !client_budget(recheck->account->client)->adds_waiting &&
           recheck_is_worth((unsigned)recheck->held_count, recheck->limit,
                            recheck->overdue_s + waited_s);
}

static int64_t pick(struct recheck *recheck, int64_t now_us)
{
    const struct recheck_wish wish = {.account_id = recheck->account->id,
                                      .instance = recheck->workshop->instance,
                                      .limit = recheck->limit,
                                      .take_all =
                                          recheck->ride_passed || rides_are_near(recheck, now_us),
                                      .patience_s = RECHECK_PATIENCE_S};

    recheck->picking = rechecks_pick(recheck->workshop->lanes.ledger, &wish, picked, recheck) == 0;
    recheck->looked_for_rides = wish.take_all;
    recheck->ride_passed = false;
    recheck->look_us = now_us + AGAIN_S * US_PER_S;
    return recheck->look_us;
}

/* ---- the job ---- */

void recheck_init(struct recheck *recheck, struct account *account)
{
    *recheck = (struct recheck){.account = account,
                                .workshop = account->workshop,
                                .limit = RECHECKS_MAX,
                                .limit_max = RECHECKS_MAX};
}

void recheck_done(struct recheck *recheck)
{
    struct recheck_loan *loan;

    while ((loan = LIST_FIRST(&recheck->loans)))
        loan_free(loan);
    while (recheck->held_count > 0)
        item_done(&recheck->held[--recheck->held_count]);
}

int64_t recheck_work(struct recheck *recheck, int64_t now_us)
{
    struct account *account = recheck->account;
    int64_t free_us = account_free_us(account, now_us);

    if (recheck->picking || recheck->workshop->stopping ||
        !connection_is_up(recheck->workshop->lanes.ledger))
        return INT64_MAX;
    if (recheck->held_count == 0)
        return now_us < recheck->look_us ? recheck->look_us : pick(recheck, now_us);
    if (!goes_alone(recheck, now_us))
        return now_us + AGAIN_S * US_PER_S;
    if (!lease_holds(&account->lease))
        return now_us + LEASE_WAIT_S * US_PER_S;
    if (free_us > now_us)
        return free_us;
    if (client_take(account->client, BUDGET_READ, 1, 0, now_us) == 0)
        return client_next_us(account->client, BUDGET_READ, 0, now_us);
    count_alone(recheck, now_us);
    return now_us + US_PER_S;
}

bool recheck_wants_lease(const struct recheck *recheck, int64_t now_us)
{
    return recheck->own_loan || recheck->counting ||
           (recheck->held_count > 0 && goes_alone(recheck, now_us));
}

bool recheck_is_quiet(const struct recheck *recheck)
{
    return LIST_EMPTY(&recheck->loans) && !recheck->picking && !recheck->counting;
}
