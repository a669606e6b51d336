#include "jobs/balance.h"
#include "host/clock.h"
#include "host/events.h"
#include "store/balances.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define LOOK_INTERVAL_S 10  /* while something happens */
#define LOOK_AGAIN_S 60     /* after a fault of the ledger, or while another instance works */
#define LEASE_PATIENCE_S 30 /* another instance has it, and asks itself */

static const char *provider_of(const struct balance *balance)
{
    return balance->account->config->name;
}

static void rest(struct balance *balance, int64_t seconds)
{
    balance->stage = BALANCE_RESTS;
    balance->next_us = clock_monotonic_us() + seconds * US_PER_S;
}

/* Nothing is lost with it: the provider is asked again. */
static void note_fault(struct balance *balance, const struct store_answer *answer)
{
    if (answer->verdict == STORE_REFUSED)
        log_repeated(&balance->fault_log, LOG_LEVEL_ERROR,
                     &(struct log_entry){.message_id = MESSAGE_LEDGER_FAILED,
                                         .provider = provider_of(balance),
                                         .sqlstate = answer->sqlstate},
                     "unable to keep the balance of provider %s: %s; next try in %d s",
                     provider_of(balance), answer->problem.text, LOOK_AGAIN_S);
    rest(balance, LOOK_AGAIN_S);
}

/* ---- what an answer changes ---- */

static void note_mark(const struct balance *balance, bool was_low, bool is_low)
{
    const struct account *account = balance->account;
    struct log_entry entry = {.message_id = MESSAGE_BALANCE_LOW,
                              .provider = provider_of(balance),
                              .hint = "add funds at the provider before orders have to wait"};

    if (is_low && !was_low)
        log_write(LOG_LEVEL_WARNING, &entry,
                  "the balance of provider %s is %s%s%s, below low_balance (%s)",
                  provider_of(balance), account->balance, account->currency[0] ? " " : "",
                  account->currency, account->config->low_balance);
    if (was_low && !is_low)
        log_write(LOG_LEVEL_NOTICE,
                  &(struct log_entry){.message_id = MESSAGE_BALANCE_WELL,
                                      .provider = provider_of(balance)},
                  "the balance of provider %s is %s%s%s, no longer below low_balance",
                  provider_of(balance), account->balance, account->currency[0] ? " " : "",
                  account->currency);
}

/* What limits are in is nowhere written: they are in whatever the provider tells. */
static void note_currency(const struct balance *balance)
{
    const char *former = balance->account->currency, *now = balance->currency;

    if (!*former || !*now || strcasecmp(former, now) == 0)
        return;
    log_write(LOG_LEVEL_WARNING,
              &(struct log_entry){.message_id = MESSAGE_CURRENCY_CHANGED,
                                  .provider = provider_of(balance),
                                  .hint = "check low_balance, max_charge_per_order, "
                                          "max_spend_per_day and the shop's max_charge"},
              "provider %s tells its balance in %s, and told it in %s before: limits on charges "
              "mean other amounts now",
              provider_of(balance), now, former);
}

static void judge_funds(struct balance *balance)
{
    struct account *account = balance->account;
    const struct balance_news news = {
        .rose = balance->rose, .reaches = balance->reaches, .tried = balance->reach_tried};

    if (!account->out_of_funds || !balance_lets_go_on(&news))
        return;
    balance->reach_tried = !balance->rose;
    account_funds_risen(account);
    balance->on_risen(balance->userdata);
}

static void held_freed(void *userdata, const struct store_answer *answer)
{
    struct balance *balance = userdata;

    if (answer->verdict == STORE_DONE && row_integer(answer->rows, 0, 0, 0) > 0)
        balance->on_risen(balance->userdata);
    judge_funds(balance);
}

static void noted(void *userdata, const struct store_answer *answer)
{
    struct balance *balance = userdata;
    struct account *account = balance->account;
    const PGresult *rows = answer->rows;

    if (answer->verdict != STORE_DONE) {
        note_fault(balance, answer);
        return;
    }
    log_recovered(&balance->fault_log);
    rest(balance, 0);
    if (PQntuples(rows) == 0)
        return; /* another instance asked later */
    note_currency(balance);
    snprintf(account->balance, sizeof account->balance, "%s", balance->amount);
    snprintf(account->currency, sizeof account->currency, "%s", balance->currency);
    account->balance_low = row_boolean(rows, 0, NOTE_IS_LOW);
    note_mark(balance, row_boolean(rows, 0, NOTE_WAS_LOW), account->balance_low);
    balance->rose = row_boolean(rows, 0, NOTE_ROSE);
    balance->reaches = row_boolean(rows, 0, NOTE_REACHES);
    /* What was held is due before orders go on: a claim that found it waiting would let the others
     * wait behind it. */
    if (!row_boolean(rows, 0, NOTE_FREES) ||
        balances_free_held(balance->workshop->lanes.ledger, provider_of(balance), held_freed,
                           balance) != 0)
        judge_funds(balance);
}

/* ---- an answer of the provider ---- */

