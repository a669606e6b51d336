/*
 * jobs/write_back.h - tells the shop, through its function, where its orders stand.
 *
 * After the outcomes are committed, in transactions of its own on a connection of its own: up to
 * 100 orders by one statement. After a fault, or when the connection broke, those that were due are
 * told one by one; the one that fails is tried again with back-off.
 */
#pragma once
#include "jobs/job.h"
#include "rules/figures.h"

struct write_back {
    struct workshop *workshop;
    bool busy, list_due;
    int64_t next_us; /* INT64_MAX = nothing is due */
    struct singles singles;
    struct told_delays told;      /* how late ends were */
    struct log_repeat failed_log; /* until the shop was told everything */
};

void write_back_init(struct write_back *write_back, struct workshop *workshop);
/* Something is due in `due_s` seconds, 0 = now. */
void write_back_wake(struct write_back *write_back, int64_t due_s, int64_t now_us);
/* Something may be due from before: looked for in a moment, unless a look at the shop tells sooner.
 */
void write_back_look(struct write_back *write_back, int64_t now_us);
/* The ledger holds nothing more that the shop has to be told. */
void write_back_note_empty(struct write_back *write_back);
int64_t write_back_work(struct write_back *write_back, int64_t now_us);
/* Nothing under way, nothing due now. */
bool write_back_is_quiet(const struct write_back *write_back, int64_t now_us);
