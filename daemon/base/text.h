/*
 * base/text.h - bytes that grow, and the few questions the daemon asks of text.
 *
 * A struct text starts as { 0 } and ends with text_done(). Running out of memory is remembered in
 * `failed`, so a caller checks once, at the end. `bytes` is always followed by a NUL once something
 * was added (also when nothing was: then it may be NULL, so use text_string()).
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
    char *bytes;
    size_t length, size;
    bool failed; /* memory ran out: the content is incomplete and must not be used */
};

void text_done(struct text *text);
void text_clear(struct text *text); /* length 0, memory kept, `failed` reset */
/*
 * Room for `count` more bytes at once. What is then added within it never moves the content, so
 * that a secret leaves no copy behind in freed memory.
 */
void text_reserve(struct text *text, size_t count);
void text_add(struct text *text, const char *string);
void text_add_bytes(struct text *text, const void *bytes, size_t count);
void text_add_char(struct text *text, char c);
void text_format(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The content as a string, "" when empty. Borrowed until the next change. */
const char *text_string(const struct text *text);

/* application/x-www-form-urlencoded: unreserved bytes as they are, space as '+', the rest as %XX.
 */
void text_add_form(struct text *text, const char *bytes, size_t count);

/* True when the bytes are well-formed UTF-8 (no surrogates, no overlong forms, no NUL). */
bool text_is_utf8(const char *bytes, size_t count);

/* Length of the well-formed UTF-8 character at the start (1 to 4 bytes), or 0 when there is none.
 */
size_t text_utf8_length(const char *bytes, size_t count);

/* Damerau-Levenshtein distance (adjacent swap = 1), for "did you mean"; at most 64 bytes a side are
 * compared. */
unsigned text_distance(const char *a, const char *b);

/*
 * Copies a foreign string so that it can stand in one line of a log or a terminal: control
 * characters and broken UTF-8 become '?', and what is longer than size - 1 ends in "..." on a
 * character boundary.
 */
void text_one_line(char *ret_line, size_t size, const char *string);
