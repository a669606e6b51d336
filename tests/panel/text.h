/*
 * text.h - a growing run of bytes, and the escapes of JSON, forms and TSV.
 *
 * A zeroed struct is an empty text; text_done() frees it. What is added stays followed by a NUL
 * byte. Running out of memory ends the process: this is a test program.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct text {
    char *data;
    size_t length, capacity;
};

void text_done(struct text *text);
void text_clear(struct text *text);
void text_reserve(struct text *text, size_t more);
void text_add_bytes(struct text *text, const void *bytes, size_t count);
void text_add(struct text *text, const char *string);
void text_add_number(struct text *text, uint64_t number);
void text_addf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Quoted and escaped as a JSON string; bytes above 0x7f pass as they are. */
void text_add_json(struct text *text, const char *string);

/* Escaped as in PostgreSQL's COPY text format; NULL is \N. */
void text_add_tsv(struct text *text, const char *string);

/* Escaped as application/x-www-form-urlencoded. */
void text_add_form(struct text *text, const char *string);

/* strtoull() that takes digits only, all of them, up to `maximum`. Returns 0 or -1. */
int digits_parse(const char *string, uint64_t maximum, uint64_t *ret_number);
