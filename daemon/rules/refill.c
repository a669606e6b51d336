#include "rules/refill.h"
#include "base/own.h"
#include <string.h>

#define LEAST_S 300
#define MOST_S (6 * 3600)
#define OLD_S (7 * 86400) /* refills that last longer than a week hardly move */
#define OLD_MOST_S 86400
#define CROWD_MOST_S (7 * 86400)
#define SHARE 10 /* of a day's requests, one in that many */

/* What a recognised refusal means. Without a class nothing was recognised: unknown. */
static const enum refill_outcome refusals[] = {
    [ERROR_NONE] = REFILL_UNKNOWN,          [ERROR_KEY] = REFILL_NOT_EXECUTED,
    [ERROR_FUNDS] = REFILL_REFUSED,         [ERROR_RATE] = REFILL_NOT_EXECUTED,
    [ERROR_SERVICE] = REFILL_REFUSED,       [ERROR_PARAMETERS] = REFILL_REFUSED,
    [ERROR_DUPLICATE] = REFILL_REFUSED,     [ERROR_ORDER] = REFILL_REFUSED,
    [ERROR_REFILL] = REFILL_REFUSED,        [ERROR_REQUEST] = REFILL_REFUSED,
    [ERROR_ENDPOINT] = REFILL_NOT_EXECUTED, [ERROR_SERVER] = REFILL_UNKNOWN,
    [ERROR_OTHER] = REFILL_REFUSED,
};

enum refill_outcome refill_outcome_of(bool sent, const struct reply *reply)
{
    if (!sent)
        return REFILL_NOT_EXECUTED;
    if (!reply)
        return REFILL_UNKNOWN;
    if (reply->outcome == REPLY_REFILL)
        return reply->id && *reply->id ? REFILL_ACCEPTED : REFILL_UNKNOWN;
    if (reply->outcome == REPLY_NOT_EXECUTED)
        return REFILL_NOT_EXECUTED;
    if (reply->outcome == REPLY_REFUSED && (size_t)reply->class < COUNT_OF(refusals))
        return refusals[reply->class];
    return REFILL_UNKNOWN;
}

const char *refill_state_name(enum order_status status)
{
    switch (status) {
    case ORDER_STATUS_PENDING:
        return "pending";
    case ORDER_STATUS_IN_PROGRESS:
        return "in_progress";
    case ORDER_STATUS_COMPLETED:
        return "completed";
    case ORDER_STATUS_CANCELED:
        return "canceled";
    case ORDER_STATUS_FAILED:
        return "rejected";
    case ORDER_STATUS_UNKNOWN:
    case ORDER_STATUS_PARTIAL:
    case ORDER_STATUS_REFUNDED:
        break;
    }
    return NULL;
}

bool refill_state_is_final(const char *state)
{
    return strcmp(state, "completed") == 0 || strcmp(state, "canceled") == 0 ||
           strcmp(state, "rejected") == 0;
}

int64_t refill_wait_s(int64_t age_s, int64_t open, unsigned per_day)
{
    int64_t wait_s = age_s > OLD_S ? OLD_MOST_S : age_s > MOST_S ? MOST_S : age_s;
    int64_t crowd_s = per_day > 0 ? open * 86400 * SHARE / per_day : 0;

    if (crowd_s > CROWD_MOST_S)
        crowd_s = CROWD_MOST_S;
    if (wait_s < crowd_s)
        wait_s = crowd_s;
    return wait_s < LEAST_S ? LEAST_S : wait_s;
}

int64_t refill_error_wait_s(unsigned errors)
{
    int64_t wait_s = LEAST_S;

    for (; errors > 1 && wait_s < OLD_MOST_S; errors--)
        wait_s *= 2;
    return wait_s < OLD_MOST_S ? wait_s : OLD_MOST_S;
}
