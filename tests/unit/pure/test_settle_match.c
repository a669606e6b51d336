/*
 * Each condition of adoption: a case that is adopted, and the same with one thing changed, where
 * the order that would be adopted is, or may be, another one. All other conditions hold in each of
 * them, for the span as well that a rule without this condition would find: without it the case
 * would be adopted.
 */
#include "base/own.h"
#include "rules/settle_match.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define S ((int64_t)1000000)
#define SETTLE_US (120 * S)

/*
 * Orders 101 103 104 came before, 109 111 after the one that was claimed at 60 s and given up at 90
 * s. Between 104 and 109: 105 is ours (it was under way at the same time), 106 the provider does
 * not know, 107 is an order that costs what the lost one must cost, 108 is ours.
 */
#define IDS 700 /* of the provider */

struct world {
    struct settle_known known[SETTLE_KNOWN_MAX];
    size_t known_count;
    struct settle_probe there[IDS]; /* what the provider has, by id */
    struct settle_probe probes[IDS];
    size_t asked_less;      /* so many of the last ids are not asked */
    uint64_t asked_instead; /* of 106 */
    struct settle_rival rivals[4];
    int64_t claimed_us, ended_us;
    struct settle_case lost;
};

static void put(struct world *world, uint64_t id, enum settle_seen seen)
{
    struct settle_probe *probe = &world->there[id];

    *probe = (struct settle_probe){.id = id, .seen = seen, .remains = INT64_MIN};
    if (seen != SEEN_ORDER)
        return;
    strcpy(probe->charge, "0.27000");
    strcpy(probe->currency, "USD");
    strcpy(probe->status, "Pending");
    probe->remains = 300;
}

static void begin(struct world *world)
{
    static const struct settle_known known[] = {
        {"101", 10 * S, 12 * S},   {"103", 20 * S, 22 * S}, {"104", 30 * S, 50 * S},
        {"105", 55 * S, 65 * S},   {"108", 70 * S, 75 * S}, {"109", 100 * S, 103 * S},
        {"111", 110 * S, 112 * S},
    };

    memset(world, 0, sizeof *world);
    memcpy(world->known, known, sizeof known);
    world->known_count = COUNT_OF(known);
    world->claimed_us = 60 * S;
    world->ended_us = 90 * S;
    world->lost = (struct settle_case){.probes = world->probes,
                                       .rivals = world->rivals,
                                       .settle_us = SETTLE_US,
                                       .charge = "0.27",
                                       .currency = "USD",
                                       .quantity = 300};
    for (uint64_t id = 0; id < IDS; id++)
        put(world, id, SEEN_ABSENT);
    for (size_t i = 0; i < COUNT_OF(known); i++)
        put(world, strtoull(known[i].id, NULL, 10), SEEN_OURS);
    put(world, 107, SEEN_ORDER);
}

/* Every id between the neighbours is asked about, as jobs/settle does. */
static void ask(struct world *world)
{
    const struct settle_span *span = &world->lost.span;

    world->lost.probe_count = 0;
    for (uint64_t id = span->low + 1; id < span->high - world->asked_less && id < IDS; id++) {
        struct settle_probe *probe = &world->probes[world->lost.probe_count++];

        *probe = world->there[id];
        if (id == 106 && world->asked_instead)
            *probe = world->there[world->asked_instead];
    }
}

static enum settle_verdict judge(struct world *world, size_t *ret_matches)
{
    enum settle_verdict verdict = settle_find_span(world->claimed_us, world->ended_us, world->known,
                                                   world->known_count, &world->lost.span);

    if (verdict != SETTLE_MATCHED)
        return verdict;
    ask(world);
    return settle_judge(&world->lost, ret_matches);
}

static struct settle_known *known(struct world *world, const char *id)
{
    for (size_t i = 0; i < world->known_count; i++)
        if (strcmp(world->known[i].id, id) == 0)
            return &world->known[i];
    return NULL;
}

static void forget(struct world *world, const char *id)
{
    struct settle_known *row = known(world, id);

    *row = world->known[--world->known_count];
}

