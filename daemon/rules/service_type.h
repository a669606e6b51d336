/*
 * rules/service_type.h - what each type of service needs, and what its charge is counted by.
 *
 * One table of the API's documented types and their family's. A type that is not in it is sent as
 * it is given: nothing is required of it, and its charge cannot be foreseen. Pure.
 */
#pragma once
#include "base/text.h"
#include <stdbool.h>
#include <stddef.h>

/* What a service's rate (per 1000) is multiplied with. */
enum charged_by {
    CHARGED_BY_QUANTITY,
    CHARGED_BY_RUNS,      /* quantity a run, times runs (one run when none is given) */
    CHARGED_BY_COMMENTS,  /* lines that are not blank */
    CHARGED_BY_USERNAMES, /* likewise */
    CHARGED_BY_FIXED,     /* the rate is the price of the whole */
    CHARGED_BY_POSTS,     /* nothing at once: each post when it comes */
    CHARGED_BY_UNKNOWN,   /* the type is not known */
};
/* "quantity", "runs", ... as chwsync.catalogue_services.charged_by holds it. */
const char *charged_by_name(enum charged_by charged_by);

#define SERVICE_TYPE_REQUIRED_MAX 5

struct service_type {
    const char *name; /* in the document's spelling */
    enum charged_by charged_by;
    const char *required[SERVICE_TYPE_REQUIRED_MAX + 1]; /* parameters; ends at NULL */
};

/* One after the other; NULL behind the last. */
const struct service_type *service_type_at(size_t place);
/* The type of that name, in the document's spelling as wire/reply.h hands it over; NULL: none. */
const struct service_type *service_type_of(const char *name);
/* What the charge of such a service is counted by, CHARGED_BY_UNKNOWN for a type not in the table.
 */
enum charged_by service_type_charged_by(const char *name);
/* What each type requires, as JSON: {"Default": ["link", "quantity"], ...}. For the claim, which
 * rejects many lines at once (chwsync.judge_due); each is checked again before it is sent. */
void service_type_required_json(struct text *text);
