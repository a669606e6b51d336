/*
 * rules/refill.h - how a request for a refill can end, and when the provider is asked how it
 * stands.
 *
 * A refill is free, so nothing is bought twice by asking again; but a provider may count or refuse
 * repeated requests, so one whose answer was lost is not repeated by inference either. Pure.
 */
#pragma once
#include "wire/reply.h"
#include <stdbool.h>

enum refill_outcome {
    REFILL_ACCEPTED,     /* the reply carries the refill's id */
    REFILL_REFUSED,      /* with the provider's words */
    REFILL_NOT_EXECUTED, /* certainly not (never sent, rate, wrong key, no such route): later */
    REFILL_UNKNOWN,      /* it may exist there */
};
/* `sent` is false only when provably no byte left; `reply` is NULL when nothing usable arrived. */
enum refill_outcome refill_outcome_of(bool sent, const struct reply *reply);

/*
 * The ledger's word for a refill's status: "pending", "in_progress", "completed", "rejected" or
 * "canceled"; NULL for a word that is not known, which changes nothing.
 */
const char *refill_state_name(enum order_status status);
/* Of such a word: the refill is over. */
bool refill_state_is_final(const char *state);

/*
 * Seconds until a refill is asked about again that was sent `age_s` ago: as long as it has lasted,
 * within 5 min and 6 h, a day after a week. While many are `open` less often, so that all of them
 * together take no more than a tenth of `per_day` requests (0 = unlimited); once a week at least.
 */
int64_t refill_wait_s(int64_t age_s, int64_t open, unsigned per_day);
/* The same after `errors` answers in a row that told nothing (from 1): doubling, at most a day. */
int64_t refill_error_wait_s(unsigned errors);