static void add_known(struct world *world, const char *id, int64_t claimed_us, int64_t ended_us)
{
    world->known[world->known_count++] = (struct settle_known){id, claimed_us, ended_us};
    put(world, strtoull(id, NULL, 10), SEEN_OURS);
}

static struct settle_rival *add_rival(struct world *world, int64_t claimed_us, int64_t ended_us,
                                      bool identical)
{
    struct settle_rival *rival = &world->rivals[world->lost.rival_count++];

    *rival = (struct settle_rival){claimed_us, ended_us, identical};
    return rival;
}

static struct settle_probe *probe(struct world *world, uint64_t id)
{
    return &world->there[id];
}

/* ---- what keeps it from being adopted ---- */

/* Ids that are no numbers have no "between": 107 could stand anywhere. */
static void letters(struct world *world)
{
    known(world, "111")->id = "a111";
}
/* 007 and 7 would be two spellings of one id, of which one belongs to somebody else. */
static void leading_zero(struct world *world)
{
    known(world, "111")->id = "0111";
}
static void sign(struct world *world)
{
    known(world, "111")->id = "+111";
}
static void no_id(struct world *world)
{
    known(world, "111")->id = "";
}
static void beyond_range(struct world *world)
{
    known(world, "111")->id = "1234567890123456789";
}
/* Of four nobody knows whether ids grow by chance. */
static void few(struct world *world)
{
    forget(world, "101"), forget(world, "103"), forget(world, "111");
}
/* Ids that are dealt out at random: 107 may be from last year. */
static void not_growing(struct world *world)
{
    known(world, "101")->id = "102";
    known(world, "103")->id = "101";
}
/* The provider gave one id twice: what an id tells is nothing. */
static void same_id(struct world *world)
{
    known(world, "105")->id = "104";
}
/* Nothing before it: 107 may be an order from before the ledger was begun. */
static void no_lower(struct world *world)
{
    forget(world, "101"), forget(world, "103"), forget(world, "104");
    add_known(world, "113", 120 * S, 121 * S);
    add_known(world, "114", 122 * S, 123 * S);
}
/* A neighbour that was still under way when this one was claimed may have the larger id: here 103
 * is the lost one, and 107 somebody's. */
static void lower_overlaps(struct world *world)
{
    forget(world, "103"), forget(world, "104"), forget(world, "105");
    add_known(world, "102", 20 * S, 22 * S);
    add_known(world, "104", 30 * S, 61 * S);
    put(world, 103, SEEN_ORDER);
}
/* Nothing after it: 110 may be what the next customer bought. */
static void no_upper(struct world *world)
{
    forget(world, "109"), forget(world, "111");
}
/* A neighbour that was claimed before this one was given up may have the smaller id: here 110 is
 * the lost one, and 107 somebody's. */
static void upper_overlaps(struct world *world)
{
    forget(world, "108"), forget(world, "109");
    add_known(world, "109", 89 * S, 103 * S);
    put(world, 110, SEEN_ORDER);
}
/* Somebody buys hundreds there, and it is not us. */
static void far(struct world *world)
{
    forget(world, "109"), forget(world, "111");
    put(world, 109, SEEN_ABSENT), put(world, 111, SEEN_ABSENT);
    add_known(world, "606", 100 * S, 103 * S);
}
/* The lost order may have been claimed an hour after what seems to come after it. */
static void clock_set(struct world *world)
{
    world->lost.clock_set = true;
}
/* Another lost order may be 107. */
static void rival(struct world *world)
{
    add_rival(world, 62 * S, 80 * S, false);
}
static void rival_under_way(struct world *world)
{
    add_rival(world, 102 * S, INT64_MAX, true);
}
/* Given up long before, but the provider may have carried it out late. */
static void rival_carried_out_late(struct world *world)
{
    add_rival(world, 1 * S, 2 * S, false);
}
/* Given up long before, and carried out at the latest after 104 had its id, though before its reply
 * was recorded: what counts is when the lower neighbour was claimed, not when it had ended. Nothing
 * else of ours stands above 104, so 107 may be the rival's. */
