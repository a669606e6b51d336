/*
 * engine/preparation.h - what must be known before jobs can work: contract, ledger, clock,
 * accounts.
 *
 * What is missing or down is looked for again, for as long as it takes; only a ledger newer than
 * this program ends it (ground.schema_newer). History is forgotten here too.
 */
#pragma once
#include "engine/world.h"

/* Returns when it wants to be called again at the latest. */
int64_t world_prepare(struct world *world, int64_t now_us);
