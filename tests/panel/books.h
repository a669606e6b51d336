/*
 * books.h - the provider's accounts, orders and refills: what really happened, whatever the client
 * was told.
 *
 * What an order looks like is a function of the time since it was accepted, so open orders cost
 * nothing until they are asked for. Money goes back when an order's end is noticed: books_settle()
 * first, then look. Times are microseconds; "virtual" time is wall-clock time plus books.shift_us.
 */
#pragma once
#include "catalogue.h"
#include "limiter.h"

#define API_KEY_MAX 128

struct account {
    char key[API_KEY_MAX];
    money balance;
    bool blocked;
    struct limiter minute, day;
};

/* What a test set by hand over an order's own course. */
struct order_override {
    char status[32];
    bool has_remains, has_start_count;
    int64_t remains, start_count;
};

struct order {
    uint64_t id;
    int64_t accepted_us; /* wall clock: when the whole request had been read */
    int64_t shift_us;    /* books.shift_us of that moment */
    money charge;        /* what is charged now */
    money paid;          /* what was taken at first */
    char *link;          /* "" when the type has none; kept until books_done() */
    char *extra;         /* the other parameters, form-encoded; NULL when there are none */
    uint32_t quantity, runs;
    uint32_t service;   /* index in the catalogue */
    uint32_t account;   /* index in books.accounts */
    uint32_t override;  /* index + 1 in books.overrides, 0 = none */
    uint32_t same_hash; /* index + 1 of an earlier order whose link has the same hash */
    uint32_t refill;    /* index + 1 of its latest refill */
    uint32_t nth;       /* 1 for the first order of this link and service, 2 for a repeat, ... */
    bool settled;       /* its end was booked */
};

struct refill {
    uint32_t order;
    int64_t asked_us; /* virtual */
    char status[32];  /* set by a test; "" = its own course */
};

enum id_style { IDS_NUMBER, IDS_GAPS, IDS_STRING, IDS_HEX24 };

struct books {
    struct catalogue catalogue;
    struct account *accounts;
    size_t account_count;
    struct order **chunks;
    uint32_t order_count, repeat_count;
    struct refill *refills;
    uint32_t refill_count;
    struct order_override *overrides;
    uint32_t override_count;
    uint32_t *heads; /* by hash of the link: index + 1 of the latest order */
    struct due_end {
        int64_t at_us; /* virtual */
        uint32_t order;
    } * due; /* a heap: orders whose end pays something back */
    size_t due_count, due_capacity;
    char *arena; /* where the next link goes; blocks are chained by their first pointer */
    size_t arena_left;
    void *arena_blocks;
    enum id_style id_style;
    uint64_t next_id, id_step;
    double duration_scale;
    int64_t shift_us;
};

enum order_stage {
    STAGE_PENDING,
    STAGE_PROCESSING,
    STAGE_IN_PROGRESS,
    STAGE_COMPLETED,
    STAGE_PARTIAL,
    STAGE_CANCELED,
    STAGE_REFUNDED,
    STAGE_FAIL
};

struct order_view {
    enum order_stage stage;
    const char *word; /* set by a test: shown in place of the stage's word; NULL = none */
    bool has_start_count;
    int64_t start_count, remains;
    money charge;
};

/* A zeroed struct with the catalogue loaded is ready; next_id, id_step and duration_scale are the
 * caller's. */
void books_done(struct books *books);

void books_add_account(struct books *books, const char *key, money balance);
struct account *books_account(struct books *books, const char *key);

/* Takes `order` (id, link, extra copied, charge from the balance) into the books. Returns its
 * place. */
struct order *books_add_order(struct books *books, const struct order *order);
struct order *books_order_at(const struct books *books, uint32_t index);
uint32_t books_order_index(const struct books *books, const struct order *order);

/* By the id as text in the books' own style; NULL when there is no such order. */
struct order *books_find_order(const struct books *books, const char *id);

/* The latest order with this link, or NULL; `before` continues to the one accepted before it. */
struct order *books_order_by_link(const struct books *books, const char *link,
                                  const struct order *before);

/* The id as the API shows it, quoted when the style is not a JSON number. */
void books_add_id(const struct books *books, struct text *text, const struct order *order,
                  bool json);

/* Books every end that has come by now: what is due goes back to the balance. */
void books_settle(struct books *books, int64_t now_us);

/* After a service's course was changed: every order that will pay something back is awaited anew.
 */
void books_reschedule(struct books *books);

/* What the order looks like at `now_us` (wall clock). After books_settle() of the same moment. */
void books_view(const struct books *books, const struct order *order, int64_t now_us,
                struct order_view *ret_view);

/* Fixes an order's appearance; an ending word pays back what was not delivered, or down to `charge`
 * if given. */
void books_override(struct books *books, struct order *order, const struct order_override *override,
                    const money *charge);

bool stage_is_final(enum order_stage stage);
const char *stage_word(enum order_stage stage);

struct refill *books_add_refill(struct books *books, struct order *order, int64_t now_us);
const char *books_refill_word(const struct books *books, const struct refill *refill,
                              int64_t now_us);

/* One line for each order, with a heading; the column `nth` is above 1 where link and service
 * repeat. */
void books_write(const struct books *books, int64_t now_us, struct text *text);
