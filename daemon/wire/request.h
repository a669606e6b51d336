/*
 * wire/request.h - a request of the provider's API as bytes.
 *
 * Pure. The protocol: one endpoint, POST, application/x-www-form-urlencoded with `key`, `action`
 * and the action's parameters (api document, "Authentication" and the sections per action).
 */
#pragma once
#include "base/text.h"

enum api_action {
    ACTION_PING,
    ACTION_SERVICES,
    ACTION_BALANCE,
    ACTION_ADD,
    ACTION_STATUS,       /* one order: `ids[0]` as "order" */
    ACTION_MULTI_STATUS, /* several: `ids` joined by commas as "orders" */
    ACTION_REFILL,
    ACTION_REFILL_STATUS,
};
#define ACTION_COUNT 8
#define MULTI_STATUS_MAX                                                                           \
    100 /* ids a request; more are refused, cut off or answered wrongly (family survey) */

/* One form field; both borrowed. */
struct parameter {
    const char *name, *value;
};

/* What is to be asked. Everything is borrowed for the time of the call. */
struct api_request {
    enum api_action action;
    const struct parameter *parameters; /* of add; a NULL value is left out */
    size_t parameter_count;
    const char *const *ids; /* of status, refill (order ids), refill_status (refill id) */
    size_t id_count;
};

/* The action's name on the wire ("add", "status", ...) and in logs. */
const char *api_action_name(enum api_action action);

/*
 * Appends the body. `key` may be NULL for ACTION_PING only. The result holds the key: text_done()
 * of a body is preceded by explicit_bzero() where it is freed. Line endings of multi-line values
 * (comments, usernames, hashtags ...) are sent as the caller gives them.
 */
void api_request_encode(const struct api_request *request, const char *key, struct text *body);
