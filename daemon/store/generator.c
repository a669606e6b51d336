#include "store/generator.h"
#include "base/own.h"
#include "store/adapter.h"
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Types by their numbers in pg_type, which never change. */
enum {
    TYPE_BOOL = 16,
    TYPE_BIGINT = 20,
    TYPE_SMALLINT = 21,
    TYPE_INT = 23,
    TYPE_TEXT = 25,
    TYPE_JSON = 114,
    TYPE_FLOAT = 700,
    TYPE_DOUBLE = 701,
    TYPE_CHAR = 1042,
    TYPE_VARCHAR = 1043,
    TYPE_DATE = 1082,
    TYPE_TIMESTAMP = 1114,
    TYPE_TIMESTAMPTZ = 1184,
    TYPE_NUMERIC = 1700,
    TYPE_JSONB = 3802
};

struct table {
    char name[160];  /* quoted */
    char oid[16];    /* "" = no such table */
    char key[80];    /* its primary key, when that is one column; quoted, or "" */
    char touch[80];  /* a column that nobody minds a right on */
    char placed[80]; /* when it came about */
    char kind;
    bool row_security;
    double rows;
};

struct expression {
    struct text sql;
    unsigned type;
    bool is_column, is_unique, has_index, is_nullable;
    char column[80];      /* quoted, without its table */
    char domain_over[80]; /* the column's type is a domain over this one; or "" */
};

struct generator {
    struct session *session;
    const struct generator_request *request;
    struct generator_faults *faults;
    struct table line, order;
    struct text from, wanted[CONTRACT_COLUMN_COUNT];
    struct expression key, by;
    struct problem *reterr_problem;
    bool lost;
};

static const char *const option_names[CONTRACT_COLUMN_COUNT] = {
    [CONTRACT_ORDER_REF] = "--key",
    [CONTRACT_SERVICE] = "--service",
    [CONTRACT_LINK] = "--link",
    [CONTRACT_QUANTITY] = "--quantity",
    [CONTRACT_RUNS] = "--runs",
    [CONTRACT_INTERVAL] = "--interval",
    [CONTRACT_MIN] = "--min",
    [CONTRACT_MAX] = "--max",
    [CONTRACT_COMMENTS] = "--comments",
    [CONTRACT_USERNAMES] = "--usernames",
    [CONTRACT_HASHTAGS] = "--hashtags",
    [CONTRACT_USERNAME] = "--username",
    [CONTRACT_PARAMS] = "--params",
    [CONTRACT_PROVIDER] = "--provider",
    [CONTRACT_MAX_CHARGE] = "--max-charge",
    [CONTRACT_DISPLAY_REF] = "--display-ref",
    [CONTRACT_CREATED_AT] = "--created-at",
};

const char *generator_option(enum contract_column column)
{
    return option_names[column];
}

static struct problem *add_fault(struct generator *generator, bool is_error)
{
    struct generator_faults *faults = generator->faults;
    size_t place = faults->count < GENERATOR_FAULTS_MAX ? faults->count++ : faults->count - 1;

    faults->errors += is_error;
    faults->list[place].is_error = is_error;
    return &faults->list[place].problem;
}

/* A statement made of parts, where nothing is bound. Its refusal is a fault of what was asked for.
 */
static PGresult *try_sql(struct generator *generator, const char *option, const char *sql)
{
    static const struct statement savepoint = {"savepoint", "SAVEPOINT attempt"};
    static const struct statement back = {"back", "ROLLBACK TO SAVEPOINT attempt"};
    const struct statement statement = {"generator", sql};
    struct problem problem = {0}, ignored;
    PGresult *rows = NULL;
    enum session_verdict verdict =
        session_run(generator->session, &savepoint, NULL, 0, NULL, &problem);

    if (verdict == SESSION_DONE)
        verdict = session_run(generator->session, &statement, NULL, 0, &rows, &problem);
    if (verdict == SESSION_DONE)
        return rows;
    if (verdict == SESSION_LOST) {
        generator->lost = true;
        *generator->reterr_problem = problem;
        return NULL;
    }
    session_run(generator->session, &back, NULL, 0, NULL, &ignored);
    problem_set(add_fault(generator, true), "%s: %s", option, problem.text);
    return NULL;
}

/*
 * In parentheses "paid) OR (true" can be read too, and would mean something else in the view. So
 * what is given must also be readable in brackets: then it is one expression. A bare SELECT stands
 * in parentheses only, and begins no such thing.
 */
static bool is_one_expression(struct generator *generator, const char *option, const char *given)
{
    OWN(text_done) struct text probe = {0};
    const char *begin = given + strspn(given, " \t\n");

    if (strncasecmp(begin, "select", 6) == 0 || strncasecmp(begin, "with", 4) == 0)
        return true;
    text_format(&probe, "SELECT ARRAY[\n%s\n] FROM %s WHERE false", given,
                text_string(&generator->from));
    OWN(rows_freep) PGresult *tried = try_sql(generator, option, text_string(&probe));
    return tried != NULL;
}

