#include "wire/request.h"
#include <assert.h>
#include <string.h>

const char *api_action_name(enum api_action action)
{
    static const char *const names[ACTION_COUNT] = {
        [ACTION_PING] = "ping",       [ACTION_SERVICES] = "services",
        [ACTION_BALANCE] = "balance", [ACTION_ADD] = "add",
        [ACTION_STATUS] = "status",   [ACTION_MULTI_STATUS] = "status",
        [ACTION_REFILL] = "refill",   [ACTION_REFILL_STATUS] = "refill_status",
    };
    return names[action];
}

/* The field that carries the ids, or NULL for an action without. */
static const char *id_field(enum api_action action)
{
    static const char *const fields[ACTION_COUNT] = {
        [ACTION_STATUS] = "order",
        [ACTION_MULTI_STATUS] = "orders",
        [ACTION_REFILL] = "order",
        [ACTION_REFILL_STATUS] = "refill",
    };
    return fields[action];
}

/* What the body needs at most, every byte escaped. */
static size_t encoded_bytes(const struct api_request *request, const char *key)
{
    size_t bytes = 64 + (key ? strlen(key) : 0);
    for (size_t i = 0; i < request->parameter_count; i++)
        if (request->parameters[i].value)
            bytes += 2 + strlen(request->parameters[i].name) + strlen(request->parameters[i].value);
    for (size_t i = 0; i < request->id_count; i++)
        bytes += 1 + strlen(request->ids[i]);
    return 3 * bytes;
}

static void add_field(struct text *body, const char *name, const char *value)
{
    if (body->length > 0)
        text_add_char(body, '&');
    text_add_form(body, name, strlen(name));
    text_add_char(body, '=');
    text_add_form(body, value, strlen(value));
}

static void add_ids(const struct api_request *request, const char *field, struct text *body)
{
    assert(request->id_count > 0);
    assert(request->action == ACTION_MULTI_STATUS || request->id_count == 1);
    add_field(body, field, request->ids[0]);
    for (size_t i = 1; i < request->id_count; i++) {
        text_add_form(body, ",", 1);
        text_add_form(body, request->ids[i], strlen(request->ids[i]));
    }
}

void api_request_encode(const struct api_request *request, const char *key, struct text *body)
{
    assert(key || request->action == ACTION_PING);
    text_reserve(body, encoded_bytes(request, key));
    if (key)
        add_field(body, "key", key);
    add_field(body, "action", api_action_name(request->action));
    const char *field = id_field(request->action);
    if (field)
        add_ids(request, field, body);
    for (size_t i = 0; i < request->parameter_count; i++)
        if (request->parameters[i].value)
            add_field(body, request->parameters[i].name, request->parameters[i].value);
}
