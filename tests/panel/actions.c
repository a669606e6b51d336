/*
 * actions.c - the provider's API: ping services balance add status refill refill_status.
 *
 * Texts and shapes are the provider's document's where it has them, the family's otherwise.
 */
#include "panel.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IDS_MAX 100
#define LINK_MAX 2000

/* One request being answered. */
struct call {
    struct panel *panel;
    const struct form *form;
    struct account *account;
    int64_t now_us;
    struct text *body;
    struct panel_reply *reply;
};

static const char *const action_names[PANEL_ACTIONS] = {
    [PANEL_PING] = "ping",       [PANEL_SERVICES] = "services",
    [PANEL_BALANCE] = "balance", [PANEL_ADD] = "add",
    [PANEL_STATUS] = "order",    [PANEL_ORDERS] = "orders",
    [PANEL_REFILL] = "refill",   [PANEL_REFILL_STATUS] = "refill_status",
    [PANEL_OTHER] = "other",
};

const char *panel_action_name(enum panel_action action)
{
    return action_names[action];
}

enum panel_action panel_action_of(const struct form *form)
{
    const char *name = form_text(form, "action");

    if (strcmp(name, "status") == 0)
        return form_get(form, "orders") ? PANEL_ORDERS : PANEL_STATUS;
    for (int i = 0; i < PANEL_OTHER; i++) {
        if (i != PANEL_STATUS && i != PANEL_ORDERS && strcmp(action_names[i], name) == 0)
            return (enum panel_action)i;
    }
    return PANEL_OTHER;
}

static void add_amount(const struct panel *panel, struct text *body, money amount)
{
    const char *quote = HAS(panel->variants, NUMBERS) ? "" : "\"";

    text_add(body, quote);
    text_add_money(body, amount, HAS(panel->variants, THOUSANDS) && *quote);
    text_add(body, quote);
}

static void add_count(const struct panel *panel, struct text *body, int64_t count)
{
    text_addf(body, HAS(panel->variants, STRINGS) ? "\"%" PRId64 "\"" : "%" PRId64, count);
}

static void add_preface(const struct panel *panel, struct text *body)
{
    if (HAS(panel->variants, PHP_WARNING))
        text_add(body, "<br />\n<b>Warning</b>:  Undefined array key \"runs\" in "
                       "<b>/var/www/api.php</b> on line "
                       "<b>214</b><br />\n");
    if (HAS(panel->variants, BOM))
        text_add(body, "\xef\xbb\xbf");
}

void panel_error(struct panel *panel, enum api_error error, const char *text, uint32_t retry_after,
                 struct text *body, struct panel_reply *reply)
{
    static const unsigned codes[] = {
        [ERROR_KEY] = 401,       [ERROR_FUNDS] = 402, [ERROR_RATE] = 429,    [ERROR_SERVICE] = 422,
        [ERROR_PARAMETER] = 422, [ERROR_ORDER] = 404, [ERROR_REQUEST] = 422,
    };
    uint64_t variants = panel->variants;

    reply->result = error == ERROR_RATE ? RESULT_LIMITED : RESULT_REFUSED;
    reply->http_status = HAS(variants, HTTP_CODES) ? codes[error] : 200;
    if (error == ERROR_RATE && HAS(variants, RATE_429)) {
        reply->http_status = 429;
        reply->retry_after = retry_after;
    }
    if (HAS(variants, ENVELOPE_MESSAGE))
        text_add(body, "{\"status\":\"error\",\"message\":");
    else if (HAS(variants, ENVELOPE_MSG))
        text_add(body, "{\"status\":\"error\",\"msg\":\"error\",\"error\":");
    else
        text_add(body, "{\"error\":");
    text_add_json(body, text);
    if (retry_after && !HAS(variants, RATE_NO_WAIT))
        text_addf(body,
                  HAS(variants, RATE_WAIT_STRING) ? ",\"retry_after\":\"%u\""
                                                  : ",\"retry_after\":%u",
                  retry_after);
    text_add(body, "}");
}

