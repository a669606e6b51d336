#include "wire/value.h"
#include "base/own.h"
#include "base/text.h"
#include <errno.h>
#include <limits.h>
#include <string.h>

#define DEPTH_MAX 32
#define JUNK_BYTES_MAX (64 * 1024)
#define CANDIDATES_MAX 8

DEFINE_OWN(struct json_tokener, json_tokener_free, tokener_freep)
DEFINE_OWN(struct json_object, (void)json_object_put, object_putp)

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Past the string's closing quote; `at` is after the opening one. Tells an escaped NUL. */
static const char *skip_string(const char *at, const char *end, bool *ret_has_nul)
{
    *ret_has_nul = false;
    for (; at < end && *at != '"'; at++) {
        if (*at != '\\')
            continue;
        if (end - at > 5 && memcmp(at, "\\u0000", 6) == 0)
            *ret_has_nul = true;
        at++;
    }
    return at + 1;
}

/*
 * Counts the keys of a text that json-c has parsed. False when it is no JSON all the same: a quote
 * of the wrong kind, NaN or Infinity (no other literal has a capital N or I), or a key with a NUL.
 */
static bool count_keys_written(const char *text, size_t bytes, size_t *ret_keys)
{
    const char *at = text, *end = text + bytes;
    bool has_nul = false;
    size_t keys = 0;
    while (at < end) {
        switch (*at++) {
        case '"':
            at = skip_string(at, end, &has_nul);
            break;
        case ':':
            if (has_nul)
                return false;
            keys++;
            break;
        case '\'':
        case 'N':
        case 'I':
            return false;
        }
    }
    *ret_keys = keys;
    return true;
}

/* Keys that json-c kept: fewer than written when one stood twice. */
static size_t count_keys_kept(struct json_object *value)
{
    size_t keys = 0;
    if (json_object_is_type(value, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(value); i++)
            keys += count_keys_kept(json_object_array_get_idx(value, i));
    } else if (json_object_is_type(value, json_type_object)) {
        struct lh_entry *entry;
        lh_foreach(json_object_get_object(value), entry)
        {
            keys += 1 + count_keys_kept(lh_entry_v(entry));
        }
    }
    return keys;
}

enum parse_verdict {
    PARSE_WHOLE,
    PARSE_CUT, /* fine as far as it goes, and it goes to the end */
    PARSE_BROKEN,
};

static int parse(const char *text, size_t bytes, enum parse_verdict *ret_verdict,
                 struct json_object **ret_root)
{
    OWN(tokener_freep) struct json_tokener *tokener = json_tokener_new_ex(DEPTH_MAX);
    if (!tokener)
        return -ENOMEM; /* uncovered: memory */
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
    OWN(object_putp)
    struct json_object *root = json_tokener_parse_ex(tokener, text, (int)bytes);
    size_t written = 0;
    if (!root) {
        *ret_verdict =
            json_tokener_get_error(tokener) == json_tokener_continue ? PARSE_CUT : PARSE_BROKEN;
    } else if (!count_keys_written(text, bytes, &written) || written != count_keys_kept(root)) {
        *ret_verdict = PARSE_BROKEN;
    } else {
        *ret_verdict = PARSE_WHOLE;
        *ret_root = GIVE(root);
    }
    return 0;
}

static bool opens_object(const char *at, const char *end)
{
    for (at++; at < end && is_space(*at); at++)
        continue;
    return at < end && *at == '"';
}

/* Text in front: tries the brackets in it until one opens a document, or what must have been one is
 * broken. */
static int parse_behind_junk(const char *body, const char *end, struct json_object **ret_root)
{
    const char *last = end - body > JUNK_BYTES_MAX ? body + JUNK_BYTES_MAX : end;
    int candidates = 0;
    for (const char *at = body; at < last && candidates < CANDIDATES_MAX; at++) {
        if (*at != '{' && *at != '[')
            continue;
        candidates++;
        enum parse_verdict verdict = PARSE_BROKEN;
        int r = parse(at, (size_t)(end - at), &verdict, ret_root);
        if (r < 0 || verdict != PARSE_BROKEN || (*at == '{' && opens_object(at, end)))
            return r;
    }
    return 0;
}

