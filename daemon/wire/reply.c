#include "wire/reply.h"
#include "base/own.h"
#include "rules/service_type.h"
#include "wire/value.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What is being decoded, and the reply it becomes. */
struct decoding {
    const struct api_request *request;
    long http_status;
    struct json_object *root;
    struct reply *reply;
};

/* Words of servers in one spelling: lower case without space, '_' and '-'. Longer ones match
 * nothing we know. */
#define WORD_SIZE 48

static void fold_word(const char *word, char folded[WORD_SIZE])
{
    size_t used = 0;
    for (; *word && used < WORD_SIZE - 1; word++) {
        if (*word == ' ' || *word == '_' || *word == '-')
            continue;
        folded[used++] = *word >= 'A' && *word <= 'Z' ? (char)(*word - 'A' + 'a') : *word;
    }
    folded[used] = '\0';
}

static bool word_is_any(const char *word, const char *const *known)
{
    char folded[WORD_SIZE];
    fold_word(word, folded);
    for (; *known; known++)
        if (strcmp(folded, *known) == 0)
            return true;
    return false;
}

/* `error` becomes text that the reply owns. */
__attribute__((format(printf, 2, 3))) static int describe(struct reply *reply, const char *format,
                                                          ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&reply->owned_text, format, arguments);
    va_end(arguments);
    if (length < 0) {
        reply->owned_text = NULL; /* uncovered: memory */
        return -ENOMEM;           /* uncovered: memory */
    }
    reply->error = reply->owned_text;
    return 0;
}

/* --- waiting ------------------------------------------------------------------------------------
 */

static int64_t clamp_wait(int64_t wait_s)
{
    return wait_s < 0 ? 0 : wait_s > RETRY_AFTER_MAX_S ? RETRY_AFTER_MAX_S : wait_s;
}

/* Days from 1970-01-01 to a day of the Gregorian calendar; years begin in March so that leap days
 * end them. */
static int64_t days_from_civil(int year, int month, int day)
{
    int64_t from_march = (month + 9) % 12;
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t days_before = 365 * y + y / 4 - y / 100 + y / 400 + (153 * from_march + 2) / 5;
    return days_before + day - 1 - 719468;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT", the one form that senders may use (RFC 9110, 5.6.7). */
static bool parse_http_date(const char *text, int64_t *ret_at_s)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char name[4] = "";
    int year, day, hour, minute, second, length = 0;
    int fields = sscanf(text, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT%n", &day, name,
                        &year, &hour, &minute, &second, &length);
    const char *month = fields == 6 && strlen(name) == 3 ? strstr(months, name) : NULL;
    if (!month || (month - months) % 3 != 0 || length == 0 || text[length] != '\0')
        return false;
    if (year < 1970 || day < 1 || day > 31 || hour < 0 || minute < 0 || second < 0)
        return false;
    int64_t days = days_from_civil(year, (int)(month - months) / 3 + 1, day);
    *ret_at_s = ((days * 24 + hour) * 60 + minute) * 60 + second;
    return true;
}

/* Seconds to wait; -1 when the header is absent or unreadable. */
static int64_t header_wait_s(const struct reply_bytes *bytes)
{
    int64_t value;
    if (!bytes->retry_after)
        return -1;
    if (decimal_parse_integer(bytes->retry_after, &value))
        return value < 0 ? -1 : clamp_wait(value);
    if (bytes->now_s > 0 && parse_http_date(bytes->retry_after, &value))
        return clamp_wait(value - bytes->now_s);
    return -1;
}

/* Whatever number it is: a limiter that counts down may tell one below zero. */
static bool tells_wait(struct json_object *root)
{
    char decimal[DECIMAL_SIZE];
    return value_amount(value_member(root, "retry_after"), decimal);
}

/* "retry_after" as number or string; a fraction waits to its full second. -1 when there is none. */
static int64_t body_wait_s(struct json_object *root)
{
    char decimal[DECIMAL_SIZE];
    if (!value_amount(value_member(root, "retry_after"), decimal) || decimal[0] == '-')
        return -1;
    char *point = strchr(decimal, '.');
    bool has_rest = point && strspn(point + 1, "0") < strlen(point + 1);
    if (point)
        *point = '\0';
    int64_t wait_s;
    if (!decimal_parse_integer(decimal, &wait_s))
        return RETRY_AFTER_MAX_S; /* all digits, so it is beyond 64 bits */
    return clamp_wait(clamp_wait(wait_s) + has_rest);
}

