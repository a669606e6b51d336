#include "jobs/compare.h"
#include "base/own.h"
#include "host/clock.h"
#include "host/crash_point.h"
#include "host/events.h"
#include "rules/account_match.h"
#include "store/accounts.h"
#include <inttypes.h>
#include <string.h>

#define MOVE_BATCH 5000    /* rows of each table: a fraction of a second */
#define DECISION_LOOK_S 10 /* an operator may decide any moment */
#define IDLE_LOOK_S 300    /* ... also later */
#define BUSY_LOOK_S 5      /* another instance gives up its lease */
#define ASK_AGAIN_S 60     /* after no usable answer */
#define ASK_ANEW_S 3600    /* after an answer that leaves a doubt */

static const char *provider_of(const struct compare *compare)
{
    return compare->account->config->name;
}

static void forget_known(struct compare *compare)
{
    PQclear(compare->known);
    compare->known = NULL;
}

static void look_again(struct compare *compare, int64_t wait_s)
{
    forget_known(compare);
    compare->step = COMPARE_LOOK;
    compare->busy = false;
    compare->next_us = clock_monotonic_us() + wait_s * US_PER_S;
}

/* A statement failed: begun anew. Without a decision nothing is bought. */
static void begin_anew(struct compare *compare, const struct store_answer *answer)
{
    if (answer && answer->verdict == STORE_REFUSED)
        log_repeated(&compare->fault_log, LOG_LEVEL_ERROR,
                     &(struct log_entry){.message_id = MESSAGE_LEDGER_FAILED,
                                         .provider = provider_of(compare),
                                         .sqlstate = answer->sqlstate},
                     "unable to compare the account of provider %s with earlier ones: %s; nothing "
                     "is bought there until it works, next try in 1 s",
                     provider_of(compare), answer->problem.text);
    look_again(compare, 1);
}

/* ---- the end ---- */

static void nothing_in_the_way(struct compare *compare)
{
    struct account *account = compare->account;

    log_recovered(&compare->fault_log);
    log_recovered(&compare->wait_log);
    if (log_recovered(&compare->doubt_log)) {
        account->workshop->last_error[0] = '\0';
        log_write(LOG_LEVEL_NOTICE,
                  &(struct log_entry){.message_id = MESSAGE_ACCOUNT_DECIDED,
                                      .provider = provider_of(compare)},
                  "orders are bought at provider %s again: it is decided whose account it is",
                  provider_of(compare));
    }
    account->compared = true;
    look_again(compare, IDLE_LOOK_S);
}

static void moved(void *userdata, const struct store_answer *answer)
{
    struct compare *compare = userdata;
    int64_t count;

    compare->busy = false;
    if (answer->verdict != STORE_DONE) {
        begin_anew(compare, answer);
        return;
    }
    CRASH_POINT("compare: moved");
    count = row_integer(answer->rows, 0, 0, 0);
    compare->moved += count;
    compare->on_moved(compare->userdata);
    if (count > 0)
        return; /* the next batch */
    log_write(LOG_LEVEL_NOTICE,
              &(struct log_entry){.message_id = MESSAGE_ACCOUNT_CONTINUED,
                                  .provider = provider_of(compare)},
              "provider %s: the orders of the earlier key are this account's now (%" PRId64
              " rows) and are followed on",
              provider_of(compare), compare->moved);
    compare->moved = 0;
    look_again(compare, 0);
}

/* ---- asking ---- */

static void said(void *userdata, const struct store_answer *answer)
{
    struct compare *compare = userdata;

    if (answer->verdict != STORE_DONE)
        begin_anew(compare, answer);
    else
        look_again(compare, 0); /* what follows is read from the ledger */
}

static int find_row(const PGresult *known, const char *id)
{
    for (int i = 0; i < PQntuples(known); i++)
        if (strcmp(row_text(known, i, KNOWN_ID), id) == 0)
            return i;
    return -1;
}

static bool is_lessening(enum order_status status)
{
    return status == ORDER_STATUS_PARTIAL || status == ORDER_STATUS_CANCELED ||
           status == ORDER_STATUS_REFUNDED;
}