/* `key_text` is the family's untranslated text for the same refusal; NULL when there is none. */
static void refuse(struct call *call, enum api_error error, const char *text, const char *key_text)
{
    bool keys = key_text && HAS(call->panel->variants, ERROR_KEYS);

    panel_error(call->panel, error, keys ? key_text : text, 0, call->body, call->reply);
}

static void answer_ping(struct call *call)
{
    text_add(call->body, "{\"status\":\"ok\"}");
}

static void add_service(const struct panel *panel, struct text *body, const struct service *service)
{
    text_addf(body, "{\"service\":\"%u\",\"name\":", service->id);
    text_add_json(body, service->name);
    text_add(body, ",\"type\":\"");
    for (const char *at = service->type->name; *at; at++) {
        char lower = *at == ' ' ? '_' : *at >= 'A' && *at <= 'Z' ? (char)(*at + 32) : *at;
        text_add_bytes(body, HAS(panel->variants, TYPES_LOWER) ? &lower : at, 1);
    }
    text_add(body, "\",\"category\":");
    text_add_json(body, service->category);
    text_add(body, ",\"rate\":");
    add_amount(panel, body, service->rate);
    text_add(body, ",\"min\":");
    add_count(panel, body, (int64_t)service->min);
    text_add(body, ",\"max\":");
    add_count(panel, body, (int64_t)service->max);
    if (HAS(panel->variants, BOOLEANS_DIGITS))
        text_addf(body, ",\"refill\":\"%d\"", service->refill);
    else
        text_addf(body, ",\"refill\":%s", service->refill ? "true" : "false");
    if (*service->product_id) {
        text_add(body, ",\"product_id\":");
        text_add_json(body, service->product_id);
    }
    text_add(body, "}");
}

static void answer_services(struct call *call)
{
    struct panel *panel = call->panel;

    if (HAS(panel->variants, EMPTY_CATALOGUE)) {
        text_add(call->body, "{\"status\":\"success\",\"data\":\"Empty Data\"}");
        return;
    }
    if (!panel->services.length) {
        const char *separator = "[";
        for (size_t i = 0; i < panel->books.catalogue.count; i++) {
            const struct service *service = &panel->books.catalogue.services[i];
            if (!service->enabled)
                continue;
            text_add(&panel->services, separator);
            add_service(panel, &panel->services, service);
            separator = ",";
        }
        text_add(&panel->services, *separator == '[' ? "[]" : "]");
    }
    text_add_bytes(call->body, panel->services.data, panel->services.length);
}

static void answer_balance(struct call *call)
{
    text_add(call->body, "{\"balance\":");
    add_amount(call->panel, call->body, call->account->balance);
    text_add(call->body, ",\"currency\":");
    text_add_json(call->body, call->panel->currency);
    text_add(call->body, "}");
}

static bool refuse_missing_field(struct call *call, const struct service_type *type)
{
    for (const char *const *name = type->required; *name; name++) {
        char text[96];
        if (*form_text(call->form, *name))
            continue;
        snprintf(text, sizeof text, "%c%s field is required.", **name - 32, *name + 1);
        refuse(call, ERROR_PARAMETER, text, NULL);
        return true;
    }
    return false;
}

static bool refuse_link(struct call *call, const struct service_type *type)
{
    const char *link = form_text(call->form, "link");

    if (!type->has_link || (*link && strlen(link) <= LINK_MAX && !strpbrk(link, " \t\r\n<>\"")))
        return false;
    refuse(call, ERROR_PARAMETER, "Bad link", "neworder.error.link");
    return true;
}

static uint64_t count_lines(const char *lines)
{
    uint64_t count = 0;

    while (*lines) {
        size_t length = strcspn(lines, "\r\n");
        count += strspn(lines, " \t") < length;
        lines += length;
        lines += strspn(lines, "\r\n");
    }
    return count;
}