/* "max 60 requests per minute": the provider tells a limit that is documented nowhere else. */
static void read_limit(const char *words, struct reply *reply)
{
    static const struct {
        const char *name;
        int64_t period_s;
    } units[] = {{"minute", 60}, {"hour", 3600}, {"day", 86400}};
    const char *requests = strcasestr(words, " requests per ");
    if (!requests)
        return;
    const char *first = requests, *unit = requests + strlen(" requests per ");
    while (first > words && ((first[-1] >= '0' && first[-1] <= '9') || first[-1] == ','))
        first--;
    char number[DECIMAL_SIZE] = "";
    int64_t limit;
    if ((size_t)(requests - first) >= sizeof number)
        return;
    memcpy(number, first, (size_t)(requests - first));
    if (!decimal_parse(number, number) || !decimal_parse_integer(number, &limit) || limit == 0)
        return;
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        if (strncasecmp(unit, units[i].name, strlen(units[i].name)) != 0)
            continue;
        reply->limit = limit;
        reply->limit_period_s = units[i].period_s;
    }
}

/* --- errors -------------------------------------------------------------------------------------
 */

/* The words of an error value: a string, the first of a list, or of an object's messages. NULL =
 * none. */
static const char *words_of(struct json_object *value)
{
    if (json_object_is_type(value, json_type_array))
        return words_of(json_object_array_get_idx(value, 0));
    if (!json_object_is_type(value, json_type_object))
        return value_text(value);
    static const char *const keys[] = {"error", "message", "msg"};
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        const char *words = words_of(value_member(value, keys[i]));
        if (words)
            return words;
    }
    struct lh_entry *entry = json_object_get_object(value)->head;
    return entry ? words_of(lh_entry_v(entry)) : NULL;
}

static const char *message_of(struct json_object *root)
{
    const char *message = value_text(value_member(root, "message"));
    return message ? message : value_text(value_member(root, "msg"));
}

static bool is_status_action(enum api_action action)
{
    return action == ACTION_STATUS || action == ACTION_MULTI_STATUS ||
           action == ACTION_REFILL_STATUS;
}

static bool has_order_amounts(struct json_object *root)
{
    return value_member(root, "charge") || value_member(root, "remains") ||
           value_member(root, "start_count");
}

/*
 * {"status":"error","message":...}. In replies about a status the word may be the order's own:
 * there it takes the message, and nothing of an order, to make an error of the call.
 */
static bool status_says_error(const struct decoding *decoding)
{
    static const char *const words[] = {"error", "fail", "failed", NULL};
    struct json_object *status = value_member(decoding->root, "status");
    struct json_object *success = value_member(decoding->root, "success");
    if ((json_object_is_type(status, json_type_boolean) && !json_object_get_boolean(status)) ||
        (json_object_is_type(success, json_type_boolean) && !json_object_get_boolean(success)))
        return true;
    const char *word = value_text(status);
    if (!word || !word_is_any(word, words))
        return false;
    return !is_status_action(decoding->request->action) ||
           (message_of(decoding->root) && !has_order_amounts(decoding->root));
}

/* What a reply says about failure. */
struct failure {
    bool present;
    const char *words; /* or NULL: an error without words */
};

static struct failure find_failure(const struct decoding *decoding)
{
    struct json_object *root = decoding->root;
    struct json_object *error = value_member(root, "error");
    if (!value_is_empty(error)) {
        const char *words = words_of(error);
        return (struct failure){true, words ? words : message_of(root)};
    }
    struct json_object *inner = NULL;
    if (decoding->request->action == ACTION_REFILL)
        inner = value_member(root, "refill");
    else if (decoding->request->action == ACTION_REFILL_STATUS)
        inner = value_member(root, "status");
    error = value_member(inner, "error");
    if (!value_is_empty(error))
        return (struct failure){true, words_of(error)};
    if (status_says_error(decoding))
        return (struct failure){true, message_of(root)};
    return (struct failure){false, NULL};
}

/* The key whose presence says that something was done, for actions that do something. */
static bool has_success_key(const struct decoding *decoding)
{
    if (decoding->request->action == ACTION_ADD)
        return !value_is_empty(value_member(decoding->root, "order"));
    if (decoding->request->action == ACTION_REFILL)
        return value_id(value_member(decoding->root, "refill")) != NULL;
    return false;
}

