#include "books.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CHUNK 4096u
#define HEADS (1u << 18)
#define ARENA_BLOCK (1u << 20)
#define HEX24_PREFIX "65f0c0ffee65f0c0"
/* An odd factor makes the visible hex ids jump about; its inverse modulo 2^32 finds the number
 * again. */
#define HEX24_FACTOR 2654435761u
#define HEX24_INVERSE 244002641u

static void *grown(void *array, size_t count, size_t size)
{
    /* Doubling at powers of two keeps appends cheap without a stored capacity. */
    if (count & (count - 1))
        return array;
    array = realloc(array, (count ? count * 2 : 1) * size);
    if (!array)
        abort();
    return array;
}

static char *keep(struct books *books, const char *string)
{
    size_t bytes = strlen(string) + 1;

    if (bytes > books->arena_left) {
        size_t size = bytes > ARENA_BLOCK ? bytes : ARENA_BLOCK;
        void **block = malloc(size + sizeof(void *));
        if (!block)
            abort();
        *block = books->arena_blocks;
        books->arena_blocks = block;
        books->arena = (char *)(block + 1);
        books->arena_left = size;
    }
    char *kept = memcpy(books->arena, string, bytes);
    books->arena += bytes;
    books->arena_left -= bytes;
    return kept;
}

static uint32_t hash(const char *string)
{
    uint32_t value = 2166136261u;

    for (; *string; string++)
        value = (value ^ (unsigned char)*string) * 16777619u;
    return value;
}

static int64_t duration_us(const struct books *books, const struct order *order)
{
    return (int64_t)(books->catalogue.services[order->service].seconds * 1e6 *
                     books->duration_scale);
}

static int64_t born_us(const struct order *order)
{
    return order->accepted_us + order->shift_us;
}

static uint64_t pieces(const struct order *order)
{
    return (uint64_t)order->quantity * order->runs;
}

/* What is paid for `remains` pieces that were not delivered. */
static money worth(const struct order *order, int64_t remains)
{
    uint64_t total = pieces(order);

    if (!total || remains <= 0)
        return 0;
    return (uint64_t)remains >= total ? order->paid : order->paid * remains / (money)total;
}

void books_done(struct books *books)
{
    for (uint32_t i = 0; i * CHUNK < books->order_count; i++)
        free(books->chunks[i]);
    while (books->arena_blocks) {
        void *block = books->arena_blocks;
        books->arena_blocks = *(void **)block;
        free(block);
    }
    for (size_t i = 0; i < books->account_count; i++) {
        limiter_done(&books->accounts[i].minute);
        limiter_done(&books->accounts[i].day);
    }
    free(books->chunks);
    free(books->accounts);
    free(books->refills);
    free(books->overrides);
    free(books->heads);
    free(books->due);
    catalogue_done(&books->catalogue);
}

void books_add_account(struct books *books, const char *key, money balance)
{
    books->accounts = grown(books->accounts, books->account_count, sizeof *books->accounts);
    struct account *account = &books->accounts[books->account_count++];
    *account = (struct account){.balance = balance};
    strncpy(account->key, key, sizeof account->key - 1);
}

struct account *books_account(struct books *books, const char *key)
{
    for (size_t i = 0; i < books->account_count; i++) {
        if (strcmp(books->accounts[i].key, key) == 0)
            return &books->accounts[i];
    }
    return NULL;
}

static void due_push(struct books *books, int64_t at_us, uint32_t order)
{
    if (books->due_count == books->due_capacity) {
        books->due_capacity = books->due_capacity ? books->due_capacity * 2 : 64;
        books->due = realloc(books->due, books->due_capacity * sizeof *books->due);
        if (!books->due)
            abort();
    }
    size_t at = books->due_count++;
    for (; at && books->due[(at - 1) / 2].at_us > at_us; at = (at - 1) / 2)
        books->due[at] = books->due[(at - 1) / 2];
    books->due[at] = (struct due_end){at_us, order};
}

