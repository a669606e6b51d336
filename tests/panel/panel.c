/*
 * panel.c - a simulated provider: `panel --port-file FILE`, see --help.
 *
 *     cc -std=gnu11 -O2 -D_GNU_SOURCE -o panel -lmicrohttpd   with every .c of this folder but
 *                                                             scripted.c
 *     cc -std=gnu11 -O2 -D_GNU_SOURCE -o scripted             scripted.c text.c
 *
 * It shares no code with daemon/, so that an error in one is not hidden by the same error in the
 * other. Nothing is printed; the port file appears when requests are served. SIGTERM: the books are
 * written, exit 0.
 */
#include "control.h"
#include "server.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char help[] =
    "panel - a simulated provider on 127.0.0.1; the API answers at /wp-json/chw/v2\n"
    "\n"
    "  --port N               0 (default): any free port\n"
    "  --port-file FILE       the port, written when requests are served\n"
    "  --tls-cert FILE --tls-key FILE   PEM; without them plain HTTP\n"
    "  --key KEY[=BALANCE]    an account (again for more); default "
    "CHW-TEST-000000-00000000=1000000\n"
    "  --currency CODE        INR\n"
    "  --limit-minute N --limit-day N   requests a key; 0 (default): any number\n"
    "  --limiter MODEL        fixed sliding (default) bucket estimate sliding-rejects\n"
    "  --minute-seconds N --day-seconds N   the windows' lengths; 60, 86400\n"
    "  --latency-ms N         before every reply; 0\n"
    "  --duration-scale X     how long orders take, times their service's seconds; 1\n"
    "  --catalogue FILE       or \"builtin\"\n"
    "  --ids STYLE            number (default) gaps string hex24\n"
    "  --first-id N --id-step N   12345, 1\n"
    "  --variant LIST         habits of the family, comma-separated; --list-variants names them\n"
    "  --books FILE           orders as TSV at the end; counters in FILE.counters\n"
    "  --control-key KEY      asked for at /control/ (control.h); default: none\n"
    "  --log-size N           requests kept for /control/requests; 65536\n"
    "  --idle-seconds N       idle connections are ended after this; 0 (default): never\n";

enum option_code {
    OPTION_HELP = 1,
    OPTION_LIST_VARIANTS,
    OPTION_PORT,
    OPTION_PORT_FILE,
    OPTION_TLS_CERT,
    OPTION_TLS_KEY,
    OPTION_KEY,
    OPTION_CURRENCY,
    OPTION_LIMIT_MINUTE,
    OPTION_LIMIT_DAY,
    OPTION_LIMITER,
    OPTION_MINUTE_SECONDS,
    OPTION_DAY_SECONDS,
    OPTION_LATENCY_MS,
    OPTION_DURATION_SCALE,
    OPTION_CATALOGUE,
    OPTION_IDS,
    OPTION_FIRST_ID,
    OPTION_ID_STEP,
    OPTION_VARIANT,
    OPTION_BOOKS,
    OPTION_CONTROL_KEY,
    OPTION_LOG_SIZE,
    OPTION_IDLE_SECONDS
};

static const struct option long_options[] = {
    {"help", no_argument, NULL, OPTION_HELP},
    {"list-variants", no_argument, NULL, OPTION_LIST_VARIANTS},
    {"port", required_argument, NULL, OPTION_PORT},
    {"port-file", required_argument, NULL, OPTION_PORT_FILE},
    {"tls-cert", required_argument, NULL, OPTION_TLS_CERT},
    {"tls-key", required_argument, NULL, OPTION_TLS_KEY},
    {"key", required_argument, NULL, OPTION_KEY},
    {"currency", required_argument, NULL, OPTION_CURRENCY},
    {"limit-minute", required_argument, NULL, OPTION_LIMIT_MINUTE},
    {"limit-day", required_argument, NULL, OPTION_LIMIT_DAY},
    {"limiter", required_argument, NULL, OPTION_LIMITER},
    {"minute-seconds", required_argument, NULL, OPTION_MINUTE_SECONDS},
    {"day-seconds", required_argument, NULL, OPTION_DAY_SECONDS},
    {"latency-ms", required_argument, NULL, OPTION_LATENCY_MS},
    {"duration-scale", required_argument, NULL, OPTION_DURATION_SCALE},
    {"catalogue", required_argument, NULL, OPTION_CATALOGUE},
    {"ids", required_argument, NULL, OPTION_IDS},
    {"first-id", required_argument, NULL, OPTION_FIRST_ID},
    {"id-step", required_argument, NULL, OPTION_ID_STEP},
    {"variant", required_argument, NULL, OPTION_VARIANT},
    {"books", required_argument, NULL, OPTION_BOOKS},
    {"control-key", required_argument, NULL, OPTION_CONTROL_KEY},
    {"log-size", required_argument, NULL, OPTION_LOG_SIZE},
    {"idle-seconds", required_argument, NULL, OPTION_IDLE_SECONDS},
    {NULL, 0, NULL, 0},
};

