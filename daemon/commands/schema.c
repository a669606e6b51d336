#include "store/schema.h"
#include "commands/commands.h"
#include "commands/output.h"
#include <stdlib.h>
#include <string.h>

#define TIME_LIMIT_S 600

static enum exit_code exit_code_of(const struct session *session, enum schema_verdict verdict)
{
    switch (verdict) {
    case SCHEMA_DONE:
        return EXIT_DONE;
    case SCHEMA_MISSING:
    case SCHEMA_NEWER:
        return EXIT_FINDING;
    case SCHEMA_REFUSED:
        return command_exit_code(session, SESSION_REFUSED);
    case SCHEMA_LOST:
        return EXIT_UNAVAILABLE;
    }
    return EXIT_FINDING;
}

static struct json_object *notices_json(const struct session *session)
{
    struct json_object *array = json_object_new_array();
    for (size_t i = 0; i < session_notice_count(session); i++) {
        const struct problem *notice = session_notice(session, i);
        struct json_object *object = json_object_new_object();
        json_object_object_add(object, "text", json_object_new_string(notice->text));
        json_object_object_add(object, "remedy", json_object_new_string(notice->hint));
        json_object_array_add(array, object);
    }
    return array;
}

static void print_change_json(const struct session *session, const struct schema_change *change)
{
    struct json_object *object = json_object_new_object();
    json_object_object_add(object, "database", json_object_new_string(session_database(session)));
    json_object_object_add(object, "version_before", json_object_new_int(change->version_before));
    json_object_object_add(object, "version", json_object_new_int(change->version_after));
    json_object_object_add(object, "owner", json_object_new_string(change->owner));
    json_object_object_add(object, "shop_owner", json_object_new_string(change->shop_owner));
    json_object_object_add(object, "notices", notices_json(session));
    output_json(stdout, object);
}

/* The statements for roles that could not be created stand in the notices' hints. */
static void print_notices(const struct session *session, const struct schema_change *change)
{
    static const char remedy[] = "Have a superuser run: ";
    size_t count = session_notice_count(session);
    if (count == 0)
        return;
    puts("\nNot everything could be done as this user:");
    for (size_t i = 0; i < count; i++)
        printf("  %s\n", session_notice(session, i)->text);
    puts("\nFor the rest, have a superuser run");
    for (size_t i = 0; i < count; i++) {
        const char *hint = session_notice(session, i)->hint;
        bool known = strncmp(hint, remedy, sizeof remedy - 1) == 0;
        printf("  %s\n", known ? hint + sizeof remedy - 1 : hint);
    }
    printf("and then repeat chwsyncd schema install. Until then the daemon can connect as %s,\n"
           "which owns the schemas: user=%s in database.conninfo.\n",
           change->owner, change->owner);
}

static void print_change(const struct session *session, const struct schema_change *change)
{
    const char *database = session_database(session);
    if (change->version_before == change->version_after)
        printf("Database %s: schema chwsync is already at version %d.\n", database,
               change->version_after);
    else if (change->version_before)
        printf("Database %s: schema chwsync went from version %d to version %d.\n", database,
               change->version_before, change->version_after);
    else
        printf("Database %s: schema chwsync is installed at version %d.\n", database,
               change->version_after);
    printf("  chwsync       belongs to %s\n", change->owner);
    if (change->shop_owner[0])
        printf("  chwsync_shop  belongs to %s\n", change->shop_owner);
    print_notices(session, change);
}

static enum exit_code change(const struct arguments *arguments, enum schema_action action)
{
    OWN(command_config_freep) struct config *config = NULL;
    OWN(session_freep) struct session *session = NULL;
    struct schema_change made = {0};
    struct problem problem = {0};
    enum exit_code code = command_open_database(arguments, TIME_LIMIT_S, &config, &session);
    if (code != EXIT_DONE)
        return code;
    enum schema_verdict verdict = schema_change(session, action, &made, &problem);
    if (verdict != SCHEMA_DONE) {
        command_complain(&problem);
        return exit_code_of(session, verdict);
    }
    if (arguments->json)
        print_change_json(session, &made);
    else
        print_change(session, &made);
    return EXIT_DONE;
}

static void size_text(const char *bytes, char *ret_text, size_t size)
{
    double kilobytes = strtod(bytes, NULL) / 1024;
    if (kilobytes < 1024)
        snprintf(ret_text, size, "%.0f kB", kilobytes);
    else if (kilobytes < 1024.0 * 1024)
        snprintf(ret_text, size, "%.1f MB", kilobytes / 1024);
    else
        snprintf(ret_text, size, "%.1f GB", kilobytes / 1024 / 1024);
}

