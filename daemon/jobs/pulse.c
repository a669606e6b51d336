#include "jobs/pulse.h"
#include "host/clock.h"
#include "store/counts.h"
#include <stdio.h>
#include <string.h>

#define ASK_INTERVAL_US (10 * US_PER_S)
#define IDLE_INTERVAL_US (120 * US_PER_S)

void pulse_init(struct pulse *pulse, struct workshop *workshop)
{
    *pulse = (struct pulse){.workshop = workshop};
}

static uint64_t happened(const struct workshop *workshop)
{
    return workshop->counts.bought + workshop->counts.refused + workshop->counts.put_off +
           workshop->counts.unknown + workshop->counts.polled + workshop->counts.told;
}

static void counted(void *userdata, const struct store_answer *answer)
{
    struct pulse *pulse = userdata;

    pulse->asking = false;
    if (answer->verdict != STORE_DONE || PQntuples(answer->rows) != 1)
        return;
    pulse->queued = row_integer(answer->rows, 0, 0, 0);
    pulse->uncertain = row_integer(answer->rows, 0, 1, 0);
    pulse->known = true;
}

int64_t pulse_work(struct pulse *pulse, int64_t now_us)
{
    bool quiet = pulse->known && pulse->queued == 0 && pulse->seen == happened(pulse->workshop);

    if (pulse->asking || !connection_is_up(pulse->workshop->lanes.ledger))
        return INT64_MAX;
    if (now_us < pulse->next_us)
        return pulse->next_us;
    if (quiet && now_us < pulse->idle_us)
        return pulse->idle_us;
    pulse->next_us = now_us + ASK_INTERVAL_US;
    pulse->idle_us = now_us + IDLE_INTERVAL_US;
    pulse->seen = happened(pulse->workshop);
    pulse->asking = counts_ask(pulse->workshop->lanes.ledger, counted, pulse) == 0;
    return pulse->next_us;
}

void pulse_add(struct pulse_sum *sum, const struct submit *submit, const struct poll *poll,
               int64_t now_us)
{
    struct account *account = submit->account;

    sum->on_the_wire += submit->on_the_wire + poll->batch_count;
    sum->open += (uint64_t)account->open;
    sum->used += budget_minute_used(client_budget(account->client), now_us);
    sum->limit += account->config->requests_per_minute;
}

void pulse_add_balance(struct pulse_sum *sum, const struct account *account, bool is_only)
{
    size_t length = strlen(sum->balances);

    if (!account->balance[0])
        return;
    snprintf(sum->balances + length, sizeof sum->balances - length, "%s%s%s%s%s%s%s",
             length ? ", " : "", is_only ? "" : account->config->name, is_only ? "" : " ",
             account->balance, account->currency[0] ? " " : "", account->currency,
             account->out_of_funds  ? " (out of funds)"
             : account->balance_low ? " (low)"
                                    : "");
}

void pulse_line(const struct pulse *pulse, const struct pulse_sum *sum, char *ret_line, size_t size)
{
    const struct workshop *workshop = pulse->workshop;
    char ledger[80] = "", budget[48] = "";

    if (pulse->known)
        snprintf(ledger, sizeof ledger, "queued %lld, ", (long long)pulse->queued);
    if (sum->limit)
        snprintf(budget, sizeof budget, ", budget %u/%u a minute", sum->used, sum->limit);
    snprintf(
        ret_line, size, "%s; %son the wire %u, open %llu, uncertain %llu%s%s%s; bought %llu%s%s",
        workshop->stopping ? "finishing" : "working", ledger, sum->on_the_wire,
        (unsigned long long)sum->open,
        (unsigned long long)(pulse->known ? (uint64_t)pulse->uncertain : workshop->counts.unknown),
        budget, sum->balances[0] ? ", balance " : "", sum->balances,
        (unsigned long long)workshop->counts.bought, workshop->last_error[0] ? "; " : "",
        workshop->last_error);
}
