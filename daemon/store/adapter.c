#include "store/adapter.h"
#include "base/own.h"
#include "store/schema.h"
#include <stdio.h>
#include <string.h>

static const char ADAPTER_FOLDER[] = "adapters/";

static const char *file_text(const char *folder, const char *name)
{
    char path[128];

    snprintf(path, sizeof path, "%s%s.sql", folder, name);
    for (size_t i = 0; i < sql_file_count; i++)
        if (strcmp(sql_files[i].name, path) == 0)
            return sql_files[i].text;
    return NULL;
}

const char *adapter_name(size_t place, char *ret_name, size_t size)
{
    size_t folder = sizeof ADAPTER_FOLDER - 1;

    for (size_t i = 0; i < sql_file_count; i++) {
        const char *name = sql_files[i].name;

        if (strncmp(name, ADAPTER_FOLDER, folder) != 0 || place-- > 0)
            continue;
        snprintf(ret_name, size, "%.*s", (int)(strlen(name + folder) - strlen(".sql")),
                 name + folder);
        return ret_name;
    }
    return NULL;
}

const char *adapter_text(const char *name)
{
    return file_text(ADAPTER_FOLDER, name);
}

static const struct adapter_word *find_word(const char *name, size_t length,
                                            const struct adapter_word *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(words[i].name) == length && strncmp(words[i].name, name, length) == 0)
            return &words[i];
    return NULL;
}

/* Values are not looked at again: an @ in a name of the shop stays what it is. */
void adapter_fill(struct text *text, const char *template, const struct adapter_word *words,
                  size_t count)
{
    const char *rest = file_text("templates/", template);

    for (const char *at; (at = strchr(rest, '@')); rest = at) {
        size_t length = strspn(at + 1, "abcdefghijklmnopqrstuvwxyz_");
        const struct adapter_word *word =
            at[1 + length] == '@' ? find_word(at + 1, length, words, count) : NULL;

        text_add_bytes(text, rest, (size_t)(at - rest));
        if (word)
            text_add(text, word->value);
        else
            text_add_bytes(text, at, length + 1);
        at += word ? length + 2 : length + 1;
    }
    text_add(text, rest);
}

/* ---- the lines of the head ---- */

/* The next line that begins with `tag`, without it; *rest moves behind it. False: no more. */
static bool next_line(const char **rest, const char *tag, struct text *ret_line)
{
    const char *found = strstr(*rest, tag);

    text_clear(ret_line);
    if (!found)
        return false;
    found += strlen(tag);
    *rest = strchrnul(found, '\n');
    text_add_bytes(ret_line, found, (size_t)(*rest - found));
    return true;
}

/* Takes the line apart where " | " stands; true when there are `count` parts. */
static bool split_line(char *line, char **ret_parts, size_t count)
{
    static const char between[] = " | ";

    for (size_t i = 0; i < count; i++) {
        ret_parts[i] = line;
        if (i + 1 == count)
            return true;
        line = strstr(line, between);
        if (!line)
            return false;
        *line = '\0';
        line += sizeof between - 1;
    }
    return false;
}

/* "a, b" -> "(NEW.a, NEW.b)" */
static void add_row(struct text *text, const char *row, const char *columns)
{
    text_add(text, "(");
    for (bool first = true; *columns; first = false) {
        size_t length = strcspn(columns, ",");

        text_format(text, "%s%s.%.*s", first ? "" : ", ", row, (int)length, columns);
        columns += length;
        columns += strspn(columns, ", ");
    }
    text_add(text, ")");
}

static bool add_trigger(struct text *text, const char *template, unsigned number, char *line)
{
    enum { TABLE, COLUMNS, WHEN, LINES, PARTS };
    OWN(text_done) struct text changed = {0}, columns = {0};
    char *parts[PARTS], number_text[16];

    if (!split_line(line, parts, PARTS))
        return false;
    snprintf(number_text, sizeof number_text, "%u", number);
    text_format(&columns, " OF %s", parts[COLUMNS]);
    text_format(&changed, "(%s) AND ", parts[WHEN]);
    add_row(&changed, "NEW", parts[COLUMNS]);
    text_add(&changed, " IS DISTINCT FROM ");
    add_row(&changed, "OLD", parts[COLUMNS]);
    const struct adapter_word words[] = {
        {"number", number_text},
        {"table", parts[TABLE]},
        {"lines", parts[LINES]},
        {"when_new", parts[WHEN]},
        {"of_columns", text_string(&columns)},
        {"when_changed", text_string(&changed)},
    };
    adapter_fill(text, template, words, COUNT_OF(words));
    return true;
}

static unsigned add_triggers(struct text *text, const char *template, const char *adapter)
{
    OWN(text_done) struct text line = {0};
    unsigned number = 0;

    while (next_line(&adapter, "-- @trigger ", &line))
        if (!add_trigger(text, template, ++number, line.bytes))
            return 0;
    return number;
}

/* The select list of the adapter's own view. */
static void add_columns(struct text *text, const char *adapter)
{
    static const char begin[] = "CREATE VIEW chwsync_shop.pending_orders AS\nSELECT ";
    const char *list = strstr(adapter, begin), *end = list ? strstr(list, "\n  FROM ") : NULL;

    if (end)
        text_add_bytes(text, list + sizeof begin - 1, (size_t)(end - list) - (sizeof begin - 1));
}

int adapter_add(struct text *text, const char *adapter, enum adapter_addition addition,
                struct problem *reterr_problem)
{
    enum { TABLE, KEY, PARTS };
    OWN(text_done)
    struct text triggers = {0}, columns = {0}, line = {0}, pages = {0}, from = {0}, quoted = {0};
    const char *rest = adapter;
    char *parts[PARTS];
    bool queue = addition == ADAPTER_QUEUE;

    add_columns(&columns, adapter);
    if (!next_line(&rest, "-- @lines ", &line) || !split_line(line.bytes, parts, PARTS) ||
        !add_triggers(&triggers, queue ? "queue-trigger" : "wake-trigger", adapter) ||
        columns.length == 0) {
        problem_set(reterr_problem, "this adapter has no %s", queue ? "queue" : "wake-up");
        problem_hint(reterr_problem, "those that have one name their shop's triggers in the head");
        return 1;
    }
    /* "public.order_line l": the table without its alias */
    text_add_bytes(&from, parts[TABLE], strlen(parts[TABLE]) - strlen(" l"));
    for (const char *byte = text_string(&from); *byte; byte++)
        text_format(&quoted, *byte == '\'' ? "''" : "%c", *byte);
    text_format(&pages,
                "coalesce((SELECT sum(pg_relation_size(t.relid)) FROM pg_partition_tree('%s') t), "
                "pg_relation_size('%s')) / current_setting('block_size')::int",
                text_string(&quoted), text_string(&quoted));
    const struct adapter_word words[] = {
        {"triggers", text_string(&triggers)}, {"columns", text_string(&columns)},
        {"line_table", parts[TABLE]},         {"line_key", parts[KEY]},
        {"line_pages", text_string(&pages)},
    };
    adapter_fill(text, queue ? "queue" : "wake", words, COUNT_OF(words));
    return triggers.failed || columns.failed || pages.failed ? -1 : 0;
}