static enum account_sight sight_of(const PGresult *known, int row, const struct reply_order *order)
{
    struct account_facts ours = {.charge = row_text(known, row, KNOWN_CHARGE),
                                 .currency = row_text(known, row, KNOWN_CURRENCY),
                                 .start_count =
                                     row_integer(known, row, KNOWN_START_COUNT, INT64_MIN)},
                         theirs = {.charge = order->charge,
                                   .currency = order->currency,
                                   .start_count =
                                       order->has_start_count ? order->start_count : INT64_MIN};

    if (order->error)
        return order->error_class == ERROR_ORDER ? SIGHT_ABSENT : SIGHT_SILENT;
    if (!order->status_word && !order->charge[0])
        return SIGHT_SILENT;
    return account_compare(&ours, &theirs, is_lessening(order->status));
}

static void read_orders(const struct compare *compare, const struct reply *reply,
                        enum account_sight *sights)
{
    int count = PQntuples(compare->known);

    for (size_t i = 0; i < reply->order_count; i++) {
        const struct reply_order *order = &reply->orders[i];
        int row = order->id ? find_row(compare->known, order->id) : count == 1 ? 0 : -1;

        if (row >= 0)
            sights[row] = sight_of(compare->known, row, order);
    }
}

static void describe(const enum account_sight *sights, size_t count, struct text *text)
{
    size_t seen[SIGHT_DIFFERS + 1] = {0};

    for (size_t i = 0; i < count; i++)
        seen[sights[i]]++;
    text_format(text, "of the %zu newest orders of the earlier key", count);
    if (seen[SIGHT_AGREES] + seen[SIGHT_BARE])
        text_format(text, ", it knows %zu", seen[SIGHT_AGREES] + seen[SIGHT_BARE]);
    if (seen[SIGHT_DIFFERS])
        text_format(text, ", it has %zu with another charge, count or currency",
                    seen[SIGHT_DIFFERS]);
    if (seen[SIGHT_ABSENT])
        text_format(text, ", it does not know %zu", seen[SIGHT_ABSENT]);
    if (seen[SIGHT_SILENT])
        text_format(text, ", it said nothing about %zu", seen[SIGHT_SILENT]);
}

static void say(struct compare *compare, const char *evidence, bool same)
{
    if (same)
        log_write(LOG_LEVEL_NOTICE,
                  &(struct log_entry){.message_id = MESSAGE_ACCOUNT_CONTINUED,
                                      .provider = provider_of(compare)},
                  "provider %s: the new key or url leads to the same account (%s)",
                  provider_of(compare), evidence);
    if (comparisons_say(compare->workshop->lanes.ledger, compare->account->id, compare->earlier_id,
                        evidence, same, said, compare) == 0)
        compare->busy = true;
    else
        begin_anew(compare, NULL);
}

static void judge(struct compare *compare, const enum account_sight *sights)
{
    size_t count = (size_t)PQntuples(compare->known);
    enum account_match match = account_match(sights, count);
    OWN(text_done) struct text evidence = {0};

    describe(sights, count, &evidence);
    if (match == ACCOUNT_UNCLEAR) {
        log_repeated(&compare->wait_log, LOG_LEVEL_WARNING,
                     &(struct log_entry){.message_id = MESSAGE_ACCOUNT_DOUBTED,
                                         .provider = provider_of(compare)},
                     "provider %s: the key or url was changed, and it is not known yet whether "
                     "it is the same account (%s); nothing is bought there, next try in %d s",
                     provider_of(compare), text_string(&evidence), ASK_AGAIN_S);
        look_again(compare, ASK_AGAIN_S);
        return;
    }
    say(compare, text_string(&evidence), match == ACCOUNT_SAME);
}

/* No statuses came: what that means for the account, and when it is asked again. */
static void take_refusal(struct compare *compare, const struct client_answer *answer)
{
    const struct reply *reply = answer->reply;
    const char *words = reply ? reply->error : answer->problem.text;

    if (!reply || reply->outcome == REPLY_UNKNOWN)
        account_note_silence(compare->account, ACTION_MULTI_STATUS, answer);
    else
        (void)account_take_refusal(compare->account, reply, clock_monotonic_us());
    log_repeated(&compare->wait_log, LOG_LEVEL_WARNING,
                 &(struct log_entry){.message_id = MESSAGE_ACCOUNT_DOUBTED,
                                     .provider = provider_of(compare)},
                 "provider %s: the key or url was changed, and it does not say whether it is the "
                 "same account: %s; nothing is bought there, next try in %d s",
                 provider_of(compare), words ? words : "no answer", ASK_AGAIN_S);
    look_again(compare, ASK_AGAIN_S);
}

