#include "control.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct control {
    struct panel *panel;
    const struct form *form;
    int64_t now_us;
    struct text *body;
    struct control_reply *reply;
};

/* An absent field leaves *number alone. Returns 0 or -1. */
static int take_number(const struct form *form, const char *name, uint64_t maximum,
                       uint64_t *number)
{
    const char *value = form_get(form, name);

    return value ? digits_parse(value, maximum, number) : 0;
}

void control_write_books(struct panel *panel, int64_t now_us, struct text *text)
{
    books_settle(&panel->books, now_us);
    books_write(&panel->books, now_us, text);
}

static int show_books(struct control *control)
{
    control_write_books(control->panel, control->now_us, control->body);
    return 0;
}

static int show_requests(struct control *control)
{
    static const char *const results[] = {[RESULT_NONE] = "-",
                                          [RESULT_DONE] = "done",
                                          [RESULT_REFUSED] = "refused",
                                          [RESULT_LIMITED] = "limited"};
    struct panel *panel = control->panel;
    uint64_t kept =
        panel->record_count < panel->record_limit ? panel->record_count : panel->record_limit;
    uint64_t wanted = kept;

    if (take_number(control->form, "n", UINT64_MAX, &wanted))
        return -1;
    wanted = wanted < kept ? wanted : kept;
    text_add(control->body,
             "wall_us\tmonotonic_us\taction\tresult\tfault\tkey_tail\tids\torder\tconnection\t"
             "nth_on_connection\treused\tin_flight\n");
    for (uint64_t i = panel->record_count - wanted; i < panel->record_count; i++) {
        const struct request_record *record = &panel->records[i % panel->record_limit];
        text_addf(control->body,
                  "%" PRId64 "\t%" PRId64 "\t%s\t%s\t%s\t%s\t%u\t%" PRIu64 "\t%u\t%u\t%s\t%u\n",
                  record->wall_us, record->monotonic_us, panel_action_name(record->action),
                  results[record->result], record->fault ? fault_name(record->fault) : "-",
                  *record->key_tail ? record->key_tail : "-", record->ids, record->order,
                  record->connection, record->nth_on_connection,
                  record->nth_on_connection > 1 ? "y" : "n", record->in_flight);
    }
    return 0;
}

void control_write_counters(const struct panel *panel, struct text *text)
{
    text_add(text, "counter\tname\tvalue\n");
    for (int i = 0; i < PANEL_ACTIONS; i++) {
        const struct panel_counters *counters = &panel->counters[i];
        const char *name = panel_action_name((enum panel_action)i);
        text_addf(text, "requests\t%s\t%" PRIu64 "\n", name, counters->requests);
        text_addf(text, "done\t%s\t%" PRIu64 "\n", name, counters->done);
        text_addf(text, "refused\t%s\t%" PRIu64 "\n", name, counters->refused);
        text_addf(text, "limited\t%s\t%" PRIu64 "\n", name, counters->limited);
        text_addf(text, "faulted\t%s\t%" PRIu64 "\n", name, counters->faulted);
    }
    for (int i = FAULT_NONE + 1; i < FAULT_COUNT; i++)
        text_addf(text, "fault\t%s\t%" PRIu64 "\n", fault_name((enum fault_kind)i),
                  panel->faults.fired[i]);
    text_addf(text, "orders\tall\t%u\n", panel->books.order_count);
    text_addf(text, "orders\trepeated\t%u\n", panel->books.repeat_count);
    text_addf(text, "refills\tall\t%u\n", panel->books.refill_count);
}

static int show_counters(struct control *control)
{
    control_write_counters(control->panel, control->body);
    return 0;
}

static int show_accounts(struct control *control)
{
    const struct books *books = &control->panel->books;

    books_settle(&control->panel->books, control->now_us);
    text_add(control->body, "key\tbalance\tblocked\n");
    for (size_t i = 0; i < books->account_count; i++) {
        text_addf(control->body, "%s\t", books->accounts[i].key);
        text_add_money(control->body, books->accounts[i].balance, 0);
        text_addf(control->body, "\t%d\n", books->accounts[i].blocked);
    }
    return 0;
}

