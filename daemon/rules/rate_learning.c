#include "rules/rate_learning.h"

#define SECOND_US INT64_C(1000000)
#define MINUTE_S 60
#define HOUR_S 3600
#define DAY_S 86400
#define CUT_PAUSE_US (30 * SECOND_US)
#define RAISE_AFTER_US (600 * SECOND_US)
#define DAY_US (DAY_S * SECOND_US)
#define RAISE_DAY_AFTER_US (2 * DAY_US)
#define TOLD_HOLDS_US (7 * DAY_US)
#define DAY_WAIT_S 300 /* who asks to wait longer than that does not speak of a minute */
#define LEAST_PER_MINUTE 6
#define LEAST_OF_UNLIMITED 60
#define LEAST_PER_DAY 100

static unsigned lesser(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Of limits, where 0 is none. */
static unsigned tighter(unsigned a, unsigned b)
{
    if (a == 0 || b == 0)
        return a + b;
    return lesser(a, b);
}

/* A moment of an earlier process; the clock may have been set since. */
static int64_t past_us(int64_t then_us, int64_t now_us)
{
    return then_us == INT64_MIN || then_us > now_us ? now_us : then_us;
}

/* To what was on the wire already at the last cut. */
static bool is_late_answer(int64_t cut_us, int64_t now_us)
{
    return cut_us != INT64_MIN && now_us - cut_us < CUT_PAUSE_US;
}

void rate_learning_init(struct rate_learning *learning, const struct budget_limits *configured,
                        int64_t now_us)
{
    *learning = (struct rate_learning){.configured = *configured,
                                       .per_minute = configured->per_minute,
                                       .per_day = configured->per_day,
                                       .burst = configured->burst,
                                       .refused_us = INT64_MIN,
                                       .cut_us = INT64_MIN,
                                       .met_us = INT64_MIN,
                                       .day_cut_us = INT64_MIN,
                                       .raised_us = now_us,
                                       .day_raised_us = now_us};
}

bool rate_learning_is_cut(const struct rate_learning *learning)
{
    return learning->per_minute != learning->configured.per_minute ||
           learning->per_day != learning->configured.per_day ||
           learning->burst != learning->configured.burst;
}

void rate_learning_restore(struct rate_learning *learning, const struct rate_learning *learned,
                           int64_t now_us)
{
    learning->refusals = learned->refusals;
    if (learned->configured.per_minute != learning->configured.per_minute ||
        learned->configured.per_day != learning->configured.per_day)
        return;
    learning->per_minute = tighter(learning->configured.per_minute, learned->per_minute);
    learning->per_day = tighter(learning->configured.per_day, learned->per_day);
    if (learned->configured.burst == learning->configured.burst)
        learning->burst = lesser(learning->configured.burst, learned->burst);
    learning->told_minute = learned->told_minute;
    learning->told_day = learned->told_day;
    if (!rate_learning_is_cut(learning))
        return;
    learning->refused_us = past_us(learned->refused_us, now_us);
    learning->raised_us = past_us(learned->raised_us, now_us);
    learning->day_raised_us = past_us(learned->day_raised_us, now_us);
}

struct budget_limits rate_learning_limits(const struct rate_learning *learning)
{
    struct budget_limits limits = learning->configured;

    limits.per_minute = learning->per_minute;
    limits.per_day = learning->per_day;
    limits.burst = learning->burst;
    return limits;
}

/* A limit for an hour is kept by an even pace. True when the number says something new. */
static bool adopt_number(struct rate_learning *learning, int64_t limit, int64_t period_s)
{
    unsigned per_minute = learning->per_minute, per_day = learning->per_day;
    unsigned number = limit < UINT32_MAX ? (unsigned)limit : UINT32_MAX;

    if (period_s == HOUR_S)
        number = number / 60 > 0 ? number / 60 : 1;
    if (period_s == DAY_S) {
        learning->told_day = number;
        learning->per_day = tighter(learning->per_day, number);
    } else {
        learning->told_minute = number;
        learning->per_minute = tighter(learning->per_minute, number);
    }
    return per_minute != learning->per_minute || per_day != learning->per_day;
}

/*
 * The provider counts otherwise, or somebody else uses the key: less than what was accepted. That a
 * day is meant is only guessed from the long wait: a quiet account keeps a quarter.
 */
static bool cut_day(struct rate_learning *learning, unsigned day_used, int64_t now_us)
{
    uint64_t cut = (uint64_t)day_used * 985 / 1000;
    unsigned before = learning->per_day;

    if (is_late_answer(learning->day_cut_us, now_us))
        return false;
    if (cut < LEAST_PER_DAY)
        cut = LEAST_PER_DAY;
    if (cut < before / 4)
        cut = before / 4;
    learning->per_day = tighter(before, (unsigned)cut);
    learning->day_cut_us = learning->day_raised_us = now_us;
    return learning->per_day != before;
}

static bool cut_minute(struct rate_learning *learning, unsigned minute_used, int64_t now_us)
{
    unsigned per_minute = learning->per_minute > 0 ? learning->per_minute : minute_used;

    if (is_late_answer(learning->cut_us, now_us))
        return false;
    learning->cut_us = learning->raised_us = now_us;
    if (learning->burst > 1) {
        learning->burst = learning->burst / 4 > 1 ? learning->burst / 4 : 1;
        return true;
    }
    per_minute = (unsigned)((uint64_t)per_minute * 7 / 10);
    if (per_minute < LEAST_PER_MINUTE)
        per_minute = LEAST_PER_MINUTE;
    if (learning->per_minute == 0 && per_minute < LEAST_OF_UNLIMITED)
        per_minute = LEAST_OF_UNLIMITED; /* the gate counts no minute without a limit */
    per_minute = tighter(learning->per_minute, per_minute);
    if (per_minute == learning->per_minute)
        return false;
    learning->per_minute = per_minute;
    return true;
}

bool rate_learning_refused(struct rate_learning *learning, const struct rate_refusal *refusal,
                           int64_t now_us)
{
    bool of_day = refusal->period_s == DAY_S ||
                  (refusal->period_s == 0 && refusal->retry_after_s > DAY_WAIT_S);

    learning->refusals++;
    learning->refused_us = learning->met_us = now_us;
    if (refusal->limit > 0 && refusal->period_s >= MINUTE_S &&
        adopt_number(learning, refusal->limit, refusal->period_s)) {
        if (of_day)
            learning->day_cut_us = learning->day_raised_us = now_us;
        else
            learning->cut_us = learning->raised_us = now_us;
        return true;
    }
    return of_day ? cut_day(learning, refusal->day_used, now_us)
                  : cut_minute(learning, refusal->minute_used, now_us);
}

/* One step of 5 % of the configured limit; unlimited is reached from twice the requests of a busy
 * panel. */
static unsigned raised(unsigned now, unsigned configured, unsigned told, unsigned unlimited_above)
{
    unsigned step = (configured > 0 ? configured : unlimited_above) / 20,
             ceiling = tighter(configured, told);

    if (now == 0)
        return 0;
    now += step > 0 ? step : 1;
    if (ceiling > 0)
        return lesser(now, ceiling);
    return now >= unlimited_above ? 0 : now;
}

bool rate_learning_recover(struct rate_learning *learning, int64_t now_us)
{
    unsigned per_minute = learning->per_minute, per_day = learning->per_day,
             burst = learning->burst;
    const struct budget_limits *configured = &learning->configured;

    if (learning->refused_us == INT64_MIN)
        return false;
    if (now_us - learning->refused_us >= TOLD_HOLDS_US)
        learning->told_minute = learning->told_day = 0;
    if (now_us - learning->raised_us >= RAISE_AFTER_US) {
        learning->raised_us = now_us;
        learning->per_minute =
            raised(per_minute, configured->per_minute, learning->told_minute, 1200);
    }
    if (now_us - learning->day_raised_us >= RAISE_DAY_AFTER_US) {
        learning->day_raised_us = now_us;
        learning->per_day = raised(per_day, configured->per_day, learning->told_day, 200000);
    }
    if (learning->burst < configured->burst && now_us - learning->refused_us >= DAY_US)
        learning->burst = configured->burst;
    return per_minute != learning->per_minute || per_day != learning->per_day ||
           burst != learning->burst;
}
