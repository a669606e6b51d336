#include "store/connection.h"

#include <assert.h>
#include <inttypes.h>
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

void values_add_integer(struct values *values, int64_t integer)
{
    char digits[24];

    (void)snprintf(digits, sizeof digits, "%" PRId64, integer);
    add_plain(values, digits);
}

void values_add_boolean(struct values *values, bool boolean)
{
    add_plain(values, boolean ? "t" : "f");
}

void values_add_real(struct values *values, double real)
{
    char digits[40];

    (void)snprintf(digits, sizeof digits, "%.17g", real);
    add_plain(values, digits);
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
