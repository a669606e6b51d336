#include "reference.h"
#include <math.h>

#define DAY_S 86400.0
#define BATCH 100
#define MOST_TOKENS 4
#define SAVED_S 10 /* what may be saved beyond that: of a fast account */
#define SPREAD 1.4
#define LEARNING 0.02
#define PERFECT_SHAPE 6 /* how sharply an end is known that was foretold; see the power below */

static double within(double value, double low, double high)
{
    return fmin(fmax(value, low), high);
}

/* The time that is left by the service's history. */
static double usual_left_s(const struct service_history *history, double age_s)
{
    double median_s = exp(history->mean), shape = within(1.81 / sqrt(history->variance), 0.8, 6);
    double lived = age_s / median_s;

    return median_s * (pow(1 + 2 * pow(lived, shape), 1 / shape) - lived);
}

static double left_s(const struct reference_order *order, const struct service_history *history,
                     double now_s)
{
    double age_s = fmax(now_s - order->bought_s, 1), usual_s = usual_left_s(history, age_s), own_s;
    double run_s =
        order->last_run_s > 0 ? order->last_run_s + 0.3 * order->run_interval_s - now_s : 0;
    double delivered = 1 - order->remains / order->quantity;
    double trust = delivered / (delivered + 0.05);

    if (run_s <= 0 && (order->rate <= 0 || order->remains <= 0))
        return usual_s;
    own_s = order->rate > 0 ? order->remains / order->rate : run_s;
    own_s = fmin(own_s, 2 * fmax(age_s, exp(history->mean)));
    if (run_s > 0) {
        trust = fmax(trust, 0.8);
        own_s = fmax(own_s, run_s);
    } else if (order->last_moved_s >= 0) {
        own_s = fmax(own_s, 0.25 * (now_s - order->last_moved_s));
    }
    return exp(trust * log(fmax(own_s, 1)) + (1 - trust) * log(fmax(usual_s, 1)));
}

void reference_observe(struct reference_order *order, const struct service_history *history,
                       double now_s, double remains, bool running, double background)
{
    double passed_s = now_s - order->answered_s, moved = order->remains - remains;

    if (running && moved > 0) {
        if (order->first_moved_s < 0)
            order->first_moved_s = order->answered_s;
        order->last_moved_s = now_s;
    }
    if (running && order->first_moved_s >= 0 && passed_s > 0) {
        double over_s = fmax(0.3 * (now_s - order->first_moved_s), 30);
        double weight = order->rate > 0 ? 1 - exp(-passed_s / over_s) : 1;

        order->rate += weight * (moved / passed_s - order->rate);
    }
    order->remains = remains;
    order->answered_s = now_s;
    order->ends_in_s = 0;
    order->hazard = 1 / fmax(left_s(order, history, now_s), 1) +
                    0.05 / (exp(history->mean) + fmax(now_s - order->bought_s, 1)) +
                    0.30 * background;
}

void reference_foretell(struct reference_order *order, double lives_s, double ends_in_s,
                        double background)
{
    order->ends_in_s = fmax(ends_in_s, 1);
    order->hazard = 0.05 / lives_s + 0.30 * background;
}

double reference_worth(const struct reference_order *order, double unasked_s)
{
    double worth, odds;

    if (unasked_s <= 0)
        return 0;
    worth = 0.5 * order->hazard * unasked_s * unasked_s;
    if (order->ends_in_s <= 0)
        return worth;
    /* The chance that it has ended, squared, over twice the hazard of that moment. */
    odds = unasked_s / order->ends_in_s;
    odds *= odds * odds;
    odds *= odds;
    return worth + odds / (1 + odds) * unasked_s / (2 * PERFECT_SHAPE);
}

double reference_wait_s(const struct reference_order *order, double price)
{
    double low_s = 0, high_s = sqrt(2 * price / order->hazard);

    if (order->ends_in_s <= 0)
        return high_s;
    for (int i = 0; i < 24; i++) {
        double middle_s = (low_s + high_s) / 2;

        if (reference_worth(order, middle_s) < price)
            low_s = middle_s;
        else
            high_s = middle_s;
    }
    return high_s;
}

void reference_init(struct reference *reference, double open, double ends_a_day, double rate)
{
    double hazard = ends_a_day / DAY_S / fmax(open, 1), batches = fmax(open / BATCH, 1);
    double round_s = batches / rate;

    *reference = (struct reference){.tokens = 2, .most = MOST_TOKENS};
    reference->usual = fmax(0.5 * hazard * round_s * round_s * fmin(open, BATCH), 1e-6);
    reference->price = reference->usual / BATCH;
}

void reference_advance(struct reference *reference, double rate, double now_s)
{
    reference->most = fmax(MOST_TOKENS, SAVED_S * rate);
    reference->tokens =
        fmin(reference->most, reference->tokens + rate * (now_s - reference->now_s));
    reference->now_s = now_s;
}

static bool is_full(const struct reference *reference)
{
    return reference->tokens >= reference->most - 0.5;
}

bool reference_may_ask(const struct reference *reference, size_t open, double due_s)
{
    if (open == 0 || reference->tokens < 1)
        return false;
    if (is_full(reference))
        return true;
    return reference->now_s >= reference->look_s &&
           (open <= BATCH || due_s <= reference->now_s + 0.5);
}

bool reference_decides(struct reference *reference, double worth)
{
    double price = reference->usual * exp(SPREAD * (1 - 2 * reference->tokens / reference->most));
    double unasked_s = fmax(reference->now_s - reference->sent_s, 0.5);

    if (!is_full(reference) && worth < price) {
        reference->look_s =
            reference->now_s +
            within(0.7 * (sqrt(price / fmax(worth, 1e-9)) - 1) * unasked_s, 0.25, 10);
        return false;
    }
    worth = fmin(worth, 8 * reference->usual);
    reference->usual = fmax(reference->usual + LEARNING * (worth - reference->usual), 1e-6);
    reference->tokens -= 1;
    reference->sent_s = reference->now_s;
    reference->look_s = 0;
    return true;
}

double reference_solve(const struct reference *reference,
                       const struct reference_order *const *sample, size_t count, size_t open,
                       double rate)
{
    double wanted = BATCH * rate * (double)count / (double)open;
    double low = 1e-9, high = 1e9, price = reference->price;

    for (int i = 0; i < 60; i++) {
        double planned = 0;

        for (size_t j = 0; j < count; j++)
            planned += fmin(rate, 1 / reference_wait_s(sample[j], price));
        if (fabs(log(planned / wanted)) < 0.03)
            break;
        if (planned > wanted)
            low = price;
        else
            high = price;
        price *= planned / wanted * (planned / wanted);
        if (price <= low || price >= high)
            price = sqrt(low * high);
    }
    return price;
}

double reference_rate(double per_day, double used, double adds_a_day, double queued, double reserve)
{
    double left = per_day - used - queued;
    double share = within(1 + 0.5 * (left / reserve - 1), 0.7, 1);

    if (left < 0.03 * reserve)
        share = 0;
    return fmax((per_day - adds_a_day - queued - reserve) / DAY_S * share, 0);
}
