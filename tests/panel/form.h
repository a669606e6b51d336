/*
 * form.h - an application/x-www-form-urlencoded body as names and values.
 *
 * Decoded in place: names and values point into the caller's bytes. Of a name given twice the last
 * one counts, as in PHP. A zero byte (%00) becomes '?', so that every value is a C string.
 */
#pragma once
#include <stddef.h>

#define FORM_FIELDS_MAX 64

struct form {
    struct form_field {
        const char *name, *value;
    } fields[FORM_FIELDS_MAX];
    size_t count;
};

/* `body` is NUL-terminated and overwritten; fields past FORM_FIELDS_MAX are dropped. */
void form_parse(struct form *form, char *body);

/* The value, or NULL when the field is absent. Borrowed from the body. */
const char *form_get(const struct form *form, const char *name);

/* The same; absent becomes "". */
const char *form_text(const struct form *form, const char *name);
