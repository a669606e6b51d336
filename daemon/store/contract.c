#include "store/contract.h"
#include "base/own.h"
#include "store/schema.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Names are taken apart by parse_ident() and looked up in the catalogue, because to_regclass()
 * raises where the schema may not be used. The ledger's version is read through query_to_xml(), so
 * that this statement can be planned where the ledger does not exist. `text` is a name or type,
 * `note` what belongs to it; `able` whether the asking role has the right, `fits` whether it is of
 * the right kind.
 */
/* clang-format off */
const struct statement contract_statement = {
    "contract",
    "WITH RECURSIVE wanted AS (\n"
    "    SELECT v[array_length(v, 1) - 1]::name AS view_schema, v[array_length(v, 1)]::name AS view_name,\n"
    "           f[array_length(f, 1) - 1]::name AS function_schema, f[array_length(f, 1)]::name AS function_name\n"
    "      FROM (SELECT parse_ident($1::text) AS v, parse_ident($2::text) AS f) AS names),\n"
    "ledger AS (\n"
    "    SELECT n.oid AS schema_oid,\n"
    "           (SELECT a.attrelid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid\n"
    "             WHERE c.relnamespace = n.oid AND c.relname = 'ledger' AND a.attname = 'schema_version') AS table_oid,\n"
    "           (SELECT t.oid FROM pg_catalog.pg_type t\n"
    "             WHERE t.typnamespace = n.oid AND t.typname = 'result') AS result_oid\n"
    "      FROM (SELECT (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'chwsync') AS oid) AS n),\n"
    "ledger_rights AS (\n"
    "    SELECT *, coalesce(has_schema_privilege(schema_oid, 'USAGE')\n"
    "                       AND has_table_privilege(table_oid, 'SELECT'), false) AS readable FROM ledger),\n"
    "shop_view AS (\n"
    "    SELECT c.oid, c.relkind, c.relowner, n.oid AS schema_oid, c.reloptions, n.nspname, c.relname\n"
    "      FROM wanted JOIN pg_catalog.pg_class c ON c.relname = view_name\n"
    "      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace\n"
    "     WHERE CASE WHEN view_schema IS NULL THEN pg_table_is_visible(c.oid) ELSE n.nspname = view_schema END),\n"
    "chain AS (\n"
    "    SELECT v.oid, v.relowner, v.relname FROM shop_view v WHERE v.relkind IN ('v', 'm')\n"
    "    UNION\n"
    "    SELECT c.oid, c.relowner, c.relname FROM chain h JOIN pg_catalog.pg_rewrite w ON w.ev_class = h.oid\n"
    "      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid\n"
    "       AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> h.oid\n"
    "      JOIN pg_catalog.pg_class c ON c.oid = d.refobjid AND c.relkind IN ('v', 'm')),\n"
    "used AS (\n"
    "    SELECT DISTINCT h.oid AS view_oid, h.relowner, d.refclassid, d.refobjid\n"
    "      FROM chain h JOIN pg_catalog.pg_rewrite w ON w.ev_class = h.oid\n"
    "      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refobjid <> h.oid),\n"
    "candidate AS (\n"
    "    SELECT p.oid, p.prokind, p.prorettype, p.proretset, p.proargtypes, p.pronargs, p.prosecdef, p.proconfig,\n"
    "           p.provolatile, p.proname, p.proowner, p.proacl, n.nspname, n.oid AS schema_oid\n"
    "      FROM wanted JOIN pg_catalog.pg_proc p ON p.proname = function_name\n"
    "      JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace\n"
    "     WHERE CASE WHEN function_schema IS NULL THEN pg_function_is_visible(p.oid)\n"
    "                ELSE n.nspname = function_schema END)\n"
    "SELECT 'ledger' AS kind, schema_oid::text AS text,\n"
    "       CASE WHEN readable THEN substring(query_to_xml('SELECT schema_version FROM chwsync.ledger',\n"
    "                                                      false, true, '')::text FROM '>([0-9]+)<') END AS note,\n"
    "       readable AS able, table_oid IS NOT NULL AS fits, 0 AS place\n"
    "  FROM ledger_rights\n"
    "UNION ALL\n"
    "SELECT 'view', coalesce((SELECT format('%I.%I', nspname, relname) FROM shop_view),\n"
    "                        CASE WHEN view_schema IS NULL THEN format('%I', view_name)\n"
    "                             ELSE format('%I.%I', view_schema, view_name) END),\n"
    "       (SELECT relkind::text FROM shop_view),\n"
    "       coalesce((SELECT has_schema_privilege(schema_oid, 'USAGE') AND has_table_privilege(oid, 'SELECT')\n"
    "                   FROM shop_view), false),\n"
    "       NOT coalesce((SELECT reloptions @> ARRAY['security_invoker=true'] OR reloptions @> ARRAY['security_invoker=on']\n"
    "                       FROM shop_view), false), 1\n"
    "  FROM wanted\n"
    "UNION ALL\n"
    "SELECT 'column', a.attname::text, format_type(coalesce(nullif(t.typbasetype, 0), t.oid), NULL),\n"
    "       NULL, t.typcategory IN ('S', 'E'), 100 + a.attnum\n"
    "  FROM shop_view v JOIN pg_catalog.pg_attribute a ON a.attrelid = v.oid\n"
    "  JOIN pg_catalog.pg_type t ON t.oid = a.atttypid\n"
    " WHERE a.attnum > 0 AND NOT a.attisdropped\n"
    "UNION ALL\n"
    "SELECT DISTINCT 'row security', format('%I.%I', n.nspname, t.relname), format('%I', pg_get_userbyid(u.relowner)), NULL::boolean,\n"
    "       NULL::boolean, 10000\n"
    "  FROM used u JOIN pg_catalog.pg_class t ON t.oid = u.refobjid AND u.refclassid = 'pg_class'::regclass\n"
    "   AND t.relrowsecurity AND t.relkind IN ('r', 'p')\n"
    "  JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace\n"
    "  JOIN pg_catalog.pg_roles r ON r.oid = u.relowner\n"
    " WHERE NOT (r.rolsuper OR r.rolbypassrls)\n"
    "   AND (t.relforcerowsecurity OR NOT pg_has_role(u.relowner, t.relowner, 'USAGE'))\n"
    "   AND NOT EXISTS (SELECT FROM pg_catalog.pg_policy p WHERE p.polrelid = t.oid AND p.polcmd IN ('r', '*') AND p.polpermissive\n"
    "                      AND pg_get_expr(p.polqual, t.oid) = 'true'\n"
    "                      AND (p.polroles = '{0}' OR u.relowner = ANY (p.polroles)))\n"
    "UNION ALL\n"
    "SELECT 'function', CASE WHEN function_schema IS NULL THEN coalesce((SELECT format('%I.%I', nspname, proname)\n"
    "                                                                      FROM candidate LIMIT 1), format('%I', function_name))\n"
    "                        ELSE format('%I.%I', function_schema, function_name) END,\n"
    "       (SELECT string_agg(format('%I.%I(%s) returns %s', nspname, proname, pg_get_function_identity_arguments(oid),\n"
    "                                 coalesce(pg_get_function_result(oid), 'nothing')), '; ') FROM candidate),\n"
    "       NULL, NULL, 20000\n"
    "  FROM wanted WHERE function_name IS NOT NULL\n"
    "UNION ALL\n"
    "SELECT 'exact function', p.provolatile::text, NULL,\n"
    "       has_schema_privilege(p.schema_oid, 'USAGE') AND has_function_privilege(p.oid, 'EXECUTE'),\n"
    "       NOT p.prosecdef OR EXISTS (SELECT FROM unnest(p.proconfig) AS c WHERE c LIKE 'search\\_path=%'), 20001\n"
    "  FROM candidate p, ledger\n"
    " WHERE p.prokind = 'f' AND p.pronargs = 1 AND p.proargtypes[0] = result_oid AND NOT p.proretset\n"
    "   AND p.prorettype = 'pg_catalog.bool'::regtype\n"
    "UNION ALL\n"
    "SELECT CASE WHEN has_schema_privilege(u.relowner, n.oid, 'USAGE') THEN 'unreadable table' ELSE 'unreadable schema' END,\n"
    "       CASE WHEN has_schema_privilege(u.relowner, n.oid, 'USAGE') THEN format('%I.%I', n.nspname, t.relname)\n"
    "            ELSE format('%I', n.nspname) END, format('%I', pg_get_userbyid(u.relowner)), NULL, NULL, 30000\n"
    "  FROM used u JOIN pg_catalog.pg_class t ON t.oid = u.refobjid AND u.refclassid = 'pg_class'::regclass\n"
    "  JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace\n"
    " WHERE t.relkind IN ('r', 'p', 'v', 'm', 'f')\n"
    "   AND NOT (has_schema_privilege(u.relowner, n.oid, 'USAGE') AND has_any_column_privilege(u.relowner, t.oid, 'SELECT'))\n"
    "UNION ALL\n"
    "SELECT DISTINCT CASE WHEN NOT has_function_privilege(u.relowner, p.oid, 'EXECUTE') THEN 'uncallable helper' ELSE 'parallel helper' END,\n"
    "       format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)),\n"
    "       format('%I', pg_get_userbyid(u.relowner)), NULL::boolean, NULL::boolean, 30001\n"
    "  FROM used u JOIN pg_catalog.pg_proc p ON p.oid = u.refobjid AND u.refclassid = 'pg_proc'::regclass\n"
    "  JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace\n"
    "  JOIN pg_catalog.pg_language l ON l.oid = p.prolang\n"
    " WHERE NOT has_function_privilege(u.relowner, p.oid, 'EXECUTE')\n"
    "    OR l.lanname = 'plpgsql' AND p.proparallel = 's' AND p.prosrc ~* '\\mexception\\s+when\\M'\n"
    "UNION ALL\n"
    "SELECT 'powerful owner', format('view %I.%I', v.nspname, v.relname), format('VIEW %I.%I', v.nspname, v.relname), NULL, NULL, 30002\n"
    "  FROM shop_view v JOIN pg_catalog.pg_roles r ON r.oid = v.relowner WHERE r.rolsuper AND v.relkind = 'v'\n"
    "UNION ALL\n"
    "SELECT t.trait, format('%I.%I(chwsync.result)', p.nspname, p.proname), NULL, NULL, NULL, 30003\n"
    "  FROM candidate p CROSS JOIN ledger JOIN pg_catalog.pg_roles r ON r.oid = p.proowner\n"
    " CROSS JOIN LATERAL (SELECT substr(min(c), 13) AS path FROM unnest(p.proconfig) AS c WHERE starts_with(c, 'search_path=')) AS s\n"
    " CROSS JOIN LATERAL (VALUES\n"
    "       ('invoker', NOT p.prosecdef),\n"
    "       ('powerful function', p.prosecdef AND r.rolsuper),\n"
    "       ('public function', p.prosecdef AND (p.proacl IS NULL OR EXISTS (SELECT FROM aclexplode(p.proacl) a WHERE a.grantee = 0))),\n"
    "       ('temporary path', p.prosecdef AND s.path IS NOT NULL AND s.path !~ '\\mpg_temp\\M'),\n"
    "       ('open path', p.prosecdef AND EXISTS (\n"
    "            SELECT FROM pg_catalog.pg_namespace n, aclexplode(n.nspacl) a\n"
    "             WHERE s.path ~ ('\\m' || n.nspname || '\\M') AND n.nspname ~ '^[a-z_0-9]+$' AND a.grantee = 0 AND a.privilege_type = 'CREATE'))\n"
    "       ) AS t(trait, holds)\n"
    " WHERE t.holds AND p.prokind = 'f' AND p.pronargs = 1 AND p.proargtypes[0] = result_oid\n"
    "UNION ALL\n"
    "SELECT 'foreign key', format('%I', f.conname), format('%I.%I', v.nspname, c.relname), NULL, NULL, 30004\n"
    "  FROM shop_view v JOIN pg_catalog.pg_class c ON c.relnamespace = v.schema_oid AND v.nspname = 'chwsync_shop'\n"
    "  JOIN pg_catalog.pg_constraint f ON f.conrelid = c.oid AND f.contype = 'f'\n"
    "  JOIN pg_catalog.pg_class t ON t.oid = f.confrelid AND t.relnamespace <> v.schema_oid\n"
    "UNION ALL\n"
    "SELECT t.trait, format('%I', current_user), NULL, NULL, NULL, 30005\n"
    "  FROM (VALUES ('superuser', (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)),\n"
    "               ('adapter member', (SELECT pg_has_role(current_user, oid, 'MEMBER') FROM pg_catalog.pg_roles\n"
    "                                    WHERE rolname = 'chwsync_adapter' AND rolname <> current_user)),\n"
    "               ('creator', (SELECT has_schema_privilege(oid, 'CREATE') FROM pg_catalog.pg_namespace\n"
    "                             WHERE nspname = 'chwsync_shop'))) AS t(trait, holds)\n"
    " WHERE t.holds AND (t.trait = 'superuser' OR NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user))\n"
    "UNION ALL\n"
    "SELECT 'no result type', 'chwsync.result', NULL, NULL, NULL, 30006 FROM ledger WHERE table_oid IS NOT NULL AND result_oid IS NULL\n"
    "UNION ALL\n"
    "SELECT 'switched off', x.since, NULL, NULL, NULL, 30007\n"
    "  FROM (SELECT CASE WHEN has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')\n"
    "                    THEN substring(query_to_xml('SELECT to_char(since, ''YYYY-MM-DD HH24:MI'') AS since FROM chwsync.switched_off', false, true,\n"
    "                                                '')::text FROM '<since>([^<]+)<') END AS since\n"
    "          FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace\n"
    "         WHERE n.nspname = 'chwsync' AND c.relname = 'switched_off') AS x WHERE x.since IS NOT NULL\n"
    "UNION ALL\n"
    "SELECT t.trait, t.name || ' = ' || current_setting(t.name, true),\n"
    "       format('ALTER ROLE %I IN DATABASE %I SET %s = %L;', current_user, current_database(), t.name, t.wanted), NULL, NULL, 30008\n"
    "  FROM (VALUES ('wrong setting', 'default_transaction_isolation', 'read committed'), -- else what waited for another does not see what that did\n"
    "               ('wrong setting', 'array_nulls', 'on'),                -- else a NULL in a list is the word\n"
    "               ('wrong setting', 'standard_conforming_strings', 'on'), -- else a pattern's backslashes are gone\n"
    "               ('wrong setting', 'quote_all_identifiers', 'off'),      -- else types have other names\n"
    "               ('impatient setting', 'idle_session_timeout', '0')) AS t(trait, name, wanted) -- not before PostgreSQL 14\n"
    " WHERE current_setting(t.name, true) <> t.wanted\n"
    " ORDER BY place"};