static PGresult *ask(struct generator *generator, const struct statement *statement,
                     const char *const *values, int count)
{
    PGresult *rows = NULL;

    if (generator->lost || session_run(generator->session, statement, values, count, &rows,
                                       generator->reterr_problem) != SESSION_DONE) {
        generator->lost = true;
        return NULL;
    }
    return rows;
}

/* ---- tables ---- */

static void suggest_table(struct generator *generator, const char *option, const char *name)
{
    /* clang-format off */
    static const struct statement statement = {
        "generator tables",
        "SELECT c.oid::regclass::text, format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class c\n"
        "  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace\n"
        " WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'chwsync', 'chwsync_shop')\n"
        "   AND NOT c.relispartition ORDER BY 1 LIMIT 2000"};
    /* clang-format on */
    OWN(rows_freep) PGresult *rows = ask(generator, &statement, NULL, 0);
    const char *nearest = NULL;
    unsigned least = 6;

    for (int row = 0; rows && row < PQntuples(rows); row++)
        for (int column = 0; column < 2; column++) {
            unsigned distance = text_distance(name, PQgetvalue(rows, row, column));

            if (distance < least) {
                least = distance;
                nearest = PQgetvalue(rows, row, 1);
            }
        }
    struct problem *problem = add_fault(generator, true);
    problem_set(problem, "%s: there is no table %s in database %s", option, name,
                session_database(generator->session));
    if (nearest)
        problem_hint(problem, "did you mean %s?", nearest);
    else
        problem_hint(problem, "psql: \\dt *.* lists them; names with capitals need double quotes");
}

static void copy_cell(const PGresult *rows, int column, char *ret_cell, size_t size)
{
    snprintf(ret_cell, size, "%s", PQgetvalue(rows, 0, column));
}

static void look_at_table(struct generator *generator, const char *option, const char *name,
                          struct table *table)
{
    /* clang-format off */
    static const struct statement statement = {
        "generator table",
        "SELECT format('%I.%I', n.nspname, c.relname), c.oid::text, c.relkind::text, c.relrowsecurity, greatest(c.reltuples, 0),\n"
        "       (SELECT min(quote_ident(a.attname)) FROM pg_catalog.pg_index i\n"
        "          JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]\n"
        "         WHERE i.indrelid = c.oid AND i.indisprimary AND i.indnkeyatts = 1),\n"
        "       (SELECT format('%I', a.attname) FROM pg_catalog.pg_attribute a\n"
        "         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''\n"
        "         ORDER BY lower(a.attname) IN ('updated_at', 'updatedat', 'updated', 'modified_at', 'modified', 'date_updated') DESC,\n"
        "                  a.attidentity = 'a' DESC,\n"
        "                  EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND a.attnum = ANY (i.indkey)),\n"
        "                  a.attnotnull, a.attnum DESC LIMIT 1),\n"
        "       (SELECT format('%I', a.attname) FROM pg_catalog.pg_attribute a, unnest(ARRAY['paid_at', 'placed_at', 'ordered_at',\n"
        "               'completed_at', 'created_at', 'createdat', 'date_placed', 'created', 'date_created', 'order_date',\n"
        "               'inserted_at']) WITH ORDINALITY AS w(name, place)\n"
        "         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND lower(a.attname) = w.name\n"
        "           AND a.atttypid IN (1082, 1114, 1184) ORDER BY w.place LIMIT 1)\n"
        "  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace\n"
        " WHERE c.oid = CASE WHEN $1::text ~ '^(\"([^\"]|\"\")+\"|[^\\s\".]+)([.](\"([^\"]|\"\")+\"|[^\\s\".]+))?$'\n"
        "                    THEN to_regclass($1) END" /* which raises where the text is no name */};
    /* clang-format on */
    const char *values[] = {name};
    OWN(rows_freep) PGresult *rows = ask(generator, &statement, values, 1);

    if (!rows)
        return;
    if (PQntuples(rows) == 0) {
        suggest_table(generator, option, name);
        return;
    }
    copy_cell(rows, 0, table->name, sizeof table->name);
    copy_cell(rows, 1, table->oid, sizeof table->oid);
    table->kind = PQgetvalue(rows, 0, 2)[0];
    table->row_security = PQgetvalue(rows, 0, 3)[0] == 't';
    table->rows = strtod(PQgetvalue(rows, 0, 4), NULL);
    copy_cell(rows, 5, table->key, sizeof table->key);
    copy_cell(rows, 6, table->touch, sizeof table->touch);
    copy_cell(rows, 7, table->placed, sizeof table->placed);
    if (table->kind != 'r' && table->kind != 'p') {
        struct problem *problem = add_fault(generator, true);
        problem_set(problem, "%s: %s is no table, so its rows cannot be locked", option,
                    table->name);
        problem_hint(problem, "name the table that the view reads");
    }
}