struct settings {
    struct panel panel;
    struct server_options server;
    const char *port_file, *books_file, *certificate_file, *key_file, *catalogue;
};

static int set_key(struct panel *panel, const char *argument)
{
    size_t length = strcspn(argument, "=");
    char key[API_KEY_MAX];
    money balance;

    if (!length || length >= sizeof key ||
        money_parse(argument[length] ? argument + length + 1 : "1000000", &balance))
        return -1;
    memcpy(key, argument, length);
    key[length] = '\0';
    books_add_account(&panel->books, key, balance);
    return 0;
}

static int set_ids(struct books *books, const char *style)
{
    static const char *const styles[] = {[IDS_NUMBER] = "number",
                                         [IDS_GAPS] = "gaps",
                                         [IDS_STRING] = "string",
                                         [IDS_HEX24] = "hex24"};

    for (size_t i = 0; i < sizeof styles / sizeof *styles; i++) {
        if (strcmp(styles[i], style) == 0) {
            books->id_style = (enum id_style)i;
            return 0;
        }
    }
    return -1;
}

static int set_scale(struct books *books, const char *argument)
{
    char *end;

    books->duration_scale = strtod(argument, &end);
    return *end || end == argument || !(books->duration_scale >= 0 && books->duration_scale < 1e6)
               ? -1
               : 0;
}

/* The options that take a number, with the largest one allowed. Returns 0, or -1 when `code` is
 * none of them or its number is wrong. */
static int set_number(struct settings *settings, int code, const char *argument)
{
    static const uint64_t most[] = {
        [OPTION_PORT] = 65535,
        [OPTION_LIMIT_MINUTE] = 10000000,
        [OPTION_LIMIT_DAY] = 10000000,
        [OPTION_MINUTE_SECONDS] = 1000000,
        [OPTION_DAY_SECONDS] = 10000000,
        [OPTION_LATENCY_MS] = 3600000,
        [OPTION_FIRST_ID] = UINT64_MAX / 2,
        [OPTION_ID_STEP] = 1000000,
        [OPTION_LOG_SIZE] = 10000000,
        [OPTION_IDLE_SECONDS] = 100000,
    };
    struct panel *panel = &settings->panel;
    uint64_t number;

    if (digits_parse(argument, most[code], &number))
        return -1;
    switch (code) {
    case OPTION_PORT:
        settings->server.port = (uint16_t)number;
        return 0;
    case OPTION_LIMIT_MINUTE:
        panel->limit_minute = (uint32_t)number;
        return 0;
    case OPTION_LIMIT_DAY:
        panel->limit_day = (uint32_t)number;
        return 0;
    case OPTION_MINUTE_SECONDS:
        panel->minute_us = (int64_t)number * 1000000;
        return number ? 0 : -1;
    case OPTION_DAY_SECONDS:
        panel->day_us = (int64_t)number * 1000000;
        return number ? 0 : -1;
    case OPTION_LATENCY_MS:
        panel->latency_us = (int64_t)number * 1000;
        return 0;
    case OPTION_FIRST_ID:
        panel->books.next_id = number;
        return number ? 0 : -1;
    case OPTION_ID_STEP:
        panel->books.id_step = number;
        return number ? 0 : -1;
    case OPTION_LOG_SIZE:
        panel->record_limit = (uint32_t)number;
        return 0;
    case OPTION_IDLE_SECONDS:
        settings->server.idle_seconds = (unsigned)number;
        return 0;
    }
    return -1;
}

static int set_option(struct settings *settings, int code, const char *argument)
{
    struct panel *panel = &settings->panel;

    switch (code) {
    case OPTION_PORT_FILE:
        settings->port_file = argument;
        return 0;
    case OPTION_TLS_CERT:
        settings->certificate_file = argument;
        return 0;
    case OPTION_TLS_KEY:
        settings->key_file = argument;
        return 0;
    case OPTION_KEY:
        return set_key(panel, argument);
    case OPTION_CURRENCY:
        strncpy(panel->currency, argument, sizeof panel->currency - 1);
        return 0;
    case OPTION_LIMITER:
        return limiter_model_parse(argument, &panel->limiter);
    case OPTION_DURATION_SCALE:
        return set_scale(&panel->books, argument);
    case OPTION_CATALOGUE:
        settings->catalogue = argument;
        return 0;
    case OPTION_IDS:
        return set_ids(&panel->books, argument);
    case OPTION_VARIANT:
        return variants_parse(argument, &panel->variants);
    case OPTION_BOOKS:
        settings->books_file = argument;
        return 0;
    case OPTION_CONTROL_KEY:
        panel->control_key = argument;
        return 0;
    }
    return set_number(settings, code, argument);
}