/* No amount: an order is the only way to find out whether there is money. */
static void note_failure(struct balance *balance, const char *words)
{
    struct log_entry entry = {.message_id = MESSAGE_BALANCE_NOT_TOLD,
                              .provider = provider_of(balance),
                              .action = "balance"};
    char line[200];

    text_one_line(line, sizeof line, words);
    balance->failures++;
    log_repeated(&balance->mute_log, LOG_LEVEL_NOTICE, &entry,
                 "provider %s does not tell its balance: %s; asked again, at last hourly",
                 provider_of(balance), line);
    account_balance_not_told(balance->account);
    rest(balance, 0);
}

static void take_refusal(struct balance *balance, const struct reply *reply)
{
    struct account *account = balance->account;
    int64_t now_us = clock_monotonic_us();

    switch (reply->class) {
    case ERROR_KEY:
    case ERROR_ENDPOINT:
        account_pause(account, reply->class, reply->error, now_us);
        rest(balance, 0);
        return;
    case ERROR_RATE:
        account_note_rate(account, reply->error, now_us);
        rest(balance, 0);
        return;
    case ERROR_NONE:
    case ERROR_FUNDS:
    case ERROR_SERVICE:
    case ERROR_PARAMETERS:
    case ERROR_REQUEST:
    case ERROR_DUPLICATE:
    case ERROR_ORDER:
    case ERROR_REFILL:
    case ERROR_SERVER:
    case ERROR_OTHER:
        break;
    }
    note_failure(balance, reply->error);
}

static void take_amount(struct balance *balance, const struct reply *reply)
{
    const struct account *account = balance->account;
    struct balance_told told = {.account_id = account->id,
                                .provider = provider_of(balance),
                                .amount = balance->amount,
                                .asked_at = balance->asked_at,
                                .mark = account->config->low_balance,
                                .keep_days = balance->history_days};

    snprintf(balance->amount, sizeof balance->amount, "%s", reply->balance);
    text_one_line(balance->currency, sizeof balance->currency,
                  reply->currency ? reply->currency : "");
    told.currency = balance->currency[0] ? balance->currency : NULL;
    account_note_answer(balance->account);
    balance->failures = 0;
    balance->account->balance_mute = false;
    log_recovered(&balance->mute_log);
    balance->stage = BALANCE_NOTES;
    if (balances_note(balance->workshop->lanes.ledger, &told, noted, balance) != 0)
        rest(balance, LOOK_AGAIN_S);
}

static void answered(void *userdata, const struct client_answer *answer)
{
    struct balance *balance = userdata;
    const struct reply *reply = answer->reply;

    balance->tried_us = clock_monotonic_us();
    if (!answer->sent && !reply) { /* nobody there, or no lease any more */
        balance->failures++;
        rest(balance, 0);
    } else if (!reply || reply->outcome == REPLY_UNKNOWN) {
        account_note_silence(balance->account, ACTION_BALANCE, answer);
        balance->failures++;
        rest(balance, 0);
    } else if (reply->outcome == REPLY_BALANCE) {
        take_amount(balance, reply);
    } else if (reply->outcome == REPLY_REFUSED || reply->outcome == REPLY_NOT_EXECUTED) {
        take_refusal(balance, reply);
    } else {
        note_failure(balance, "an answer that is no balance");
    }
}

/* ---- asking ---- */

static bool leave(void *userdata)
{
    const struct balance *balance = userdata;

    return lease_holds(&balance->account->lease);
}

static void begun(void *userdata, const struct store_answer *answer)
{
    struct balance *balance = userdata;
    struct client *client = balance->account->client;
    const struct api_request request = {.action = ACTION_BALANCE};

    if (answer->verdict != STORE_DONE) {
        client_give_back(client, 1, clock_monotonic_us());
        note_fault(balance, answer);
        return;
    }
    snprintf(balance->asked_at, sizeof balance->asked_at, "%s", row_text(answer->rows, 0, 0));
    balance->asked_us = clock_monotonic_us();
    balance->stage = BALANCE_ASKS;
    if (client_send(client, &request, leave, answered, balance) < 0)
        rest(balance, LOOK_AGAIN_S);
}

static int64_t ask(struct balance *balance, int64_t now_us)
{
    struct account *account = balance->account;
    int64_t free_us = account_free_us(account, now_us);

    if (free_us > now_us) {
        balance->stage = BALANCE_RESTS;
        balance->next_us = free_us;
        return free_us;
    }
    if (!lease_holds(&account->lease)) {
        if (now_us < balance->wanted_us + LEASE_PATIENCE_S * US_PER_S)
            return balance->wanted_us + LEASE_PATIENCE_S * US_PER_S;
        rest(balance, LOOK_AGAIN_S);
        return balance->next_us;
    }
    if (client_take(account->client, BUDGET_READ, 1, 0, now_us) == 0)
        return client_next_us(account->client, BUDGET_READ, 0, now_us);
    balance->stage = BALANCE_BEGINS;
    if (balances_begin(balance->workshop->lanes.ledger, account->id, begun, balance) == 0)
        return INT64_MAX;
    client_give_back(account->client, 1, now_us);
    rest(balance, LOOK_AGAIN_S);
    return balance->next_us;
}