/* Returns true when the quantity is refused; writes what is charged otherwise. */
static bool refuse_quantity(struct call *call, const struct service *service,
                            uint64_t *ret_quantity)
{
    char text[96];
    uint64_t quantity = 1;

    if (service->type->charge_by == CHARGE_LINES)
        quantity = count_lines(form_text(call->form, service->type->lines_field));
    else if (service->type->charge_by == CHARGE_QUANTITY &&
             digits_parse(form_text(call->form, "quantity"), UINT32_MAX, &quantity))
        quantity = 0;
    if (quantity < service->min && service->type->charge_by <= CHARGE_LINES) {
        snprintf(text, sizeof text, "Minimum quantity for this service is %" PRIu64 ".",
                 service->min);
        refuse(call, ERROR_PARAMETER, text, "neworder.error.min_quantity");
        return true;
    }
    if (quantity > service->max && service->type->charge_by <= CHARGE_LINES) {
        snprintf(text, sizeof text, "Maximum quantity for this service is %" PRIu64 ".",
                 service->max);
        refuse(call, ERROR_PARAMETER, text, "neworder.error.max_quantity");
        return true;
    }
    *ret_quantity = quantity;
    return false;
}

static bool refuse_runs(struct call *call, const struct service_type *type, uint64_t *ret_runs)
{
    const char *runs = form_text(call->form, "runs");
    uint64_t interval;

    *ret_runs = 1;
    if (!type->has_runs || !*runs || strcmp(runs, "0") == 0)
        return false;
    if (digits_parse(runs, 10000, ret_runs)) {
        refuse(call, ERROR_PARAMETER, "Invalid Runs", NULL);
        return true;
    }
    if (digits_parse(form_text(call->form, "interval"), 100000, &interval) || !interval) {
        refuse(call, ERROR_PARAMETER, "Invalid Interval in minutes", NULL);
        return true;
    }
    return false;
}

static bool refuse_duplicate(struct call *call, const char *link)
{
    const struct books *books = &call->panel->books;

    if (!HAS(call->panel->variants, LINK_DUPLICATE) || !*link)
        return false;
    for (const struct order *order = NULL; (order = books_order_by_link(books, link, order));) {
        struct order_view view;
        books_view(books, order, call->now_us, &view);
        if (stage_is_final(view.stage))
            continue;
        refuse(call, ERROR_PARAMETER,
               "You have active order with this link. Please wait until order being completed.",
               "neworder.error.link_duplicate");
        return true;
    }
    return false;
}

static money charge_of(const struct service *service, uint64_t pieces)
{
    switch (service->type->charge_by) {
    case CHARGE_QUANTITY:
    case CHARGE_LINES:
        return service->rate / 1000 * (money)pieces;
    case CHARGE_FIXED:
        return service->rate;
    case CHARGE_POSTS:
        return 0;
    }
    return 0;
}

static void collect_extra(const struct form *form, struct text *extra)
{
    static const char *const known[] = {"key", "action", "service", "link", "quantity", "runs"};

    for (size_t i = 0; i < form->count; i++) {
        bool is_known = false;
        for (size_t k = 0; k < sizeof known / sizeof *known; k++)
            is_known |= strcmp(known[k], form->fields[i].name) == 0;
        if (is_known)
            continue;
        if (extra->length)
            text_add(extra, "&");
        text_add_form(extra, form->fields[i].name);
        text_add(extra, "=");
        text_add_form(extra, form->fields[i].value);
    }
}

static void answer_added(struct call *call, const struct order *order)
{
    struct panel *panel = call->panel;
    struct text *body = call->body;

    call->reply->order = order;
    if (HAS(panel->variants, HTTP_201))
        call->reply->http_status = 201;
    text_add(body, "{");
    if (HAS(panel->variants, ADD_STATUS))
        text_add(body, "\"status\":\"success\",");
    if (HAS(panel->variants, ADD_STATUS_100))
        text_add(body, "\"status\":100,");
    text_add(body, "\"order\":");
    if (HAS(panel->variants, STRINGS) && panel->books.id_style <= IDS_GAPS) {
        text_add(body, "\"");
        books_add_id(&panel->books, body, order, false);
        text_add(body, "\"");
    } else {
        books_add_id(&panel->books, body, order, true);
    }
    if (HAS(panel->variants, ADD_CHARGE)) {
        text_add(body, ",\"charge\":");
        add_amount(panel, body, order->charge);
    }
    text_add(body, "}");
}

