/*
 * commands/output.h - what a command prints: tables and sentences for people, JSON for programs.
 *
 * People read 80 columns of UTF-8; foreign text is made harmless on the way. In rows, a column
 * called ..._at or ..._until is a moment in seconds since 1970 (INT64_MAX = "infinity"); JSON shows
 * it as ISO 8601 in UTC. Amounts (numeric) are strings in JSON.
 */
#pragma once
#include "base/text.h"
#include <json-c/json.h>
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define OUTPUT_WIDTH 80

/* What the noun behind a count ends in: "1 row", "2 rows". */
static inline const char *output_plural(int64_t count)
{
    return count == 1 ? "" : "s";
}

/* "12 s", "3 min", "2 h 5 min", "4 days". Negative counts as 0. */
#define DURATION_SIZE 24
void output_duration(int64_t seconds, char ret_duration[DURATION_SIZE]);
/* "2026-11-22 08:30:01", local time. */
#define MOMENT_SIZE 32
void output_moment(int64_t epoch_s, char ret_moment[MOMENT_SIZE]);
/* "in 3 min (08:30:01)", "3 min ago (08:30:01)", "until somebody does something" for INT64_MAX; the
 * date when it is another day. */
#define RELATION_SIZE 80
void output_relation(int64_t epoch_s, int64_t now_s, char ret_relation[RELATION_SIZE]);
/* "for 3 min, until 08:30:01"; "until somebody does something" for INT64_MAX. */
void output_until(int64_t epoch_s, int64_t now_s, char ret_until[RELATION_SIZE]);

/* The bytes of the first characters that fit into so many columns of a terminal, one at least. */
size_t output_bytes_within(const char *text, int width);

/*
 * Prints "label" in the first columns and the text beside it, broken between words so that it stays
 * within OUTPUT_WIDTH. `indent` is where the text begins. An empty label continues.
 */
void output_field(FILE *stream, const char *label, int indent, const char *text);

/* One fact of something that is told whole: "  label" and its value, on stdout. Nothing without a
 * value (NULL or ""). */
void output_fact(const char *label, const char *value);

/* A table: cells are added row by row, then printed with aligned columns. Starts as { 0 }. */
#define TABLE_COLUMNS_MAX 8
struct table_column {
    const char *heading;
    bool right;    /* align right: numbers */
    bool flexible; /* shortened when the table would be wider than OUTPUT_WIDTH */
};
struct table {
    const struct table_column *columns; /* borrowed */
    int column_count;
    struct text *cells; /* owned: row after row */
    size_t cell_count;
    bool failed;
};
/* "-" for NULL. */
void table_add(struct table *table, const char *cell);
void table_print(const struct table *table, int indent, FILE *stream);
void table_done(struct table *table);

/* A row, or all rows, as JSON by the names and types of their columns. Owned by the caller; NULL
 * when memory ran out. */
struct json_object *output_row_json(const PGresult *rows, int row);
struct json_object *output_rows_json(const PGresult *rows);
/* Prints and frees it. */
void output_json(FILE *stream, struct json_object *taken);
