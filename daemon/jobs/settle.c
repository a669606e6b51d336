#include "jobs/settle.h"
#include "base/own.h"
#include "host/clock.h"
#include "host/crash_point.h"
#include "host/events.h"
#include "store/accounts.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_INTERVAL_S 30    /* an operator who is not heard must not wait long */
#define LOOK_AGAIN_FIRST_S 30 /* doubled with each look at the same attempt */
#define LOOK_AGAIN_LONGEST_S (6 * 3600)
#define LOOK_AGAIN_HOPELESS_S (24 * 3600)
#define LEASE_PATIENCE_S 30 /* another instance has it, and searches itself */
#define EVIDENCE_ABOVE 100  /* ids that are asked when no later order is known yet */
#define ORDERS_TOLD 8       /* found orders that the evidence describes */
#define BALANCE_SERVES_S 60 /* for the searches that follow: after a crash there are many */

static void search_free(struct settle_search *search)
{
    if (!search)
        return;
    PQclear(search->facts);
    free(search->order_ref);
    free(search->wanted_id);
    free(search);
}

/* How long a request that was given up may still be carried out. */
static int64_t settle_s(const struct settle *settle)
{
    return 2 * (int64_t)settle->account->config->timeout_s;
}

static bool tell_shop(const struct settle *settle)
{
    return shop_has_function(settle->workshop->shop);
}

static void end_search(struct settle *settle, int64_t next_us)
{
    search_free(GIVE(settle->search));
    settle->busy = false;
    settle->next_us = next_us;
}

/* A statement failed or could not be made: the search is begun anew a little later. */
static void begin_anew(struct settle *settle, const struct store_answer *answer)
{
    if (answer && answer->verdict == STORE_REFUSED)
        log_repeated(&settle->fault_log, LOG_LEVEL_ERROR,
                     &(struct log_entry){.message_id = MESSAGE_LEDGER_FAILED,
                                         .provider = settle->account->config->name,
                                         .sqlstate = answer->sqlstate},
                     "unable to settle what is uncertain at %s: %s; next try in %d s",
                     settle->account->config->name, answer->problem.text, LOOK_INTERVAL_S);
    end_search(settle, clock_monotonic_us() + LOOK_INTERVAL_S * US_PER_S);
}

/* ---- evidence ---- */

static void describe_order(struct text *text, const struct settle_probe *probe)
{
    text_format(text, "%" PRIu64 " (%s, charge %s%s%s", probe->id,
                probe->status[0] ? probe->status : "no status",
                probe->charge[0] ? probe->charge : "not told", probe->currency[0] ? " " : "",
                probe->currency);
    if (probe->remains != INT64_MIN)
        text_format(text, ", remains %" PRId64, probe->remains);
    text_add_char(text, ')');
}

static void describe_probes(struct text *text, const struct settle_search *search)
{
    size_t seen[SEEN_ORDER + 1] = {0}, told = 0, count = search->lost.probe_count;

    for (size_t i = 0; i < count; i++)
        seen[search->probes[i].seen]++;
    text_format(text, "of %zu ids from %" PRIu64 " to %" PRIu64 " %zu are ours", count,
                search->probes[0].id, search->probes[count - 1].id, seen[SEEN_OURS]);
    if (seen[SEEN_ABSENT])
        text_format(text, ", %zu are not known there", seen[SEEN_ABSENT]);
    if (seen[SEEN_SILENT])
        text_format(text, ", %zu were not told", seen[SEEN_SILENT]);
    text_format(text, ", %zu are orders%s", seen[SEEN_ORDER], seen[SEEN_ORDER] ? ": " : "");
    for (size_t i = 0; i < count && told < ORDERS_TOLD; i++) {
        if (search->probes[i].seen != SEEN_ORDER)
            continue;
        text_add(text, told++ ? ", " : "");
        describe_order(text, &search->probes[i]);
    }
    if (seen[SEEN_ORDER] > told)
        text_format(text, " and %zu more", seen[SEEN_ORDER] - told);
}