/*
 * Words of no class, in whatever language. Of the API itself they are a refusal, and only limiters
 * say when to come back. But the API answers its errors with no code above 500: what does has
 * passed the request on, and tells what it knows of that, and when the next one may get through.
 * With 500, too, a time to come back is a fault's as well as a limiter's.
 */
static enum error_class class_of_unknown_words(const struct decoding *decoding)
{
    bool says_when = tells_wait(decoding->root);
    if (decoding->http_status > 500 || (decoding->http_status == 500 && says_when))
        return ERROR_SERVER;
    return says_when ? ERROR_RATE : ERROR_OTHER;
}

static void decode_failure(const struct decoding *decoding, const struct failure *failure)
{
    struct reply *reply = decoding->reply;
    reply->outcome = REPLY_UNKNOWN;
    reply->error = failure->words ? failure->words : "an error without words";
    if (!failure->words || has_success_key(decoding))
        return;
    enum error_class class = error_class_of(failure->words);
    if (class == ERROR_OTHER)
        class = class_of_unknown_words(decoding);
    if (decoding->http_status == 429)
        class = ERROR_RATE;
    reply->class = class;
    if (class == ERROR_RATE || class == ERROR_ENDPOINT)
        reply->outcome = REPLY_NOT_EXECUTED;
    else if (class != ERROR_SERVER)
        reply->outcome = REPLY_REFUSED;
    if (class == ERROR_RATE)
        read_limit(failure->words, reply);
}

/*
 * WordPress's own errors, {"code","message","data":{"status"}}. Two kinds are certain: no route
 * matched, and 401 or 403, which its REST server answers from the authentication filters and the
 * route's permission callback, both before the route's own code runs
 * (WP_REST_Server::serve_request, respond_to_request). Every other code may come from the middle of
 * the work. False when it is no such error.
 */
static bool decode_wordpress(const struct decoding *decoding)
{
    struct reply *reply = decoding->reply;
    const char *code = value_text(value_member(decoding->root, "code"));
    const char *message = message_of(decoding->root);
    int64_t status = decoding->http_status;
    if (status < 400)
        (void)value_count(value_member(value_member(decoding->root, "data"), "status"), &status);
    if (!code || !message || status < 400 || has_success_key(decoding))
        return false;
    reply->error = message;
    if (status == 404 && strcmp(code, "rest_no_route") == 0) {
        reply->outcome = REPLY_NOT_EXECUTED;
        reply->class = ERROR_ENDPOINT;
    } else if (status == 401 || status == 403) {
        reply->outcome = REPLY_REFUSED;
        reply->class = ERROR_KEY;
    }
    return true;
}

/* --- orders -------------------------------------------------------------------------------------
 */

/* False when the value tells nothing about an order. */
static bool decode_order(struct json_object *value, const char *id, struct reply_order *ret_order)
{
    struct reply_order order = {.id = id};
    struct json_object *error = value_member(value, "error");
    order.status_word = value_text(value_member(value, "status"));
    order.error = value_text(value);
    if (!value_is_empty(error)) {
        order.error = words_of(error);
        if (!order.error)
            order.error = "an error without words";
    }
    if (order.error) {
        order.error_class = error_class_of(order.error);
        order.status_word = NULL;
    } else if (order.status_word) {
        order.status = order_status_parse(order.status_word);
        (void)value_amount(value_member(value, "charge"), order.charge);
        order.currency = value_text(value_member(value, "currency"));
        order.has_start_count = value_count(value_member(value, "start_count"), &order.start_count);
        order.has_remains = value_count(value_member(value, "remains"), &order.remains);
    } else {
        return false;
    }
    *ret_order = order;
    return true;
}

/* True unless the object names an order, and another one. */
static bool names_no_other(struct json_object *object, const char *id)
{
    struct json_object *order = value_member(object, "order");
    if (value_is_empty(order) || !id)
        return true;
    const char *named = value_id(order);
    return named && strcmp(named, id) == 0;
}

static const char *asked_id(const struct api_request *request)
{
    return request->ids && request->id_count == 1 ? request->ids[0] : NULL;
}

