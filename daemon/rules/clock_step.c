#include "rules/clock_step.h"

int64_t clock_step_us(const struct clock_look *before, const struct clock_look *after)
{
    int64_t server_us = after->server_us - before->server_us;
    int64_t least_us = after->asked_us - before->told_us;
    int64_t most_us = after->told_us - before->asked_us;

    if (server_us - most_us > CLOCK_STEP_LEAST_US)
        return server_us - most_us;
    if (server_us - least_us < -CLOCK_STEP_LEAST_US)
        return server_us - least_us;
    return 0;
}