/* One paragraph for the order's history and the operator. */
static void describe(struct text *text, const struct settle *settle, enum settle_verdict verdict,
                     bool prove)
{
    const struct settle_search *search = settle->search;

    if (search->lost.probe_count)
        describe_probes(text, search);
    else
        text_add(text, "no id could be asked");
    if (search->lost.charge)
        text_format(text, "; orders like it cost %s", search->lost.charge);
    if (settle->balance[0])
        text_format(text, "; the balance is %s%s%s", settle->balance,
                    settle->currency[0] ? " " : "", settle->currency);
    text_format(text, ". %s: %s",
                verdict != SETTLE_MATCHED ? "Nothing is adopted"
                : prove                   ? "Adopted"
                                          : "Not adopted, because uncertain is \"hold\"",
                settle_verdict_text(verdict));
}

static int64_t look_again_s(const struct settle_search *search, enum settle_verdict verdict)
{
    int64_t wait_s = LOOK_AGAIN_FIRST_S;

    if (!settle_verdict_can_change(verdict))
        return LOOK_AGAIN_HOPELESS_S;
    for (int64_t i = 0; i < search->looks && wait_s < LOOK_AGAIN_LONGEST_S; i++)
        wait_s *= 2;
    return wait_s < LOOK_AGAIN_LONGEST_S ? wait_s : LOOK_AGAIN_LONGEST_S;
}

static void noted(void *userdata, const struct store_answer *answer)
{
    struct settle *settle = userdata;

    if (answer->verdict != STORE_DONE)
        begin_anew(settle, answer);
    else
        end_search(settle, clock_monotonic_us());
}

static void note(struct settle *settle, enum settle_verdict verdict)
{
    struct settle_search *search = settle->search;
    OWN(text_done) struct text evidence = {0};
    struct log_entry entry = {.order_ref = search->order_ref,
                              .provider = settle->account->config->name};

    describe(&evidence, settle, verdict, false);
    log_write(LOG_LEVEL_DEBUG, &entry, "order %s stays uncertain: %s", search->order_ref,
              text_string(&evidence));
    if (settle_note(settle->workshop->lanes.ledger, search->order_id, search->number,
                    evidence.failed ? NULL : text_string(&evidence), look_again_s(search, verdict),
                    noted, settle) != 0)
        begin_anew(settle, NULL);
}

/* ---- adopting ---- */

static void adopted(void *userdata, const struct store_answer *answer)
{
    struct settle *settle = userdata;

    if (answer->verdict != STORE_DONE) {
        begin_anew(settle, answer);
        return;
    }
    CRASH_POINT("settle: adopted");
    for (int i = 0; i < PQntuples(answer->rows); i++)
        log_write(LOG_LEVEL_NOTICE,
                  &(struct log_entry){.order_ref = row_text(answer->rows, i, 0),
                                      .provider = settle->account->config->name,
                                      .message_id = MESSAGE_ORDER_SETTLED},
                  "order %s is no longer uncertain: it is order %s at %s, by proof",
                  row_text(answer->rows, i, 0), row_text(answer->rows, i, 1),
                  settle->account->config->name);
    if (PQntuples(answer->rows) > 0)
        settle->on_settled(settle->userdata);
    end_search(settle, clock_monotonic_us() + (PQntuples(answer->rows) ? 0 : US_PER_S));
}

/* The lost attempt and its twins, each with one of the orders found. */
static void adopt(struct settle *settle, size_t matches)
{
    struct settle_search *search = settle->search;
    struct settle_pair pairs[SETTLE_OTHERS_MAX + 1];
    char ids[SETTLE_OTHERS_MAX + 1][24];
    OWN(text_done) struct text why = {0};
    size_t count = 0, twin = 0;

    for (size_t i = 0; i < search->lost.probe_count && count < matches; i++) {
        if (search->probes[i].seen != SEEN_ORDER)
            continue;
        while (count > 0 && !search->rivals[twin].identical)
            twin++;
        snprintf(ids[count], sizeof ids[count], "%" PRIu64, search->probes[i].id);
        pairs[count] = (struct settle_pair){
            .order_id = count ? search->others[twin].order_id : search->order_id,
            .number = count ? search->others[twin].number : search->number,
            .provider_order_id = ids[count]};
        twin += count > 0;
        count++;
    }
    describe(&why, settle, SETTLE_MATCHED, true);
    if (settle_adopt(settle->workshop->lanes.ledger, settle->account->id, pairs, count, false,
                     text_string(&why), tell_shop(settle), adopted, settle) != 0)
        begin_anew(settle, NULL);
}