/*
 * One order's fields without an id. A bare "success" or "error" is how servers wrap replies, not an
 * order's status: it needs an amount beside it to be believed.
 */
static bool is_flat_order(const struct decoding *decoding)
{
    static const char *const envelopes[] = {"success", "error", "fail", "failed", NULL};
    const char *word = value_text(value_member(decoding->root, "status"));
    return word && (!word_is_any(word, envelopes) || has_order_amounts(decoding->root)) &&
           names_no_other(decoding->root, asked_id(decoding->request));
}

static int decode_flat_order(const struct decoding *decoding)
{
    struct reply *reply = decoding->reply;
    if (!is_flat_order(decoding))
        return 0;
    reply->orders = calloc(1, sizeof *reply->orders);
    if (!reply->orders)
        return -ENOMEM; /* uncovered: memory */
    reply->order_count = decode_order(decoding->root, NULL, reply->orders) ? 1 : 0;
    reply->outcome = REPLY_STATUS;
    return 0;
}

/* The object or list that holds the orders: the root, or its "orders". NULL when the root is one
 * order itself. */
static struct json_object *find_orders(const struct decoding *decoding)
{
    struct json_object *nested = value_member(decoding->root, "orders");
    struct json_object *first =
        json_object_is_type(nested, json_type_array) ? json_object_array_get_idx(nested, 0) : NULL;
    bool is_object = json_object_is_type(nested, json_type_object);
    if ((is_object && !value_is_empty(nested)) || json_object_is_type(first, json_type_object))
        return nested;
    if (decoding->request->id_count == 1 && is_flat_order(decoding))
        return NULL;
    return is_object || (nested && json_object_is_type(nested, json_type_array)) ? nested
                                                                                 : decoding->root;
}

static void decode_order_list(struct json_object *list, struct reply *reply)
{
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *value = json_object_array_get_idx(list, i);
        const char *id = value_id(value_member(value, "order"));
        if (id && decode_order(value, id, &reply->orders[reply->order_count]))
            reply->order_count++;
    }
}

static void decode_order_map(struct json_object *map, struct reply *reply)
{
    struct lh_entry *entry;
    lh_foreach(json_object_get_object(map), entry)
    {
        const char *id = lh_entry_k(entry);
        struct json_object *value = lh_entry_v(entry);
        if (value_is_id(id) && names_no_other(value, id) &&
            decode_order(value, id, &reply->orders[reply->order_count]))
            reply->order_count++;
    }
}

static int compare_ids(const void *a, const void *b)
{
    const struct reply_order *left = a, *right = b;
    return strcmp(left->id, right->id);
}

/* Sorts; the order within a reply means nothing. */
static bool has_repeated_id(struct reply *reply)
{
    qsort(reply->orders, reply->order_count, sizeof *reply->orders, compare_ids);
    for (size_t i = 1; i < reply->order_count; i++)
        if (strcmp(reply->orders[i - 1].id, reply->orders[i].id) == 0)
            return true;
    return false;
}

static int decode_multi_status(const struct decoding *decoding)
{
    struct reply *reply = decoding->reply;
    struct json_object *orders = find_orders(decoding);
    if (!orders)
        return decode_flat_order(decoding);
    bool is_list = json_object_is_type(orders, json_type_array);
    size_t count =
        is_list ? json_object_array_length(orders) : (size_t)json_object_object_length(orders);
    reply->orders = calloc(count + 1, sizeof *reply->orders);
    if (!reply->orders)
        return -ENOMEM; /* uncovered: memory */
    if (is_list)
        decode_order_list(orders, reply);
    else
        decode_order_map(orders, reply);
    if (count > 0 && reply->order_count == 0)
        return 0;
    if (is_list && has_repeated_id(reply)) {
        reply->order_count = 0;
        return describe(reply, "the reply tells one order twice");
    }
    reply->outcome = REPLY_STATUSES;
    return 0;
}

/* --- the other actions --------------------------------------------------------------------------
 */

static const char *text_or_empty(struct json_object *value)
{
    const char *text = value_scalar(value);
    return text ? text : "";
}

/* The document's spelling of a type, or the provider's when it is none of those. */
static const char *service_type(const char *word)
{
    const struct service_type *type = service_type_of(word);
    char folded[WORD_SIZE], known[WORD_SIZE];

    if (type)
        return type->name;
    fold_word(word, folded);
    for (size_t i = 0; (type = service_type_at(i)); i++) {
        fold_word(type->name, known);
        if (strcmp(folded, known) == 0)
            return type->name;
    }
    return word;
}