static int do_fault(struct control *control)
{
    return faults_add(&control->panel->faults, control->form);
}

static int do_faults_clear(struct control *control)
{
    faults_clear(&control->panel->faults);
    return 0;
}

/* The account named by `key`, or the first one. */
static struct account *chosen_account(const struct control *control)
{
    const char *key = form_get(control->form, "key");
    struct books *books = &control->panel->books;

    if (!key)
        return books->account_count ? &books->accounts[0] : NULL;
    return books_account(books, key);
}

static int do_balance(struct control *control)
{
    struct account *account = chosen_account(control);
    const char *set = form_get(control->form, "set");
    const char *add = form_get(control->form, "add");
    money amount;

    if (!account || !set == !add || money_parse(set ? set : add, &amount))
        return -1;
    books_settle(&control->panel->books, control->now_us);
    account->balance = set ? amount : account->balance + amount;
    return 0;
}

static int do_key(struct control *control)
{
    struct account *account = chosen_account(control);
    const char *name = form_get(control->form, "new");
    uint64_t blocked;

    if (!account)
        return -1;
    blocked = account->blocked;
    if (take_number(control->form, "blocked", 1, &blocked))
        return -1;
    account->blocked = blocked == 1;
    if (name && strlen(name) >= sizeof account->key)
        return -1;
    if (name)
        strcpy(account->key, name);
    return 0;
}

static int do_service(struct control *control)
{
    const struct form *form = control->form;
    struct service *service =
        catalogue_find(&control->panel->books.catalogue, form_text(form, "service"));
    const char *rate = form_get(form, "rate");
    const char *outcome = form_get(form, "outcome");

    if (!service)
        return -1;
    struct service changed = *service;
    uint64_t enabled = service->enabled;
    uint64_t paused = service->paused;
    uint64_t seconds = service->seconds;
    if (take_number(form, "enabled", 1, &enabled) || take_number(form, "paused", 1, &paused) ||
        take_number(form, "seconds", UINT32_MAX, &seconds) ||
        take_number(form, "min", UINT32_MAX, &changed.min) ||
        take_number(form, "max", UINT32_MAX, &changed.max) ||
        (rate && (money_parse(rate, &changed.rate) || changed.rate < 0 || changed.rate % 1000)) ||
        (outcome && service_outcome_parse(outcome, &changed.outcome)))
        return -1;
    books_settle(&control->panel->books, control->now_us);
    if (form_get(form, "name")) {
        free(changed.name);
        changed.name = strdup(form_get(form, "name"));
        if (!changed.name)
            abort();
    }
    changed.enabled = enabled == 1;
    changed.paused = paused == 1;
    changed.seconds = (uint32_t)seconds;
    *service = changed;
    text_clear(&control->panel->services);
    books_reschedule(&control->panel->books);
    return 0;
}

static int do_limits(struct control *control)
{
    struct panel *panel = control->panel;
    const char *limiter = form_get(control->form, "limiter");
    uint64_t minute = panel->limit_minute;
    uint64_t day = panel->limit_day;
    uint64_t minute_seconds = (uint64_t)(panel->minute_us / 1000000);
    uint64_t day_seconds = (uint64_t)(panel->day_us / 1000000);

    if (take_number(control->form, "minute", 10000000, &minute) ||
        take_number(control->form, "day", 10000000, &day) ||
        take_number(control->form, "minute_seconds", 1000000, &minute_seconds) ||
        take_number(control->form, "day_seconds", 1000000, &day_seconds) || !minute_seconds ||
        !day_seconds || (limiter && limiter_model_parse(limiter, &panel->limiter)))
        return -1;
    panel->limit_minute = (uint32_t)minute;
    panel->limit_day = (uint32_t)day;
    panel->minute_us = (int64_t)minute_seconds * 1000000;
    panel->day_us = (int64_t)day_seconds * 1000000;
    for (size_t i = 0; i < panel->books.account_count; i++)
        panel_limit_account(panel, &panel->books.accounts[i]);
    return 0;
}

