/*
 * rules/balance_watch.h - when a provider is asked for the balance, and when orders go on after it
 * had run out.
 *
 * A request is spent when the answer may matter: every 30 s while orders wait for money, and at
 * once when the first of them was refused; once orders have spent a quarter of the last answer, or
 * may have brought it below low_balance, but 5 minutes apart; hourly while orders are bought or
 * open, as those are refunded; else every 6 hours. So a quiet day costs four requests, a busy one
 * 24 and what its spending calls for. A provider that tells no amount is asked less and less often,
 * at last hourly, or every 2 minutes while orders wait.
 *
 * The balance decides only when the next try is made: a difference of balances proves nothing about
 * an order, and nothing here is ever evidence of one. Pure.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* Why it is asked, the most urgent first. */
enum balance_reason {
    BALANCE_NEVER_TOLD,
    BALANCE_FUNDS, /* orders wait for money */
    BALANCE_LOW,
    BALANCE_SPENT,
    BALANCE_USED,
    BALANCE_OLD, /* nothing happened that we know of */
};
#define BALANCE_REASON_COUNT 6

struct balance_facts {
    bool told;           /* the provider has ever told one */
    int64_t told_ago_s;  /* when it was asked for that */
    bool out_of_funds;   /* an order was refused, or is held, for want of money */
    bool refused;        /* one was refused since: what was told is no longer so */
    bool low;            /* what is left of it by our count is below low_balance, and it was not */
    bool spent;          /* a quarter of it, by our count */
    bool used;           /* orders were bought since, or are open */
    unsigned failures;   /* questions in a row that got no amount */
    int64_t tried_ago_s; /* the last of them */
};

/* Seconds until it is to be asked; 0 = now. The reason that makes it so is in *ret_reason. */
int64_t balance_wait_s(const struct balance_facts *facts, enum balance_reason *ret_reason);
/* For logs: "orders wait for money", ... */
const char *balance_reason_text(enum balance_reason reason);

/* What an answer says to orders that were refused for want of money. */
struct balance_news {
    bool rose;    /* it is more than the answer before */
    bool reaches; /* it is enough for the oldest of them, as far as its price is known */
    bool tried;   /* that was found before, and the order was refused again */
};
/* Orders are tried again. */
bool balance_lets_go_on(const struct balance_news *news);
/* Without such an answer one order is tried all the same, after that time: it may be refused for a
 * reason that the balance does not show. `told`: the provider tells balances at all. */
int64_t balance_probe_s(bool told);
