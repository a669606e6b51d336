#include "jobs/poll.h"
#include "base/own.h"
#include "host/clock.h"
#include "host/crash_point.h"
#include "host/events.h"
#include "rules/poll_schedule.h"
#include "rules/recheck.h"
#include "store/accounts.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define IDLE_LOOK_S 60 /* another process or an operator may add an order */
#define EMPTY_LOOK_S 5 /* all open orders are on the wire, just bought, or wait after an error */
#define GATHER_MS 1000 /* orders bought one after the other are asked about together */

static void batch_free(struct poll_batch *batch)
{
    recheck_return(batch->loan, false);
    PQclear(batch->rows);
    reply_done(&batch->reply);
    free(batch);
}

static void batch_end(struct poll_batch *batch)
{
    TAILQ_REMOVE(&batch->poll->batches, batch, entry);
    batch->poll->batch_count--;
    if (!batch->poll->picking) /* its orders can be asked about again */
        batch->poll->next_us = batch->poll->account->pace.now_us;
    batch_free(batch);
}

/* ---- what the provider said ---- */

/* The row of `id`, or -1. Rows come in no order; ids are looked up in a sorted index. */
struct id_index {
    struct {
        const char *id;
        int row;
    } cells[POLLS_BATCH_MAX];
    size_t count;
};

