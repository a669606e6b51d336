#include "jobs/reconcile.h"
#include "base/own.h"
#include "host/clock.h"
#include "host/crash_point.h"
#include "host/events.h"
#include "jobs/flight.h"
#include <stdlib.h>
#include <string.h>

/* After send_before: the longest a request may wait for its reply, and room for clocks that differ.
 */
#define PATIENCE_S 90
#define FIRST_POLL_S 5
#define ROUND_INTERVAL_US (30 * US_PER_S)
#define NO_ANSWER "the daemon ended before an answer was recorded"

enum open_column {
    OPEN_ORDER_ID,
    OPEN_NUMBER,
    OPEN_ORDER_REF,
    OPEN_JOURNAL,
    OPEN_JOURNAL_NUMBER,
    OPEN_OURS,
    OPEN_LEFT_S,
    OPEN_CLAIMED_AT
};

/* ---- what the journals know ---- */

static void end_round(struct reconcile *reconcile)
{
    PQclear(reconcile->open);
    reconcile->open = NULL;
    free(reconcile->matched);
    reconcile->matched = NULL;
    flight_log_done(&reconcile->log);
    flight_shelf_done(&reconcile->shelf);
    reconcile->end_count = reconcile->compared_count = reconcile->lost_count = 0;
    reconcile->running = false;
}

/* Tried again in a second. */
static void give_up(struct reconcile *reconcile, const struct store_answer *answer)
{
    if (answer && answer->verdict == STORE_REFUSED)
        log_repeated(
            &reconcile->failed_log, LOG_LEVEL_ERROR,
            &(struct log_entry){.message_id = MESSAGE_LEDGER_FAILED, .sqlstate = answer->sqlstate},
            "unable to compare the ledger with the flight journal: %s; nothing is bought "
            "until it works, next try in 1 s",
            answer->problem.text);
    end_round(reconcile);
    reconcile->again = true;
    reconcile->retry_us =
        clock_monotonic_us() + (answer && answer->verdict == STORE_LOST ? 0 : US_PER_S);
}

static void add_end(struct reconcile *reconcile, const struct attempt_end *end)
{
    if (reconcile->end_count == reconcile->end_size) {
        size_t more = reconcile->end_size ? 2 * reconcile->end_size : 64;
        struct attempt_end *ends = reallocarray(reconcile->ends, more, sizeof *ends);

        if (!ends)
            return; /* it stays open and is found in the next round */
        reconcile->ends = ends;
        reconcile->end_size = more;
    }
    reconcile->ends[reconcile->end_count++] = *end;
}

static const char *or_null(const char *text)
{
    return text && text[0] ? text : NULL;
}

/* The end of an attempt as a record has it; strings are the record's. */
static struct attempt_end end_of(const struct flight_record *ended, int64_t order_id, int number,
                                 const char *journal)
{
    return (struct attempt_end){.order_id = order_id,
                                .number = number,
                                .outcome = ended->outcome,
                                .provider_order_id = or_null(ended->provider_order_id),
                                .http_status = ended->http_status,
                                .answer = or_null(ended->answer),
                                .wait_s = ended->wait_s,
                                .journal = journal};
}

static const struct flight_entry *find_entry(const struct flight_log *log, const char *order_ref,
                                             int number)
{
    for (size_t i = log->count; i-- > 0;)
        if (log->entries[i].leaves.number == number &&
            strcmp(log->entries[i].leaves.order_ref, order_ref) == 0)
            return &log->entries[i];
    return NULL;
}

