#include "rules/order_state.h"
#include "base/own.h"
#include <assert.h>
#include <string.h>

static const char *const state_names[ORDER_STATE_COUNT] = {
    [ORDER_QUEUED] = "queued",       [ORDER_SUBMITTING] = "submitting",
    [ORDER_ACTIVE] = "active",       [ORDER_COMPLETED] = "completed",
    [ORDER_PARTIAL] = "partial",     [ORDER_CANCELED] = "canceled",
    [ORDER_REFUNDED] = "refunded",   [ORDER_FAILED] = "failed",
    [ORDER_REJECTED] = "rejected",   [ORDER_WITHDRAWN] = "withdrawn",
    [ORDER_UNCERTAIN] = "uncertain", [ORDER_ABANDONED] = "abandoned",
};

static const char *const event_names[ORDER_EVENT_COUNT] = {
    [EVENT_CLAIMED] = "claimed",
    [EVENT_WITHDRAWN] = "withdrawn",
    [EVENT_SHOWN_AGAIN] = "shown_again",
    [EVENT_ACCEPTED] = "accepted",
    [EVENT_REFUSED] = "refused",
    [EVENT_PUT_OFF] = "put_off",
    [EVENT_NO_ANSWER] = "no_answer",
    [EVENT_STATUS_OPEN] = "status_open",
    [EVENT_STATUS_COMPLETED] = "status_completed",
    [EVENT_STATUS_PARTIAL] = "status_partial",
    [EVENT_STATUS_CANCELED] = "status_canceled",
    [EVENT_STATUS_REFUNDED] = "status_refunded",
    [EVENT_STATUS_FAILED] = "status_failed",
    [EVENT_PROVED_PLACED] = "proved_placed",
    [EVENT_PROVED_ABSENT] = "proved_absent",
    [EVENT_GIVEN_UP] = "given_up",
    [EVENT_RETRY] = "retry",
    [EVENT_DISPROVED] = "disproved",
};

#define LATE "a late answer of an earlier attempt: the provider had accepted it"
#define SAME "the provider says it again"
#define REOPENED "the provider works on it again"
#define ANOTHERS "it was found under an id that a reply gave to another order"
#define TRIED_AGAIN "what was tried again may exist: its id was another order's"