static void look_at_tables(struct generator *generator)
{
    const struct generator_request *request = generator->request;

    look_at_table(generator, "--table", request->table, &generator->line);
    if (request->order_table)
        look_at_table(generator, "--order", request->order_table, &generator->order);
}

/* ---- expressions ---- */

/* What was asked for, as SQL: a column, a path into a json column, or what it is. */
static bool resolve(struct generator *generator, const char *option, const char *given,
                    bool as_json, struct expression *expression)
{
    /* clang-format off */
    static const struct statement statement = {
        "generator column",
        "WITH columns AS (\n"
        "    SELECT 'l' AS alias, 1 AS place, a.* FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1::oid\n"
        "    UNION ALL SELECT 'o', 2, a.* FROM pg_catalog.pg_attribute a WHERE a.attrelid = nullif($2::text, '')::oid),\n"
        "usable AS (SELECT * FROM columns WHERE attnum > 0 AND NOT attisdropped),\n"
        "named AS (SELECT u.*, w.name FROM usable u CROSS JOIN LATERAL (VALUES (attname::text), (format('%I', attname)),\n"
        "              (alias || '.' || attname), (format('%s.%I', alias, attname))) AS w (name))\n"
        "SELECT format('%s.%I', alias, attname), format('%I', attname), true, NOT attnotnull,\n"
        "       EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = attrelid AND i.indisunique AND i.indpred IS NULL\n"
        "                  AND i.indnkeyatts = 1 AND i.indkey[0] = attnum),\n"
        "       EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = attrelid AND i.indpred IS NULL AND i.indkey[0] = attnum), place\n"
        "  FROM named WHERE name = $3::text\n"
        "UNION ALL\n"
        "SELECT format(CASE WHEN t.typname IN ('json', 'jsonb') THEN '(%s.%I %s %L)' ELSE '(chwsync.try_jsonb(%s.%I) %s %L)' END, alias,\n"
        "              attname, CASE WHEN $4::boolean THEN '#>' ELSE '#>>' END,\n"
        "              string_to_array(substr($3, length(name) + 2), '.')), '', false, true, false, false, place + 2\n"
        "  FROM named JOIN pg_catalog.pg_type t ON t.oid = atttypid\n"
        " WHERE starts_with($3, name || '.') AND substr($3, length(name) + 2) !~ '[()'' ]' AND t.typname IN ('json', 'jsonb', 'text', 'varchar')\n"
        " ORDER BY 7 LIMIT 1"};
    /* clang-format on */
    const char *values[] = {generator->line.oid, generator->order.oid, given,
                            as_json ? "true" : "false"};
    OWN(rows_freep) PGresult *rows = ask(generator, &statement, values, 4);
    OWN(text_done) struct text probe = {0};

    if (!rows)
        return false;
    text_clear(&expression->sql);
    if (PQntuples(rows) > 0) {
        text_add(&expression->sql, PQgetvalue(rows, 0, 0));
        copy_cell(rows, 1, expression->column, sizeof expression->column);
        expression->is_column = PQgetvalue(rows, 0, 2)[0] == 't';
        expression->is_nullable = PQgetvalue(rows, 0, 3)[0] == 't';
        expression->is_unique = PQgetvalue(rows, 0, 4)[0] == 't';
        expression->has_index = PQgetvalue(rows, 0, 5)[0] == 't';
    } else {
        text_format(&expression->sql, "(%s)", given);
    }
    text_format(&probe, "SELECT %s FROM %s WHERE false", text_string(&expression->sql),
                text_string(&generator->from));
    OWN(rows_freep) PGresult *tried = try_sql(generator, option, text_string(&probe));
    if (!tried || (PQntuples(rows) == 0 && !is_one_expression(generator, option, given)))
        return false;
    expression->type = PQftype(tried, 0);
    return true;
}

static bool is_word(unsigned type)
{
    return type == TYPE_TEXT || type == TYPE_VARCHAR || type == TYPE_CHAR;
}

static bool is_whole(unsigned type)
{
    return type == TYPE_INT || type == TYPE_BIGINT || type == TYPE_SMALLINT;
}