/*
 * Whether the facts' moments tell what was first: the clock was looked at since they were read, and
 * had not been set. Otherwise it is looked at, or all begins anew.
 */
static bool clock_agrees(struct settle *settle)
{
    struct workshop *workshop = settle->workshop;

    if (workshop->clock_set_us >= settle->search->facts_us) {
        begin_anew(settle, NULL);
        return false;
    }
    if (workshop->clock_seen_us >= settle->search->facts_us)
        return true;
    workshop->clock_doubtful = true;
    settle->busy = false;
    settle->next_us = clock_monotonic_us() + US_PER_S;
    return false;
}

static void judge(struct settle *settle)
{
    struct settle_search *search = settle->search;
    enum settle_verdict verdict = search->span;
    size_t matches = 0;

    if (verdict == SETTLE_MATCHED)
        verdict = settle_judge(&search->lost, &matches);
    if (verdict != SETTLE_MATCHED || settle->account->config->uncertain != UNCERTAIN_PROVE)
        note(settle, verdict);
    else if (clock_agrees(settle))
        adopt(settle, matches);
}

/* ---- what an operator named ---- */

static void resolution_answered(void *userdata, const struct store_answer *answer)
{
    noted(userdata, answer);
}

static void resolve(struct settle *settle, bool placed, const char *words)
{
    char line[500];

    text_one_line(line, sizeof line, words);
    if (settle_answer(settle->workshop->lanes.ledger, settle->search->resolution_id, placed, line,
                      resolution_answered, settle) != 0)
        begin_anew(settle, NULL);
}

static void named_adopted(void *userdata, const struct store_answer *answer)
{
    struct settle *settle = userdata;
    bool done;

    if (answer->verdict != STORE_DONE) {
        begin_anew(settle, answer);
        return;
    }
    done = PQntuples(answer->rows) == 1;
    if (done) {
        log_write(LOG_LEVEL_NOTICE,
                  &(struct log_entry){.order_ref = settle->search->order_ref,
                                      .provider = settle->account->config->name,
                                      .message_id = MESSAGE_ORDER_SETTLED},
                  "order %s is no longer uncertain: it is order %s at %s, as an operator said",
                  settle->search->order_ref, settle->search->wanted_id,
                  settle->account->config->name);
        settle->on_settled(settle->userdata);
    }
    resolve(settle, done,
            done ? "it is there, and followed from now on"
                 : "that id belongs to another order, or this one is no longer uncertain");
}

static void take_named(struct settle *settle, const struct reply_order *order)
{
    struct settle_search *search = settle->search;
    OWN(text_done) struct text why = {0};
    const struct settle_pair pair = {.order_id = search->order_id,
                                     .number = search->number,
                                     .provider_order_id = search->wanted_id};
    char word[32];

    text_one_line(word, sizeof word, order->status_word ? order->status_word : "no status");
    text_format(&why, "an operator said so, and the provider knows that order: %s, charge %s", word,
                order->charge[0] ? order->charge : "not told");
    if (settle_adopt(settle->workshop->lanes.ledger, settle->account->id, &pair, 1, true,
                     text_string(&why), tell_shop(settle), named_adopted, settle) != 0)
        begin_anew(settle, NULL);
}

static void named_told(struct settle *settle, const struct client_answer *answer)
{
    const struct reply *reply = answer->reply;
    const struct reply_order *order = reply && reply->order_count == 1 ? &reply->orders[0] : NULL;
    OWN(text_done) struct text words = {0};

    if (reply && reply->outcome == REPLY_STATUS && order && !order->error) {
        take_named(settle, order);
        return;
    }
    if (reply && reply->outcome == REPLY_NOT_EXECUTED && reply->class == ERROR_RATE) {
        account_note_rate(settle->account, reply->error, clock_monotonic_us());
        settle->search->asking = false; /* asked again as soon as the budget has it */
        settle->busy = false;
        return;
    }
    text_format(&words, "the provider does not confirm it: %s",
                order && order->error ? order->error
                : !reply              ? answer->problem.text
                : reply->error        ? reply->error
                                      : "no answer that can be read");
    resolve(settle, false, text_string(&words));
}

