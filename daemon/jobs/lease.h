/*
 * jobs/lease.h - whether this instance may claim and send for an account.
 *
 * Taken when there is something to do, renewed by every claim, and by itself only while requests
 * wait or polls are due: an idle daemon keeps no lease alive, and whoever has work next takes it.
 * Who only wants to look whether there is something leaves it to the other, which looks as well,
 * unless that one has not done so for minutes. What is sent is sent within the lease, by a clock
 * that counts suspended time and began before the database was asked.
 */
#pragma once
#include "host/log.h"
#include <stdbool.h>
#include <stdint.h>

struct account;

enum lease_wish {
    LEASE_NOT_WANTED,
    LEASE_FOR_A_LOOK, /* nothing is known to be due */
    LEASE_FOR_WORK,
};

struct lease {
    bool ours; /* as far as we know: a claim that names it is tested by the database */
    bool asking;
    int64_t number, claims;
    int64_t until_us; /* CLOCK_BOOTTIME */
    int64_t asked_us; /* likewise */
    int64_t retry_us;
    int64_t look_us;  /* not before, for a look */
    int64_t taken_us; /* monotonic: from another */
    char seen[64];    /* another's expires_at, and since when we see the same */
    int64_t seen_us;
    char server[64];
    uint64_t stops; /* orders for which submits are stopped */
    struct log_repeat stop_log, other_log, failed_log;
};

/* Asks for it when it is wanted and must be taken or renewed. Returns when to be called again. */
int64_t lease_work(struct account *account, enum lease_wish wish, int64_t now_us);
/* Requests may leave. */
bool lease_holds(const struct lease *lease);
/* A claim was made: the lease was renewed by it, asked for at `asked_us` (CLOCK_BOOTTIME). */
void lease_note_claim(struct lease *lease, int64_t asked_us);
/* The database did not find it as we know it, or what it holds is not known. */
void lease_forget(struct lease *lease, int64_t now_us);
/* On a stop in good order. */
void lease_give_up(struct account *account);
