/*
 * wire/flight_record.h - one record of the flight journal as bytes, and back.
 *
 * Pure. A record says that an `add` is about to leave, or how it ended. Records follow each other
 * in a file; each carries its place (`sequence`, from 0) and a checksum over all of it that is
 * keyed with the file's own id. So a record that is torn, changed, moved, repeated or from another
 * file is none, and everything before it still counts.
 *
 * The checksum: each step of it is a bijection of the state, so any change within one aligned word
 * of 8 bytes is always found, any other with all but 2^-64 of certainty.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLIGHT_RECORD_MAX 2048 /* bytes */
#define FLIGHT_KEY_BYTES 16    /* the file's id */

enum flight_record_kind {
    RECORD_LEAVES = 1, /* the bytes leave after this record is written */
    RECORD_ENDED = 2,
};

/* Strings are never NULL in what was decoded, and then borrowed from the bytes. */
struct flight_record {
    enum flight_record_kind kind;
    uint64_t sequence;
    int64_t at_us; /* wall clock */
    /* Which attempt. The ledger's ids may mean another order after a restore: the key is order_ref.
     */
    int account_id, number;
    int64_t order_id;
    const char *order_ref;
    const char *provider; /* as configured */
    /* RECORD_LEAVES: what was sent; cut to what has room, it is evidence only. */
    const char *service, *link, *quantity;
    /* RECORD_ENDED. */
    const char *outcome;           /* a word of the ledger */
    const char *provider_order_id; /* "" = none */
    const char *answer;            /* "" = none; cut likewise */
    int http_status;
    int64_t wait_s;
};

/*
 * Writes the record to `ret_bytes` (FLIGHT_RECORD_MAX of room). Returns its length, a multiple of
 * 8, or 0 when a key or an id is too long for it: those are never cut.
 */
size_t flight_record_encode(const struct flight_record *record,
                            const uint8_t key[static FLIGHT_KEY_BYTES], uint8_t *ret_bytes);

/*
 * The record at the start of `bytes`, which must be the one numbered `sequence`. Returns its
 * length, or 0: there is no such record.
 */
size_t flight_record_decode(const uint8_t *bytes, size_t count,
                            const uint8_t key[static FLIGHT_KEY_BYTES], uint64_t sequence,
                            struct flight_record *ret_record);

/* Also used for the file's head. `count` is a multiple of 8. */
uint64_t flight_checksum(const uint8_t *bytes, size_t count,
                         const uint8_t key[static FLIGHT_KEY_BYTES]);
