#include "rules/account_match.h"
#include "base/decimal.h"
#include <string.h>

static bool is_told(const char *text)
{
    return text && text[0];
}

enum account_sight account_compare(const struct account_facts *known,
                                   const struct account_facts *told, bool lessened)
{
    bool agrees = false, differs = false;

    if (is_told(known->currency) && is_told(told->currency) &&
        strcmp(known->currency, told->currency) != 0)
        differs = true;
    /* 0 is what a provider says before it has counted. */
    if (known->start_count > 0 && told->start_count > 0) {
        agrees = known->start_count == told->start_count;
        differs = differs || !agrees;
    }
    if (is_told(known->charge) && is_told(told->charge)) {
        if (decimal_same(known->charge, told->charge))
            agrees = true;
        else if (!lessened)
            differs = true;
    }
    return differs ? SIGHT_DIFFERS : agrees ? SIGHT_AGREES : SIGHT_BARE;
}

/*
 * Providers forget old orders, so not every id need be known; but none may be somebody else's, and
 * where nothing could be compared all must be known.
 */
enum account_match account_match(const enum account_sight *sights, size_t count)
{
    size_t seen[SIGHT_DIFFERS + 1] = {0};

    for (size_t i = 0; i < count; i++)
        seen[sights[i]]++;
    if (seen[SIGHT_DIFFERS] > 0)
        return ACCOUNT_OTHER;
    if (seen[SIGHT_AGREES] > 0 && seen[SIGHT_AGREES] + seen[SIGHT_BARE] >= seen[SIGHT_ABSENT])
        return ACCOUNT_SAME;
    if (seen[SIGHT_SILENT] > 0)
        return ACCOUNT_UNCLEAR;
    return seen[SIGHT_ABSENT] == 0 && seen[SIGHT_BARE] > 0 ? ACCOUNT_SAME : ACCOUNT_OTHER;
}
