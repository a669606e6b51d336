#include "jobs/account.h"
#include "base/own.h"
#include "host/clock.h"
#include "host/events.h"
#include "rules/backoff.h"
#include "rules/balance_watch.h"
#include "store/accounts.h"
#include "store/balances.h"
#include <stdlib.h>
#include <string.h>

/* Notes in the ledger are for people: losing one with the connection loses nothing else. */
static void noted(void *userdata, const struct store_answer *answer)
{
    (void)userdata;
    if (answer->verdict == STORE_REFUSED)
        log_debug("unable to note an account's state: %s", answer->problem.text);
}

#define KEEP_INTERVAL_US (60 * US_PER_S)
#define KEEP_LEAST_US (5 * US_PER_S) /* between two, also when there is news */
#define CLOCK_SET_US (2 * US_PER_S)  /* a wall clock that differs by that much was set */
#define DAY_US (86400 * US_PER_S)
#define UNNOTICED_S                                                                                \
    6 /* by so much the database's clock may have been set, and a second's fraction */
#define COUNT_INTERVAL_US (600 * US_PER_S) /* of more open orders than are counted at a glance */
#define GLANCE 100000

struct budget_limits account_limits(const struct provider_config *config, int64_t now_us)
{
    int64_t left_s = config->day_reset_minute * 60 - clock_wall_s() % 86400;

    if (left_s <= 0)
        left_s += 86400;
    return (struct budget_limits){.per_minute = config->requests_per_minute,
                                  .per_day = config->requests_per_day,
                                  .burst = config->burst,
                                  .day_rolling = config->day_rolling,
                                  .day_ends_us = now_us + left_s * US_PER_S};
}

void account_init(struct account *account, int64_t now_us)
{
    shares_init(&account->shares, now_us);
    poll_pace_init(&account->pace, now_us);
}

/* Of adds that have ended it is known how long ago; the newest of them, at most so many. */
static unsigned restore_ended(struct budget *budget, const char *ages_s, unsigned at_most,
                              int64_t now_us)
{
    unsigned count = 0;
    char *end;

    for (; ages_s && *ages_s && count < at_most; ages_s = end, count++) {
        int64_t age_s = strtoll(ages_s, &end, 10);

        if (end == ages_s)
            break;
        age_s = age_s > UNNOTICED_S ? age_s - UNNOTICED_S : 0;
        budget_restore(budget, 1, now_us - age_s * US_PER_S, now_us);
    }
    return count;
}

/*
 * A cell of the ledger is a minute. What it holds besides adds that have ended was answered at the
 * latest when that minute and a request's time limit were over; what was on the wire when an
 * earlier process ended counts from now.
 */
static void restore_slots(struct account *account, const PGresult *rows, int64_t now_us)
{
    struct budget *budget = client_budget(account->client);
    int64_t latest_s = 60 + account->config->timeout_s;
    unsigned requests, adds;

    for (int i = PQntuples(rows) - 1; i >= 0; i--) {
        int64_t age_s = row_integer(rows, i, ACCOUNT_MINUTE_AGE_S, 0);

        if (!row_text(rows, i, ACCOUNT_MINUTE_AGE_S))
            continue; /* there is none */
        if (age_s < 0)
            age_s = 0; /* the clock was set back meanwhile */
        requests = (unsigned)row_integer(rows, i, ACCOUNT_MINUTE_REQUESTS, 0);
        adds = (unsigned)row_integer(rows, i, ACCOUNT_MINUTE_ADDS, 0);
        requests -= restore_ended(budget, row_text(rows, i, ACCOUNT_MINUTE_ENDED), adds, now_us);
        budget_restore(budget, requests,
                       now_us - (age_s > latest_s ? age_s - latest_s : 0) * US_PER_S, now_us);
        shares_count_adds(&account->shares, adds, now_us - age_s * US_PER_S, now_us);
    }
}

/* INT64_MIN when it is not known. */
static int64_t moment_us(const PGresult *rows, int column, int64_t now_us)
{
    return row_text(rows, 0, column) ? now_us - row_integer(rows, 0, column, 0) * US_PER_S
                                     : INT64_MIN;
}