/* What this journal says of an attempt of it that the ledger has open. */
static void judge_open(struct reconcile *reconcile, int row)
{
    const struct flight_log *log = &reconcile->log;
    const PGresult *open = reconcile->open;
    const struct flight_entry *entry =
        find_entry(log, row_text(open, row, OPEN_ORDER_REF),
                   (int)row_integer(open, row, OPEN_JOURNAL_NUMBER, 0));
    struct attempt_end end = {.order_id = row_integer(open, row, OPEN_ORDER_ID, 0),
                              .number = (int)row_integer(open, row, OPEN_NUMBER, 0),
                              .journal = log->id};

    if (entry && entry->ended.kind) {
        end = end_of(&entry->ended, end.order_id, end.number, log->id);
    } else if (log->own) {
        return; /* it is in the air */
    } else if (!entry && log->complete) {
        end.outcome = "not executed";
        end.answer = "claimed, but not sent before the daemon ended: the flight journal proves it";
    } else {
        end.outcome = "unknown";
        end.answer = NO_ANSWER;
    }
    add_end(reconcile, &end);
}

static bool open_names(const struct reconcile *reconcile, const char *journal)
{
    for (int row = 0; row < PQntuples(reconcile->open); row++) {
        const char *named = row_text(reconcile->open, row, OPEN_JOURNAL);

        if (named && strcmp(named, journal) == 0)
            return true;
    }
    return false;
}

static void judge_opens(struct reconcile *reconcile)
{
    for (int row = 0; row < PQntuples(reconcile->open); row++) {
        const char *named = row_text(reconcile->open, row, OPEN_JOURNAL);

        if (!named || strcmp(named, reconcile->log.id) != 0)
            continue;
        reconcile->matched[row] = true;
        judge_open(reconcile, row);
    }
}

/* Attempts whose journal is not here. */
static void judge_absent(struct reconcile *reconcile)
{
    reconcile->judged_absent = true;
    for (int row = 0; row < PQntuples(reconcile->open); row++) {
        int64_t left_s = row_integer(reconcile->open, row, OPEN_LEFT_S, 0), then_us;

        if (reconcile->matched[row] || row_boolean(reconcile->open, row, OPEN_OURS))
            continue;
        if (left_s <= 0) {
            add_end(reconcile, &(struct attempt_end){
                                   .order_id = row_integer(reconcile->open, row, OPEN_ORDER_ID, 0),
                                   .number = (int)row_integer(reconcile->open, row, OPEN_NUMBER, 0),
                                   .outcome = "unknown",
                                   .answer = NO_ANSWER});
            continue;
        }
        /* Sooner, too: its process may end, and its journal be free. An hour at most, should the
         * clock have gone back. */
        then_us = clock_monotonic_us() + (left_s < 5 ? left_s : 5) * US_PER_S;
        if (then_us < reconcile->next_us)
            reconcile->next_us = then_us;
    }
}

/* ---- telling the ledger ---- */

static void say_state(const char *order_ref, const char *state, const char *more)
{
    struct log_entry entry = {.order_ref = order_ref};

    if (strcmp(state, "uncertain") == 0) {
        entry.message_id = MESSAGE_ORDER_UNCERTAIN;
        entry.hint =
            "it is not sent again; look in the provider's dashboard whether the order exists there";
        log_write(LOG_LEVEL_ERROR, &entry, "order %s is uncertain: it was sent, and " NO_ANSWER,
                  order_ref);
    } else if (strcmp(state, "surplus") == 0) {
        entry.message_id = MESSAGE_BOUGHT_TWICE;
        entry.hint = "ask the provider to cancel one of them; both are followed";
        log_write(LOG_LEVEL_ERROR, &entry, "order %s was bought twice: a second order %s exists",
                  order_ref, more ? more : "");
    } else {
        entry.message_id = MESSAGE_JOURNAL_SETTLED;
        log_write(LOG_LEVEL_NOTICE, &entry, "order %s is %s: so the flight journal says", order_ref,
                  state);
    }
}

