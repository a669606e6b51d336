#include "wire/add_check.h"
#include "base/decimal.h"
#include "base/own.h"
#include "rules/service_type.h"
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum column_kind { COLUMN_WORDS, COLUMN_NUMBER, COLUMN_LINES };
static const struct {
    const char *name;
    enum column_kind kind;
    size_t bytes_max;
    int64_t number_max;
} columns[ADD_COLUMN_COUNT] = {
    [ADD_SERVICE] = {"service", COLUMN_WORDS, 200, 0},
    [ADD_LINK] = {"link", COLUMN_WORDS, ADD_LINK_BYTES, 0},
    [ADD_QUANTITY] = {"quantity", COLUMN_NUMBER, 20, ADD_NUMBER_MAX},
    [ADD_RUNS] = {"runs", COLUMN_NUMBER, 20, ADD_RUNS_MAX},
    [ADD_INTERVAL] = {"interval", COLUMN_NUMBER, 20, ADD_RUNS_MAX},
    [ADD_MIN] = {"min", COLUMN_NUMBER, 20, ADD_NUMBER_MAX},
    [ADD_MAX] = {"max", COLUMN_NUMBER, 20, ADD_NUMBER_MAX},
    [ADD_COMMENTS] = {"comments", COLUMN_LINES, ADD_TEXT_BYTES, 0},
    [ADD_USERNAMES] = {"usernames", COLUMN_LINES, ADD_TEXT_BYTES, 0},
    [ADD_HASHTAGS] = {"hashtags", COLUMN_LINES, ADD_TEXT_BYTES, 0},
    [ADD_USERNAME] = {"username", COLUMN_WORDS, 1000, 0},
};

#define BLANKS " \t\v\f"
#define LINE_ENDS "\r\n"

void add_parameters_done(struct add_parameters *parameters)
{
    json_object_put(parameters->owned_json);
    text_done(&parameters->owned_text);
}

/* ---- text ---- */

static bool is_blank(const char *value)
{
    return !value || value[strspn(value, BLANKS LINE_ENDS)] == '\0';
}

/* Of ASCII and of Latin-1; tabs and, where there may be several lines, line ends are none. */
static bool has_control(const char *value, bool lines)
{
    for (const unsigned char *at = (const unsigned char *)value; *at; at++) {
        if (at[0] == 0xc2 && at[1] >= 0x80 && at[1] <= 0x9f)
            return true;
        if (*at == 0x7f || (*at < 0x20 && *at != '\t' && !(lines && strchr(LINE_ENDS, *at))))
            return true;
    }
    return false;
}

/* `name` is a column's, or a name in params. */
static enum add_verdict check_text(const char *name, const char *value, bool lines,
                                   size_t bytes_max, struct problem *reterr_problem)
{
    size_t bytes = strlen(value);

    if (bytes >= bytes_max)
        problem_set(reterr_problem, "%s is too long: %zu bytes, where less than %zu are possible",
                    name, bytes, bytes_max);
    else if (!text_is_utf8(value, bytes))
        problem_set(reterr_problem, "%s holds bytes that are no UTF-8", name);
    else if (has_control(value, lines))
        problem_set(reterr_problem, "%s holds %s control character", name,
                    lines ? "a" : "a line end or another");
    else
        return ADD_SOUND;
    return ADD_UNSOUND;
}

/* The next line and where the one behind it begins. */
static size_t line_length(const char *line, const char **ret_next)
{
    size_t length = strcspn(line, LINE_ENDS);

    *ret_next = line + length + strspn(line + length, LINE_ENDS);
    return length;
}

/* Every line that is not blank, line feeds between them. Room is reserved: nothing moves. */
static const char *lines_of(struct text *text, const char *value)
{
    size_t begin = text->length;

    for (const char *line = value, *next; *line; line = next) {
        size_t length = line_length(line, &next);

        if (strspn(line, BLANKS) >= length)
            continue;
        if (text->length > begin)
            text_add_char(text, '\n');
        text_add_bytes(text, line, length);
    }
    text_add_bytes(text, "", 1);
    return text->bytes + begin;
}

/* The same text with line feeds for every kind of line end. */
static const char *line_feeds_of(struct text *text, const char *value)
{
    size_t begin = text->length;

    for (; *value; value++)
        if (*value != '\r')
            text_add_char(text, *value);
        else if (value[1] != '\n')
            text_add_char(text, '\n');
    text_add_bytes(text, "", 1);
    return text->bytes + begin;
}