static void answer_add(struct call *call)
{
    struct books *books = &call->panel->books;
    const struct service *service =
        catalogue_find(&books->catalogue, form_text(call->form, "service"));
    const char *link = form_text(call->form, "link");
    struct text extra = {0};
    uint64_t quantity, runs;

    if (!service || !service->enabled || service->paused) {
        refuse(call, ERROR_SERVICE, "Service not found or disabled.", "error.incorrect_service_id");
        return;
    }
    if (refuse_link(call, service->type) || refuse_missing_field(call, service->type) ||
        refuse_quantity(call, service, &quantity) || refuse_runs(call, service->type, &runs) ||
        refuse_duplicate(call, link))
        return;
    money charge = charge_of(service, quantity * runs);
    if (charge > call->account->balance) {
        refuse(call, ERROR_FUNDS, "Insufficient balance.", "neworder.error.not_enough_funds");
        return;
    }
    collect_extra(call->form, &extra);
    struct order order = {
        .accepted_us = call->now_us,
        .charge = charge,
        .link = (char *)(uintptr_t)link,
        .extra = extra.length ? extra.data : NULL,
        .quantity = (uint32_t)quantity,
        .runs = (uint32_t)runs,
        .service = (uint32_t)(service - books->catalogue.services),
        .account = (uint32_t)(call->account - books->accounts),
    };
    answer_added(call, books_add_order(books, &order));
    text_done(&extra);
}

static const char *word_of(const struct panel *panel, const struct order_view *view)
{
    static const char *const joined[] = {
        [STAGE_PENDING] = "Pending",        [STAGE_PROCESSING] = "Processing",
        [STAGE_IN_PROGRESS] = "Inprogress", [STAGE_COMPLETED] = "Completed",
        [STAGE_PARTIAL] = "Partial",        [STAGE_CANCELED] = "Cancelled",
        [STAGE_REFUNDED] = "Refunded",      [STAGE_FAIL] = "Failed",
    };
    static const char *const lower[] = {
        [STAGE_PENDING] = "pending",         [STAGE_PROCESSING] = "processing",
        [STAGE_IN_PROGRESS] = "in_progress", [STAGE_COMPLETED] = "completed",
        [STAGE_PARTIAL] = "partial",         [STAGE_CANCELED] = "canceled",
        [STAGE_REFUNDED] = "refunded",       [STAGE_FAIL] = "error",
    };

    if (view->word)
        return view->word;
    if (HAS(panel->variants, WORDS_UNKNOWN) && view->stage == STAGE_IN_PROGRESS)
        return "Being moderated";
    if (HAS(panel->variants, WORDS_JOINED))
        return joined[view->stage];
    return HAS(panel->variants, WORDS_LOWER) ? lower[view->stage] : stage_word(view->stage);
}

static void add_remains(const struct panel *panel, struct text *body, const struct order_view *view)
{
    uint64_t variants = panel->variants;

    text_add(body, ",\"remains\":");
    if (HAS(variants, REMAINS_UNKNOWN) && !stage_is_final(view->stage))
        text_add(body, "\"Unknown\"");
    else if (HAS(variants, REMAINS_EMPTY) && !stage_is_final(view->stage))
        text_add(body, "\"\"");
    else if (HAS(variants, REMAINS_ZERO) && view->stage == STAGE_PENDING)
        text_add(body, "\"0\"");
    else if (HAS(variants, REMAINS_NEGATIVE) && view->stage == STAGE_COMPLETED)
        add_count(panel, body, view->remains - 7);
    else
        add_count(panel, body, view->remains);
}

static void add_start_count(const struct panel *panel, struct text *body,
                            const struct order_view *view)
{
    text_add(body, ",\"start_count\":");
    if (HAS(panel->variants, START_NULL))
        text_add(body, "null");
    else if (HAS(panel->variants, START_EMPTY))
        text_add(body, "\"\"");
    else
        add_count(panel, body, view->start_count);
}