static int take_signed(const struct form *form, const char *name, bool *ret_given,
                       int64_t *ret_number)
{
    const char *value = form_get(form, name);
    uint64_t number;

    *ret_given = value != NULL;
    if (!value)
        return 0;
    if (digits_parse(value + (*value == '-'), INT64_MAX, &number))
        return -1;
    *ret_number = *value == '-' ? -(int64_t)number : (int64_t)number;
    return 0;
}

static int do_order(struct control *control)
{
    struct books *books = &control->panel->books;
    const struct form *form = control->form;
    const char *id = form_get(form, "order");
    const char *charge_text = form_get(form, "charge");
    struct order_override override = {0};
    money charge = 0;
    struct order *order = id ? books_find_order(books, id)
                             : books_order_by_link(books, form_text(form, "link"), NULL);

    if (!order || (charge_text && money_parse(charge_text, &charge)) ||
        take_signed(form, "remains", &override.has_remains, &override.remains) ||
        take_signed(form, "start_count", &override.has_start_count, &override.start_count))
        return -1;
    strncpy(override.status, form_text(form, "status"), sizeof override.status - 1);
    books_settle(books, control->now_us);
    books_override(books, order, &override, charge_text ? &charge : NULL);
    return 0;
}

static int do_refill(struct control *control)
{
    struct books *books = &control->panel->books;
    uint64_t number;

    if (digits_parse(form_text(control->form, "refill"), books->refill_count, &number) || !number)
        return -1;
    struct refill *refill = &books->refills[number - 1];
    strncpy(refill->status, form_text(control->form, "status"), sizeof refill->status - 1);
    return 0;
}

static int do_next_id(struct control *control)
{
    struct books *books = &control->panel->books;
    uint64_t id = books->next_id;
    uint64_t step = books->id_step;

    /* Orders are found by binary search: ids only grow. */
    if (take_number(control->form, "id", UINT64_MAX / 2, &id) ||
        take_number(control->form, "step", 1000000, &step) || id < books->next_id || !step)
        return -1;
    books->next_id = id;
    books->id_step = step;
    return 0;
}

static int do_latency(struct control *control)
{
    uint64_t millis;

    if (digits_parse(form_text(control->form, "millis"), 3600000, &millis))
        return -1;
    control->panel->latency_us = (int64_t)millis * 1000;
    return 0;
}

static int do_variant(struct control *control)
{
    if (variants_parse(form_text(control->form, "set"), &control->panel->variants))
        return -1;
    text_clear(&control->panel->services);
    return 0;
}

static int do_time(struct control *control)
{
    uint64_t seconds;

    if (digits_parse(form_text(control->form, "shift"), 1000000000, &seconds))
        return -1;
    control->panel->books.shift_us += (int64_t)seconds * 1000000;
    return 0;
}

static int do_close_idle(struct control *control)
{
    control->reply->closes_idle = true;
    return 0;
}

void control_answer(struct panel *panel, const char *verb, const struct form *form, int64_t now_us,
                    struct text *body, struct control_reply *ret_reply)
{
    static const struct {
        const char *verb;
        int (*run)(struct control *control);
    } verbs[] = {
        {"books", show_books},         {"requests", show_requests},
        {"counters", show_counters},   {"accounts", show_accounts},
        {"fault", do_fault},           {"faults-clear", do_faults_clear},
        {"balance", do_balance},       {"key", do_key},
        {"service", do_service},       {"limits", do_limits},
        {"order", do_order},           {"refill", do_refill},
        {"next-id", do_next_id},       {"latency", do_latency},
        {"variant", do_variant},       {"time", do_time},
        {"close-idle", do_close_idle},
    };
    struct control control = {panel, form, now_us, body, ret_reply};

    *ret_reply = (struct control_reply){.http_status = 404};
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (strcmp(verbs[i].verb, verb) != 0)
            continue;
        ret_reply->http_status = verbs[i].run(&control) ? 400 : 200;
        if (ret_reply->http_status == 400)
            text_addf(body, "the fields do not fit \"%s\"\n", verb);
        else if (!body->length)
            text_add(body, "ok\n");
        return;
    }
    text_addf(body, "there is no \"%s\"\n", verb);
}
