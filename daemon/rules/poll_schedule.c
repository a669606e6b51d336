#include "rules/poll_schedule.h"
#include <math.h>

#define SECOND_US INT64_C(1000000)
#define TOKENS_MAX 4.0
#define SAVED_MAX 40.0
#define SAVED_COMES_S 300.0 /* back, about */
#define FULL 3.5            /* tokens: then whatever waits may go */
#define SPREAD 1.4          /* how much dearer a batch is with none left than with half */
#define LEARNING 0.02       /* of the usual worth, per batch */
#define OUTLIER 8           /* a batch counts at most that many times the usual */
#define SMOOTHING 0.01
#define PRICED_MOST 2000
#define LOOK_LEAST_US (SECOND_US / 4)
#define LOOK_MOST_US (10 * SECOND_US)
#define ERROR_WAIT_S 60
#define ERROR_WAIT_MOST_S (6 * 3600)

double poll_stride(double hazard)
{
    return 1 / sqrt(hazard);
}

bool poll_stride_moved(double before, double after)
{
    return after > 1.1 * before || after < 0.9 * before;
}

double poll_worth(double stride, double unasked_s)
{
    if (stride <= 0 || unasked_s <= 0)
        return 0;
    return 0.5 * (unasked_s / stride) * (unasked_s / stride);
}

double poll_error_wait_s(unsigned errors)
{
    double wait_s = ERROR_WAIT_S;

    for (; errors > 1 && wait_s < ERROR_WAIT_MOST_S; errors--)
        wait_s *= 2;
    return wait_s < ERROR_WAIT_MOST_S ? wait_s : ERROR_WAIT_MOST_S;
}

void poll_pace_init(struct poll_pace *pace, int64_t now_us)
{
    *pace = (struct poll_pace){.now_us = now_us, .tokens = 1, .sent_us = now_us, .look_us = now_us};
}

void poll_pace_advance(struct poll_pace *pace, double rate, bool adds_wait, int64_t now_us)
{
    double passed_s = (double)(now_us - pace->now_us) / (double)SECOND_US, back;

    if (passed_s <= 0)
        return;
    pace->now_us = now_us;
    pace->tokens += rate * passed_s;
    if (!adds_wait) {
        back = pace->saved * (1 - exp(-passed_s / SAVED_COMES_S));
        pace->saved -= back;
        pace->tokens += back;
    }
    if (pace->tokens <= TOKENS_MAX)
        return;
    if (adds_wait)
        pace->saved = fmin(pace->saved + pace->tokens - TOKENS_MAX, SAVED_MAX);
    pace->tokens = TOKENS_MAX;
}

static int64_t tokens_us(const struct poll_pace *pace, double rate, double wanted)
{
    double wait_us;

    if (pace->tokens >= wanted)
        return pace->now_us;
    wait_us = rate > 0 ? ceil((wanted - pace->tokens) / rate * (double)SECOND_US) : 1e15;
    return wait_us < 1e15 ? pace->now_us + (int64_t)wait_us : INT64_MAX;
}

int64_t poll_pace_next_us(const struct poll_pace *pace, double rate)
{
    int64_t one_us = tokens_us(pace, rate, 1), full_us = tokens_us(pace, rate, FULL);
    int64_t next_us = one_us > pace->look_us ? one_us : pace->look_us;

    return next_us < full_us ? next_us : full_us;
}

double poll_pace_price(const struct poll_pace *pace, int64_t open)
{
    if (pace->tokens >= FULL || open > PRICED_MOST)
        return 0;
    return pace->usual_worth * exp(SPREAD * (1 - 2 * pace->tokens / TOKENS_MAX));
}

/* Worth grows with the square of the time, so that the price is met about then; not quite, because
 * it falls meanwhile. */
void poll_pace_declined(struct poll_pace *pace, double worth, double price)
{
    double unasked_us = (double)(pace->now_us - pace->sent_us), wait_us = (double)LOOK_MOST_US;

    if (unasked_us < (double)SECOND_US / 2)
        unasked_us = (double)SECOND_US / 2;
    if (worth > 0)
        wait_us = 0.7 * (sqrt(price / worth) - 1) * unasked_us;
    if (wait_us < (double)LOOK_LEAST_US)
        wait_us = (double)LOOK_LEAST_US;
    if (wait_us > (double)LOOK_MOST_US)
        wait_us = (double)LOOK_MOST_US;
    pace->look_us = pace->now_us + (int64_t)wait_us;
}

static void smooth(double *value, double sample)
{
    *value = *value > 0 ? *value + SMOOTHING * (sample - *value) : sample;
}

void poll_pace_sent(struct poll_pace *pace, double worth, double turn)
{
    double passed_s = (double)(pace->now_us - pace->sent_us) / (double)SECOND_US;

    if (pace->usual_worth <= 0)
        pace->usual_worth = worth;
    if (worth > OUTLIER * pace->usual_worth)
        worth = OUTLIER * pace->usual_worth;
    pace->usual_worth += LEARNING * (worth - pace->usual_worth);
    if (pace->turn > 0 && turn > pace->turn && passed_s > 0)
        smooth(&pace->speed, (turn - pace->turn) / passed_s);
    if (passed_s > 0) /* not a night without orders */
        smooth(&pace->apart_s,
               pace->apart_s > 0 ? fmin(passed_s, OUTLIER * pace->apart_s) : passed_s);
    pace->turn = turn;
    pace->tokens -= 1;
    pace->sent_us = pace->look_us = pace->now_us;
}

void poll_pace_ended(struct poll_pace *pace, double stride, double unasked_s)
{
    if (stride <= 0 || pace->speed <= 0)
        return;
    /* Few orders are in every batch, and cannot be asked about more often than batches leave. */
    smooth(&pace->planned_s, 0.5 * fmax(stride / pace->speed, pace->apart_s));
    smooth(&pace->measured_s, 0.5 * unasked_s);
}