/* So that no row raises: what does not fit is NULL. False: this type never fits. */
static bool add_cast(struct text *text, const char *type, const struct expression *expression)
{
    const char *sql = text_string(&expression->sql);
    unsigned from = expression->type;
    bool word = is_word(from);

    if (strcmp(type, "text") == 0) {
        text_format(text, "%s%s", sql, from == TYPE_TEXT ? "" : "::text");
    } else if (strcmp(type, "bigint") == 0) {
        if (is_whole(from))
            text_format(text, "%s::bigint", sql);
        else if (from == TYPE_NUMERIC || from == TYPE_FLOAT || from == TYPE_DOUBLE)
            text_format(text, "CASE WHEN %s = trunc(%s) AND abs(%s) < 1e15 THEN %s::bigint END",
                        sql, sql, sql, sql);
        else if (word || from == TYPE_JSONB || from == TYPE_JSON)
            text_format(text, "chwsync.try_bigint(%s%s)", sql, word ? "::text" : " #>> '{}'");
        else
            return false;
    } else if (strcmp(type, "numeric") == 0) {
        if (is_whole(from) || from == TYPE_NUMERIC || from == TYPE_FLOAT || from == TYPE_DOUBLE)
            text_format(text, "%s::numeric", sql);
        else if (word)
            text_format(text,
                        "CASE WHEN %s ~ '^[0-9]{1,12}([.][0-9]{1,12})?$' THEN %s::numeric END", sql,
                        sql);
        else
            return false;
    } else if (strcmp(type, "jsonb") == 0) {
        if (from == TYPE_JSONB || from == TYPE_JSON)
            text_format(text, "%s%s", sql, from == TYPE_JSON ? "::jsonb" : "");
        else if (word)
            text_format(text, "chwsync.try_jsonb(%s::text)", sql);
        else
            return false;
    } else if (from == TYPE_TIMESTAMPTZ || from == TYPE_DATE) {
        text_format(text, "%s%s", sql, from == TYPE_DATE ? "::timestamptz" : "");
    } else if (from == TYPE_TIMESTAMP) {
        text_format(text, "%s AT TIME ZONE 'UTC'", sql);
    } else {
        return false;
    }
    return true;
}

static void look_at_column(struct generator *generator, enum contract_column column)
{
    const char *given = generator->request->columns[column], *type = contract_column_type(column);
    OWN(text_done) struct text cast = {0};
    struct expression expression = {0};

    if (!given)
        return;
    if (resolve(generator, option_names[column], given, column == CONTRACT_PARAMS, &expression)) {
        if (!add_cast(&cast, type, &expression)) {
            struct problem *problem = add_fault(generator, true);
            problem_set(problem, "%s: %s is of a type that cannot be %s", option_names[column],
                        given, type);
            problem_hint(problem, "write an SQL expression that gives %s", type);
        } else if (column == CONTRACT_SERVICE || column == CONTRACT_LINK) {
            text_format(&generator->wanted[column], "nullif(btrim(%s), '')", text_string(&cast));
        } else {
            text_add(&generator->wanted[column], text_string(&cast));
        }
    }
    text_done(&expression.sql);
}

/*
 * The text of a key is the line's name for ever. That of times, floating numbers, bytes and money
 * depends on the settings of a session, and a line with another name would be bought again.
 */
static void judge_key_type(struct generator *generator)
{
    /* clang-format off */
    static const struct statement statement = {
        "generator key",
        "SELECT CASE WHEN d.typtype = 'd' THEN format('%I.%I', n.nspname, t.typname) ELSE '' END, format_type(t.oid, NULL),\n"
        "       t.typcategory IN ('D', 'T') OR t.typname IN ('float4', 'float8', 'bytea', 'money')\n"
        "  FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type d ON d.oid = a.atttypid, pg_catalog.pg_type t\n"
        "  JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace\n"
        " WHERE a.attrelid = $1::oid AND format('%I', a.attname) = $2::text AND t.oid = $3::oid"};
    /* clang-format on */
    struct expression *key = &generator->key;
    char type[16];
    const char *values[] = {generator->line.oid, key->column, type};

    snprintf(type, sizeof type, "%u", key->type);
    OWN(rows_freep) PGresult *rows = ask(generator, &statement, values, 3);
    if (!rows || PQntuples(rows) == 0)
        return;
    copy_cell(rows, 0, key->domain_over, sizeof key->domain_over);
    if (PQgetvalue(rows, 0, 2)[0] == 't') {
        struct problem *problem = add_fault(generator, true);
        problem_set(problem, "--key: how %s.%s (%s) is written depends on a session's settings",
                    generator->line.name, key->column, PQgetvalue(rows, 0, 1));
        problem_hint(problem, "name a column with whole numbers, texts or uuids");
    }
}