static void answered(void *userdata, const struct client_answer *answer)
{
    struct compare *compare = userdata;
    const struct reply *reply = answer->reply;
    enum account_sight sights[ACCOUNT_MATCH_IDS] = {SIGHT_SILENT};

    compare->busy = compare->on_the_wire = false;
    if (reply && (reply->outcome == REPLY_STATUS || reply->outcome == REPLY_STATUSES)) {
        account_note_answer(compare->account);
        read_orders(compare, reply, sights);
        judge(compare, sights);
    } else if (reply && reply->outcome == REPLY_REFUSED && reply->class == ERROR_ORDER) {
        for (int i = 0; i < PQntuples(compare->known); i++)
            sights[i] = SIGHT_ABSENT;
        judge(compare, sights);
    } else {
        take_refusal(compare, answer);
    }
}

/* The slot was taken before, and is counted in the ledger. */
static void ask(struct compare *compare)
{
    const char *ids[ACCOUNT_MATCH_IDS];
    size_t count = (size_t)PQntuples(compare->known);
    struct api_request request = {
        .action = count == 1 ? ACTION_STATUS : ACTION_MULTI_STATUS, .ids = ids, .id_count = count};

    for (size_t i = 0; i < count; i++)
        ids[i] = row_text(compare->known, (int)i, KNOWN_ID);
    if (client_send(compare->account->client, &request, NULL, answered, compare) < 0) {
        begin_anew(compare, NULL);
        return;
    }
    compare->busy = compare->on_the_wire = true;
}

static void counted(void *userdata, const struct store_answer *answer)
{
    struct compare *compare = userdata;
    struct client *client = compare->account->client;
    int64_t now_us = clock_monotonic_us();

    compare->busy = false;
    if (answer->verdict == STORE_DONE && lease_holds(&compare->account->lease) &&
        client_budget(client)->paused_until_us <= now_us) {
        ask(compare);
        return;
    }
    client_give_back(client, 1, now_us);
    compare->next_us = now_us + US_PER_S;
}

/* What a crash leaves behind stays taken: a request stands in the ledger before it leaves. */
static void count(struct compare *compare, int64_t now_us)
{
    compare->busy = accounts_count_read(compare->workshop->lanes.ledger, compare->account->id, 1,
                                        counted, compare) == 0;
    if (compare->busy)
        return;
    client_give_back(compare->account->client, 1, now_us);
    compare->next_us = now_us + US_PER_S;
}

static void known_told(void *userdata, const struct store_answer *answer)
{
    struct compare *compare = userdata;

    compare->busy = false;
    if (answer->verdict == STORE_DONE)
        compare->known = PQcopyResult(answer->rows, PG_COPYRES_ATTRS | PG_COPYRES_TUPLES);
    if (!compare->known) {
        begin_anew(compare, answer);
    } else if (PQntuples(compare->known) == 0) {
        forget_known(compare);
        say(compare, "no order of the earlier key has an id that could be asked about", false);
    } else {
        compare->step = COMPARE_ASK;
        compare->next_us = 0;
    }
}

/* ---- looking ---- */

static void doubt(struct compare *compare, const PGresult *rows)
{
    OWN(text_done) struct text hint = {0};
    struct log_entry entry = {.message_id = MESSAGE_ACCOUNT_DOUBTED,
                              .provider = provider_of(compare)};

    text_format(&hint,
                "put the old key or url back; or say what is meant: chwsyncd resolve --account %s "
                "--same (the same account, under a new key), or --new (another account: what was "
                "bought with the old key is then followed by nobody)",
                provider_of(compare));
    entry.hint = text_string(&hint);
    log_repeated(&compare->doubt_log, LOG_LEVEL_ERROR, &entry,
                 "nothing is bought at provider %s: its key or url was changed, and it seems to be "
                 "another account than the one of the orders bought before (%s); asked again "
                 "every %d min",
                 provider_of(compare), row_text(rows, 0, COMPARISON_EVIDENCE), ASK_ANEW_S / 60);
    workshop_note_error(compare->workshop, "provider %s: is it still the same account?",
                        provider_of(compare));
    look_again(compare, DECISION_LOOK_S);
}

