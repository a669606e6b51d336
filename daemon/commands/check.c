#include "commands/check.h"
#include "base/own.h"
#include "commands/output.h"
#include "store/contract_rehearsal.h"
#include "store/rehearsal.h"
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const severity_names[] = {"ok", "warning", "fault"};

struct problem *found(struct check *check, enum severity severity, const char *area,
                      enum exit_code code)
{
    struct finding *grown = reallocarray(check->findings, check->finding_count + 1, sizeof *grown);
    if (!grown) {
        check->failed = true;
        return &check->nowhere;
    }
    check->findings = grown;
    struct finding *finding = &grown[check->finding_count++];
    *finding = (struct finding){.severity = severity, .area = area, .code = code};
    return &finding->problem;
}

static void found_problem(struct check *check, enum severity severity, const char *area,
                          enum exit_code code, const struct problem *problem)
{
    *found(check, severity, area, code) = *problem;
}

/* ---- configuration, credentials, state directory ---- */

static bool check_config(struct check *check, struct config **ret_config)
{
    struct config_faults faults = {0};
    const char *path = check->arguments->config_path;
    int r = config_load(path, ret_config, &faults);
    if (r == 0) {
        check->config = *ret_config;
        problem_set(found(check, SEVERITY_OK, "configuration", EXIT_DONE), "%s, %zu provider%s",
                    path, check->config->provider_count,
                    output_plural((int64_t)check->config->provider_count));
        return true;
    }
    if (r < 0)
        problem_set(found(check, SEVERITY_FAULT, "configuration", EXIT_CONFIGURATION),
                    "unable to read %s: %s", path, strerror(-r));
    for (size_t i = 0; r > 0 && i < faults.count; i++) {
        struct problem problem;
        config_fault_describe(&faults.faults[i], path, &problem);
        found_problem(check, SEVERITY_FAULT, "configuration", EXIT_CONFIGURATION, &problem);
    }
    config_faults_done(&faults);
    return false;
}

/* Only the keys themselves tell. The second one is not asked anything. */
static void check_same_account(struct check *check, size_t first, size_t second)
{
    const struct provider_config *providers = check->config->providers;
    struct secret *keys = check->keys;
    struct problem problem;
    if (!keys[first].text || !keys[second].text ||
        !config_same_account(&providers[first], keys[first].text, &providers[second],
                             keys[second].text, &problem))
        return;
    found_problem(check, SEVERITY_FAULT, "credentials", EXIT_CONFIGURATION, &problem);
    secret_done(&keys[second]);
}

static void check_credentials(struct check *check)
{
    const char *directory = credentials_directory(check->arguments->credentials_dir);
    check->keys = calloc(check->config->provider_count + 1, sizeof *check->keys);
    if (!check->keys) {
        check->failed = true;
        return;
    }
    for (size_t i = 0; i < check->config->provider_count; i++) {
        const struct provider_config *provider = &check->config->providers[i];
        struct problem problem = {0};
        int r = credentials_read(directory, provider->key_file, &check->keys[i], &problem);
        if (r == 0)
            problem_set(found(check, SEVERITY_OK, "credentials", EXIT_DONE),
                        "%s: the key can be read", provider->name);
        else if (r > 0)
            found_problem(check, SEVERITY_FAULT, "credentials", EXIT_PERMISSION, &problem);
        else
            problem_set(found(check, SEVERITY_FAULT, "credentials", EXIT_PERMISSION),
                        "%s: unable to read the key: %s", provider->name, strerror(-r));
        for (size_t j = 0; r == 0 && j < i; j++)
            check_same_account(check, j, i);
    }
}

#define SERVICE_STATE_DIRECTORY "/var/lib/chwsyncd" /* StateDirectory= of the unit */

