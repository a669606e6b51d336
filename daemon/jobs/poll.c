#include "jobs/poll.h"
#include "base/own.h"
#include "host/clock.h"
#include "host/crash_point.h"
#include "host/events.h"
#include "rules/poll_schedule.h"
#include <stdlib.h>
#include <string.h>

#define IDLE_LOOK_S 60 /* an order's time can move while none seems due */

static void batch_free(struct poll_batch *batch)
{
    PQclear(batch->rows);
    reply_done(&batch->reply);
    free(batch);
}

static void batch_end(struct poll_batch *batch)
{
    TAILQ_REMOVE(&batch->poll->batches, batch, entry);
    batch->poll->batch_count--;
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

/* A new interval when it differs from the row's by more than a quarter; otherwise the row needs no
 * write. */
static int64_t changed_interval_s(const PGresult *rows, int row, const struct reply_order *order)
{
    int64_t now_us = 0, old_s = row_integer(rows, row, POLL_INTERVAL_S, 0), new_s;
    bool moved = order->has_remains && order->remains != row_integer(rows, row, POLL_REMAINS, -1);
    struct poll_order facts = {
        .now_us = now_us,
        .accepted_us = -row_integer(rows, row, POLL_ACCEPTED_AGO_S, 0) * US_PER_S,
        .changed_us = moved ? now_us : -row_integer(rows, row, POLL_CHANGED_AGO_S, 0) * US_PER_S,
        .quantity = row_integer(rows, row, POLL_QUANTITY, -1),
        .remains = order->has_remains ? order->remains : -1,
        .errors = (unsigned)row_integer(rows, row, POLL_ERRORS, 0) + (order->error ? 1 : 0),
    };

    new_s = poll_interval_us(&facts) / US_PER_S;
    return new_s > old_s + old_s / 4 || new_s < old_s - old_s / 4 ? new_s : 0;
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
        .interval_s = changed_interval_s(batch->rows, row, order),
    };

    if (!order->error && order->status == ORDER_STATUS_UNKNOWN)
        note_unknown_word(batch->poll, order_ref, order->status_word ? order->status_word : "");
    batch->answers[batch->answer_count++] = answer;
}

/* Keeps one row, to ask about that id alone: an error in a batch may be the batch's, not the
 * order's. */
static void ask_alone(struct poll_batch *batch, int row)
{
    struct poll *poll = batch->poll;
    PGresult *alone;

    if (poll->alone || PQntuples(batch->rows) == 1)
        return;
    alone = PQcopyResult(batch->rows, PG_COPYRES_ATTRS);
    for (int column = 0; alone && column <= POLL_OTHERS_DAY; column++) {
        const char *value = row_text(batch->rows, row, column);

        if (!PQsetvalue(alone, 0, column, (char *)(uintptr_t)value,
                        value ? (int)strlen(value) : -1)) {
            PQclear(alone);
            alone = NULL;
        }
    }
    poll->alone = alone;
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
        int row = order->id ? find_row(&index, order->id) : index.count == 1 ? 0 : -1;

        if (row < 0 || seen[row])
            continue;
        seen[row] = true;
        read_order(batch, row, order);
        if (order->error && row_integer(batch->rows, row, POLL_ERRORS, 0) == 0)
            ask_alone(batch, row);
    }
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
                     "unable to record statuses: %s", answer->problem.text);
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
                                 row_text(batch->rows, 0, POLL_ASKED_AT), poll->workshop->tell_shop,
                                 applied, batch) == 0)
        batch->applying = true;
    else
        batch_end(batch); /* nothing to say, or no memory: asked again at the next turn */
}

/* ---- an answer of the provider ---- */