/* clang-format off */
const struct transition order_transitions[] = {
    { ORDER_QUEUED,     EVENT_CLAIMED,          ORDER_SUBMITTING, "the intent to buy is committed" },
    { ORDER_QUEUED,     EVENT_WITHDRAWN,        ORDER_WITHDRAWN,  "the shop took it back before it was sent" },
    { ORDER_QUEUED,     EVENT_REFUSED,          ORDER_REJECTED,   "refused before sending, for a reason that will not pass by itself" },
    { ORDER_QUEUED,     EVENT_PUT_OFF,          ORDER_QUEUED,     "not sent for a reason that can pass" },
    { ORDER_QUEUED,     EVENT_ACCEPTED,         ORDER_ACTIVE,     LATE },
    { ORDER_QUEUED,     EVENT_DISPROVED,        ORDER_UNCERTAIN,  TRIED_AGAIN },

    { ORDER_SUBMITTING, EVENT_ACCEPTED,         ORDER_ACTIVE,     "the provider accepted it" },
    { ORDER_SUBMITTING, EVENT_REFUSED,          ORDER_REJECTED,   "the provider refused it for a reason that will not pass by itself" },
    { ORDER_SUBMITTING, EVENT_PUT_OFF,          ORDER_QUEUED,     "provably not executed, or refused for a reason that can pass" },
    { ORDER_SUBMITTING, EVENT_NO_ANSWER,        ORDER_UNCERTAIN,  "sent but not answered: it may exist there" },

    { ORDER_UNCERTAIN,  EVENT_ACCEPTED,         ORDER_ACTIVE,     "the answer came late: the provider had accepted it" },
    { ORDER_UNCERTAIN,  EVENT_REFUSED,          ORDER_REJECTED,   "the answer came late: the provider had refused it" },
    { ORDER_UNCERTAIN,  EVENT_PUT_OFF,          ORDER_QUEUED,     "it turned out that the attempt was not executed" },
    { ORDER_UNCERTAIN,  EVENT_PROVED_PLACED,    ORDER_ACTIVE,     "found at the provider" },
    { ORDER_UNCERTAIN,  EVENT_PROVED_ABSENT,    ORDER_QUEUED,     "an operator said that it was not placed" },
    { ORDER_UNCERTAIN,  EVENT_GIVEN_UP,         ORDER_ABANDONED,  "an operator gave it up: never bought again" },

    { ORDER_ACTIVE,     EVENT_STATUS_OPEN,      ORDER_ACTIVE,     "the provider works on it" },
    { ORDER_ACTIVE,     EVENT_STATUS_COMPLETED, ORDER_COMPLETED,  "the provider delivered it" },
    { ORDER_ACTIVE,     EVENT_STATUS_PARTIAL,   ORDER_PARTIAL,    "the provider delivered a part and stopped" },
    { ORDER_ACTIVE,     EVENT_STATUS_CANCELED,  ORDER_CANCELED,   "the provider canceled it" },
    { ORDER_ACTIVE,     EVENT_STATUS_REFUNDED,  ORDER_REFUNDED,   "the provider gave the money back" },
    { ORDER_ACTIVE,     EVENT_STATUS_FAILED,    ORDER_FAILED,     "the provider failed to deliver it" },
    { ORDER_ACTIVE,     EVENT_DISPROVED,        ORDER_UNCERTAIN,  ANOTHERS },

    { ORDER_COMPLETED,  EVENT_STATUS_OPEN,      ORDER_ACTIVE,     REOPENED },
    { ORDER_COMPLETED,  EVENT_STATUS_COMPLETED, ORDER_COMPLETED,  SAME },
    { ORDER_COMPLETED,  EVENT_STATUS_PARTIAL,   ORDER_PARTIAL,    "the provider changed completed to partial" },
    { ORDER_COMPLETED,  EVENT_STATUS_CANCELED,  ORDER_CANCELED,   "the provider changed completed to canceled" },
    { ORDER_COMPLETED,  EVENT_STATUS_REFUNDED,  ORDER_REFUNDED,   "the provider changed completed to refunded" },
    { ORDER_COMPLETED,  EVENT_STATUS_FAILED,    ORDER_FAILED,     "the provider changed completed to failed" },
    { ORDER_COMPLETED,  EVENT_DISPROVED,        ORDER_UNCERTAIN,  ANOTHERS },

    { ORDER_PARTIAL,    EVENT_STATUS_OPEN,      ORDER_ACTIVE,     REOPENED },
    { ORDER_PARTIAL,    EVENT_STATUS_COMPLETED, ORDER_COMPLETED,  "the provider changed partial to completed" },
    { ORDER_PARTIAL,    EVENT_STATUS_PARTIAL,   ORDER_PARTIAL,    SAME },
    { ORDER_PARTIAL,    EVENT_STATUS_CANCELED,  ORDER_CANCELED,   "the provider changed partial to canceled" },
    { ORDER_PARTIAL,    EVENT_STATUS_REFUNDED,  ORDER_REFUNDED,   "the provider changed partial to refunded" },
    { ORDER_PARTIAL,    EVENT_STATUS_FAILED,    ORDER_FAILED,     "the provider changed partial to failed" },
    { ORDER_PARTIAL,    EVENT_DISPROVED,        ORDER_UNCERTAIN,  ANOTHERS },

    { ORDER_CANCELED,   EVENT_STATUS_OPEN,      ORDER_ACTIVE,     REOPENED },
    { ORDER_CANCELED,   EVENT_STATUS_COMPLETED, ORDER_COMPLETED,  "the provider changed canceled to completed" },
    { ORDER_CANCELED,   EVENT_STATUS_PARTIAL,   ORDER_PARTIAL,    "the provider changed canceled to partial" },
    { ORDER_CANCELED,   EVENT_STATUS_CANCELED,  ORDER_CANCELED,   SAME },
    { ORDER_CANCELED,   EVENT_STATUS_REFUNDED,  ORDER_REFUNDED,   "the provider changed canceled to refunded" },
    { ORDER_CANCELED,   EVENT_STATUS_FAILED,    ORDER_FAILED,     "the provider changed canceled to failed" },
    { ORDER_CANCELED,   EVENT_DISPROVED,        ORDER_UNCERTAIN,  ANOTHERS },

    { ORDER_REFUNDED,   EVENT_STATUS_OPEN,      ORDER_ACTIVE,     REOPENED },
    { ORDER_REFUNDED,   EVENT_STATUS_COMPLETED, ORDER_COMPLETED,  "the provider changed refunded to completed" },
    { ORDER_REFUNDED,   EVENT_STATUS_PARTIAL,   ORDER_PARTIAL,    "the provider changed refunded to partial" },
    { ORDER_REFUNDED,   EVENT_STATUS_CANCELED,  ORDER_CANCELED,   "the provider changed refunded to canceled" },
    { ORDER_REFUNDED,   EVENT_STATUS_REFUNDED,  ORDER_REFUNDED,   SAME },
    { ORDER_REFUNDED,   EVENT_STATUS_FAILED,    ORDER_FAILED,     "the provider changed refunded to failed" },
    { ORDER_REFUNDED,   EVENT_DISPROVED,        ORDER_UNCERTAIN,  ANOTHERS },

    { ORDER_FAILED,     EVENT_STATUS_OPEN,      ORDER_ACTIVE,     REOPENED },
    { ORDER_FAILED,     EVENT_STATUS_COMPLETED, ORDER_COMPLETED,  "the provider changed failed to completed" },
    { ORDER_FAILED,     EVENT_STATUS_PARTIAL,   ORDER_PARTIAL,    "the provider changed failed to partial" },
    { ORDER_FAILED,     EVENT_STATUS_CANCELED,  ORDER_CANCELED,   "the provider changed failed to canceled" },
    { ORDER_FAILED,     EVENT_STATUS_REFUNDED,  ORDER_REFUNDED,   "the provider changed failed to refunded" },
    { ORDER_FAILED,     EVENT_STATUS_FAILED,    ORDER_FAILED,     SAME },
    { ORDER_FAILED,     EVENT_DISPROVED,        ORDER_UNCERTAIN,  ANOTHERS },
    { ORDER_FAILED,     EVENT_RETRY,            ORDER_QUEUED,     "an operator asked to buy it again" },

    { ORDER_REJECTED,   EVENT_RETRY,            ORDER_QUEUED,     "an operator asked to try it again" },
    { ORDER_REJECTED,   EVENT_ACCEPTED,         ORDER_ACTIVE,     LATE },
    { ORDER_REJECTED,   EVENT_DISPROVED,        ORDER_UNCERTAIN,  TRIED_AGAIN },

    { ORDER_WITHDRAWN,  EVENT_SHOWN_AGAIN,      ORDER_QUEUED,     "the shop shows it again" },
    { ORDER_WITHDRAWN,  EVENT_ACCEPTED,         ORDER_ACTIVE,     LATE },
    { ORDER_WITHDRAWN,  EVENT_DISPROVED,        ORDER_UNCERTAIN,  TRIED_AGAIN },

    { ORDER_ABANDONED,  EVENT_ACCEPTED,         ORDER_ACTIVE,     LATE },
    { ORDER_ABANDONED,  EVENT_PROVED_PLACED,    ORDER_ACTIVE,     "found at the provider after it was given up" },
};
/* clang-format on */
const size_t order_transition_count = COUNT_OF(order_transitions);