/* clang-format on */

enum answer_column {
    ANSWER_KIND,
    ANSWER_TEXT,
    ANSWER_NOTE,
    ANSWER_ABLE,
    ANSWER_FITS,
    ANSWER_PLACE
};

/* What the view may show for a type of the contract, so that the cast neither raises nor changes a
 * value. */
struct value_kind {
    const char *type;
    bool any_word; /* also everything of PostgreSQL's string and enum categories */
    const char *accepted[9];
    const char *remedy;
};
static const struct value_kind WORD = {
    "text",
    true,
    {"smallint", "integer", "bigint", "numeric", "uuid"},
    "write (...)::text AS %s in the view; out of json with ->> instead of ->"};
static const struct value_kind WHOLE = {
    "bigint",
    false,
    {"smallint", "integer", "bigint"},
    "write (...)::bigint AS %s in the view, or chwsync.try_bigint(...) around text"};
static const struct value_kind AMOUNT = {"numeric",
                                         false,
                                         {"smallint", "integer", "bigint", "numeric"},
                                         "write (...)::numeric AS %s in the view"};
static const struct value_kind JSON = {
    "jsonb",
    false,
    {"json", "jsonb"},
    "write (...)::jsonb AS %s in the view, or chwsync.try_jsonb(...) around text"};
