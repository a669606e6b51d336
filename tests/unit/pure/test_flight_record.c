/* Flight records: what was written comes back, and whatever else lies there is no record. */
#include "wire/flight_record.h"
#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t key[FLIGHT_KEY_BYTES] = "sixteen bytes..";
static const uint8_t other_key[FLIGHT_KEY_BYTES] = "sixteen bytes.,";

static struct flight_record leaving(uint64_t sequence)
{
    return (struct flight_record){.kind = RECORD_LEAVES,
                                  .sequence = sequence,
                                  .at_us = 1795339615,
                                  .account_id = 3,
                                  .number = 2,
                                  .order_id = INT64_MAX,
                                  .order_ref = "SO-100001-1",
                                  .provider = "panel",
                                  .service = "IG-LIKES-FAST",
                                  .link = "https://example.org/p/1",
                                  .quantity = "1000"};
}

static struct flight_record ended(uint64_t sequence)
{
    return (struct flight_record){.kind = RECORD_ENDED,
                                  .sequence = sequence,
                                  .at_us = -1,
                                  .account_id = 3,
                                  .number = 2,
                                  .order_id = 7,
                                  .order_ref = "SO-100001-1",
                                  .provider = "panel",
                                  .outcome = "accepted",
                                  .provider_order_id = "12345",
                                  .answer = "fine",
                                  .http_status = 200,
                                  .wait_s = 60};
}

static void assert_same(const struct flight_record *a, const struct flight_record *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->sequence, b->sequence);
    assert_int_equal(a->at_us, b->at_us);
    assert_int_equal(a->account_id, b->account_id);
    assert_int_equal(a->number, b->number);
    assert_int_equal(a->order_id, b->order_id);
    assert_string_equal(a->order_ref, b->order_ref);
    assert_string_equal(a->provider, b->provider);
}

static void comes_back(void **state)
{
    uint8_t bytes[FLIGHT_RECORD_MAX];
    struct flight_record record = leaving(4711), got;
    size_t length = flight_record_encode(&record, key, bytes);

    (void)state;
    assert_true(length > 0 && length % 8 == 0);
    assert_int_equal(flight_record_decode(bytes, length, key, 4711, &got), length);
    assert_same(&record, &got);
    assert_string_equal(got.service, "IG-LIKES-FAST");
    assert_string_equal(got.link, "https://example.org/p/1");
    assert_string_equal(got.quantity, "1000");
    assert_string_equal(got.outcome, "");

    record = ended(0);
    length = flight_record_encode(&record, key, bytes);
    assert_int_equal(flight_record_decode(bytes, sizeof bytes, key, 0, &got), length);
    assert_same(&record, &got);
    assert_string_equal(got.outcome, "accepted");
    assert_string_equal(got.provider_order_id, "12345");
    assert_string_equal(got.answer, "fine");
    assert_int_equal(got.http_status, 200);
    assert_int_equal(got.wait_s, 60);
    assert_string_equal(got.link, "");
}

static void absent_texts_are_empty(void **state)
{
    uint8_t bytes[FLIGHT_RECORD_MAX];
    struct flight_record record = {.kind = RECORD_ENDED, .order_ref = "a"}, got;
    size_t length = flight_record_encode(&record, key, bytes);

    (void)state;
    assert_int_equal(flight_record_decode(bytes, length, key, 0, &got), length);
    assert_string_equal(got.provider_order_id, "");
    assert_string_equal(got.answer, "");
    assert_string_equal(got.provider, "");
}