static void refused(struct poll *poll, const struct reply *reply)
{
    int64_t now_us = clock_monotonic_us();

    if (reply->class == ERROR_KEY || reply->class == ERROR_ENDPOINT) {
        account_pause(poll->account, reply->class, reply->error, now_us);
    } else if (reply->class == ERROR_RATE) {
        account_note_rate(poll->account, reply->error, now_us);
    } else if (reply->class == ERROR_REQUEST && poll->batch_limit > 1) {
        poll->batch_limit /= 2;
        log_event(LOG_LEVEL_NOTICE, MESSAGE_BATCH_REFUSED,
                  "provider %s refuses a batch (%s); asking about %u orders a request from now on",
                  poll->account->config->name, reply->error, poll->batch_limit);
    } else {
        log_repeated(&poll->account->silence_log, LOG_LEVEL_WARNING,
                     &(struct log_entry){.message_id = MESSAGE_PROVIDER_SILENT,
                                         .provider = poll->account->config->name,
                                         .action = "status"},
                     "provider %s refuses to tell statuses: %s", poll->account->config->name,
                     reply->error);
    }
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
        account_note_answer(poll->account);
        batch->reply = *answer->reply;
        memset(answer->reply, 0, sizeof *answer->reply);
        CRASH_POINT("poll: answered");
        read_orders(batch);
        apply(batch);
        CRASH_POINT("poll: asked to record");
        return;
    case REPLY_REFUSED:
    case REPLY_NOT_EXECUTED:
        refused(poll, answer->reply);
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

/* `rows` are taken. The slot was taken before. */
static void ask(struct poll *poll, PGresult *rows)
{
    const char *ids[POLLS_BATCH_MAX];
    size_t count = (size_t)PQntuples(rows);
    struct poll_batch *batch = calloc(1, sizeof *batch);
    struct api_request request = {
        .action = count == 1 ? ACTION_STATUS : ACTION_MULTI_STATUS, .ids = ids, .id_count = count};

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
    if (client_send(poll->account->client, &request, NULL, answered, batch) < 0)
        batch_end(batch);
}

static void looked_ahead(void *userdata, const struct store_answer *answer)
{
    struct poll *poll = userdata;
    int64_t due_s;

    poll->looking = false;
    if (answer->verdict != STORE_DONE) {
        poll->next_us = clock_monotonic_us() + 5 * US_PER_S;
        return;
    }
    due_s = row_integer(answer->rows, 0, 0, -1);
    poll->open = (uint64_t)row_integer(answer->rows, 0, 1, 0);
    if (poll->open == 0) /* another process or an operator may add one */
        due_s = IDLE_LOOK_S;
    if (due_s < 1)
        due_s = 1;
    poll_wake(poll, due_s < IDLE_LOOK_S ? due_s : IDLE_LOOK_S, clock_monotonic_us());
}

static void picked(void *userdata, const struct store_answer *answer)
{
    struct poll *poll = userdata;
    int64_t now_us = clock_monotonic_us();
    PGresult *rows = NULL;

    poll->picking = false;
    if (answer->verdict == STORE_DONE && PQntuples(answer->rows) > 0)
        rows = PQcopyResult(answer->rows, PG_COPYRES_ATTRS | PG_COPYRES_TUPLES);
    if (rows) {
        poll->others_day = (unsigned)row_integer(rows, 0, POLL_OTHERS_DAY, 0);
        ask(poll, rows);
        poll_wake(poll, 0, now_us);
        return;
    }
    client_give_back(poll->account->client, 1, now_us);
    if (answer->verdict != STORE_DONE)
        poll_wake(poll, 1, now_us);
    else if (polls_next(poll->workshop->lanes.ledger, poll->account->id, looked_ahead, poll) == 0)
        poll->looking = true;
    else
        poll_wake(poll, 5, now_us);
}

static bool pick(struct poll *poll)
{
    int64_t busy[POLLS_BATCH_MAX * 8];
    struct poll_batch *batch;
    size_t count = 0;

    TAILQ_FOREACH(batch, &poll->batches, entry)
    for (int i = 0; i < PQntuples(batch->rows) && count < COUNT_OF(busy); i++)
        busy[count++] = row_integer(batch->rows, i, POLL_ORDER_ID, 0);
    if (count > COUNT_OF(busy) - POLLS_BATCH_MAX)
        return false; /* eight requests without an answer are enough */
    return polls_pick(poll->workshop->lanes.ledger, poll->account->id, poll->batch_limit, busy,
                      count, picked, poll) == 0;
}

static int64_t pace_of(const struct poll *poll, int64_t now_us)
{
    struct budget *budget = client_budget(poll->account->client);
    struct poll_pace pace = {.per_minute = budget->limits.per_minute,
                             .per_day = budget->limits.per_day,
                             .day_used = poll->others_day,
                             .day_left_us = 86400 * US_PER_S};

    if (!budget->limits.day_rolling) {
        pace.day_used = budget_day_used(budget, now_us);
        int64_t left_us = (budget->limits.day_ends_us - now_us) % (86400 * US_PER_S);

        pace.day_left_us = left_us > 0 ? left_us : left_us + 86400 * US_PER_S;
    }
    return poll_pace_us(&pace);
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
    PQclear(poll->alone);
    poll->alone = NULL;
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
    int64_t free_us = account_free_us(account, now_us), then_us = poll->next_us;

    if (poll->picking || poll->looking || poll->workshop->stopping || poll->next_us == INT64_MAX ||
        !connection_is_up(poll->workshop->lanes.ledger))
        return INT64_MAX;
    if (poll->paced_us > then_us)
        then_us = poll->paced_us;
    if (free_us > then_us)
        then_us = free_us;
    if (then_us > now_us)
        return then_us;
    if (client_take(account->client, BUDGET_POLL, 1, 0, now_us) == 0)
        return client_next_us(account->client, BUDGET_POLL, 0, now_us);
    poll->paced_us = now_us + pace_of(poll, now_us);
    if (poll->alone) {
        ask(poll, GIVE(poll->alone));
        return poll->paced_us;
    }
    poll->next_us = INT64_MAX;
    if (pick(poll)) {
        poll->picking = true;
        return INT64_MAX;
    }
    client_give_back(account->client, 1, now_us);
    poll->next_us = poll->paced_us;
    return poll->paced_us;
}

bool poll_is_quiet(const struct poll *poll)
{
    return poll->batch_count == 0 && !poll->picking && !poll->looking;
}