static int compare_ids(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void index_rows(struct id_index *index, const PGresult *rows)
{
    index->count = (size_t)PQntuples(rows);
    for (size_t i = 0; i < index->count; i++) {
        index->cells[i].id = row_text(rows, (int)i, POLL_PROVIDER_ORDER_ID);
        index->cells[i].row = (int)i;
    }
    qsort(index->cells, index->count, sizeof index->cells[0], compare_ids);
}

static int find_row(const struct id_index *index, const char *id)
{
    size_t size = sizeof index->cells[0];
    const void *cell = bsearch(&id, index->cells, index->count, size, compare_ids);

    return cell ? index->cells[(size_t)((const char *)cell - (const char *)index->cells) / size].row
                : -1;
}

/* The ledger's word for a status, NULL for one that we do not know. */
static const char *state_of(enum order_status status)
{
    switch (status) {
    case ORDER_STATUS_UNKNOWN:
        return NULL;
    case ORDER_STATUS_PENDING:
    case ORDER_STATUS_IN_PROGRESS:
        return "active";
    case ORDER_STATUS_COMPLETED:
    case ORDER_STATUS_PARTIAL:
    case ORDER_STATUS_CANCELED:
    case ORDER_STATUS_REFUNDED:
    case ORDER_STATUS_FAILED:
        return order_status_name(status);
    }
    return NULL;
}

/* What the ledger knew of an order when it was asked about. */
static struct delivery delivery_of(const PGresult *rows, int row)
{
    double runs = row_real(rows, row, POLL_RUNS, 0),
           interval_s = 60 * row_real(rows, row, POLL_INTERVAL_MIN, 0);

    return (struct delivery){.quantity = row_real(rows, row, POLL_QUANTITY, 0),
                             .last_run_s = runs > 1 ? (runs - 1) * interval_s : 0,
                             .run_interval_s = runs > 1 ? interval_s : 0};
}

static struct progress progress_of(const PGresult *rows, int row)
{
    return (struct progress){.answered_s = row_real(rows, row, POLL_ANSWERED_S, 0),
                             .remains = row_real(rows, row, POLL_REMAINS, -1),
                             .rate = row_real(rows, row, POLL_RATE, 0),
                             .first_moved_s = row_real(rows, row, POLL_FIRST_MOVED_S, -1),
                             .last_moved_s = row_real(rows, row, POLL_LAST_MOVED_S, -1)};
}

static struct service_history history_of(const PGresult *rows, int row)
{
    struct service_history history;

    service_history_init(&history);
    history.weight = row_real(rows, row, POLL_HISTORY_WEIGHT, history.weight);
    history.mean = row_real(rows, row, POLL_HISTORY_MEAN, history.mean);
    history.variance = row_real(rows, row, POLL_HISTORY_VARIANCE, history.variance);
    return history;
}

/* An order that ended: what that says of the schedule and of its service. */
static void note_end(struct poll_batch *batch, int row, struct poll_answer *answer)
{
    const PGresult *rows = batch->rows;
    struct account *account = batch->poll->account;

    poll_pace_ended(&account->pace, row_real(rows, row, POLL_STRIDE, 0),
                    row_real(rows, row, POLL_UNASKED_S, 0));
    if (account->open > 0)
        account->open--;
    answer->recheck_s = recheck_wait_s(answer->state, 0, account->config->recheck_days);
    if (strcmp(answer->state, "completed") != 0)
        return;
    answer->service = row_text(rows, row, POLL_SERVICE);
    answer->history = history_of(rows, row);
    for (size_t i = 0; i < batch->answer_count; i++) /* others of that service in this batch */
        if (batch->answers[i].service && answer->service &&
            strcmp(batch->answers[i].service, answer->service) == 0) {
            answer->history = batch->answers[i].history;
            batch->answers[i].history.weight = 0;
        }
    service_history_learn(
        &answer->history,
        (row_real(rows, row, POLL_ANSWERED_S, 0) + row_real(rows, row, POLL_AGE_S, 0)) / 2);
}

/* The order goes on: what the answer changes about its outlook. Nothing is written that hardly
 * differs. */
static void note_outlook(const struct poll_batch *batch, int row, const struct reply_order *order,
                         struct poll_answer *answer)
{
    const PGresult *rows = batch->rows;
    struct delivery delivery = delivery_of(rows, row);
    struct progress progress = progress_of(rows, row);
    struct service_history history = history_of(rows, row);
    double age_s = row_real(rows, row, POLL_AGE_S, 0), before = row_real(rows, row, POLL_STRIDE, 0),
           stride;
    double remains = progress.remains;

    /* Some providers say 0 of orders they have not begun. */
    progress_observe(&progress, &delivery, age_s,
                     order->has_remains && (answer->in_progress || order->remains > 0)
                         ? (double)order->remains
                         : -1,
                     answer->in_progress);
    stride = poll_stride(
        hazard_of(&progress, &delivery, &history, batch->poll->account->background, age_s));
    if (before > 0 && progress.remains == remains && !poll_stride_moved(before, stride))
        return;
    answer->stride = stride;
    answer->progress = progress;
}

static void note_unknown_word(struct poll *poll, const char *order_ref, const char *word)
{
    struct log_entry entry = {.message_id = MESSAGE_STATUS_WORD,
                              .order_ref = order_ref,
                              .provider = poll->account->config->name};
    char line[80];

    text_one_line(line, sizeof line, word);
    log_repeated(&poll->words_log, LOG_LEVEL_WARNING, &entry,
                 "order %s has the status \"%s\", which is not known: it stays as it is", order_ref,
                 line);
}

static void read_order(struct poll_batch *batch, int row, const struct reply_order *order)
{
    const char *order_ref = row_text(batch->rows, row, POLL_ORDER_REF);
    struct poll_answer answer = {
        .order_id = row_integer(batch->rows, row, POLL_ORDER_ID, 0),
        .state = state_of(order->status),
        .in_progress = order->status == ORDER_STATUS_IN_PROGRESS,
        .status_word = order->status_word,
        .charge = order->charge[0] ? order->charge : NULL,
        .currency = order->currency,
        .start_count = order->start_count,
        .has_start_count = order->has_start_count,
        .remains = order->remains,
        .has_remains = order->has_remains,
        .error = order->error,
    };
    bool ended = answer.state && strcmp(answer.state, "active") != 0;

    if (order->error)
        answer.wait_s =
            poll_error_wait_s((unsigned)row_integer(batch->rows, row, POLL_ERRORS, 0) + 1);
    else if (ended)
        note_end(batch, row, &answer);
    else
        note_outlook(batch, row, order, &answer);

    if (!order->error && order->status == ORDER_STATUS_UNKNOWN)
        note_unknown_word(batch->poll, order_ref, order->status_word ? order->status_word : "");
    batch->answers[batch->answer_count++] = answer;
}

static PGresult *copy_rows(const PGresult *rows, int first, int count)
{
    PGresult *copy = PQcopyResult(rows, PG_COPYRES_ATTRS);

    for (int cell = 0; copy && cell < count * POLL_COLUMNS; cell++) {
        int row = cell / POLL_COLUMNS, column = cell % POLL_COLUMNS;
        const char *value = row_text(rows, first + row, column);

        if (!PQsetvalue(copy, row, column, (char *)(uintptr_t)value,
                        value ? (int)strlen(value) : -1)) {
            PQclear(copy);
            copy = NULL;
        }
    }
    return copy;
}

/* Keeps rows, to ask about them apart from others; what finds no place has its turn. */
static void ask_apart(struct poll *poll, const PGresult *rows, int first, int count)
{
    PGresult *apart;

    if (poll->apart_count == POLL_APART_MAX)
        return;
    apart = copy_rows(rows, first, count);
    if (apart)
        poll->apart[poll->apart_count++] = apart;
}

/* An error in a batch may be the batch's, not the order's. */
static void ask_alone(struct poll_batch *batch, int row)
{
    if (batch->poll->apart_count == 0 && PQntuples(batch->rows) > 1)
        ask_apart(batch->poll, batch->rows, row, 1);
}

/*
 * An id that was never answered comes first; left out of the answer again it would do so for ever.
 * Others have their turn, and only wait for the next one.
 */
static void read_unmentioned(struct poll_batch *batch, int row)
{
    struct reply_order nothing = {.error = "nothing"};

    if (row_real(batch->rows, row, POLL_STRIDE, 0) > 0)
        return;
    read_order(batch, row, &nothing);
    if (row_integer(batch->rows, row, POLL_ERRORS, 0) == 0)
        ask_alone(batch, row);
}

/* Ids that were not asked, and a second answer for the same id, are passed over. */
static void read_orders(struct poll_batch *batch)
{
    const struct reply *reply = &batch->reply;
    struct id_index index;
    bool seen[POLLS_BATCH_MAX] = {false};

    index_rows(&index, batch->rows);
    for (size_t i = 0; i < reply->order_count; i++) {
        const struct reply_order *order = &reply->orders[i];
        int row = order->id                          ? find_row(&index, order->id)
                  : index.count == 1 && !batch->loan ? 0
                                                     : -1;

        if (row < 0 || seen[row])
            continue;
        seen[row] = true;
        read_order(batch, row, order);
        if (order->error && row_integer(batch->rows, row, POLL_ERRORS, 0) == 0)
            ask_alone(batch, row);
    }
    for (size_t row = 0; row < index.count; row++)
        if (!seen[row])
            read_unmentioned(batch, (int)row);
}

/* ---- applying ---- */

static void apply(struct poll_batch *batch);

static void log_change(const struct poll *poll, const PGresult *rows, int row)
{
    const char *order_ref = row_text(rows, row, 0), *before = row_text(rows, row, 1),
               *state = row_text(rows, row, 2), *charge = row_text(rows, row, 4),
               *currency = row_text(rows, row, 5);
    struct log_entry entry = {
        .order_ref = order_ref, .provider = poll->account->config->name, .action = "status"};

    if (row_text(rows, row, 6)) {
        entry.message_id = MESSAGE_CHARGE_DIFFERS;
        entry.hint =
            "compare with the provider's catalogue: chwsyncd services, chwsyncd orders REF";
        log_write(LOG_LEVEL_WARNING, &entry, "order %s: %s %s", order_ref,
                  poll->account->config->name, row_text(rows, row, 6));
        return;
    }
    if (strcmp(before, state) == 0) {
        entry.message_id = MESSAGE_ORDER_NOT_FOUND;
        log_write(LOG_LEVEL_WARNING, &entry,
                  "order %s: %s does not know its order id %s; asked again, less and less often",
                  order_ref, poll->account->config->name, row_text(rows, row, 3));
        return;
    }
    entry.message_id = MESSAGE_ORDER_ENDED;
    log_write(LOG_LEVEL_INFO, &entry, "order %s is %s (%s order %s, charge %s %s)", order_ref,
              state, poll->account->config->name, row_text(rows, row, 3),
              charge ? charge : "not known", currency ? currency : "");
}

static void applied(void *userdata, const struct store_answer *answer)
{
    struct poll_batch *batch = userdata;
    struct poll *poll = batch->poll;

    batch->applying = false;
    switch (answer->verdict) {
    case STORE_DONE:
        CRASH_POINT("poll: committed");
        poll->workshop->replied = true;
        poll->workshop->counts.polled += batch->single_next ? 1 : batch->answer_count;
        for (int i = 0; i < PQntuples(answer->rows); i++)
            log_change(poll, answer->rows, i);
        poll->on_applied(poll->userdata);
        break;
    case STORE_REFUSED:
        log_repeated(&poll->apply_log, LOG_LEVEL_ERROR,
                     &(struct log_entry){.message_id = MESSAGE_LEDGER_FAILED,
                                         .provider = poll->account->config->name,
                                         .sqlstate = answer->sqlstate},
                     "unable to record statuses: %s; they are asked for again in their turn",
                     answer->problem.text);
        if (batch->single_next == 0 && batch->answer_count > 1) {
            batch->single_next = 1;
            apply(batch);
            return;
        }
        break;
    case STORE_LOST: /* saying it twice changes nothing */
        apply(batch);
        return;
    }
    if (batch->single_next && batch->single_next < batch->answer_count) {
        batch->single_next++;
        apply(batch);
        return;
    }
    batch_end(batch);
}

static void apply(struct poll_batch *batch)
{
    struct poll *poll = batch->poll;
    const struct poll_answer *answers = batch->answers;
    size_t count = batch->answer_count;

    if (batch->single_next) {
        answers += batch->single_next - 1;
        count = 1;
    }
    if (count > 0 && polls_apply(poll->workshop->lanes.ledger, answers, count,
                                 row_text(batch->rows, 0, POLL_ASKED_AT), poll->account->pace.speed,
                                 poll->workshop->tell_shop, applied, batch) == 0)
        batch->applying = true;
    else
        batch_end(batch); /* nothing to say, or no memory: asked again at the next turn */
}

/* ---- an answer of the provider ---- */

static void refused(struct poll *poll, const struct reply *reply)
{
    if (account_take_refusal(poll->account, reply, clock_monotonic_us()))
        return;
    if (reply->class == ERROR_REQUEST && poll->batch_limit > 1) {
        poll->batch_limit /= 2;
        log_provider_event(
            LOG_LEVEL_NOTICE, MESSAGE_BATCH_REFUSED, poll->account->config->name,
            "provider %s refuses a batch (%s); asking about %u orders a request from now on",
            poll->account->config->name, reply->error, poll->batch_limit);
    } else {
        log_repeated(&poll->account->silence_log, LOG_LEVEL_WARNING,
                     &(struct log_entry){.message_id = MESSAGE_PROVIDER_SILENT,
                                         .provider = poll->account->config->name,
                                         .action = "status"},
                     "provider %s refuses to tell statuses: %s; they are asked for again in their "
                     "turn",
                     poll->account->config->name, reply->error);
    }
}

/* A refusal of a question about one id alone says something about that id, unless it is the
 * account's. */
static bool is_about_the_order(const struct poll_batch *batch, const struct reply *reply)
{
    return PQntuples(batch->rows) == 1 && !batch->loan && reply->outcome == REPLY_REFUSED &&
           reply->class != ERROR_KEY && reply->class != ERROR_ENDPOINT &&
           reply->class != ERROR_RATE && reply->class != ERROR_SERVER;
}

/*
 * A provider that does not know one id may refuse the whole question: without this the others in it
 * would never be told, as it comes along in every batch of theirs. In the end it is refused alone.
 */
static bool is_about_one_of_them(const struct poll_batch *batch, const struct reply *reply)
{
    return PQntuples(batch->rows) > 1 && !batch->loan && reply->outcome == REPLY_REFUSED &&
           reply->class == ERROR_ORDER;
}

static void ask_in_halves(struct poll_batch *batch, const char *words)
{
    int count = PQntuples(batch->rows), half = count / 2;

    log_debug("provider %s refuses a question about %d orders (%s): asked in halves",
              batch->poll->account->config->name, count, words);
    account_note_answer(batch->poll->account);
    ask_apart(batch->poll, batch->rows, half, count - half);
    ask_apart(batch->poll, batch->rows, 0, half);
}

/* The reply is kept with the batch: answers borrow from it. */
static void take_reply(struct poll_batch *batch, struct reply *reply)
{
    account_note_answer(batch->poll->account);
    batch->reply = *reply;
    memset(reply, 0, sizeof *reply);
}

static void answered(void *userdata, const struct client_answer *answer)
{
    struct poll_batch *batch = userdata;
    struct poll *poll = batch->poll;

    batch->answered = true;
    if (!answer->reply) {
        account_note_silence(poll->account, ACTION_MULTI_STATUS, answer);
        batch_end(batch);
        return;
    }
    switch (answer->reply->outcome) {
    case REPLY_STATUS:
    case REPLY_STATUSES:
        take_reply(batch, answer->reply);
        CRASH_POINT("poll: answered");
        read_orders(batch);
        recheck_answered(GIVE(batch->loan), &batch->reply, row_text(batch->rows, 0, POLL_ASKED_AT));
        apply(batch);
        CRASH_POINT("poll: asked to record");
        return;
    case REPLY_REFUSED:
    case REPLY_NOT_EXECUTED:
        if (is_about_the_order(batch, answer->reply)) {
            take_reply(batch, answer->reply);
            read_order(batch, 0, &(struct reply_order){.error = batch->reply.error});
            apply(batch);
            return;
        }
        if (is_about_one_of_them(batch, answer->reply))
            ask_in_halves(batch, answer->reply->error);
        else
            refused(poll, answer->reply);
        recheck_return(GIVE(batch->loan), true);
        break;
    case REPLY_ACCEPTED:
    case REPLY_SERVICES:
    case REPLY_NO_CATALOGUE:
    case REPLY_BALANCE:
    case REPLY_REFILL:
    case REPLY_REFILL_STATUS:
    case REPLY_PONG:
    case REPLY_UNKNOWN:
        account_note_silence(poll->account, ACTION_MULTI_STATUS, answer);
        break;
    }
    batch_end(batch);
}

/* ---- asking ---- */

/* `rows` are taken. The slot was taken before, and is counted in the ledger. With `room`, ids that
 * cost nothing are added. */
static void ask(struct poll *poll, PGresult *rows, bool room)
{
    const char *ids[POLLS_BATCH_MAX];
    size_t count = (size_t)PQntuples(rows);
    struct poll_batch *batch = calloc(1, sizeof *batch);
    struct api_request request = {.ids = ids};

    if (!batch) {
        client_give_back(poll->account->client, 1, clock_monotonic_us());
        PQclear(rows);
        return;
    }
    for (size_t i = 0; i < count; i++)
        ids[i] = row_text(rows, (int)i, POLL_PROVIDER_ORDER_ID);
    batch->poll = poll;
    batch->rows = rows;
    TAILQ_INSERT_TAIL(&poll->batches, batch, entry);
    poll->batch_count++;
    if (room && count < poll->batch_limit)
        batch->loan = recheck_lend(poll->recheck, poll->batch_limit - count);
    count += recheck_loan_ids(batch->loan, ids + count);
    request.action = count == 1 ? ACTION_STATUS : ACTION_MULTI_STATUS;
    request.id_count = count;
    if (client_send(poll->account->client, &request, NULL, answered, batch) < 0)
        batch_end(batch);
}

/* As ask(), unless the account was told to wait since the slot was taken. */
static void ask_or_hold(struct poll *poll, PGresult *rows, bool room)
{
    struct client *client = poll->account->client;
    int64_t now_us = clock_monotonic_us();

    if (client_budget(client)->paused_until_us <= now_us) {
        ask(poll, rows, room);
        return;
    }
    assert(!poll->held); /* nothing is picked before it has left */
    client_give_back(client, 1, now_us);
    poll->held = rows;
    poll->held_room = room;
    poll->next_us = now_us;
}

/* What is asked apart was counted. */
static void apart_counted(void *userdata, const struct store_answer *answer)
{
    struct poll *poll = userdata;

    poll->picking = false;
    poll->next_us = clock_monotonic_us();
    if (answer->verdict == STORE_DONE) {
        poll_pace_sent(&poll->account->pace, poll->account->pace.usual_worth,
                       poll->account->pace.turn);
        ask_or_hold(poll, poll->apart[--poll->apart_count], false);
        return;
    }
    client_give_back(poll->account->client, 1, poll->next_us);
    poll->next_us += US_PER_S;
}

/* None can be asked about now: until what was just bought can be, or somebody else adds some. */
static void rest(struct poll *poll, const PGresult *rows, int64_t now_us)
{
    int64_t due_ms = row_integer(rows, 0, POLL_NEXT_DUE_MS, -1);

    poll_wake(poll, poll->account->open > 0 ? EMPTY_LOOK_S : IDLE_LOOK_S, now_us);
    if (due_ms < 0)
        return;
    if (due_ms < GATHER_MS)
        due_ms = GATHER_MS;
    if (now_us + due_ms * US_PER_MS < poll->next_us)
        poll->next_us = now_us + due_ms * US_PER_MS;
}

static void picked(void *userdata, const struct store_answer *answer)
{
    struct poll *poll = userdata;
    struct poll_pace *pace = &poll->account->pace;
    int64_t now_us = clock_monotonic_us();
    bool any = answer->verdict == STORE_DONE && row_text(answer->rows, 0, POLL_BATCH_WORTH);
    PGresult *rows = NULL;
    double worth;

    poll->picking = false;
    if (any) {
        worth = row_real(answer->rows, 0, POLL_BATCH_WORTH, 0);
        poll->next_us = now_us;
        if (row_text(answer->rows, 0, POLL_ORDER_ID))
            rows = PQcopyResult(answer->rows, PG_COPYRES_ATTRS | PG_COPYRES_TUPLES);
        else
            poll_pace_declined(pace, worth, poll->price);
    }
    if (rows) {
        poll_pace_sent(pace, worth, row_real(rows, 0, POLL_BATCH_TURN, 0));
        ask_or_hold(poll, rows, true);
        return;
    }
    client_give_back(poll->account->client, 1, now_us);
    if (answer->verdict != STORE_DONE)
        poll_wake(poll, 1, now_us);
    else if (poll->apart_count > 0)
        poll->next_us = now_us;
    else if (!any)
        rest(poll, answer->rows, now_us);
}

static bool pick(struct poll *poll)
{
    const struct poll_pace *pace = &poll->account->pace;
    int64_t busy[POLLS_BATCH_MAX * 8];
    struct poll_wish wish = {.account_id = poll->account->id,
                             .limit = poll->batch_limit,
                             .busy = busy,
                             .turn = pace->turn,
                             .speed = pace->speed};
    struct poll_batch *batch;

    TAILQ_FOREACH(batch, &poll->batches, entry)
    for (int i = 0; i < PQntuples(batch->rows) && wish.busy_count < COUNT_OF(busy); i++)
        busy[wish.busy_count++] = row_integer(batch->rows, i, POLL_ORDER_ID, 0);
    if (wish.busy_count > COUNT_OF(busy) - POLLS_BATCH_MAX)
        return false; /* eight requests without an answer are enough */
    wish.price = poll->price = poll_pace_price(pace, poll->account->open);
    return polls_pick(poll->workshop->lanes.ledger, &wish, picked, poll) == 0;
}

static bool count_apart(struct poll *poll)
{
    return accounts_count_poll(poll->workshop->lanes.ledger, poll->account->id, 1, apart_counted,
                               poll) == 0;
}

void poll_init(struct poll *poll, struct account *account)
{
    *poll = (struct poll){
        .account = account, .workshop = account->workshop, .batch_limit = POLLS_BATCH_MAX};
    TAILQ_INIT(&poll->batches);
}

void poll_done(struct poll *poll)
{
    struct poll_batch *batch;

    while ((batch = TAILQ_FIRST(&poll->batches)))
        batch_end(batch);
    while (poll->apart_count > 0)
        PQclear(poll->apart[--poll->apart_count]);
    PQclear(poll->held);
    poll->held = NULL;
}

void poll_wake(struct poll *poll, int64_t due_s, int64_t now_us)
{
    int64_t then_us = now_us + due_s * US_PER_S;

    if (then_us < poll->next_us)
        poll->next_us = then_us;
}

int64_t poll_work(struct poll *poll, int64_t now_us)
{
    struct account *account = poll->account;
    int64_t free_us = account_free_us(account, now_us), then_us = poll->next_us, paced_us;
    double rate = account_poll_rate(account, now_us);

    poll_pace_advance(&account->pace, rate, client_budget(account->client)->adds_waiting, now_us);
    if (poll->picking || poll->workshop->stopping || poll->next_us == INT64_MAX ||
        !connection_is_up(poll->workshop->lanes.ledger))
        return INT64_MAX;
    paced_us = poll_pace_next_us(&account->pace, rate);
    if (paced_us == INT64_MAX) /* the day is used up; the rate comes back when it has room again */
        paced_us = now_us + IDLE_LOOK_S * US_PER_S;
    if (paced_us > then_us)
        then_us = paced_us;
    if (free_us > then_us)
        then_us = free_us;
    if (then_us > now_us)
        return then_us;
    if (client_take(account->client, BUDGET_POLL, 1, 0, now_us) == 0)
        return client_next_us(account->client, BUDGET_POLL, 0, now_us);
    if (poll->held) {
        ask(poll, GIVE(poll->held), poll->held_room);
        return now_us;
    }
    poll->next_us = INT64_MAX;
    if (poll->apart_count > 0 ? count_apart(poll) : pick(poll)) {
        poll->picking = true;
        return INT64_MAX;
    }
    client_give_back(account->client, 1, now_us);
    poll->next_us = now_us + US_PER_S;
    return poll->next_us;
}

bool poll_is_quiet(const struct poll *poll)
{
    return poll->batch_count == 0 && !poll->picking;
}