/* ---- asking ---- */

static struct settle_probe *find_probe(struct settle_search *search, const char *id)
{
    char own[24];

    for (size_t i = 0; i < search->batch_count; i++) {
        struct settle_probe *probe = &search->probes[search->batch[i]];

        snprintf(own, sizeof own, "%" PRIu64, probe->id);
        if (!id || strcmp(id, own) == 0)
            return probe;
    }
    return NULL;
}

static void read_order(struct settle_search *search, const struct reply_order *order)
{
    struct settle_probe *probe = find_probe(search, order->id);

    if (!probe || (!order->id && search->batch_count > 1))
        return;
    if (order->error) {
        probe->seen = order->error_class == ERROR_ORDER ? SEEN_ABSENT : SEEN_SILENT;
        return;
    }
    if (!order->status_word && !order->charge[0])
        return; /* an empty object tells nothing */
    probe->seen = SEEN_ORDER;
    snprintf(probe->charge, sizeof probe->charge, "%s", order->charge);
    text_one_line(probe->status, sizeof probe->status,
                  order->status_word ? order->status_word : "");
    text_one_line(probe->currency, sizeof probe->currency, order->currency ? order->currency : "");
    probe->remains = order->has_remains ? order->remains : INT64_MIN;
}

/* A refusal of the whole request: what it means for the account, and that the rest is not asked
 * now. */
static void take_refusal(struct settle *settle, const struct reply *reply)
{
    struct settle_search *search = settle->search;

    if (reply->class == ERROR_ORDER && search->batch_count == 1) {
        search->probes[search->batch[0]].seen = SEEN_ABSENT;
        return;
    }
    search->cut_short = true;
    (void)account_take_refusal(settle->account, reply, clock_monotonic_us());
}

static void take_statuses(struct settle *settle, const struct client_answer *answer)
{
    struct settle_search *search = settle->search;
    const struct reply *reply = answer->reply;

    if (!reply) {
        account_note_silence(settle->account, ACTION_MULTI_STATUS, answer);
        search->cut_short = true;
    } else if (reply->outcome == REPLY_STATUS || reply->outcome == REPLY_STATUSES) {
        for (size_t i = 0; i < reply->order_count; i++)
            read_order(search, &reply->orders[i]);
    } else if (reply->outcome == REPLY_REFUSED || reply->outcome == REPLY_NOT_EXECUTED) {
        take_refusal(settle, reply);
    } else {
        search->cut_short = true;
    }
}

static void take_balance(struct settle *settle, const struct reply *reply)
{
    bool told = reply && reply->outcome == REPLY_BALANCE;

    snprintf(settle->balance, sizeof settle->balance, "%s", told ? reply->balance : "");
    text_one_line(settle->currency, sizeof settle->currency,
                  told && reply->currency ? reply->currency : "");
}

static void answered(void *userdata, const struct client_answer *answer)
{
    struct settle *settle = userdata;
    struct settle_search *search = settle->search;

    settle->busy = false;
    search->asking = false;
    settle->next_us = clock_monotonic_us();
    if (search->resolution_id) {
        settle->busy = true;
        named_told(settle, answer);
        return;
    }
    if (search->batch_count == 0) {
        take_balance(settle, answer->reply);
        return;
    }
    take_statuses(settle, answer);
}

static bool wants_balance(const struct settle *settle)
{
    return !settle->search->cut_short &&
           (settle->balance_us == 0 ||
            clock_monotonic_us() - settle->balance_us >= BALANCE_SERVES_S * US_PER_S);
}

/* What the next request asks, from the search; ids are written to `names`. False = nothing is left.
 */
static bool next_request(const struct settle *settle, char names[][24], const char **ids,
                         struct api_request *ret_request)
{
    struct settle_search *search = settle->search;