/* Prices and bounds are never below zero; what is stays absent. */
static void service_amount(struct json_object *value, char ret_decimal[DECIMAL_SIZE])
{
    if (!value_amount(value, ret_decimal) || ret_decimal[0] == '-')
        ret_decimal[0] = '\0';
}

static bool decode_service(struct json_object *row, struct reply_service *service)
{
    service->service = value_id(value_member(row, "service"));
    if (!service->service)
        return false;
    service->name = text_or_empty(value_member(row, "name"));
    service->type = service_type(text_or_empty(value_member(row, "type")));
    service->category = text_or_empty(value_member(row, "category"));
    service->product_id = value_scalar(value_member(row, "product_id"));
    service_amount(value_member(row, "rate"), service->rate);
    service_amount(value_member(row, "min"), service->min);
    service_amount(value_member(row, "max"), service->max);
    if (strspn(service->max, "0.") == strlen(service->max))
        service->max[0] = '\0'; /* where none was set: nothing could be bought */
    service->refill = value_is_true(value_member(row, "refill"));
    return true;
}

/* Copies a service's strings into one block, so that they outlive the row they were read from. */
static int keep_strings(struct reply_service *service)
{
    const char **strings[] = {&service->service, &service->name, &service->type, &service->category,
                              &service->product_id};
    size_t size = 0;
    for (size_t i = 0; i < COUNT_OF(strings); i++)
        size += *strings[i] ? strlen(*strings[i]) + 1 : 0;
    char *at = malloc(size);
    if (!at)
        return -ENOMEM; /* uncovered: memory */
    for (size_t i = 0; i < COUNT_OF(strings); i++) {
        const char *string = *strings[i];
        if (!string)
            continue;
        *strings[i] = at;
        at = stpcpy(at, string) + 1;
    }
    return 0;
}

/* A catalogue's rows as they come in. */
struct service_list {
    struct reply *reply;
    size_t room;
};

static int take_service(void *userdata, struct json_object *row)
{
    struct service_list *list = userdata;
    struct reply *reply = list->reply;
    struct reply_service service = {0};
    if (!decode_service(row, &service)) {
        reply->bad_rows++;
        return 0;
    }
    if (reply->service_count == list->room) {
        size_t room = list->room ? list->room * 2 : 64;
        struct reply_service *grown = reallocarray(reply->services, room, sizeof *grown);
        if (!grown)
            return -ENOMEM; /* uncovered: memory */
        reply->services = grown;
        list->room = room;
    }
    int r = keep_strings(&service);
    if (r == 0)
        reply->services[reply->service_count++] = service;
    return r;
}

static void forget_services(struct reply *reply)
{
    for (size_t i = 0; i < reply->service_count; i++)
        free((char *)reply->services[i].service);
    free(reply->services);
    reply->services = NULL;
    reply->service_count = reply->bad_rows = 0;
}

static void judge_services(struct reply *reply)
{
    bool any = reply->service_count + reply->bad_rows > 0;
    reply->outcome = any ? REPLY_SERVICES : REPLY_NO_CATALOGUE;
    if (!any)
        reply->error = "the reply holds no catalogue";
}

/* A catalogue of the plain form can be long. */
static int decode_long_catalogue(const struct reply_bytes *bytes, struct reply *reply,
                                 bool *ret_whole)
{
    struct service_list list = {.reply = reply};
    int r = value_read_list(bytes->body, bytes->body_bytes, take_service, &list, ret_whole);
    if (r < 0)
        return r; /* uncovered: memory */
    if (*ret_whole)
        judge_services(reply);
    else
        forget_services(reply);
    return 0;
}

/* One that stands behind something else. */
static int decode_services(const struct decoding *decoding)
{
    struct service_list list = {.reply = decoding->reply};
    bool is_list = json_object_is_type(decoding->root, json_type_array);
    for (size_t i = 0; is_list && i < json_object_array_length(decoding->root); i++) {
        int r = take_service(&list, json_object_array_get_idx(decoding->root, i));
        if (r < 0)
            return r; /* uncovered: memory */
    }
    judge_services(decoding->reply);
    return 0;
}

