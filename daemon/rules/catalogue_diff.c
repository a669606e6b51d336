#include "rules/catalogue_diff.h"
#include "base/own.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_FIRST_S 60
#define RETRY_LONGEST_S 3600
#define REFUSED_FIRST_S 300 /* doubled while refusals go on */
#define WANTED_S 10         /* whoever asks twice gets one reading */
#define DOUBT_CLAUSE "it lacks "

/* ---- what a provider's list is worth ---- */

DEFINE_OWN(struct reply_service *, free, sorted_freep)

/* Among rows with the same id the one that came first stands first: rows stay where they lie. */
static int compare_rows(const void *a, const void *b)
{
    const struct reply_service *left = *(const struct reply_service *const *)a,
                               *right = *(const struct reply_service *const *)b;
    int order = strcmp(left->service, right->service);

    if (order != 0)
        return order;
    return left < right ? -1 : 1;
}

static void drop(struct reply_service *row)
{
    free((char *)row->service); /* its strings are one block (wire/reply.h) */
    row->service = NULL;
}

int catalogue_drop_repeats(struct reply *reply, size_t *ret_dropped)
{
    size_t count = reply->service_count, kept = 0;
    OWN(sorted_freep) struct reply_service **sorted = calloc(count + 1, sizeof *sorted);

    if (!sorted)
        return -ENOMEM; /* uncovered: memory */
    for (size_t i = 0; i < count; i++)
        sorted[i] = &reply->services[i];
    qsort(sorted, count, sizeof *sorted, compare_rows);
    for (size_t i = 1, first = 0; i < count; i++) {
        if (strcmp(sorted[i]->service, sorted[first]->service) == 0)
            drop(sorted[i]);
        else
            first = i;
    }
    for (size_t i = 0; i < count; i++)
        if (reply->services[i].service)
            reply->services[kept++] = reply->services[i];
    reply->service_count = kept;
    *ret_dropped = count - kept;
    return 0;
}

enum catalogue_verdict catalogue_judge(const struct catalogue_facts *facts)
{
    if (facts->rows == 0)
        return CATALOGUE_EMPTY;
    if (facts->bad_rows > facts->rows)
        return CATALOGUE_BROKEN;
    if (facts->known < CATALOGUE_SMALL || facts->missing <= facts->known / 2)
        return CATALOGUE_BELIEVED;
    return facts->doubted && facts->doubted_ago_s >= CATALOGUE_DOUBT_S ? CATALOGUE_BELIEVED
                                                                       : CATALOGUE_SHRUNK;
}

void catalogue_describe_fault(struct text *text, enum catalogue_verdict verdict,
                              const struct catalogue_facts *facts)
{
    switch (verdict) {
    case CATALOGUE_BELIEVED:
        break;
    case CATALOGUE_EMPTY:
        text_add(text, "it lists no service that can be read");
        break;
    case CATALOGUE_BROKEN:
        text_format(text, "%zu of its %zu rows name no service", facts->bad_rows,
                    facts->bad_rows + facts->rows);
        break;
    case CATALOGUE_SHRUNK:
        text_format(text,
                    DOUBT_CLAUSE "%" PRId64 " of the %" PRId64 " known services, and is believed "
                                 "when it still does in %d min",
                    facts->missing, facts->known, CATALOGUE_DOUBT_S / 60);
        break;
    }
}

bool catalogue_fault_is_doubt(const char *fault)
{
    return strncmp(fault, DOUBT_CLAUSE, strlen(DOUBT_CLAUSE)) == 0;
}

/* ---- when it is read ---- */

