/*
 * store/unconfigured.h - queued lines whose provider is not configured.
 *
 * They wait: each says why in orders.error, and goes by itself once the provider is configured or
 * the view names another one. Intake gives the reason to what it takes; after a change of the
 * configuration the rows that wait already are gone through here.
 */
#pragma once
#include "store/connection.h"

/* What such a line says, for format(): %s is its provider. One that begins so is taken back. */
#define NOT_CONFIGURED                                                                             \
    "provider \"%s\" is not configured: add it to the configuration and reload, or name another "  \
    "one in the view"

/* Gives the reason to at most `limit` lines, and takes it from as many whose provider is configured
 * now. Rows: 0 how many were changed. */
int unconfigured_mark(struct connection *lane, const char *const *providers, size_t count,
                      unsigned limit, store_done done, void *userdata);
/* Rows: 0 the names for which lines wait, five at most, "a, b"; NULL = none. */
int unconfigured_names(struct connection *lane, const char *const *providers, size_t count,
                       store_done done, void *userdata);
