/*
 * rules/add_outcome.h - every way an `add` can end, in one table.
 *
 * Two facts decide: whether bytes of the request may have left this machine, and what the reply
 * was. Pure.
 */
#pragma once
#include "wire/reply.h"
#include <stdbool.h>

enum add_outcome {
    ADD_ACCEPTED, /* the reply carries an order id */
    ADD_REFUSED,  /* for good: the order is rejected, with the provider's words */
    ADD_PUT_OFF,  /* refused for a reason that can pass (funds, key, duplicate of another order):
                     queued again */
    ADD_NOT_EXECUTED, /* certainly not executed (never sent, or rate limit, or no such route):
                         queued again */
    ADD_UNKNOWN,      /* it may exist there: uncertain, never sent again by inference */
};

/*
 * `sent` is false only when provably no byte of the request left. `reply` is NULL when nothing
 * usable arrived. `other_live_order` says that another live order of ours has the same link, so
 * that a "duplicate link" refusal is about that one.
 */
enum add_outcome add_outcome_of(bool sent, const struct reply *reply, bool other_live_order);
const char *add_outcome_name(enum add_outcome outcome);
