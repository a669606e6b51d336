#include "host/config_source.h"
#include "base/own.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* No setting stands deeper than a group in a list; the rest is room for telling a misplaced one by
 * name. */
#define DEPTH_MAX 8
/* libconfig keeps a setting's line in 16 bits. */
#define LINE_MAX_KEPT 65535

enum token_kind {
    TOKEN_END,
    TOKEN_NAME,
    TOKEN_TEXT,
    TOKEN_INTEGER,
    TOKEN_SCALAR, /* float or boolean */
    TOKEN_EQUALS,
    TOKEN_COMMA,
    TOKEN_SEMICOLON,
    TOKEN_OPEN,
    TOKEN_CLOSE,
    TOKEN_WRONG, /* told already */
};

struct token {
    enum token_kind kind;
    const char *start;
    size_t length;
    unsigned line;
};

enum expectation {
    EXPECT_NAME,
    EXPECT_EQUALS,
    EXPECT_VALUE,
    EXPECT_VALUE_OR_CLOSE,
    EXPECT_NEXT, /* a value is complete */
};

/* An open bracket; the first one is the file itself. */
struct level {
    char open; /* '{', '(', '[' */
    unsigned line, commas;
    const char *name; /* of the setting being read in a group */
    size_t name_length;
};

struct reader {
    const char *at;
    unsigned line;
    unsigned long_text_line; /* where the last text began that runs over a line's end, 0 = none */
    struct token token, before;
    struct level levels[DEPTH_MAX + 1];
    unsigned depth;
    enum expectation expect;
    struct config_source *source;
    struct config_fault *fault;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex_digit(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '*';
}

static size_t digits_length(const char *text)
{
    size_t length = 0;

    while (is_digit(text[length]))
        length++;
    return length;
}

static size_t exponent_length(const char *text)
{
    size_t sign, digits;

    if (text[0] != 'e' && text[0] != 'E')
        return 0;
    sign = text[1] == '+' || text[1] == '-';
    digits = digits_length(text + 1 + sign);
    return digits ? 1 + sign + digits : 0;
}

static size_t long_suffix_length(const char *text)
{
    if (text[0] != 'L')
        return 0;
    return text[1] == 'L' ? 2 : 1;
}

/* The longest number at the start of the text, 0 = there is none. */
static size_t number_length(const char *text, enum token_kind *ret_kind)
{
    size_t sign = text[0] == '+' || text[0] == '-';
    size_t digits = digits_length(text + sign);
    size_t length = sign + digits;

    *ret_kind = TOKEN_INTEGER;
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X') && is_hex_digit(text[2])) {
        for (length = 2; is_hex_digit(text[length]);)
            length++;
        return length + long_suffix_length(text + length);
    }
    if (text[length] == '.') {
        *ret_kind = TOKEN_SCALAR;
        length++;
        length += digits_length(text + length);
        return length + exponent_length(text + length);
    }
    if (!digits)
        return 0;
    if (exponent_length(text + length)) {
        *ret_kind = TOKEN_SCALAR;
        return length + exponent_length(text + length);
    }
    return length + long_suffix_length(text + length);
}

static struct problem *problem_at(struct reader *reader, unsigned line)
{
    reader->fault->line = line;
    return &reader->fault->problem;
}

/* Moves behind white space and comments; false (told) when a comment never ends. */
static bool skip_blank(struct reader *reader)
{
    for (;; reader->at++) {
        const char *at = reader->at;

        if (*at == '\n') {
            reader->line++;
        } else if (*at == '#' || (at[0] == '/' && at[1] == '/')) {
            reader->at += strcspn(at, "\n") - 1;
        } else if (at[0] == '/' && at[1] == '*') {
            const char *end = strstr(at + 2, "*/");
            if (!end) {
                problem_set(problem_at(reader, reader->line),
                            "the comment that begins here with /* never ends");
                return false;
            }
            for (; at < end; at++)
                reader->line += *at == '\n';
            reader->at = end + 1;
        } else if (!*at || !strchr(" \t\r\f", *at)) {
            return true;
        }
    }
}

/* Takes a text in quotes; false (told) when it never ends. */
static bool take_text(struct reader *reader)
{
    unsigned began = reader->line;
    const char *at = reader->at + 1;

    for (; *at && *at != '"'; at++) {
        if (*at == '\n')
            reader->line++;
        else if (at[0] == '\\' && (at[1] == '"' || at[1] == '\\'))
            at++;
    }
    if (!*at) {
        problem_set(problem_at(reader, began), "the text in quotes that begins here never ends");
        return false;
    }
    if (reader->line > began)
        reader->long_text_line = began;
    reader->token.kind = TOKEN_TEXT;
    reader->token.length = (size_t)(at + 1 - reader->at);
    return true;
}

static void take_name(struct token *token)
{
    size_t length = 1;

    while (is_name_start(token->start[length]) || is_digit(token->start[length]) ||
           token->start[length] == '-' || token->start[length] == '_')
        length++;
    token->length = length;
    token->kind = TOKEN_NAME;
    if ((length == 4 && !strncasecmp(token->start, "true", 4)) ||
        (length == 5 && !strncasecmp(token->start, "false", 5)))
        token->kind = TOKEN_SCALAR;
}

