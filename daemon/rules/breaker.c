#include "rules/breaker.h"

bool breaker_note_unknown(struct breaker *breaker, int64_t now_us)
{
    if (breaker->unknowns < BREAKER_UNKNOWNS)
        breaker->unknowns++;
    if (breaker->unknowns < BREAKER_UNKNOWNS || now_us < breaker->paused_until_us)
        return false;
    if (breaker->pause_us == 0)
        breaker->pause_us = BREAKER_FIRST_US;
    else if (breaker->pause_us < BREAKER_LONGEST_US / 2)
        breaker->pause_us *= 2;
    else
        breaker->pause_us = BREAKER_LONGEST_US;
    breaker->paused_until_us = now_us + breaker->pause_us;
    return true;
}

bool breaker_note_answer(struct breaker *breaker)
{
    bool was_open = breaker_is_open(breaker);

    *breaker = (struct breaker){0};
    return was_open;
}
