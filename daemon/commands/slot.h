/*
 * commands/slot.h - a slot of the budget for a request that a command makes.
 *
 * The daemon's gate grants it (store/slots); where no daemon works, the command counts it. Embed a
 * struct slot with its first four fields set; there is nothing to free. Used for one request after
 * the other.
 */
#pragma once
#include "host/config.h"
#include "store/slots.h"

struct slot {
    struct session *session;
    const struct config *config;
    const struct provider_config *provider;
    bool tells; /* on stderr, when it takes longer */
    int64_t ticket, asked_us;
    bool waits, told, alone; /* alone: no daemon answered */
    enum session_verdict verdict;
};

enum slot_verdict {
    SLOT_TAKEN,   /* the request may leave, now */
    SLOT_WAITS,   /* call again in SLOT_LOOK_US or so */
    SLOT_REFUSED, /* the provider wants no request, or the budget has no room: the problem says
                     for how long */
    SLOT_FAULT,   /* the ledger did not do it: `verdict` and the problem */
};
#define SLOT_LOOK_US 50000

/* Asks for a slot, or goes on waiting. */
enum slot_verdict slot_take(struct slot *slot, struct problem *reterr_problem);