static void no_other_between(struct world *world)
{
    forget(world, "105"), forget(world, "108");
    put(world, 105, SEEN_ABSENT), put(world, 108, SEEN_ABSENT);
}
static void rival_beside_the_lower(struct world *world)
{
    no_other_between(world);
    add_rival(world, -90 * S, 40 * S - SETTLE_US, false);
}
/* At the last, and at the first, moment at which it can have an id there. */
static void rival_as_the_lower_begins(struct world *world)
{
    no_other_between(world);
    add_rival(world, -100 * S, 30 * S - SETTLE_US, false);
}
static void rival_as_the_upper_ends(struct world *world)
{
    add_rival(world, 103 * S, INT64_MAX, false);
}
/* Another one that is not known, and two orders there: which is whose? */
static void rival_that_differs(struct world *world)
{
    add_rival(world, 62 * S, 80 * S, false);
    put(world, 106, SEEN_ORDER);
}
/* Identical, but not between the same neighbours: it may be after 109, or before 104, and then one
 * of the two that are found is somebody else's. */
static void twin_outside(struct world *world)
{
    add_rival(world, 62 * S, 101 * S, true);
    put(world, 106, SEEN_ORDER);
}
static void twin_before(struct world *world)
{
    add_rival(world, 40 * S, 80 * S, true);
    put(world, 106, SEEN_ORDER);
}
/* What was claimed as 104 ended, or ended as 109 was claimed, has no order to it either. */
static void twin_as_the_lower_ends(struct world *world)
{
    add_rival(world, 50 * S, 80 * S, true);
    put(world, 106, SEEN_ORDER);
}
static void twin_as_the_upper_begins(struct world *world)
{
    add_rival(world, 62 * S, 100 * S, true);
    put(world, 106, SEEN_ORDER);
}
/* 106 may be the lost order, and 107 somebody's. */
static void silent(struct world *world)
{
    probe(world, 106)->seen = SEEN_SILENT;
}
static void not_asked(struct world *world)
{
    world->asked_less = 1;
}
static void asked_another(struct world *world)
{
    world->asked_instead = 116;
}
static void nothing(struct world *world)
{
    put(world, 107, SEEN_ABSENT);
}
static void no_price(struct world *world)
{
    world->lost.charge = NULL;
}
static void last_digit(struct world *world)
{
    strcpy(probe(world, 107)->charge, "0.27001");
}
static void other_digit(struct world *world)
{
    strcpy(probe(world, 107)->charge, "0.28");
}
static void ten_times(struct world *world)
{
    world->lost.charge = "27";
    strcpy(probe(world, 107)->charge, "270");
}
static void charge_not_told(struct world *world)
{
    probe(world, 107)->charge[0] = '\0';
}
static void other_currency(struct world *world)
{
    strcpy(probe(world, 107)->currency, "EUR");
}
static void more_remains(struct world *world)
{
    probe(world, 107)->remains = 301;
}
/* One candidate fits, but another order stands there that is nobody's: then somebody else buys
 * there, and 107 may be theirs too. */
static void stranger_beside(struct world *world)
{
    put(world, 106, SEEN_ORDER);
    strcpy(probe(world, 106)->charge, "5.00");
}
static void two_candidates(struct world *world)
{
    put(world, 106, SEEN_ORDER);
}
/* Two lost, one found: whose is it? Both are the same to everybody but their customers. */
static void twin_without_candidate(struct world *world)
{
    add_rival(world, 62 * S, 80 * S, true);
}

