#include "jobs/submit.h"
#include "base/own.h"
#include "host/clock.h"
#include "host/events.h"
#include "jobs/submit_claim.h"
#include "jobs/submit_record.h"
#include "jobs/submit_send.h"
#include <stdlib.h>

#define UNRECORDED_MAX 1000 /* no claim while that many ends wait for the ledger */

DEFINE_OWN(char, free, words_freep)

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
    int64_t due_us = due_s > 0 ? now_us + due_s * US_PER_S : INT64_MAX;

    if (due_s == 0)
        submit_note_due(submit); /* the claim tells of what is due next */
    else
        submit->guessed = !submit->account->lease.ours;
    if (due_s <= 0 || due_us < submit->due_us) /* a claim told it to the millisecond */
        submit->due_us = due_us;
}

void submit_look(struct submit *submit)
{
    submit->guessed |= !submit->hungry;
    submit->hungry = submit->woken = true;
}

bool submit_wants_lease(const struct submit *submit)
{
    return submit->ready > 0 || submit->ambiguous_claim != 0 ||
           (submit->hungry && !submit->guessed &&
            (!submit->account->lease.ours || submit->account->lease.stops));
}

bool submit_wants_look(const struct submit *submit)
{
    return submit->hungry && !submit->account->lease.ours;
}

/* Lines are queued, and nothing that lasts stands in their way. Otherwise they must not keep polls
 * waiting. */
static bool adds_wait(const struct submit *submit, int64_t now_us)
{
    const struct workshop *workshop = submit->workshop;
    const struct lease *lease = &submit->account->lease;

    return submit->hungry && submit->account->compared && !workshop->stopping &&
           workshop->reconciled && lease->ours && !lease->stops && now_us >= submit->claim_us &&
           shop_has_view(workshop->shop) && connection_is_up(workshop->lanes.orders);
}

static bool may_claim(const struct submit *submit, int64_t now_us)
{
    return adds_wait(submit, now_us) && !submit->claiming && !submit->account->lease.asking &&
           !submit_must_release(submit) && !submit->releasing && submit->asking == 0 &&
           submit->ended + submit->batch_count < UNRECORDED_MAX;
}

/* While a recording, a release or a question is under way, its own callback is the next moment. */
static int64_t next_without_claim(const struct submit *submit, int64_t now_us)
{
    int64_t next_us = submit->due_us;

    if (submit->ended > 0 && !submit->recording && submit->record_us < next_us)
        next_us = submit->record_us;
    if (submit->claim_us > now_us && submit->claim_us < next_us)
        next_us = submit->claim_us;
    return next_us;
}

int64_t submit_work(struct submit *submit, int64_t now_us)
{
    struct account *account = submit->account;
    int64_t free_us = account_submits_free_us(account, now_us), near_us, slot_us;
    unsigned ahead;

    submit_send_ready(submit);
    if (submit->ended > 0 && !submit->recording && now_us >= submit->record_us)
        submit_record(submit);
    if (submit_must_release(submit) && !submit->releasing && submit->workshop->reconciled &&
        connection_is_up(submit->workshop->lanes.ledger))
        submit_release(submit);
    if (now_us >= submit->due_us) {
        submit_note_due(submit);
        submit->due_us = INT64_MAX;
    }
    client_budget(account->client)->adds_waiting = adds_wait(submit, now_us) && free_us <= now_us;
    if (!may_claim(submit, now_us))
        return next_without_claim(submit, now_us);
    if (free_us > now_us)
        return free_us;
    ahead = submit_claim_ahead(submit, now_us, &near_us);
    submit_claim(submit, ahead, now_us);
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

            flight_end_unknown(flight, words);
        }
        unrecorded += flight->stage != FLIGHT_READY;
    }
    return unrecorded;
}

void submit_note_rejected(struct submit *submit, struct log_entry *entry, const char *words)
{
    submit->workshop->counts.refused++;
    entry->message_id = MESSAGE_ORDER_REJECTED;
    entry->hint = "correct it in the shop, then chwsyncd retry";
    log_write(LOG_LEVEL_WARNING, entry, "order %s rejected, nothing was sent: %s", entry->order_ref,
              words);
}
