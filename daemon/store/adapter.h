/*
 * store/adapter.h - adapters as text: the ready ones of this binary, and what is added to one.
 *
 * An adapter is SQL that the administrator runs. Lines of its head that begin with "-- @trigger"
 * and "-- @lines" say where its shop marks an order as paid; from them, and from a template, the
 * queue and the wake-up follow.
 */
#pragma once
#include "base/problem.h"
#include "base/text.h"
#include <stdbool.h>
#include <stddef.h>

/* The ready adapters by their place; NULL after the last one. */
const char *adapter_name(size_t place, char *ret_name, size_t size);
/* Its text; NULL when there is none of that name. */
const char *adapter_text(const char *name);

struct adapter_word {
    const char *name, *value;
};
/* Appends a file of sql/templates/ with every @name@ replaced by its word. */
void adapter_fill(struct text *text, const char *template, const struct adapter_word *words,
                  size_t count);

enum adapter_addition { ADAPTER_QUEUE, ADAPTER_WAKE };
/* 0, or 1 when the adapter does not say where its shop marks what is paid. */
int adapter_add(struct text *text, const char *adapter, enum adapter_addition addition,
                struct problem *reterr_problem);
