/*
 * jobs/poll.h - follows what was bought, by multi-status requests filled to 100.
 *
 * A batch of the earliest turns leaves when rules/poll_schedule and the gate allow it; an answer is
 * applied per order, and what is wrong with one id (its own error, an unknown word, no answer)
 * changes nothing for the others. An id that is answered with an error, or a new one that is left
 * out, is asked again alone; a batch that is refused for one of its ids is asked again in halves.
 * Room in a batch is jobs/recheck's.
 */
#pragma once
#include "jobs/account.h"
#include "jobs/recheck.h"
#include "store/polls.h"
#include <sys/queue.h>

/* Halves of a full batch down to a single id, and one of another batch. */
#define POLL_APART_MAX 16

/* One request on the wire, until its answers are in the ledger. */
struct poll_batch {
    TAILQ_ENTRY(poll_batch) entry;
    struct poll *poll;
    PGresult *rows;            /* what was asked, by enum poll_column */
    struct recheck_loan *loan; /* and, where there was room: orders that have ended, or NULL */
    struct reply reply;
    struct poll_answer answers[POLLS_BATCH_MAX];
    size_t answer_count,
        single_next; /* single_next > 0: applied one by one, after the ledger refused the whole */
    bool applying, answered;
};

struct poll {
    struct account *account;
    struct workshop *workshop;
    TAILQ_HEAD(, poll_batch) batches;
    unsigned batch_count;
    bool picking;
    double price;         /* of the batch that is being picked */
    unsigned batch_limit; /* ids a request; less after the provider said it is too many */
    int64_t next_us;      /* not before; INT64_MAX = no order is open */
    PGresult *apart[POLL_APART_MAX]; /* rows of poll_column: ids that are asked before all others,
                                        each of these alone or together; the last one first */
    size_t apart_count;
    PGresult *held; /* picked and counted, but the account was paused before it could leave */
    bool held_room; /* ids that cost nothing may be added to it */
    struct recheck *recheck; /* borrowed: lends ids for batches that are not full */
    struct log_repeat words_log, apply_log;
    void (*on_applied)(void *userdata); /* committed: the shop is to be told */
    void *userdata;
};

void poll_init(struct poll *poll, struct account *account);
void poll_done(struct poll *poll);
/* There is an order to ask about in `due_s` seconds. */
void poll_wake(struct poll *poll, int64_t due_s, int64_t now_us);
int64_t poll_work(struct poll *poll, int64_t now_us);
bool poll_is_quiet(const struct poll *poll);
