#include "commands/output.h"
#include "base/own.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void output_duration(int64_t seconds, char ret_duration[DURATION_SIZE])
{
    int64_t s = seconds < 0 ? 0 : seconds;
    if (s < 120)
        snprintf(ret_duration, DURATION_SIZE, "%" PRId64 " s", s);
    else if (s < 2 * 3600)
        snprintf(ret_duration, DURATION_SIZE, "%" PRId64 " min", s / 60);
    else if (s < 10 * 3600)
        snprintf(ret_duration, DURATION_SIZE, "%" PRId64 " h %" PRId64 " min", s / 3600,
                 s / 60 % 60);
    else if (s < 48 * 3600)
        snprintf(ret_duration, DURATION_SIZE, "%" PRId64 " h", s / 3600);
    else
        snprintf(ret_duration, DURATION_SIZE, "%" PRId64 " days", s / 86400);
}

static struct tm local_time(int64_t epoch_s)
{
    time_t moment = (time_t)epoch_s;
    struct tm parts = {0};
    localtime_r(&moment, &parts);
    return parts;
}

void output_moment(int64_t epoch_s, char ret_moment[MOMENT_SIZE])
{
    struct tm parts = local_time(epoch_s);
    strftime(ret_moment, MOMENT_SIZE, "%Y-%m-%d %H:%M:%S", &parts);
}

/* The time of day, with the date when it is another day than `now_s`. */
static void clock_text(int64_t epoch_s, int64_t now_s, char ret_clock[MOMENT_SIZE])
{
    struct tm then = local_time(epoch_s), now = local_time(now_s);
    bool same_day = then.tm_yday == now.tm_yday && then.tm_year == now.tm_year;
    strftime(ret_clock, MOMENT_SIZE, same_day ? "%H:%M:%S" : "%Y-%m-%d %H:%M", &then);
}

void output_relation(int64_t epoch_s, int64_t now_s, char ret_relation[RELATION_SIZE])
{
    char clock[MOMENT_SIZE], duration[DURATION_SIZE];
    if (epoch_s == INT64_MAX) {
        snprintf(ret_relation, RELATION_SIZE, "until somebody does something");
        return;
    }
    clock_text(epoch_s, now_s, clock);
    output_duration(epoch_s > now_s ? epoch_s - now_s : now_s - epoch_s, duration);
    if (epoch_s == now_s)
        snprintf(ret_relation, RELATION_SIZE, "now");
    else if (epoch_s > now_s)
        snprintf(ret_relation, RELATION_SIZE, "in %s (%s)", duration, clock);
    else
        snprintf(ret_relation, RELATION_SIZE, "%s ago (%s)", duration, clock);
}

void output_until(int64_t epoch_s, int64_t now_s, char ret_until[RELATION_SIZE])
{
    char clock[MOMENT_SIZE], duration[DURATION_SIZE];
    if (epoch_s == INT64_MAX) {
        snprintf(ret_until, RELATION_SIZE, "until somebody does something");
        return;
    }
    clock_text(epoch_s, now_s, clock);
    output_duration(epoch_s - now_s, duration);
    snprintf(ret_until, RELATION_SIZE, "for %s, until %s", duration, clock);
}

/* Characters that take two columns of a terminal: East Asian width W and F (Unicode, UAX 11), emoji
 * in coarse spans. */
static const uint32_t wide[][2] = {
    {0x1100, 0x115F},   {0x231A, 0x231B},   {0x23E9, 0x23EC},   {0x23F0, 0x23F0},
    {0x23F3, 0x23F3},   {0x25FD, 0x25FE},   {0x2614, 0x2615},   {0x2648, 0x2653},
    {0x267F, 0x267F},   {0x2693, 0x2693},   {0x26A1, 0x26A1},   {0x26AA, 0x26AB},
    {0x26BD, 0x26BE},   {0x26C4, 0x26C5},   {0x26CE, 0x26CE},   {0x26D4, 0x26D4},
    {0x26EA, 0x26EA},   {0x26F2, 0x26F3},   {0x26F5, 0x26F5},   {0x26FA, 0x26FA},
    {0x26FD, 0x26FD},   {0x2705, 0x2705},   {0x270A, 0x270B},   {0x2728, 0x2728},
    {0x274C, 0x274C},   {0x274E, 0x274E},   {0x2753, 0x2755},   {0x2757, 0x2757},
    {0x2795, 0x2797},   {0x27B0, 0x27B0},   {0x27BF, 0x27BF},   {0x2B1B, 0x2B1C},
    {0x2B50, 0x2B50},   {0x2B55, 0x2B55},   {0x2E80, 0x303E},   {0x3041, 0xA4CF},
    {0xA960, 0xA97C},   {0xAC00, 0xD7A3},   {0xF900, 0xFAFF},   {0xFE30, 0xFE6F},
    {0xFF00, 0xFF60},   {0xFFE0, 0xFFE6},   {0x1F18E, 0x1F19A}, {0x1F200, 0x1F64F},
    {0x1F680, 0x1F6FF}, {0x1F7E0, 0x1F7F0}, {0x1F900, 0x1F9FF}, {0x1FA70, 0x1FAFF},
    {0x20000, 0x3FFFD}};