/* ---- columns ---- */

static enum add_verdict check_number(enum add_column column, const char *value,
                                     struct problem *reterr_problem)
{
    int64_t number;

    if (!decimal_parse_integer(value, &number) || number < 1)
        problem_set(reterr_problem, "%s is %.30s: it must be a whole number above 0",
                    columns[column].name, value);
    else if (number > columns[column].number_max)
        problem_set(reterr_problem, "%s is %" PRId64 ", which no service sells: at most %" PRId64,
                    columns[column].name, number, columns[column].number_max);
    else
        return ADD_SOUND;
    return ADD_UNSOUND;
}

static enum add_verdict check_column(enum add_column column, const char *value,
                                     struct problem *reterr_problem)
{
    switch (columns[column].kind) {
    case COLUMN_NUMBER:
        return check_number(column, value, reterr_problem);
    case COLUMN_WORDS:
    case COLUMN_LINES:
        break;
    }
    return check_text(columns[column].name, value, columns[column].kind == COLUMN_LINES,
                      columns[column].bytes_max, reterr_problem);
}

static enum add_verdict check_bounds(const struct add_line *line, struct problem *reterr_problem)
{
    int64_t min, max;

    if (is_blank(line->columns[ADD_MIN]) || is_blank(line->columns[ADD_MAX]) ||
        !decimal_parse_integer(line->columns[ADD_MIN], &min) ||
        !decimal_parse_integer(line->columns[ADD_MAX], &max) || min <= max)
        return ADD_SOUND;
    problem_set(reterr_problem, "min %" PRId64 " is above max %" PRId64, min, max);
    return ADD_UNSOUND;
}

static enum add_verdict take_columns(const struct add_line *line, struct add_parameters *parameters,
                                     struct problem *reterr_problem)
{
    for (int i = 0; i < ADD_COLUMN_COUNT; i++) {
        const char *value = line->columns[i];

        if (is_blank(value))
            continue;
        if (check_column((enum add_column)i, value, reterr_problem) != ADD_SOUND)
            return ADD_UNSOUND;
        if (columns[i].kind == COLUMN_LINES)
            value = lines_of(&parameters->owned_text, value);
        parameters->list[parameters->count++] = (struct parameter){columns[i].name, value};
    }
    return check_bounds(line, reterr_problem);
}

/* ---- params ---- */

/* PHP makes an array of "key[]", and the same of " key" and "key": plain names alone are safe. */
static bool is_plain_name(const char *name)
{
    size_t length =
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

    return length > 0 && length <= 64 && name[length] == '\0';
}

static enum add_verdict check_name(const char *name, struct problem *reterr_problem)
{
    char shown[60];

    if (!is_plain_name(name)) {
        text_one_line(shown, sizeof shown, name);
        problem_set(reterr_problem,
                    "params holds the name \"%s\": letters, digits, _ and - are possible", shown);
        return ADD_UNSOUND;
    }
    if (strcasecmp(name, "key") == 0 || strcasecmp(name, "action") == 0) {
        problem_set(reterr_problem, "params may not hold \"%s\"", name);
        return ADD_UNSOUND;
    }
    for (int i = 0; i < ADD_COLUMN_COUNT; i++)
        if (strcasecmp(name, columns[i].name) == 0) {
            problem_set(reterr_problem,
                        "params may not hold \"%s\": the view has a column of that name", name);
            return ADD_UNSOUND;
        }
    return ADD_SOUND;
}

/* Numbers that the JSON library could not hold were cut to these. */
static bool is_cut(struct json_object *value)
{
    return json_object_is_type(value, json_type_int) &&
           (json_object_get_int64(value) == INT64_MAX || json_object_get_int64(value) == INT64_MIN);
}

static enum add_verdict check_value(const char *name, struct json_object *value,
                                    struct problem *reterr_problem)
{
    char title[80];

    if (json_object_is_type(value, json_type_object) || json_object_is_type(value, json_type_array))
        problem_set(reterr_problem, "params may hold only plain values, and \"%s\" is none", name);
    else if (is_cut(value))
        problem_set(reterr_problem, "params holds too large a number: \"%s\"", name);
    else if (json_object_is_type(value, json_type_string) &&
             strlen(json_object_get_string(value)) != (size_t)json_object_get_string_len(value))
        problem_set(reterr_problem, "%s of params holds a control character", name);
    else {
        snprintf(title, sizeof title, "%s of params", name);
        return check_text(title, json_object_get_string(value), true, ADD_TEXT_BYTES,
                          reterr_problem);
    }
    return ADD_UNSOUND;
}