static void test_conditions(void **state)
{
    static const struct {
        const char *name;
        void (*change)(struct world *world);
        enum settle_verdict expected;
    } cases[] = {
        {"letters", letters, SETTLE_NOT_DECIMAL},
        {"leading zero", leading_zero, SETTLE_NOT_DECIMAL},
        {"sign", sign, SETTLE_NOT_DECIMAL},
        {"no id at all", no_id, SETTLE_NOT_DECIMAL},
        {"beyond range", beyond_range, SETTLE_NOT_DECIMAL},
        {"few known", few, SETTLE_FEW_KNOWN},
        {"not growing", not_growing, SETTLE_NOT_GROWING},
        {"same id", same_id, SETTLE_NOT_GROWING},
        {"no lower", no_lower, SETTLE_NO_LOWER},
        {"lower overlaps", lower_overlaps, SETTLE_AMBIGUOUS},
        {"no upper", no_upper, SETTLE_NO_UPPER},
        {"upper overlaps", upper_overlaps, SETTLE_AMBIGUOUS},
        {"far", far, SETTLE_TOO_FAR},
        {"clock set", clock_set, SETTLE_CLOCK_SET},
        {"rival", rival, SETTLE_RIVAL},
        {"rival under way", rival_under_way, SETTLE_RIVAL},
        {"rival carried out late", rival_carried_out_late, SETTLE_RIVAL},
        {"rival beside the lower", rival_beside_the_lower, SETTLE_RIVAL},
        {"rival as the lower begins", rival_as_the_lower_begins, SETTLE_RIVAL},
        {"rival as the upper ends", rival_as_the_upper_ends, SETTLE_RIVAL},
        {"rival that differs", rival_that_differs, SETTLE_RIVAL},
        {"twin outside", twin_outside, SETTLE_RIVAL},
        {"twin before", twin_before, SETTLE_RIVAL},
        {"twin as the lower ends", twin_as_the_lower_ends, SETTLE_RIVAL},
        {"twin as the upper begins", twin_as_the_upper_begins, SETTLE_RIVAL},
        {"silent", silent, SETTLE_SILENT},
        {"not asked", not_asked, SETTLE_SILENT},
        {"asked another", asked_another, SETTLE_SILENT},
        {"nothing", nothing, SETTLE_NOTHING},
        {"no price", no_price, SETTLE_NO_PRICE},
        {"last digit", last_digit, SETTLE_STRANGER},
        {"ten times", ten_times, SETTLE_STRANGER},
        {"charge not told", charge_not_told, SETTLE_STRANGER},
        {"other digit", other_digit, SETTLE_STRANGER},
        {"other currency", other_currency, SETTLE_STRANGER},
        {"more remains", more_remains, SETTLE_STRANGER},
        {"stranger beside", stranger_beside, SETTLE_STRANGER},
        {"two candidates", two_candidates, SETTLE_AMBIGUOUS},
        {"twin without candidate", twin_without_candidate, SETTLE_AMBIGUOUS},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        size_t matches = 0;
        struct world world;

        begin(&world);
        assert_int_equal(judge(&world, &matches), SETTLE_MATCHED); /* but for the change */
        assert_int_equal(matches, 1);
        matches = 77;
        begin(&world);
        cases[i].change(&world);
        print_message("# %s\n", cases[i].name);
        assert_int_equal(judge(&world, &matches), cases[i].expected);
        assert_int_equal(matches, 77);
    }
}

/* ---- what does not keep it from being adopted ---- */

static void old_rival(struct world *world)
{
    add_rival(world, -500 * S, -200 * S, false);
}
static void rival_before_the_lower(struct world *world)
{
    no_other_between(world);
    add_rival(world, -100 * S, 30 * S - SETTLE_US - 1, false);
}
static void later_rival(struct world *world)
{
    add_rival(world, 104 * S, INT64_MAX, false);
}
static void zeros(struct world *world)
{
    strcpy(probe(world, 107)->charge, "0.27");
    world->lost.charge = "0.270000";
}
static void whole(struct world *world)
{
    strcpy(probe(world, 107)->charge, "100");
    world->lost.charge = "100.00";
}
static void nothing_told_beside(struct world *world)
{
    probe(world, 107)->currency[0] = '\0';
    probe(world, 107)->remains = INT64_MIN;
}
static void no_currency_of_ours(struct world *world)
{
    world->lost.currency = NULL;
}
static void no_quantity(struct world *world)
{
    world->lost.quantity = -1;
}
static void overdelivered(struct world *world)
{
    probe(world, 107)->remains = -4;
}