    search->batch_count = 0;
    if (search->resolution_id) {
        ids[0] = search->wanted_id;
        *ret_request = (struct api_request){.action = ACTION_STATUS, .ids = ids, .id_count = 1};
        return true;
    }
    for (; search->asked < search->lost.probe_count && search->batch_count < MULTI_STATUS_MAX;
         search->asked++) {
        const struct settle_probe *probe = &search->probes[search->asked];

        if (probe->seen == SEEN_OURS || search->cut_short)
            continue;
        snprintf(names[search->batch_count], 24, "%" PRIu64, probe->id);
        ids[search->batch_count] = names[search->batch_count];
        search->batch[search->batch_count++] = search->asked;
    }
    if (search->batch_count == 0) {
        *ret_request = (struct api_request){.action = ACTION_BALANCE};
        return wants_balance(settle);
    }
    *ret_request = (struct api_request){.action = search->batch_count == 1 ? ACTION_STATUS
                                                                           : ACTION_MULTI_STATUS,
                                        .ids = ids,
                                        .id_count = search->batch_count};
    return true;
}

/* Whether anything is left to be asked. */
static bool has_request(const struct settle *settle)
{
    const struct settle_search *search = settle->search;

    if (search->resolution_id)
        return true;
    if (search->cut_short)
        return false;
    for (size_t i = search->asked; i < search->lost.probe_count; i++)
        if (search->probes[i].seen != SEEN_OURS)
            return true;
    return wants_balance(settle);
}

/* Sends the next request of the search. Its slot was taken before, and is counted in the ledger. */
static void ask(struct settle *settle)
{
    struct settle_search *search = settle->search;
    struct client *client = settle->account->client;
    char names[MULTI_STATUS_MAX][24];
    const char *ids[MULTI_STATUS_MAX];
    struct api_request request;

    if (!next_request(settle, names, ids, &request)) {
        client_give_back(client, 1, clock_monotonic_us());
        judge(settle);
        return;
    }
    if (!search->resolution_id && search->batch_count == 0)
        settle->balance_us = clock_monotonic_us();
    search->asking = true;
    if (client_send(client, &request, NULL, answered, settle) < 0)
        begin_anew(settle, NULL);
}

static void counted(void *userdata, const struct store_answer *answer)
{
    struct settle *settle = userdata;
    struct client *client = settle->account->client;
    int64_t now_us = clock_monotonic_us();

    if (answer->verdict != STORE_DONE || !lease_holds(&settle->account->lease) ||
        client_budget(client)->paused_until_us > now_us) {
        client_give_back(client, 1, now_us);
        settle->busy = false;
        settle->next_us = now_us + US_PER_S;
        return;
    }
    ask(settle);
}

/* ---- a search begins ---- */

static void unowned_told(void *userdata, const struct store_answer *answer)
{
    struct settle *settle = userdata;
    struct settle_search *search = settle->search;

    if (answer->verdict != STORE_DONE) {
        begin_anew(settle, answer);
        return;
    }
    for (size_t i = 0; i < search->lost.probe_count; i++)
        search->probes[i].seen = SEEN_OURS;
    for (int i = 0; i < PQntuples(answer->rows); i++) {
        uint64_t id = strtoull(row_text(answer->rows, i, 0), NULL, 10);
        size_t place = (size_t)(id - search->probes[0].id);

        if (place < search->lost.probe_count)
            search->probes[place].seen = SEEN_SILENT;
    }
    settle->busy = false; /* settle_work() asks, as the budget allows */
    settle->next_us = clock_monotonic_us();
}

/* Lists the ids that are to be asked; none when nothing is known of where the order could be. */
static size_t list_ids(struct settle_search *search)
{
    const struct settle_span *span = &search->lost.span;
    size_t count = 0;

    if (search->span == SETTLE_MATCHED)
        count = (size_t)(span->high - span->low - 1);
    else if (search->span == SETTLE_NO_UPPER)
        count = EVIDENCE_ABOVE;
    for (size_t i = 0; i < count; i++)
        search->probes[i] = (struct settle_probe){.id = span->low + 1 + i, .remains = INT64_MIN};
    search->lost.probes = search->probes;
    search->lost.probe_count = count;
    return count;
}

static void find_unowned(struct settle *settle)
{
    struct settle_search *search = settle->search;
    char names[SETTLE_SPAN_MAX][24];
    const char *ids[SETTLE_SPAN_MAX];
    size_t count = list_ids(search);

    for (size_t i = 0; i < count; i++) {
        snprintf(names[i], sizeof names[i], "%" PRIu64, search->probes[i].id);
        ids[i] = names[i];
    }
    if (count == 0) {
        settle->busy = false;
        settle->next_us = clock_monotonic_us();
    } else if (settle_unowned(settle->workshop->lanes.ledger, settle->account->id, ids, count,
                              unowned_told, settle) != 0) {
        begin_anew(settle, NULL);
    }
}

