/*
 * rules/account_match.h - whether a new key or URL leads to the account that an earlier one led to.
 *
 * The API names no account. What can be asked is what the new key knows of the ids that the earlier
 * one got: the same account knows them with the same facts, another one does not know them, or has
 * other orders there. Amounts that change in an order's life (a charge after a partial delivery)
 * neither agree nor contradict.
 *
 * Pure. Amounts are decimal text (base/decimal).
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ACCOUNT_MATCH_IDS 20 /* that are asked about, the newest */

/* What is known of an order, by the ledger or by the provider. */
struct account_facts {
    const char *charge, *currency; /* NULL or "": not told */
    int64_t start_count;           /* INT64_MIN: not told */
};

enum account_sight {
    SIGHT_SILENT,  /* the provider said nothing about the id */
    SIGHT_ABSENT,  /* it does not know the id */
    SIGHT_BARE,    /* it knows the id, and nothing could be compared */
    SIGHT_AGREES,  /* ... with the same facts */
    SIGHT_DIFFERS, /* ... with other facts */
};
/* `lessened`: its status is one that takes of the charge (partial, canceled, refunded). */
enum account_sight account_compare(const struct account_facts *known,
                                   const struct account_facts *told, bool lessened);

enum account_match {
    ACCOUNT_SAME,    /* its rows may be taken over */
    ACCOUNT_OTHER,   /* it looks like another account: an operator says */
    ACCOUNT_UNCLEAR, /* too little was told: can change */
};
enum account_match account_match(const enum account_sight *sights, size_t count);