static void judge_key(struct generator *generator)
{
    const struct expression *key = &generator->key;
    struct problem *problem;

    if (!key->is_column || strncmp(text_string(&key->sql), "l.", 2) != 0) {
        problem = add_fault(generator, true);
        problem_set(problem, "--key: %s is no column of %s",
                    generator->request->columns[CONTRACT_ORDER_REF], generator->line.name);
        if (generator->line.key[0])
            problem_hint(problem,
                         "the function finds a line by it: its primary key is best, here %s",
                         generator->line.key);
        else
            problem_hint(problem, "the function finds a line by it; where several columns are the "
                                  "key, begin with: chwsyncd adapter template");
    } else if (!key->has_index) {
        problem = add_fault(generator, true);
        problem_set(problem, "--key: no index leads to %s.%s", generator->line.name, key->column);
        problem_hint(problem, "CREATE UNIQUE INDEX CONCURRENTLY ON %s (%s);", generator->line.name,
                     key->column);
    } else if (!key->is_unique || key->is_nullable) {
        problem = add_fault(generator, false);
        problem_set(problem, "--key: nothing keeps %s.%s from being %s", generator->line.name,
                    key->column, key->is_unique ? "NULL" : "the same in two lines");
        problem_hint(problem, "such lines would be parked, not sent");
    }
}

static void look_at_pending(struct generator *generator)
{
    const char *pending = generator->request->pending, *from = text_string(&generator->from);
    OWN(text_done) struct text probe = {0}, filter = {0};

    text_format(&probe, "SELECT (\n%s\n) FROM %s WHERE false", pending, from);
    OWN(rows_freep) PGresult *rows = try_sql(generator, "--pending", text_string(&probe));
    if (!rows || !is_one_expression(generator, "--pending", pending))
        return;
    if (PQftype(rows, 0) != TYPE_BOOL) {
        problem_set(add_fault(generator, true), "--pending: %s is no condition", pending);
        return;
    }
    /* No aggregate may stand where the view has it. */
    text_format(&filter, "SELECT FROM %s WHERE false AND (\n%s\n)", from, pending);
    OWN(rows_freep) PGresult *filtered = try_sql(generator, "--pending", text_string(&filter));
    (void)filtered;
}

/* The time before which lines are left alone; without one every old line that fits is bought. */
static void choose_placed(struct generator *generator)
{
    const struct table *table = generator->order.placed[0] ? &generator->order : &generator->line;
    struct expression expression = {0};

    if (generator->request->columns[CONTRACT_CREATED_AT])
        return;
    if (!table->placed[0]) {
        struct problem *problem = add_fault(generator, false);
        problem_set(problem, "no column tells when a line was ordered, so that every old one that "
                             "fits the condition would be bought too");
        problem_hint(problem, "name one with --created-at, or have --pending leave them out");
        return;
    }
    text_format(&expression.sql, "%c.%s", table == &generator->order ? 'o' : 'l', table->placed);
    OWN(text_done) struct text probe = {0};
    text_format(&probe, "SELECT %s FROM %s WHERE false", text_string(&expression.sql),
                text_string(&generator->from));
    OWN(rows_freep) PGresult *rows = try_sql(generator, "--created-at", text_string(&probe));
    if (rows) {
        expression.type = PQftype(rows, 0);
        add_cast(&generator->wanted[CONTRACT_CREATED_AT], "timestamptz", &expression);
    }
    text_done(&expression.sql);
}

/* ---- the text ---- */

static const char *wanted(const struct generator *generator, enum contract_column column)
{
    return text_string(&generator->wanted[column]);
}

/* Pieces, before they are divided among runs. */
static void add_pieces(struct generator *generator, struct text *text)
{
    enum { PACK_DIGITS_MAX = 9 }; /* more would make another type of it */
    const char *pack = generator->request->pack;
    struct expression expression = {0};

    text_add(text, wanted(generator, CONTRACT_QUANTITY));
    if (!pack)
        return;
    if (pack[strspn(pack, "-0")] == '\0')
        problem_set(add_fault(generator, true), "--pack: %s of them make no piece", pack);
    else if (pack[strspn(pack, "0123456789")] == '\0' && strlen(pack) <= PACK_DIGITS_MAX)
        text_format(text, " * %s", pack);
    else if (pack[strspn(pack, "+-.0123456789")] == '\0')
        problem_set(add_fault(generator, true), "--pack: %s is no number of pieces", pack);
    else if (resolve(generator, "--pack", pack, false, &expression)) {
        text_add(text, " * ");
        if (!add_cast(text, "bigint", &expression))
            problem_set(add_fault(generator, true), "--pack: %s is no number", pack);
    }
    text_done(&expression.sql);
}

