/*
 * money.h - exact amounts: whole numbers of 10^-12 currency units in 128 bits.
 *
 * Twelve places hold rate / 1000 x quantity exactly for rates with up to nine places, so nothing is
 * ever rounded.
 */
#pragma once
#include "text.h"

typedef __int128 money;

#define MONEY_PLACES 12

/* Digits with at most one point and at most twelve places, optionally with '-' in front. Returns 0
 * or -1. */
int money_parse(const char *string, money *ret_amount);

/* At least four places, more only as far as they are not zero; `commas` groups the thousands. */
void text_add_money(struct text *text, money amount, int commas);