static enum add_verdict take_params(struct add_parameters *parameters,
                                    struct problem *reterr_problem)
{
    if (!json_object_is_type(parameters->owned_json, json_type_object)) {
        problem_set(reterr_problem, "params is not an object of names and values");
        return ADD_UNSOUND;
    }
    json_object_object_foreach(parameters->owned_json, name, value)
    {
        const char *string;

        if (check_name(name, reterr_problem) != ADD_SOUND)
            return ADD_UNSOUND;
        if (!value)
            continue;
        if (check_value(name, value, reterr_problem) != ADD_SOUND)
            return ADD_UNSOUND;
        string = json_object_get_string(value);
        if (is_blank(string))
            continue;
        if (parameters->count == ADD_PARAMETERS_MAX) {
            problem_set(reterr_problem, "params holds more than %d values",
                        ADD_PARAMETERS_MAX - ADD_COLUMN_COUNT);
            return ADD_UNSOUND;
        }
        if (strchr(string, '\r'))
            string = line_feeds_of(&parameters->owned_text, string);
        parameters->list[parameters->count++] = (struct parameter){name, string};
    }
    return ADD_SOUND;
}

/* ---- the whole ---- */

static bool is_given(const struct add_parameters *parameters, const char *name)
{
    for (size_t i = 0; i < parameters->count; i++)
        if (strcmp(parameters->list[i].name, name) == 0)
            return true;
    return false;
}

static enum add_verdict check_required(const char *type_name,
                                       const struct add_parameters *parameters,
                                       struct problem *reterr_problem)
{
    const struct service_type *type = type_name ? service_type_of(type_name) : NULL;

    if (!is_given(parameters, "service")) {
        problem_set(reterr_problem, "the line shows no service: it has none in the shop, or its "
                                    "options cannot be used as they are");
        return ADD_UNSOUND;
    }
    if (!type_name && !is_given(parameters, "link") && !is_given(parameters, "username")) {
        problem_set(reterr_problem, "link and username are both missing");
        return ADD_UNSOUND;
    }
    for (const char *const *name = type ? type->required : NULL; name && *name; name++) {
        if (is_given(parameters, *name))
            continue;
        problem_set(reterr_problem, "%s is missing%s: services of type %s need it", *name,
                    strcmp(*name, "quantity") == 0 ? ", or is no whole number" : "", type->name);
        return ADD_UNSOUND;
    }
    return ADD_SOUND;
}

/* What the lines need at most, each with its end. */
static size_t lines_bytes(const struct add_line *line)
{
    size_t bytes = line->params ? strlen(line->params) + 1 : 0;

    for (int i = 0; i < ADD_COLUMN_COUNT; i++)
        if (columns[i].kind == COLUMN_LINES && line->columns[i])
            bytes += strlen(line->columns[i]) + 1;
    return bytes;
}

static enum add_verdict check(const struct add_line *line, struct add_parameters *parameters,
                              struct problem *reterr_problem)
{
    if (line->params && strlen(line->params) >= 2 * ADD_TEXT_BYTES) {
        problem_set(reterr_problem, "params is too long: %zu bytes", strlen(line->params));
        return ADD_UNSOUND;
    }
    if (take_columns(line, parameters, reterr_problem) != ADD_SOUND)
        return ADD_UNSOUND;
    if (line->params && strcmp(line->params, "null") != 0) {
        parameters->owned_json = json_tokener_parse(line->params);
        if (take_params(parameters, reterr_problem) != ADD_SOUND)
            return ADD_UNSOUND;
    }
    return check_required(line->type, parameters, reterr_problem);
}

int add_check(const struct add_line *line, struct add_parameters *ret_parameters,
              struct problem *reterr_problem)
{
    OWN(add_parameters_done) struct add_parameters parameters = {0};
    enum add_verdict verdict;

    text_reserve(&parameters.owned_text, lines_bytes(line));
    if (parameters.owned_text.failed)
        return -ENOMEM; /* uncovered: memory */
    verdict = check(line, &parameters, reterr_problem);
    assert(!parameters.owned_text.failed); /* what was reserved is enough for all of it */
    if (verdict != ADD_SOUND)
        return verdict;
    *ret_parameters = parameters;
    parameters = (struct add_parameters){0};
    return ADD_SOUND;
}
