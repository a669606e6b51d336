/*
 * commands/check.h - what the parts of `chwsyncd check` share: what was found, and with what to
 * look.
 */
#pragma once
#include "base/problem.h"
#include "commands/commands.h"
#include "host/credentials.h"
#include "store/session.h"
#include <json-c/json.h>

enum severity { SEVERITY_OK, SEVERITY_WARNING, SEVERITY_FAULT };

struct finding {
    enum severity severity;
    const char *area;
    struct problem problem;
    enum exit_code code; /* of a fault */
};

/* Everything that was found; what a check needs is borrowed from command_check(). */
struct check {
    const struct arguments *arguments;
    const struct config *config;
    struct session *session; /* NULL when the database was not reached */
    bool has_ledger;         /* its schema is there, at this version */
    struct secret *keys;     /* by provider; text NULL when it could not be read */
    struct finding *findings;
    size_t finding_count;
    struct json_object *providers; /* owned: what each of them said, for --json */
    bool failed;                   /* memory ran out */
    struct problem nowhere;
};

/* Adds a finding; its problem is to be written. A finding too many is written into the void. */
struct problem *found(struct check *check, enum severity severity, const char *area,
                      enum exit_code code);

/* Asks every provider that may be asked: check_providers.c. */
void check_providers(struct check *check);
