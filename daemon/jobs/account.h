/*
 * jobs/account.h - one provider's account at work: its client, and when it is paused and why.
 *
 * What one refusal means for the whole account is decided here: a wrong key or URL pauses
 * everything, missing funds pause submits alone, a rate limit is the client's (the budget's pause).
 * Each is said once, with the time of the next try.
 */
#pragma once
#include "api/client.h"
#include "host/config.h"
#include "jobs/job.h"
#include "jobs/lease.h"
#include "rules/breaker.h"
#include "rules/poll_schedule.h"
#include "rules/shares.h"

struct account {
    struct workshop *workshop;            /* borrowed */
    const struct provider_config *config; /* borrowed */
    struct client *client;                /* owned by the engine */
    int id;                               /* in the ledger; 0 until it was opened */
    bool opened;
    bool compared; /* with earlier accounts of its name (jobs/compare): orders may be bought */
    int64_t paused_until_us;         /* everything: key, endpoint */
    int64_t submits_paused_until_us; /* submits: funds */
    int64_t submits_paused_at_us;
    bool service_refused;   /* an add was, for its service: jobs/catalogue looks into it */
    bool funds_short;       /* lines wait for the balance: jobs/balance looks into it */
    int64_t funds_risen_us; /* a refusal of what was sent before says nothing */
    unsigned pauses;        /* in a row, for the back-off of a wrong key */
    bool probing;      /* after a pause of submits: one order at a time until one is accepted */
    bool out_of_funds; /* refused for want of money: until the balance has risen */
    bool balance_mute; /* the last question for the balance got no amount */
    char balance[DECIMAL_SIZE]; /* as told last, "" = never; for people */
    char currency[16];
    bool balance_low;       /* below low_balance */
    uint64_t adds;          /* that left */
    struct breaker breaker; /* of adds that found nobody, or whose answer was lost */
    struct lease lease;
    int64_t opened_us;
    /* The budget's shares and the schedule, as kept in chwsync.budgets once a minute. */
    struct shares shares;
    struct poll_pace pace;
    double background;                  /* orders that end, per open order and second */
    int64_t open;                       /* orders that are followed, about */
    int64_t commands;                   /* requests of commands that the gate knows of */
    bool keeping, waited;               /* adds waited at the last look */
    int64_t keep_us, kept_us, count_us; /* when the figures are kept, were kept; orders counted */
    int64_t noted_pause_us;             /* the end of the latest pause that is in the ledger */
    struct log_repeat breaker_log, refused_log, funds_log, rate_log, pause_log, silence_log;
};

/* The configured limits; a calendar day ends by the wall clock as it is now. */
struct budget_limits account_limits(const struct provider_config *config, int64_t now_us);
void account_init(struct account *account, int64_t now_us);
/* Takes up what the ledger says of it: the answer of accounts_open(). */
void account_open(struct account *account, const struct store_answer *answer, int64_t now_us);
/* Keeps its figures in the ledger once a minute; returns when it wants to be called again. */
int64_t account_work(struct account *account, int64_t now_us);
/* Polls per second that the day affords. */
double account_poll_rate(struct account *account, int64_t now_us);
/* An `add` leaves. */
void account_note_add(struct account *account, int64_t now_us);

/* The provider refused a request as such (class key or endpoint): everything waits 1 min ... 15
 * min. */
void account_pause(struct account *account, enum error_class class, const char *words,
                   int64_t now_us);
/*
 * Submits wait: an order that was sent at `sent_us` was refused for want of money. They go on when
 * jobs/balance says so, or one is tried after a time (rules/balance_watch).
 */
void account_pause_submits(struct account *account, const char *words, int64_t sent_us,
                           int64_t now_us);
/* The balance has risen, or is enough: one order is tried, and the others follow it. */
void account_funds_risen(struct account *account);
/* The provider tells no balance: if submits wait for it, one order is tried soon instead. */
void account_balance_not_told(struct account *account);
/* The claim holds lines because what is left does not reach for them; or it no longer does. */
void account_note_held(struct account *account);
void account_note_not_held(struct account *account);
/* The provider asked to wait; the budget waits already. Kept in the ledger for whoever comes next.
 */
void account_note_rate(struct account *account, const char *words, int64_t now_us);
/* What a refusal of a whole request means for the account: pauses it, or notes its rate. False when
 * it is about something else. */
bool account_take_refusal(struct account *account, const struct reply *reply, int64_t now_us);
/* A request got no usable answer, or got one. */
void account_note_silence(struct account *account, enum api_action action,
                          const struct client_answer *answer);
void account_note_answer(struct account *account);
/*
 * An add found nobody, or its answer was lost (rules/breaker): submits wait, longer and longer,
 * then one is tried; so a provider that is down costs neither a row an order a second nor the
 * certainty of every order in the queue.
 */
void account_note_failure(struct account *account, enum breaker_failure failure, const char *words,
                          int64_t now_us);
/* An add was answered, whatever with: that ends it. */
void account_note_told(struct account *account);
/* An order that was sent at `sent_us` was accepted: a pause of submits that began before does not
 * hold. */
void account_note_accepted(struct account *account, int64_t sent_us);

/* At most one order may be under way: a pause of submits is over, and nothing showed yet that
 * orders are taken again. */
bool account_is_probing(const struct account *account);
/* When requests (submits) may go on: `now_us` or later. */
int64_t account_free_us(const struct account *account, int64_t now_us);
int64_t account_submits_free_us(const struct account *account, int64_t now_us);