static const struct value_kind MOMENT = {
    "timestamptz",
    false,
    {"timestamp with time zone", "timestamp without time zone", "date"},
    "write (...)::timestamptz AS %s in the view"};

static const struct contract_column_rule {
    const char *name, *quoted;
    const struct value_kind *kind;
    bool required;
} column_rules[CONTRACT_COLUMN_COUNT] = {
    [CONTRACT_ORDER_REF] = {"order_ref", "order_ref", &WORD, true},
    [CONTRACT_SERVICE] = {"service", "service", &WORD, true},
    [CONTRACT_LINK] = {"link", "link", &WORD, true},
    [CONTRACT_QUANTITY] = {"quantity", "quantity", &WHOLE, true},
    [CONTRACT_RUNS] = {"runs", "runs", &WHOLE, false},
    [CONTRACT_INTERVAL] = {"interval", "\"interval\"", &WHOLE, false},
    [CONTRACT_MIN] = {"min", "min", &WHOLE, false},
    [CONTRACT_MAX] = {"max", "max", &WHOLE, false},
    [CONTRACT_COMMENTS] = {"comments", "comments", &WORD, false},
    [CONTRACT_USERNAMES] = {"usernames", "usernames", &WORD, false},
    [CONTRACT_HASHTAGS] = {"hashtags", "hashtags", &WORD, false},
    [CONTRACT_USERNAME] = {"username", "username", &WORD, false},
    [CONTRACT_PARAMS] = {"params", "params", &JSON, false},
    [CONTRACT_PROVIDER] = {"provider", "provider", &WORD, false},
    [CONTRACT_MAX_CHARGE] = {"max_charge", "max_charge", &AMOUNT, false},
    [CONTRACT_DISPLAY_REF] = {"display_ref", "display_ref", &WORD, false},
    [CONTRACT_CREATED_AT] = {"created_at", "created_at", &MOMENT, false},
};