static int64_t lesser(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t doubled(int64_t first_s, unsigned times, int64_t longest_s)
{
    while (times-- > 0 && first_s < longest_s)
        first_s *= 2;
    return lesser(first_s, longest_s);
}

/* From the last try on. */
static int64_t retry_s(const struct catalogue_timing *timing)
{
    unsigned times = timing->failures > 0 ? timing->failures - 1 : 0;
    int64_t wait_s = doubled(RETRY_FIRST_S, times, lesser(timing->interval_s, RETRY_LONGEST_S));

    return timing->doubted && wait_s < CATALOGUE_DOUBT_S ? CATALOGUE_DOUBT_S : wait_s;
}

int64_t catalogue_wait_s(const struct catalogue_timing *timing)
{
    int64_t wait_s = timing->interval_s - timing->read_ago_s;

    if (timing->tried_ago_s < 0)
        return 0;
    if (timing->failed)
        wait_s = retry_s(timing) - timing->tried_ago_s;
    else if (timing->read_ago_s < 0)
        return 0;
    if (timing->refused)
        wait_s = lesser(wait_s, doubled(REFUSED_FIRST_S, timing->refusals, timing->interval_s) -
                                    timing->tried_ago_s);
    if (timing->wanted)
        wait_s = lesser(wait_s, WANTED_S - timing->tried_ago_s);
    return wait_s > 0 ? wait_s : 0;
}

/* ---- what it changed ---- */

static const struct {
    const char *word;       /* in the ledger */
    const char *one, *many; /* as catalogue_describe_rest() says it; NULL: told apart */
} changes[CATALOGUE_CHANGES] = {
    [CHANGE_NEW] = {"new", "new service", "new services"},
    [CHANGE_GONE] = {"gone", NULL, NULL},
    [CHANGE_BACK] = {"back", "service listed again", "services listed again"},
    [CHANGE_PRICE] = {"price", NULL, NULL},
    [CHANGE_MIN] = {"min", "other minimum", "other minimums"},
    [CHANGE_MAX] = {"max", "other maximum", "other maximums"},
    [CHANGE_NAME] = {"name", "other name", "other names"},
    [CHANGE_TYPE] = {"type", "other type", "other types"},
    [CHANGE_CATEGORY] = {"category", "other category", "other categories"},
    [CHANGE_REFILL] = {"refill", "other refill promise", "other refill promises"},
    [CHANGE_PRODUCT_ID] = {"product_id", "other product id", "other product ids"},
};

bool catalogue_change_parse(const char *word, enum catalogue_change *ret_change)
{
    for (int i = 0; i < CATALOGUE_CHANGES; i++) {
        if (strcmp(changes[i].word, word) != 0)
            continue;
        *ret_change = (enum catalogue_change)i;
        return true;
    }
    return false;
}

void catalogue_news_add(struct catalogue_news *news, enum catalogue_change change,
                        const char *service, const char *name, const char *before,
                        const char *after)
{
    char words[100], from[40], to[40], *told;
    size_t size = sizeof news->kinds[change].told[0];
    int used;

    news->kinds[change].count++;
    if (news->kinds[change].examples == CATALOGUE_EXAMPLES)
        return;
    told = news->kinds[change].told[news->kinds[change].examples++];
    text_one_line(words, sizeof words, name);
    text_one_line(from, sizeof from, before ? before : "none");
    text_one_line(to, sizeof to, after ? after : "none");
    used = snprintf(told, size, "%.64s \"%s\"", service, words);
    if (before || after)
        (void)snprintf(told + used, size - (size_t)used, " (%s -> %s)", from, to);
}

void catalogue_news_count(struct catalogue_news *news, enum catalogue_change change, uint64_t count)
{
    news->kinds[change].count += count;
}

void catalogue_describe(struct text *text, const struct catalogue_news *news,
                        enum catalogue_change change)
{
    uint64_t count = news->kinds[change].count;

    if (count == 1)
        text_add(text, "service");
    else
        text_format(text, "%" PRIu64 " services%s", count,
                    count > news->kinds[change].examples ? ", among them" : ":");
    for (unsigned i = 0; i < news->kinds[change].examples; i++)
        text_format(text, "%s %s", i ? "," : "", news->kinds[change].told[i]);
}

void catalogue_describe_rest(struct text *text, const struct catalogue_news *news)
{
    for (int i = 0; i < CATALOGUE_CHANGES; i++) {
        uint64_t count = news->kinds[i].count;

        if (count > 0 && changes[i].one)
            text_format(text, "%s%" PRIu64 " %s", text->length ? ", " : "", count,
                        count == 1 ? changes[i].one : changes[i].many);
    }
}
