/*
 * jobs/pulse.h - the line that `systemctl status` shows.
 *
 * It tells what the jobs know, and of the ledger how many orders are queued and uncertain: asked at
 * most every 10 s, and only while there is something to ask about, so that an idle daemon stays
 * idle.
 */
#pragma once
#include "jobs/poll.h"
#include "jobs/submit.h"

struct pulse {
    struct workshop *workshop; /* borrowed */
    bool asking, known;
    int64_t queued, uncertain; /* of the ledger, once known */
    uint64_t seen;             /* what had happened when it was asked */
    int64_t next_us, idle_us;
};

void pulse_init(struct pulse *pulse, struct workshop *workshop);
/* Asks when it is time. When it wants to be called again at the latest. */
int64_t pulse_work(struct pulse *pulse, int64_t now_us);

/* Says one account's part of the line; the caller adds up. */
struct pulse_sum {
    unsigned on_the_wire, used, limit; /* requests: now, in the last minute, allowed in it */
    uint64_t open;
    char balances[160]; /* "12.50 USD", by name where there are several */
};
void pulse_add(struct pulse_sum *sum, const struct submit *submit, const struct poll *poll,
               int64_t now_us);
/* Adds what an account's balance is; `is_only`: there is no other. */
void pulse_add_balance(struct pulse_sum *sum, const struct account *account, bool is_only);
/* The whole line. */
void pulse_line(const struct pulse *pulse, const struct pulse_sum *sum, char *ret_line,
                size_t size);
