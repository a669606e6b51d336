#include "rules/recheck.h"
#include "base/own.h"
#include <stddef.h>
#include <string.h>

#define HOUR_S INT64_C(3600)
#define DAY_S INT64_C(86400)
#define SPACING_LEAST_S 10
#define NEAR 4   /* a look that would follow sooner than that part of the age is passed over */
#define SHARE 20 /* of a day's requests, one in that many */

/* After the end. */
static const int64_t usual_s[] = {HOUR_S,      6 * HOUR_S,  DAY_S,      3 * DAY_S,
                                  7 * DAY_S,   14 * DAY_S,  30 * DAY_S, 60 * DAY_S,
                                  120 * DAY_S, 240 * DAY_S, 365 * DAY_S};
static const int64_t settled_s[] = {DAY_S, 7 * DAY_S, 30 * DAY_S, 120 * DAY_S, 365 * DAY_S};

int64_t recheck_wait_s(const char *state, int64_t age_s, unsigned days)
{
    bool usual = strcmp(state, "completed") == 0 || strcmp(state, "partial") == 0;
    const int64_t *after_s = usual ? usual_s : settled_s;
    size_t count = usual ? COUNT_OF(usual_s) : COUNT_OF(settled_s);

    for (size_t i = 0; i < count && after_s[i] <= days * DAY_S; i++)
        if (after_s[i] > age_s + age_s / NEAR)
            return after_s[i] - age_s;
    return -1;
}

bool recheck_is_worth(unsigned count, unsigned limit, int64_t oldest_s)
{
    return count > 0 && (count >= limit || oldest_s >= RECHECK_PATIENCE_S);
}

int64_t recheck_spacing_s(unsigned per_day)
{
    int64_t spacing_s = per_day > 0 ? DAY_S * SHARE / per_day : 0;

    return spacing_s < SPACING_LEAST_S ? SPACING_LEAST_S : spacing_s;
}