static void restore_figures(struct account *account, const PGresult *rows, int64_t now_us)
{
    struct rate_learning learned = {
        .configured = {.per_minute = (unsigned)row_integer(rows, 0, ACCOUNT_CONFIGURED_MINUTE, 0),
                       .per_day = (unsigned)row_integer(rows, 0, ACCOUNT_CONFIGURED_DAY, 0),
                       .burst = (unsigned)row_integer(rows, 0, ACCOUNT_CONFIGURED_BURST, 0)},
        .per_minute = (unsigned)row_integer(rows, 0, ACCOUNT_PER_MINUTE, 0),
        .per_day = (unsigned)row_integer(rows, 0, ACCOUNT_PER_DAY, 0),
        .burst = (unsigned)row_integer(rows, 0, ACCOUNT_BURST, 1),
        .told_minute = (unsigned)row_integer(rows, 0, ACCOUNT_TOLD_MINUTE, 0),
        .told_day = (unsigned)row_integer(rows, 0, ACCOUNT_TOLD_DAY, 0),
        .refusals = (unsigned)row_integer(rows, 0, ACCOUNT_REFUSALS, 0),
        .refused_us = moment_us(rows, ACCOUNT_REFUSED_AGO_S, now_us),
        .raised_us = moment_us(rows, ACCOUNT_RAISED_AGO_S, now_us),
        .day_raised_us = moment_us(rows, ACCOUNT_DAY_RAISED_AGO_S, now_us),
    };

    client_restore_learning(account->client, &learned, row_boolean(rows, 0, ACCOUNT_PROBING),
                            now_us);
    shares_learn_burst(&account->shares, row_real(rows, 0, ACCOUNT_LARGEST_BURST, 0));
    account->pace.speed = row_real(rows, 0, ACCOUNT_CLOCK_SPEED, 0);
    account->pace.usual_worth = row_real(rows, 0, ACCOUNT_USUAL_WORTH, 0);
    account->pace.planned_s = row_real(rows, 0, ACCOUNT_PLANNED_DELAY_S, 0);
    account->pace.measured_s = row_real(rows, 0, ACCOUNT_MEASURED_DELAY_S, 0);
}

static void burst_found(void *userdata, const struct store_answer *answer)
{
    struct account *account = userdata;

    if (answer->verdict == STORE_DONE)
        shares_learn_burst(&account->shares, row_real(answer->rows, 0, 0, 0));
}

/* Said once, by whichever way it showed: a refusal, or a line that the claim holds. */
static void say_out_of_funds(struct account *account, const char *words)
{
    const struct log_entry entry = {
        .message_id = MESSAGE_OUT_OF_FUNDS,
        .provider = account->config->name,
        .hint = "add funds at the provider; orders stay queued and go on by themselves"};

    if (account->funds_log.count == 0)
        log_repeated(&account->funds_log, LOG_LEVEL_WARNING, &entry,
                     "provider %s is out of funds: %s; orders wait, %s is %s every 30 s",
                     account->config->name, words, account->balance_mute ? "one" : "the balance",
                     account->balance_mute ? "tried" : "asked");
    workshop_note_error(account->workshop, "provider %s: %s", account->config->name, words);
}

static void say_funds_are_back(struct account *account)
{
    if (!log_recovered(&account->funds_log))
        return;
    account->workshop->last_error[0] = '\0';
    log_provider_event(LOG_LEVEL_NOTICE, MESSAGE_FUNDS_BACK, account->config->name,
                       "provider %s accepts orders again", account->config->name);
}

static void note_funds(struct account *account, int64_t wait_us, const char *words)
{
    (void)balances_out_of_funds(account->workshop->lanes.ledger, account->id, wait_us / US_PER_S,
                                words, noted, NULL);
}

/*
 * Missing funds are missing for a new process too: it goes on waiting for them. What else paused
 * the account is tried at once, and no longer shown: somebody who restarts has mended it.
 */
static void restore_pause(struct account *account, const PGresult *rows, bool first, int64_t now_us)
{
    int64_t wait_s = row_integer(rows, 0, ACCOUNT_SUBMITS_PAUSED_S, 0);
    const char *words = row_text(rows, 0, ACCOUNT_PAUSE_REASON);

    if (row_boolean(rows, 0, ACCOUNT_OUT_OF_FUNDS)) {
        account->probing = account->out_of_funds = true;
        account->submits_paused_until_us = now_us + wait_s * US_PER_S;
        account->submits_paused_at_us = now_us;
        say_out_of_funds(account, words ? words : "as before the start");
    } else if (account->out_of_funds) { /* another instance has seen the end of it */
        account->out_of_funds = false;
        account->submits_paused_until_us = 0;
    } else if (words && first) {
        (void)accounts_pause_submits(account->workshop->lanes.ledger, account->id, 0, NULL, noted,
                                     NULL);
    }
}