/* Without the space around it, and the byte-order marks before it. */
static void trim(const char **body, const char **end)
{
    while (*end > *body && is_space((*end)[-1]))
        (*end)--;
    for (;;) {
        if (*end - *body >= 3 && memcmp(*body, "\xEF\xBB\xBF", 3) == 0)
            *body += 3;
        else if (*body < *end && is_space(**body))
            (*body)++;
        else
            return;
    }
}

/* *body as well-formed UTF-8: `repaired`, when it had to be. */
static int make_utf8(const char **body, size_t *bytes, struct text *repaired)
{
    if (text_is_utf8(*body, *bytes))
        return 0;
    for (size_t i = 0; i < *bytes;) {
        size_t length = text_utf8_length(*body + i, *bytes - i);
        if (length > 0)
            text_add_bytes(repaired, *body + i, length);
        else
            text_add(repaired, "\xEF\xBF\xBD");
        i += length > 0 ? length : 1;
    }
    if (repaired->failed)
        return -ENOMEM; /* uncovered: memory */
    *body = repaired->bytes;
    *bytes = repaired->length;
    return 0;
}

int value_read_body(const char *body, size_t bytes, struct json_object **ret_root)
{
    OWN(text_done) struct text repaired = {0};
    *ret_root = NULL;
    if (bytes == 0)
        return 0;
    int r = make_utf8(&body, &bytes, &repaired);
    if (r < 0)
        return r; /* uncovered: memory */
    const char *end = body + bytes;
    trim(&body, &end);
    if (end - body > INT_MAX)
        return 0; /* uncovered: two gigabytes, json-c's limit; the transport's is far lower */
    if (body < end && (*body == '{' || *body == '[')) {
        enum parse_verdict verdict;
        return parse(body, (size_t)(end - body), &verdict, ret_root);
    }
    return parse_behind_junk(body, end, ret_root);
}

/* The element at *at, which moves behind it; false when there is none that is whole. A null is
 * NULL. */
static bool read_element(struct json_tokener *tokener, const char **at, const char *end,
                         struct json_object **ret_element)
{
    json_tokener_reset(tokener);
    OWN(object_putp)
    struct json_object *element = json_tokener_parse_ex(tokener, *at, (int)(end - *at));
    size_t used = json_tokener_get_parse_end(tokener), written = 0;
    if (json_tokener_get_error(tokener) != json_tokener_success ||
        !count_keys_written(*at, used, &written) || written != count_keys_kept(element))
        return false;
    *at += used;
    *ret_element = GIVE(element);
    return true;
}

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && is_space(*at))
        at++;
    return at;
}

/* From behind the list's bracket to the end of the body. */
static int read_elements(struct json_tokener *tokener, const char *at, const char *end,
                         int (*take)(void *userdata, struct json_object *element), void *userdata,
                         bool *ret_whole)
{
    at = skip_space(at, end);
    bool is_last = at < end && *at == ']';
    while (!is_last) {
        OWN(object_putp) struct json_object *element = NULL;
        if (!read_element(tokener, &at, end, &element))
            return 0;
        int r = take(userdata, element);
        if (r < 0)
            return r; /* uncovered: memory */
        at = skip_space(at, end);
        is_last = at < end && *at == ']';
        if (!is_last && (at == end || *at++ != ','))
            return 0;
    }
    *ret_whole = at + 1 == end;
    return 0;
}

