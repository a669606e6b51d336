/*
 * engine/reload.h - another world in the place of the one that is.
 *
 * The new configuration is read and tried whole before the old world ends; a wrong one is refused,
 * told with all its faults, and the old one stays in force.
 */
#pragma once
#include "engine/world.h"

/* 0 with *ret_config owned (config_free); 1: each fault of the file was logged with that
 * MESSAGE_ID; or negative errno. */
int world_read_configuration(const char *path, const char *message_id, struct config **ret_config);
/* A claim whose commit is not known would be nobody's in the next world. */
bool world_is_settled(const struct world *world);
/*
 * The database is away, or does not take what it is to record: a reload must not wait for that, as
 * it may be what brings it back. Every request has its answer, and every answer its record in the
 * flight journal; so the world may end as if the process had, under a new instance and a new
 * journal: what the ledger lacks is recorded from the old one before anything is claimed
 * (jobs/reconcile). `asked_us` is when the reload was asked for.
 */
bool world_can_be_left(const struct world *world, int64_t asked_us, int64_t now_us);
/* Replaces *world, or leaves it as it is; either way systemd is told that the reload is over.
 * `settled`: world_is_settled(), otherwise world_can_be_left(). */
void world_reload(struct world **world, const char *config_path, bool settled);
