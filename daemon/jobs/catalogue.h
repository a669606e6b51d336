/*
 * jobs/catalogue.h - reads what a provider sells: at the start, every catalogue_interval, after an
 * order was refused for its service, and when somebody asks for it (heard at once by the wake-up,
 * else within a minute).
 *
 * When it was last read stands in the ledger, whoever read it: a restart within the interval spends
 * no request, nor does a second instance, which looks there again once it has the lease. What is
 * read is stored in parts (store/services); between two of them other work of the ledger goes on.
 * A catalogue that cannot be read or believed leaves the known one as it is (rules/catalogue_diff).
 *
 * Nothing here has to be finished at a stop: what is lost is read again.
 */
#pragma once
#include "jobs/account.h"
#include "rules/catalogue_diff.h"

/* What comes next; each step begins in catalogue_work() and ends in a callback. */
enum catalogue_step {
    CATALOGUE_LOOKS,    /* in the ledger: is one due? */
    CATALOGUE_ASKS,     /* the provider, under the lease and within the budget */
    CATALOGUE_COMPARES, /* with the known one: is it to be believed? */
    CATALOGUE_STORES,   /* part by part */
    CATALOGUE_ENDS,     /* what has vanished, and when it was read */
};

struct catalogue {
    struct account *account;   /* borrowed */
    struct workshop *workshop; /* borrowed */
    enum catalogue_step step;
    bool busy;                      /* with a statement, or a request */
    int64_t next_us;                /* of a look */
    struct catalogue_timing timing; /* as the ledger had it at the last look */
    int64_t looked_us;
    bool looked_holding; /* the lease */
    bool refused;        /* an order was, for its service, since the last reading */
    unsigned refusals;   /* readings for that reason since the last ordinary one */
    unsigned failures;   /* in a row */
    bool read_before;    /* a catalogue is known */
    /* The one in hand. */
    struct reply reply; /* owned */
    int64_t asked_us;
    size_t repeats; /* rows that named a service again */
    size_t stored;  /* rows */
    unsigned lost;  /* how often in a row the connection was lost over it */
    struct catalogue_news news;
    struct log_repeat fault_log, ledger_log;
    void (*on_stored)(void *userdata); /* what was held for it may be due */
    void *userdata;
};

void catalogue_init(struct catalogue *catalogue, struct account *account);
void catalogue_done(struct catalogue *catalogue);
/* One may be due: somebody said so. */
void catalogue_wake(struct catalogue *catalogue, int64_t now_us);
int64_t catalogue_work(struct catalogue *catalogue, int64_t now_us);
/* One is due, and leaves under the lease. */
bool catalogue_wants_lease(const struct catalogue *catalogue);