/* Characters that take none: they change the one before. */
static const uint32_t joined[][2] = {
    {0x0300, 0x036F}, {0x200B, 0x200F}, {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}, {0xE0100, 0xE01EF}};

static bool is_within(uint32_t code, const uint32_t spans[][2], size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (code >= spans[i][0] && code <= spans[i][1])
            return true;
    return false;
}

/* Bytes and columns of the character that begins there; the text is UTF-8. */
static size_t take_character(const char *text, int *ret_columns)
{
    unsigned char first = (unsigned char)text[0];
    uint32_t code = first < 0x80   ? first
                    : first < 0xE0 ? first & 0x1Fu
                    : first < 0xF0 ? first & 0x0Fu
                                   : first & 0x07u;
    size_t bytes = 1;
    for (; ((unsigned char)text[bytes] & 0xC0) == 0x80; bytes++)
        code = code << 6 | ((unsigned char)text[bytes] & 0x3Fu);
    *ret_columns = is_within(code, joined, COUNT_OF(joined)) ? 0
                   : is_within(code, wide, COUNT_OF(wide))   ? 2
                                                             : 1;
    return bytes;
}

/* Columns of a terminal. */
static int width_of(const char *text)
{
    int width = 0, columns;
    while (*text) {
        text += take_character(text, &columns);
        width += columns;
    }
    return width;
}

size_t output_bytes_within(const char *text, int width)
{
    size_t bytes = 0;
    int columns;
    while (text[bytes]) {
        size_t next = take_character(text + bytes, &columns);
        width -= columns;
        if (width < 0 && bytes > 0)
            break;
        bytes += next;
    }
    return bytes;
}

/* The bytes of the next line: as many words as fit, or a part of one that is longer than the line.
 */
static size_t next_line(const char *text, int width)
{
    size_t most = output_bytes_within(text, width);
    if (!text[most])
        return most;
    for (size_t i = most; i > 0; i--)
        if (text[i] == ' ')
            return i;
    return most;
}

void output_field(FILE *stream, const char *label, int indent, const char *text)
{
    char line[4096];
    text_one_line(line, sizeof line, text);
    const char *rest = line;
    int padding = indent - width_of(label);
    fprintf(stream, "%s%*s", label, padding > 0 ? padding : 0, "");
    do {
        size_t bytes = next_line(rest, OUTPUT_WIDTH - indent);
        fprintf(stream, "%.*s\n", (int)bytes, rest);
        rest += bytes;
        while (*rest == ' ')
            rest++;
        if (*rest)
            fprintf(stream, "%*s", indent, "");
    } while (*rest);
}

void output_fact(const char *label, const char *value)
{
    enum { INDENT = 14 };
    if (value && value[0])
        output_field(stdout, label, INDENT, value);
}

void table_add(struct table *table, const char *cell)
{
    char line[512];
    struct text *grown = reallocarray(table->cells, table->cell_count + 1, sizeof *table->cells);
    if (!grown) {
        table->failed = true;
        return;
    }
    table->cells = grown;
    text_one_line(line, sizeof line, cell ? cell : "-");
    grown[table->cell_count] = (struct text){0};
    text_add(&grown[table->cell_count++], line);
}

static void measure(const struct table *table, int indent, int widths[TABLE_COLUMNS_MAX])
{
    int total = indent - 2, flexible = -1;
    for (int column = 0; column < table->column_count; column++) {
        widths[column] = width_of(table->columns[column].heading);
        for (size_t i = (size_t)column; i < table->cell_count; i += (size_t)table->column_count) {
            int width = width_of(text_string(&table->cells[i]));
            if (width > widths[column])
                widths[column] = width;
        }
        total += widths[column] + 2;
        if (table->columns[column].flexible && (flexible < 0 || widths[column] > widths[flexible]))
            flexible = column;
    }
    for (; total > OUTPUT_WIDTH && flexible >= 0; total--) {
        for (int column = 0; column < table->column_count; column++)
            if (table->columns[column].flexible && widths[column] > widths[flexible])
                flexible = column;
        if (widths[flexible] <= 8)
            break;
        widths[flexible]--;
    }
}

