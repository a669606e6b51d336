#include "host/config_value.h"
#include "base/decimal.h"
#include "base/own.h"
#include "base/text.h"
#include <arpa/inet.h>
#include <errno.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

#define MINUTES_PER_DAY 1440
/* The zones in use reach from -12:00 to +14:00. */
#define ZONE_HOURS_MAX 14

_Static_assert(sizeof(enum log_level) == sizeof(unsigned) &&
                   sizeof(enum log_target) == sizeof(unsigned) &&
                   sizeof(enum uncertain_policy) == sizeof(unsigned),
               "a choice is stored as an unsigned");

static bool contains_only(const char *text, const char *allowed)
{
    return !text[strspn(text, allowed)];
}

static void *member(const struct setting *setting, void *target)
{
    return (char *)target + setting->offset;
}

static int store_text(const struct setting *setting, void *target, const char *value)
{
    char **place = member(setting, target);
    char *copy = NULL;

    if (value) {
        copy = strdup(value);
        if (!copy)
            return -ENOMEM;
    }
    free(*place);
    *place = copy;
    return 0;
}

/* Length, control characters and UTF-8: what holds for every text. */
static int check_text(const struct setting *setting, const char *value,
                      struct problem *reterr_problem)
{
    size_t length = strlen(value);

    if ((long long)length < setting->min) {
        problem_set(reterr_problem, "%s must not be empty", setting->name);
        return 1;
    }
    if ((long long)length > setting->max) {
        problem_set(reterr_problem, "%s has %zu bytes, and must have at most %lld", setting->name,
                    length, setting->max);
        return 1;
    }
    if (!text_is_utf8(value, length)) {
        problem_set(reterr_problem, "%s is not UTF-8", setting->name);
        return 1;
    }
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)value[i] < ' ' || value[i] == 0x7f) {
            problem_set(reterr_problem, "%s contains a control character", setting->name);
            problem_hint(reterr_problem, "a text ends at its closing quote, and a backslash in it "
                                         "is written \\\\");
            return 1;
        }
    }
    return 0;
}

static int set_amount(const struct setting *setting, void *target, const char *value,
                      struct problem *reterr_problem)
{
    char amount[DECIMAL_SIZE];

    if (!decimal_parse(value, amount) || amount[0] == '-') {
        char shown[64];
        text_one_line(shown, sizeof shown, value);
        problem_set(reterr_problem, "%s must be an amount such as \"10.00\", not \"%s\"",
                    setting->name, shown);
        return 1;
    }
    return store_text(setting, target, contains_only(amount, "0.") ? NULL : amount);
}

static int set_choice(const struct setting *setting, void *target, const char *value,
                      struct problem *reterr_problem)
{
    size_t length = strlen(value);
    char shown[64];
    unsigned number = 0;

    for (const char *choice = setting->choices;; number++) {
        size_t choice_length = strcspn(choice, "|");

        if (choice_length == length && !memcmp(choice, value, length)) {
            memcpy(member(setting, target), &number, sizeof number);
            return 0;
        }
        if (!choice[choice_length])
            break;
        choice += choice_length + 1;
    }
    text_one_line(shown, sizeof shown, value);
    problem_set(reterr_problem, "%s must be one of %s, not \"%s\"", setting->name, setting->choices,
                shown);
    return 1;
}

/* Length of a plain or quoted identifier at the start, 0 = there is none. */
static size_t identifier_length(const char *text)
{
    static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    size_t length = 0, quotes = 0;

    if (*text != '"') {
        if (!strchr(first, *text) || !*text)
            return 0;
        length = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789$");
        return length <= 63 ? length : 0;
    }
    for (length = 1; text[length]; length++) {
        if (text[length] != '"')
            continue;
        if (text[length + 1] != '"')
            break;
        quotes++;
        length++;
    }
    if (!text[length] || length == 1 || length - 1 - quotes > 63)
        return 0;
    return length + 1;
}

static int set_sql_name(const struct setting *setting, void *target, const char *value,
                        struct problem *reterr_problem)
{
    size_t length = identifier_length(value);

    if (length && value[length] == '.') {
        size_t second = identifier_length(value + length + 1);
        length = second ? length + 1 + second : 0;
    }
    if (!length || value[length]) {
        problem_set(reterr_problem, "%s is not an SQL name", setting->name);
        problem_hint(reterr_problem,
                     "write schema.name; a part with other characters than a-z, 0-9 and _ stands "
                     "in \\\"quotes\\\"");
        return 1;
    }
    return store_text(setting, target, value);
}

/* Two digits at most `max`, or -1. */
static int two_digits(const char *text, int max)
{
    int number;

    if (text[0] < '0' || text[0] > '9' || text[1] < '0' || text[1] > '9')
        return -1;
    number = 10 * (text[0] - '0') + text[1] - '0';
    return number <= max ? number : -1;
}

