#include "api/client.h"
#include "base/own.h"
#include "host/clock.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define CATALOGUE_LIMIT_BYTES ((size_t)64 << 20)
#define REPLY_LIMIT_BYTES ((size_t)1 << 20)
#define RATE_PAUSE_S 60 /* a rate limit that names no time: the documented window is a minute */
#define DAY_PAUSE_S 600 /* likewise, of a day: whether it is over is asked now and then */
#define PAUSE_MAX_S                                                                                \
    (24 * 3600) /* a wait beyond that is more likely a mistake, and would be told again */

/* One request under way: what the reply's decoder and the caller need of it. */
struct call {
    LIST_ENTRY(call) link;
    struct client *client;
    enum api_action action;
    size_t id_count;
    int64_t late_us; /* from taking the slot to sending */
    int64_t sent_us;
    transfer_gate gate;
    client_done done;
    void *userdata;
    char id[]; /* the only one asked for, or "" */
};

struct client {
    char *name, *key;
    struct endpoint *endpoint;
    struct budget budget;
    struct rate_learning learning;
    struct request_counts counts;
    unsigned taken;   /* slots that wait for their client_send() */
    int64_t taken_us; /* when the last one was taken */
    LIST_HEAD(, call) calls;
};

DEFINE_OWN(struct call, free, call_freep)
DEFINE_OWN(struct client, client_free, client_freep)

/* The budget's clock never goes back, whatever time the caller read before the last reply came in.
 */
static int64_t budget_now_us(const struct client *client, int64_t now_us)
{
    return now_us > client->budget.now_us ? now_us : client->budget.now_us;
}

int client_new(struct transport *transport, const struct client_options *options, int64_t now_us,
               struct client **ret_client, struct problem *reterr_problem)
{
    OWN(client_freep) struct client *client = calloc(1, sizeof *client);
    int r;

    if (!client)
        return -ENOMEM;
    client->name = strdup(options->name);
    client->key = strdup(options->key);
    if (!client->name || !client->key)
        return -ENOMEM;
    rate_learning_init(&client->learning, &options->limits, now_us);
    r = budget_init(&client->budget, &options->limits, now_us);
    if (r == 0)
        r = endpoint_new(transport, &options->endpoint, &client->endpoint, reterr_problem);
    if (r == 0)
        *ret_client = GIVE(client);
    return r;
}

void client_free(struct client *client)
{
    struct call *call;

    if (!client)
        return;
    endpoint_free(client->endpoint);
    while ((call = LIST_FIRST(&client->calls))) {
        LIST_REMOVE(call, link);
        free(call);
    }
    budget_done(&client->budget);
    if (client->key)
        explicit_bzero(client->key, strlen(client->key));
    free(client->key);
    free(client->name);
    free(client);
}

const char *client_name(const struct client *client)
{
    return client->name;
}

struct budget *client_budget(struct client *client)
{
    return &client->budget;
}

unsigned client_free_connections(const struct client *client)
{
    return endpoint_free_slots(client->endpoint);
}

unsigned client_in_flight(const struct client *client)
{
    return endpoint_in_flight(client->endpoint);
}

const struct request_counts *client_counts(const struct client *client)
{
    return &client->counts;
}

const struct endpoint_tls *client_tls(const struct client *client)
{
    return endpoint_tls(client->endpoint);
}

unsigned client_take(struct client *client, enum budget_kind kind, unsigned wanted, unsigned ahead,
                     int64_t now_us)
{
    unsigned room = endpoint_free_slots(client->endpoint) + ahead;
    unsigned count;

    now_us = budget_now_us(client, now_us);
    room = room > client->taken ? room - client->taken : 0;
    count = budget_available(&client->budget, kind, wanted < room ? wanted : room, now_us);
    if (count > 0)
        budget_take(&client->budget, kind, count, now_us);
    if (count > 0)
        client->taken_us = now_us;
    client->taken += count;
    return count;
}

int64_t client_next_us(struct client *client, enum budget_kind kind, unsigned ahead, int64_t now_us)
{
    if (endpoint_free_slots(client->endpoint) + ahead <= client->taken)
        return INT64_MAX;
    return budget_next_us(&client->budget, kind, budget_now_us(client, now_us));
}

void client_give_back(struct client *client, unsigned count, int64_t now_us)
{
    client->taken -= count;
    budget_give_back(&client->budget, count, budget_now_us(client, now_us));
}

void client_lend(struct client *client)
{
    client->taken--;
}

void client_lent_ended(struct client *client, int64_t now_us)
{
    budget_answered(&client->budget, budget_now_us(client, now_us));
}

const struct rate_learning *client_learning(const struct client *client)
{
    return &client->learning;
}

static void adopt_limits(struct client *client, int64_t now_us)
{
    struct budget_limits limits = rate_learning_limits(&client->learning);

    /* The end of a calendar day has moved on meanwhile. */
    limits.day_ends_us = client->budget.limits.day_ends_us;
    (void)budget_set_limits(&client->budget, &limits,
                            now_us); /* only room for a larger minute could lack */
}

void client_restore_learning(struct client *client, const struct rate_learning *learned,
                             bool probing, int64_t now_us)
{
    now_us = budget_now_us(client, now_us);
    rate_learning_restore(&client->learning, learned, now_us);
    adopt_limits(client, now_us);
    if (probing)
        budget_refused(&client->budget, now_us);
}

bool client_recover_limits(struct client *client, int64_t now_us)
{
    now_us = budget_now_us(client, now_us);
    if (!rate_learning_recover(&client->learning, now_us))
        return false;
    adopt_limits(client, now_us);
    return true;
}

