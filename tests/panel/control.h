/*
 * control.h - the door for tests: /control/... on the same port.
 *
 * GET
 *     books | requests | counters | accounts      TSV with a heading line
 *
 * POST
 *     fault          kind [n action link service chance seed execute retry_after millis http text]
 *                    see faults.h
 *     faults-clear
 *     balance        [key] set=AMOUNT | add=AMOUNT
 *     key            [key] [blocked=0|1] [new=KEY]: blocks, frees or renames a key
 *     service        service [name] [enabled=0|1] [paused=0|1] [rate min max] [outcome] [seconds]
 *     limits         [minute day minute_seconds day_seconds limiter]: all accounts, empty windows
 *     order          order|link [status remains start_count charge]: fixes what an order looks like
 *     refill         refill status
 *     next-id        id [step]
 *     latency        millis
 *     variant        set=LIST
 *     time           shift=SECONDS: moves virtual time forward: orders, windows, refills
 *     close-idle     ends every idle connection now
 *
 * With --control-key the key travels as the header X-Control-Key or as the field "control".
 */
#pragma once
#include "panel.h"

struct control_reply {
    unsigned http_status;
    bool closes_idle; /* the server is to end its idle connections */
};

void control_answer(struct panel *panel, const char *verb, const struct form *form, int64_t now_us,
                    struct text *body, struct control_reply *ret_reply);

/* What /control/books and /control/counters show, for the files written at the end. */
void control_write_books(struct panel *panel, int64_t now_us, struct text *text);
void control_write_counters(const struct panel *panel, struct text *text);
