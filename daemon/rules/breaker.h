/*
 * rules/breaker.h - stops buying at an account that answers nothing.
 *
 * Every lost answer is an order that a person may have to look up. After five of them in a row
 * nothing is sent for 2 s, then one order is tried; when that fails too, the pause doubles, up to
 * 60 s. Where nobody is reached at all nothing is lost, but each try costs rows: a pause of 1 s
 * follows the first one, and doubles up to 30 s. Any answer that says what became of an order ends
 * it.
 *
 * Pure; embed a struct breaker, { 0 } is closed.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum breaker_failure {
    BREAKER_NOBODY, /* not sent: no connection */
    BREAKER_LOST,   /* sent, and the answer is lost */
};

struct breaker {
    unsigned lost;           /* answers in a row */
    int64_t pause_us;        /* the last pause; 0 = closed */
    int64_t paused_until_us; /* then one order is tried */
};

/*
 * An order failed so. True when a pause begins; requests that were on the wire when it began
 * lengthen it by nothing.
 */
bool breaker_note_failure(struct breaker *breaker, enum breaker_failure failure, int64_t now_us);
/* An order's answer came, whatever it said. True when the breaker was open and is closed by it. */
bool breaker_note_answer(struct breaker *breaker);
/* Open: at most one order may be under way. */
static inline bool breaker_is_open(const struct breaker *breaker)
{
    return breaker->pause_us > 0;
}
/* The longest pause after such a failure. */
int64_t breaker_longest_us(enum breaker_failure failure);