static void list_variants(void)
{
    struct text names = {0};

    variants_add_names(&names, (UINT64_C(1) << VARIANT_COUNT) - 1);
    for (char *at = names.data; *at; at++)
        putchar(*at == ',' ? '\n' : *at);
    putchar('\n');
    text_done(&names);
}

/* Returns -1 to go on, or the exit code. */
static int read_options(struct settings *settings, int argc, char **argv)
{
    int code;
    int index = 0;

    while ((code = getopt_long(argc, argv, "", long_options, &index)) != -1) {
        if (code == OPTION_HELP) {
            fputs(help, stdout);
            return 0;
        }
        if (code == OPTION_LIST_VARIANTS) {
            list_variants();
            return 0;
        }
        if (code == '?')
            return 64;
        if (set_option(settings, code, optarg)) {
            fprintf(stderr, "panel: --%s does not take \"%s\"\n", long_options[index].name, optarg);
            return 64;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "panel: what is \"%s\"?\n", argv[optind]);
        return 64;
    }
    return -1;
}

static int read_file(const char *path, struct text *text)
{
    FILE *file = fopen(path, "re");
    char block[4096];
    size_t got;

    if (!file) {
        perror(path);
        return -1;
    }
    while ((got = fread(block, 1, sizeof block, file)) > 0)
        text_add_bytes(text, block, got);
    fclose(file);
    return 0;
}

/* A reader never sees half of the file. */
static int write_file(const char *path, const struct text *text)
{
    struct text temporary = {0};
    int result = -1;

    text_addf(&temporary, "%s.%d", path, getpid());
    FILE *file = fopen(temporary.data, "we");
    if (file) {
        size_t written = text->length ? fwrite(text->data, 1, text->length, file) : 0;
        if (fclose(file) == 0 && written == text->length)
            result = rename(temporary.data, path);
    }
    if (result)
        perror(path);
    text_done(&temporary);
    return result;
}

static int write_books(struct panel *panel, const char *path)
{
    struct text text = {0};
    struct text counters_path = {0};
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    control_write_books(panel, (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000, &text);
    int result = write_file(path, &text);
    text_clear(&text);
    control_write_counters(panel, &text);
    text_addf(&counters_path, "%s.counters", path);
    result |= write_file(counters_path.data, &text);
    text_done(&counters_path);
    text_done(&text);
    return result;
}

static int serve(struct settings *settings)
{
    struct server *server;
    struct text port = {0};
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    if (server_new(&server, &settings->panel, &settings->server))
        return 1;
    text_addf(&port, "%u\n", server_port(server));
    int result = settings->port_file ? write_file(settings->port_file, &port) : 0;
    text_done(&port);
    if (!result)
        result = server_run(server);
    server_free(server);
    if (settings->books_file)
        result |= write_books(&settings->panel, settings->books_file);
    return result ? 1 : 0;
}

/* Everything that the options ask for, before anything listens. */
static int prepare(struct settings *settings, struct text *certificate, struct text *key)
{
    struct panel *panel = &settings->panel;

    if (catalogue_load(&panel->books.catalogue, settings->catalogue))
        return -1;
    if (!panel->books.account_count)
        set_key(panel, "CHW-TEST-000000-00000000");
    for (size_t i = 0; i < panel->books.account_count; i++)
        panel_limit_account(panel, &panel->books.accounts[i]);
    panel->records = calloc(panel->record_limit ? panel->record_limit : 1, sizeof *panel->records);
    if (!panel->records)
        abort();
    if (!settings->certificate_file != !settings->key_file) {
        fputs("panel: --tls-cert and --tls-key belong together\n", stderr);
        return -1;
    }
    if (!settings->certificate_file)
        return 0;
    if (read_file(settings->certificate_file, certificate) || read_file(settings->key_file, key))
        return -1;
    settings->server.tls_certificate = certificate->data;
    settings->server.tls_key = key->data;
    return 0;
}

int main(int argc, char **argv)
{
    struct text certificate = {0};
    struct text key = {0};
    struct settings settings = {
        .catalogue = "builtin",
        .panel = {.currency = "INR",
                  .limiter = LIMITER_SLIDING,
                  .minute_us = 60000000,
                  .day_us = 86400000000,
                  .record_limit = 65536,
                  .books = {.next_id = 12345, .id_step = 1, .duration_scale = 1}},
    };

    int code = read_options(&settings, argc, argv);
    if (code < 0)
        code = prepare(&settings, &certificate, &key) ? 1 : serve(&settings);
    faults_clear(&settings.panel.faults);
    books_done(&settings.panel.books);
    text_done(&settings.panel.services);
    free(settings.panel.records);
    text_done(&certificate);
    text_done(&key);
    return code;
}
