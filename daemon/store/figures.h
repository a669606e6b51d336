/*
 * store/figures.h - keeps in the ledger what is counted for a monitoring system.
 */
#pragma once
#include "rules/figures.h"
#include "store/connection.h"

/* Adds what was counted since `kept`; both are counters of this process. */
int figures_add_requests(struct connection *lane, int account_id, const struct request_counts *now,
                         const struct request_counts *kept, store_done done, void *userdata);
int figures_add_told(struct connection *lane, const struct told_delays *now,
                     const struct told_delays *kept, store_done done, void *userdata);