static void check_state_directory(struct check *check)
{
    const char *path = check->config->state_directory;
    struct stat status;
    int r = stat(path, &status) < 0 ? -errno : 0;
    if (r == -ENOENT && strcmp(path, SERVICE_STATE_DIRECTORY) == 0) {
        problem_set(found(check, SEVERITY_OK, "state", EXIT_DONE),
                    "%s does not exist yet: systemd makes it at the first start", path);
    } else if (r == -ENOENT) {
        struct problem *problem = found(check, SEVERITY_WARNING, "state", EXIT_DONE);
        problem_set(problem, "%s does not exist", path);
        problem_hint(problem, "install -d -o chwsync -g chwsync -m 0700 %s", path);
    } else if (r < 0 || !S_ISDIR(status.st_mode) || access(path, W_OK | X_OK) < 0) {
        struct problem *problem = found(check, SEVERITY_FAULT, "state", EXIT_FINDING);
        problem_set(problem, "%s is no directory that this user may write in", path);
        problem_hint(problem,
                     "it belongs to the user the daemon runs as; run the check as that user");
    } else {
        problem_set(found(check, SEVERITY_OK, "state", EXIT_DONE), "%s can be written", path);
    }
}

/* ---- database ---- */

static void check_connection(struct check *check)
{
    char *passfile =
        credentials_path(credentials_directory(check->arguments->credentials_dir), "pgpass");
    const struct session_options options = {.conninfo = check->config->conninfo,
                                            .passfile = passfile,
                                            .connect_limit_s = 5,
                                            .time_limit_s = 15};
    struct problem problem = {0};
    int r = session_open(&options, &check->session, &problem);
    free(passfile);
    if (r == 0)
        problem_set(found(check, SEVERITY_OK, "database", EXIT_DONE), "connected to %s as %s",
                    session_database(check->session), session_user(check->session));
    else if (r > 0)
        found_problem(check, SEVERITY_FAULT, "database", EXIT_UNAVAILABLE, &problem);
    else
        check->failed = true;
}

/* A question to the server that failed is a finding; false = it did. */
static bool answered(struct check *check, enum session_verdict verdict,
                     const struct problem *problem)
{
    if (verdict != SESSION_DONE)
        found_problem(check, SEVERITY_FAULT, "database", command_exit_code(check->session, verdict),
                      problem);
    return verdict == SESSION_DONE;
}

static void check_server(struct check *check, bool has_ledger)
{
    struct rehearsal_server server;
    struct problem problem = {0}, *found_one;
    if (!answered(check, rehearsal_server(check->session, &server, &problem), &problem))
        return;
    if (server.version < 130000) {
        found_one = found(check, SEVERITY_FAULT, "database", EXIT_FINDING);
        problem_set(found_one, "the server is PostgreSQL %d.%d", server.version / 10000,
                    server.version % 10000);
        problem_hint(found_one, "version 13 or later is needed");
    }
    if (server.read_only) {
        found_one = found(check, SEVERITY_FAULT, "database", EXIT_FINDING);
        problem_set(found_one,
                    "the server accepts no changes (a standby, or default_transaction_read_only)");
        problem_hint(found_one,
                     "name the primary, or all hosts with target_session_attrs=read-write");
    }
    if (has_ledger && !server.may_write) {
        found_one = found(check, SEVERITY_FAULT, "database", EXIT_PERMISSION);
        problem_set(found_one, "role %s lacks rights on the ledger", session_user(check->session));
        problem_hint(found_one,
                     "connect as role chwsync; chwsyncd schema upgrade repeats its grants");
    }
    if (server.shop_table[0]) {
        found_one = found(check, SEVERITY_WARNING, "database", EXIT_DONE);
        problem_set(found_one, "role %s may read tables of the shop (%s)",
                    session_user(check->session), server.shop_table);
        problem_hint(found_one,
                     "the daemon needs no right on them: use role chwsync, and REVOKE what it has");
    }
}

/* ---- the contract with the shop ---- */

/* All configured providers, joined by commas. */
static void join_providers(const struct config *config, struct text *text)
{
    for (size_t i = 0; i < config->provider_count; i++)
        text_format(text, "%s%s", i ? "," : "", config->providers[i].name);
}