/* Torn at every byte, the rest zero or whatever lay there before. */
static void torn_is_none(void **state)
{
    uint8_t bytes[FLIGHT_RECORD_MAX], torn[FLIGHT_RECORD_MAX], before[FLIGHT_RECORD_MAX];
    struct flight_record record = leaving(1), older = ended(1), got;
    size_t length = flight_record_encode(&record, key, bytes);

    (void)state;
    memset(before, 0, sizeof before);
    flight_record_encode(&older, other_key, before);
    for (size_t i = 0; i < length; i++) {
        if (bytes[length - 1] == 0 && i >= length - 7 &&
            memcmp(bytes + i, before + length, length - i) == 0)
            continue; /* only filling is missing: the same bytes */
        memset(torn, 0, sizeof torn);
        memcpy(torn, bytes, i);
        if (memcmp(torn, bytes, length) != 0)
            assert_int_equal(flight_record_decode(torn, sizeof torn, key, 1, &got), 0);
        assert_int_equal(flight_record_decode(bytes, i, key, 1, &got), 0);
        memcpy(torn, before, sizeof torn);
        memcpy(torn, bytes, i);
        if (memcmp(torn, bytes, length) != 0)
            assert_int_equal(flight_record_decode(torn, sizeof torn, key, 1, &got), 0);
    }
}

