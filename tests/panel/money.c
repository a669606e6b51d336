#include "money.h"

#include <string.h>

#define MONEY_ONE UINT64_C(1000000000000) /* 10^MONEY_PLACES */

int money_parse(const char *string, money *ret_amount)
{
    money amount = 0;
    int places = -1;
    int negative = *string == '-';
    size_t digits = 0;

    for (string += negative; *string; string++) {
        if (*string == '.' && places < 0) {
            places = 0;
            continue;
        }
        if (*string < '0' || *string > '9' || ++digits > 30)
            return -1;
        if (places >= 0 && ++places > MONEY_PLACES)
            return -1;
        amount = amount * 10 + (*string - '0');
    }
    if (!digits)
        return -1;
    for (places = places < 0 ? 0 : places; places < MONEY_PLACES; places++)
        amount *= 10;
    *ret_amount = negative ? -amount : amount;
    return 0;
}

void text_add_money(struct text *text, money amount, int commas)
{
    char digits[64];
    size_t at = sizeof digits;
    size_t whole = 0;
    int negative = amount < 0;
    unsigned __int128 absolute = negative ? -(unsigned __int128)amount : (unsigned __int128)amount;
    /* Two 64-bit numbers: dividing 128 bits for each digit would show in long multi-status replies.
     */
    uint64_t fraction = (uint64_t)(absolute % MONEY_ONE);
    unsigned __int128 rest = absolute / MONEY_ONE;
    int trimmed = MONEY_PLACES;

    for (; trimmed > 4 && fraction % 10 == 0; trimmed--)
        fraction /= 10;
    for (int place = 0; place < trimmed; place++, fraction /= 10)
        digits[--at] = (char)('0' + (int)(fraction % 10));
    digits[--at] = '.';
    do {
        if (commas && whole && whole % 3 == 0)
            digits[--at] = ',';
        digits[--at] = (char)('0' + (int)(rest % 10));
        rest /= 10;
        whole++;
    } while (rest);
    if (negative)
        digits[--at] = '-';
    text_add_bytes(text, digits + at, sizeof digits - at);
}