/* ---- looking ---- */

static void note_held(struct balance *balance, bool held)
{
    if (held && !balance->held)
        account_note_held(balance->account);
    if (!held && balance->held)
        account_note_not_held(balance->account);
    balance->held = held;
}

static void take_known(struct account *account, const PGresult *rows)
{
    const char *amount = row_text(rows, 0, BALANCE_AMOUNT),
               *currency = row_text(rows, 0, BALANCE_CURRENCY);

    snprintf(account->balance, sizeof account->balance, "%s", amount ? amount : "");
    snprintf(account->currency, sizeof account->currency, "%s", currency ? currency : "");
    account->balance_low = row_boolean(rows, 0, BALANCE_IS_LOW);
}

static void looked(void *userdata, const struct store_answer *answer)
{
    struct balance *balance = userdata;
    struct account *account = balance->account;
    const PGresult *rows = answer->rows;
    int64_t now_us = clock_monotonic_us(), wait_s;
    enum balance_reason reason;
    struct balance_facts facts;

    if (answer->verdict != STORE_DONE) {
        note_fault(balance, answer);
        return;
    }
    take_known(account, rows);
    note_held(balance, row_boolean(rows, 0, BALANCE_HOLDS));
    if (!account->out_of_funds && !account->probing)
        balance->reach_tried = false;
    facts = (struct balance_facts){
        .told = row_text(rows, 0, BALANCE_AGO_S) != NULL,
        .told_ago_s = row_integer(rows, 0, BALANCE_AGO_S, 0),
        .out_of_funds =
            (account->out_of_funds && row_boolean(rows, 0, BALANCE_WAITS)) || balance->held,
        /* Also after a start or reload: money may have come meanwhile. */
        .refused = balance->asked_us < account->submits_paused_at_us || balance->asked_us == 0,
        .low = row_boolean(rows, 0, BALANCE_NEARS),
        .spent = row_boolean(rows, 0, BALANCE_IS_SPENT),
        .used = row_boolean(rows, 0, BALANCE_IS_USED),
        .failures = balance->failures,
        .tried_ago_s = (now_us - balance->tried_us) / US_PER_S};
    wait_s = balance_wait_s(&facts, &reason);
    if (wait_s > 0) {
        rest(balance, wait_s);
        return;
    }
    log_debug("provider %s is to be asked for its balance: %s", provider_of(balance),
              balance_reason_text(reason));
    balance->stage = BALANCE_WANTED;
    balance->wanted_us = now_us;
}

/* Something happens that the ledger may tell more of. */
static bool is_lively(const struct balance *balance)
{
    const struct account *account = balance->account;

    return account->adds != balance->adds || account->out_of_funds || account->shares.queued > 0;
}

static int64_t look(struct balance *balance, int64_t now_us)
{
    struct account *account = balance->account;

    if ((account->out_of_funds && !balance->was_out_of_funds) || account->funds_short)
        balance->next_us = now_us; /* at once, and then by the clock */
    if (account->funds_short)
        balance->held = false; /* others than before: said again if its end was said meanwhile */
    account->funds_short = false;
    balance->was_out_of_funds = account->out_of_funds;
    if (is_lively(balance) && balance->next_us > now_us + LOOK_INTERVAL_S * US_PER_S)
        balance->next_us = now_us + LOOK_INTERVAL_S * US_PER_S;
    if (now_us < balance->next_us)
        return balance->next_us;
    balance->adds = account->adds;
    if (balances_look(balance->workshop->lanes.ledger, account->id, provider_of(balance),
                      account->config->low_balance, looked, balance) == 0)
        balance->stage = BALANCE_LOOKS;
    else
        rest(balance, LOOK_AGAIN_S);
    return INT64_MAX;
}

/* ---- the job ---- */

void balance_init(struct balance *balance, struct account *account, unsigned history_days)
{
    *balance = (struct balance){
        .account = account, .workshop = account->workshop, .history_days = history_days};
}

int64_t balance_work(struct balance *balance, int64_t now_us)
{
    if (balance->workshop->stopping || !connection_is_up(balance->workshop->lanes.ledger))
        return INT64_MAX;
    switch (balance->stage) {
    case BALANCE_RESTS:
        return look(balance, now_us);
    case BALANCE_WANTED:
        return ask(balance, now_us);
    case BALANCE_LOOKS:
    case BALANCE_BEGINS:
    case BALANCE_ASKS:
    case BALANCE_NOTES:
        break;
    }
    return INT64_MAX;
}

bool balance_wants_lease(const struct balance *balance)
{
    return balance->stage == BALANCE_WANTED;
}

bool balance_is_quiet(const struct balance *balance)
{
    return balance->stage == BALANCE_RESTS || balance->stage == BALANCE_LOOKS ||
           balance->stage == BALANCE_WANTED;
}
