#include "store/connection.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void values_done(struct values *values)
{
    text_done(&values->bytes);
    *values = (struct values){0};
}

/* Inside an array a value is an element of it: false. Otherwise it is a parameter, which begins
 * here. */
static bool begin_parameter(struct values *values)
{
    if (values->in_array)
        return false;
    assert(values->count < VALUES_MAX);
    values->offsets[values->count++] = (ptrdiff_t)values->bytes.length;
    return true;
}

static void begin_element(struct values *values)
{
    if (values->bytes.length > 0 && values->bytes.bytes[values->bytes.length - 1] != '{')
        text_add_char(&values->bytes, ',');
}

/*
 * Always in quotes: then nothing but the quote and the backslash means anything, and the word NULL
 * is a word. A run without either is added in one piece.
 */
static void add_quoted(struct text *text, const char *string)
{
    text_add_char(text, '"');
    for (;;) {
        size_t plain = strcspn(string, "\"\\");

        text_add_bytes(text, string, plain);
        string += plain;
        if (!*string)
            break;
        text_add_char(text, '\\');
        text_add_char(text, *string++);
    }
    text_add_char(text, '"');
}

void values_add_text(struct values *values, const char *string)
{
    if (begin_parameter(values)) {
        if (!string)
            values->offsets[values->count - 1] = -1;
        else
            text_add_bytes(&values->bytes, string, strlen(string) + 1);
        return;
    }
    begin_element(values);
    if (string)
        add_quoted(&values->bytes, string);
    else
        text_add(&values->bytes, "NULL");
}

/* A word that needs no quotes anywhere. */
static void add_plain(struct values *values, const char *word)
{
    if (begin_parameter(values)) {
        text_add_bytes(&values->bytes, word, strlen(word) + 1);
    } else {
        begin_element(values);
        text_add(&values->bytes, word);
    }
}

/* What printf(3) would write, at a tenth of its cost: numbers are most of what is sent. Returns the
 * first of them, in front of `end`; at least `least` digits. */
static char *write_digits(char *end, uint64_t number, unsigned least)
{
    do {
        *--end = (char)('0' + number % 10);
        number /= 10;
        least -= least > 0;
    } while (number > 0 || least > 0);
    return end;
}

void values_add_integer(struct values *values, int64_t integer)
{
    char digits[24], *end = digits + sizeof digits - 1, *begin;

    *end = '\0';
    begin = write_digits(end, integer < 0 ? -(uint64_t)integer : (uint64_t)integer, 1);
    if (integer < 0)
        *--begin = '-';
    add_plain(values, begin);
}

void values_add_boolean(struct values *values, bool boolean)
{
    add_plain(values, boolean ? "t" : "f");
}

#define REAL_MAX 1e9 /* times a million it is a whole number that a double holds */

/* Most are seconds, known to the microsecond: where the quotient is the number again, so is what is
 * read of six decimals. */
void values_add_real(struct values *values, double real)
{
    char digits[40], *begin;
    int64_t millionths = real > -REAL_MAX && real < REAL_MAX ? (int64_t)(real * 1e6) : 0;

    if ((double)millionths / 1e6 == real) {
        uint64_t size = millionths < 0 ? -(uint64_t)millionths : (uint64_t)millionths;

        begin = digits + sizeof digits - 1;
        *begin = '\0';
        begin = write_digits(begin, size % 1000000, 6);
        *--begin = '.';
        begin = write_digits(begin, size / 1000000, 1);
        if (millionths < 0)
            *--begin = '-';
    } else {
        begin = digits;
        (void)snprintf(digits, sizeof digits, "%.17g", real);
    }
    add_plain(values, begin);
}

void values_add_optional(struct values *values, bool present, int64_t integer)
{
    if (present)
        values_add_integer(values, integer);
    else
        values_add_text(values, NULL);
}

void values_begin_array(struct values *values)
{
    assert(!values->in_array);
    (void)begin_parameter(values);
    text_add_char(&values->bytes, '{');
    values->in_array = true;
}

void values_end_array(struct values *values)
{
    assert(values->in_array);
    text_add_bytes(&values->bytes, "}", 2);
    values->in_array = false;
}

const char *row_text(const PGresult *rows, int row, int column)
{
    return PQgetisnull(rows, row, column) ? NULL : PQgetvalue(rows, row, column);
}

int64_t row_integer(const PGresult *rows, int row, int column, int64_t when_null)
{
    const char *text = row_text(rows, row, column);

    return text ? strtoll(text, NULL, 10) : when_null;
}

bool row_boolean(const PGresult *rows, int row, int column)
{
    const char *text = row_text(rows, row, column);

    return text && text[0] == 't';
}

double row_real(const PGresult *rows, int row, int column, double when_null)
{
    const char *text = row_text(rows, row, column);

    return text ? strtod(text, NULL) : when_null;
}