static const char *cell(const PGresult *rows, int row, enum answer_column column)
{
    return PQgetisnull(rows, row, (int)column) ? NULL : PQgetvalue(rows, row, (int)column);
}

static bool cell_is_true(const PGresult *rows, int row, enum answer_column column)
{
    const char *value = cell(rows, row, column);
    return value && value[0] == 't';
}

/* One fault with sentence and remedy; returns -ENOMEM from the function it stands in. */
#define FAULT(contract, severity, part, object, remedy, ...)                                       \
    do {                                                                                           \
        struct problem *problem_ = contract_add_fault(contract, severity, part, object);           \
        if (!problem_)                                                                             \
            return -ENOMEM;                                                                        \
        problem_set(problem_, __VA_ARGS__);                                                        \
        problem_hint(problem_, "%s", remedy);                                                      \
    } while (0)

/* A remedy with the object's name in it. */
struct remedy {
    char text[256];
};
#define view_remedy(pattern, contract) (write_remedy(pattern, (contract)->view_sql).text)
#define function_remedy(pattern, contract) (write_remedy(pattern, (contract)->function_sql).text)
static struct remedy write_remedy(const char *pattern, const char *name)
{
    struct remedy remedy;
    const char *place = strstr(pattern, "%s");

    snprintf(remedy.text, sizeof remedy.text, "%.*s%s%s", (int)(place - pattern), pattern, name,
             place + 2);
    return remedy;
}

