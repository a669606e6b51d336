#include "wire/flight_record.h"
#include <endian.h>
#include <string.h>

/*
 * Little endian:
 *     0  u16 mark, u16 length     8  u64 checksum of the rest    16 u64 sequence    24 i64 at_us
 *     32 i64 order_id   40 i64 wait_s   48 u32 account_id   52 u32 number   56 u16 http_status
 *     58 u8 kind   60 six strings, each ended by a NUL   then NULs up to a multiple of 8
 * Bytes 4 to 7 are zero. The mark is never zero, so zeros are no record.
 */
#define MARK 0xF117
#define FIXED_BYTES 60
#define KEY_TEXT_MAX 255
#define ID_TEXT_MAX 511
#define CUT_TEXT_MAX 300
#define STRING_COUNT 6

static void put16(uint8_t *at, uint16_t value)
{
    value = htole16(value);
    memcpy(at, &value, sizeof value);
}

static void put32(uint8_t *at, uint32_t value)
{
    value = htole32(value);
    memcpy(at, &value, sizeof value);
}

static void put64(uint8_t *at, uint64_t value)
{
    value = htole64(value);
    memcpy(at, &value, sizeof value);
}

static uint16_t get16(const uint8_t *at)
{
    uint16_t value;

    memcpy(&value, at, sizeof value);
    return le16toh(value);
}

static uint32_t get32(const uint8_t *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof value);
    return le32toh(value);
}

static uint64_t get64(const uint8_t *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof value);
    return le64toh(value);
}

/* A bijection of `state` for every `word`, and of `word` for every `state`. */
static uint64_t mix(uint64_t state, uint64_t word)
{
    state = (state ^ word) * UINT64_C(0x9E3779B97F4A7C15);
    state ^= state >> 29;
    state *= UINT64_C(0xBF58476D1CE4E5B9);
    return state ^ state >> 32;
}

uint64_t flight_checksum(const uint8_t *bytes, size_t count,
                         const uint8_t key[static FLIGHT_KEY_BYTES])
{
    uint64_t state = mix(get64(key), get64(key + 8));

    for (size_t i = 0; i + 8 <= count; i += 8)
        state = mix(state, get64(bytes + i));
    return mix(state, count);
}

/* The strings of a record in their order; `cut` ones may lose their end. */
struct slot {
    const char *text;
    size_t max;
    bool cut;
};

static void list_strings(const struct flight_record *record,
                         struct slot ret_slots[static STRING_COUNT])
{
    bool leaves = record->kind == RECORD_LEAVES;
    struct slot slots[STRING_COUNT] = {
        {record->order_ref, KEY_TEXT_MAX, false},
        {record->provider, KEY_TEXT_MAX, false},
        {leaves ? record->service : record->outcome, leaves ? CUT_TEXT_MAX : KEY_TEXT_MAX, leaves},
        {leaves ? record->link : record->provider_order_id, leaves ? CUT_TEXT_MAX : ID_TEXT_MAX,
         leaves},
        {leaves ? record->quantity : "", 32, leaves},
        {leaves ? "" : record->answer, CUT_TEXT_MAX, true},
    };

    memcpy(ret_slots, slots, sizeof slots);
}

_Static_assert(FIXED_BYTES + 2 * (KEY_TEXT_MAX + 1) + (CUT_TEXT_MAX + 1) + (ID_TEXT_MAX + 1) +
                       (CUT_TEXT_MAX + 1) + 33 + 8 <=
                   FLIGHT_RECORD_MAX,
               "the longest record has room");

size_t flight_record_encode(const struct flight_record *record,
                            const uint8_t key[static FLIGHT_KEY_BYTES], uint8_t *ret_bytes)
{
    struct slot slots[STRING_COUNT];
    size_t length = FIXED_BYTES;

    list_strings(record, slots);
    memset(ret_bytes, 0, FIXED_BYTES);
    for (size_t i = 0; i < STRING_COUNT; i++) {
        size_t bytes = slots[i].text ? strlen(slots[i].text) : 0;

        if (bytes > slots[i].max) {
            if (!slots[i].cut)
                return 0;
            bytes = slots[i].max;
            while (bytes > 0 && (slots[i].text[bytes] & 0xC0) == 0x80)
                bytes--; /* not within a character */
        }
        if (bytes > 0)
            memcpy(ret_bytes + length, slots[i].text, bytes);
        length += bytes;
        ret_bytes[length++] = '\0';
    }
    while (length % 8 != 0)
        ret_bytes[length++] = '\0';
    put16(ret_bytes, MARK);
    put16(ret_bytes + 2, (uint16_t)length);
    put64(ret_bytes + 16, record->sequence);
    put64(ret_bytes + 24, (uint64_t)record->at_us);
    put64(ret_bytes + 32, (uint64_t)record->order_id);
    put64(ret_bytes + 40, (uint64_t)record->wait_s);
    put32(ret_bytes + 48, (uint32_t)record->account_id);
    put32(ret_bytes + 52, (uint32_t)record->number);
    put16(ret_bytes + 56, (uint16_t)record->http_status);
    ret_bytes[58] = (uint8_t)record->kind;
    put64(ret_bytes + 8, flight_checksum(ret_bytes + 16, length - 16, key));
    return length;
}

/* False unless exactly the six strings and the filling are there. */
static bool split_strings(const uint8_t *bytes, size_t length,
                          const char *ret_strings[static STRING_COUNT])
{
    size_t at = FIXED_BYTES;

    for (size_t i = 0; i < STRING_COUNT; i++) {
        const uint8_t *end = at < length ? memchr(bytes + at, '\0', length - at) : NULL;

        if (!end)
            return false;
        ret_strings[i] = (const char *)bytes + at;
        at = (size_t)(end - bytes) + 1;
    }
    return length - at < 8;
}

size_t flight_record_decode(const uint8_t *bytes, size_t count,
                            const uint8_t key[static FLIGHT_KEY_BYTES], uint64_t sequence,
                            struct flight_record *ret_record)
{
    const char *strings[STRING_COUNT];
    struct flight_record record = {0};
    size_t length;

    if (count < FIXED_BYTES || get16(bytes) != MARK || get32(bytes + 4) != 0)
        return 0;
    length = get16(bytes + 2);
    if (length < FIXED_BYTES || length > FLIGHT_RECORD_MAX || length > count || length % 8 != 0 ||
        get64(bytes + 8) != flight_checksum(bytes + 16, length - 16, key))
        return 0;
    record.sequence = get64(bytes + 16);
    record.kind = bytes[58];
    if (record.sequence != sequence ||
        (record.kind != RECORD_LEAVES && record.kind != RECORD_ENDED) ||
        !split_strings(bytes, length, strings))
        return 0;
    record.at_us = (int64_t)get64(bytes + 24);
    record.order_id = (int64_t)get64(bytes + 32);
    record.wait_s = (int64_t)get64(bytes + 40);
    record.account_id = (int)get32(bytes + 48);
    record.number = (int)get32(bytes + 52);
    record.http_status = get16(bytes + 56);
    record.order_ref = strings[0];
    record.provider = strings[1];
    record.service = record.link = record.quantity = "";
    record.outcome = record.provider_order_id = record.answer = "";
    if (record.kind == RECORD_LEAVES) {
        record.service = strings[2];
        record.link = strings[3];
        record.quantity = strings[4];
    } else {
        record.outcome = strings[2];
        record.provider_order_id = strings[3];
        record.answer = strings[5];
    }
    *ret_record = record;
    return length;
}
