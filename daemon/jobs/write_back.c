#include "jobs/write_back.h"
#include "host/clock.h"
#include "host/crash_point.h"
#include "host/events.h"
#include "store/orders.h"
#include "store/shop.h"
#include <string.h>

#define DELIVER_LIMIT 100
#define LOOK_AFTER_US (300 * US_PER_MS)
/* As put off in the ledger (store/orders, chwsync.deliver). */
#define WHEN_AGAIN "in 1 s, then at growing intervals of up to an hour"

static void put_off_done(void *userdata, const struct store_answer *answer)
{
    struct write_back *write_back = userdata;

    (void)answer;
    write_back->busy = false;
}

static void single_failed(struct write_back *write_back, const struct store_answer *answer)
{
    struct workshop *workshop = write_back->workshop;
    int64_t order_id = write_back->singles.ids[write_back->singles.next++];
    struct log_entry entry = {
        .sqlstate = answer->sqlstate,
        .message_id = MESSAGE_WRITE_BACK_FAILED,
        .hint = "mend the shop's function; the ledger has the result and tells it again later"};
    const char *words =
        answer->verdict == STORE_LOST ? "the database connection broke" : answer->problem.text;

    log_repeated(&write_back->failed_log, LOG_LEVEL_WARNING, &entry,
                 "the shop's function fails: %s; tried again " WHEN_AGAIN, words);
    workshop_note_error(workshop, "write-back: %s", words);
    if (orders_write_back_failed(workshop->lanes.ledger, order_id, answer->sqlstate, words,
                                 put_off_done, write_back) == 0)
        write_back->busy = true;
}

/* Logs the orders whose shop is busy or does not know them. */
static void note_answers(struct write_back *write_back, const PGresult *rows)
{
    for (int i = 0; i < PQntuples(rows); i++) {
        const char *order_ref = row_text(rows, i, DELIVER_ORDER_REF),
                   *answer = row_text(rows, i, DELIVER_ANSWER);

        write_back->workshop->counts.told += answer != NULL;
        if (row_text(rows, i, DELIVER_WAITED_S))
            told_delays_note(&write_back->told, row_real(rows, i, DELIVER_WAITED_S, 0));
        if (!answer)
            log_repeated(&write_back->failed_log, LOG_LEVEL_NOTICE,
                         &(struct log_entry){.message_id = MESSAGE_WRITE_BACK_FAILED,
                                             .order_ref = order_ref},
                         "the shop's function answers NULL; told again " WHEN_AGAIN);
        else if (!row_boolean(rows, i, DELIVER_ANSWER))
            log_debug("the shop does not know order %s; its result stands in chwsync.order_status",
                      order_ref);
    }
}

static void delivered(void *userdata, const struct store_answer *answer)
{
    struct write_back *write_back = userdata;
    bool single = singles_left(&write_back->singles);

    write_back->busy = false;
    if (answer->verdict == STORE_DONE) {
        CRASH_POINT("write-back: committed");
        note_answers(write_back, answer->rows);
        if (single)
            write_back->singles.next++;
        else if (PQntuples(answer->rows) > 0)
            write_back_wake(write_back, 0, clock_monotonic_us());
        return;
    }
    if (sqlstate_doubts_contract(answer->sqlstate))
        write_back->workshop->contract_doubtful = true;
    if (single)
        single_failed(write_back, answer);
    else
        write_back->list_due = true;
}

static void listed(void *userdata, const struct store_answer *answer)
{
    struct write_back *write_back = userdata;

    write_back->busy = false;
    write_back_wake(write_back, 0, clock_monotonic_us());
    if (answer->verdict != STORE_DONE)
        return;
    write_back->list_due = false;
    singles_fill(&write_back->singles, answer->rows);
}

void write_back_init(struct write_back *write_back, struct workshop *workshop)
{
    *write_back = (struct write_back){.workshop = workshop};
    write_back->next_us = clock_monotonic_us() + LOOK_AFTER_US;
}

void write_back_wake(struct write_back *write_back, int64_t due_s, int64_t now_us)
{
    int64_t then_us = now_us + due_s * US_PER_S;

    if (then_us < write_back->next_us)
        write_back->next_us = then_us;
}

void write_back_look(struct write_back *write_back, int64_t now_us)
{
    write_back_wake(write_back, 0, now_us + LOOK_AFTER_US);
}

void write_back_note_empty(struct write_back *write_back)
{
    if (!log_recovered(&write_back->failed_log))
        return;
    log_event(LOG_LEVEL_NOTICE, MESSAGE_WRITE_BACK_WELL,
              "the shop's function works again, and was told everything");
    write_back->workshop->last_error[0] = '\0';
}

int64_t write_back_work(struct write_back *write_back, int64_t now_us)
{
    struct workshop *workshop = write_back->workshop;
    int64_t only = 0;
    int r;

    if (workshop->stopping && (write_back->list_due || singles_left(&write_back->singles)))
        return INT64_MAX;
    if (write_back->busy || !shop_has_function(workshop->shop) ||
        !connection_is_up(workshop->lanes.shop))
        return INT64_MAX;
    if (write_back->list_due) {
        r = orders_write_backs_due(workshop->lanes.ledger, SINGLES_MAX, listed, write_back);
    } else {
        if (singles_left(&write_back->singles))
            only = write_back->singles.ids[write_back->singles.next];
        else if (now_us < write_back->next_us)
            return write_back->next_us;
        else
            write_back->next_us = INT64_MAX;
        CRASH_POINT("write-back: before");
        r = shop_deliver(workshop->shop, workshop->lanes.shop, DELIVER_LIMIT, only, delivered,
                         write_back);
        CRASH_POINT("write-back: asked");
    }
    write_back->busy = r == 0;
    return INT64_MAX;
}

bool write_back_is_quiet(const struct write_back *write_back, int64_t now_us)
{
    if (write_back->busy)
        return false;
    /* What is due stands in the ledger: nobody waits for a shop whose database is away, or whose
     * function fails. */
    if (!shop_has_function(write_back->workshop->shop) ||
        !connection_is_up(write_back->workshop->lanes.shop))
        return true;
    return write_back->list_due || singles_left(&write_back->singles) ||
           now_us < write_back->next_us;
}
