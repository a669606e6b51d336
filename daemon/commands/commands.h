/*
 * commands/commands.h - the commands of the one binary: one table; what they share.
 */
#pragma once
#include "base/own.h"
#include "base/problem.h"
#include "host/config.h"
#include "store/contract.h"
#include "store/session.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* systemd does not restart the daemon on 64, 77 and 78. */
enum exit_code {
    EXIT_DONE = 0,
    EXIT_FINDING = 1, /* it found something, or failed */
    EXIT_USAGE = 64,
    EXIT_UNAVAILABLE = 69, /* the database or the provider */
    EXIT_PERMISSION = 77,
    EXIT_CONFIGURATION = 78,
};

/* One each, so that an option can name the commands it belongs to (commands/options). */
enum command_bit {
    FOR_RUN = 1 << 0,
    FOR_CHECK = 1 << 1,
    FOR_SCHEMA = 1 << 2,
    FOR_ADAPTER = 1 << 3,
    FOR_STATUS = 1 << 4,
    FOR_ORDERS = 1 << 5,
    FOR_RESOLVE = 1 << 6,
    FOR_RETRY = 1 << 7,
    FOR_SERVICES = 1 << 8,
    FOR_REFILL = 1 << 9,
    FOR_METRICS = 1 << 10,
    FOR_ALL = (1 << 11) - 1,
};

/* What `chwsyncd adapter` takes; the columns of the contract come first, in their order. */
enum adapter_option {
    ADAPTER_TABLE = CONTRACT_COLUMN_COUNT,
    ADAPTER_ORDER,
    ADAPTER_BY,
    ADAPTER_PENDING,
    ADAPTER_PACK,
    ADAPTER_WITH_QUEUE, /* these have no value: "" when given */
    ADAPTER_WITH_WAKE,
    ADAPTER_CHECK,
};
#define ADAPTER_OPTION_COUNT (ADAPTER_CHECK + 1)

/* The command line, taken apart; strings are borrowed from argv. */
struct arguments {
    const struct command *command;
    const char *config_path; /* never NULL */
    bool json, config_only, watch, http;
    const char *credentials_dir; /* as given, or NULL */
    const char *conninfo;        /* as given, or NULL */
    const char *state;           /* as given, or NULL */
    long limit;                  /* 0 = not given */
    const char *placed;          /* the provider's order id, or NULL */
    bool all, changes, refresh;
    const char *release;                /* a provider's name or an order's key, or NULL */
    const char *reason;                 /* as given, or NULL */
    const char *provider;               /* as given, or NULL */
    int64_t older_than_s, newer_than_s; /* 0 = not given */
    const char *account;                /* of which provider; NULL = not given */
    const char *accept;                 /* a service id, or NULL */
    bool same_account, new_account;
    bool not_placed, give_up, yes, again;
    const char *adapter[ADAPTER_OPTION_COUNT]; /* NULL = not given */
    char *const *words;                        /* what is no option */
    int word_count;
};

struct command {
    const char *name;
    const char *words; /* its operands, for the usage line: "[REF]", or "" */
    int words_min, words_max;
    const char *summary; /* one line */
    const char *help;    /* paragraphs for --help */
    enum command_bit bit;
    enum exit_code (*function)(const struct arguments *arguments);
};

extern const struct command commands[];
extern const size_t command_count;

/* NULL when there is none; then stderr has told the nearest name. */
const struct command *command_find(const char *name);
void command_print_overview(FILE *stream);

enum exit_code command_run(const struct arguments *arguments);
enum exit_code command_check(const struct arguments *arguments);
enum exit_code command_schema(const struct arguments *arguments);
enum exit_code command_adapter(const struct arguments *arguments);
enum exit_code command_status(const struct arguments *arguments);
enum exit_code command_orders(const struct arguments *arguments);
enum exit_code command_resolve(const struct arguments *arguments);
enum exit_code command_retry(const struct arguments *arguments);
enum exit_code command_services(const struct arguments *arguments);
enum exit_code command_refill(const struct arguments *arguments);
enum exit_code command_metrics(const struct arguments *arguments);

DEFINE_OWN(struct config, config_free, command_config_freep)

/* Who types this, for the history of an order: "name", or "name (as root)" behind sudo. */
void command_name_operator(char *ret_name, size_t size);
/* "chwsyncd: what is wrong" and an indented hint, on stderr. */
void command_complain(const struct problem *problem);
/* "chwsyncd: unknown WHAT "GIVEN"" and the nearest of the names (NULL ends them) when one is near.
 */
void command_complain_unknown(const char *what, const char *given, const char *const *names);
/* Loads the configuration, or tells all its faults on stderr. */
enum exit_code command_load_config(const struct arguments *arguments, struct config **ret_config);
/* The database of --conninfo, else the configuration's as the calling user, with `time_limit_s` for
 * each statement. The configuration is owned (config_free), NULL with --conninfo. */
enum exit_code command_open_database(const struct arguments *arguments, unsigned time_limit_s,
                                     struct config **ret_config, struct session **ret_session);
/* The session of a command that reads the ledger, in one snapshot; the faults on stderr. ret_config
 * may be NULL. */
enum exit_code command_open_report(const struct arguments *arguments, struct config **ret_config,
                                   struct session **ret_session, int64_t *ret_now_s);
/* The exit code of a statement that failed: permission, a finding, or unavailable. */
enum exit_code command_exit_code(const struct session *session, enum session_verdict verdict);