static void check_scans(struct check *check, const struct contract *contract)
{
    struct rehearsal_scans scans;
    struct problem problem = {0};
    if (!answered(check, rehearsal_scans(check->session, contract, &scans, &problem), &problem))
        return;
    for (size_t i = 0; i < scans.count; i++) {
        const struct rehearsal_scan *scan = &scans.list[i];
        struct problem *found_one = found(check, SEVERITY_WARNING, "contract", EXIT_DONE);
        problem_set(found_one, "reading %s goes through all of %s, about %" PRId64 " rows",
                    contract->view_sql, scan->table, scan->rows);
        if (scan->filter[0] && scan->key[0])
            problem_hint(found_one, "CREATE INDEX CONCURRENTLY ON %s (%s) WHERE %s;", scan->table,
                         scan->key, scan->filter);
        else
            problem_hint(found_one, "make the adapter with a queue: chwsyncd adapter ... --queue");
    }
}

static void check_rows(struct check *check, const struct contract *contract,
                       const struct rehearsal_view *view)
{
    struct problem *found_one;
    if (view->without_service) {
        found_one = found(check, SEVERITY_WARNING, "contract", EXIT_DONE);
        problem_set(found_one, "rows of %s that have no service, and will be refused: %" PRId64,
                    contract->view_sql, view->without_service);
        problem_hint(found_one, "SELECT order_ref FROM %s WHERE service IS NULL;",
                     contract->view_sql);
    }
    if (view->strangers[0]) {
        found_one = found(check, SEVERITY_WARNING, "contract", EXIT_DONE);
        problem_set(found_one, "%s names providers that are not configured: %s", contract->view_sql,
                    view->strangers);
        problem_hint(found_one, "their lines wait until a provider of that name is configured");
    }
    if (view->fresh > 1000) {
        found_one = found(check, SEVERITY_WARNING, "contract", EXIT_DONE);
        problem_set(found_one, "%" PRId64 " lines of %s are new and would be bought at once",
                    view->fresh, contract->view_sql);
        problem_hint(found_one, "if they are old ones: UPDATE chwsync_shop.since SET placed_at = "
                                "now(); or narrow the view's condition");
    }
}

/* How many keys have a fault that parks their lines. */
static int64_t check_keys(struct check *check, const struct contract *contract,
                          const struct rehearsal_view *view)
{
    const struct {
        int64_t count;
        const char *noun, *what, *remedy, *which;
    } faults[] = {
        {view->repeated, "key", "more than once",
         "order_ref is the key of one order line, look for a join that multiplies rows",
         "GROUP BY order_ref HAVING count(*) > 1"},
        {view->without_ref, "row", "without a key", "such lines are never sent",
         "WHERE order_ref IS NULL OR order_ref = ''"},
        {view->too_long, "key", "of more than 200 bytes", "such lines are never sent",
         "WHERE octet_length(order_ref) > 200"},
    };

    for (size_t i = 0; i < COUNT_OF(faults); i++) {
        if (!faults[i].count)
            continue;
        struct problem *found_one = found(check, SEVERITY_FAULT, "contract", EXIT_FINDING);
        problem_set(found_one, "%s shows %" PRId64 " %s%s %s", contract->view_sql, faults[i].count,
                    faults[i].noun, output_plural(faults[i].count), faults[i].what);
        problem_hint(found_one, "%s: SELECT order_ref FROM %s %s;", faults[i].remedy,
                     contract->view_sql, faults[i].which);
    }
    return view->repeated + view->without_ref + view->too_long;
}

