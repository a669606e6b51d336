/*
 * rules/order_state.h - an order's life: every state, every event, and why one leads to the next.
 *
 * One table; SQL checks, log text, manual and diagram follow from it. Pure.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum order_state {
    ORDER_QUEUED,
    ORDER_SUBMITTING,
    ORDER_ACTIVE,
    ORDER_COMPLETED,
    ORDER_PARTIAL,
    ORDER_CANCELED,
    ORDER_REFUNDED,
    ORDER_FAILED,
    ORDER_REJECTED,
    ORDER_WITHDRAWN,
    ORDER_UNCERTAIN,
    ORDER_ABANDONED,
};
#define ORDER_STATE_COUNT 12

enum order_event {
    EVENT_CLAIMED,     /* the intent is committed */
    EVENT_WITHDRAWN,   /* the shop said no, or no longer shows the line */
    EVENT_SHOWN_AGAIN, /* the shop shows a withdrawn line again */
    EVENT_ACCEPTED,    /* the provider answered with an order id */
    EVENT_REFUSED,     /* for a reason that will not pass by itself */
    EVENT_PUT_OFF,     /* provably not executed, or a refusal that can pass */
    EVENT_NO_ANSWER,   /* sent, and the answer is lost: this attempt's, or an earlier one's */
    EVENT_STATUS_OPEN, /* the provider says pending or in progress */
    EVENT_STATUS_COMPLETED,
    EVENT_STATUS_PARTIAL,
    EVENT_STATUS_CANCELED,
    EVENT_STATUS_REFUNDED,
    EVENT_STATUS_FAILED,
    EVENT_PROVED_PLACED, /* by proof or an operator */
    EVENT_PROVED_ABSENT, /* an operator said: not placed */
    EVENT_GIVEN_UP,      /* an operator gave up */
    EVENT_RETRY,         /* an operator asked for it, through the veto */
    EVENT_DISPROVED,     /* what was proved is another order's: a reply beats a proof */
};
#define ORDER_EVENT_COUNT 18

struct transition {
    enum order_state from;
    enum order_event on;
    enum order_state to;
    const char *why; /* log line, manual's sentence, diagram's label */
};

extern const struct transition order_transitions[];
extern const size_t order_transition_count;

/* The row for `from` on `on`, or NULL when the table does not allow it. */
const struct transition *order_transition_find(enum order_state from, enum order_event on);

/* "queued", "submitting", ... the words of the ledger. */
const char *order_state_name(enum order_state state);
bool order_state_parse(const char *name, enum order_state *ret_state);
/* "claimed", "withdrawn", ... the words of the history. */
const char *order_event_name(enum order_event event);
/*
 * True for states that polls and submits leave alone (completed ... withdrawn, abandoned; not
 * uncertain).
 */
bool order_state_is_final(enum order_state state);
