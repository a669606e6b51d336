/*
 * jobs/submit.h - buys what is queued at one provider: claim, send, record.
 *
 * 1. Claim: lines that are due are judged by the catalogue, by what they may cost and by the
 * balance; of those that may go as many as there are budget slots and connections are moved to
 * `submitting`, through the shop's veto, under the account's lease (jobs/lease), naming the flight
 * journal. Nothing is sent before the server confirmed the commit; a claim whose commit is
 * ambiguous is never sent, and released when the lease's count says that it was committed.
 * 2. Send: one `add` each, through the transport's gate. Immediately before the first byte leaves
 * it asks for send_before, the lease and the epoch, and the journal gets its record.
 * 3. Record: the reply's end goes to the journal first. It is kept here until the ledger confirmed
 * it, however long the database stalls.
 *
 * What happens if the process ends at any point: before 1 is committed, nothing. Until 3 is
 * committed, the attempt stands open in the ledger and the next start settles it from the journal
 * (jobs/reconcile): recorded, not sent, or unknown. It is never sent again by itself.
 *
 * What is due is decided here; the steps have modules of their own: submit_claim, submit_send,
 * submit_record, and flight for what is under way and how it ends.
 */
#pragma once
#include "jobs/account.h"
#include "jobs/flight.h"
#include "store/orders.h"

struct submit {
    struct account *account;                    /* borrowed */
    struct workshop *workshop;                  /* borrowed */
    struct flight_list flights;                 /* all of them, in the order of claiming */
    unsigned ready, on_the_wire, asking, ended; /* of the list, by stage */
    bool claiming, recording, releasing;
    bool hungry;  /* lines may be queued that are due */
    bool guessed; /* hungry, but nobody has seen one */
    bool woken;   /* since the claim under way was asked for, which may not see what is due */
    int64_t ambiguous_claim; /* number of a claim whose commit was not confirmed; 0 = none */
    unsigned reserved;       /* budget slots of the claim that is under way */
    int64_t due_us;          /* when the next queued line is due, as intake or a claim saw it */
    struct flight_file *claim_journal; /* held while a claim is under way */
    int64_t claim_asked_us;            /* CLOCK_BOOTTIME */
    uint64_t claim_epoch;
    int64_t claim_us;       /* no claim before: no journal can be written, or too many statements
                               wait for the database */
    bool ask_due;           /* a claim failed: list what is due, to claim it one by one */
    int64_t claim_took_us;  /* smoothed: from claim to its commit */
    int64_t add_took_us;    /* smoothed: from an add to its reply */
    struct singles singles; /* lines claimed one by one after a fault */
    struct flight *batch[ORDERS_BATCH_MAX]; /* being recorded */
    size_t batch_count;
    unsigned batch_limit; /* ORDERS_BATCH_MAX, or 1 after the ledger refused a batch */
    int64_t record_us;    /* not before, after the ledger refused */
    struct log_repeat claim_log, record_log, busy_log, journal_log,
        limit_log; /* max_charge_per_order, max_spend_per_day */
    void (*on_recorded)(void *userdata,
                        unsigned accepted); /* committed: the shop is to be told, polls begin */
    void *userdata;
};

static inline const char *submit_provider(const struct submit *submit)
{
    return submit->account->config->name;
}

/* A line is due, which a claim under way may not see. */
static inline void submit_note_due(struct submit *submit)
{
    submit->hungry = submit->woken = true;
    submit->guessed = false;
}

void submit_init(struct submit *submit, struct account *account);
/* True when a request is on the wire that should have ended a minute ago at the latest. */
bool submit_is_stuck(const struct submit *submit, int64_t now_us);
/* Frees what is not recorded; what was on the wire becomes uncertain at the next start. */
void submit_done(struct submit *submit);
/* Lines are due now, or in `due_s` seconds; less than 0: none is queued. */
void submit_wake(struct submit *submit, int64_t due_s, int64_t now_us);
/* Something has changed: lines may be due. */
void submit_look(struct submit *submit);
/* Something waits for the lease to be taken or renewed. */
bool submit_wants_lease(const struct submit *submit);
/* Whether something is due would be seen with it. */
bool submit_wants_look(const struct submit *submit);
int64_t submit_work(struct submit *submit, int64_t now_us);
/* Nothing is claimed, on the wire or unrecorded. */
bool submit_is_quiet(const struct submit *submit);
/*
 * Nothing is on the wire, and what is not recorded stands in the flight journal: whoever comes
 * after this job can go on from there as after a crash. submit_leave() then ends what the ledger
 * was asked about; submit_done() follows.
 */
bool submit_can_be_left(const struct submit *submit);
/* Returns how many ends the ledger lacks. */
unsigned submit_leave(struct submit *submit);

/* Counts and tells an order that we rejected ourselves, before anything was sent. For the steps. */
void submit_note_rejected(struct submit *submit, struct log_entry *entry, const char *words);
