/*
 * store/generator.h - writes an adapter for a table, after a look at it.
 *
 * What is asked for are columns, paths into a json column ("options.link"; also in a text column
 * that holds JSON), or SQL expressions over the table, which is called l, and the table of orders,
 * called o, where one was named. Each is tried on the real table for what type it gives. Names are
 * quoted by the server. Nothing is changed.
 */
#pragma once
#include "store/contract.h"
#include "store/session.h"

struct generator_request {
    const char *table;       /* the table of lines */
    const char *order_table; /* the table of their orders, or NULL */
    const char *by;          /* the column of the line that leads to its order's primary key */
    const char *pending;     /* the condition */
    const char *pack;        /* pieces one unit of quantity stands for, or NULL */
    const char *columns[CONTRACT_COLUMN_COUNT]; /* NULL: not wanted */
};

/* The option of `chwsyncd adapter` for a column, as faults name it. */
const char *generator_option(enum contract_column column);

#define GENERATOR_FAULTS_MAX 24
struct generator_fault {
    bool is_error; /* without: a remark, and there is an adapter all the same */
    struct problem problem;
};
struct generator_faults {
    struct generator_fault list[GENERATOR_FAULTS_MAX];
    size_t count, errors;
};

/*
 * SESSION_DONE: ret_adapter holds it, unless `ret_faults` has errors, which are all there are.
 * Otherwise the server could not be asked.
 */
enum session_verdict generator_write(struct session *session,
                                     const struct generator_request *request,
                                     struct text *ret_adapter, struct generator_faults *ret_faults,
                                     struct problem *reterr_problem);

/* What an adapter does when it is run here; all of it is taken back. */
struct generator_trial {
    int64_t rows;   /* of the view: what would be sent */
    int64_t faulty; /* of those, lines without service or key */
    int64_t took_ms;
    bool as_daemon; /* tried as role chwsync */
    char answer;    /* of the function to an unknown key: 't', 'f', 'n' */
};
enum session_verdict generator_try(struct session *session, const char *adapter,
                                   struct generator_trial *ret_trial,
                                   struct problem *reterr_problem);