/* Drip-feed: {status,runs,orders}; a subscription: {status,expiry,posts,orders}. */
static void add_drip_form(const struct panel *panel, struct text *body, const struct order *order,
                          const struct order_view *view, bool subscription)
{
    text_add(body, "\"status\":");
    if (view->stage == STAGE_IN_PROGRESS && subscription)
        text_add(body, "\"Active\"");
    else
        text_add_json(body, word_of(panel, view));
    if (subscription)
        text_add(body, ",\"expiry\":true,\"posts\":\"0\",\"orders\":[]");
    else
        text_addf(body, ",\"runs\":\"%u\",\"orders\":[]", order->runs);
}

/* The fields of one order, without braces. */
static void add_status_fields(const struct call *call, const struct order *order)
{
    const struct panel *panel = call->panel;
    const struct service *service = &panel->books.catalogue.services[order->service];
    bool subscription = service->type->charge_by == CHARGE_POSTS;
    struct text *body = call->body;
    struct order_view view;

    books_view(&panel->books, order, call->now_us, &view);
    if (HAS(panel->variants, REFILL_WORD) && order->refill && view.stage == STAGE_COMPLETED) {
        const struct refill *refill = &panel->books.refills[order->refill - 1];
        if (strcmp(books_refill_word(&panel->books, refill, call->now_us), "Completed") != 0)
            view.word = "Refill";
    }
    if (HAS(panel->variants, DRIP_FORM) && (subscription || order->runs > 1)) {
        add_drip_form(panel, body, order, &view, subscription);
        return;
    }
    text_add(body, "\"charge\":");
    add_amount(panel, body, view.charge);
    add_start_count(panel, body, &view);
    add_remains(panel, body, &view);
    text_add(body, ",\"status\":");
    text_add_json(body, word_of(panel, &view));
    text_add(body, ",\"currency\":");
    text_add_json(body, panel->currency);
}

/* An account sees its own orders only. */
static struct order *find_order(const struct call *call, const char *id)
{
    const struct books *books = &call->panel->books;
    struct order *order = books_find_order(books, id);

    return order && &books->accounts[order->account] == call->account ? order : NULL;
}

static void answer_status(struct call *call)
{
    const struct order *order = find_order(call, form_text(call->form, "order"));

    call->reply->ids = 1;
    if (!order) {
        refuse(call, ERROR_ORDER, "Incorrect order ID", NULL);
        return;
    }
    text_add(call->body, "{");
    add_status_fields(call, order);
    text_add(call->body, "}");
}

static void add_id_error(const struct panel *panel, struct text *body, bool in_object)
{
    const char *text = "Incorrect order ID";

    if (in_object)
        text_addf(body, "\"error\":\"%s\"", text);
    else if (HAS(panel->variants, BARE_ERRORS))
        text_addf(body, "\"%s\"", text);
    else if (HAS(panel->variants, ARRAY_ERRORS))
        text_addf(body, "{\"error\":[\"%s\"]}", text);
    else
        text_addf(body, "{\"error\":\"%s\"}", text);
}

/* One id of a multi-status. Returns whether anything was added. */
static bool add_listed_order(const struct call *call, const char *id, uint32_t place,
                             const char *separator)
{
    uint64_t variants = call->panel->variants;
    bool past = place >= IDS_MAX && HAS(variants, INCORRECT_PAST_100);
    const struct order *order = past ? NULL : find_order(call, id);
    struct text *body = call->body;

    if (!order && HAS(variants, OMIT_UNKNOWN))
        return false;
    text_add(body, separator);
    if (HAS(variants, LIST)) {
        text_add(body, "{\"order\":");
        text_add_json(body, id);
        text_add(body, ",");
        if (order)
            add_status_fields(call, order);
        else
            add_id_error(call->panel, body, true);
        text_add(body, "}");
        return true;
    }
    text_add_json(body, id);
    text_add(body, ":");
    if (order) {
        text_add(body, "{");
        add_status_fields(call, order);
        text_add(body, "}");
    } else {
        add_id_error(call->panel, body, false);
    }
    return true;
}

