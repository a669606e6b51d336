#include "rules/poll_schedule.h"

#define SECOND_US INT64_C(1000000)
#define SHORTEST_US (5 * SECOND_US)
#define LONGEST_US (15 * 60 * SECOND_US)
#define LONGEST_AFTER_ERRORS_US (6 * 3600 * SECOND_US)
#define SHORTEST_PACE_US SECOND_US

static int64_t clamp(int64_t value, int64_t least, int64_t most)
{
    if (value < least)
        return least;
    return value > most ? most : value;
}

/*
 * Time left if the delivery goes on as it went from purchase to its last change; 0 or less =
 * nothing to go by, or that moment has passed. In floating point, because quantity times
 * microseconds leaves 64 bits.
 */
static int64_t time_left_us(const struct poll_order *order)
{
    if (order->quantity <= 0 || order->remains <= 0 || order->remains >= order->quantity)
        return 0;
    double delivering_us = (double)(order->changed_us - order->accepted_us);
    double delivered = (double)(order->quantity - order->remains);
    double left_us = (double)order->remains / delivered * delivering_us -
                     (double)(order->now_us - order->changed_us);
    return left_us < (double)(4 * LONGEST_US) ? (int64_t)left_us : 4 * LONGEST_US;
}

int64_t poll_interval_us(const struct poll_order *order)
{
    int64_t left_us = time_left_us(order);
    /* A quarter of what is left closes in on the end as fast as the estimate becomes exact. */
    int64_t interval_us = left_us > 0 ? left_us / 4 : (order->now_us - order->changed_us) / 10;
    interval_us = clamp(interval_us, SHORTEST_US, LONGEST_US);
    for (unsigned i = 0; i < order->errors && interval_us < LONGEST_AFTER_ERRORS_US; i++)
        interval_us *= 2;
    return clamp(interval_us, SHORTEST_US, LONGEST_AFTER_ERRORS_US);
}

int64_t poll_pace_us(const struct poll_pace *pace)
{
    int64_t pace_us = SHORTEST_PACE_US;
    if (pace->per_minute > 0) {
        int64_t minute_us = 6000 * SECOND_US / (85 * (int64_t)pace->per_minute);
        pace_us = minute_us > pace_us ? minute_us : pace_us;
    }
    if (pace->per_day > 0) {
        int64_t left = (int64_t)pace->per_day - pace->day_used;
        int64_t day_us = left > 0 ? pace->day_left_us / left : pace->day_left_us;
        pace_us = day_us > pace_us ? day_us : pace_us;
    }
    return pace_us;
}
