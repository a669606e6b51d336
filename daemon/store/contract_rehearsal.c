#include "store/contract_rehearsal.h"
#include "base/own.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define SLOW_MS 50

const struct statement contract_rehearsal_statement = {
    "contract rehearsal", "SELECT * FROM chwsync.rehearse($1::text, $2::text)"};

enum rehearsal_column {
    REHEARSAL_REF,
    REHEARSAL_IS_LINE,
    REHEARSAL_STATUS,
    REHEARSAL_ANSWER,
    REHEARSAL_CODE,
    REHEARSAL_WORDS,
    REHEARSAL_TOOK_MS,
    REHEARSAL_PATH,
};

const char *contract_remedy_for(const char *sqlstate)
{
    static const struct {
        const char *sqlstate, *remedy;
    } remedies[] = {
        {"57014", "it takes longer than it may: an index is missing, or the condition is too wide"},
        {"55P03", "it waits for a lock: lock rows with SKIP LOCKED, and answer NULL"},
        {"42501", "GRANT the right to its owner, chwsync_adapter; with security_invoker the "
                  "daemon's counts"},
        {"2D000", "it must not COMMIT or ROLLBACK: the daemon does that"},
        {"25006", "it must not write: it is read in a transaction that cannot"},
        {"25000", "it must not change the transaction"},
        {"42P01", "it names a table that is not there, or not by its schema"},
        {"42703", "it names a column that is not there any more"},
    };

    for (size_t i = 0; i < COUNT_OF(remedies); i++)
        if (strcmp(remedies[i].sqlstate, sqlstate) == 0)
            return remedies[i].remedy;
    return "";
}

static struct problem *add(struct contract *contract, enum contract_severity severity)
{
    return contract_add_fault(contract, severity, CONTRACT_FUNCTION, contract->function_sql);
}

static int judge_error(struct contract *contract, const PGresult *rows, int row)
{
    const char *code = row_text(rows, row, REHEARSAL_CODE),
               *words = row_text(rows, row, REHEARSAL_WORDS), *remedy = contract_remedy_for(code);
    struct problem *problem = add(contract, CONTRACT_DEFECT);

    if (!problem)
        return -ENOMEM;
    if (row_boolean(rows, row, REHEARSAL_IS_LINE)) {
        problem_set(problem, "%s raises for line %s, which the view shows: %s (SQLSTATE %s)",
                    contract->function_sql, row_text(rows, row, REHEARSAL_REF), words, code);
        problem_hint(problem, "%s",
                     remedy[0] ? remedy : "the line cannot be bought until it is mended");
    } else {
        problem_set(problem, "%s raises for %s of an order that does not exist: %s (SQLSTATE %s)",
                    contract->function_sql, row_text(rows, row, REHEARSAL_STATUS), words, code);
        problem_hint(problem, "%s",
                     remedy[0] ? remedy
                               : "test the key's form before casting it, and answer false");
    }
    return 0;
}

static int judge_unknown_order(struct contract *contract, const PGresult *rows, int row)
{
    bool is_null = row_text(rows, row, REHEARSAL_ANSWER) == NULL;
    struct problem *problem;

    if (!is_null && !row_boolean(rows, row, REHEARSAL_ANSWER))
        return 0;
    problem = add(contract, CONTRACT_WARNING);
    if (!problem)
        return -ENOMEM;
    problem_set(problem, "%s answers %s to %s of an order that does not exist, should be false",
                contract->function_sql, is_null ? "NULL" : "true",
                row_text(rows, row, REHEARSAL_STATUS));
    problem_hint(problem, is_null ? "NULL means busy: it would be asked again for ever"
                                  : "so a line that was deleted or withdrawn would be bought, or a "
                                    "lost result pass for told");
    return 0;
}

static int judge_line(struct contract *contract, const PGresult *rows, int row)
{
    const char *answer = row_text(rows, row, REHEARSAL_ANSWER),
               *status = row_text(rows, row, REHEARSAL_STATUS);
    bool was_asked = strcmp(status, "submitting") == 0; /* and not told anything after that */
    int64_t took_ms = row_integer(rows, row, REHEARSAL_TOOK_MS, 0);
    struct problem *problem;

    /* NULL to the question means busy, which is nothing wrong. */
    if (was_asked ? answer != NULL && answer[0] == 'f' : answer == NULL || answer[0] == 'f') {
        problem = add(contract, CONTRACT_WARNING);
        if (!problem)
            return -ENOMEM;
        problem_set(problem, "%s answers %s to %s of line %s, which the view shows",
                    contract->function_sql, answer ? "false" : "NULL", status,
                    row_text(rows, row, REHEARSAL_REF));
        problem_hint(problem, "both have to mean the same lines: what the view shows, the function "
                              "lets go, and records");
    }
    if (took_ms > SLOW_MS) {
        problem = add(contract, CONTRACT_WARNING);
        if (!problem)
            return -ENOMEM;
        problem_set(problem, "%s took %" PRId64 " ms for one line; it is called for 100 at once",
                    contract->function_sql, took_ms);
        problem_hint(problem, "an index has to lead to the line by its key");
    }
    return 0;
}