static void add_view(struct generator *generator, struct text *text)
{
    OWN(text_done) struct text pieces = {0};
    bool has_runs = *wanted(generator, CONTRACT_RUNS) && *wanted(generator, CONTRACT_QUANTITY);

    if (*wanted(generator, CONTRACT_QUANTITY))
        add_pieces(generator, &pieces);
    text_format(text, "SELECT %s AS line_id", text_string(&generator->key.sql));
    for (int i = 0; i < CONTRACT_COLUMN_COUNT; i++) {
        const char *value = wanted(generator, (enum contract_column)i);

        if (!*value && i != CONTRACT_LINK && i != CONTRACT_QUANTITY && i != CONTRACT_CREATED_AT)
            continue;
        text_add(text, ",\n       ");
        if (has_runs && i == CONTRACT_SERVICE)
            text_format(text, "CASE WHEN coalesce(x.pieces %% x.runs = 0, true) THEN %s END",
                        value);
        else if (has_runs && i == CONTRACT_QUANTITY)
            text_add(text, "x.pieces / coalesce(x.runs, 1)");
        else if (has_runs && i == CONTRACT_RUNS)
            text_add(text, "x.runs");
        else if (i == CONTRACT_QUANTITY)
            text_add(text, *value ? text_string(&pieces) : "NULL::bigint");
        else if (i == CONTRACT_CREATED_AT && !*value)
            text_add(text, "NULL::timestamptz"); /* the queue asks for it */
        else
            text_add(text, *value ? value : "NULL::text");
        text_format(text, " AS \"%s\"", contract_column_name((enum contract_column)i));
    }
    text_format(text, "\n  FROM %s\n", text_string(&generator->from));
    if (has_runs)
        text_format(text,
                    " CROSS JOIN LATERAL (SELECT nullif(greatest(%s, 1), 1) AS runs, %s AS pieces "
                    "OFFSET 0) x\n",
                    wanted(generator, CONTRACT_RUNS), text_string(&pieces));
    text_format(text, " WHERE (\n       %s\n       )", generator->request->pending);
    if (*wanted(generator, CONTRACT_CREATED_AT))
        text_format(text, "\n   AND %s >= (SELECT placed_at FROM chwsync_shop.since)",
                    wanted(generator, CONTRACT_CREATED_AT));
    text_add(text, ";");
}

static void add_columns(const struct generator *generator, struct text *text)
{
    for (int i = 0; i < CONTRACT_COLUMN_COUNT; i++)
        if (*wanted(generator, (enum contract_column)i) || i == CONTRACT_LINK ||
            i == CONTRACT_QUANTITY)
            text_format(text, "%sw.\"%s\"", i ? ", " : "",
                        contract_column_name((enum contract_column)i));
}

static void add_table_grants(const struct table *table, struct text *text)
{
    text_format(text,
                "GRANT SELECT, UPDATE (%s) ON %s TO chwsync_adapter; -- UPDATE: for a row lock, it "
                "is never written\n",
                table->touch, table->name);
    if (table->row_security)
        text_format(
            text,
            "-- The table has row-level security: the adapter reads and locks every row, "
            "and changes none.\n"
            "DROP POLICY IF EXISTS chwsync_reads ON %s;\n"
            "CREATE POLICY chwsync_reads ON %s FOR SELECT TO chwsync_adapter USING (true);\n"
            "DROP POLICY IF EXISTS chwsync_locks ON %s;\n"
            "CREATE POLICY chwsync_locks ON %s FOR UPDATE TO chwsync_adapter USING (true) "
            "WITH CHECK (false);\n",
            table->name, table->name, table->name, table->name);
}

/* The schema of a quoted name: what stands before its last dot outside of quotes. */
static void add_schema_grant(const struct table *table, struct text *text)
{
    size_t length = 0;
    bool quoted = false;

    for (size_t i = 0; table->name[i]; i++) {
        quoted ^= table->name[i] == '"';
        if (table->name[i] == '.' && !quoted)
            length = i;
    }
    text_format(text, "GRANT USAGE ON SCHEMA %.*s TO chwsync_adapter;\n", (int)length, table->name);
}

static void add_grants(const struct generator *generator, struct text *text)
{
    text_add(text, "-- 1. Rights of view and function.\n");
    add_schema_grant(&generator->line, text);
    add_table_grants(&generator->line, text);
    if (generator->order.oid[0]) {
        add_schema_grant(&generator->order, text);
        add_table_grants(&generator->order, text);
    }
}

/* Columns of a table that the condition names, as far as words can tell; all of them for none. */
static void add_trigger_columns(struct generator *generator, const struct table *table,
                                struct text *text)
{
    /* clang-format off */
    static const struct statement statement = {
        "generator trigger",
        "WITH columns AS (SELECT attname, attnum FROM pg_catalog.pg_attribute\n"
        "                  WHERE attrelid = $1::oid AND attnum > 0 AND NOT attisdropped),\n"
        "named AS (SELECT * FROM columns WHERE $2::text ~* ('\\m' || regexp_replace(attname, '([][()*+?.\\\\^${}|])', '\\\\\\1', 'g') || '\\M')\n"
        "              OR $2 LIKE '%' || attname || '%' AND attname !~ '^[a-z_0-9]+$')\n"
        "SELECT string_agg(format('%I', attname), ', ' ORDER BY attnum)\n"
        "  FROM (SELECT * FROM named UNION SELECT * FROM columns WHERE NOT EXISTS (SELECT FROM named)) AS c"};
    /* clang-format on */
    const char *values[] = {table->oid, generator->request->pending};
    OWN(rows_freep) PGresult *rows = ask(generator, &statement, values, 2);