static void a_flipped_bit_is_found(void **state)
{
    uint8_t bytes[FLIGHT_RECORD_MAX];
    struct flight_record record = leaving(9), got;
    size_t length = flight_record_encode(&record, key, bytes);

    (void)state;
    memset(bytes + length, 0, sizeof bytes - length);
    for (size_t bit = 0; bit < length * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(flight_record_decode(bytes, sizeof bytes, key, 9, &got), 0);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(flight_record_decode(bytes, sizeof bytes, key, 9, &got), length);
}

/* Any two words of it exchanged. */
static void swapped_words_are_found(void **state)
{
    uint8_t bytes[FLIGHT_RECORD_MAX], swapped[FLIGHT_RECORD_MAX];
    struct flight_record record = ended(9), got;
    size_t length = flight_record_encode(&record, key, bytes);

    (void)state;
    for (size_t a = 0; a + 8 <= length; a += 8)
        for (size_t b = a + 8; b + 8 <= length; b += 8) {
            memcpy(swapped, bytes, length);
            memcpy(swapped + a, bytes + b, 8);
            memcpy(swapped + b, bytes + a, 8);
            if (memcmp(swapped, bytes, length) != 0)
                assert_int_equal(flight_record_decode(swapped, length, key, 9, &got), 0);
        }
}

static void its_place_and_file_are_part_of_it(void **state)
{
    uint8_t bytes[FLIGHT_RECORD_MAX];
    struct flight_record record = leaving(5), got;
    size_t length = flight_record_encode(&record, key, bytes);

    (void)state;
    assert_int_equal(flight_record_decode(bytes, length, key, 4, &got),
                     0); /* swapped with the one before */
    assert_int_equal(flight_record_decode(bytes, length, key, 6, &got),
                     0); /* there a second time */
    assert_int_equal(flight_record_decode(bytes, length, other_key, 5, &got), 0);
    assert_int_equal(flight_record_decode(bytes, length, key, 5, &got), length);
}

static void zeros_are_none(void **state)
{
    static const uint8_t zeros[FLIGHT_RECORD_MAX];
    struct flight_record got;

    (void)state;
    for (size_t count = 0; count <= sizeof zeros; count += 8)
        assert_int_equal(flight_record_decode(zeros, count, key, 0, &got), 0);
}

static void keys_are_never_cut(void **state)
{
    char long_text[1200];
    uint8_t bytes[FLIGHT_RECORD_MAX];
    struct flight_record record = leaving(0), got;
    size_t length;

    (void)state;
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    record.link = long_text; /* evidence: cut */
    length = flight_record_encode(&record, key, bytes);
    assert_true(length > 0);
    assert_int_equal(flight_record_decode(bytes, length, key, 0, &got), length);
    assert_int_equal(strlen(got.link), 300);
    record.order_ref = long_text;
    assert_int_equal(flight_record_encode(&record, key, bytes), 0);
    record = ended(0);
    record.provider_order_id = long_text;
    assert_int_equal(flight_record_encode(&record, key, bytes), 0);
    record = ended(0);
    record.answer = long_text;
    assert_true(flight_record_encode(&record, key, bytes) > 0);
}

static void a_character_is_not_cut(void **state)
{
    char text[303];
    uint8_t bytes[FLIGHT_RECORD_MAX];
    struct flight_record record = ended(0), got;

    (void)state;
    memset(text, 'x', sizeof text);
    memcpy(text + 299, "\xC3\xA4", 3); /* its second byte would be the 301st */
    record.answer = text;
    assert_true(flight_record_encode(&record, key, bytes) > 0);
    assert_true(flight_record_decode(bytes, sizeof bytes, key, 0, &got) > 0);
    assert_int_equal(strlen(got.answer), 299);
}

/* A text of nothing but bytes that begin no character: cut to nothing, never to half of one. */
static void a_text_without_a_character_is_cut_away(void **state)
{
    char text[400];
    uint8_t bytes[FLIGHT_RECORD_MAX];
    struct flight_record record = ended(0), got;

    (void)state;
    memset(text, '\x80', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    record.answer = text;
    assert_true(flight_record_encode(&record, key, bytes) > 0);
    assert_true(flight_record_decode(bytes, sizeof bytes, key, 0, &got) > 0);
    assert_string_equal(got.answer, "");
    assert_string_equal(got.provider_order_id, "12345");
}

/* Bytes with a right checksum that no encoder wrote: a kind, or strings, that there are not. */
static void what_was_never_encoded_is_none(void **state)
{
    uint8_t bytes[FLIGHT_RECORD_MAX], forged[FLIGHT_RECORD_MAX];
    struct flight_record record = ended(3), got;
    size_t length = flight_record_encode(&record, key, bytes);
    const size_t third = 60 + sizeof "SO-100001-1" + sizeof "panel";
    const struct {
        size_t at, end; /* each byte there that is `from` becomes `to` */
        uint8_t from, to;
        bool is_record;
    } cases[] = {
        {58, 59, RECORD_ENDED, RECORD_LEAVES, true},
        {58, 59, RECORD_ENDED, 0, false},
        {58, 59, RECORD_ENDED, 3, false},
        {60, length, '\0', 'x', false},     /* no string ends */
        {60, length - 1, '\0', 'x', false}, /* one, at the end of it all */
        {third, length, '\0', 'x', false},  /* two */
        {60, length, '1', '\0', false},     /* there are more: behind the sixth is no filling */
        {60, length, '\0', '\0', true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t checksum;

        memcpy(forged, bytes, sizeof forged);
        for (size_t at = cases[i].at; at < cases[i].end; at++)
            if (forged[at] == cases[i].from)
                forged[at] = cases[i].to;
        checksum = htole64(flight_checksum(forged + 16, length - 16, key));
        memcpy(forged + 8, &checksum, sizeof checksum);
        assert_int_equal(flight_record_decode(forged, length, key, 3, &got),
                         cases[i].is_record ? length : 0);
    }
}

/* The longest of everything has room, and leaves the next one its place. */
static void the_longest_fits(void **state)
{
    char longest_key[256], longest_id[512], longest_cut[400];
    uint8_t bytes[FLIGHT_RECORD_MAX];
    struct flight_record record = ended(0);

    (void)state;
    memset(longest_key, 'k', 255), longest_key[255] = '\0';
    memset(longest_id, 'i', 511), longest_id[511] = '\0';
    memset(longest_cut, 'c', 399), longest_cut[399] = '\0';
    record.order_ref = record.provider = record.outcome = longest_key;
    record.provider_order_id = longest_id;
    record.answer = longest_cut;
    assert_in_range(flight_record_encode(&record, key, bytes), 1, FLIGHT_RECORD_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_back),
        cmocka_unit_test(absent_texts_are_empty),
        cmocka_unit_test(torn_is_none),
        cmocka_unit_test(a_flipped_bit_is_found),
        cmocka_unit_test(swapped_words_are_found),
        cmocka_unit_test(its_place_and_file_are_part_of_it),
        cmocka_unit_test(zeros_are_none),
        cmocka_unit_test(keys_are_never_cut),
        cmocka_unit_test(a_character_is_not_cut),
        cmocka_unit_test(a_text_without_a_character_is_cut_away),
        cmocka_unit_test(what_was_never_encoded_is_none),
        cmocka_unit_test(the_longest_fits),
    };

    return cmocka_run_group_tests_name("flight_record", tests, NULL, NULL);
}
