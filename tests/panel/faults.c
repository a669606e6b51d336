#include "faults.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    bool executes;
} kinds[FAULT_COUNT] = {
    [FAULT_NONE] = {"", false},
    [FAULT_RESET_BEFORE] = {"reset-before", false},
    [FAULT_RESET_AFTER] = {"reset-after", true},
    [FAULT_CLOSE_BEFORE] = {"close-before", false},
    [FAULT_CLOSE_AFTER] = {"close-after", true},
    [FAULT_CLOSE_REUSED] = {"close-reused", false},
    [FAULT_TIMEOUT_BEFORE] = {"timeout-before", false},
    [FAULT_TIMEOUT_AFTER] = {"timeout-after", true},
    [FAULT_HTML_503] = {"html-503", false},
    [FAULT_HTML_200] = {"html-200", false},
    [FAULT_EMPTY] = {"empty", false},
    [FAULT_ENDLESS] = {"endless", false},
    [FAULT_TRUNCATED] = {"truncated", true},
    [FAULT_HALF_JSON] = {"half-json", true},
    [FAULT_500_BEFORE] = {"500-before", false},
    [FAULT_500_AFTER] = {"500-after", true},
    [FAULT_WRONG_KEY] = {"wrong-key", false},
    [FAULT_INSUFFICIENT] = {"insufficient", false},
    [FAULT_RATE] = {"rate", false},
    [FAULT_SLOW_BODY] = {"slow-body", true},
    [FAULT_REPLY] = {"reply", false},
    [FAULT_DELAY] = {"delay", true},
};

const char *fault_name(enum fault_kind kind)
{
    return kinds[kind].name;
}

/* An absent field leaves *number as it is. */
static int number_field(const struct form *form, const char *name, uint64_t maximum,
                        uint64_t *number)
{
    const char *value = form_get(form, name);

    return value ? digits_parse(value, maximum, number) : 0;
}

static void word_field(const struct form *form, const char *name, char *word, size_t size)
{
    strncpy(word, form_text(form, name), size - 1);
}

int faults_add(struct faults *faults, const struct form *form)
{
    const char *kind = form_text(form, "kind");
    const char *chance = form_get(form, "chance");
    struct fault fault = {.kind = FAULT_NONE, .chance = 1000000};
    uint64_t executes, retry_after = 0, millis = 0, http_status = 200;

    for (int i = FAULT_NONE + 1; i < FAULT_COUNT; i++) {
        if (strcmp(kinds[i].name, kind) == 0)
            fault.kind = (enum fault_kind)i;
    }
    executes = kinds[fault.kind].executes;
    fault.remaining = 1;
    fault.seed = 1;
    if (fault.kind == FAULT_NONE || number_field(form, "n", UINT64_MAX, &fault.remaining) ||
        number_field(form, "seed", UINT64_MAX, &fault.seed) ||
        number_field(form, "execute", 1, &executes) ||
        number_field(form, "retry_after", UINT32_MAX, &retry_after) ||
        number_field(form, "millis", UINT32_MAX, &millis) ||
        number_field(form, "http", 599, &http_status))
        return -1;
    if (chance) {
        double share = strtod(chance, NULL);
        fault.chance = share <= 0 ? 0 : share >= 1 ? 1000000 : (uint32_t)(share * 1e6);
    }
    fault.executes = executes == 1;
    fault.retry_after = (uint32_t)retry_after;
    fault.millis = (uint32_t)millis;
    fault.http_status = (unsigned)http_status;
    word_field(form, "action", fault.action, sizeof fault.action);
    word_field(form, "link", fault.link, sizeof fault.link);
    word_field(form, "service", fault.service, sizeof fault.service);
    const char *text = form_get(form, "text");
    fault.text = text ? strdup(text) : NULL;
    faults->rules = realloc(faults->rules, (faults->count + 1) * sizeof *faults->rules);
    if (!faults->rules)
        abort();
    faults->rules[faults->count++] = fault;
    return 0;
}

void faults_clear(struct faults *faults)
{
    for (size_t i = 0; i < faults->count; i++)
        free(faults->rules[i].text);
    free(faults->rules);
    faults->rules = NULL;
    faults->count = 0;
}

static bool lucky(struct fault *fault)
{
    if (fault->chance >= 1000000)
        return true;
    fault->seed = fault->seed * 6364136223846793005u + 1442695040888963407u;
    return (fault->seed >> 33) % 1000000 < fault->chance;
}

static bool matches(struct fault *fault, const char *action, const struct form *form, bool reused)
{
    if (!fault->remaining || (fault->kind == FAULT_CLOSE_REUSED && !reused))
        return false;
    if (*fault->action && strcmp(fault->action, action) != 0 &&
        strcmp(fault->action, form_text(form, "action")) != 0)
        return false;
    if (*fault->service && strcmp(fault->service, form_text(form, "service")) != 0)
        return false;
    if (*fault->link && !strstr(form_text(form, "link"), fault->link) &&
        !strstr(form_text(form, "orders"), fault->link) &&
        !strstr(form_text(form, "order"), fault->link))
        return false;
    return lucky(fault);
}

const struct fault *faults_meet(struct faults *faults, const char *action, const struct form *form,
                                bool connection_reused)
{
    for (size_t i = 0; i < faults->count; i++) {
        struct fault *fault = &faults->rules[i];
        if (matches(fault, action, form, connection_reused)) {
            fault->remaining--;
            faults->fired[fault->kind]++;
            return fault;
        }
    }
    return NULL;
}