static void read_fact(struct settle_search *search, const PGresult *rows, int row)
{
    const char *kind = row_text(rows, row, FACT_KIND);
    int64_t integer = row_integer(rows, row, FACT_INTEGER, -1);
    int64_t ended_us = row_integer(rows, row, FACT_ENDED, INT64_MAX);

    if (strcmp(kind, "known") == 0 && search->known_count < SETTLE_KNOWN_MAX) {
        search->known[search->known_count++] =
            (struct settle_known){row_text(rows, row, FACT_TEXT), integer, ended_us};
    } else if (strcmp(kind, "rival") == 0 && search->lost.rival_count < SETTLE_OTHERS_MAX) {
        size_t place = search->lost.rival_count++;

        search->rivals[place] =
            (struct settle_rival){integer, ended_us, row_boolean(rows, row, FACT_FLAG)};
        search->others[place] = (struct settle_other){row_integer(rows, row, FACT_ORDER_ID, 0),
                                                      (int)row_integer(rows, row, FACT_NUMBER, 0)};
    } else if (strcmp(kind, "price") == 0) {
        search->lost.charge = row_text(rows, row, FACT_TEXT);
        search->lost.currency = row_text(rows, row, FACT_TEXT_2);
        search->lost.quantity = integer;
    } else if (strcmp(kind, "clock set") == 0) {
        search->lost.clock_set = true;
    }
}

static void facts_told(void *userdata, const struct store_answer *answer)
{
    struct settle *settle = userdata;
    struct settle_search *search = settle->search;

    if (answer->verdict == STORE_DONE)
        search->facts = PQcopyResult(answer->rows, PG_COPYRES_ATTRS | PG_COPYRES_TUPLES);
    if (!search->facts) {
        begin_anew(settle, answer);
        return;
    }
    search->facts_us = clock_boottime_us();
    for (int i = 0; i < PQntuples(search->facts); i++)
        read_fact(search, search->facts, i);
    search->lost.rivals = search->rivals;
    search->lost.settle_us = settle_s(settle) * US_PER_S;
    search->span = settle_find_span(search->claimed_us, search->ended_us, search->known,
                                    search->known_count, &search->lost.span);
    find_unowned(settle);
}

/* ---- looking for work ---- */

static struct settle_search *search_new(const PGresult *rows, int row)
{
    struct settle_search *search = calloc(1, sizeof *search);
    const char *wanted_id = row_text(rows, row, LOOK_PROVIDER_ORDER_ID);

    if (!search)
        return NULL;
    search->order_id = row_integer(rows, row, LOOK_ORDER_ID, 0);
    search->number = (int)row_integer(rows, row, LOOK_NUMBER, 0);
    search->resolution_id = row_integer(rows, row, LOOK_RESOLUTION_ID, 0);
    search->claimed_us = row_integer(rows, row, LOOK_CLAIMED_US, 0);
    search->ended_us = row_integer(rows, row, LOOK_ENDED_US, 0);
    search->looks = row_integer(rows, row, LOOK_LOOKS, 0);
    search->order_ref = strdup(row_text(rows, row, LOOK_ORDER_REF));
    search->wanted_id = wanted_id ? strdup(wanted_id) : NULL;
    if (search->order_ref && (search->wanted_id || !wanted_id))
        return search;
    search_free(search);
    return NULL;
}

static void log_disproved(struct settle *settle, const PGresult *rows, int row)
{
    const char *order_ref = row_text(rows, row, LOOK_ORDER_REF);

    log_write(LOG_LEVEL_ERROR,
              &(struct log_entry){.order_ref = order_ref,
                                  .provider = settle->account->config->name,
                                  .message_id = MESSAGE_ORDER_DISPROVED,
                                  .hint = "somebody else buys on this account, or ids do not grow: "
                                          "set uncertain = \"hold\""},
              "order %s is uncertain again: it was taken for order %s, which the provider told to "
              "another order",
              order_ref, row_text(rows, row, LOOK_PROVIDER_ORDER_ID));
    settle->on_settled(settle->userdata);
}