void account_open(struct account *account, const struct store_answer *answer, int64_t now_us)
{
    const PGresult *rows = answer->rows;
    int64_t wait_s = row_integer(rows, 0, ACCOUNT_PAUSED_S, 0);
    struct shares before = account->shares;
    bool first = account->id == 0;

    account->id = (int)row_integer(rows, 0, ACCOUNT_ID, 0);
    if (wait_s > 0)
        budget_pause(client_budget(account->client), now_us + wait_s * US_PER_S);
    budget_forget(client_budget(account->client),
                  now_us); /* what another instance used is in the ledger with ours */
    shares_init(&account->shares,
                now_us); /* likewise: each add counts once, also when opened again */
    account->shares.queued = before.queued;
    shares_learn_burst(&account->shares, before.burst);
    restore_slots(account, rows, now_us);
    if (row_text(rows, 0, ACCOUNT_PER_MINUTE))
        restore_figures(account, rows, now_us);
    else
        (void)accounts_largest_burst(account->workshop->lanes.ledger, account->config->name,
                                     burst_found, account);
    restore_pause(account, rows, first, now_us);
    account->noted_pause_us = client_budget(account->client)->paused_until_us;
    account->commands = row_integer(rows, 0, ACCOUNT_COMMANDS, 0);
    account->opened = true;
    account->compared = false;
    account->opened_us = now_us;
    account->keep_us = account->count_us = now_us;
}

double account_poll_rate(struct account *account, int64_t now_us)
{
    return shares_poll_rate(&account->shares, client_budget(account->client), now_us);
}

void account_note_add(struct account *account, int64_t now_us)
{
    account->adds++;
    shares_count_adds(&account->shares, 1, now_us, now_us);
    if (account->shares.queued > 0)
        account->shares.queued--;
}

static double seconds_of(int64_t time_us)
{
    return (double)time_us / (double)US_PER_S;
}

static struct budget_figures figures_of(struct account *account, int64_t now_us)
{
    struct budget *budget = client_budget(account->client);
    const struct rate_learning *learning = client_learning(account->client);
    const struct budget_limits *limits = &budget->limits;

    return (struct budget_figures){
        .account_id = account->id,
        .provider = account->config->name,
        .instance = account->workshop->instance,
        .configured_burst = learning->configured.burst,
        .configured_minute = learning->configured.per_minute,
        .configured_day = learning->configured.per_day,
        .per_minute = limits->per_minute,
        .per_day = limits->per_day,
        .burst = limits->burst,
        .told_minute = learning->told_minute,
        .told_day = learning->told_day,
        .refusals = learning->refusals,
        .refused_ago_s = learning->met_us != INT64_MIN ? seconds_of(now_us - learning->met_us) : -1,
        .raised_ago_s = seconds_of(now_us - learning->raised_us),
        .day_raised_ago_s = seconds_of(now_us - learning->day_raised_us),
        .day_left_s = limits->per_day == 0 || limits->day_rolling ? -1
                      : limits->day_ends_us > now_us ? seconds_of(limits->day_ends_us - now_us)
                                                     : 0,
        .pace = budget_per_minute(budget),
        .probing = budget->probe != BUDGET_PROBE_NONE,
        .used_minute = budget_minute_used(budget, now_us),
        .used_day = budget_day_used(budget, now_us),
        .largest_burst = account->shares.burst,
        .reserve = shares_reserve(&account->shares, limits),
        .poll_rate = account_poll_rate(account, now_us),
        .clock_speed = account->pace.speed,
        .usual_worth = account->pace.usual_worth,
        .planned_delay_s = account->pace.planned_s,
        .measured_delay_s = account->pace.measured_s,
        .count_open = account->open <= GLANCE || now_us >= account->count_us,
        .open = account->open,
    };
}