/* Minutes of "HH:MM", or -1; what follows is the caller's to look at. */
static int clock_minutes(const char *text, int max_hours)
{
    int hours = two_digits(text, max_hours), minutes;

    if (hours < 0 || text[2] != ':')
        return -1;
    minutes = two_digits(text + 3, 59);
    return minutes < 0 ? -1 : 60 * hours + minutes;
}

/* "HH:MM[ ][Z|+HH:MM|-HH:MM]" as minute of the UTC day, or -1. */
static int day_minute(const char *value)
{
    int minute = clock_minutes(value, 23), zone;

    if (minute < 0)
        return -1;
    value += 5;
    value += *value == ' ' && value[1];
    if (!*value || !strcmp(value, "Z"))
        return minute;
    if (*value != '+' && *value != '-')
        return -1;
    zone = clock_minutes(value + 1, ZONE_HOURS_MAX);
    if (zone < 0 || value[6])
        return -1;
    if (*value == '-')
        zone = -zone;
    return (minute - zone + MINUTES_PER_DAY) % MINUTES_PER_DAY;
}

static int set_day(const struct setting *setting, struct provider_config *provider,
                   const char *value, struct problem *reterr_problem)
{
    bool rolling = !strcmp(value, "rolling");
    int minute = rolling ? 0 : day_minute(value);

    if (minute < 0) {
        char shown[64];
        text_one_line(shown, sizeof shown, value);
        problem_set(
            reterr_problem,
            "%s must be \"rolling\" or a time such as \"00:00\" or \"00:00 +05:30\", not \"%s\"",
            setting->name, shown);
        return 1;
    }
    provider->day_rolling = rolling;
    provider->day_reset_minute = minute;
    return 0;
}

