/*
 * engine/wiring.h - who tells whom: what one job found wakes others.
 *
 * Jobs do not know each other; each has callbacks for what it finds, and all of them are answered
 * here. A wake only says when to look: what is due, the job asks the ledger.
 */
#pragma once
#include "engine/world.h"

/* After the jobs were initialised. */
void provider_wire(struct provider *provider);
void world_wire(struct world *world);
#define LOOK_ANYWAY_S 20 /* without a word from the intake: the view may raise, or take long */
/* Jobs look at their lists although no intake told what is due. */
void world_look_anyway(struct world *world, int64_t now_us);
