/*
 * jobs/contract_watch.h - whether the shop's view and function are as agreed.
 *
 * Looked at from the catalogue at start, on every new connection and when a statement raised a
 * doubt; then, before the first write-back and within a moment, the function is called for an order
 * that does not exist and for a line of the view, and all of it is taken back. While the view
 * cannot be used intake pauses, and it is looked at again every 30 s; everything else goes on. All
 * faults are said at once, when they are other than before, and stand in chwsync.contract_faults
 * for `chwsyncd status`.
 *
 * The statements that use the shop's objects (store/shop.h) are made here, and replaced only while
 * none of them runs: jobs pause while contract_watch_replaces() says so.
 */
#pragma once
#include "jobs/job.h"
#include "store/contract.h"

struct contract_watch {
    struct workshop *workshop;   /* borrowed */
    const char *view, *function; /* borrowed from the configuration; function NULL = none */
    unsigned timeout_s;          /* of a call of the function */
    struct contract contract;    /* as it was last found */
    struct shop *new_shop;       /* found, waits until no statement of the old one runs */
    bool asking, rehearsing;
    int64_t next_us;
    int64_t rehearse_us; /* when the function is to be called; 0 = not */
    char *said;          /* all faults, as they were last said; NULL = nothing was looked at */
    struct log_repeat log;
    void (*on_shop)(void *userdata); /* other statements are in force */
    void *userdata;
};

void contract_watch_done(struct contract_watch *watch);
/* A new connection: look again. */
void contract_watch_wake(struct contract_watch *watch, int64_t now_us);
int64_t contract_watch_work(struct contract_watch *watch, int64_t now_us);
/* Calls the function now if it is still to be called: a write-back is due, and the session should
 * be as the shop's database made it. */
void contract_watch_rehearse(struct contract_watch *watch);
/* New statements wait for the old ones to end: nothing that uses them may begin. */
bool contract_watch_replaces(const struct contract_watch *watch);
