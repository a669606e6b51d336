/*
 * store/counts.h - how much work there is, for the service's status line.
 */
#pragma once
#include "store/connection.h"

/* One row: 0 queued, 1 uncertain. Both stand in short lists. */
int counts_ask(struct connection *lane, store_done done, void *userdata);