static void recorded(void *userdata, const struct store_answer *answer)
{
    struct reconcile *reconcile = userdata;

    reconcile->busy = false;
    if (answer->verdict != STORE_DONE) {
        give_up(reconcile, answer);
        return;
    }
    CRASH_POINT("reconcile: recorded");
    for (int i = 0; i < PQntuples(answer->rows); i++) {
        const char *order_ref = row_text(answer->rows, i, 0), *state = row_text(answer->rows, i, 1),
                   *more = row_text(answer->rows, i, 2);

        reconcile->found_bought = true;
        if (strcmp(state, "echoed") == 0)
            flight_alarm_echoed(reconcile->workshop, order_ref, more);
        else
            say_state(order_ref, state, more);
    }
    reconcile->end_count -= reconcile->recording;
    memmove(reconcile->ends, reconcile->ends + reconcile->recording,
            reconcile->end_count * sizeof *reconcile->ends);
}

static void record(struct reconcile *reconcile)
{
    struct workshop *workshop = reconcile->workshop;

    reconcile->recording =
        reconcile->end_count < ORDERS_BATCH_MAX ? reconcile->end_count : ORDERS_BATCH_MAX;
    reconcile->busy =
        orders_record(workshop->lanes.ledger, reconcile->ends, reconcile->recording,
                      workshop->tell_shop, FIRST_POLL_S, false, recorded, reconcile) == 0;
    if (!reconcile->busy)
        give_up(reconcile, NULL);
}

static void restored(void *userdata, const struct store_answer *answer)
{
    struct reconcile *reconcile = userdata;

    reconcile->busy = false;
    if (answer->verdict != STORE_DONE) {
        give_up(reconcile, answer);
        return;
    }
    CRASH_POINT("reconcile: restored");
    reconcile->lost_count = 0;
    reconcile->workshop->ledger_was_older = true;
    reconcile->found_bought = true;
    for (int i = 0; i < PQntuples(answer->rows); i++) {
        const char *order_ref = row_text(answer->rows, i, 0), *state = row_text(answer->rows, i, 1);

        log_write(
            LOG_LEVEL_ERROR,
            &(struct log_entry){
                .order_ref = order_ref,
                .message_id = MESSAGE_LEDGER_OLDER,
                .hint =
                    "the database is older than the flight journal: submits stop until somebody "
                    "has looked ('chwsyncd status') and released them ('chwsyncd resolve "
                    "--release')"},
            "the database had lost an attempt of order %s: it was put back, the order is %s",
            order_ref, state);
        if (strcmp(state, "surplus") == 0)
            say_state(order_ref, state, NULL);
    }
}

/* Attempts that only the journal knows go back with an order to stop. */
static void restore(struct reconcile *reconcile)
{
    struct workshop *workshop = reconcile->workshop;
    struct journal_end lost[RECONCILE_BATCH];
    size_t count = 0;

    for (; count < reconcile->lost_count; count++) {
        lost[count] = reconcile->compared[reconcile->lost[count]];
        if (!lost[count].outcome)
            lost[count].outcome = "unknown";
    }
    reconcile->busy = orders_restore(workshop->lanes.ledger, reconcile->log.id, lost, count,
                                     workshop->tell_shop, FIRST_POLL_S, restored, reconcile) == 0;
    if (!reconcile->busy)
        give_up(reconcile, NULL);
}

/* ---- comparing ---- */

static void compared(void *userdata, const struct store_answer *answer)
{
    struct reconcile *reconcile = userdata;
    const struct flight_log *log = &reconcile->log;

    reconcile->busy = false;
    if (answer->verdict != STORE_DONE) {
        give_up(reconcile, answer);
        return;
    }
    for (int i = 0; i < PQntuples(answer->rows); i++) {
        size_t place = (size_t)row_integer(answer->rows, i, 0, 0);
        const struct flight_entry *entry = &log->entries[reconcile->compared[place].place];
        int64_t order_id = row_integer(answer->rows, i, 1, 0);

        if (!order_id)
            reconcile->lost[reconcile->lost_count++] = place;
        else if (entry->ended.kind) {
            struct attempt_end end =
                end_of(&entry->ended, order_id, (int)row_integer(answer->rows, i, 2, 0), log->id);

            add_end(reconcile, &end);
        } else if (!log->own)
            add_end(reconcile,
                    &(struct attempt_end){.order_id = order_id,
                                          .number = (int)row_integer(answer->rows, i, 2, 0),
                                          .outcome = "unknown",
                                          .answer = NO_ANSWER,
                                          .journal = log->id});
    }
    reconcile->known_run =
        PQntuples(answer->rows) ? 0 : reconcile->known_run + reconcile->compared_count;
}