static void tell_include(struct problem *problem)
{
    problem_set(problem, "@include is not supported");
    problem_hint(problem, "put all settings into this one file");
}

static bool take_sign(struct reader *reader)
{
    static const struct {
        const char *signs;
        enum token_kind kind;
    } kinds[] = {
        {"=:", TOKEN_EQUALS}, {",", TOKEN_COMMA},   {";", TOKEN_SEMICOLON},
        {"{([", TOKEN_OPEN},  {"})]", TOKEN_CLOSE},
    };
    unsigned char c = (unsigned char)*reader->at;

    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (strchr(kinds[i].signs, c)) {
            reader->token.kind = kinds[i].kind;
            return true;
        }
    }
    if (c == '@')
        tell_include(problem_at(reader, reader->line));
    else if (c > ' ' && c < 0x7f)
        problem_set(problem_at(reader, reader->line), "\"%c\" cannot stand here", c);
    else
        problem_set(problem_at(reader, reader->line), "the byte 0x%02x cannot stand here", c);
    return false;
}

/* Reads the next token; its kind is TOKEN_WRONG when that failed (told). */
static void take_token(struct reader *reader)
{
    struct token *token = &reader->token;
    enum token_kind number;
    bool taken = true;

    reader->before = *token;
    *token = (struct token){.kind = TOKEN_WRONG};
    if (!skip_blank(reader))
        return;
    *token = (struct token){.start = reader->at, .length = 1, .line = reader->line};
    if (!*reader->at) {
        token->kind = TOKEN_END;
        token->length = 0;
    } else if (*reader->at == '"') {
        taken = take_text(reader);
    } else if (is_name_start(*reader->at)) {
        take_name(token);
    } else if (number_length(reader->at, &number)) {
        token->kind = number;
        token->length = number_length(reader->at, &number);
    } else {
        taken = take_sign(reader);
    }
    if (!taken)
        token->kind = TOKEN_WRONG;
    else if (reader->line > LINE_MAX_KEPT) {
        problem_set(problem_at(reader, 0), "the file has more than %d lines", LINE_MAX_KEPT);
        token->kind = TOKEN_WRONG;
    }
    reader->at += token->length;
}

static int keep_integer(struct reader *reader)
{
    struct config_source *source = reader->source;
    const struct level *top = &reader->levels[0], *last = &reader->levels[reader->depth];
    struct source_integer integer = {.group = "", .literal = reader->token.start};
    bool in_group = reader->depth == 1 && last->open == '{';
    bool in_list = reader->depth == 2 && last->open == '{' && reader->levels[1].open == '(';

    if (reader->depth && !in_group && !in_list)
        return 0;
    if (reader->depth) {
        integer.group = top->name;
        integer.group_length = top->name_length;
    }
    if (in_list)
        integer.element = reader->levels[1].commas;
    integer.name = last->name;
    integer.name_length = last->name_length;
    if (source->count == source->size) {
        size_t size = source->size ? 2 * source->size : 32;
        struct source_integer *grown = reallocarray(source->integers, size, sizeof *grown);
        if (!grown)
            return -ENOMEM;
        source->integers = grown;
        source->size = size;
    }
    source->integers[source->count++] = integer;
    return 0;
}

/* "expected ..., but found ..." at the token. */
static int unexpected(struct reader *reader, const char *wanted)
{
    const struct token *token = &reader->token;
    const struct level *level = &reader->levels[reader->depth];
    int shown = token->length > 40 ? 40 : (int)token->length;

    if (token->kind == TOKEN_END && reader->depth && reader->expect != EXPECT_VALUE)
        problem_set(problem_at(reader, token->line),
                    "the file ends, but the \"%c\" of line %u is not closed", level->open,
                    level->line);
    else if (token->kind == TOKEN_END)
        problem_set(problem_at(reader, token->line), "expected %s, but the file ends", wanted);
    else if (token->kind == TOKEN_TEXT) /* not shown: it may be a secret in the wrong place */
        problem_set(problem_at(reader, token->line), "expected %s, but found a text in quotes",
                    wanted);
    else
        problem_set(problem_at(reader, token->line), "expected %s, but found \"%.*s\"", wanted,
                    shown, token->start);
    return 1;
}

static int open_level(struct reader *reader)
{
    char open = *reader->token.start;

    if (reader->levels[reader->depth].open == '[')
        return unexpected(reader, "a plain value inside [ ]");
    if (reader->depth == DEPTH_MAX) {
        problem_set(problem_at(reader, reader->token.line), "brackets are nested more than %d deep",
                    DEPTH_MAX);
        return 1;
    }
    reader->levels[++reader->depth] = (struct level){.open = open, .line = reader->token.line};
    reader->expect = open == '{' ? EXPECT_NAME : EXPECT_VALUE_OR_CLOSE;
    return 0;
}

