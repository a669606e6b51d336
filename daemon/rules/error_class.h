/*
 * rules/error_class.h - what kind of refusal a provider's words mean.
 *
 * Texts of the API's family, compared without case. Pure.
 */
#pragma once

enum error_class {
    ERROR_NONE,
    ERROR_KEY,     /* key missing, wrong, blocked, IP not allowed: the provider is paused, no order
                      fails */
    ERROR_FUNDS,   /* balance: submits pause */
    ERROR_RATE,    /* rate limit: not executed, the whole account waits */
    ERROR_SERVICE, /* service unknown or disabled */
    ERROR_PARAMETERS, /* quantity, link, comments, interval ... */
    ERROR_DUPLICATE,  /* an active order with this link: may echo our own attempt */
    ERROR_ORDER,      /* order id unknown: never believed on one sighting */
    ERROR_REFILL,
    ERROR_REQUEST,  /* the batch as such: too many ids */
    ERROR_ENDPOINT, /* no route: the URL is wrong; the provider is paused, no order fails */
    ERROR_SERVER,   /* internal error, maintenance: for add the outcome is unknown */
    ERROR_OTHER,    /* any other error text: refused, in the provider's words */
};

/* Never ERROR_NONE. */
enum error_class error_class_of(const char *text);
/* "key", "funds", ... for logs, history and tests. */
const char *error_class_name(enum error_class class);