static void check_view(struct check *check, const struct contract *contract)
{
    OWN(text_done) struct text providers = {0};
    struct rehearsal_view view;
    struct problem problem = {0}, *found_one;
    join_providers(check->config, &providers);
    enum session_verdict verdict =
        rehearsal_view(check->session, contract, text_string(&providers), &view, &problem);
    if (verdict != SESSION_DONE) {
        found_one = found(check, SEVERITY_FAULT, "contract",
                          verdict == SESSION_LOST ? EXIT_UNAVAILABLE : EXIT_FINDING);
        problem_set(found_one, "reading %s fails: %s (SQLSTATE %s)", contract->view_sql,
                    problem.text, session_sqlstate(check->session));
        const char *remedy = contract_remedy_for(session_sqlstate(check->session));
        problem_hint(found_one, "%s",
                     remedy[0] ? remedy
                               : "one bad row is enough: chwsync.try_jsonb() and try_bigint() give "
                                 "NULL instead of an error");
        return;
    }
    if (check_keys(check, contract, &view))
        return;
    check_rows(check, contract, &view);
    check_scans(check, contract);
    bool slow = view.took_ms > 100;
    found_one = found(check, slow ? SEVERITY_WARNING : SEVERITY_OK, "contract", EXIT_DONE);
    problem_set(found_one, "%s can be read: %" PRId64 " row%s in %" PRId64 " ms",
                contract->view_sql, view.rows, output_plural(view.rows), view.took_ms);
    if (slow)
        problem_hint(found_one, "it is read every few seconds: make the adapter with a queue, "
                                "chwsyncd adapter ... --queue");
}

static void check_wake(struct check *check)
{
    const char *channel = check->config->wake_channel;
    struct problem problem = {0};
    bool is_known = true;
    if (!channel || !channel[0] ||
        !answered(check, rehearsal_wake(check->session, channel, &is_known, &problem), &problem) ||
        is_known)
        return;
    /* The default is there for whoever wants it; a name that was chosen is meant. */
    bool chosen = strcmp(channel, "chwsync") != 0;
    struct problem *found_one =
        found(check, chosen ? SEVERITY_WARNING : SEVERITY_OK, "contract", EXIT_DONE);
    problem_set(found_one,
                "no function of this database notifies channel %s: new lines are found by looking, "
                "every %u s",
                channel, (unsigned)check->config->intake_interval_s);
    if (chosen)
        problem_hint(found_one, "a trigger that says NOTIFY %s, or another shop.wake_channel",
                     channel);
}

static void report_fault(struct check *check, const struct contract_fault *fault)
{
    bool is_fault = fault->severity != CONTRACT_WARNING;

    found_problem(check, is_fault ? SEVERITY_FAULT : SEVERITY_WARNING,
                  fault->part == CONTRACT_LEDGER ? "schema" : "contract", EXIT_FINDING,
                  &fault->problem);
}

static void check_function(struct check *check, struct contract *contract)
{
    struct problem problem = {0};
    size_t known = contract->fault_count;
    int r =
        rehearsal_function(check->session, contract, check->config->write_back_timeout_s, &problem);

    if (r < 0) {
        check->failed = true;
        return;
    }
    if (r > 0) {
        found_problem(check, SEVERITY_FAULT, "contract", EXIT_UNAVAILABLE, &problem);
        return;
    }
    for (size_t i = known; i < contract->fault_count; i++)
        report_fault(check, &contract->faults[i]);
    if (contract->fault_count == known)
        problem_set(found(check, SEVERITY_OK, "contract", EXIT_DONE),
                    "%s answers as it should for an unknown order", contract->function_sql);
}

static void check_contract(struct check *check)
{
    OWN(contract_done) struct contract contract = {0};
    struct problem problem = {0};
    const struct config *config = check->config;
    if (!answered(check,
                  rehearsal_contract(check->session, config->pending_orders, config->write_back,
                                     &contract, &problem),
                  &problem))
        return;
    check_server(check, contract.has_schema);
    check->has_ledger = contract_is_sound(&contract, CONTRACT_LEDGER);
    if (check->has_ledger)
        problem_set(found(check, SEVERITY_OK, "schema", EXIT_DONE), "chwsync is at version %d",
                    contract.schema_version);
    for (size_t i = 0; i < contract.fault_count; i++)
        report_fault(check, &contract.faults[i]);
    if (contract_is_sound(&contract, CONTRACT_VIEW))
        check_view(check, &contract);
    check_wake(check);
    if (contract.function_wanted && contract_is_sound(&contract, CONTRACT_FUNCTION) &&
        contract_is_sound(&contract, CONTRACT_LEDGER))
        check_function(check, &contract);
    else if (!contract.function_wanted)
        problem_set(found(check, SEVERITY_OK, "contract", EXIT_DONE),
                    "no write-back function: the shop reads chwsync.order_status");
}

