/*
 * Any bytes as a reply. The first byte picks the action and the HTTP code, the second how many ids
 * were asked and whether a Retry-After stands beside the body, whose value is then the body's
 * beginning.
 */
#include "base/own.h"
#include "wire/reply.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void require_id(const char *id)
{
    require(id && id[0] && strlen(id) <= 64);
    for (; *id; id++)
        require(*id > ' ' && *id <= '~' && *id != ',');
}

static void require_utf8(const char *text)
{
    require(!text || text_is_utf8(text, strlen(text)));
}

static void require_amount(const char amount[DECIMAL_SIZE])
{
    char again[DECIMAL_SIZE];
    require(memchr(amount, '\0', DECIMAL_SIZE) != NULL);
    require(!amount[0] || (decimal_parse(amount, again) && strcmp(amount, again) == 0));
}

static void require_orders(const struct reply *reply)
{
    for (size_t i = 0; i < reply->order_count; i++) {
        const struct reply_order *order = &reply->orders[i];
        if (reply->outcome == REPLY_STATUSES)
            require_id(order->id);
        else
            require(!order->id);
        require((order->error != NULL) == (order->error_class != ERROR_NONE));
        require((order->error != NULL) == (order->status_word == NULL));
        require(!order->error || order->status == ORDER_STATUS_UNKNOWN);
        require(order_status_name(order->status) != NULL);
        require_utf8(order->error);
        require_utf8(order->status_word);
        require_utf8(order->currency);
        require_amount(order->charge);
    }
}

static void require_services(const struct reply *reply)
{
    for (size_t i = 0; i < reply->service_count; i++) {
        const struct reply_service *service = &reply->services[i];
        require_id(service->service);
        require(service->name && service->type && service->category);
        require_utf8(service->name);
        require_utf8(service->product_id);
        require_amount(service->rate);
        require_amount(service->min);
        require_amount(service->max);
        require(service->rate[0] != '-' && service->min[0] != '-' && service->max[0] != '-');
    }
}

static void require_outcome_fits(enum api_action action, const struct reply *reply)
{
    switch (reply->outcome) {
    case REPLY_ACCEPTED:
        require(action == ACTION_ADD);
        require_id(reply->id);
        break;
    case REPLY_REFILL:
        require(action == ACTION_REFILL);
        require_id(reply->id);
        break;
    case REPLY_STATUS:
        require(action == ACTION_STATUS || action == ACTION_MULTI_STATUS);
        require(reply->order_count == 1);
        break;
    case REPLY_STATUSES:
        require(action == ACTION_MULTI_STATUS);
        break;
    case REPLY_SERVICES:
        require(action == ACTION_SERVICES && reply->service_count + reply->bad_rows > 0);
        break;
    case REPLY_BALANCE:
        require(action == ACTION_BALANCE && reply->balance[0]);
        break;
    case REPLY_REFILL_STATUS:
        require(action == ACTION_REFILL_STATUS && reply->refill_status_word);
        break;
    case REPLY_PONG:
        require(action == ACTION_PING);
        break;
    case REPLY_NO_CATALOGUE:
        require(action == ACTION_SERVICES && reply->error);
        break;
    case REPLY_REFUSED:
    case REPLY_NOT_EXECUTED:
        require(reply->error && reply->class != ERROR_NONE && reply->class != ERROR_SERVER);
        break;
    case REPLY_UNKNOWN:
        require(reply->error && !reply->id && reply->order_count == 0);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const long codes[] = {200, 201, 401, 404, 429, 500, 503, 0};
    if (size < 2)
        return 0;
    static const char *const asked[] = {"1", "2", "3", "4"};
    struct api_request request = {.action = (enum api_action)(data[0] % ACTION_COUNT),
                                  .ids = asked,
                                  .id_count = 1 + data[1] % 4};
    char header[48] = "";
    size_t header_bytes = size - 2 < sizeof header - 1 ? size - 2 : sizeof header - 1;
    memcpy(header, data + 2, header_bytes);
    struct reply_bytes bytes = {.http_status = codes[data[0] / ACTION_COUNT % COUNT_OF(codes)],
                                .retry_after = data[1] & 64 ? header : NULL,
                                .now_s = 1700000000,
                                .body = (const char *)data + 2,
                                .body_bytes = size - 2};
    struct reply reply;
    require(reply_decode(&request, &bytes, &reply) == 0);
    require(reply.retry_after_s >= -1 && reply.retry_after_s <= RETRY_AFTER_MAX_S);
    require(reply.limit >= 0 && (reply.limit > 0) == (reply.limit_period_s > 0));
    require_utf8(reply.error);
    require_amount(reply.balance);
    require_orders(&reply);
    require_services(&reply);
    require_outcome_fits(request.action, &reply);
    reply_done(&reply);
    return 0;
}