/* One earlier account after the other; those that are decided first. */
static void take_first(struct compare *compare, const PGresult *rows)
{
    int64_t asked_s = row_integer(rows, 0, COMPARISON_ASKED_S, INT64_MAX);

    compare->earlier_id = (int)row_integer(rows, 0, COMPARISON_EARLIER_ID, 0);
    if (row_boolean(rows, 0, COMPARISON_SAME)) {
        compare->step = COMPARE_MOVE;
        compare->next_us = 0;
    } else if (compare->account->compared) {
        look_again(compare, IDLE_LOOK_S); /* another instance's: it was not there at the opening */
    } else if (row_boolean(rows, 0, COMPARISON_BUSY)) {
        log_repeated(
            &compare->wait_log, LOG_LEVEL_NOTICE,
            &(struct log_entry){.message_id = MESSAGE_STANDS_BY, .provider = provider_of(compare)},
            "another instance works for %s with another key or url; this one waits until "
            "its lease has ended",
            provider_of(compare));
        look_again(compare, BUSY_LOOK_S);
    } else if (asked_s < ASK_ANEW_S && row_text(rows, 0, COMPARISON_EVIDENCE)) {
        doubt(compare, rows);
    } else {
        compare->busy = comparisons_known(compare->workshop->lanes.ledger, compare->earlier_id,
                                          ACCOUNT_MATCH_IDS, known_told, compare) == 0;
        if (!compare->busy)
            begin_anew(compare, NULL);
    }
}

static void looked(void *userdata, const struct store_answer *answer)
{
    struct compare *compare = userdata;

    compare->busy = false;
    if (answer->verdict != STORE_DONE)
        begin_anew(compare, answer);
    else if (PQntuples(answer->rows) == 0)
        nothing_in_the_way(compare);
    else
        take_first(compare, answer->rows);
}

static void look(struct compare *compare)
{
    compare->busy = comparisons_look(compare->workshop->lanes.ledger, compare->account->id,
                                     compare->workshop->instance, compare->configured,
                                     compare->configured_count, looked, compare) == 0;
    if (!compare->busy)
        begin_anew(compare, NULL);
}

/* ---- the job ---- */

void compare_init(struct compare *compare, struct account *account)
{
    *compare = (struct compare){.account = account, .workshop = account->workshop};
}

void compare_done(struct compare *compare)
{
    forget_known(compare);
}

void compare_wake(struct compare *compare, int64_t now_us)
{
    if (!compare->account->compared && compare->step == COMPARE_LOOK &&
        compare->doubt_log.count > 0)
        compare->next_us = now_us;
}

bool compare_wants_lease(const struct compare *compare)
{
    return compare->step == COMPARE_ASK;
}

static int64_t work_on(struct compare *compare, int64_t now_us)
{
    struct account *account = compare->account;
    int64_t free_us = account_free_us(account, now_us);

    switch (compare->step) {
    case COMPARE_LOOK:
        look(compare);
        return compare->busy ? INT64_MAX : compare->next_us;
    case COMPARE_MOVE:
        compare->busy = comparisons_move(compare->workshop->lanes.ledger, account->id,
                                         compare->earlier_id, MOVE_BATCH, moved, compare) == 0;
        if (!compare->busy)
            begin_anew(compare, NULL);
        return compare->busy ? INT64_MAX : compare->next_us;
    case COMPARE_ASK:
        if (!lease_holds(&account->lease))
            return INT64_MAX; /* another instance works here, and compares */
        if (free_us > now_us)
            return free_us;
        if (client_take(account->client, BUDGET_READ, 1, 0, now_us) == 0)
            return client_next_us(account->client, BUDGET_READ, 0, now_us);
        count(compare, now_us);
        return compare->busy ? INT64_MAX : compare->next_us;
    }
    return INT64_MAX;
}

int64_t compare_work(struct compare *compare, int64_t now_us)
{
    if (compare->busy || compare->workshop->stopping || !compare->workshop->reconciled ||
        !connection_is_up(compare->workshop->lanes.ledger))
        return INT64_MAX;
    if (compare->opened_us != compare->account->opened_us) {
        compare->opened_us = compare->account->opened_us;
        look_again(compare, 0);
    }
    if (now_us < compare->next_us)
        return compare->next_us;
    return work_on(compare, now_us);
}

bool compare_is_quiet(const struct compare *compare)
{
    return !compare->on_the_wire;
}
