/*
 * rules/breaker.h - stops buying at an account whose answers keep getting lost.
 *
 * Every lost answer is an order that a person may have to look up. After BREAKER_UNKNOWNS of them
 * in a row nothing is sent for 2 s, then one order is tried; when its answer is lost too, the pause
 * doubles, up to 60 s. Any answer that says what became of an order closes it.
 *
 * Pure; embed a struct breaker, { 0 } is closed.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define BREAKER_UNKNOWNS 5
#define BREAKER_FIRST_US ((int64_t)2000000)
#define BREAKER_LONGEST_US ((int64_t)60000000)

struct breaker {
    unsigned unknowns;       /* in a row */
    int64_t pause_us;        /* the last pause; 0 = closed */
    int64_t paused_until_us; /* then one order is tried */
};

/*
 * An order's answer was lost. True when a pause begins; requests that were on the wire when it
 * began lengthen it by nothing.
 */
bool breaker_note_unknown(struct breaker *breaker, int64_t now_us);
/* An order's answer came, whatever it said. True when the breaker was open and is closed by it. */
bool breaker_note_answer(struct breaker *breaker);
/* Open: at most one order may be under way. */
static inline bool breaker_is_open(const struct breaker *breaker)
{
    return breaker->pause_us > 0;
}