static bool is_rate_refusal(const struct reply *reply)
{
    return (reply->outcome == REPLY_NOT_EXECUTED || reply->outcome == REPLY_REFUSED) &&
           reply->class == ERROR_RATE;
}

/*
 * How long the provider wants to be left alone, 0 = not at all. A rate limit is always heeded: a
 * wait of 0 s would be met with the next refusal.
 */
static int64_t wanted_pause_s(const struct reply *reply)
{
    bool limited = is_rate_refusal(reply);
    int64_t pause_s = reply->retry_after_s;

    if (pause_s < 0 && limited)
        pause_s = reply->limit_period_s == 86400 ? DAY_PAUSE_S : RATE_PAUSE_S;
    if (pause_s == 0 && limited)
        pause_s = 1;
    return pause_s > 0 ? pause_s : 0;
}

static void learn(struct client *client, const struct reply *reply, int64_t now_us)
{
    struct rate_refusal refusal = {
        .limit = reply->limit,
        .period_s = reply->limit_period_s,
        .retry_after_s = reply->retry_after_s,
        .minute_used = budget_minute_used(&client->budget, now_us),
        .day_used = budget_day_used(&client->budget, now_us),
    };

    if (rate_learning_refused(&client->learning, &refusal, now_us))
        adopt_limits(client, now_us);
}

/* Up to 5 % longer than asked, so that several instances do not come back at the same moment. */
static void heed_pause(struct client *client, const struct reply *reply, int64_t sent_us,
                       int64_t now_us)
{
    int64_t pause_us = wanted_pause_s(reply) * US_PER_S;

    if (pause_us > 0)
        pause_us += pause_us / 20 * (clock_random() % 1024) / 1024;
    if (pause_us > PAUSE_MAX_S * US_PER_S)
        pause_us = PAUSE_MAX_S * US_PER_S;
    if (is_rate_refusal(reply)) {
        learn(client, reply, now_us);
        budget_refused(&client->budget, now_us + pause_us);
        return;
    }
    budget_was_let_through(&client->budget, sent_us);
    if (pause_us > 0)
        budget_pause(&client->budget, now_us + pause_us);
}

static void free_slot(struct client *client, bool sent)
{
    int64_t now_us = budget_now_us(client, clock_monotonic_us());

    if (sent)
        budget_answered(&client->budget, now_us);
    else
        budget_give_back(&client->budget, 1, now_us);
}

static int decode(const struct call *call, const struct reply_bytes *bytes, struct reply *ret_reply)
{
    const char *id = call->id;
    struct api_request request = {
        .action = call->action,
        .ids = call->id_count == 1 ? &id : NULL,
        .id_count = call->id_count,
    };

    return reply_decode(&request, bytes, ret_reply);
}

static void call_ended(void *userdata, const struct transfer_end *end)
{
    OWN(call_freep) struct call *call = userdata;
    OWN(reply_done) struct reply reply = {0};
    struct client_answer answer = {
        .sent = end->sent,
        .refused_at_gate = end->refused_at_gate,
        .http_status = end->bytes.http_status,
        .problem = end->problem,
        .took_us = end->took_us,
    };

    LIST_REMOVE(call, link);
    free_slot(call->client, end->sent);
    if (end->complete)
        budget_note_took(&call->client->budget, call->late_us + end->took_us);
    else if (end->sent)
        budget_was_let_through(&call->client->budget, call->sent_us); /* as far as one can tell */
    if (end->complete && decode(call, &end->bytes, &reply) == 0) {
        answer.reply = &reply;
        heed_pause(call->client, &reply, call->sent_us, call->client->budget.now_us);
    } else if (end->complete) {
        problem_set(&answer.problem, "out of memory for the reply");
    }
    request_counts_note(&call->client->counts, call->action,
                        request_end_of(end->sent, answer.reply));
    call->done(call->userdata, &answer);
}

static bool call_gate(void *userdata)
{
    const struct call *call = userdata;

    return !call->gate || call->gate(call->userdata);
}

static struct call *call_new(struct client *client, const struct api_request *request)
{
    const char *id = request->id_count == 1 ? request->ids[0] : "";
    struct call *call = calloc(1, sizeof *call + strlen(id) + 1);

    if (!call)
        return NULL;
    call->client = client;
    call->action = request->action;
    call->id_count = request->id_count;
    memcpy(call->id, id, strlen(id));
    return call;
}

int client_send(struct client *client, const struct api_request *request, transfer_gate gate,
                client_done done, void *userdata)
{
    OWN(call_freep) struct call *call = call_new(client, request);
    struct call *started;
    size_t limit_bytes =
        request->action == ACTION_SERVICES ? CATALOGUE_LIMIT_BYTES : REPLY_LIMIT_BYTES;
    struct text body = {0};
    int r = -ENOMEM;

    if (call) {
        call->late_us = budget_now_us(client, clock_monotonic_us()) - client->taken_us;
        call->sent_us = client->taken_us + call->late_us;
        budget_note_sent(&client->budget, call->sent_us);
        call->gate = gate;
        call->done = done;
        call->userdata = userdata;
        api_request_encode(request, request->action == ACTION_PING ? NULL : client->key, &body);
        r = transport_post(client->endpoint, &body, limit_bytes, call_gate, call_ended, call);
    }
    client->taken--;
    if (r < 0) {
        free_slot(client, false);
        return r;
    }
    started = GIVE(call); /* the list macro names its element more than once */
    LIST_INSERT_HEAD(&client->calls, started, link);
    return 0;
}
