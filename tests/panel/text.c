#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_done(struct text *text)
{
    free(text->data);
    *text = (struct text){0};
}

void text_clear(struct text *text)
{
    text->length = 0;
    if (text->data)
        text->data[0] = '\0';
}

void text_reserve(struct text *text, size_t more)
{
    size_t needed = text->length + more + 1;

    if (needed <= text->capacity)
        return;
    size_t capacity = text->capacity ? text->capacity : 256;
    while (capacity < needed)
        capacity *= 2;
    text->data = realloc(text->data, capacity);
    if (!text->data)
        abort();
    text->capacity = capacity;
}

void text_add_bytes(struct text *text, const void *bytes, size_t count)
{
    text_reserve(text, count);
    if (count)
        memcpy(text->data + text->length, bytes, count);
    text->length += count;
    text->data[text->length] = '\0';
}

void text_add(struct text *text, const char *string)
{
    text_add_bytes(text, string, strlen(string));
}

void text_add_number(struct text *text, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    text_add_bytes(text, digits + at, sizeof digits - at);
}

void text_addf(struct text *text, const char *format, ...)
{
    va_list arguments;

    text_reserve(text, 64); /* most pieces are short: formatted once */
    va_start(arguments, format);
    size_t room = text->capacity - text->length;
    int length = vsnprintf(text->data + text->length, room, format, arguments);
    va_end(arguments);
    if (length < 0)
        abort();
    if ((size_t)length >= room) {
        text_reserve(text, (size_t)length);
        va_start(arguments, format);
        vsnprintf(text->data + text->length, (size_t)length + 1, format, arguments);
        va_end(arguments);
    }
    text->length += (size_t)length;
}

void text_add_json(struct text *text, const char *string)
{
    text_add(text, "\"");
    for (const char *at = string; *at; at++) {
        size_t plain = 0;
        while ((unsigned char)at[plain] >= 0x20 && at[plain] != '"' && at[plain] != '\\')
            plain++;
        text_add_bytes(text, at, plain);
        at += plain;
        if (!*at)
            break;
        if (*at == '"' || *at == '\\')
            text_addf(text, "\\%c", *at);
        else
            text_addf(text, "\\u%04x", (unsigned)*at);
    }
    text_add(text, "\"");
}

void text_add_tsv(struct text *text, const char *string)
{
    if (!string) {
        text_add(text, "\\N");
        return;
    }
    for (const char *at = string; *at; at++) {
        switch (*at) {
        case '\t':
            text_add(text, "\\t");
            break;
        case '\n':
            text_add(text, "\\n");
            break;
        case '\r':
            text_add(text, "\\r");
            break;
        case '\\':
            text_add(text, "\\\\");
            break;
        default:
            text_add_bytes(text, at, 1);
        }
    }
}

void text_add_form(struct text *text, const char *string)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

    for (const char *at = string; *at; at++) {
        if (strchr(plain, *at))
            text_add_bytes(text, at, 1);
        else
            text_addf(text, "%%%02X", (unsigned)(unsigned char)*at);
    }
}

int digits_parse(const char *string, uint64_t maximum, uint64_t *ret_number)
{
    uint64_t number = 0;

    if (!*string)
        return -1;
    for (; *string; string++) {
        if (*string < '0' || *string > '9')
            return -1;
        uint64_t digit = (uint64_t)(*string - '0');
        if (number > (maximum - digit) / 10 || digit > maximum)
            return -1;
        number = number * 10 + digit;
    }
    *ret_number = number;
    return 0;
}