/* Before a wide character a column may be left. */
static void print_cut(FILE *stream, const char *text, int width, bool last)
{
    size_t bytes = output_bytes_within(text, width - 3);
    OWN(text_done) struct text cut = {0};
    text_add_bytes(&cut, text, bytes);
    text_add(&cut, "...");
    int padding = width - width_of(text_string(&cut));
    fprintf(stream, "%s%*s", text_string(&cut), last || padding < 0 ? 0 : padding, "");
}

static void print_cell(FILE *stream, const char *text, int width, bool right, bool last)
{
    int padding = width - width_of(text);
    if (padding < 0)
        print_cut(stream, text, width, last);
    else if (right)
        fprintf(stream, "%*s%s", padding, "", text);
    else
        fprintf(stream, "%s%*s", text, last ? 0 : padding, "");
}

void table_print(const struct table *table, int indent, FILE *stream)
{
    int widths[TABLE_COLUMNS_MAX];
    if (table->failed) {
        fprintf(stream, "%*s(out of memory)\n", indent, "");
        return;
    }
    measure(table, indent, widths);
    size_t rows = table->cell_count / (size_t)table->column_count;
    for (size_t row = 0; row <= rows; row++) {
        fprintf(stream, "%*s", indent, "");
        for (int column = 0; column < table->column_count; column++) {
            bool last = column + 1 == table->column_count;
            size_t cell = (row - 1) * (size_t)table->column_count + (size_t)column;
            const char *text =
                row ? text_string(&table->cells[cell]) : table->columns[column].heading;
            print_cell(stream, text, widths[column], table->columns[column].right, last);
            fputs(last ? "\n" : "  ", stream);
        }
    }
}

void table_done(struct table *table)
{
    for (size_t i = 0; i < table->cell_count; i++)
        text_done(&table->cells[i]);
    free(table->cells);
    *table = (struct table){0};
}

/* Types by their fixed numbers in PostgreSQL's catalogue (pg_type.dat). */
enum {
    TYPE_BOOLEAN = 16,
    TYPE_BIGINT = 20,
    TYPE_SMALLINT = 21,
    TYPE_INTEGER = 23,
    TYPE_JSON = 114,
    TYPE_JSONB = 3802
};

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

static struct json_object *moment_json(int64_t epoch_s)
{
    char text[MOMENT_SIZE];
    time_t moment = (time_t)epoch_s;
    struct tm parts = {0};
    if (epoch_s == INT64_MAX)
        return json_object_new_string("infinity");
    gmtime_r(&moment, &parts);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return json_object_new_string(text);
}

static struct json_object *value_json(const PGresult *rows, int row, int column)
{
    const char *name = PQfname(rows, column), *value = PQgetvalue(rows, row, column);
    if (PQgetisnull(rows, row, column))
        return NULL;
    switch (PQftype(rows, column)) {
    case TYPE_BOOLEAN:
        return json_object_new_boolean(value[0] == 't');
    case TYPE_BIGINT:
        if (ends_with(name, "_at") || ends_with(name, "_until"))
            return moment_json(strtoll(value, NULL, 10));
        return json_object_new_int64(strtoll(value, NULL, 10));
    case TYPE_SMALLINT:
    case TYPE_INTEGER:
        return json_object_new_int64(strtoll(value, NULL, 10));
    case TYPE_JSON:
    case TYPE_JSONB:
        return json_tokener_parse(value);
    default:
        return json_object_new_string(value);
    }
}

struct json_object *output_row_json(const PGresult *rows, int row)
{
    struct json_object *object = json_object_new_object();
    for (int column = 0; object && column < PQnfields(rows); column++)
        json_object_object_add(object, PQfname(rows, column), value_json(rows, row, column));
    return object;
}

struct json_object *output_rows_json(const PGresult *rows)
{
    struct json_object *array = json_object_new_array();
    for (int row = 0; array && row < PQntuples(rows); row++)
        json_object_array_add(array, output_row_json(rows, row));
    return array;
}

void output_json(FILE *stream, struct json_object *taken)
{
    const int style =
        JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE;
    const char *text = json_object_to_json_string_ext(taken, style);
    fprintf(stream, "%s\n", text ? text : "null");
    json_object_put(taken);
}