static void test_no_objection(void **state)
{
    static void (*const changes[])(struct world * world) = {
        no_other_between,    rival_before_the_lower, old_rival,   later_rival,  zeros, whole,
        nothing_told_beside, no_currency_of_ours,    no_quantity, overdelivered};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(changes); i++) {
        size_t matches = 0;
        struct world world;

        begin(&world);
        changes[i](&world);
        assert_int_equal(judge(&world, &matches), SETTLE_MATCHED);
        assert_int_equal(matches, 1);
    }
}

static void test_twins_are_interchangeable(void **state)
{
    size_t matches = 0;
    struct world world;

    (void)state;
    begin(&world);
    add_rival(&world, 62 * S, 80 * S, true);
    put(&world, 106, SEEN_ORDER);
    assert_int_equal(judge(&world, &matches), SETTLE_MATCHED);
    assert_int_equal(matches, 2);
}

static void test_span(void **state)
{
    struct world world;

    (void)state;
    begin(&world);
    assert_int_equal(settle_find_span(world.claimed_us, world.ended_us, world.known,
                                      world.known_count, &world.lost.span),
                     SETTLE_MATCHED);
    assert_int_equal(world.lost.span.low, 104);
    assert_int_equal(world.lost.span.high, 109);
    assert_int_equal(world.lost.span.low_ended_us, 50 * S);
    assert_int_equal(world.lost.span.high_claimed_us, 100 * S);
    /* The lower neighbour is told when there is no upper one: evidence can be looked for above it.
     */
    no_upper(&world);
    world.lost.span.low = 0;
    assert_int_equal(settle_find_span(world.claimed_us, world.ended_us, world.known,
                                      world.known_count, &world.lost.span),
                     SETTLE_NO_UPPER);
    assert_int_equal(world.lost.span.low, 104);
}

/* In whatever order the known ids come, the nearest are the neighbours. */
static void test_span_of_unsorted_ids(void **state)
{
    struct world world;

    (void)state;
    begin(&world);
    for (size_t i = 0; i < world.known_count / 2; i++) {
        struct settle_known other = world.known[i];
        world.known[i] = world.known[world.known_count - 1 - i];
        world.known[world.known_count - 1 - i] = other;
    }
    assert_int_equal(settle_find_span(world.claimed_us, world.ended_us, world.known,
                                      world.known_count, &world.lost.span),
                     SETTLE_MATCHED);
    assert_int_equal(world.lost.span.low, 104);
    assert_int_equal(world.lost.span.high, 109);
}

static void test_widest_span(void **state)
{
    size_t matches = 0;
    struct world world;

    (void)state;
    begin(&world);
    far(&world);
    known(&world, "606")->id = "605";
    assert_int_equal(judge(&world, &matches), SETTLE_MATCHED);
    assert_int_equal(matches, 1);
}

/* What can change with time is looked for again; the words are there for all. */
static void test_words(void **state)
{
    (void)state;
    for (int verdict = SETTLE_MATCHED; verdict <= SETTLE_AMBIGUOUS; verdict++)
        assert_true(strlen(settle_verdict_text((enum settle_verdict)verdict)) > 10);
    assert_true(settle_verdict_can_change(SETTLE_NO_UPPER));
    assert_true(settle_verdict_can_change(SETTLE_SILENT));
    assert_true(settle_verdict_can_change(SETTLE_RIVAL));
    assert_false(settle_verdict_can_change(SETTLE_NOT_DECIMAL));
    assert_false(settle_verdict_can_change(SETTLE_TOO_FAR));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_no_objection),
        cmocka_unit_test(test_twins_are_interchangeable),
        cmocka_unit_test(test_span),
        cmocka_unit_test(test_span_of_unsorted_ids),
        cmocka_unit_test(test_widest_span),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests_name("settle_match", tests, NULL, NULL);
}
