#include "rules/settle_match.h"
#include "base/own.h"
#include <assert.h>
#include <string.h>

static const struct {
    const char *text;
    bool can_change;
} verdicts[] = {
    [SETTLE_MATCHED] = {"it is the only order there that can be this one", false},
    [SETTLE_NOT_DECIMAL] = {"the provider's order ids are no plain numbers", false},
    [SETTLE_FEW_KNOWN] = {"too few orders were bought around that time to know how ids grow", true},
    [SETTLE_NOT_GROWING] = {"the provider's order ids do not grow with time", false},
    [SETTLE_NO_LOWER] = {"no order was bought shortly before it", false},
    [SETTLE_NO_UPPER] = {"no order was bought shortly after it yet", true},
    [SETTLE_TOO_FAR] = {"too many ids lie between the orders bought before and after it", false},
    [SETTLE_CLOCK_SET] =
        {"the database's clock was set around that time: what was bought before and after "
         "it is not certain",
         false},
    [SETTLE_RIVAL] = {"another order whose answer is not known may have an id there", true},
    [SETTLE_SILENT] = {"the provider did not tell about every id", true},
    [SETTLE_NOTHING] = {"no order was found that is not ours, which proves nothing", true},
    [SETTLE_NO_PRICE] = {"what it must have cost is not known from other orders", true},
    [SETTLE_STRANGER] = {"an order was found that cannot be this one: somebody else buys there",
                         true},
    [SETTLE_AMBIGUOUS] = {"the orders found are not as many as those that were lost", true},
};

const char *settle_verdict_text(enum settle_verdict verdict)
{
    assert((size_t)verdict < COUNT_OF(verdicts));
    return verdicts[verdict].text;
}

bool settle_verdict_can_change(enum settle_verdict verdict)
{
    assert((size_t)verdict < COUNT_OF(verdicts));
    return verdicts[verdict].can_change;
}

/* ---- the neighbours ---- */

/* At most 18 digits and no leading zero: each number has one spelling, and adding one stays in
 * range. */
static bool read_id(const char *id, uint64_t *ret_id)
{
    size_t length = strlen(id);
    uint64_t value = 0;

    if (length == 0 || length > 18 || id[0] == '0')
        return false;
    for (; *id; id++) {
        if (*id < '0' || *id > '9')
            return false;
        value = value * 10 + (uint64_t)(*id - '0');
    }
    *ret_id = value;
    return true;
}

/* One whose reply was in before another was claimed must have the smaller id. */
static bool ids_grow(const uint64_t *ids, const struct settle_known *known, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++)
            if (known[i].ended_us < known[j].claimed_us && ids[i] >= ids[j])
                return false;
    return true;
}

enum settle_verdict settle_find_span(int64_t claimed_us, int64_t ended_us,
                                     const struct settle_known *known, size_t count,
                                     struct settle_span *ret_span)
{
    uint64_t ids[SETTLE_KNOWN_MAX];
    struct settle_span span = {.low = 0, .high = UINT64_MAX};

    assert(count <= SETTLE_KNOWN_MAX);
    for (size_t i = 0; i < count; i++)
        if (!read_id(known[i].id, &ids[i]))
            return SETTLE_NOT_DECIMAL;
    if (count < SETTLE_KNOWN_MIN)
        return SETTLE_FEW_KNOWN;
    if (!ids_grow(ids, known, count))
        return SETTLE_NOT_GROWING;
    for (size_t i = 0; i < count; i++) {
        if (known[i].ended_us < claimed_us && ids[i] > span.low) {
            span.low = ids[i];
            span.low_claimed_us = known[i].claimed_us;
            span.low_ended_us = known[i].ended_us;
        }
        if (known[i].claimed_us > ended_us && ids[i] < span.high) {
            span.high = ids[i];
            span.high_claimed_us = known[i].claimed_us;
            span.high_ended_us = known[i].ended_us;
        }
    }
    if (span.low == 0)
        return SETTLE_NO_LOWER;
    *ret_span = span;
    if (span.high == UINT64_MAX)
        return SETTLE_NO_UPPER;
    return span.high - span.low - 1 > SETTLE_SPAN_MAX ? SETTLE_TOO_FAR : SETTLE_MATCHED;
}

/* ---- the match ---- */

/* Whether this attempt can have got an id in the span: its request may have been carried out then.
 */
static bool can_be_there(const struct settle_rival *rival, const struct settle_case *lost)
{
    return rival->claimed_us <= lost->span.high_ended_us &&
           (rival->ended_us == INT64_MAX ||
            rival->ended_us + lost->settle_us >= lost->span.low_claimed_us);
}

/* Lost like the one in question, and by the same neighbours: the two are interchangeable. */
static bool is_twin(const struct settle_rival *rival, const struct settle_case *lost)
{
    return rival->identical && rival->claimed_us > lost->span.low_ended_us &&
           rival->ended_us < lost->span.high_claimed_us;
}

static bool can_be_it(const struct settle_probe *probe, const struct settle_case *lost)
{
    if (!decimal_same(probe->charge, lost->charge))
        return false;
    if (lost->currency && probe->currency[0] && strcmp(probe->currency, lost->currency) != 0)
        return false;
    return lost->quantity < 0 || probe->remains <= lost->quantity;
}

/* Every id between the neighbours was asked, and told. */
static bool all_told(const struct settle_case *lost)
{
    if (lost->probe_count != lost->span.high - lost->span.low - 1)
        return false;
    for (size_t i = 0; i < lost->probe_count; i++)
        if (lost->probes[i].id != lost->span.low + 1 + i || lost->probes[i].seen == SEEN_SILENT)
            return false;
    return true;
}

enum settle_verdict settle_judge(const struct settle_case *lost, size_t *ret_matches)
{
    size_t wanted = 1, found = 0;

    if (lost->clock_set)
        return SETTLE_CLOCK_SET;
    for (size_t i = 0; i < lost->rival_count; i++) {
        if (is_twin(&lost->rivals[i], lost))
            wanted++;
        else if (can_be_there(&lost->rivals[i], lost))
            return SETTLE_RIVAL;
    }
    if (!all_told(lost))
        return SETTLE_SILENT;
    for (size_t i = 0; i < lost->probe_count; i++)
        found += lost->probes[i].seen == SEEN_ORDER;
    if (found == 0)
        return SETTLE_NOTHING;
    if (!lost->charge)
        return SETTLE_NO_PRICE;
    for (size_t i = 0; i < lost->probe_count; i++)
        if (lost->probes[i].seen == SEEN_ORDER && !can_be_it(&lost->probes[i], lost))
            return SETTLE_STRANGER;
    if (found != wanted)
        return SETTLE_AMBIGUOUS;
    *ret_matches = found;
    return SETTLE_MATCHED;
}
