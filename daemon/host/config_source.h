/*
 * host/config_source.h - the configuration's text, before libconfig reads it.
 *
 * libconfig 1.5 wraps integers silently, takes an unfinished comment or text at the end of the file
 * for its end, leaks texts at a syntax error and nests without bound. So the text is first read
 * here by the same lexical rules and grammar (its scanner.l and grammar.y): a syntax error is found
 * and told in words, and every integer is kept as it was written. @include is refused, so that this
 * text is the whole configuration.
 */
#pragma once
#include "host/config.h"
#include <stddef.h>

/* An integer where a setting can stand; group and name are borrowed from the text. */
struct source_integer {
    const char *group, *name;
    size_t group_length, name_length;
    unsigned element;    /* which member of a list (0 ...); 0 outside lists */
    const char *literal; /* borrowed; ends at the first byte that is no digit of it */
};

struct config_source {
    struct source_integer *integers;
    size_t count, size;
};

/*
 * Reads NUL-terminated text. 0: *ret_source is owned (config_source_done) and borrows from the
 * text. 1: a syntax error, told in *reterr_fault. Negative errno: a fault of ours.
 */
int config_source_read(const char *text, struct config_source *ret_source,
                       struct config_fault *reterr_fault);
void config_source_done(struct config_source *source);

/* How group.name ("" = the top) of list member `element` was written, or NULL. */
const char *config_source_integer(const struct config_source *source, const char *group,
                                  unsigned element, const char *name);