/* Where the queue of adds ends, now that its length is known. */
static void keep_queue_end(struct account *account, unsigned before, double last_s, int64_t now_us)
{
    unsigned queued = account->shares.queued;
    double seconds = -1;

    if (!account->lease.ours || (queued == 0 && before == 0))
        return;
    if (queued > 0)
        seconds =
            seconds_of(budget_queue_ends_us(client_budget(account->client), queued,
                                            account->config->max_in_flight,
                                            account_submits_free_us(account, now_us), now_us) -
                       now_us);
    if (queued > 0 && seconds < last_s)
        seconds = last_s;
    (void)accounts_keep_queue_end(account->workshop->lanes.ledger, account->id,
                                  account->workshop->instance, seconds, noted, NULL);
}

static void kept(void *userdata, const struct store_answer *answer)
{
    struct account *account = userdata;
    int64_t now_us = clock_monotonic_us(), commands;
    unsigned queued = account->shares.queued;

    account->keeping = false;
    if (answer->verdict == STORE_REFUSED)
        log_debug("unable to keep the figures of provider %s: %s", account->config->name,
                  answer->problem.text);
    if (answer->verdict != STORE_DONE)
        return;
    account->open = row_integer(answer->rows, 0, 0, 0);
    commands = row_integer(answer->rows, 0, 3, 0);
    if (commands > account->commands) /* an operator's questions, since the last look */
        budget_restore(client_budget(account->client), (unsigned)(commands - account->commands),
                       now_us, now_us);
    account->commands = commands;
    account->shares.queued = (unsigned)row_integer(answer->rows, 0, 1, 0);
    account->background =
        account->open > 0 ? row_real(answer->rows, 0, 2, 0) / 86400 / (double)account->open : 0;
    keep_queue_end(account, queued, row_real(answer->rows, 0, 4, 0), now_us);
}

/* A calendar day ends by the wall clock, which somebody may set: then all is counted anew. */
static bool clock_was_set(struct account *account, int64_t now_us)
{
    struct budget *budget = client_budget(account->client);
    struct budget_limits limits = budget->limits;
    int64_t differs_us;

    if (limits.day_rolling)
        return false;
    limits.day_ends_us = account_limits(account->config, now_us).day_ends_us;
    differs_us = (limits.day_ends_us - budget->limits.day_ends_us) % DAY_US;
    if (differs_us < 0)
        differs_us += DAY_US;
    if (differs_us < CLOCK_SET_US || differs_us > DAY_US - CLOCK_SET_US)
        return false;
    (void)budget_set_limits(budget, &limits, now_us); /* the minute is as it was */
    log_notice("the clock was set: the day of provider %s ends in %lld s, and its requests are "
               "counted anew",
               account->config->name, (long long)((limits.day_ends_us - now_us) / US_PER_S));
    account->opened = false;
    return true;
}

/* A wait that came without a refusal for rate, as with a 503, is kept for whoever comes next too.
 */
static void note_pause(struct account *account, int64_t now_us)
{
    int64_t until_us = client_budget(account->client)->paused_until_us;
    const struct log_entry entry = {.provider = account->config->name};

    if (until_us <= account->noted_pause_us || until_us <= now_us)
        return;
    account->noted_pause_us = until_us;
    log_repeated(&account->pause_log, LOG_LEVEL_INFO, &entry,
                 "provider %s wants to be left alone: no request for %lld s", account->config->name,
                 (long long)((until_us - now_us) / US_PER_S));
    (void)accounts_pause_all(account->workshop->lanes.ledger, account->id,
                             (until_us - now_us) / US_PER_S + 1, NULL, noted, NULL);
}

/* A queue that begins is news: its end is looked for soon. */
static void note_waiting(struct account *account, int64_t now_us)
{
    bool waits = client_budget(account->client)->adds_waiting;

    if (waits && !account->waited && account->keep_us > account->kept_us + KEEP_LEAST_US)
        account->keep_us = account->kept_us + KEEP_LEAST_US > now_us + US_PER_S
                               ? account->kept_us + KEEP_LEAST_US
                               : now_us + US_PER_S;
    account->waited = waits;
}