/* The next batch, from the newest entry that was not compared backwards. */
static void compare(struct reconcile *reconcile)
{
    const struct flight_log *log = &reconcile->log;
    size_t count = reconcile->left < RECONCILE_BATCH ? reconcile->left : RECONCILE_BATCH;

    reconcile->compared_count = 0;
    for (size_t i = reconcile->left - count; i < reconcile->left; i++) {
        const struct flight_record *leaves = &log->entries[i].leaves,
                                   *ended = &log->entries[i].ended;

        reconcile->compared[reconcile->compared_count++] = (struct journal_end){
            .place = (int)i,
            .order_ref = leaves->order_ref,
            .provider = leaves->provider,
            .account_id = leaves->account_id,
            .number = leaves->number,
            .left_s = leaves->at_us / US_PER_S,
            .service = leaves->service,
            .link = leaves->link,
            .quantity = leaves->quantity,
            .outcome = ended->kind ? ended->outcome
                       : log->own  ? NULL
                                   : "unknown",
            .provider_order_id = ended->kind ? ended->provider_order_id : "",
            .http_status = ended->http_status,
            .answer = ended->kind ? ended->answer : "",
        };
    }
    reconcile->left -= count;
    reconcile->busy = orders_compare(reconcile->workshop->lanes.ledger, log->id,
                                     reconcile->compared, count, compared, reconcile) == 0;
    if (!reconcile->busy)
        give_up(reconcile, NULL);
}

static void next_place(struct reconcile *reconcile)
{
    struct flight_journal *journal = reconcile->workshop->journal;
    const struct flight_place *place = &reconcile->shelf.places[reconcile->place++];
    int r;

    flight_log_done(&reconcile->log);
    reconcile->left = reconcile->known_run = 0;
    if (!reconcile->whole && !open_names(reconcile, place->id))
        return;
    r = flight_journal_read(journal, place, &reconcile->log);
    if (r < 0) {
        log_event(LOG_LEVEL_WARNING, MESSAGE_JOURNAL_PROVES_LESS,
                  "unable to read the flight journal %s: %s", place->path, strerror(-r));
        return;
    }
    if (!reconcile->log.complete && !reconcile->log.own)
        log_event(LOG_LEVEL_NOTICE, MESSAGE_JOURNAL_PROVES_LESS,
                  "the flight journal %s proves nothing by what is not in it: it is not whole, or "
                  "of an earlier boot",
                  place->path);
    judge_opens(reconcile);
    reconcile->left = reconcile->whole ? reconcile->log.count : 0;
}

/*
 * What is old is so by two clocks, our own and the database's, as of its last look. One of them
 * that is wrong by months for a minute must not take away what a restored backup is compared with.
 */
static int64_t surely_s(const struct workshop *workshop)
{
    int64_t now_s = clock_wall_s();

    return workshop->server_s < now_s ? workshop->server_s : now_s;
}

static void finish(struct reconcile *reconcile)
{
    struct workshop *workshop = reconcile->workshop;
    size_t dead = 0;

    for (size_t i = 0; i < reconcile->shelf.count && dead < RECONCILE_DEAD_MAX; i++)
        if (reconcile->shelf.places[i].fd >= 0) {
            memcpy(reconcile->dead_ids[dead], reconcile->shelf.places[i].id, FLIGHT_ID_SIZE);
            reconcile->dead[dead] = reconcile->dead_ids[dead];
            dead++;
        }
    workshop->dead_journals = reconcile->dead;
    workshop->dead_count = dead;
    flight_journal_prune(&reconcile->shelf, surely_s(workshop));
    end_round(reconcile);
    if (log_recovered(&reconcile->failed_log))
        log_event(LOG_LEVEL_NOTICE, MESSAGE_LEDGER_WELL, "the ledger and the flight journal agree");
    CRASH_POINT("reconcile: done");
    if (reconcile->again)
        return;
    if (reconcile->whole) {
        workshop->reconciled = true;
        workshop->reconciled_us = clock_monotonic_us();
    }
    if (reconcile->whole || reconcile->found_bought)
        reconcile->on_done(reconcile->userdata);
    reconcile->found_bought = false; /* of all rounds since it was told last */
}

