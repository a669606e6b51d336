/*
 * base/decimal.h - amounts as validated decimal text.
 *
 * Money is never a double. An amount is text of the grammar  -?[0-9]+(\.[0-9]+)?  with at most 30
 * digits; arithmetic on it happens in PostgreSQL's numeric.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DECIMAL_SIZE 40 /* enough for every accepted amount with its NUL */

/*
 * Reads an amount as providers write it ("1.5", "60.0", "1,234.50000", " 7 ") into its plain form;
 * thousands commas are dropped only where they stand correctly ("1,23" is no amount). Exponents,
 * NaN, a bare point or anything else is refused: false, nothing written.
 */
bool decimal_parse(const char *string, char ret_decimal[DECIMAL_SIZE]);

/* Whether two amounts in plain form are the same one; zeros that end a fraction say nothing: "1.50"
 * is "1.5", "2.000" is "2". */
bool decimal_same(const char *a, const char *b);

/* Reads a whole number (optional sign, digits only, range of int64_t); "12.0" is accepted as 12. */
bool decimal_parse_integer(const char *string, int64_t *ret_value);
