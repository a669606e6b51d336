/*
 * panel.h - the simulated provider as a whole: books, habits, limits and records.
 */
#pragma once
#include "books.h"
#include "faults.h"
#include "form.h"
#include "variants.h"

enum panel_action {
    PANEL_PING,
    PANEL_SERVICES,
    PANEL_BALANCE,
    PANEL_ADD,
    PANEL_STATUS, /* one order */
    PANEL_ORDERS, /* several */
    PANEL_REFILL,
    PANEL_REFILL_STATUS,
    PANEL_OTHER, /* no such action, or a request that met a fault before it was read */
};
#define PANEL_ACTIONS 9

enum panel_result { RESULT_NONE, RESULT_DONE, RESULT_REFUSED, RESULT_LIMITED };

struct panel_counters {
    uint64_t requests, done, refused, limited, faulted;
};

/* One line of /control/requests. */
struct request_record {
    int64_t wall_us, monotonic_us;
    uint64_t order; /* accepted add: the order's number */
    uint32_t connection, nth_on_connection;
    uint32_t ids;
    uint16_t in_flight; /* requests being answered when this one had arrived, with it */
    uint8_t action, result, fault;
    char key_tail[5];
};

struct panel {
    struct books books;
    uint64_t variants;
    char currency[8];
    uint32_t limit_minute, limit_day;
    int64_t minute_us, day_us;
    enum limiter_model limiter;
    struct faults faults;
    struct panel_counters counters[PANEL_ACTIONS];
    struct request_record *records; /* a ring */
    uint32_t record_limit;
    uint64_t record_count;
    struct text services; /* the catalogue's reply, made once and after each change */
    int64_t latency_us;
    const char *control_key; /* NULL: anybody on this machine */
};

/* What the API answers. */
struct panel_reply {
    unsigned http_status;
    uint32_t retry_after; /* as a header; 0 = none */
    enum panel_action action;
    enum panel_result result;
    uint32_t ids;
    const struct order *order;     /* accepted add */
    const struct account *account; /* NULL: not known */
};

const char *panel_action_name(enum panel_action action);
enum panel_action panel_action_of(const struct form *form);

/* Carries out one request of the API and appends the reply's body. `now_us` is the wall clock. */
void panel_answer(struct panel *panel, const struct form *form, int64_t now_us, struct text *body,
                  struct panel_reply *ret_reply);

/* The API's error in the panel's own manner, without carrying anything out. */
enum api_error {
    ERROR_KEY,
    ERROR_FUNDS,
    ERROR_RATE,
    ERROR_SERVICE,
    ERROR_PARAMETER,
    ERROR_ORDER,
    ERROR_REQUEST
};
void panel_error(struct panel *panel, enum api_error error, const char *text, uint32_t retry_after,
                 struct text *body, struct panel_reply *reply);

/* Applies limit_minute, limit_day, limiter and the windows' lengths to an account, with empty
 * windows. */
void panel_limit_account(const struct panel *panel, struct account *account);
