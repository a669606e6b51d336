#include "jobs/submit_record.h"
#include "host/clock.h"
#include "host/crash_point.h"
#include "host/events.h"
#include <string.h>

#define FIRST_POLL_S 5

static void recorded_one(struct submit *submit, struct flight *flight, unsigned *accepted)
{
    int64_t due_us = clock_monotonic_us() + flight->wait_s * US_PER_S;

    *accepted += strcmp(flight->outcome, "accepted") == 0;
    if (flight->wait_s < 0)
        submit_note_due(submit);
    if (flight->wait_s > 0 && due_us < submit->due_us)
        submit->due_us = due_us;
    TAILQ_REMOVE(&submit->flights, flight, entry);
    flight_free(flight);
}

static void alarm_surplus(struct submit *submit, const PGresult *rows, int row)
{
    struct log_entry entry = {.order_ref = row_text(rows, row, 0),
                              .provider = submit_provider(submit),
                              .message_id = MESSAGE_BOUGHT_TWICE,
                              .hint = "ask the provider to cancel one of them; both are followed"};

    if (strcmp(row_text(rows, row, 1), "surplus") == 0)
        log_write(LOG_LEVEL_ERROR, &entry,
                  "order %s was bought twice: %s has a second order %s for it", entry.order_ref,
                  submit_provider(submit), row_text(rows, row, 2));
    else if (strcmp(row_text(rows, row, 1), "echoed") == 0)
        flight_alarm_echoed(submit->workshop, entry.order_ref, row_text(rows, row, 2));
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
                     &(struct log_entry){.provider = submit_provider(submit),
                                         .sqlstate = answer->sqlstate,
                                         .message_id = MESSAGE_LEDGER_FAILED},
                     "unable to record what %s answered: %s; kept in memory, next try in 1 s",
                     submit_provider(submit), answer->problem.text);
        submit->batch_limit = 1;
        submit->record_us = clock_monotonic_us() + US_PER_S;
        if (count == 1) { /* the others first */
            TAILQ_REMOVE(&submit->flights, submit->batch[0], entry);
            TAILQ_INSERT_TAIL(&submit->flights, submit->batch[0], entry);
        }
    }
}

void submit_record(struct submit *submit)
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
                      FIRST_POLL_S, true, recorded, submit) < 0) {
        submit->record_us = clock_monotonic_us() + US_PER_S;
        return;
    }
    CRASH_POINT("record: asked");
    for (size_t i = 0; i < count; i++)
        submit->batch[i]->stage = FLIGHT_RECORDING;
    submit->batch_count = count;
    submit->ended -= (unsigned)count;
    submit->recording = true;
}
