/*
 * host/config.h - the configuration file (libconfig), checked whole.
 *
 * Every setting stands once, in the table config_settings[]: name, type, range, default, one line
 * for people. The example file and the manual are checked against it. A wrong file yields all its
 * faults at once: file, line, what is wrong, nearest known name; a syntax error is told alone. One
 * file, no @include: what is checked is what stands in it.
 */
#pragma once
#include "base/problem.h"
#include "host/log.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CONFIG_DEFAULT_PATH "/etc/chwsyncd/chwsyncd.conf"

enum uncertain_policy { UNCERTAIN_HOLD, UNCERTAIN_PROVE };

struct provider_config {
    char *name;     /* [a-z0-9_-]{1,32} */
    char *url;      /* https://, or http:// to a loopback address */
    char *key_file; /* relative: in the credentials directory; absolute: readable by its owner alone
                     */
    char *ca_file;  /* or NULL: the system's */
    unsigned requests_per_minute, requests_per_day, burst; /* limits: 0 = unlimited; burst >= 1 */
    bool day_rolling;
    int day_reset_minute;   /* minute of the UTC day at which a calendar day begins, 0 ... 1439 */
    unsigned max_in_flight; /* 1 ... 1000 */
    unsigned timeout_s;
    char *low_balance;          /* decimal text, or NULL = none */
    char *max_charge_per_order; /* decimal text, or NULL = none */
    char *max_spend_per_day;    /* decimal text, or NULL = none */
    unsigned catalogue_interval_s;
    unsigned recheck_days; /* after an order's end; 0 = never */
    enum uncertain_policy uncertain;
};

struct config {
    char *path;
    char *conninfo, *wake_conninfo; /* wake_conninfo NULL = the same database connection listens */
    char *pending_orders;           /* SQL name */
    char *write_back;               /* SQL name, or NULL = none */
    char *wake_channel;             /* or NULL = none */
    unsigned intake_interval_s, write_back_timeout_s, history_days;
    char *default_provider;
    enum log_level log_level;
    enum log_target log_target;
    char *state_directory;
    struct provider_config *providers;
    size_t provider_count;
};

/* The faults of a file, in its order; lines are counted from 1, 0 = the file as a whole. */
struct config_fault {
    unsigned line;
    struct problem problem;
};
struct config_faults {
    struct config_fault *faults;
    size_t count;
};
void config_faults_done(struct config_faults *faults);
/* "FILE:LINE: what is wrong" with its hint; without a line for the file as a whole. */
void config_fault_describe(const struct config_fault *fault, const char *path,
                           struct problem *ret_problem);
/* The same for each, its hint indented on a line of its own. */
void config_faults_print(const struct config_faults *faults, const char *path, FILE *stream);

/* 0: *ret_config is owned (config_free). 1: the file is wrong, *reterr_faults is filled. Negative
 * errno: a fault of ours. */
int config_load(const char *path, struct config **ret_config, struct config_faults *reterr_faults);
/* The same for text already in memory (`length` bytes followed by a NUL); `path` is only
 * remembered. */
int config_load_text(const char *text, size_t length, const char *path, struct config **ret_config,
                     struct config_faults *reterr_faults);
void config_free(struct config *config);
const struct provider_config *config_provider(const struct config *config, const char *name);
/* Whether two of them, with the keys that were read, are one account: then the problem says so. */
bool config_same_account(const struct provider_config *a, const char *a_key,
                         const struct provider_config *b, const char *b_key,
                         struct problem *reterr_problem);

/*
 * What a setting's value must be. Texts are UTF-8 without control characters; "" is allowed where
 * min is 0 and means "none".
 */
enum setting_type {
    SETTING_TEXT,
    SETTING_INTEGER, /* range-checked in the source text: libconfig 1.5 wraps silently */
    SETTING_AMOUNT,  /* decimal text, not negative; zero means "none", as it does for every limit */
    SETTING_CHOICE,
    SETTING_SQL_NAME, /* name or schema.name, quoted parts allowed: safe to stand in a statement as
                         it is */
    SETTING_DAY,      /* "rolling", or "HH:MM" with an optional zone */
    SETTING_URL,
    SETTING_CONNINFO, /* parsed by libpq, and without a password */
    SETTING_LABEL,    /* a provider's name: [a-z0-9_-] */
    SETTING_CHANNEL,  /* [a-z_][a-z0-9_]*: the same channel whether the shop quotes it or not */
    SETTING_PATH,     /* absolute */
};
struct setting {
    const char *group; /* "database", "shop", "providers", "log", or "" for the top */
    const char *name;
    enum setting_type type;
    long long min, max;   /* of SETTING_INTEGER; length in bytes of texts */
    const char *choices;  /* "hold|prove" of SETTING_CHOICE, in the order of its enum */
    const char *fallback; /* default as it would stand in the file ("\"hold\"", "60"), or NULL =
                             required; "" = absent */
    const char *example;  /* of a required setting, as it would stand in the file; else NULL */
    const char *help;     /* one sentence */
    size_t
        offset; /* of its member in struct config, or in struct provider_config for "providers" */
};
extern const struct setting config_settings[];
extern const size_t config_setting_count;
/* Writes the table as a documented example file (etc/chwsyncd.conf is compared with it) or as mdoc
 * list items. */
void config_print_example(FILE *stream);
void config_print_manual(FILE *stream);