static int take_value(struct reader *reader, const char *wanted)
{
    int r;

    if (reader->token.kind == TOKEN_OPEN)
        return open_level(reader);
    if (reader->token.kind != TOKEN_TEXT && reader->token.kind != TOKEN_INTEGER &&
        reader->token.kind != TOKEN_SCALAR)
        return unexpected(reader, wanted);
    if (reader->token.kind == TOKEN_INTEGER) {
        r = keep_integer(reader);
        if (r < 0)
            return r;
    }
    reader->expect = EXPECT_NEXT;
    return 0;
}

static int take_close(struct reader *reader)
{
    static const char pairs[] = "{}()[]";
    const struct level *level = &reader->levels[reader->depth];

    if (!reader->depth) {
        problem_set(problem_at(reader, reader->token.line), "\"%c\" closes nothing",
                    *reader->token.start);
        return 1;
    }
    if (strchr(pairs, level->open)[1] != *reader->token.start) {
        problem_set(problem_at(reader, reader->token.line),
                    "\"%c\" cannot close the \"%c\" of line %u", *reader->token.start, level->open,
                    level->line);
        return 1;
    }
    reader->depth--;
    reader->expect = EXPECT_NEXT;
    return 0;
}

static int take_setting_name(struct reader *reader, const char *wanted)
{
    struct level *level = &reader->levels[reader->depth];

    if (reader->token.kind == TOKEN_CLOSE)
        return take_close(reader);
    if (reader->token.kind != TOKEN_NAME)
        return unexpected(reader, wanted);
    level->name = reader->token.start;
    level->name_length = reader->token.length;
    reader->expect = EXPECT_EQUALS;
    return 0;
}

/* After a complete value: adjacent texts are one text, and in groups libconfig needs no separator.
 */
static int take_next(struct reader *reader)
{
    struct level *level = &reader->levels[reader->depth];
    bool in_group = level->open == '{';

    if (reader->token.kind == TOKEN_TEXT && reader->before.kind == TOKEN_TEXT)
        return 0;
    if (reader->token.kind == TOKEN_COMMA || (in_group && reader->token.kind == TOKEN_SEMICOLON)) {
        level->commas++;
        reader->expect = in_group ? EXPECT_NAME : EXPECT_VALUE;
        return 0;
    }
    if (in_group)
        return take_setting_name(reader, "\";\" or the next setting");
    if (reader->token.kind == TOKEN_CLOSE)
        return take_close(reader);
    return unexpected(reader, level->open == '(' ? "\",\" or \")\"" : "\",\" or \"]\"");
}

/* One step of the grammar. 0, 1 (told), negative errno. */
static int take_step(struct reader *reader)
{
    switch (reader->expect) {
    case EXPECT_NAME:
        return take_setting_name(reader, "the name of a setting");
    case EXPECT_EQUALS:
        if (reader->token.kind != TOKEN_EQUALS)
            return unexpected(reader, "\"=\" behind the name of a setting");
        reader->expect = EXPECT_VALUE;
        return 0;
    case EXPECT_VALUE_OR_CLOSE:
        if (reader->token.kind == TOKEN_CLOSE)
            return take_close(reader);
        return take_value(reader, "a value or a closing bracket");
    case EXPECT_VALUE:
        return take_value(reader, "a value");
    case EXPECT_NEXT:
        return take_next(reader);
    }
    return -EINVAL;
}

/* Up to the end of the text. 0, 1 (told), negative errno. */
static int read_all(struct reader *reader)
{
    for (;;) {
        bool complete =
            !reader->depth && (reader->expect == EXPECT_NAME || reader->expect == EXPECT_NEXT);
        int r;

        take_token(reader);
        if (reader->token.kind == TOKEN_WRONG)
            return 1;
        if (reader->token.kind == TOKEN_END && complete)
            return 0;
        r = take_step(reader);
        if (r != 0)
            return r;
    }
}

int config_source_read(const char *text, struct config_source *ret_source,
                       struct config_fault *reterr_fault)
{
    OWN(config_source_done) struct config_source source = {0};
    struct reader reader = {
        .at = text,
        .line = 1,
        .levels = {{.open = '{'}},
        .source = &source,
        .fault = reterr_fault,
    };
    int r = read_all(&reader);

    /* A quote that is missing shows only where the next one stands. */
    if (r > 0 && reader.long_text_line && !*reterr_fault->problem.hint)
        problem_hint(&reterr_fault->problem,
                     "the text that begins on line %u runs over the end of its line: a closing "
                     "quote may be missing",
                     reader.long_text_line);
    if (r)
        return r;
    *ret_source = source;
    source = (struct config_source){0};
    return 0;
}

void config_source_done(struct config_source *source)
{
    free(source->integers);
    *source = (struct config_source){0};
}

static bool is_same(const char *bytes, size_t length, const char *string)
{
    return strlen(string) == length && !memcmp(bytes, string, length);
}

const char *config_source_integer(const struct config_source *source, const char *group,
                                  unsigned element, const char *name)
{
    for (size_t i = 0; i < source->count; i++) {
        const struct source_integer *integer = &source->integers[i];

        if (integer->element == element && is_same(integer->group, integer->group_length, group) &&
            is_same(integer->name, integer->name_length, name))
            return integer->literal;
    }
    return NULL;
}