/* Cuts the list in place. Returns how many ids it names; *ret_ids is owned by the caller. */
static uint32_t split_ids(char *list, char ***ret_ids)
{
    uint32_t count = 0;
    uint32_t capacity = 1;

    for (const char *at = list; *at; at++)
        capacity += *at == ',';
    char **ids = calloc(capacity, sizeof *ids);
    if (!ids)
        abort();
    for (char *rest = list, *id; (id = strsep(&rest, ","));) {
        id += strspn(id, " ");
        id[strcspn(id, " ")] = '\0';
        if (*id)
            ids[count++] = id;
    }
    *ret_ids = ids;
    return count;
}

static void add_orders(const struct call *call, char **ids, uint32_t count)
{
    uint64_t variants = call->panel->variants;
    bool list = HAS(variants, LIST);
    struct text *body = call->body;
    size_t began = body->length;
    bool any = false;

    text_add(body, list ? "[" : HAS(variants, NESTED) ? "{\"orders\":{" : "{");
    for (uint32_t i = 0; i < count; i++) {
        uint32_t place = HAS(variants, REVERSED) ? count - 1 - i : i;
        any |= add_listed_order(call, ids[place], place, any ? "," : "");
    }
    if (!any) {
        /* What PHP makes of an empty array. */
        body->length = began;
        text_add(body, "[]");
        return;
    }
    text_add(body, list ? "]" : HAS(variants, NESTED) ? "}}" : "}");
}

static void answer_orders(struct call *call)
{
    uint64_t variants = call->panel->variants;
    char *list = strdup(form_text(call->form, "orders"));
    char **ids;

    if (!list)
        abort();
    uint32_t count = split_ids(list, &ids);
    call->reply->ids = count;
    if (HAS(variants, TRUNCATE_PAST_100) && count > IDS_MAX)
        count = IDS_MAX;
    if (count == 0)
        refuse(call, ERROR_ORDER, "Incorrect order ID", NULL);
    else if (count > IDS_MAX && !HAS(variants, UNLIMITED_IDS) && !HAS(variants, INCORRECT_PAST_100))
        refuse(call, ERROR_REQUEST, "Maximum 100 IDs per request", NULL);
    else if (count == 1 && HAS(variants, FLAT_ONE) && find_order(call, ids[0])) {
        text_add(call->body, "{");
        add_status_fields(call, find_order(call, ids[0]));
        text_add(call->body, "}");
    } else
        add_orders(call, ids, count);
    free(ids);
    free(list);
}

static void answer_refill(struct call *call)
{
    struct books *books = &call->panel->books;
    struct order *order = find_order(call, form_text(call->form, "order"));
    struct order_view view;

    if (!order) {
        refuse(call, ERROR_ORDER, "Incorrect order ID", NULL);
        return;
    }
    books_view(books, order, call->now_us, &view);
    if (!books->catalogue.services[order->service].refill ||
        (view.stage != STAGE_COMPLETED && view.stage != STAGE_PARTIAL)) {
        refuse(call, ERROR_ORDER, "Order is not eligible for refill.", NULL);
        return;
    }
    if (order->refill) {
        const char *word =
            books_refill_word(books, &books->refills[order->refill - 1], call->now_us);
        if (strcmp(word, "Pending") == 0 || strcmp(word, "In progress") == 0) {
            refuse(call, ERROR_ORDER, "Refill already requested.", NULL);
            return;
        }
    }
    books_add_refill(books, order, call->now_us);
    text_add(call->body, "{\"refill\":");
    add_count(call->panel, call->body, order->refill);
    text_add(call->body, "}");
}

static void answer_refill_status(struct call *call)
{
    const struct books *books = &call->panel->books;
    uint64_t number = 0;

    if (digits_parse(form_text(call->form, "refill"), UINT32_MAX, &number) || number == 0 ||
        number > books->refill_count ||
        &books->accounts[books_order_at(books, books->refills[number - 1].order)->account] !=
            call->account) {
        if (HAS(call->panel->variants, REFILL_TASKS)) {
            text_add(call->body, "{\"status\":{\"error\":\"Refill not found\"}}");
            call->reply->result = RESULT_REFUSED;
        } else {
            refuse(call, ERROR_ORDER, "Refill not found", NULL);
        }
        return;
    }
    const char *word = books_refill_word(books, &books->refills[number - 1], call->now_us);
    text_add(call->body, "{\"status\":");
    if (HAS(call->panel->variants, REFILL_TASKS) && strcmp(word, "Completed") == 0)
        text_add(call->body, "\"tasks.status.completed\"");
    else
        text_add_json(call->body, word);
    text_add(call->body, "}");
}