static int read_ledger(const PGresult *rows, int row, struct contract *contract)
{
    static const char object[] = "chwsync";
    const char *version = cell(rows, row, ANSWER_NOTE);
    contract->has_schema = cell_is_true(rows, row, ANSWER_FITS);
    contract->schema_version = version ? atoi(version) : 0;

    if (!cell(rows, row, ANSWER_TEXT))
        FAULT(contract, CONTRACT_ERROR, CONTRACT_LEDGER, object, "chwsyncd schema install",
              "schema chwsync does not exist in this database");
    else if (!contract->has_schema)
        FAULT(contract, CONTRACT_ERROR, CONTRACT_LEDGER, object, "chwsyncd schema install",
              "schema chwsync holds no ledger");
    else if (!cell_is_true(rows, row, ANSWER_ABLE))
        FAULT(contract, CONTRACT_ERROR, CONTRACT_LEDGER, object,
              "connect as role chwsync; chwsyncd schema upgrade repeats the grants",
              "this role may not read the ledger");
    else if (contract->schema_version > schema_version_wanted())
        FAULT(contract, CONTRACT_ERROR, CONTRACT_LEDGER, object, "install the newer chwsyncd",
              "the schema is at version %d, newer than this chwsyncd, which knows %d",
              contract->schema_version, schema_version_wanted());
    else if (contract->schema_version < schema_version_wanted())
        FAULT(contract, CONTRACT_ERROR, CONTRACT_LEDGER, object, "chwsyncd schema upgrade",
              "the schema is at version %d, this chwsyncd needs %d", contract->schema_version,
              schema_version_wanted());
    return 0;
}

static int read_view(const PGresult *rows, int row, struct contract *contract)
{
    const char *kind = cell(rows, row, ANSWER_NOTE);
    contract->view_sql = strdup(cell(rows, row, ANSWER_TEXT));
    if (!contract->view_sql)
        return -ENOMEM;
    contract->view_found = kind && strchr("vrpf", kind[0]);

    if (kind && kind[0] == 'm')
        FAULT(contract, CONTRACT_ERROR, CONTRACT_VIEW, contract->view_sql, "use a plain view",
              "%s is a materialized view: new and cancelled orders would not be seen",
              contract->view_sql);
    else if (!contract->view_found)
        FAULT(contract, CONTRACT_ERROR, CONTRACT_VIEW, contract->view_sql,
              "chwsyncd adapter prints one, to be run with psql; or correct shop.pending_orders",
              kind ? "%s is no view" : "view %s does not exist", contract->view_sql);
    else if (!cell_is_true(rows, row, ANSWER_ABLE))
        FAULT(contract, CONTRACT_ERROR, CONTRACT_VIEW, contract->view_sql,
              view_remedy("GRANT SELECT ON %s TO chwsync; -- and USAGE on its schema", contract),
              "this role may not read %s", contract->view_sql);
    if (contract->view_found && !cell_is_true(rows, row, ANSWER_FITS))
        FAULT(contract, CONTRACT_WARNING, CONTRACT_VIEW, contract->view_sql,
              view_remedy("ALTER VIEW %s RESET (security_invoker);", contract),
              "%s is read with the daemon's rights (security_invoker), which has none on the "
              "shop's tables",
              contract->view_sql);
    return 0;
}

static bool kind_accepts(const struct value_kind *kind, const char *type, bool is_word)
{
    if (kind->any_word && is_word)
        return true;
    for (size_t i = 0; i < COUNT_OF(kind->accepted) && kind->accepted[i]; i++)
        if (strcmp(kind->accepted[i], type) == 0)
            return true;
    return false;
}

static int add_unknown_column(struct contract *contract, const char *name)
{
    char *longer = NULL;
    if (asprintf(&longer, "%s%s%s", contract->unknown_columns ? contract->unknown_columns : "",
                 contract->unknown_columns ? ", " : "", name) < 0)
        return -ENOMEM;
    free(contract->unknown_columns);
    contract->unknown_columns = longer;
    return 0;
}

static int read_column(const PGresult *rows, int row, struct contract *contract)
{
    const char *name = cell(rows, row, ANSWER_TEXT), *type = cell(rows, row, ANSWER_NOTE);
    if (!contract->view_found)
        return 0;
    for (size_t i = 0; i < CONTRACT_COLUMN_COUNT; i++) {
        const struct contract_column_rule *rule = &column_rules[i];
        if (strcmp(rule->name, name) != 0)
            continue;
        contract->has_column[i] = true;
        if (kind_accepts(rule->kind, type, cell_is_true(rows, row, ANSWER_FITS)))
            return 0;
        struct problem *problem =
            contract_add_fault(contract, CONTRACT_ERROR, CONTRACT_VIEW, contract->view_sql);
        if (!problem)
            return -ENOMEM;
        problem_set(problem, "%s.%s is %s, should be %s", contract->view_sql, name, type,
                    rule->kind->type);
        char remedy[sizeof problem->hint];
        const char *place = strstr(rule->kind->remedy, "%s");
        snprintf(remedy, sizeof remedy, "%.*s%s%s", (int)(place - rule->kind->remedy),
                 rule->kind->remedy, name, place + 2);
        problem_hint(problem, "%s", remedy);
        return 0;
    }
    return add_unknown_column(contract, name);
}

