#include "rules/figures.h"
#include <math.h>

enum request_end request_end_of(bool sent, const struct reply *reply)
{
    if (!sent)
        return REQUEST_NOT_SENT;
    if (!reply)
        return REQUEST_NO_ANSWER;
    switch (reply->outcome) {
    case REPLY_ACCEPTED:
    case REPLY_STATUS:
    case REPLY_STATUSES:
    case REPLY_SERVICES:
    case REPLY_BALANCE:
    case REPLY_REFILL:
    case REPLY_REFILL_STATUS:
    case REPLY_PONG:
        return REQUEST_DONE;
    case REPLY_REFUSED:
        return reply->class == ERROR_RATE ? REQUEST_THROTTLED : REQUEST_REFUSED;
    case REPLY_NOT_EXECUTED:
        return reply->class == ERROR_RATE ? REQUEST_THROTTLED : REQUEST_NOT_EXECUTED;
    case REPLY_NO_CATALOGUE:
    case REPLY_UNKNOWN:
        break;
    }
    return REQUEST_UNREADABLE;
}

const char *request_end_name(enum request_end end)
{
    static const char *const names[REQUEST_END_COUNT] = {
        [REQUEST_DONE] = "done",
        [REQUEST_REFUSED] = "refused",
        [REQUEST_THROTTLED] = "throttled",
        [REQUEST_NOT_EXECUTED] = "not executed",
        [REQUEST_UNREADABLE] = "unreadable",
        [REQUEST_NO_ANSWER] = "no answer",
        [REQUEST_NOT_SENT] = "not sent",
    };

    return names[end];
}

void request_counts_note(struct request_counts *counts, enum api_action action,
                         enum request_end end)
{
    counts->ended[action][end]++;
    counts->all++;
}

double told_step_s(unsigned step)
{
    static const double steps_s[TOLD_STEPS - 1] = {1, 5, 15, 60, 300, 1800, 7200};

    return step < TOLD_STEPS - 1 ? steps_s[step] : INFINITY;
}

void told_delays_note(struct told_delays *delays, double seconds)
{
    unsigned step = 0;

    if (!(seconds > 0))
        seconds = 0;
    while (step < TOLD_STEPS - 1 && seconds > told_step_s(step))
        step++;
    delays->results[step]++;
    delays->seconds[step] += seconds;
    delays->all++;
}