    if (rows)
        text_add(text, PQgetvalue(rows, 0, 0));
}

/* One line each, as all adapters have it; a line end in the condition becomes a space. */
static void add_triggers(struct generator *generator, struct text *text)
{
    const struct table *table = generator->order.oid[0] ? &generator->order : &generator->line;
    bool joined = table == &generator->order;
    size_t begin;

    text_format(text, "-- @trigger %s | ", table->name);
    add_trigger_columns(generator, table, text);
    text_format(text, " | true | SELECT %s FROM ", text_string(&generator->key.sql));
    if (joined)
        text_format(text, "%s l JOIN (SELECT NEW.*) o ON o.%s = %s", generator->line.name,
                    generator->order.key, text_string(&generator->by.sql));
    else
        text_add(text, "(SELECT NEW.*) l");
    begin = text->length;
    text_format(text, " WHERE (%s)", generator->request->pending);
    for (size_t i = begin; i < text->length; i++)
        if (text->bytes[i] == '\n' || text->bytes[i] == '\r')
            text->bytes[i] = ' ';
    text_format(text, "\n-- @lines %s l | %s\n", generator->line.name,
                text_string(&generator->key.sql));
}

static void add_head(struct generator *generator, struct text *text)
{
    text_format(text,
                "-- An adapter for %s, written by chwsyncd adapter --table.\n--\n"
                "--     psql -d %s -v ON_ERROR_STOP=1 -f FILE     as the owner of the table, or a "
                "superuser; as often as you like\n"
                "--     chwsyncd check\n--\n"
                "-- A line is sent when this holds, and canceled up to the moment of sending by "
                "making it false.\n"
                "-- What --queue and --wake need: table | columns | when | the keys of its lines\n",
                generator->line.name, session_database(generator->session));
    add_triggers(generator, text);
}

static void write_adapter(struct generator *generator, struct text *ret_adapter)
{
    OWN(text_done)
    struct text head = {0}, grants = {0}, view = {0}, columns = {0}, lock = {0}, key_type = {0};

    add_head(generator, &head);
    add_grants(generator, &grants);
    add_view(generator, &view);
    add_columns(generator, &columns);
    text_format(&lock,
                "        PERFORM FROM %s\n          WHERE %s = wanted\n"
                "            FOR NO KEY UPDATE SKIP LOCKED;",
                text_string(&generator->from), text_string(&generator->key.sql));
    if (generator->key.domain_over[0])
        text_add(&key_type, generator->key.domain_over);
    else
        text_format(&key_type, "%s.%s%%TYPE", generator->line.name, generator->key.column);
    const struct adapter_word words[] = {
        {"head", text_string(&head)},   {"grants", text_string(&grants)},
        {"view", text_string(&view)},   {"columns", text_string(&columns)},
        {"lock", text_string(&lock)},   {"table", generator->line.name},
        {"key", generator->key.column}, {"key_type", text_string(&key_type)},
    };
    adapter_fill(ret_adapter, "table", words, COUNT_OF(words));
}

/* "public.lines l", or both tables joined. False: it cannot be done. */
static bool compose_from(struct generator *generator)
{
    const struct generator_request *request = generator->request;

    text_format(&generator->from, "%s l", generator->line.name);
    if (!request->order_table)
        return true;
    if (!generator->order.key[0]) {
        struct problem *problem = add_fault(generator, true);
        problem_set(problem, "--order: %s has no primary key of one column", generator->order.name);
        problem_hint(problem, "for such a shop begin with: chwsyncd adapter template");
        return false;
    }
    if (!resolve(generator, "--by", request->by, false, &generator->by))
        return false;
    text_format(&generator->from, " JOIN %s o ON o.%s = %s", generator->order.name,
                generator->order.key, text_string(&generator->by.sql));
    return true;
}

static void generate(struct generator *generator, struct text *ret_adapter)
{
    look_at_tables(generator);
    if (generator->lost || generator->faults->errors || !compose_from(generator))
        return;
    OWN(text_done) struct text probe = {0};
    text_format(&probe, "SELECT FROM %s WHERE false", text_string(&generator->from));
    OWN(rows_freep) PGresult *joined = try_sql(generator, "--by", text_string(&probe));
    if (!joined)
        return;
    bool has_key = resolve(generator, "--key", generator->request->columns[CONTRACT_ORDER_REF],
                           false, &generator->key);
    if (has_key)
        judge_key(generator);
    if (generator->key.is_column)
        judge_key_type(generator);
    for (int i = 0; i < CONTRACT_COLUMN_COUNT && !generator->lost; i++)
        if (has_key || i != CONTRACT_ORDER_REF)
            look_at_column(generator, (enum contract_column)i);
    look_at_pending(generator);
    choose_placed(generator);
    if (!generator->lost && !generator->faults->errors)
        write_adapter(generator, ret_adapter);
}