static bool others_left_some(const struct reconcile *reconcile)
{
    for (int row = 0; row < PQntuples(reconcile->open); row++)
        if (!row_boolean(reconcile->open, row, OPEN_OURS))
            return true;
    return false;
}

/* The first step: the ledger's open attempts; then the journals that can be read. */
static void opens_listed(void *userdata, const struct store_answer *answer)
{
    struct reconcile *reconcile = userdata;
    int r;

    reconcile->busy = false;
    if (answer->verdict == STORE_DONE)
        reconcile->open = PQcopyResult(answer->rows, PG_COPYRES_ATTRS | PG_COPYRES_TUPLES);
    if (reconcile->open)
        reconcile->matched =
            calloc((size_t)PQntuples(reconcile->open) + 1, sizeof *reconcile->matched);
    if (!reconcile->matched) {
        give_up(reconcile, answer);
        return;
    }
    if (!reconcile->whole && !others_left_some(reconcile)) {
        end_round(reconcile);
        return;
    }
    r = flight_journal_list(reconcile->workshop->journal, &reconcile->shelf);
    if (r < 0)
        log_debug("no flight journal can be read: %s", strerror(-r));
}

static void begin(struct reconcile *reconcile)
{
    struct workshop *workshop = reconcile->workshop;

    reconcile->whole = reconcile->again || !workshop->reconciled;
    reconcile->again = false;
    reconcile->next_us = clock_monotonic_us() + ROUND_INTERVAL_US;
    reconcile->place = reconcile->left = 0;
    reconcile->judged_absent = false;
    reconcile->running = true;
    reconcile->busy = orders_open(workshop->lanes.ledger, workshop->instance, PATIENCE_S,
                                  opens_listed, reconcile) == 0;
    if (!reconcile->busy)
        give_up(reconcile, NULL);
}

/* ---- the job ---- */

void reconcile_init(struct reconcile *reconcile, struct workshop *workshop)
{
    *reconcile = (struct reconcile){.workshop = workshop, .again = true};
}

void reconcile_done(struct reconcile *reconcile)
{
    end_round(reconcile);
    free(reconcile->ends);
}

void reconcile_wake(struct reconcile *reconcile)
{
    reconcile->again = true;
    reconcile->workshop->reconciled = false;
    reconcile->workshop->epoch++;
}

int64_t reconcile_work(struct reconcile *reconcile, int64_t now_us)
{
    if (reconcile->workshop->ledger_doubtful) {
        reconcile->workshop->ledger_doubtful = false;
        reconcile_wake(reconcile);
    }
    if (reconcile->busy || !connection_is_up(reconcile->workshop->lanes.ledger))
        return INT64_MAX;
    if (!reconcile->running) {
        if (!reconcile->again && now_us < reconcile->next_us)
            return reconcile->next_us;
        if (now_us < reconcile->retry_us)
            return reconcile->retry_us;
        begin(reconcile);
        return INT64_MAX;
    }
    while (reconcile->running && !reconcile->busy) {
        if (reconcile->end_count > 0)
            record(reconcile);
        else if (reconcile->lost_count > 0)
            restore(reconcile);
        else if (reconcile->left > 0 && reconcile->known_run < RECONCILE_BATCH)
            compare(reconcile);
        else if (reconcile->place < reconcile->shelf.count)
            next_place(reconcile);
        else if (!reconcile->judged_absent)
            judge_absent(reconcile);
        else
            finish(reconcile);
    }
    return reconcile->running ? INT64_MAX : reconcile->next_us;
}