static int judge_path(struct contract *contract, const char *path)
{
    struct problem *problem = add(contract, CONTRACT_DEFECT);

    if (!problem)
        return -ENOMEM;
    problem_set(problem, "%s changes search_path, to %s", contract->function_sql, path);
    problem_hint(problem,
                 "ALTER FUNCTION %s(chwsync.result) SET search_path = pg_catalog, pg_temp; and "
                 "take the SET out of its body",
                 contract->function_sql);
    return 0;
}

int contract_judge_rehearsal(struct contract *contract, const PGresult *rows)
{
    bool path_said = false;
    int r = 0;

    for (int row = 0; row < PQntuples(rows) && r == 0; row++) {
        const char *path = row_text(rows, row, REHEARSAL_PATH);

        if (row_text(rows, row, REHEARSAL_CODE)) {
            r = judge_error(contract, rows, row);
            continue;
        }
        r = row_boolean(rows, row, REHEARSAL_IS_LINE) ? judge_line(contract, rows, row)
                                                      : judge_unknown_order(contract, rows, row);
        if (r == 0 && path && !path_said) {
            r = judge_path(contract, path);
            path_said = true;
        }
    }
    return r;
}

int contract_note_rehearsal_failed(struct contract *contract, const char *sqlstate,
                                   const char *words)
{
    const char *remedy = contract_remedy_for(sqlstate);
    struct problem *problem = add(contract, CONTRACT_DEFECT);

    if (!problem)
        return -ENOMEM;
    problem_set(problem, "calling %s fails: %s (SQLSTATE %s)", contract->function_sql, words,
                sqlstate);
    if (remedy[0])
        problem_hint(problem, "%s", remedy);
    return 0;
}

int contract_rehearse(struct connection *lane, const struct contract *contract, unsigned limit_s,
                      store_done done, void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {.statement = &contract_rehearsal_statement,
                                      .values = &values,
                                      .lock_timeout_ms = limit_s * 1000,
                                      .statement_timeout_ms = limit_s * 1000};

    values_add_text(&values, contract->function_sql);
    values_add_text(&values, contract->view_sql);
    return connection_run(lane, &transaction, done, userdata);
}

/* clang-format off */
static const struct statement keep_faults_statement = {
    "keep the contract's faults",
    "WITH told AS (\n"
    "    SELECT * FROM unnest($1::int[], $2::boolean[], $3::text[], $4::text[]) AS t(place, stops, sentence, remedy)\n"
    "), gone AS (\n"
    "    DELETE FROM chwsync.contract_faults f WHERE f.place <> ALL ($1::int[])\n"
    ")\n"
    "INSERT INTO chwsync.contract_faults AS f (place, stops_intake, sentence, remedy)\n"
    "SELECT t.place, t.stops, t.sentence, t.remedy FROM told t\n"
    "ON CONFLICT (place) DO UPDATE\n"
    "   SET stops_intake = excluded.stops_intake, sentence = excluded.sentence, remedy = excluded.remedy, since = now()\n"
    " WHERE (f.stops_intake, f.sentence, f.remedy) IS DISTINCT FROM (excluded.stops_intake, excluded.sentence, excluded.remedy)"};
/* clang-format on */

static bool stops_intake(const struct contract_fault *fault)
{
    return fault->severity == CONTRACT_ERROR;
}

int contract_keep_faults(struct connection *lane, const struct contract *contract, store_done done,
                         void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {.statement = &keep_faults_statement, .values = &values};
    const struct contract_fault *faults = contract->faults;

    values_begin_array(&values);
    for (size_t i = 0; i < contract->fault_count; i++)
        values_add_integer(&values, (int64_t)i + 1);
    values_end_array(&values);
    values_begin_array(&values);
    for (size_t i = 0; i < contract->fault_count; i++)
        values_add_boolean(&values, stops_intake(&faults[i]));
    values_end_array(&values);
    VALUES_ADD_ARRAY(&values, faults, contract->fault_count, values_add_text, problem.text);
    VALUES_ADD_ARRAY(&values, faults, contract->fault_count, values_add_text, problem.hint);
    return connection_run(lane, &transaction, done, userdata);
}