static void await_end(struct books *books, const struct order *order, uint32_t index)
{
    enum service_outcome outcome = books->catalogue.services[order->service].outcome;

    if (outcome != ENDS_COMPLETED && outcome != ENDS_NEVER)
        due_push(books, born_us(order) + duration_us(books, order), index);
}

static uint32_t due_pop(struct books *books)
{
    uint32_t first = books->due[0].order;
    struct due_end last = books->due[--books->due_count];
    size_t at = 0;

    for (;;) {
        size_t child = at * 2 + 1;
        if (child + 1 < books->due_count && books->due[child + 1].at_us < books->due[child].at_us)
            child++;
        if (child >= books->due_count || books->due[child].at_us >= last.at_us)
            break;
        books->due[at] = books->due[child];
        at = child;
    }
    if (books->due_count)
        books->due[at] = last;
    return first;
}

static uint64_t take_id(struct books *books)
{
    uint64_t id = books->next_id;
    uint64_t step = books->id_step;

    if (books->id_style == IDS_GAPS)
        step = 1 + (id * 0x9e3779b97f4a7c15u >> 61);
    books->next_id = id + step;
    return id;
}

struct order *books_order_at(const struct books *books, uint32_t index)
{
    return &books->chunks[index / CHUNK][index % CHUNK];
}

struct order *books_order_by_link(const struct books *books, const char *link,
                                  const struct order *before)
{
    uint32_t next = before         ? before->same_hash
                    : books->heads ? books->heads[hash(link) % HEADS]
                                   : 0;

    while (next) {
        struct order *order = books_order_at(books, next - 1);
        if (strcmp(order->link, link) == 0)
            return order;
        next = order->same_hash;
    }
    return NULL;
}

/* How often this link was bought of this service before. */
static uint32_t count_earlier(const struct books *books, const struct order *order)
{
    const struct order *earlier = NULL;

    while ((earlier = books_order_by_link(books, order->link, earlier))) {
        if (earlier->service == order->service)
            return earlier->nth;
    }
    return 0;
}

struct order *books_add_order(struct books *books, const struct order *order)
{
    uint32_t index = books->order_count++;

    if (index % CHUNK == 0) {
        books->chunks = grown(books->chunks, index / CHUNK, sizeof *books->chunks);
        books->chunks[index / CHUNK] = malloc(CHUNK * sizeof **books->chunks);
        if (!books->chunks[index / CHUNK])
            abort();
    }
    if (!books->heads) {
        books->heads = calloc(HEADS, sizeof *books->heads);
        if (!books->heads)
            abort();
    }
    struct order *added = books_order_at(books, index);
    uint32_t *head = &books->heads[hash(order->link) % HEADS];
    *added = *order;
    added->id = take_id(books);
    added->link = keep(books, order->link);
    added->extra = order->extra ? keep(books, order->extra) : NULL;
    added->shift_us = books->shift_us;
    added->paid = order->charge;
    added->nth = 1 + count_earlier(books, added);
    books->repeat_count += added->nth > 1;
    added->same_hash = *head;
    *head = index + 1;
    books->accounts[order->account].balance -= order->charge;
    await_end(books, added, index);
    return added;
}