static int decode_balance(const struct decoding *decoding)
{
    struct reply *reply = decoding->reply;
    if (value_amount(value_member(decoding->root, "balance"), reply->balance)) {
        reply->outcome = REPLY_BALANCE;
        reply->currency = value_text(value_member(decoding->root, "currency"));
    }
    return 0;
}

static int decode_add(const struct decoding *decoding)
{
    decoding->reply->id = value_id(value_member(decoding->root, "order"));
    if (decoding->reply->id)
        decoding->reply->outcome = REPLY_ACCEPTED;
    return 0;
}

static int decode_refill(const struct decoding *decoding)
{
    const char *id = value_id(value_member(decoding->root, "refill"));
    if (id && names_no_other(decoding->root, asked_id(decoding->request))) {
        decoding->reply->id = id;
        decoding->reply->outcome = REPLY_REFILL;
    }
    return 0;
}

/* "Completed" and "tasks.status.completed". Refills have no other words; what is none of them is
 * unknown. */
static enum order_status refill_status_parse(const char *word)
{
    const char *point = strrchr(word, '.');
    word = point ? point + 1 : word;
    if (word_is_any(word, (const char *const[]){"rejected", NULL}))
        return ORDER_STATUS_FAILED;
    enum order_status status = order_status_parse(word);
    return status == ORDER_STATUS_PARTIAL || status == ORDER_STATUS_REFUNDED ? ORDER_STATUS_UNKNOWN
                                                                             : status;
}

static int decode_refill_status(const struct decoding *decoding)
{
    static const char *const envelopes[] = {"success", "error", NULL};
    struct reply *reply = decoding->reply;
    const char *word = value_text(value_member(decoding->root, "status"));
    const char *named = value_id(value_member(decoding->root, "refill"));
    const char *asked = asked_id(decoding->request);
    if (!word || word_is_any(word, envelopes) || (named && asked && strcmp(named, asked) != 0))
        return 0;
    reply->refill_status_word = word;
    reply->refill_status = refill_status_parse(word);
    reply->outcome = REPLY_REFILL_STATUS;
    return 0;
}

/* Its reply is not documented: any JSON that is no error will do. */
static int decode_ping(const struct decoding *decoding)
{
    if (decoding->http_status >= 200 && decoding->http_status < 300)
        decoding->reply->outcome = REPLY_PONG;
    return 0;
}

/* --- the whole ----------------------------------------------------------------------------------
 */

/* Nothing of the API was recognised: the HTTP code is all there is. `what` is what came in its
 * place. */
static int decode_unrecognised(const struct decoding *decoding, const char *what)
{
    struct reply *reply = decoding->reply;
    const char *message = message_of(decoding->root);
    /* 429 says that the request was not let through (RFC 6585, 4), whoever in front of the API says
     * it. */
    if (decoding->http_status == 429 && !has_success_key(decoding)) {
        reply->outcome = REPLY_NOT_EXECUTED;
        reply->class = ERROR_RATE;
    }
    if (reply->error)
        return 0;
    return describe(reply, "HTTP %ld with %s%s%s", decoding->http_status, what, message ? ": " : "",
                    message ? message : "");
}

static int decode_without_json(const struct decoding *decoding, const struct reply_bytes *bytes)
{
    size_t start = 0;
    while (start < bytes->body_bytes && strchr(" \t\r\n", bytes->body[start]))
        start++;
    if (start == bytes->body_bytes)
        return decode_unrecognised(decoding, "an empty body");
    if (bytes->body[start] == '<')
        return decode_unrecognised(decoding, "an HTML page");
    if (decoding->request->action == ACTION_PING && bytes->body[start] != '{' &&
        bytes->body[start] != '[')
        (void)decode_ping(decoding);
    if (decoding->reply->outcome == REPLY_PONG)
        return 0;
    return decode_unrecognised(decoding, "a body that is no whole JSON");
}