bool config_value_is_loopback(const char *host)
{
    struct in_addr address;

    if (!strcmp(host, "localhost") || !strcmp(host, "[::1]"))
        return true;
    return inet_pton(AF_INET, host, &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

/* Cuts ":PORT" off; false when what follows the colon is no port. */
static bool cut_port(char *authority)
{
    char *colon = strrchr(authority, ':');
    char *bracket = strrchr(authority, ']');
    unsigned long port;

    if (!colon || (bracket && bracket > colon))
        return true;
    if (strlen(colon) > 6 || !contains_only(colon + 1, "0123456789"))
        return false;
    port = strtoul(colon + 1, NULL, 10);
    *colon = '\0';
    return port >= 1 && port <= 65535;
}

static bool is_host(const char *host)
{
    struct in6_addr address;
    size_t length = strlen(host);
    char inside[64];

    if (*host != '[')
        return length && contains_only(host, "abcdefghijklmnopqrstuvwxyz"
                                             "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._");
    if (length < 4 || length - 2 >= sizeof inside || host[length - 1] != ']')
        return false;
    memcpy(inside, host + 1, length - 2);
    inside[length - 2] = '\0';
    return inet_pton(AF_INET6, inside, &address) == 1;
}

/* The value is not shown: an address pasted with a password is one of the mistakes. */
static int check_url(const char *name, const char *value, struct problem *reterr_problem)
{
    bool encrypted = !strncmp(value, "https://", 8);
    const char *rest = value + (encrypted ? 8 : 7);
    char authority[300];
    size_t length;

    if (!encrypted && strncmp(value, "http://", 7) != 0) {
        problem_set(reterr_problem, "%s must begin with https://", name);
        return 1;
    }
    length = strcspn(rest, "/?#\\");
    if (memchr(rest, '@', length)) {
        problem_set(reterr_problem, "%s must not hold a user or password", name);
        problem_hint(reterr_problem, "the key belongs in key_file");
        return 1;
    }
    for (const char *c = value; *c; c++) {
        if (*c <= ' ' || *c >= 0x7f || strchr("\"<>\\^`{|}#", *c)) {
            problem_set(reterr_problem, "%s contains %s, which an address of an API cannot hold",
                        name, *c == '#' ? "a fragment (#)" : "a blank or a sign");
            return 1;
        }
    }
    if (length >= sizeof authority)
        length = sizeof authority - 1;
    memcpy(authority, rest, length);
    authority[length] = '\0';
    if (!cut_port(authority) || !is_host(authority)) {
        problem_set(reterr_problem, "%s has no valid host and port", name);
        return 1;
    }
    if (!encrypted && !config_value_is_loopback(authority)) {
        problem_set(reterr_problem, "%s uses http:// to another machine", name);
        problem_hint(reterr_problem, "the key would travel in the open: use https://; http:// is "
                                     "for 127.0.0.1, [::1] and localhost only");
        return 1;
    }
    return 0;
}

DEFINE_OWN(PQconninfoOption, PQconninfoFree, free_options)
DEFINE_OWN(char, PQfreemem, free_libpq_text)

/* A password can stand in any part of a broken string, so libpq's words are shown only where there
 * can be none. */
static void tell_conninfo(const char *name, const char *value, char *error,
                          struct problem *reterr_problem)
{
    char shown[200];

    if (!error || strcasestr(value, "pass") || strchr(value, '@')) {
        problem_set(reterr_problem, "%s is not a valid connection string", name);
        problem_hint(reterr_problem, "libpq's words are not shown, as they may hold a password");
        return;
    }
    error[strcspn(error, "\n")] = '\0';
    text_one_line(shown, sizeof shown, error);
    problem_set(reterr_problem, "%s is not a valid connection string: %s", name, shown);
}

static int check_conninfo(const char *name, const char *value, struct problem *reterr_problem)
{
    OWN(free_libpq_text) char *error = NULL;
    OWN(free_options) PQconninfoOption *options = PQconninfoParse(value, &error);

    if (!options) {
        tell_conninfo(name, value, error, reterr_problem);
        return 1;
    }
    for (PQconninfoOption *option = options; option->keyword; option++) {
        if (!option->val || !*option->val ||
            (strcmp(option->keyword, "password") != 0 &&
             strcmp(option->keyword, "sslpassword") != 0))
            continue;
        problem_set(reterr_problem, "%s holds a password", name);
        problem_hint(reterr_problem, "take it out: it belongs in a file named by PGPASSFILE, or in "
                                     "the credential \"pgpass\"; then change it");
        return 1;
    }
    return 0;
}

static int check_label(const char *name, const char *value, struct problem *reterr_problem)
{
    if (contains_only(value, "abcdefghijklmnopqrstuvwxyz0123456789_-"))
        return 0;
    problem_set(reterr_problem, "%s may hold only a-z, 0-9, _ and -", name);
    return 1;
}

static int check_channel(const char *name, const char *value, struct problem *reterr_problem)
{
    bool begins_with_digit = *value >= '0' && *value <= '9';

    if (!begins_with_digit && contains_only(value, "abcdefghijklmnopqrstuvwxyz0123456789_"))
        return 0;
    problem_set(reterr_problem, "%s may hold only a-z, 0-9 and _", name);
    problem_hint(reterr_problem, "PostgreSQL folds other letters unless they are quoted, so that "
                                 "the shop could announce on another channel");
    return 1;
}

static int check_path(const char *name, const char *value, struct problem *reterr_problem)
{
    if (*value == '/')
        return 0;
    problem_set(reterr_problem, "%s must be an absolute path", name);
    return 1;
}

int config_value_set_text(const struct setting *setting, void *target, const char *value,
                          struct problem *reterr_problem)
{
    int r = check_text(setting, value, reterr_problem);

    if (r)
        return r;
    if (!*value)
        return store_text(setting, target, NULL);

    switch (setting->type) {
    case SETTING_AMOUNT:
        return set_amount(setting, target, value, reterr_problem);
    case SETTING_CHOICE:
        return set_choice(setting, target, value, reterr_problem);
    case SETTING_SQL_NAME:
        return set_sql_name(setting, target, value, reterr_problem);
    case SETTING_DAY:
        return set_day(setting, target, value, reterr_problem);
    case SETTING_URL:
        r = check_url(setting->name, value, reterr_problem);
        break;
    case SETTING_CONNINFO:
        r = check_conninfo(setting->name, value, reterr_problem);
        break;
    case SETTING_LABEL:
        r = check_label(setting->name, value, reterr_problem);
        break;
    case SETTING_CHANNEL:
        r = check_channel(setting->name, value, reterr_problem);
        break;
    case SETTING_PATH:
        r = check_path(setting->name, value, reterr_problem);
        break;
    case SETTING_TEXT:
        break;
    case SETTING_INTEGER:
        return -EINVAL;
    }
    return r ? r : store_text(setting, target, value);
}

int config_value_set_integer(const struct setting *setting, void *target, const char *literal,
                             struct problem *reterr_problem)
{
    bool hexadecimal = literal[0] == '0' && (literal[1] == 'x' || literal[1] == 'X');
    long long number;
    unsigned stored;
    char *end;

    errno = 0;
    number = strtoll(literal, &end, hexadecimal ? 16 : 10);
    if (errno == ERANGE || number < setting->min || number > setting->max) {
        size_t length = (size_t)(end - literal);
        problem_set(reterr_problem, "%s must be %lld to %lld, not %.*s%s", setting->name,
                    setting->min, setting->max, length > 40 ? 40 : (int)length, literal,
                    length > 40 ? "..." : "");
        return 1;
    }
    stored = (unsigned)number;
    memcpy(member(setting, target), &stored, sizeof stored);
    return 0;
}

static size_t length_without_slashes(const char *url)
{
    size_t length = strlen(url);

    while (length && url[length - 1] == '/')
        length--;
    return length;
}

bool config_value_same_url(const char *a, const char *b)
{
    size_t length = length_without_slashes(a);

    /* Host names know no case; two paths that differ by case alone are one server's all the same.
     */
    return length == length_without_slashes(b) && !strncasecmp(a, b, length);
}
