/*
 * host/crash_point.h - places where a test build dies on command; nothing at all in every other
 * build.
 *
 * Built with -DCHW_CRASH_POINTS, the environment names one place:
 * CHW_CRASH_POINT="NAME:COUNT[:stop]". The process kills itself (SIGKILL) when it gets there for
 * the COUNTth time, or stops (SIGSTOP) until it is continued.
 */
#pragma once

#ifdef CHW_CRASH_POINTS
#include <stdbool.h>
/* Kills or stops, or returns. */
void crash_point(const char *name);
/* True when the place is reached for the named time. */
bool crash_is_due(const char *name);
void crash_now(void);
#define CRASH_POINT(name) crash_point(name)
/* Does only `half` of what follows, then dies. */
#define CRASH_HALF_WAY(name, half)                                                                 \
    do {                                                                                           \
        if (crash_is_due(name)) {                                                                  \
            (void)(half);                                                                          \
            crash_now();                                                                           \
        }                                                                                          \
    } while (0)
#else
#define CRASH_POINT(name) ((void)0)
#define CRASH_HALF_WAY(name, half) ((void)0)
#endif
