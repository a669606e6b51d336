/*
 * engine/engine.h - owns everything that lives long, and turns the loop.
 *
 * One thread. sd-event carries timers, signals and PostgreSQL's sockets; libcurl's multi waits for
 * its own sockets and, as one extra descriptor, for sd-event. Each turn moves the transfers on,
 * dispatches events, and lets every job start what can be started (engine/round). The jobs and all
 * that a reload replaces are a world (engine/world).
 *
 * The engine never ends for a database, contract or provider that is down or wrong: what can go on
 * goes on, the rest is looked at again. It ends on SIGTERM or SIGINT, after what is on the wire is
 * answered and recorded, and for a schema newer than itself.
 */
#pragma once
#include "base/problem.h"

struct engine;

enum engine_verdict {
    ENGINE_READY,
    ENGINE_WRONG_CONFIGURATION, /* *reterr_problem; each fault of the file was logged */
    ENGINE_NO_PERMISSION,       /* a key cannot be read: *reterr_problem */
};

/* Negative errno, or a verdict; *ret_engine is owned (engine_free) on ENGINE_READY. Nothing is
 * connected yet. */
int engine_new(const char *config_path, const char *credentials_directory,
               struct engine **ret_engine, struct problem *reterr_problem);
void engine_free(struct engine *engine);

enum engine_end {
    ENGINE_STOPPED,      /* asked to, all is recorded */
    ENGINE_STOPPED_LATE, /* asked to, something could not be recorded in time: it was said */
    ENGINE_SCHEMA_NEWER, /* the database belongs to a newer chwsyncd */
};
/* Negative errno, or how it ended. */
int engine_run(struct engine *engine);
