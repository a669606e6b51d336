/*
 * store/clocks.h - what the ledger knows of its database's own clock.
 *
 * Only schema chwsync is touched. Moments of the database are microseconds since 1970; ours are of
 * one boot, whose id they are kept by.
 */
#pragma once
#include "rules/clock_step.h"
#include "store/connection.h"

enum clocks_column {
    CLOCKS_NOW_US,
    CLOCKS_SEEN_US, /* the last look that was kept from this boot, or NULL */
    CLOCKS_ASKED_US,
    CLOCKS_TOLD_US,
    CLOCKS_OTHERS_US, /* the latest look from other machines or boots, or NULL */
};
/* Keeps the last look (NULL = there was none) and looks again. One row. */
int clocks_look(struct connection *lane, const char *boot, const struct clock_look *last,
                store_done done, void *userdata);

/* Moves what waits along with a clock that was set since `since_us` before the look `after`, which
 * is kept. Rows: 0 boolean, false = another instance has done it. */
int clocks_move(struct connection *lane, const char *instance, const char *boot, int64_t step_us,
                int64_t since_us, const struct clock_look *after, store_done done, void *userdata);

/* Retention: steps older than `days` (0 = kept for ever), and looks from boots that are over. Rows:
 * 0 how many went. */
int clocks_forget(struct connection *lane, unsigned days, store_done done, void *userdata);