uint32_t books_order_index(const struct books *books, const struct order *order)
{
    uint32_t low = 0;
    uint32_t high = books->order_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (books_order_at(books, middle)->id < order->id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct order *books_find_order(const struct books *books, const char *id)
{
    struct order wanted = {0};

    if (books->id_style == IDS_HEX24) {
        size_t prefix = strlen(HEX24_PREFIX);
        char *end = NULL;
        if (strlen(id) != prefix + 8 || strncmp(id, HEX24_PREFIX, prefix) != 0)
            return NULL;
        wanted.id = (uint32_t)strtoul(id + prefix, &end, 16) * HEX24_INVERSE;
        if (*end)
            return NULL;
    } else if (digits_parse(id, UINT64_MAX, &wanted.id)) {
        return NULL;
    }
    uint32_t index = books_order_index(books, &wanted);
    if (index == books->order_count || books_order_at(books, index)->id != wanted.id)
        return NULL;
    return books_order_at(books, index);
}

void books_add_id(const struct books *books, struct text *text, const struct order *order,
                  bool json)
{
    bool quoted = json && (books->id_style == IDS_STRING || books->id_style == IDS_HEX24);

    if (quoted)
        text_add(text, "\"");
    if (books->id_style == IDS_HEX24)
        text_addf(text, HEX24_PREFIX "%08x", (uint32_t)order->id * HEX24_FACTOR);
    else
        text_add_number(text, order->id);
    if (quoted)
        text_add(text, "\"");
}

bool stage_is_final(enum order_stage stage)
{
    return stage >= STAGE_COMPLETED;
}

const char *stage_word(enum order_stage stage)
{
    static const char *const words[] = {
        [STAGE_PENDING] = "Pending",         [STAGE_PROCESSING] = "Processing",
        [STAGE_IN_PROGRESS] = "In progress", [STAGE_COMPLETED] = "Completed",
        [STAGE_PARTIAL] = "Partial",         [STAGE_CANCELED] = "Canceled",
        [STAGE_REFUNDED] = "Refunded",       [STAGE_FAIL] = "Fail",
    };

    return words[stage];
}

/* How an order of this service looks when its time is over. */
static void view_end(const struct order *order, enum service_outcome outcome,
                     struct order_view *view)
{
    int64_t total = (int64_t)pieces(order);

    switch (outcome) {
    case ENDS_COMPLETED:
        view->stage = STAGE_COMPLETED;
        view->remains = 0;
        break;
    case ENDS_PARTIAL:
        view->stage = STAGE_PARTIAL;
        view->remains = total - total * 3 / 5;
        break;
    case ENDS_CANCELED:
        view->stage = STAGE_CANCELED;
        view->remains = total;
        break;
    case ENDS_REFUNDED:
        view->stage = STAGE_REFUNDED;
        view->remains = total;
        break;
    case ENDS_FAIL:
        view->stage = STAGE_FAIL;
        view->remains = total;
        break;
    case ENDS_NEVER:
        view->stage = STAGE_IN_PROGRESS;
        view->remains = total - total / 2;
        break;
    }
    view->charge = order->paid - worth(order, view->remains);
    if (outcome == ENDS_NEVER)
        view->charge = order->paid;
}

/* The order's own course, from the time that has passed alone. */
static void view_course(const struct books *books, const struct order *order, int64_t virtual_us,
                        struct order_view *view)
{
    enum service_outcome outcome = books->catalogue.services[order->service].outcome;
    int64_t length_us = duration_us(books, order);
    int64_t age_us = virtual_us - born_us(order);
    int64_t total = (int64_t)pieces(order);

    *view = (struct order_view){.remains = total, .charge = order->paid};
    if (age_us < length_us / 10)
        return;
    view->has_start_count = true;
    view->start_count = hash(order->link) % 100000;
    if (age_us >= length_us) {
        view_end(order, outcome, view);
        return;
    }
    if (age_us < length_us / 5) {
        view->stage = STAGE_PROCESSING;
        return;
    }
    int64_t most = outcome == ENDS_COMPLETED ? total
                   : outcome == ENDS_PARTIAL ? total * 3 / 5
                                             : total / 2;
    int64_t began_us = length_us / 5;
    view->stage = STAGE_IN_PROGRESS;
    view->remains =
        total - (int64_t)((__int128)most * (age_us - began_us) / (length_us - began_us));
}

static void pay_back(struct books *books, struct order *order, money charge)
{
    books->accounts[order->account].balance += order->charge - charge;
    order->charge = charge;
}

void books_settle(struct books *books, int64_t now_us)
{
    int64_t virtual_us = now_us + books->shift_us;

    while (books->due_count && books->due[0].at_us <= virtual_us) {
        uint32_t index = due_pop(books);
        struct order *order = books_order_at(books, index);
        struct order_view view;
        if (order->settled || order->override)
            continue;
        view_course(books, order, virtual_us, &view);
        if (!stage_is_final(view.stage))
            continue;
        order->settled = true;
        pay_back(books, order, view.charge);
    }
}

void books_reschedule(struct books *books)
{
    books->due_count = 0;
    for (uint32_t i = 0; i < books->order_count; i++) {
        const struct order *order = books_order_at(books, i);
        if (!order->settled && !order->override)
            await_end(books, order, i);
    }
}

void books_view(const struct books *books, const struct order *order, int64_t now_us,
                struct order_view *ret_view)
{
    view_course(books, order, now_us + books->shift_us, ret_view);
    ret_view->charge = order->charge;
    if (!order->override)
        return;
    const struct order_override *override = &books->overrides[order->override - 1];
    if (*override->status)
        ret_view->word = override->status;
    if (override->has_remains)
        ret_view->remains = override->remains;
    if (override->has_start_count) {
        ret_view->has_start_count = true;
        ret_view->start_count = override->start_count;
    }
    for (enum order_stage stage = STAGE_PENDING; stage <= STAGE_FAIL; stage++) {
        if (ret_view->word && strcasecmp(stage_word(stage), ret_view->word) == 0)
            ret_view->stage = stage;
    }
}

void books_override(struct books *books, struct order *order, const struct order_override *override,
                    const money *charge)
{
    struct order_view view;

    if (!order->override) {
        books->overrides = grown(books->overrides, books->override_count, sizeof *books->overrides);
        order->override = ++books->override_count;
    }
    books->overrides[order->override - 1] = *override;
    if (charge) {
        pay_back(books, order, *charge);
        return;
    }
    books_view(books, order, order->accepted_us, &view);
    if (view.stage == STAGE_CANCELED || view.stage == STAGE_REFUNDED || view.stage == STAGE_FAIL)
        pay_back(books, order, 0);
    else if (view.stage == STAGE_PARTIAL)
        pay_back(books, order, order->paid - worth(order, view.remains));
    else
        pay_back(books, order, order->paid);
}

struct refill *books_add_refill(struct books *books, struct order *order, int64_t now_us)
{
    books->refills = grown(books->refills, books->refill_count, sizeof *books->refills);
    struct refill *refill = &books->refills[books->refill_count++];
    *refill = (struct refill){
        .order = books_order_index(books, order),
        .asked_us = now_us + books->shift_us,
    };
    order->refill = books->refill_count;
    return refill;
}

const char *books_refill_word(const struct books *books, const struct refill *refill,
                              int64_t now_us)
{
    int64_t age_us = now_us + books->shift_us - refill->asked_us;
    int64_t length_us = duration_us(books, books_order_at(books, refill->order));

    if (*refill->status)
        return refill->status;
    return age_us < length_us / 5 ? "Pending" : age_us < length_us ? "In progress" : "Completed";
}

void books_write(const struct books *books, int64_t now_us, struct text *text)
{
    text_add(text, "order_id\tkey\tservice\tproduct_"
                   "id\tlink\tquantity\truns\tpaid\tcharge\tstatus\tstart_count\t"
                   "remains\taccepted_us\tnth\textra\n");
    for (uint32_t i = 0; i < books->order_count; i++) {
        const struct order *order = books_order_at(books, i);
        const struct service *service = &books->catalogue.services[order->service];
        struct order_view view;
        books_view(books, order, now_us, &view);
        books_add_id(books, text, order, false);
        text_addf(text, "\t%s\t%u\t%s\t", books->accounts[order->account].key, service->id,
                  service->product_id);
        text_add_tsv(text, order->link);
        text_addf(text, "\t%u\t%u\t", order->quantity, order->runs);
        text_add_money(text, order->paid, 0);
        text_add(text, "\t");
        text_add_money(text, view.charge, 0);
        text_addf(text, "\t%s\t", view.word ? view.word : stage_word(view.stage));
        if (view.has_start_count)
            text_addf(text, "%" PRId64, view.start_count);
        else
            text_add(text, "\\N");
        text_addf(text, "\t%" PRId64 "\t%" PRId64 "\t%u\t", view.remains, order->accepted_us,
                  order->nth);
        text_add_tsv(text, order->extra);
        text_add(text, "\n");
    }
}
