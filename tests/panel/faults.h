/*
 * faults.h - what goes wrong on purpose: rules that requests are matched against, and what each
 * does.
 */
#pragma once
#include "form.h"
#include "text.h"
#include <stdbool.h>

enum fault_kind {
    FAULT_NONE,
    FAULT_RESET_BEFORE,
    FAULT_RESET_AFTER,
    FAULT_CLOSE_BEFORE, /* no reply byte, connection ended in order */
    FAULT_CLOSE_AFTER,
    FAULT_CLOSE_REUSED, /* close-before, only on a connection that has served a request: what makes
                           clients re-send */
    FAULT_TIMEOUT_BEFORE,
    FAULT_TIMEOUT_AFTER,
    FAULT_HTML_503,
    FAULT_HTML_200,
    FAULT_EMPTY,
    FAULT_ENDLESS,
    FAULT_TRUNCATED, /* the real reply under a Content-Length that is too long, then the end */
    FAULT_HALF_JSON, /* the first half of the real reply, correctly framed */
    FAULT_500_BEFORE,
    FAULT_500_AFTER,
    FAULT_WRONG_KEY,
    FAULT_INSUFFICIENT,
    FAULT_RATE,
    FAULT_SLOW_BODY, /* the real reply, a byte at a time */
    FAULT_REPLY,     /* any status, header and body */
    FAULT_DELAY,     /* the real reply, later */
    FAULT_COUNT
};

struct fault {
    enum fault_kind kind;
    char action[16];  /* "" = any; "order" and "orders" tell the two kinds of status apart */
    char link[128];   /* part of the link, or of the order ids; "" = any */
    char service[64]; /* "" = any */
    uint64_t remaining;
    uint32_t chance; /* of a million */
    uint64_t seed;
    bool executes;        /* the request is carried out first */
    uint32_t retry_after; /* 0 = not told */
    uint32_t millis;
    unsigned http_status;
    char *text; /* FAULT_REPLY's body, or an error's words; owned; NULL = the kind's own */
};

struct faults {
    struct fault *rules;
    size_t count;
    uint64_t fired[FAULT_COUNT];
};

const char *fault_name(enum fault_kind kind);

/* Adds a rule from the fields kind n action link service chance seed execute retry_after millis
 * http text. chance is a decimal from 0 to 1. Returns 0 or -1. */
int faults_add(struct faults *faults, const struct form *form);
void faults_clear(struct faults *faults);

/* The first rule that this request meets, which counts down; NULL when there is none. Valid until
 * the next call. */
const struct fault *faults_meet(struct faults *faults, const char *action, const struct form *form,
                                bool connection_reused);
