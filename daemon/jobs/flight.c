#include "jobs/flight.h"
#include "host/crash_point.h"
#include "host/events.h"
#include "jobs/submit.h"
#include <stdlib.h>
#include <string.h>

void claim_batch_release(struct claim_batch *batch)
{
    if (!batch || --batch->users > 0)
        return;
    PQclear(batch->rows);
    free(batch);
}

void flight_free(struct flight *flight)
{
    claim_batch_release(flight->batch);
    flight_file_release(flight->journal);
    free(flight->order_ref);
    free(flight->provider_order_id);
    free(flight->answer);
    free(flight);
}

char *flight_copy_words(const char *words)
{
    char line[1000];

    if (!words)
        return NULL;
    text_one_line(line, sizeof line, words);
    return strdup(line);
}

void flight_keep_end(struct flight *flight)
{
    const struct flight_record record = {.kind = RECORD_ENDED,
                                         .account_id = flight->submit->account->id,
                                         .order_id = flight->order_id,
                                         .number = flight->number,
                                         .order_ref = flight->order_ref,
                                         .provider = submit_provider(flight->submit),
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
    flight->answer = flight_copy_words(words);
    flight->wait_s = wait_s;
    flight_keep_end(flight);
    flight->stage = FLIGHT_ENDED;
    submit->ended++;
    claim_batch_release(flight->batch);
    flight->batch = NULL;
}

struct log_entry flight_log_entry(const struct flight *flight)
{
    return (struct log_entry){.order_ref = flight->order_ref,
                              .provider = submit_provider(flight->submit),
                              .action = "add",
                              .http_status = flight->http_status};
}

void flight_end_accepted(struct flight *flight, const char *provider_order_id, int64_t sent_us)
{
    struct log_entry entry = flight_log_entry(flight);

    account_note_accepted(flight->submit->account, sent_us);
    flight->provider_order_id = strdup(provider_order_id);
    flight_end(flight, "accepted", NULL, 0);
    flight->submit->workshop->counts.bought++;
    entry.message_id = MESSAGE_ORDER_BOUGHT;
    log_write(LOG_LEVEL_INFO, &entry, "order %s bought: %s order %s", flight->order_ref,
              submit_provider(flight->submit), provider_order_id);
}

void flight_end_refused(struct flight *flight, const char *words)
{
    struct log_entry entry = flight_log_entry(flight);

    flight_end(flight, "refused", words, 0);
    flight->submit->workshop->counts.refused++;
    entry.message_id = MESSAGE_ORDER_REJECTED;
    log_write(LOG_LEVEL_WARNING, &entry, "order %s rejected by %s: %s", flight->order_ref,
              submit_provider(flight->submit), flight->answer ? flight->answer : "no reason given");
}

void flight_end_unsound(struct flight *flight, const char *words)
{
    struct log_entry entry = flight_log_entry(flight);

    flight_end(flight, "refused", words, 0);
    submit_note_rejected(flight->submit, &entry, words);
}

void flight_end_unknown(struct flight *flight, const char *words)
{
    struct log_entry entry = flight_log_entry(flight);

    flight_end(flight, "unknown", words, 0);
    flight->submit->workshop->counts.unknown++;
    entry.message_id = MESSAGE_ORDER_UNCERTAIN;
    entry.hint =
        "it is not sent again; look in the provider's dashboard whether the order exists there";
    workshop_note_error(flight->submit->workshop, "order %s is uncertain", flight->order_ref);
    log_write(LOG_LEVEL_ERROR, &entry, "order %s is uncertain: sent to %s, but %s",
              flight->order_ref, submit_provider(flight->submit),
              flight->answer ? flight->answer : "no answer came");
}

void flight_alarm_echoed(struct workshop *workshop, const char *order_ref, const char *words)
{
    workshop_note_error(workshop, "order %s is uncertain", order_ref);
    log_write(LOG_LEVEL_ERROR,
              &(struct log_entry){
                  .order_ref = order_ref,
                  .message_id = MESSAGE_ORDER_UNCERTAIN,
                  .hint = "it is not sent again; look in the provider's dashboard which of the two "
                          "that order is, and whether there is one for the other"},
              "order %s is uncertain: %s", order_ref, words ? words : "its id is another order's");
}

void flight_end_put_off(struct flight *flight, const char *outcome, const char *words,
                        int64_t wait_s)
{
    struct log_entry entry = flight_log_entry(flight);

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