/* After all columns: what is missing, and what nothing reads. */
static int judge_columns(struct contract *contract)
{
    if (!contract->view_found)
        return 0;
    for (size_t i = 0; i < CONTRACT_COLUMN_COUNT; i++) {
        const struct contract_column_rule *rule = &column_rules[i];
        if (!rule->required || contract->has_column[i])
            continue;
        struct problem *problem =
            contract_add_fault(contract, CONTRACT_ERROR, CONTRACT_VIEW, contract->view_sql);
        if (!problem)
            return -ENOMEM;
        problem_set(problem, "%s has no column %s (%s)", contract->view_sql, rule->name,
                    rule->kind->type);
        if (i == CONTRACT_ORDER_REF || i == CONTRACT_SERVICE)
            problem_hint(problem, "add it to the view: ... AS %s", rule->name);
        else
            problem_hint(problem, "add it to the view; NULL::%s AS %s when no service needs it",
                         rule->kind->type, rule->name);
    }
    if (contract->unknown_columns)
        FAULT(contract, CONTRACT_WARNING, CONTRACT_VIEW, contract->view_sql,
              "a misspelt name? Other parameters of the provider belong into params (jsonb)",
              "%s has columns that nothing reads: %s", contract->view_sql,
              contract->unknown_columns);
    return 0;
}

static int read_row_security(const PGresult *rows, int row, struct contract *contract)
{
    const char *table = cell(rows, row, ANSWER_TEXT), *owner = cell(rows, row, ANSWER_NOTE);
    struct problem *problem =
        contract_add_fault(contract, CONTRACT_WARNING, CONTRACT_VIEW, contract->view_sql);

    if (!problem)
        return -ENOMEM;
    problem_set(problem,
                "table %s has row-level security and the view's owner %s is subject to it: orders "
                "may be invisible",
                table, owner);
    /* The function locks lines: that asks for a policy of UPDATE as well. */
    problem_hint(problem,
                 "CREATE POLICY chwsync_reads ON %s FOR SELECT TO %s USING (true); CREATE POLICY "
                 "chwsync_locks ON %s FOR UPDATE TO %s USING (true) WITH CHECK (false);",
                 table, owner, table, owner);
    return 0;
}

/* The exact function follows in the next row when there is one. */
static int read_function(const PGresult *rows, int row, struct contract *contract)
{
    static const char remedy[] =
        "chwsyncd adapter prints one, to be run with psql; or correct shop.write_back (\"\" = "
        "none)";
    const char *candidates = cell(rows, row, ANSWER_NOTE);
    contract->function_wanted = true;
    contract->function_sql = strdup(cell(rows, row, ANSWER_TEXT));
    if (!contract->function_sql)
        return -ENOMEM;
    contract->function_found = row + 1 < PQntuples(rows) &&
                               strcmp(cell(rows, row + 1, ANSWER_KIND), "exact function") == 0;
    if (contract->function_found)
        return 0;
    if (candidates)
        FAULT(contract, CONTRACT_ERROR, CONTRACT_FUNCTION, contract->function_sql,
              "it takes exactly one chwsync.result and returns boolean",
              "function %s(chwsync.result) returns boolean does not exist (found: %s)",
              contract->function_sql, candidates);
    else
        FAULT(contract, CONTRACT_ERROR, CONTRACT_FUNCTION, contract->function_sql, remedy,
              "function %s(chwsync.result) does not exist", contract->function_sql);
    return 0;
}

static int read_exact_function(const PGresult *rows, int row, struct contract *contract)
{
    if (!cell_is_true(rows, row, ANSWER_ABLE))
        FAULT(contract, CONTRACT_ERROR, CONTRACT_FUNCTION, contract->function_sql,
              function_remedy("GRANT EXECUTE ON FUNCTION %s(chwsync.result) TO chwsync; -- and "
                              "USAGE on its schema",
                              contract),
              "this role may not execute %s(chwsync.result)", contract->function_sql);
    if (!cell_is_true(rows, row, ANSWER_FITS))
        FAULT(contract, CONTRACT_WARNING, CONTRACT_FUNCTION, contract->function_sql,
              function_remedy(
                  "ALTER FUNCTION %s(chwsync.result) SET search_path = pg_catalog, pg_temp;",
                  contract),
              "%s(chwsync.result) is SECURITY DEFINER without a search_path of its own: a way in "
              "for an attacker",
              contract->function_sql);
    if (strcmp(cell(rows, row, ANSWER_TEXT), "v") != 0)
        FAULT(contract, CONTRACT_WARNING, CONTRACT_FUNCTION, contract->function_sql,
              function_remedy("ALTER FUNCTION %s(chwsync.result) VOLATILE;", contract),
              "%s(chwsync.result) is not VOLATILE: it cannot write", contract->function_sql);
    return 0;
}