/* Takes a search that is due. Otherwise *ret_due_s is lowered to when it will be. */
static bool take_row(struct settle *settle, const PGresult *rows, int row, int64_t *ret_due_s)
{
    const char *kind = row_text(rows, row, LOOK_KIND);
    int64_t due_s = row_integer(rows, row, LOOK_DUE_IN_S, 0);

    if (strcmp(kind, "disproved") == 0) {
        log_disproved(settle, rows, row);
        return false;
    }
    if (due_s > 0) {
        *ret_due_s = due_s < *ret_due_s ? due_s : *ret_due_s;
        return false;
    }
    settle->search = search_new(rows, row);
    if (settle->search)
        settle->search->began_us = clock_monotonic_us();
    return settle->search != NULL;
}

static void looked(void *userdata, const struct store_answer *answer)
{
    struct settle *settle = userdata;
    int64_t now_us = clock_monotonic_us(), due_s = LOOK_INTERVAL_S, due_us;

    settle->busy = false;
    if (answer->verdict != STORE_DONE) {
        begin_anew(settle, answer);
        return;
    }
    if (log_recovered(&settle->fault_log))
        log_event(LOG_LEVEL_NOTICE, MESSAGE_LEDGER_WELL, "uncertain orders are looked at again");
    for (int i = 0; i < PQntuples(answer->rows) && !settle->search; i++)
        take_row(settle, answer->rows, i, &due_s);
    due_us = now_us + (settle->search ? 0 : due_s * US_PER_S);
    if (due_us < settle->next_us) /* else it was woken meanwhile */
        settle->next_us = due_us;
    if (!settle->search || settle->search->resolution_id)
        return; /* a named id is asked as the budget allows */
    settle->busy = true;
    if (settle_facts(settle->workshop->lanes.ledger, settle->search->order_id,
                     settle->search->number, facts_told, settle) != 0)
        begin_anew(settle, NULL);
}

/* ---- the job ---- */

void settle_init(struct settle *settle, struct account *account)
{
    *settle = (struct settle){.account = account, .workshop = account->workshop};
}

void settle_done(struct settle *settle)
{
    search_free(GIVE(settle->search));
}

void settle_wake(struct settle *settle, int64_t at_us)
{
    if (!settle->search && at_us < settle->next_us)
        settle->next_us = at_us;
}

int64_t settle_work(struct settle *settle, int64_t now_us)
{
    struct account *account = settle->account;
    int64_t free_us = account_free_us(account, now_us);

    if (settle->busy || settle->workshop->stopping || !settle->workshop->shop ||
        !connection_is_up(settle->workshop->lanes.ledger))
        return INT64_MAX;
    if (now_us < settle->next_us)
        return settle->next_us;
    if (!settle->search) {
        if (settle_look(settle->workshop->lanes.ledger, account->id, settle_s(settle),
                        tell_shop(settle), looked, settle) == 0)
            settle->busy = true;
        settle->next_us = now_us + LOOK_INTERVAL_S * US_PER_S;
        return INT64_MAX;
    }
    if (!lease_holds(&account->lease)) {
        if (now_us < settle->search->began_us + LEASE_PATIENCE_S * US_PER_S)
            return settle->search->began_us + LEASE_PATIENCE_S * US_PER_S;
        end_search(settle, now_us + LOOK_INTERVAL_S * US_PER_S);
        return settle->next_us;
    }
    if (free_us > now_us)
        return free_us;
    if (!has_request(settle)) {
        settle->busy = true;
        judge(settle);
        return settle->busy ? INT64_MAX : now_us;
    }
    if (client_take(account->client, BUDGET_READ, 1, 0, now_us) == 0)
        return client_next_us(account->client, BUDGET_READ, 0, now_us);
    settle->busy =
        accounts_count_read(settle->workshop->lanes.ledger, account->id, 1, counted, settle) == 0;
    if (settle->busy)
        return INT64_MAX;
    client_give_back(account->client, 1, now_us);
    settle->next_us = now_us + US_PER_S;
    return settle->next_us;
}

bool settle_wants_lease(const struct settle *settle)
{
    return settle->search != NULL;
}

bool settle_is_quiet(const struct settle *settle)
{
    return !settle->busy;
}