int64_t account_work(struct account *account, int64_t now_us)
{
    struct budget_figures figures;

    if (!account->opened || !connection_is_up(account->workshop->lanes.ledger))
        return INT64_MAX;
    note_pause(account, now_us);
    if (account->keeping)
        return INT64_MAX;
    note_waiting(account, now_us);
    if (now_us < account->keep_us)
        return account->keep_us;
    if (clock_was_set(account, now_us))
        return now_us;
    if (account->lease.ours && client_recover_limits(account->client, now_us))
        log_info("provider %s: %u requests a minute and %u a day from now on",
                 account->config->name, client_budget(account->client)->limits.per_minute,
                 client_budget(account->client)->limits.per_day);
    figures = figures_of(account, now_us);
    if (figures.count_open)
        account->count_us = now_us + COUNT_INTERVAL_US;
    if (accounts_keep(account->workshop->lanes.ledger, &figures, kept, account) == 0)
        account->keeping = true;
    account->kept_us = now_us;
    account->keep_us =
        now_us + (client_budget(account->client)->paused_until_us > now_us ? KEEP_LEAST_US
                                                                           : KEEP_INTERVAL_US);
    return account->keep_us;
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

void account_pause_submits(struct account *account, const char *words, int64_t sent_us,
                           int64_t now_us)
{
    int64_t wait_us = balance_probe_s(!account->balance_mute) * US_PER_S;

    if (sent_us < account->funds_risen_us)
        return;
    account->probing = account->out_of_funds = true;
    if (account->submits_paused_until_us > now_us)
        return; /* it was on the wire when the pause began */
    account->submits_paused_until_us = now_us + wait_us;
    account->submits_paused_at_us = now_us;
    say_out_of_funds(account, words);
    note_funds(account, wait_us, words);
}

void account_funds_risen(struct account *account)
{
    const struct log_entry entry = {.provider = account->config->name, .action = "balance"};

    log_write(LOG_LEVEL_INFO, &entry, "provider %s has a balance of %s%s%s: orders are tried again",
              account->config->name, account->balance, account->currency[0] ? " " : "",
              account->currency);
    account->out_of_funds = false;
    account->submits_paused_until_us = 0;
    account->funds_risen_us = clock_monotonic_us();
    note_funds(account, 0, NULL);
}

void account_balance_not_told(struct account *account)
{
    int64_t until_us = account->submits_paused_at_us + balance_probe_s(false) * US_PER_S;

    account->balance_mute = true;
    if (!account->out_of_funds || until_us >= account->submits_paused_until_us)
        return;
    account->submits_paused_until_us = until_us;
    note_funds(account, until_us - clock_monotonic_us(),
               "out of funds, and no balance is told: one order is tried every 30 s");
}

void account_note_held(struct account *account)
{
    OWN(text_done) struct text words = {0};

    text_format(&words, "a balance of %s%s%s does not reach for the next order", account->balance,
                account->currency[0] ? " " : "", account->currency);
    say_out_of_funds(account, text_string(&words));
}

void account_note_not_held(struct account *account)
{
    if (!account->probing)
        say_funds_are_back(account);
}

void account_note_rate(struct account *account, const char *words, int64_t now_us)
{
    struct log_entry entry = {.message_id = MESSAGE_RATE_LIMITED,
                              .provider = account->config->name};
    const struct budget *budget = client_budget(account->client);
    int64_t wait_us = budget->paused_until_us - now_us;

    account->keep_us = now_us; /* what was learned outlives a crash */
    account->noted_pause_us = budget->paused_until_us;
    if (wait_us <= 0)
        return;
    log_repeated(&account->rate_log, LOG_LEVEL_WARNING, &entry,
                 "provider %s limits our rate: %s; no request for %lld s, then one, and limits of "
                 "%u a minute and %u a day (0 = none)",
                 account->config->name, words, (long long)(wait_us / US_PER_S),
                 budget->limits.per_minute, budget->limits.per_day);
    (void)accounts_pause_all(account->workshop->lanes.ledger, account->id, wait_us / US_PER_S + 1,
                             words, noted, NULL);
}

bool account_take_refusal(struct account *account, const struct reply *reply, int64_t now_us)
{
    if (reply->class == ERROR_KEY || reply->class == ERROR_ENDPOINT)
        account_pause(account, reply->class, reply->error, now_us);
    else if (reply->class == ERROR_RATE)
        account_note_rate(account, reply->error, now_us);
    else
        return false;
    return true;
}

void account_note_silence(struct account *account, enum api_action action,
                          const struct client_answer *answer)
{
    const char *words = answer->reply ? answer->reply->error : answer->problem.text;
    struct log_entry entry = {.message_id = MESSAGE_PROVIDER_SILENT,
                              .provider = account->config->name,
                              .action = api_action_name(action),
                              .http_status = answer->http_status,
                              .hint = answer->problem.hint};

    log_repeated(&account->silence_log, LOG_LEVEL_WARNING, &entry,
                 "provider %s gives no usable answer to %s: %s%s", account->config->name,
                 api_action_name(action), words ? words : "no answer",
                 action == ACTION_REFILL ? "" : "; it is asked again in its turn");
    workshop_note_error(account->workshop, "provider %s: %s", account->config->name,
                        words ? words : "no answer");
}

void account_note_answer(struct account *account)
{
    bool was_refused = log_recovered(&account->refused_log),
         was_silent = log_recovered(&account->silence_log);

    log_recovered(&account->rate_log);
    log_recovered(&account->pause_log);
    if (account->pauses) {
        account->pauses = 0;
        account->paused_until_us = 0;
        if (account->out_of_funds) /* which that pause had written over */
            note_funds(account, account->submits_paused_until_us - clock_monotonic_us(),
                       "out of funds");
        else
            (void)accounts_pause_submits(account->workshop->lanes.ledger, account->id, 0, NULL,
                                         noted, NULL);
    }
    if (was_refused || was_silent) {
        log_provider_event(LOG_LEVEL_NOTICE, MESSAGE_PROVIDER_ANSWERS, account->config->name,
                           "provider %s answers again", account->config->name);
        account->workshop->last_error[0] = '\0';
    }
}

void account_note_failure(struct account *account, enum breaker_failure failure, const char *words,
                          int64_t now_us)
{
    bool lost = failure == BREAKER_LOST;
    struct log_entry entry = {.message_id = MESSAGE_ORDERS_WAIT,
                              .provider = account->config->name,
                              .hint = lost
                                          ? "each of these orders may exist there: chwsyncd orders "
                                            "--state uncertain"
                                          : NULL};
    OWN(text_done) struct text reason = {0};

    if (!breaker_note_failure(&account->breaker, failure, now_us))
        return;
    text_format(&reason, "it %s (%s)", lost ? "leaves orders without an answer" : "is not there",
                words);
    log_repeated(&account->breaker_log, lost ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, &entry,
                 "provider %s %s: orders wait, one is tried at growing intervals of up to %lld s",
                 account->config->name, text_string(&reason) + strlen("it "),
                 (long long)(breaker_longest_us(failure) / US_PER_S));
    workshop_note_error(account->workshop, "provider %s: %s", account->config->name,
                        text_string(&reason));
    (void)accounts_pause_submits(account->workshop->lanes.ledger, account->id,
                                 account->breaker.pause_us / US_PER_S, text_string(&reason), noted,
                                 NULL);
}

void account_note_told(struct account *account)
{
    if (!breaker_note_answer(&account->breaker))
        return;
    log_recovered(&account->breaker_log);
    account->workshop->last_error[0] = '\0';
    log_provider_event(LOG_LEVEL_NOTICE, MESSAGE_ORDERS_GO_ON, account->config->name,
                       "provider %s answers orders again", account->config->name);
    (void)accounts_pause_submits(account->workshop->lanes.ledger, account->id, 0, NULL, noted,
                                 NULL);
}

void account_note_accepted(struct account *account, int64_t sent_us)
{
    account_note_answer(account);
    /* What was on the wire already when the pause began may have been served before. */
    if (!account->probing || sent_us < account->submits_paused_at_us)
        return;
    account->probing = account->out_of_funds = false;
    account->submits_paused_until_us = 0;
    say_funds_are_back(account);
    note_funds(account, 0, NULL);
}

bool account_is_probing(const struct account *account)
{
    return account->probing || account->pauses > 0 || breaker_is_open(&account->breaker);
}

int64_t account_free_us(const struct account *account, int64_t now_us)
{
    return account->paused_until_us > now_us ? account->paused_until_us : now_us;
}

int64_t account_submits_free_us(const struct account *account, int64_t now_us)
{
    int64_t free_us = account_free_us(account, now_us);

    if (account->breaker.paused_until_us > free_us)
        free_us = account->breaker.paused_until_us;
    return account->submits_paused_until_us > free_us ? account->submits_paused_until_us : free_us;
}