const struct transition *order_transition_find(enum order_state from, enum order_event on)
{
    for (size_t i = 0; i < COUNT_OF(order_transitions); i++) {
        if (order_transitions[i].from == from && order_transitions[i].on == on)
            return &order_transitions[i];
    }
    return NULL;
}

const char *order_state_name(enum order_state state)
{
    assert((size_t)state < COUNT_OF(state_names));
    return state_names[state];
}

bool order_state_parse(const char *name, enum order_state *ret_state)
{
    for (size_t i = 0; i < COUNT_OF(state_names); i++) {
        if (strcmp(name, state_names[i]) == 0) {
            *ret_state = (enum order_state)i;
            return true;
        }
    }
    return false;
}

const char *order_event_name(enum order_event event)
{
    assert((size_t)event < COUNT_OF(event_names));
    return event_names[event];
}

bool order_state_is_final(enum order_state state)
{
    switch (state) {
    case ORDER_COMPLETED:
    case ORDER_PARTIAL:
    case ORDER_CANCELED:
    case ORDER_REFUNDED:
    case ORDER_FAILED:
    case ORDER_REJECTED:
    case ORDER_WITHDRAWN:
    case ORDER_ABANDONED:
        return true;
    case ORDER_QUEUED:
    case ORDER_SUBMITTING:
    case ORDER_ACTIVE:
    case ORDER_UNCERTAIN:
        break;
    }
    return false;
}
