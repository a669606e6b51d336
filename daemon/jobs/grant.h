/*
 * jobs/grant.h - lets commands pass the gate.
 *
 * A command (check, services --refresh) that wants to ask the provider leaves a wish in the ledger.
 * Under the account's lease a slot is taken for it like for any read, and the ledger counts it in
 * the transaction that grants it. When the command's answer comes in is not seen here: the slot is
 * in use until it must have.
 */
#pragma once
#include "jobs/account.h"

#define GRANTS_LENT_MAX 16

struct grant {
    struct account *account;   /* borrowed */
    struct workshop *workshop; /* borrowed */
    bool busy;
    bool wanted;                            /* somebody waits for a slot */
    int64_t wanted_us;                      /* since when */
    int64_t next_us;                        /* the next look, or try */
    int64_t lent_until_us[GRANTS_LENT_MAX]; /* ascending */
    size_t lent_count;
    struct log_repeat fault_log;
};

void grant_init(struct grant *grant, struct account *account);
/* Somebody may wish for a slot. */
void grant_wake(struct grant *grant, int64_t now_us);
/* As struct intake_result says of wishes. */
void grant_note_wishes(struct grant *grant, const char *accounts, int64_t now_us);
int64_t grant_work(struct grant *grant, int64_t now_us);
/* A wish waits for the lease. */
bool grant_wants_lease(const struct grant *grant);
/* No wish is being granted. */
bool grant_is_quiet(const struct grant *grant);