static int decode_json(const struct decoding *decoding)
{
    static int (*const decoders[ACTION_COUNT])(const struct decoding *decoding) = {
        [ACTION_PING] = decode_ping,         [ACTION_SERVICES] = decode_services,
        [ACTION_BALANCE] = decode_balance,   [ACTION_ADD] = decode_add,
        [ACTION_STATUS] = decode_flat_order, [ACTION_MULTI_STATUS] = decode_multi_status,
        [ACTION_REFILL] = decode_refill,     [ACTION_REFILL_STATUS] = decode_refill_status,
    };
    struct failure failure = find_failure(decoding);
    if (failure.present) {
        decode_failure(decoding, &failure);
        return 0;
    }
    int r = decode_wordpress(decoding) ? 0 : decoders[decoding->request->action](decoding);
    if (r < 0)
        return r; /* uncovered: memory */
    if (decoding->reply->outcome != REPLY_UNKNOWN)
        return 0;
    return decode_unrecognised(decoding, "JSON that does not answer the question");
}

/* The single object of a list, for actions whose relatives answer in lists. */
static struct json_object *unwrap(enum api_action action, struct json_object *root)
{
    if ((action == ACTION_REFILL || action == ACTION_REFILL_STATUS) &&
        json_object_is_type(root, json_type_array) && json_object_array_length(root) == 1)
        return json_object_array_get_idx(root, 0);
    return root;
}

int reply_decode(const struct api_request *request, const struct reply_bytes *bytes,
                 struct reply *ret_reply)
{
    OWN(reply_done)
    struct reply reply = {.outcome = REPLY_UNKNOWN, .retry_after_s = header_wait_s(bytes)};
    bool whole = false;
    int r = 0;
    if (request->action == ACTION_SERVICES)
        r = decode_long_catalogue(bytes, &reply, &whole);
    if (r == 0 && !whole)
        r = value_read_body(bytes->body, bytes->body_bytes, &reply.owned_json);
    if (r < 0)
        return r; /* uncovered: memory */
    struct decoding decoding = {.request = request,
                                .http_status = bytes->http_status,
                                .root = unwrap(request->action, reply.owned_json),
                                .reply = &reply};
    if (decoding.root) {
        int64_t wait_s = body_wait_s(decoding.root);
        if (wait_s >= 0)
            reply.retry_after_s = wait_s;
        r = decode_json(&decoding);
    } else if (!whole) {
        r = decode_without_json(&decoding, bytes);
    }
    if (r < 0)
        return r; /* uncovered: memory */
    *ret_reply = reply;
    reply = (struct reply){0};
    return 0;
}

void reply_done(struct reply *reply)
{
    json_object_put(reply->owned_json);
    free(reply->owned_text);
    free(reply->orders);
    forget_services(reply);
    *reply = (struct reply){0};
}

const char *order_status_name(enum order_status status)
{
    static const char *const names[] = {
        [ORDER_STATUS_UNKNOWN] = "unknown",         [ORDER_STATUS_PENDING] = "pending",
        [ORDER_STATUS_IN_PROGRESS] = "in_progress", [ORDER_STATUS_COMPLETED] = "completed",
        [ORDER_STATUS_PARTIAL] = "partial",         [ORDER_STATUS_CANCELED] = "canceled",
        [ORDER_STATUS_REFUNDED] = "refunded",       [ORDER_STATUS_FAILED] = "failed",
    };
    return names[status];
}

enum order_status order_status_parse(const char *word)
{
    static const struct {
        const char *word;
        enum order_status status;
    } known[] = {
        {"pending", ORDER_STATUS_PENDING},     {"inprogress", ORDER_STATUS_IN_PROGRESS},
        {"completed", ORDER_STATUS_COMPLETED}, {"processing", ORDER_STATUS_IN_PROGRESS},
        {"partial", ORDER_STATUS_PARTIAL},     {"canceled", ORDER_STATUS_CANCELED},
        {"cancelled", ORDER_STATUS_CANCELED},  {"refunded", ORDER_STATUS_REFUNDED},
        {"active", ORDER_STATUS_IN_PROGRESS},  {"awaiting", ORDER_STATUS_PENDING},
        {"paused", ORDER_STATUS_PENDING},      {"success", ORDER_STATUS_COMPLETED},
        {"fail", ORDER_STATUS_FAILED},         {"failed", ORDER_STATUS_FAILED},
        {"error", ORDER_STATUS_FAILED},        {"expired", ORDER_STATUS_FAILED},
        {"refill", ORDER_STATUS_IN_PROGRESS},
    };
    char folded[WORD_SIZE];
    fold_word(word, folded);
    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (strcmp(folded, known[i].word) == 0)
            return known[i].status;
    return ORDER_STATUS_UNKNOWN;
}