/* Which account asks; refused and NULL when it may not. */
static struct account *admit(struct call *call)
{
    const char *key = form_text(call->form, "key");
    struct account *account = books_account(&call->panel->books, key);

    if (account && !account->blocked) {
        call->reply->account = account;
        return account;
    }
    refuse(call, ERROR_KEY,
           !*key      ? "API key is required."
           : !account ? "Invalid API key."
                      : "API key is blocked.",
           NULL);
    return NULL;
}

static bool within_limits(struct call *call)
{
    struct panel *panel = call->panel;
    struct account *account = call->account;
    int64_t virtual_us = call->now_us + panel->books.shift_us;
    int64_t minute_wait_us = 0;
    int64_t day_wait_us = 0;
    bool minute = limiter_allows(&account->minute, virtual_us, &minute_wait_us);
    bool day = limiter_allows(&account->day, virtual_us, &day_wait_us);
    char text[96] = "Rate limit exceeded";

    limiter_count(&account->minute, virtual_us, minute && day);
    limiter_count(&account->day, virtual_us, minute && day);
    if (minute && day)
        return true;
    const struct limiter *hit = day ? &account->minute : &account->day;
    int64_t wait_us = day ? minute_wait_us : day_wait_us;
    if (HAS(panel->variants, RATE_WAIT_FULL))
        wait_us = hit->length_us;
    if (!HAS(panel->variants, RATE_NO_NUMBER))
        snprintf(text, sizeof text, "Rate limit exceeded: max %u requests per %s.", hit->limit,
                 day ? "minute" : "day");
    panel_error(panel, ERROR_RATE, text, (uint32_t)((wait_us + 999999) / 1000000), call->body,
                call->reply);
    return false;
}

static void dispatch(struct call *call)
{
    static void (*const answers[PANEL_ACTIONS])(struct call *) = {
        [PANEL_PING] = answer_ping,       [PANEL_SERVICES] = answer_services,
        [PANEL_BALANCE] = answer_balance, [PANEL_ADD] = answer_add,
        [PANEL_STATUS] = answer_status,   [PANEL_ORDERS] = answer_orders,
        [PANEL_REFILL] = answer_refill,   [PANEL_REFILL_STATUS] = answer_refill_status,
    };
    enum panel_action action = call->reply->action;

    if (action != PANEL_PING) {
        call->account = admit(call);
        if (!call->account || !within_limits(call))
            return;
    }
    books_settle(&call->panel->books, call->now_us);
    if (answers[action])
        answers[action](call);
    else
        refuse(call, ERROR_REQUEST, "Incorrect request", NULL);
}

void panel_answer(struct panel *panel, const struct form *form, int64_t now_us, struct text *body,
                  struct panel_reply *ret_reply)
{
    struct call call = {
        .panel = panel, .form = form, .now_us = now_us, .body = body, .reply = ret_reply};

    *ret_reply = (struct panel_reply){
        .http_status = 200,
        .action = panel_action_of(form),
        .result = RESULT_DONE,
    };
    add_preface(panel, body);
    dispatch(&call);
    struct panel_counters *counters = &panel->counters[ret_reply->action];
    counters->done += ret_reply->result == RESULT_DONE;
    counters->refused += ret_reply->result == RESULT_REFUSED;
    counters->limited += ret_reply->result == RESULT_LIMITED;
}

void panel_limit_account(const struct panel *panel, struct account *account)
{
    limiter_set(&account->minute, panel->limiter, panel->limit_minute, panel->minute_us);
    limiter_set(&account->day, panel->limiter, panel->limit_day, panel->day_us);
}
