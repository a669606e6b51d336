/*
 * engine/round.h - one turn of every job: each starts what can be started.
 */
#pragma once
#include "engine/world.h"

/* Prepares what is missing, then lets the jobs work. Returns when the next turn is due at the
 * latest. */
int64_t world_work(struct world *world, int64_t now_us);