/* What a row of that kind means; $1 is its text, $2 its note, $v the view and $f the function. */
static const struct trait {
    const char *kind;
    enum contract_severity severity;
    enum contract_part part;
    const char *sentence, *remedy;
} traits[] = {
    {"unreadable table", CONTRACT_ERROR, CONTRACT_VIEW,
     "$v reads $1, and the view's owner $2 may not", "GRANT SELECT ON $1 TO $2;"},
    {"unreadable schema", CONTRACT_ERROR, CONTRACT_VIEW,
     "$v reads tables of schema $1, which the view's owner $2 may not use",
     "GRANT USAGE ON SCHEMA $1 TO $2;"},
    {"uncallable helper", CONTRACT_ERROR, CONTRACT_VIEW,
     "$v calls $1, and the view's owner $2 may not", "GRANT EXECUTE ON FUNCTION $1 TO $2;"},
    {"parallel helper", CONTRACT_WARNING, CONTRACT_VIEW,
     "$v calls $1, which catches errors and is marked PARALLEL SAFE: with many rows it fails",
     "ALTER FUNCTION $1 PARALLEL UNSAFE;"},
    {"powerful owner", CONTRACT_WARNING, CONTRACT_VIEW,
     "$1 belongs to a superuser: whoever can change it reads everything",
     "ALTER $2 OWNER TO chwsync_adapter; -- and grant it SELECT on what the view reads"},
    {"powerful function", CONTRACT_WARNING, CONTRACT_FUNCTION,
     "$1 runs with the rights of a superuser", "ALTER FUNCTION $1 OWNER TO chwsync_adapter;"},
    {"invoker", CONTRACT_WARNING, CONTRACT_FUNCTION,
     "$1 runs with the daemon's rights, which has none in the shop",
     "ALTER FUNCTION $1 SECURITY DEFINER SET search_path = pg_catalog, pg_temp;"},
    {"public function", CONTRACT_WARNING, CONTRACT_FUNCTION,
     "$1 may be called by everybody, with its owner's rights",
     "REVOKE ALL ON FUNCTION $1 FROM PUBLIC; GRANT EXECUTE ON FUNCTION $1 TO chwsync;"},
    {"temporary path", CONTRACT_WARNING, CONTRACT_FUNCTION,
     "the search_path of $1 leaves pg_temp out, which is then searched first: a way in for an "
     "attacker",
     "ALTER FUNCTION $1 SET search_path = pg_catalog, pg_temp;"},
    {"open path", CONTRACT_WARNING, CONTRACT_FUNCTION,
     "the search_path of $1 has a schema in which everybody may create: a way in for an attacker",
     "ALTER FUNCTION $1 SET search_path = pg_catalog, pg_temp;"},
    {"foreign key", CONTRACT_WARNING, CONTRACT_VIEW,
     "$2 has a foreign key $1 into the shop: reports wait for every row that the shop locks",
     "ALTER TABLE $2 DROP CONSTRAINT $1;"},
    {"superuser", CONTRACT_WARNING, CONTRACT_LEDGER,
     "role $1 is a superuser: nothing holds the daemon back", "connect as role chwsync"},
    {"adapter member", CONTRACT_WARNING, CONTRACT_LEDGER,
     "role $1 is a member of chwsync_adapter: the daemon may change the adapter",
     "REVOKE chwsync_adapter FROM $1;"},
    {"creator", CONTRACT_WARNING, CONTRACT_LEDGER, "role $1 may create in schema chwsync_shop",
     "REVOKE CREATE ON SCHEMA chwsync_shop FROM $1, PUBLIC;"},
    {"wrong setting", CONTRACT_ERROR, CONTRACT_LEDGER,
     "$1 holds for this role here: statements would mean something else",
     "$2 -- then systemctl restart chwsyncd"},
    {"impatient setting", CONTRACT_WARNING, CONTRACT_LEDGER,
     "$1 holds for this role here: what waits that long for work is cut off, and reported",
     "$2 -- then systemctl restart chwsyncd"},
    {"no result type", CONTRACT_ERROR, CONTRACT_LEDGER, "type $1 does not exist",
     "restore schema chwsync from a backup; chwsyncd schema never drops it"},
};

