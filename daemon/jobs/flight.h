/*
 * jobs/flight.h - one claimed line until its end is in the ledger, and the ways it can end.
 *
 * An end goes to the flight journal first: from then on no death of the process loses it. Then it
 * is counted and told, and the flight stays in jobs/submit's list as FLIGHT_ENDED until
 * jobs/submit_record has it in the ledger.
 */
#pragma once
#include "host/flight_journal.h"
#include "host/log.h"
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct submit;
struct workshop;

/* The rows of one claim, shared by its flights until the last of them is sent. */
struct claim_batch {
    PGresult *rows; /* owned */
    unsigned users;
};

enum flight_stage {
    FLIGHT_READY,       /* claimed, waits for a connection */
    FLIGHT_ON_THE_WIRE, /* handed to the transport */
    FLIGHT_ASKING,      /* the ledger is asked what a "duplicate link" refusal means */
    FLIGHT_ENDED,       /* waits for being recorded */
    FLIGHT_RECORDING,
};

struct flight {
    TAILQ_ENTRY(flight) entry;
    struct submit *submit;
    int64_t order_id;
    int number;
    char *order_ref;
    int64_t send_before_us; /* CLOCK_BOOTTIME */
    uint64_t epoch;         /* workshop's, when it was claimed: in another one it never leaves */
    struct flight_file *journal; /* held; named in the claim */
    bool left;                   /* the journal has its record, and not its end */
    struct claim_batch *batch;   /* holds what is to be sent, until the flight ended */
    int row;                     /* in it */
    enum flight_stage stage;
    int64_t sent_us;     /* CLOCK_MONOTONIC, when it was handed to the transport */
    const char *outcome; /* of the ledger, once ended */
    char *provider_order_id, *answer;
    long http_status;
    int64_t wait_s;
};
TAILQ_HEAD(flight_list, flight);

/* One user less; the last one frees it. NULL is allowed. */
void claim_batch_release(struct claim_batch *batch);
/* Of a flight that is in no list. */
void flight_free(struct flight *flight);

/* What comes from outside, in a form that the ledger and a terminal can hold. Owned (free); NULL
 * for NULL. */
char *flight_copy_words(const char *words);
/* The journal's record of the outcome, when it has one of the leaving and none of the end. */
void flight_keep_end(struct flight *flight);

void flight_end_accepted(struct flight *flight, const char *provider_order_id, int64_t sent_us);
/* By the provider, for a reason that does not pass by itself. */
void flight_end_refused(struct flight *flight, const char *words);
/* By us: it never left. */
void flight_end_unsound(struct flight *flight, const char *words);
/* Sent, and the answer is lost. */
void flight_end_unknown(struct flight *flight, const char *words);
/* The reply to it named an id which is another order's, so the ledger says; its words. */
void flight_alarm_echoed(struct workshop *workshop, const char *order_ref, const char *words);
/* Not bought, and tried again: in `wait_s` seconds, or when orders go on (wait_s < 0). */
void flight_end_put_off(struct flight *flight, const char *outcome, const char *words,
                        int64_t wait_s);

struct log_entry flight_log_entry(const struct flight *flight);
