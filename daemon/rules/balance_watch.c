#include "rules/balance_watch.h"

#define FIRST_FAILURE_S 30
#define LONGEST_FAILURE_S 3600
#define LONGEST_FUNDS_FAILURE_S 120

static const struct {
    int64_t apart_s; /* from the question before */
    const char *text;
} reasons[BALANCE_REASON_COUNT] = {
    [BALANCE_NEVER_TOLD] = {0, "it is not known"},
    [BALANCE_FUNDS] = {30, "orders wait for money"},
    [BALANCE_LOW] = {300, "it may have fallen below low_balance"},
    [BALANCE_SPENT] = {300, "orders have spent a quarter of it"},
    [BALANCE_USED] = {3600, "orders were bought or are open"},
    [BALANCE_OLD] = {6 * 3600, "the last answer is old"},
};

static int64_t failure_wait_s(unsigned failures, int64_t longest_s)
{
    int64_t wait_s = FIRST_FAILURE_S;

    for (unsigned i = 1; i < failures && wait_s < longest_s; i++)
        wait_s *= 2;
    return wait_s < longest_s ? wait_s : longest_s;
}

static enum balance_reason reason_of(const struct balance_facts *facts)
{
    if (!facts->told)
        return BALANCE_NEVER_TOLD;
    if (facts->out_of_funds)
        return BALANCE_FUNDS;
    if (facts->low)
        return BALANCE_LOW;
    if (facts->spent)
        return BALANCE_SPENT;
    return facts->used ? BALANCE_USED : BALANCE_OLD;
}

int64_t balance_wait_s(const struct balance_facts *facts, enum balance_reason *ret_reason)
{
    int64_t wait_s = 0, again_s;

    *ret_reason = reason_of(facts);
    if (facts->told && !(facts->out_of_funds && facts->refused))
        wait_s = reasons[*ret_reason].apart_s - (facts->told_ago_s > 0 ? facts->told_ago_s : 0);
    if (facts->failures > 0) {
        again_s = failure_wait_s(facts->failures, facts->out_of_funds ? LONGEST_FUNDS_FAILURE_S
                                                                      : LONGEST_FAILURE_S) -
                  facts->tried_ago_s;
        wait_s = again_s > wait_s ? again_s : wait_s;
    }
    return wait_s > 0 ? wait_s : 0;
}

const char *balance_reason_text(enum balance_reason reason)
{
    return reasons[reason].text;
}

bool balance_lets_go_on(const struct balance_news *news)
{
    return news->rose || (news->reaches && !news->tried);
}

int64_t balance_probe_s(bool told)
{
    return told ? 900 : 30;
}