/* ---- what was found ---- */

enum { FINDING_INDENT = 24 };

/* A terminal gets lines that fit; elsewhere each is one line, to be searched and pasted. */
static void print_line(const char *severity, const char *area, const char *text)
{
    char label[FINDING_INDENT + 1], line[sizeof((struct problem *)0)->text];
    snprintf(label, sizeof label, "%-8s %-14s ", severity, area);
    text_one_line(line, sizeof line, text);
    if (isatty(STDOUT_FILENO))
        output_field(stdout, label, FINDING_INDENT, line);
    else
        printf("%s%s\n", label, line);
}

static void print_findings(const struct check *check)
{
    size_t faults = 0, warnings = 0;
    for (size_t i = 0; i < check->finding_count; i++) {
        const struct finding *finding = &check->findings[i];
        char hint[sizeof finding->problem.hint + sizeof "HINT: "];
        print_line(severity_names[finding->severity], finding->area, finding->problem.text);
        snprintf(hint, sizeof hint, "HINT: %s", finding->problem.hint);
        if (finding->problem.hint[0])
            print_line("", "", hint);
        faults += finding->severity == SEVERITY_FAULT;
        warnings += finding->severity == SEVERITY_WARNING;
    }
    if (faults || warnings)
        printf("\n%zu fault%s, %zu warning%s.\n", faults, output_plural((int64_t)faults), warnings,
               output_plural((int64_t)warnings));
    else
        printf("\nAll is well.\n");
}

static void print_findings_json(const struct check *check, enum exit_code code)
{
    struct json_object *object = json_object_new_object(), *array = json_object_new_array();
    for (size_t i = 0; i < check->finding_count; i++) {
        const struct finding *finding = &check->findings[i];
        struct json_object *row = json_object_new_object();
        json_object_object_add(row, "severity",
                               json_object_new_string(severity_names[finding->severity]));
        json_object_object_add(row, "area", json_object_new_string(finding->area));
        json_object_object_add(row, "text", json_object_new_string(finding->problem.text));
        json_object_object_add(
            row, "remedy",
            finding->problem.hint[0] ? json_object_new_string(finding->problem.hint) : NULL);
        json_object_array_add(array, row);
    }
    json_object_object_add(object, "exit_code", json_object_new_int((int)code));
    json_object_object_add(object, "findings", array);
    json_object_object_add(object, "providers", json_object_get(check->providers));
    output_json(stdout, object);
}

/* The one that has to be mended first: configuration, permission, what is away, then the rest. */
static enum exit_code judge(const struct check *check)
{
    enum exit_code code = check->failed ? EXIT_FINDING : EXIT_DONE;
    for (size_t i = 0; i < check->finding_count; i++)
        if (check->findings[i].severity == SEVERITY_FAULT && check->findings[i].code > code)
            code = check->findings[i].code;
    return code;
}

static void check_done(struct check *check)
{
    for (size_t i = 0; check->keys && i < check->config->provider_count; i++)
        secret_done(&check->keys[i]);
    free(check->keys);
    free(check->findings);
    json_object_put(check->providers);
    session_free(check->session);
}

enum exit_code command_check(const struct arguments *arguments)
{
    OWN(command_config_freep) struct config *config = NULL;
    OWN(check_done) struct check check = {.arguments = arguments};
    if (check_config(&check, &config) && !arguments->config_only) {
        check_credentials(&check);
        check_state_directory(&check);
        check_connection(&check);
        if (check.session)
            check_contract(&check);
        if (check.keys)
            check_providers(&check);
    }
    enum exit_code code = judge(&check);
    if (check.failed)
        fputs("chwsyncd: out of memory: the list is not complete\n", stderr);
    if (arguments->json)
        print_findings_json(&check, code);
    else
        print_findings(&check);
    return code;
}