enum session_verdict generator_write(struct session *session,
                                     const struct generator_request *request,
                                     struct text *ret_adapter, struct generator_faults *ret_faults,
                                     struct problem *reterr_problem)
{
    struct generator generator = {.session = session,
                                  .request = request,
                                  .faults = ret_faults,
                                  .reterr_problem = reterr_problem};
    enum session_verdict verdict = session_begin(session, reterr_problem);

    *ret_faults = (struct generator_faults){0};
    if (verdict == SESSION_DONE)
        generate(&generator, ret_adapter);
    session_rollback(session);
    text_done(&generator.from);
    text_done(&generator.key.sql);
    text_done(&generator.by.sql);
    for (int i = 0; i < CONTRACT_COLUMN_COUNT; i++)
        text_done(&generator.wanted[i]);
    if (verdict == SESSION_DONE && generator.lost)
        return SESSION_REFUSED;
    return verdict;
}

/* ---- trying an adapter ---- */

/* Its own BEGIN and COMMIT are left out: the transaction is ours, and ends in a rollback. */
static void add_body(struct text *text, const char *adapter)
{
    while (*adapter) {
        size_t length = strcspn(adapter, "\n");

        if (strncmp(adapter, "BEGIN;", 6) != 0 && strncmp(adapter, "COMMIT;", 7) != 0) {
            text_add_bytes(text, adapter, length);
            text_add(text, "\n");
        }
        adapter += length + (adapter[length] == '\n');
    }
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* As the daemon, where the caller may become it. */
static enum session_verdict become_daemon(struct session *session, bool *ret_done,
                                          struct problem *reterr_problem)
{
    static const struct statement savepoint = {"savepoint", "SAVEPOINT attempt"};
    static const struct statement back = {"back", "ROLLBACK TO SAVEPOINT attempt"};
    static const struct statement daemon = {"role", "SET LOCAL ROLE chwsync"};
    struct problem ignored;
    enum session_verdict verdict = session_run(session, &savepoint, NULL, 0, NULL, reterr_problem);

    if (verdict != SESSION_DONE)
        return verdict;
    *ret_done = session_run(session, &daemon, NULL, 0, NULL, &ignored) == SESSION_DONE;
    return *ret_done ? SESSION_DONE : session_run(session, &back, NULL, 0, NULL, reterr_problem);
}

static enum session_verdict try_objects(struct session *session, struct generator_trial *trial,
                                        struct problem *reterr_problem)
{
    /* clang-format off */
    static const struct statement read = {
        "trial view",
        "SELECT count(*), count(*) FILTER (WHERE v.service IS NULL OR v.order_ref IS NULL), sum(length(v::text))\n"
        "  FROM chwsync_shop.pending_orders v"};
    static const struct statement call = {
        "trial function",
        "SELECT chwsync_shop.write_back(jsonb_populate_record(NULL::chwsync.result, jsonb_build_object(\n"
        "    'order_ref', 'chwsyncd-check-unknown-reference', 'status', 'submitting', 'seq', 1)))"};
    /* clang-format on */
    OWN(rows_freep) PGresult *rows = NULL, *answer = NULL;
    int64_t began_ms = now_ms();
    enum session_verdict verdict = session_run(session, &read, NULL, 0, &rows, reterr_problem);

    trial->took_ms = now_ms() - began_ms;
    if (verdict == SESSION_DONE)
        verdict = session_run(session, &call, NULL, 0, &answer, reterr_problem);
    if (verdict != SESSION_DONE)
        return verdict;
    trial->rows = atoll(PQgetvalue(rows, 0, 0));
    trial->faulty = atoll(PQgetvalue(rows, 0, 1));
    trial->answer = PQgetisnull(answer, 0, 0) ? 'n' : PQgetvalue(answer, 0, 0)[0];
    return SESSION_DONE;
}

enum session_verdict generator_try(struct session *session, const char *adapter,
                                   struct generator_trial *ret_trial,
                                   struct problem *reterr_problem)
{
    static const struct statement reset = {"reset role", "RESET ROLE"};
    OWN(text_done) struct text body = {0};
    struct generator_trial trial = {0};
    enum session_verdict verdict = session_begin(session, reterr_problem);

    add_body(&body, adapter);
    if (verdict == SESSION_DONE)
        verdict = session_run_script(session, "adapter", text_string(&body), reterr_problem);
    if (verdict == SESSION_DONE)
        verdict = session_run(session, &reset, NULL, 0, NULL, reterr_problem);
    if (verdict == SESSION_DONE)
        verdict = become_daemon(session, &trial.as_daemon, reterr_problem);
    if (verdict == SESSION_DONE)
        verdict = try_objects(session, &trial, reterr_problem);
    session_rollback(session);
    if (verdict == SESSION_DONE)
        *ret_trial = trial;
    return verdict;
}
