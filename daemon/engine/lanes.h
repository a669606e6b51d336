/*
 * engine/lanes.h - a world's connections to the database, and what they wake.
 *
 * Losing one is told once, until all is well again; a connection that comes (back) wakes whatever
 * may have waited for it, the shop's notification wakes the intake.
 */
#pragma once
#include "engine/world.h"

/* 0 or negative errno. Nothing is connected before the loop turns. */
int world_open_lanes(struct world *world);
