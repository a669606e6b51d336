#include "jobs/submit_claim.h"
#include "base/own.h"
#include "host/clock.h"
#include "host/crash_point.h"
#include "host/events.h"
#include "jobs/submit_send.h"
#include "store/shop.h"
#include <stdlib.h>
#include <string.h>

#define SEND_WITHIN_S 30 /* a claim that could not be sent by then goes back to the queue */
#define JOURNAL_AGAIN_S 5
#define ASK_AGAIN_S 1 /* when too many statements wait for the database */

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

/* ---- what a claim answers ---- */

/* Its last row is no order. */
static int claimed_count(const PGresult *rows)
{
    return PQntuples(rows) - 1;
}

static bool claim_has_more(const PGresult *rows)
{
    return row_boolean(rows, claimed_count(rows), CLAIM_MORE);
}

/* Whatever it waits for: no later claim tells of it before it is due. */
static void note_next(struct submit *submit, const PGresult *rows)
{
    int64_t again_ms = row_integer(rows, claimed_count(rows), CLAIM_AGAIN_MS, -1);
    int64_t again_us = clock_monotonic_us() + again_ms * US_PER_MS;

    if (again_ms >= 0 && again_us < submit->due_us)
        submit->due_us = again_us;
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
                              .provider = submit_provider(submit),
                              .message_id = MESSAGE_ORDER_HELD};

    if (strcmp(verdict, "rejected") == 0) {
        submit_note_rejected(submit, &entry, reason);
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
        &(struct log_entry){.order_ref = order_ref, .provider = submit_provider(submit)},
        "the shop cannot say now whether order %s may be sent; it is asked again in 250 ms, "
        "then at growing intervals of up to 30 s",
        order_ref);
}

static void note_withdrawn(const struct submit *submit, const char *order_ref)
{
    log_write(LOG_LEVEL_INFO,
              &(struct log_entry){.message_id = MESSAGE_ORDER_WITHDRAWN,
                                  .order_ref = order_ref,
                                  .provider = submit_provider(submit)},
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
    claim_batch_release(batch);
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
    struct log_entry entry = {.provider = submit_provider(submit),
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
              submit_provider(submit));
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
        note_next(submit, answer->rows);
        begun = take_rows(submit, answer, submit->claim_asked_us + SEND_WITHIN_S * US_PER_S);
        submit->claim_took_us += (answer->took_us - submit->claim_took_us) / 8;
        if (single)
            submit->singles.next++;
        else
            submit->hungry = more || submit->woken;
        submit->guessed = false;
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
    if (answer->verdict != STORE_LOST && begun == 0 && submit->ambiguous_claim != lease->claims)
        flight_file_note_empty_claim(submit->claim_journal);
    flight_file_release(submit->claim_journal);
    submit->claim_journal = NULL;
    release_slots(submit, begun);
    submit_send_ready(submit);
}

/* ---- claiming ---- */

unsigned submit_claim_ahead(const struct submit *submit, int64_t now_us, int64_t *ret_next_us)
{
    int64_t lead_us = 2 * submit->claim_took_us + 2 * US_PER_MS;
    int64_t near_us = submit->add_took_us - lead_us, late_us = 2 * submit->add_took_us + lead_us;
    unsigned near = 0, soon = 0, left = submit->on_the_wire;
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
            near++;
        else if (age_us < near_us && age_us >= near_us - submit->claim_took_us)
            soon++;
        if (age_us < near_us && flight->sent_us + near_us < *ret_next_us)
            *ret_next_us = flight->sent_us + near_us;
    }
    return near > 0 ? near + soon : 0;
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
                      submit_provider(submit));
            submit->workshop->last_error[0] = '\0';
        }
        return true;
    }
    submit->claim_us = now_us + JOURNAL_AGAIN_S * US_PER_S;
    log_repeated(&submit->journal_log, LOG_LEVEL_ERROR, &entry,
                 "nothing is bought at %s: %s; looked at again every %d s, polls go on",
                 submit_provider(submit), problem.text, JOURNAL_AGAIN_S);
    workshop_note_error(submit->workshop, "nothing is bought: %s", problem.text);
    return false;
}

/*
 * A server process that has just looked at the shop has at hand what a claim reads. Those of
 * several providers follow one another on one connection: at the same time each would find the
 * other's locks on an order of the shop that has lines for both, and be told that the shop is busy.
 */
static struct connection *claim_lane(const struct submit *submit)
{
    const struct workshop *workshop = submit->workshop;

    return workshop->one_provider && connection_is_idle(workshop->lanes.view)
               ? workshop->lanes.view
               : workshop->lanes.orders;
}

static void claim(struct submit *submit, unsigned ahead, int64_t now_us)
{
    struct client *client = submit->account->client;
    unsigned wanted = account_is_probing(submit->account) || singles_left(&submit->singles)
                          ? 1
                          : ORDERS_BATCH_MAX;
    struct claim_options options = {.provider = submit_provider(submit),
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
    if (shop_claim(submit->workshop->shop, claim_lane(submit), &options, claimed, submit) < 0) {
        release_slots(submit, 0);
        submit->claim_us = now_us + ASK_AGAIN_S * US_PER_S;
        flight_file_release(submit->claim_journal);
        submit->claim_journal = NULL;
    } else {
        flight_file_note_claim(submit->claim_journal);
        submit->claiming = true;
        submit->woken = false;
    }
    CRASH_POINT("claim: asked");
}

static void due_listed(void *userdata, const struct store_answer *answer)
{
    struct submit *submit = userdata;

    submit->claiming = false;
    submit->ask_due = false;
    if (answer->verdict == STORE_DONE)
        singles_fill(&submit->singles, answer->rows);
}

static void list_due(struct submit *submit, int64_t now_us)
{
    if (orders_due(submit->workshop->lanes.ledger, submit_provider(submit), SINGLES_MAX, due_listed,
                   submit) == 0)
        submit->claiming = true;
    else
        submit->claim_us = now_us + ASK_AGAIN_S * US_PER_S;
}

void submit_claim(struct submit *submit, unsigned ahead, int64_t now_us)
{
    if (submit->ask_due)
        list_due(submit, now_us);
    else
        claim(submit, ahead, now_us);
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
        submit_note_due(submit);
    }
}

DEFINE_OWN(int64_t, free, ids_freep)

bool submit_must_release(const struct submit *submit)
{
    const struct lease *lease = &submit->account->lease;

    return submit->ambiguous_claim != 0 && lease->ours && lease->claims >= submit->ambiguous_claim;
}

void submit_release(struct submit *submit)
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
