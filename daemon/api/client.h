/*
 * api/client.h - the one door to a provider: budget -> request -> transport -> reply.
 *
 * One client per account. A job first takes slots (client_take), then sends one request per slot.
 * The client frees a slot when the response is in, honours retry_after and Retry-After for the
 * whole account, and hands over the decoded reply.
 */
#pragma once
#include "api/transport.h"
#include "rules/budget.h"
#include "rules/figures.h"
#include "rules/rate_learning.h"
#include "wire/reply.h"
#include "wire/request.h"

struct client;

struct client_options {
    const char *name; /* of the provider, for logs; copied */
    const char *key;  /* copied, wiped in client_free */
    struct endpoint_options endpoint;
    struct budget_limits limits;
};

/* Borrowed during the callback; `reply` may be moved out by taking its struct and zeroing the
 * source. */
struct client_answer {
    bool sent; /* false: provably nothing left */
    bool refused_at_gate;
    struct reply *reply; /* NULL when no whole reply arrived */
    long http_status;
    struct problem problem; /* when reply is NULL */
    int64_t took_us;
};
typedef void (*client_done)(void *userdata, const struct client_answer *answer);

int client_new(struct transport *transport, const struct client_options *options, int64_t now_us,
               struct client **ret_client, struct problem *reterr_problem);
void client_free(struct client *client);

/* As in the options, for logs. Borrowed. */
const char *client_name(const struct client *client);
/* The gate's rule; jobs look at it (used, paused until), the ledger restores it. Borrowed. */
struct budget *client_budget(struct client *client);
/* What refusals for rate taught; the gate keeps to it. Borrowed. */
const struct rate_learning *client_learning(const struct client *client);
/* What an earlier process had learned (see rate_learning_restore()); `probing`: its last word was a
 * refusal. */
void client_restore_learning(struct client *client, const struct rate_learning *learned,
                             bool probing, int64_t now_us);
/* Limits that were cut recover, when it is time. To be called once in a while. True when they
 * changed. */
bool client_recover_limits(struct client *client, int64_t now_us);
/* Free connections. */
unsigned client_free_connections(const struct client *client);
unsigned client_in_flight(const struct client *client);
/* How requests ended, since client_new(). Borrowed. */
const struct request_counts *client_counts(const struct client *client);
/* How the latest connection is protected, if the options asked to observe it. Borrowed. */
const struct endpoint_tls *client_tls(const struct client *client);

/* Slots for requests that may leave now: at most `wanted`, the budget's and the free connections'
 * number (plus `ahead`, for connections that will be free when the slots are used). 0 = none. */
unsigned client_take(struct client *client, enum budget_kind kind, unsigned wanted, unsigned ahead,
                     int64_t now_us);
/* When client_take() may give one, if nothing else happens: `now_us` or later; INT64_MAX = not
 * before a request ends. */
int64_t client_next_us(struct client *client, enum budget_kind kind, unsigned ahead,
                       int64_t now_us);
/*
 * A slot that was taken is used by somebody else with the same key: it stays in use, and takes no
 * connection, until client_lent_ended().
 */
void client_lend(struct client *client);
void client_lent_ended(struct client *client, int64_t now_us);
/* Slots that were taken and not used. */
void client_give_back(struct client *client, unsigned count, int64_t now_us);

/* Sends on a slot taken before. `gate` and `userdata` as in transport.h. 0, or negative errno:
 * nothing was sent, the slot is given back. */
int client_send(struct client *client, const struct api_request *request, transfer_gate gate,
                client_done done, void *userdata);
