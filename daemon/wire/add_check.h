/*
 * wire/add_check.h - what is sent for an order line, or the sentence that says why it is not.
 *
 * Whatever a request would be spent on in vain is found here: what a service of that type needs and
 * is not given, numbers that make no sense, text that no provider takes. The sentence is for the
 * line's owner. An unknown type is sent as it is given. Pure.
 */
#pragma once
#include "base/problem.h"
#include "base/text.h"
#include "wire/request.h"
#include <json-c/json.h>

/* The contract's columns that are sent, in the order of a claim's. */
enum add_column {
    ADD_SERVICE,
    ADD_LINK,
    ADD_QUANTITY,
    ADD_RUNS,
    ADD_INTERVAL,
    ADD_MIN,
    ADD_MAX,
    ADD_COMMENTS,
    ADD_USERNAMES,
    ADD_HASHTAGS,
    ADD_USERNAME,
};
#define ADD_COLUMN_COUNT 11

/* As the shop's view showed it; borrowed, NULL = not given. */
struct add_line {
    const char *type; /* of the service, in the document's spelling; NULL = not known */
    const char *columns[ADD_COLUMN_COUNT];
    const char *params; /* JSON: any other parameter by its name */
};

#define ADD_TEXT_BYTES 1000000 /* a column with more is refused; 10,000 comments have less */
#define ADD_LINK_BYTES 4000
#define ADD_NUMBER_MAX INT64_C(1000000000000) /* of quantity, min, max */
#define ADD_RUNS_MAX INT64_C(1000000)         /* and times that still a whole number of 64 bits */
#define ADD_PARAMETERS_MAX 64

/* Borrows from the line; ends with add_parameters_done(). */
struct add_parameters {
    struct parameter list[ADD_PARAMETERS_MAX];
    size_t count;
    struct json_object *owned_json;
    struct text owned_text; /* lines with other line ends than they had */
};
void add_parameters_done(struct add_parameters *parameters);

enum add_verdict {
    ADD_SOUND,   /* *ret_parameters */
    ADD_UNSOUND, /* *reterr_problem, one sentence: the order is to be rejected */
};
/*
 * Blank values are left out. In comments, usernames and hashtags each line that is not blank is
 * sent, ended by a single line feed but for the last; line ends within params become line feeds.
 * An add_verdict, or -ENOMEM.
 */
int add_check(const struct add_line *line, struct add_parameters *ret_parameters,
              struct problem *reterr_problem);
