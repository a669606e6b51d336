/*
 * jobs/unconfigured.h - lines for providers that are not configured wait, and say so.
 *
 * After every change of the configuration the queue is gone through once; after that the names
 * alone are looked at when lines were taken, so that each is said once and soon, and every minute.
 */
#pragma once
#include "jobs/job.h"

struct unconfigured {
    struct workshop *workshop;    /* borrowed */
    const char *const *providers; /* borrowed: all that are configured */
    size_t provider_count;
    bool busy, marked;
    int64_t next_us;
    struct log_repeat names_log;
};

/* Lines were taken, or name another provider now. */
void unconfigured_wake(struct unconfigured *unconfigured);
int64_t unconfigured_work(struct unconfigured *unconfigured, int64_t now_us);
