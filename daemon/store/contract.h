/*
 * store/contract.h - what is known of the shop's two objects, the view and the function.
 *
 * One catalogue query tells all of it: the schema's version, the view with its columns and types,
 * the function with its signature, and what the asking role may do with them. It touches no row of
 * the shop and raises for nothing but a name that is no SQL name. contract_read() turns its rows
 * into a struct contract with every fault at once, each with its remedy. What only shows when the
 * view is read or the function is called, `chwsyncd check` finds by doing that.
 */
#pragma once
#include "base/problem.h"
#include "base/text.h"
#include "store/connection.h"
#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>

/* The columns of the view, in the order of contract_column_list(). */
enum contract_column {
    CONTRACT_ORDER_REF,
    CONTRACT_SERVICE,
    CONTRACT_LINK,
    CONTRACT_QUANTITY,
    CONTRACT_RUNS,
    CONTRACT_INTERVAL,
    CONTRACT_MIN,
    CONTRACT_MAX,
    CONTRACT_COMMENTS,
    CONTRACT_USERNAMES,
    CONTRACT_HASHTAGS,
    CONTRACT_USERNAME,
    CONTRACT_PARAMS,
    CONTRACT_PROVIDER,
    CONTRACT_MAX_CHARGE,
    CONTRACT_DISPLAY_REF,
    CONTRACT_CREATED_AT,
};
#define CONTRACT_COLUMN_COUNT 17

enum contract_part { CONTRACT_LEDGER, CONTRACT_VIEW, CONTRACT_FUNCTION };
enum contract_severity {
    CONTRACT_ERROR,   /* the part cannot be used */
    CONTRACT_DEFECT,  /* it fails for some orders; the others go on */
    CONTRACT_WARNING, /* it works, but probably not as meant */
};

struct contract_fault {
    enum contract_severity severity;
    enum contract_part part;
    const char *object;     /* SQL name; borrowed from the contract */
    struct problem problem; /* the sentence, and the remedy as its hint */
};

struct contract {
    bool has_schema;    /* schema chwsync exists and holds a ledger */
    int schema_version; /* 0 = not installed, or not readable */
    bool view_found;
    char *view_sql; /* as the server quotes it; owned; never NULL after contract_read() */
    bool has_column[CONTRACT_COLUMN_COUNT];
    bool function_wanted;  /* a name was asked for */
    bool function_found;   /* with exactly (chwsync.result) RETURNS boolean */
    char *function_sql;    /* likewise; NULL when not wanted; owned */
    char *unknown_columns; /* "url, foo"; NULL when there are none; owned */
    struct contract_fault *faults;
    size_t fault_count;
};

/* $1 the view's name, $2 the function's name or NULL, both as SQL names ("shop.view", "\"My
 * Shop\".\"View\""). */
extern const struct statement contract_statement;

/*
 * 0: *ret_contract is owned (contract_done), also when it is full of faults. 1: the rows are not
 * those of contract_statement. -ENOMEM.
 */
int contract_read(const PGresult *rows, struct contract *ret_contract,
                  struct problem *reterr_problem);
void contract_done(struct contract *contract);

/* The new fault's problem, to be written; NULL when memory ran out. `object` is borrowed. */
struct problem *contract_add_fault(struct contract *contract, enum contract_severity severity,
                                   enum contract_part part, const char *object);

/* True when no fault of severity CONTRACT_ERROR lies in `part`. */
bool contract_is_sound(const struct contract *contract, enum contract_part part);

/*
 * Appends the select list that makes one row of the view, called `v`, a row of the contract:
 * `v.order_ref::text AS order_ref, ..., NULL::numeric AS max_charge, ...`; always all
 * CONTRACT_COLUMN_COUNT columns in the order of enum contract_column.
 */
void contract_column_list(const struct contract *contract, struct text *text);
/* "order_ref", "service", ...; and "text", "bigint", ... */
const char *contract_column_name(enum contract_column column);
const char *contract_column_type(enum contract_column column);