static void expand(struct text *text, const char *pattern, const PGresult *rows, int row,
                   const struct contract *contract)
{
    for (; *pattern; pattern++) {
        const char *value = NULL;

        if (pattern[0] == '$')
            value = pattern[1] == '1'   ? cell(rows, row, ANSWER_TEXT)
                    : pattern[1] == '2' ? cell(rows, row, ANSWER_NOTE)
                    : pattern[1] == 'v' ? contract->view_sql
                                        : contract->function_sql;
        if (value)
            text_add(text, value);
        else
            text_add_char(text, *pattern);
        pattern += value != NULL;
    }
}

static int read_trait(const PGresult *rows, int row, struct contract *contract)
{
    OWN(text_done) struct text sentence = {0}, remedy = {0};

    for (size_t i = 0; i < COUNT_OF(traits); i++) {
        const struct trait *trait = &traits[i];

        if (strcmp(trait->kind, cell(rows, row, ANSWER_KIND)) != 0)
            continue;
        expand(&sentence, trait->sentence, rows, row, contract);
        expand(&remedy, trait->remedy, rows, row, contract);
        FAULT(contract, trait->severity, trait->part,
              trait->part == CONTRACT_FUNCTION ? contract->function_sql : contract->view_sql,
              text_string(&remedy), "%s", text_string(&sentence));
    }
    return 0;
}

/* The view that is missing was taken away on purpose: that is said instead. */
static int read_switched_off(const PGresult *rows, int row, struct contract *contract)
{
    for (size_t i = 0; i < contract->fault_count && !contract->view_found; i++) {
        struct contract_fault *fault = &contract->faults[i];

        if (fault->part != CONTRACT_VIEW)
            continue;
        problem_set(&fault->problem,
                    "the adapter is switched off since %s, for an upgrade of the shop: %s is kept "
                    "in the ledger",
                    cell(rows, row, ANSWER_TEXT), contract->view_sql);
        problem_hint(&fault->problem, "chwsyncd adapter on");
    }
    return 0;
}

static const struct {
    const char *kind;
    int (*read)(const PGresult *rows, int row, struct contract *contract);
} readers[] = {
    {"ledger", read_ledger},
    {"view", read_view},
    {"column", read_column},
    {"row security", read_row_security},
    {"function", read_function},
    {"exact function", read_exact_function},
    {"switched off", read_switched_off},
};

static int read_answer(const PGresult *rows, struct contract *contract)
{
    for (int row = 0; row < PQntuples(rows); row++) {
        int r = read_trait(rows, row, contract);

        for (size_t i = 0; i < COUNT_OF(readers) && r == 0; i++)
            if (strcmp(readers[i].kind, cell(rows, row, ANSWER_KIND)) == 0)
                r = readers[i].read(rows, row, contract);
        if (r < 0)
            return r;
    }
    return judge_columns(contract);
}

int contract_read(const PGresult *rows, struct contract *ret_contract,
                  struct problem *reterr_problem)
{
    if (PQnfields(rows) != ANSWER_PLACE + 1 || PQntuples(rows) < 2) {
        problem_set(reterr_problem,
                    "the catalogue's answer about the contract has another shape than expected");
        return 1;
    }
    OWN(contract_done) struct contract contract = {0};
    int r = read_answer(rows, &contract);
    if (r < 0)
        return r;
    *ret_contract = contract;
    contract = (struct contract){0};
    return 0;
}

void contract_done(struct contract *contract)
{
    free(contract->view_sql);
    free(contract->function_sql);
    free(contract->unknown_columns);
    free(contract->faults);
    *contract = (struct contract){0};
}

struct problem *contract_add_fault(struct contract *contract, enum contract_severity severity,
                                   enum contract_part part, const char *object)
{
    struct contract_fault *grown =
        reallocarray(contract->faults, contract->fault_count + 1, sizeof *contract->faults);
    if (!grown)
        return NULL;
    contract->faults = grown;
    struct contract_fault *fault = &grown[contract->fault_count++];
    *fault = (struct contract_fault){.severity = severity, .part = part, .object = object};
    return &fault->problem;
}

bool contract_is_sound(const struct contract *contract, enum contract_part part)
{
    for (size_t i = 0; i < contract->fault_count; i++)
        if (contract->faults[i].part == part && contract->faults[i].severity == CONTRACT_ERROR)
            return false;
    return true;
}

void contract_column_list(const struct contract *contract, struct text *text)
{
    for (size_t i = 0; i < CONTRACT_COLUMN_COUNT; i++) {
        const struct contract_column_rule *rule = &column_rules[i];
        text_format(text, "%s%s%s::%s AS %s", i ? ", " : "",
                    contract->has_column[i] ? "v." : "NULL",
                    contract->has_column[i] ? rule->quoted : "", rule->kind->type, rule->quoted);
    }
}

const char *contract_column_name(enum contract_column column)
{
    return column_rules[column].name;
}

const char *contract_column_type(enum contract_column column)
{
    return column_rules[column].kind->type;
}
