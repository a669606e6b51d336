#include "rules/hazard.h"
#include <math.h>

#define WEIGHT_MAX 50
#define SHORTEST_LIFE_S 30
#define VARIANCE_LEAST 0.04
/* What an order is worth believing: see the measurements in tests/simulate. */
#define SMOOTHING 0.3 /* of the time since the first movement: what the rate is averaged over */
#define STALL 0.25    /* a standstill goes on for that part of its length */
#define TRUSTED_SHARE 0.03   /* delivered: then progress weighs as much as the service's history */
#define ABNORMAL_SHARE 0.08  /* of all orders end out of the blue */
#define BACKGROUND_SHARE 0.8 /* of the mean hazard, given to everybody */
#define DRIP_TRUST 0.8       /* a drip-feed's timetable is known from the start */

static double least(double a, double b)
{
    return a < b ? a : b;
}

static double most(double a, double b)
{
    return a > b ? a : b;
}

void service_history_init(struct service_history *history)
{
    *history = (struct service_history){.mean = log(6 * 3600.0), .variance = 2.2, .weight = 2};
}

void service_history_learn(struct service_history *history, double lived_s)
{
    double difference = log(most(lived_s, SHORTEST_LIFE_S)) - history->mean, share;

    history->weight = least(history->weight + 1, WEIGHT_MAX);
    share = 1 / history->weight;
    history->mean += share * difference;
    history->variance += share * (difference * difference * (1 - share) - history->variance);
    history->variance = most(history->variance, VARIANCE_LEAST);
}

/* The median of a log-logistic life, given that it lasted until now. */
double service_history_left_s(const struct service_history *history, double age_s)
{
    double median_s = exp(history->mean), shape = 1.81 / sqrt(history->variance);
    double ratio = age_s / median_s;

    shape = most(0.8, least(shape, 6));
    return median_s * (pow(2 * pow(ratio, shape) + 1, 1 / shape) - ratio);
}

void progress_init(struct progress *progress)
{
    *progress = (struct progress){.remains = -1, .first_moved_s = -1, .last_moved_s = -1};
}

void progress_observe(struct progress *progress, const struct delivery *delivery, double age_s,
                      double remains, bool running)
{
    double before = progress->remains < 0 ? delivery->quantity : progress->remains;
    double passed_s = age_s - progress->answered_s, moved = before - remains;

    if (remains < 0 || delivery->quantity <= 0 || remains > delivery->quantity)
        return; /* it proves nothing */
    if (running && moved > 0) {
        progress->last_moved_s = age_s;
        if (progress->first_moved_s < 0)
            progress->first_moved_s = progress->answered_s;
    }
    if (running && progress->first_moved_s >= 0 && passed_s > 0) {
        double moving_s = age_s - progress->first_moved_s;
        double weight = 1 - exp(-passed_s / most(SMOOTHING * moving_s, 30));

        if (progress->rate <= 0)
            weight = 1;
        progress->rate += weight * (moved / passed_s - progress->rate);
    }
    progress->remains = remains;
    progress->answered_s = age_s;
}

/* Seconds left by this order's own delivery and timetable; 0 = nothing to go by. `ret_weight`: what
 * it weighs. */
static double delivery_left_s(const struct progress *progress, const struct delivery *delivery,
                              double longest_s, double age_s, double *ret_weight)
{
    double delivered = progress->remains < 0 ? 0 : 1 - progress->remains / delivery->quantity;
    double timetable_s = delivery->last_run_s + 0.3 * delivery->run_interval_s - age_s;
    double left_s = 0;

    *ret_weight = delivered > 0 ? delivered / (delivered + TRUSTED_SHARE) : 0;
    if (progress->rate > 0 && progress->remains > 0)
        left_s = least(progress->remains / progress->rate, longest_s);
    if (delivery->last_run_s > 0 && timetable_s > 0) {
        *ret_weight = most(*ret_weight, DRIP_TRUST);
        return most(left_s, timetable_s);
    }
    if (left_s > 0)
        left_s = most(left_s, STALL * (age_s - progress->last_moved_s));
    return left_s;
}

double hazard_of(const struct progress *progress, const struct delivery *delivery,
                 const struct service_history *history, double background, double age_s)
{
    double median_s = exp(history->mean), weight;
    double usual_s = most(service_history_left_s(history, most(age_s, 1)), 1);
    double own_s = delivery_left_s(progress, delivery, 2 * most(age_s, median_s), age_s, &weight);
    double left_s = usual_s;

    if (own_s > 0)
        left_s = exp(weight * log(most(own_s, 1)) + (1 - weight) * log(usual_s));
    return 1 / most(left_s, 1) + ABNORMAL_SHARE / (median_s + most(age_s, 0)) +
           BACKGROUND_SHARE * background;
}
