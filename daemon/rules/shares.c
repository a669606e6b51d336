#include "rules/shares.h"
#include <math.h>
#include <string.h>

#define SECOND_US INT64_C(1000000)
#define CELL_US (600 * SECOND_US)
#define CELLS 145 /* a cell is free when the last moment in it is 24 h ago */
#define DAY_S 86400.0
#define FADES_PER_CELL 0.99986 /* 2 % a day */
#define MOST_PER_S 10          /* also without any limit */
#define UNLIMITED_PER_S 2
#define KEPT_IN_ANY_CASE 0.1     /* of the reserve */
#define LOOK_US (60 * SECOND_US) /* how often the day ahead is looked at */
#define RETURN_S 21600 /* before a known end of the day, over which the reserve is given back */

static int64_t cell_of(int64_t time_us)
{
    return time_us / CELL_US - (time_us % CELL_US < 0);
}

static unsigned *adds_in(struct shares *shares, int64_t cell)
{
    return &shares->adds[((cell % CELLS) + CELLS) % CELLS];
}

static void advance(struct shares *shares, int64_t now_us)
{
    int64_t cell = cell_of(now_us);

    if (cell - shares->cell >= CELLS) {
        memset(shares->adds, 0, sizeof shares->adds);
        shares->adds_day = 0;
        shares->burst *= pow(FADES_PER_CELL, (double)(cell - shares->cell));
        shares->cell = cell;
    }
    while (shares->cell < cell) {
        unsigned *oldest = adds_in(shares, ++shares->cell);

        shares->adds_day -= *oldest;
        *oldest = 0;
        shares->burst *= FADES_PER_CELL;
    }
}

void shares_init(struct shares *shares, int64_t now_us)
{
    *shares = (struct shares){
        .cell = cell_of(now_us), .first_cell = cell_of(now_us), .most_us = INT64_MIN};
}

void shares_count_adds(struct shares *shares, unsigned count, int64_t at_us, int64_t now_us)
{
    int64_t cell = cell_of(at_us);
    double usual;

    advance(shares, now_us);
    if (shares->cell - cell >= CELLS)
        return;
    if (cell < shares->first_cell)
        shares->first_cell = cell;
    *adds_in(shares, cell) += count;
    shares->adds_day += count;
    usual = shares->adds_day / 144.0;
    shares_learn_burst(shares, *adds_in(shares, cell) - usual);
}

void shares_learn_burst(struct shares *shares, double burst)
{
    if (burst > shares->burst)
        shares->burst = burst;
}

double shares_reserve(const struct shares *shares, const struct budget_limits *limits)
{
    return fmin(fmax(1.25 * shares->burst, 0.02 * limits->per_day), 0.2 * limits->per_day);
}

/*
 * A day that has no known end: what adds use is given up for good, and so is the reserve. When the
 * last day used more than planned, polls step back to 7/10 at the most: starved, they would be
 * later by far than what the adds gain.
 */
static double rolling_rate(const struct shares *shares, const struct budget_limits *limits,
                           unsigned day_used)
{
    double reserve = shares_reserve(shares, limits), share;
    double left = (double)limits->per_day - day_used - shares->queued;

    share = fmin(fmax(0.5 + 0.5 * left / reserve, 0.7), 1);
    if (left < 0.03 * reserve)
        share = 0;
    return ((double)limits->per_day - shares->adds_day - shares->queued - reserve) / DAY_S * share;
}

/* Adds of a day as far as it is known, carried on to a whole one. */
static double adds_a_day(const struct shares *shares)
{
    int64_t known = shares->cell - shares->first_cell + 1;

    return shares->adds_day * (known < CELLS - 1 ? (CELLS - 1) / (double)known : 1);
}

/*
 * The day as it comes: what is left and what gets free, less the adds that these hours had
 * yesterday, must last for every span from now on. Otherwise polls would use up today what the adds
 * of tonight need, as on a first day, when nothing gets free for 24 hours.
 */
static double most_rate(struct shares *shares, struct budget *budget, int64_t now_us)
{
    const struct budget_limits *limits = &budget->limits;
    double left = (double)limits->per_day - budget_day_used(budget, now_us) - shares->queued -
                  KEPT_IN_ANY_CASE * shares_reserve(shares, limits);
    double usual = adds_a_day(shares) / (CELLS - 1), lately = 0, most = MOST_PER_S;
    unsigned frees[24];

    for (int64_t cell = shares->cell - 6; cell < shares->cell; cell++)
        lately += *adds_in(shares, cell) / 6.0;
    usual = fmax(usual, lately); /* of the hours that were not yet seen */

    budget_day_frees(budget, frees, now_us);
    for (int hour = 0; hour < 24; hour++) {
        left += frees[hour];
        for (int64_t cell = shares->cell - (CELLS - 1) + 6 * hour, end = cell + 6; cell < end;
             cell++)
            left -= cell < shares->first_cell ? usual : *adds_in(shares, cell);
        most = fmin(most, left / (3600.0 * (hour + 1)));
    }
    return fmax(most, 0);
}

static double calendar_rate(const struct shares *shares, const struct budget_limits *limits,
                            unsigned day_used, int64_t now_us)
{
    double left_s = fmod((double)(limits->day_ends_us - now_us) / (double)SECOND_US, DAY_S);
    double rest;

    if (left_s <= 0)
        left_s += DAY_S;
    rest = (double)limits->per_day - day_used - shares->queued -
           adds_a_day(shares) * left_s / DAY_S -
           shares_reserve(shares, limits) * fmin(left_s / RETURN_S, 1);
    return rest / fmax(left_s, 30);
}

double shares_poll_rate(struct shares *shares, struct budget *budget, int64_t now_us)
{
    const struct budget_limits *limits = &budget->limits;
    double rate = limits->per_minute > 0 ? 0.85 * limits->per_minute / 60.0 : UNLIMITED_PER_S;
    unsigned day_used = budget_day_used(budget, now_us);

    advance(shares, now_us);
    if (limits->per_day > 0 && !limits->day_rolling) {
        rate = fmin(rate, calendar_rate(shares, limits, day_used, now_us));
    } else if (limits->per_day > 0) {
        if (shares->most_us == INT64_MIN || now_us - shares->most_us >= LOOK_US) {
            shares->most = most_rate(shares, budget, now_us);
            shares->most_us = now_us;
        }
        rate = fmin(rate, fmin(rolling_rate(shares, limits, day_used), shares->most));
    }
    return fmin(fmax(rate, 0), MOST_PER_S);
}
