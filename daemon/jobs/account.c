#include "jobs/account.h"
#include "host/clock.h"
#include "host/events.h"
#include "rules/backoff.h"
#include "store/accounts.h"

/* While funds are missing one order is tried that often: a refused add costs a request and nothing
 * else. */
#define FUNDS_WAIT_S 30
/* Orders in a row whose outcome may stay unknown before submits wait. */
#define UNKNOWN_TOLERATED 2

/* Notes in the ledger are for people: losing one with the connection loses nothing else. */
static void noted(void *userdata, const struct store_answer *answer)
{
    (void)userdata;
    if (answer->verdict == STORE_REFUSED)
        log_debug("unable to note an account's state: %s", answer->problem.text);
}

void account_pause(struct account *account, enum error_class class, const char *words,
                   int64_t now_us)
{
    struct log_entry entry = {
        .message_id = MESSAGE_PROVIDER_REFUSES,
        .provider = account->config->name,
        .hint = class == ERROR_ENDPOINT
                    ? "check the provider's url in the configuration, then reload"
                    : "check the key (key_file) in the provider's dashboard, then restart chwsyncd",
    };
    int64_t wait_us;

    if (account->paused_until_us > now_us)
        return; /* an answer to a request that was already on the wire */
    account->pauses++;
    wait_us = backoff_us(account->pauses, 60 * US_PER_S, 900 * US_PER_S, clock_random());
    account->paused_until_us = now_us + wait_us;
    log_repeated(&account->refused_log, LOG_LEVEL_ERROR, &entry,
                 "provider %s refuses our requests: %s; paused, next try in %lld s",
                 account->config->name, words, (long long)(wait_us / US_PER_S));
    workshop_note_error(account->workshop, "provider %s: %s", account->config->name, words);
    (void)accounts_pause_submits(account->workshop->lanes.ledger, account->id, wait_us / US_PER_S,
                                 words, noted, NULL);
}

void account_pause_submits(struct account *account, const char *words, int64_t now_us)
{
    struct log_entry entry = {
        .message_id = MESSAGE_OUT_OF_FUNDS,
        .provider = account->config->name,
        .hint = "add funds at the provider; orders stay queued and go on by themselves"};

    if (account->submits_paused_until_us > now_us)
        return;
    account->submits_paused_until_us = now_us + FUNDS_WAIT_S * US_PER_S;
    account->submits_paused_at_us = now_us;
    account->probing = true;
    log_repeated(&account->funds_log, LOG_LEVEL_WARNING, &entry,
                 "provider %s is out of funds: %s; orders wait, one is tried every %d s",
                 account->config->name, words, FUNDS_WAIT_S);
    workshop_note_error(account->workshop, "provider %s: %s", account->config->name, words);
    (void)accounts_pause_submits(account->workshop->lanes.ledger, account->id, FUNDS_WAIT_S, words,
                                 noted, NULL);
}

void account_note_rate(struct account *account, const char *words, int64_t now_us)
{
    struct log_entry entry = {.message_id = MESSAGE_RATE_LIMITED,
                              .provider = account->config->name};
    int64_t wait_us = client_budget(account->client)->paused_until_us - now_us;

    if (wait_us <= 0)
        return;
    log_repeated(&account->rate_log, LOG_LEVEL_WARNING, &entry,
                 "provider %s limits our rate: %s; no request for %lld s", account->config->name,
                 words, (long long)(wait_us / US_PER_S));
    (void)accounts_pause_all(account->workshop->lanes.ledger, account->id, wait_us / US_PER_S + 1,
                             words, noted, NULL);
}

void account_note_silence(struct account *account, enum api_action action,
                          const struct client_answer *answer)
{
    const char *words = answer->reply ? answer->reply->error : answer->problem.text;
    struct log_entry entry = {.message_id = MESSAGE_PROVIDER_SILENT,
                              .provider = account->config->name,
                              .action = api_action_name(action),
                              .http_status = answer->http_status,
                              .hint = answer->problem.hint[0] ? answer->problem.hint : NULL};

    log_repeated(&account->silence_log, LOG_LEVEL_WARNING, &entry,
                 "provider %s gives no usable answer to %s: %s", account->config->name,
                 api_action_name(action), words ? words : "no answer");
    workshop_note_error(account->workshop, "provider %s: %s", account->config->name,
                        words ? words : "no answer");
}

void account_note_answer(struct account *account)
{
    bool was_refused = log_recovered(&account->refused_log),
         was_silent = log_recovered(&account->silence_log);

    log_recovered(&account->rate_log);
    if (account->pauses) {
        account->pauses = 0;
        account->paused_until_us = 0;
        (void)accounts_pause_submits(account->workshop->lanes.ledger, account->id, 0, NULL, noted,
                                     NULL);
    }
    if (was_refused || was_silent) {
        log_event(LOG_LEVEL_NOTICE, MESSAGE_PROVIDER_ANSWERS, "provider %s answers again",
                  account->config->name);
        account->workshop->last_error[0] = '\0';
    }
}

void account_note_failure(struct account *account, bool sent, const char *words, int64_t now_us)
{
    struct log_entry entry = {.message_id = MESSAGE_PROVIDER_SILENT,
                              .provider = account->config->name};
    unsigned tolerated = sent ? UNKNOWN_TOLERATED : 0;
    int64_t first_us = sent ? 5 * US_PER_S : US_PER_S,
            longest_us = sent ? 900 * US_PER_S : 30 * US_PER_S;

    if (account->submits_paused_until_us > now_us)
        return; /* was on the wire already */
    account->failures++;
    if (account->failures <= tolerated)
        return;
    account->submits_paused_until_us =
        now_us + backoff_us(account->failures - tolerated, first_us, longest_us, clock_random());
    account->submits_paused_at_us = now_us;
    account->probing = true;
    log_repeated(
        &account->breaker_log, LOG_LEVEL_WARNING, &entry,
        "provider %s %s (%s): orders wait, one is tried at growing intervals of up to %lld s",
        account->config->name, sent ? "leaves orders without an answer" : "is not there", words,
        (long long)(longest_us / US_PER_S));
    workshop_note_error(account->workshop, "provider %s: %s", account->config->name, words);
}

void account_note_add_answer(struct account *account)
{
    account->failures = 0;
    (void)log_recovered(&account->breaker_log);
    account_note_answer(account);
}

void account_note_accepted(struct account *account, int64_t sent_us)
{
    account_note_add_answer(account);
    /* What was on the wire already when the pause began may have been served before. */
    if (!account->probing || sent_us < account->submits_paused_at_us)
        return;
    account->probing = false;
    account->submits_paused_until_us = 0;
    log_recovered(&account->funds_log);
    account->workshop->last_error[0] = '\0';
    log_event(LOG_LEVEL_NOTICE, MESSAGE_FUNDS_BACK, "provider %s accepts orders again",
              account->config->name);
    (void)accounts_pause_submits(account->workshop->lanes.ledger, account->id, 0, NULL, noted,
                                 NULL);
}

int64_t account_free_us(const struct account *account, int64_t now_us)
{
    return account->paused_until_us > now_us ? account->paused_until_us : now_us;
}

int64_t account_submits_free_us(const struct account *account, int64_t now_us)
{
    int64_t free_us = account_free_us(account, now_us);

    return account->submits_paused_until_us > free_us ? account->submits_paused_until_us : free_us;
}
