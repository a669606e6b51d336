#include "base/decimal.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS_MAX 30

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* What is between the outer spaces. */
static size_t trim(const char **string)
{
    while (is_space(**string))
        (*string)++;
    size_t length = strlen(*string);
    while (length > 0 && is_space((*string)[length - 1]))
        length--;
    return length;
}

/*
 * True when the commas of a whole part stand where they group thousands: one to three digits, of
 * which the first is no zero ("0,123" is a decimal comma), then groups of three.
 */
static bool commas_are_right(const char *whole, size_t length)
{
    const char *comma = memchr(whole, ',', length);
    if (!comma)
        return true;
    if (comma == whole || comma - whole > 3 || whole[0] == '0')
        return false;
    for (const char *at = comma; at < whole + length; at += 4) {
        if (at[0] != ',' || whole + length - at < 4)
            return false;
        for (int i = 1; i < 4; i++)
            if (!is_digit(at[i]))
                return false;
    }
    return true;
}

/* Copies the digits of a part, without its commas; false when anything else is in it, or nothing.
 */
static bool copy_digits(const char *part, size_t length, char *target, size_t *used, size_t *digits)
{
    if (length == 0)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (part[i] == ',')
            continue;
        if (!is_digit(part[i]) || ++*digits > DIGITS_MAX)
            return false;
        target[(*used)++] = part[i];
    }
    return true;
}

bool decimal_parse(const char *string, char ret_decimal[DECIMAL_SIZE])
{
    char plain[DECIMAL_SIZE];
    size_t used = 0, digits = 0, length = trim(&string);
    if (length > 0 && *string == '-') {
        plain[used++] = '-';
        string++;
        length--;
    }
    const char *point = memchr(string, '.', length);
    size_t whole = point ? (size_t)(point - string) : length;
    if (!commas_are_right(string, whole) || !copy_digits(string, whole, plain, &used, &digits))
        return false;
    if (point) {
        size_t fraction = length - whole - 1;
        plain[used++] = '.';
        if (memchr(point, ',', fraction + 1) ||
            !copy_digits(point + 1, fraction, plain, &used, &digits))
            return false;
    }
    memcpy(ret_decimal, plain, used);
    ret_decimal[used] = '\0';
    return true;
}

static size_t significant_length(const char *amount)
{
    size_t length = strlen(amount);

    if (!strchr(amount, '.'))
        return length;
    while (amount[length - 1] == '0')
        length--;
    return amount[length - 1] == '.' ? length - 1 : length;
}

bool decimal_same(const char *a, const char *b)
{
    size_t length = significant_length(a);

    return length == significant_length(b) && memcmp(a, b, length) == 0;
}

bool decimal_parse_integer(const char *string, int64_t *ret_value)
{
    size_t length = trim(&string);
    const char *first = string;
    if (length > 0 && (*first == '-' || *first == '+'))
        first++;
    const char *end = first;
    while (is_digit(*end))
        end++;
    if (end == first)
        return false;
    const char *rest = end;
    if (*rest == '.' && rest[1] == '0')
        for (rest++; *rest == '0'; rest++)
            continue;
    if (rest != string + length)
        return false;
    errno = 0;
    long long value = strtoll(string, NULL, 10);
    if (errno)
        return false;
    *ret_value = value;
    return true;
}
