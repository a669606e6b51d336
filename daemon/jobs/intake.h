/*
 * jobs/intake.h - takes paid, pending lines from the shop's view into the ledger.
 *
 * One statement every intake_interval and after each wake-up. When the view raises, its keys are
 * read alone and taken one by one; the row that raises is parked with its error, left out and tried
 * again every five minutes. The same statement tells when the next queued order and the next
 * write-back are due, so that an idle daemon asks the database nothing else.
 */
#pragma once
#include "jobs/job.h"
#include "rules/clock_step.h"

struct intake {
    struct workshop *workshop;
    struct intake_options options; /* its strings are borrowed from the configuration */
    int64_t interval_us, next_us;
    int64_t rested_us; /* a wake-up is heeded from then on: a large view must not be read without a
                          pause */
    int64_t took_us;   /* the last look */
    bool quick;        /* it took little time and few lines: its plans are still good ones */
    bool small_bites;  /* until all is taken: a large one ran out of time */
    int64_t parked_next_us; /* when parked lines are tried again */
    bool busy;
    bool raises; /* the last look at the whole did */
    char **keys; /* a round of lines that are read one by one: after the whole failed, all new ones
                    as far as they are listed; else those that raised before */
    size_t key_count, key_next;
    bool round_is_whole; /* it listed all there were */
    unsigned late_keys, parked_of_round;
    unsigned lost_looks,
        lost_keys;    /* connections that broke while the whole, or this key, was read */
    bool some_parked; /* lines could not be taken, and that was said */
    bool doubting;    /* the view failed as if it were not what it was: the contract is looked at */
    unsigned slow_looks; /* in a row */
    struct log_repeat failed_log, slow_log;
    /* Seconds from the last look until something is due, told to the engine; -1 = nothing is. */
    void (*on_looked)(void *userdata, int64_t queue_due_s, int64_t write_back_due_s);
    /* The database's clock, as the look met it. */
    void (*on_clock)(void *userdata, const struct clock_look *look);
    int64_t asked_us;                                        /* CLOCK_BOOTTIME */
    void (*on_refills)(void *userdata, const char *due);     /* as in struct intake_result */
    void (*on_wishes)(void *userdata, const char *accounts); /* likewise */
    void *userdata;
};

void intake_done(struct intake *intake);
/* The wake-up channel spoke: look now. */
void intake_wake(struct intake *intake);
int64_t intake_work(struct intake *intake, int64_t now_us);
