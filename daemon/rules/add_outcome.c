#include "rules/add_outcome.h"
#include "base/own.h"
#include <assert.h>
#include <stddef.h>

/*
 * What a recognised refusal means for an `add`. Classes that make no sense as the answer to an
 * `add` (order, refill, request) are still the provider's "no". Without a class nothing was
 * recognised: unknown.
 */
static const enum add_outcome refusals[] = {
    [ERROR_NONE] = ADD_UNKNOWN,          [ERROR_KEY] = ADD_PUT_OFF,
    [ERROR_FUNDS] = ADD_PUT_OFF,         [ERROR_RATE] = ADD_NOT_EXECUTED,
    [ERROR_SERVICE] = ADD_REFUSED,       [ERROR_PARAMETERS] = ADD_REFUSED,
    [ERROR_DUPLICATE] = ADD_UNKNOWN,     [ERROR_ORDER] = ADD_REFUSED,
    [ERROR_REFILL] = ADD_REFUSED,        [ERROR_REQUEST] = ADD_REFUSED,
    [ERROR_ENDPOINT] = ADD_NOT_EXECUTED, [ERROR_SERVER] = ADD_UNKNOWN,
    [ERROR_OTHER] = ADD_REFUSED,
};

static const char *const names[] = {
    [ADD_ACCEPTED] = "accepted",         [ADD_REFUSED] = "refused", [ADD_PUT_OFF] = "put_off",
    [ADD_NOT_EXECUTED] = "not_executed", [ADD_UNKNOWN] = "unknown",
};

static enum add_outcome outcome_of_refusal(enum error_class class, bool other_live_order)
{
    if (class == ERROR_DUPLICATE && other_live_order)
        return ADD_PUT_OFF;
    return (size_t) class < COUNT_OF(refusals) ? refusals[class] : ADD_UNKNOWN;
}

enum add_outcome add_outcome_of(bool sent, const struct reply *reply, bool other_live_order)
{
    if (!sent)
        return ADD_NOT_EXECUTED;
    if (!reply)
        return ADD_UNKNOWN;
    switch (reply->outcome) {
    case REPLY_ACCEPTED:
        /* An acceptance that names no order cannot be followed, nor may it be bought again. */
        return reply->id && *reply->id ? ADD_ACCEPTED : ADD_UNKNOWN;
    case REPLY_REFUSED:
        return outcome_of_refusal(reply->class, other_live_order);
    case REPLY_NOT_EXECUTED:
        return ADD_NOT_EXECUTED;
    case REPLY_STATUS:
    case REPLY_STATUSES:
    case REPLY_SERVICES:
    case REPLY_NO_CATALOGUE:
    case REPLY_BALANCE:
    case REPLY_REFILL:
    case REPLY_REFILL_STATUS:
    case REPLY_PONG:
    case REPLY_UNKNOWN:
        break;
    }
    return ADD_UNKNOWN;
}

const char *add_outcome_name(enum add_outcome outcome)
{
    assert((size_t)outcome < COUNT_OF(names));
    return names[outcome];
}
