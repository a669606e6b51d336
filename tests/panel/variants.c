#include "variants.h"

#include <string.h>

static const char *const names[VARIANT_COUNT] = {
    [VARIANT_STRINGS] = "strings",
    [VARIANT_NUMBERS] = "numbers",
    [VARIANT_LIST] = "list",
    [VARIANT_NESTED] = "nested",
    [VARIANT_FLAT_ONE] = "flat-one",
    [VARIANT_REVERSED] = "reversed",
    [VARIANT_OMIT_UNKNOWN] = "omit-unknown",
    [VARIANT_BARE_ERRORS] = "bare-errors",
    [VARIANT_ARRAY_ERRORS] = "array-errors",
    [VARIANT_INCORRECT_PAST_100] = "incorrect-past-100",
    [VARIANT_TRUNCATE_PAST_100] = "truncate-past-100",
    [VARIANT_UNLIMITED_IDS] = "unlimited-ids",
    [VARIANT_ADD_STATUS] = "add-status",
    [VARIANT_ADD_STATUS_100] = "add-status-100",
    [VARIANT_ADD_CHARGE] = "add-charge",
    [VARIANT_HTTP_201] = "http-201",
    [VARIANT_HTTP_CODES] = "http-codes",
    [VARIANT_REMAINS_UNKNOWN] = "remains-unknown",
    [VARIANT_REMAINS_EMPTY] = "remains-empty",
    [VARIANT_REMAINS_ZERO] = "remains-zero",
    [VARIANT_REMAINS_NEGATIVE] = "remains-negative",
    [VARIANT_START_NULL] = "start-null",
    [VARIANT_START_EMPTY] = "start-empty",
    [VARIANT_ENVELOPE_MESSAGE] = "envelope-message",
    [VARIANT_ENVELOPE_MSG] = "envelope-msg",
    [VARIANT_ERROR_KEYS] = "error-keys",
    [VARIANT_DRIP_FORM] = "drip-form",
    [VARIANT_THOUSANDS] = "thousands",
    [VARIANT_BOM] = "bom",
    [VARIANT_PHP_WARNING] = "php-warning",
    [VARIANT_TEXT_HTML] = "text-html",
    [VARIANT_WORDS_JOINED] = "words-joined",
    [VARIANT_WORDS_LOWER] = "words-lower",
    [VARIANT_WORDS_UNKNOWN] = "words-unknown",
    [VARIANT_TYPES_LOWER] = "types-lower",
    [VARIANT_BOOLEANS_DIGITS] = "booleans-digits",
    [VARIANT_EMPTY_CATALOGUE] = "empty-catalogue",
    [VARIANT_REFILL_WORD] = "refill-word",
    [VARIANT_REFILL_TASKS] = "refill-tasks",
    [VARIANT_LINK_DUPLICATE] = "link-duplicate",
    [VARIANT_RATE_NO_NUMBER] = "rate-no-number",
    [VARIANT_RATE_NO_WAIT] = "rate-no-wait",
    [VARIANT_RATE_WAIT_STRING] = "rate-wait-string",
    [VARIANT_RATE_WAIT_FULL] = "rate-wait-full",
    [VARIANT_RATE_429] = "rate-429",
    [VARIANT_CONNECTION_CLOSE] = "connection-close",
};

static int find(const char *name, size_t length)
{
    for (int i = 0; i < VARIANT_COUNT; i++) {
        if (strlen(names[i]) == length && memcmp(names[i], name, length) == 0)
            return i;
    }
    return -1;
}

int variants_parse(const char *list, uint64_t *ret_variants)
{
    uint64_t variants = 0;

    while (*list) {
        size_t length = strcspn(list, ",");
        int variant = find(list, length);
        if (variant < 0)
            return -1;
        variants |= UINT64_C(1) << variant;
        list += length + (list[length] == ',');
    }
    *ret_variants = variants;
    return 0;
}

void variants_add_names(struct text *text, uint64_t variants)
{
    const char *separator = "";

    for (int i = 0; i < VARIANT_COUNT; i++) {
        if (!((variants >> i) & 1))
            continue;
        text_addf(text, "%s%s", separator, names[i]);
        separator = ",";
    }
}
