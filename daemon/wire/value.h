/*
 * wire/value.h - JSON from a foreign server, read with distrust.
 *
 * json-c is lenient where money is at stake, even with its strict flag (0.16): it saturates
 * integers beyond 64 bits, takes NaN and Infinity for numbers and '...' for strings, keeps the last
 * of two equal keys and cuts a key at \u0000. Whatever leaves this module is free of these. Pure.
 */
#pragma once
#include "base/decimal.h"
#include <json-c/json.h>

#define VALUE_ID_BYTES 64

/*
 * The JSON document that ends a body: the whole body, or what follows text that a broken server
 * printed before it (byte-order mark, PHP warnings). A piece out of the middle of a broken document
 * is never taken: once a '{"' fails to be a whole document up to the end of the body, there is
 * none. Bytes that are no UTF-8 become U+FFFD. A key that stands twice in an object, anywhere,
 * makes the document none, as both of its values are in doubt.
 *
 * 0 and *ret_root, owned (json_object_put), NULL when there is no document; or -ENOMEM.
 */
int value_read_body(const char *body, size_t bytes, struct json_object **ret_root);

/*
 * The same for a body that is one list and nothing else, element by element, so that a long one
 * never stands in memory as a whole. `take` borrows each element, and answers 0 or a negative errno
 * that ends the reading. *ret_whole is false when the body is no such list, or is broken somewhere:
 * then what was taken is worth nothing, and value_read_body() says what the body is. 0 or negative
 * errno.
 */
int value_read_list(const char *body, size_t bytes,
                    int (*take)(void *userdata, struct json_object *element), void *userdata,
                    bool *ret_whole);

/* Member of an object; NULL when there is none, when it is null, or when `object` is no object.
 * Borrowed. */
struct json_object *value_member(struct json_object *object, const char *key);
/* True for absent, null, false, zero, "", "0", [] and {}: how servers say "none". */
bool value_is_empty(struct json_object *value);
bool value_is_true(struct json_object *value); /* true, 1, "1", "true" */

/* A string that is not empty and holds no NUL, else NULL. Borrowed. */
const char *value_text(struct json_object *value);
/* The same, or a whole number's digits. Borrowed. */
const char *value_scalar(struct json_object *value);
/* An identifier (value_is_id()) from a string or a whole number within 64 bits, else NULL.
 * Borrowed. */
const char *value_id(struct json_object *value);
/*
 * 1 to 64 printable ASCII characters without space, comma (it separates ids on the wire), quotes
 * and angle brackets, at least one of them a digit other than 0, the first no minus: "0", "-1",
 * "null" and "error" are no identifiers.
 */
bool value_is_id(const char *text);
/* An amount from a string or a number in its source's spelling. */
bool value_amount(struct json_object *value, char ret_decimal[DECIMAL_SIZE]);
/* A whole number from a string or a number. */
bool value_count(struct json_object *value, int64_t *ret_count);