int value_read_list(const char *body, size_t bytes,
                    int (*take)(void *userdata, struct json_object *element), void *userdata,
                    bool *ret_whole)
{
    OWN(text_done) struct text repaired = {0};
    *ret_whole = false;
    int r = make_utf8(&body, &bytes, &repaired);
    if (r < 0)
        return r; /* uncovered: memory */
    const char *end = body + bytes;
    trim(&body, &end);
    if (body == end || *body != '[' || end - body > INT_MAX)
        return 0;
    OWN(tokener_freep) struct json_tokener *tokener = json_tokener_new_ex(DEPTH_MAX - 1);
    if (!tokener)
        return -ENOMEM; /* uncovered: memory */
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_ALLOW_TRAILING_CHARS);
    return read_elements(tokener, body + 1, end, take, userdata, ret_whole);
}

struct json_object *value_member(struct json_object *object, const char *key)
{
    struct json_object *member = NULL;
    if (json_object_is_type(object, json_type_object))
        json_object_object_get_ex(object, key, &member);
    return member;
}

/* True for an integer that json-c may have saturated: the ends of both of its ranges. */
static bool is_saturated(struct json_object *integer)
{
    return json_object_get_uint64(integer) == UINT64_MAX ||
           json_object_get_int64(integer) == INT64_MIN;
}

bool value_is_empty(struct json_object *value)
{
    switch (json_object_get_type(value)) {
    case json_type_null:
        return true;
    case json_type_boolean:
        return !json_object_get_boolean(value);
    case json_type_double:
        return json_object_get_double(value) == 0;
    case json_type_int:
        return json_object_get_int64(value) == 0;
    case json_type_object:
        return json_object_object_length(value) == 0;
    case json_type_array:
        return json_object_array_length(value) == 0;
    case json_type_string:
        break;
    }
    int length = json_object_get_string_len(value);
    return length == 0 || (length == 1 && json_object_get_string(value)[0] == '0');
}

bool value_is_true(struct json_object *value)
{
    if (json_object_is_type(value, json_type_boolean))
        return json_object_get_boolean(value);
    const char *text = value_scalar(value);
    return text && (strcmp(text, "1") == 0 || strcasecmp(text, "true") == 0);
}

const char *value_text(struct json_object *value)
{
    if (!json_object_is_type(value, json_type_string))
        return NULL;
    const char *text = json_object_get_string(value);
    size_t length = (size_t)json_object_get_string_len(value);
    return length > 0 && strlen(text) == length ? text : NULL;
}

const char *value_scalar(struct json_object *value)
{
    if (json_object_is_type(value, json_type_int))
        return is_saturated(value) ? NULL : json_object_get_string(value);
    return value_text(value);
}

bool value_is_id(const char *text)
{
    bool has_digit = false;
    if (text[0] == '-')
        return false;
    for (size_t length = 0; text[length]; length++) {
        char c = text[length];
        if (length == VALUE_ID_BYTES || c <= ' ' || c > '~' || strchr(",\"'`<>", c))
            return false;
        has_digit = has_digit || (c >= '1' && c <= '9');
    }
    return has_digit;
}

const char *value_id(struct json_object *value)
{
    const char *text = value_scalar(value);
    return text && value_is_id(text) ? text : NULL;
}

bool value_amount(struct json_object *value, char ret_decimal[DECIMAL_SIZE])
{
    /* A number with a point keeps its source's spelling in json-c, so no double is ever printed
     * here. */
    const char *text = json_object_is_type(value, json_type_double) ? json_object_get_string(value)
                                                                    : value_scalar(value);
    return text && decimal_parse(text, ret_decimal);
}

bool value_count(struct json_object *value, int64_t *ret_count)
{
    if (!json_object_is_type(value, json_type_int)) {
        char decimal[DECIMAL_SIZE];
        const char *text = value_text(value);
        if (!text && json_object_is_type(value, json_type_double) && value_amount(value, decimal))
            text = decimal;
        return text && decimal_parse_integer(text, ret_count);
    }
    int64_t count = json_object_get_int64(value);
    if (count == INT64_MIN || count == INT64_MAX)
        return false;
    *ret_count = count;
    return true;
}
