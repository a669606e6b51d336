#include "base/text.h"
#include "base/own.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DISTANCE_BYTES 64

void text_done(struct text *text)
{
    free(text->bytes);
    *text = (struct text){0};
}

void text_clear(struct text *text)
{
    text->length = 0;
    text->failed = false;
    if (text->bytes)
        text->bytes[0] = '\0';
}

void text_reserve(struct text *text, size_t count)
{
    if (text->failed || (text->bytes && count < text->size - text->length))
        return;
    size_t needed = text->length + count + 1;
    size_t size = text->size * 2 > 64 ? text->size * 2 : 64;
    if (needed > size)
        size = needed;
    char *bytes = count < SIZE_MAX / 2 ? realloc(text->bytes, size) : NULL;
    if (!bytes) {
        text->failed = true;
        return;
    }
    text->bytes = bytes;
    text->size = size;
    text->bytes[text->length] = '\0';
}

void text_add(struct text *text, const char *string)
{
    text_add_bytes(text, string, strlen(string));
}

void text_add_bytes(struct text *text, const void *bytes, size_t count)
{
    text_reserve(text, count);
    if (text->failed)
        return;
    if (count > 0)
        memcpy(text->bytes + text->length, bytes, count);
    text->length += count;
    text->bytes[text->length] = '\0';
}

void text_add_char(struct text *text, char c)
{
    text_add_bytes(text, &c, 1);
}

void text_format(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0) {
        text->failed = true; /* uncovered: a format with an invalid wide character */
        return;              /* uncovered: the same */
    }
    text_reserve(text, (size_t)length);
    if (text->failed)
        return;
    va_start(arguments, format);
    vsnprintf(text->bytes + text->length, (size_t)length + 1, format, arguments);
    va_end(arguments);
    text->length += (size_t)length;
}

const char *text_string(const struct text *text)
{
    return text->bytes ? text->bytes : "";
}

/* RFC 3986's unreserved bytes; not isalnum(), which asks the locale. */
static bool is_unreserved(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void text_add_form(struct text *text, const char *bytes, size_t count)
{
    static const char digits[] = "0123456789ABCDEF";
    if (count > SIZE_MAX / 3 - 1) {
        text->failed = true;
        return;
    }
    text_reserve(text, 3 * count);
    if (text->failed)
        return;
    char *end = text->bytes + text->length;
    for (size_t i = 0; i < count; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (is_unreserved(c)) {
            *end++ = (char)c;
        } else if (c == ' ') {
            *end++ = '+';
        } else {
            *end++ = '%';
            *end++ = digits[c >> 4];
            *end++ = digits[c & 15];
        }
    }
    *end = '\0';
    text->length = (size_t)(end - text->bytes);
}

size_t text_utf8_length(const char *bytes, size_t count)
{
    const unsigned char *at = (const unsigned char *)bytes;
    if (count == 0 || at[0] == 0)
        return 0;
    if (at[0] < 0x80)
        return 1;
    size_t length = at[0] < 0xC2 ? 0 : at[0] < 0xE0 ? 2 : at[0] < 0xF0 ? 3 : at[0] < 0xF5 ? 4 : 0;
    if (length == 0 || length > count)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xC0) != 0x80)
            return 0;
    /* The second byte alone tells overlong forms, surrogates and what lies beyond U+10FFFF. */
    if ((at[0] == 0xE0 && at[1] < 0xA0) || (at[0] == 0xED && at[1] > 0x9F) ||
        (at[0] == 0xF0 && at[1] < 0x90) || (at[0] == 0xF4 && at[1] > 0x8F))
        return 0;
    return length;
}

/* Bytes at the start, in whole eights, that are ASCII without NUL: nearly every reply is, to its
 * end. */
static size_t ascii_eights(const char *bytes, size_t count)
{
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        uint64_t eight;
        memcpy(&eight, bytes + i, 8);
        uint64_t zero = (eight - UINT64_C(0x0101010101010101)) & ~eight;
        if ((eight | zero) & UINT64_C(0x8080808080808080))
            break;
    }
    return i;
}

bool text_is_utf8(const char *bytes, size_t count)
{
    size_t i = ascii_eights(bytes, count);
    while (i < count) {
        size_t length = text_utf8_length(bytes + i, count - i);
        if (length == 0)
            return false;
        i += length;
    }
    return true;
}

static unsigned smaller(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* The restricted form: a swapped pair is not edited again. For misspelt names it is the same. */
unsigned text_distance(const char *a, const char *b)
{
    size_t a_length = strnlen(a, DISTANCE_BYTES), b_length = strnlen(b, DISTANCE_BYTES);
    unsigned rows[3][DISTANCE_BYTES + 1];
    unsigned *before = rows[0], *last = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b_length; j++)
        last[j] = (unsigned)j;
    for (size_t i = 1; i <= a_length; i++) {
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_length; j++) {
            unsigned changed = last[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = smaller(changed, smaller(last[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = smaller(row[j], before[j - 2] + 1);
        }
        unsigned *free_row = before;
        before = last;
        last = row;
        row = free_row;
    }
    return last[b_length];
}

/*
 * C0, DEL and C1, the separators that end a line, and the marks that reorder what a terminal shows
 * (U+2028-U+202E, U+2066-U+2069): each could make a log line look like another one.
 */
static bool is_control(const char *bytes, size_t length)
{
    const unsigned char *at = (const unsigned char *)bytes;
    if (length == 1)
        return at[0] < 0x20 || at[0] == 0x7F;
    if (length == 2)
        return at[0] == 0xC2 && at[1] < 0xA0;
    if (length != 3 || at[0] != 0xE2)
        return false;
    return (at[1] == 0x80 && at[2] >= 0xA8 && at[2] <= 0xAE) ||
           (at[1] == 0x81 && at[2] >= 0xA6 && at[2] <= 0xA9);
}

void text_one_line(char *ret_line, size_t size, const char *string)
{
    if (size == 0)
        return;
    size_t room = size - 1, used = 0, count = strlen(string);
    size_t keep = 0; /* where the dots go when the rest does not fit */
    for (size_t i = 0; i < count;) {
        size_t length = text_utf8_length(string + i, count - i);
        bool replaced = length == 0 || is_control(string + i, length);
        size_t written = replaced ? 1 : length;
        if (used + written > room) {
            size_t dots = room - keep < 3 ? room - keep : 3;
            memset(ret_line + keep, '.', dots);
            used = keep + dots;
            break;
        }
        memcpy(ret_line + used, replaced ? "?" : string + i, written);
        used += written;
        i += length ? length : 1;
        if (used + 3 <= room)
            keep = used;
    }
    ret_line[used] = '\0';
}
