#include "rules/breaker.h"

static const struct {
    unsigned tolerated; /* in a row */
    int64_t first_us, longest_us;
} limits[] = {
    [BREAKER_NOBODY] = {0, 1000000, 30000000},
    [BREAKER_LOST] = {4, 2000000, 60000000},
};

bool breaker_note_failure(struct breaker *breaker, enum breaker_failure failure, int64_t now_us)
{
    int64_t longest_us = limits[failure].longest_us;

    if (failure == BREAKER_LOST && breaker->lost <= limits[failure].tolerated)
        breaker->lost++;
    if (now_us < breaker->paused_until_us)
        return false;
    if (!breaker_is_open(breaker)) {
        if (failure == BREAKER_LOST && breaker->lost <= limits[failure].tolerated)
            return false;
        breaker->pause_us = limits[failure].first_us;
    } else {
        breaker->pause_us = breaker->pause_us > longest_us / 2 ? longest_us : breaker->pause_us * 2;
    }
    breaker->paused_until_us = now_us + breaker->pause_us;
    return true;
}

bool breaker_note_answer(struct breaker *breaker)
{
    bool was_open = breaker_is_open(breaker);

    *breaker = (struct breaker){0};
    return was_open;
}

int64_t breaker_longest_us(enum breaker_failure failure)
{
    return limits[failure].longest_us;
}