static void print_objects(const struct schema_overview *overview)
{
    enum { KIND, NAME, OWNER, ROWS, BYTES };
    static const struct table_column columns[] = {{"Object", false, true},
                                                  {"Kind", false, false},
                                                  {"Owner", false, false},
                                                  {"Rows", true, false},
                                                  {"Size", true, false}};
    struct table table = {.columns = columns, .column_count = 5};
    const PGresult *rows = overview->objects;
    for (int row = 0; row < PQntuples(rows); row++) {
        char size[32] = "";
        if (row_text(rows, row, BYTES))
            size_text(row_text(rows, row, BYTES), size, sizeof size);
        table_add(&table, row_text(rows, row, NAME));
        table_add(&table, row_text(rows, row, KIND));
        table_add(&table, row_text(rows, row, OWNER));
        table_add(&table, row_text(rows, row, ROWS) ? row_text(rows, row, ROWS) : "");
        table_add(&table, size);
    }
    table_print(&table, 2, stdout);
    table_done(&table);
}

static void print_overview(const struct session *session, const struct schema_overview *overview)
{
    const PGresult *state = overview->state, *roles = overview->roles;
    const char *version = row_text(state, 0, SCHEMA_STATE_VERSION);
    char size[32];
    size_text(PQgetvalue(state, 0, SCHEMA_STATE_BYTES), size, sizeof size);
    printf("Database %s: schema chwsync is at version %s (this chwsyncd needs %d), %s\n",
           session_database(session), version ? version : "? (not readable)",
           schema_version_wanted(), size);
    printf("  chwsync       belongs to %s\n", row_text(state, 0, SCHEMA_STATE_OWNER));
    printf("  chwsync_shop  %s%s\n",
           row_text(state, 0, SCHEMA_STATE_SHOP_OWNER) ? "belongs to " : "does not exist",
           PQgetvalue(state, 0, SCHEMA_STATE_SHOP_OWNER));
    puts("\nRoles");
    for (int row = 0; row < PQntuples(roles); row++) {
        bool present = PQgetvalue(roles, row, 1)[0] == 't',
             login = PQgetvalue(roles, row, 2)[0] == 't';
        printf("  %-16s %-8s %s%s\n", PQgetvalue(roles, row, 0), present ? "present" : "missing",
               PQgetvalue(roles, row, 3), login ? " (may log in)" : "");
    }
    puts("");
    print_objects(overview);
}

static void print_overview_json(const struct session *session,
                                const struct schema_overview *overview)
{
    struct json_object *object = output_row_json(overview->state, 0);
    json_object_object_add(object, "database", json_object_new_string(session_database(session)));
    json_object_object_add(object, "version_wanted", json_object_new_int(schema_version_wanted()));
    json_object_object_add(object, "roles", output_rows_json(overview->roles));
    json_object_object_add(object, "objects", output_rows_json(overview->objects));
    output_json(stdout, object);
}

static enum exit_code show(const struct arguments *arguments)
{
    OWN(command_config_freep) struct config *config = NULL;
    OWN(session_freep) struct session *session = NULL;
    OWN(schema_overview_done) struct schema_overview overview = {0};
    struct problem problem = {0};
    enum exit_code code = command_open_database(arguments, TIME_LIMIT_S, &config, &session);
    if (code != EXIT_DONE)
        return code;
    enum session_verdict verdict = schema_show(session, &overview, &problem);
    if (verdict != SESSION_DONE) {
        command_complain(&problem);
        return command_exit_code(session, verdict);
    }
    bool installed = PQgetvalue(overview.state, 0, SCHEMA_STATE_HAS_LEDGER)[0] == 't';
    if (arguments->json) {
        print_overview_json(session, &overview);
    } else if (installed) {
        print_overview(session, &overview);
    } else {
        problem_set(&problem, "schema chwsync is not installed in database %s",
                    session_database(session));
        problem_hint(&problem, "chwsyncd schema install");
        command_complain(&problem);
    }
    return installed ? EXIT_DONE : EXIT_FINDING;
}

enum exit_code command_schema(const struct arguments *arguments)
{
    static const char *const actions[] = {"install", "upgrade", "show", NULL};
    const char *action = arguments->words[0];
    if (strcmp(action, "install") == 0)
        return change(arguments, SCHEMA_INSTALL);
    if (strcmp(action, "upgrade") == 0)
        return change(arguments, SCHEMA_UPGRADE);
    if (strcmp(action, "show") == 0)
        return show(arguments);
    command_complain_unknown("action", action, actions);
    fprintf(stderr, "    HINT: chwsyncd schema --help\n");
    return EXIT_USAGE;
}
