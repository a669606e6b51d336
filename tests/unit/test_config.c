/* The configuration: what is accepted, and what is said, with which line, about what is not. */
#include "base/own.h"
#include "host/config.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define DATABASE "database = { conninfo = \"dbname=shop\"; };\n"
#define ACCOUNT "name = \"a\"; url = \"https://x.example/api\"; key_file = \"a.key\";"
#define PROVIDERS "providers = ( { " ACCOUNT " } );\n"
#define SETTING(text) DATABASE "providers = ( { " ACCOUNT "\n" text "\n } );\n"
#define TOP(text) DATABASE PROVIDERS text "\n"
#define URL(text)                                                                                  \
    DATABASE "providers = ( { name = \"a\"; key_file = \"k\"; url = \"" text "\"; } );\n"

DEFINE_OWN(struct config, config_free, config_freep)

struct bytes {
    char *text;
    size_t size;
};

static void free_bytes(struct bytes *bytes)
{
    free(bytes->text);
}

static void faults_text(const struct config_faults *faults, struct bytes *ret_bytes)
{
    FILE *stream = open_memstream(&ret_bytes->text, &ret_bytes->size);

    assert_non_null(stream);
    config_faults_print(faults, "FILE", stream);
    fclose(stream);
}

static struct config *load(const char *text)
{
    OWN(config_faults_done) struct config_faults faults = {0};
    OWN(free_bytes) struct bytes told = {0};
    struct config *config = NULL;
    int r = config_load_text(text, strlen(text), "FILE", &config, &faults);

    if (r) {
        faults_text(&faults, &told);
        print_message("%s\n%s", text, told.text);
    }
    assert_int_equal(r, 0);
    return config;
}

static void assert_refused(const char *text, size_t length, const char *expected)
{
    OWN(config_faults_done) struct config_faults faults = {0};
    OWN(free_bytes) struct bytes told = {0};
    OWN(config_freep) struct config *config = NULL;
    int r = config_load_text(text, length, "FILE", &config, &faults);

    if (r != 1)
        print_message("accepted: %s\n", text);
    assert_int_equal(r, 1);
    assert_null(config);
    faults_text(&faults, &told);
    if (strcmp(told.text, expected) != 0)
        print_message("of: %s\n", text);
    assert_string_equal(told.text, expected);
}

static void test_defaults(void **state)
{
    OWN(config_freep) struct config *config = NULL;
    const struct provider_config *provider;

    (void)state;
    unsetenv("STATE_DIRECTORY");
    config = load(DATABASE PROVIDERS);
    assert_string_equal(config->path, "FILE");
    assert_string_equal(config->conninfo, "dbname=shop");
    assert_null(config->wake_conninfo);
    assert_string_equal(config->pending_orders, "chwsync_shop.pending_orders");
    assert_string_equal(config->write_back, "chwsync_shop.write_back");
    assert_string_equal(config->wake_channel, "chwsync");
    assert_int_equal(config->intake_interval_s, 5);
    assert_int_equal(config->write_back_timeout_s, 2);
    assert_int_equal(config->history_days, 400);
    assert_string_equal(config->default_provider, "a");
    assert_int_equal(config->log_level, LOG_LEVEL_INFO);
    assert_int_equal(config->log_target, LOG_TARGET_AUTO);
    assert_string_equal(config->state_directory, "/var/lib/chwsyncd");
    assert_int_equal(config->provider_count, 1);
    assert_null(config_provider(config, "b"));
    provider = config_provider(config, "a");
    assert_ptr_equal(provider, &config->providers[0]);
    assert_string_equal(provider->url, "https://x.example/api");
    assert_string_equal(provider->key_file, "a.key");
    assert_null(provider->ca_file);
    assert_int_equal(provider->requests_per_minute, 60);
    assert_int_equal(provider->requests_per_day, 5000);
    assert_int_equal(provider->burst, 1);
    assert_true(provider->day_rolling);
    assert_int_equal(provider->max_in_flight, 8);
    assert_int_equal(provider->timeout_s, 30);
    assert_string_equal(provider->low_balance, "10.00");
    assert_null(provider->max_charge_per_order);
    assert_null(provider->max_spend_per_day);
    assert_int_equal(provider->catalogue_interval_s, 3600);
    assert_int_equal(provider->recheck_days, 30);
    assert_int_equal(provider->uncertain, UNCERTAIN_HOLD);
}

static void test_every_setting(void **state)
{
    OWN(config_freep) struct config *config = NULL;
    const struct provider_config *provider;

    (void)state;
    setenv("STATE_DIRECTORY", "/elsewhere", 1);
    config = load(
        "database: { conninfo: \"postgresql://me@h/d\" wake_conninfo = \"host=direct\" }\n"
        "shop = { pending_orders = \"orders\", write_back = \"\", wake_channel = \"\",\n"
        "  intake_interval = 0x10, write_back_timeout = 60L, default_provider = \"b-2\" };\n"
        "providers = ( { name = \"a_1\"; url = \"http://[::1]:8080/?x=y\"; key_file = \"/k\" },\n"
        "  { name = \"b-2\"; url = \"https://x/\" \"api\"; key_file = \"k\"; ca_file = "
        "\"/ca.pem\";\n"
        "    requests_per_minute = 0; requests_per_day = +7LL; burst = 3; day_resets = \"00:30 "
        "+05:30\";\n"
        "    max_in_flight = 1000; timeout = 600; low_balance = \"0.00\";\n"
        "    max_charge_per_order = \"1,234.50\"; max_spend_per_day = \"7\";\n"
        "    catalogue_interval = 60; recheck_days = 0; uncertain = \"prove\"; } )\n"
        "log = { level = \"debug\"; target = \"stderr\" } state_directory = \"/s\"; history_days = "
        "0; # end");
    unsetenv("STATE_DIRECTORY");
    assert_string_equal(config->conninfo, "postgresql://me@h/d");
    assert_string_equal(config->wake_conninfo, "host=direct");
    assert_string_equal(config->pending_orders, "orders");
    assert_null(config->write_back);
    assert_null(config->wake_channel);
    assert_int_equal(config->intake_interval_s, 16);
    assert_int_equal(config->write_back_timeout_s, 60);
    assert_int_equal(config->history_days, 0);
    assert_string_equal(config->default_provider, "b-2");
    assert_int_equal(config->log_level, LOG_LEVEL_DEBUG);
    assert_int_equal(config->log_target, LOG_TARGET_STDERR);
    assert_string_equal(config->state_directory, "/s");
    assert_int_equal(config->provider_count, 2);
    assert_string_equal(config->providers[0].url, "http://[::1]:8080/?x=y");
    assert_int_equal(config->providers[0].burst, 1);
    provider = config_provider(config, "b-2");
    assert_string_equal(provider->url, "https://x/api");
    assert_string_equal(provider->ca_file, "/ca.pem");
    assert_int_equal(provider->requests_per_minute, 0);
    assert_int_equal(provider->requests_per_day, 7);
    assert_int_equal(provider->burst, 3);
    assert_false(provider->day_rolling);
    assert_int_equal(provider->day_reset_minute, 1440 + 30 - 330);
    assert_int_equal(provider->max_in_flight, 1000);
    assert_int_equal(provider->timeout_s, 600);
    assert_null(provider->low_balance);
    assert_string_equal(provider->max_charge_per_order, "1234.50");
    assert_string_equal(provider->max_spend_per_day, "7");
    assert_int_equal(provider->catalogue_interval_s, 60);
    assert_int_equal(provider->recheck_days, 0);
    assert_int_equal(provider->uncertain, UNCERTAIN_PROVE);
}

static void test_state_directory(void **state)
{
    static const struct {
        const char *environment, *expected;
    } cases[] = {
        {"/var/lib/one", "/var/lib/one"},
        {"/var/lib/one:/var/lib/two", "/var/lib/one"},
        {"", "/var/lib/chwsyncd"},
        {"relative", "/var/lib/chwsyncd"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        OWN(config_freep) struct config *config = NULL;

        setenv("STATE_DIRECTORY", cases[i].environment, 1);
        config = load(DATABASE PROVIDERS);
        unsetenv("STATE_DIRECTORY");
        assert_string_equal(config->state_directory, cases[i].expected);
    }
}

static void test_days(void **state)
{
    static const struct {
        const char *value;
        int minute; /* -1 = refused */
    } cases[] = {
        {"00:00", 0},        {"23:59", 1439},        {"12:30Z", 750},
        {"12:30 Z", 750},    {"00:00 +05:30", 1110}, {"00:00+05:30", 1110},
        {"23:00-02:00", 60}, {"00:00 -12:00", 720},  {"00:00 +14:00", 600},
        {"24:00", -1},       {"00:60", -1},          {"0:00", -1},
        {"00:00 ", -1},      {"00:00  Z", -1},       {"00:00 +15:00", -1},
        {"00:00 +5:30", -1}, {"00:00 +0530", -1},    {"00:00 +05:30x", -1},
        {"00:00 UTC", -1},   {"Rolling", -1},        {"00", -1},
        {"00:", -1},         {"00:0", -1},           {"00:00 +", -1},
        {"00:00 +05", -1},   {"-0:00", -1},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[400], expected[400];

        snprintf(text, sizeof text, SETTING("day_resets = \"%s\";"), cases[i].value);
        if (cases[i].minute < 0) {
            snprintf(
                expected, sizeof expected,
                "FILE:3: day_resets must be \"rolling\" or a time such as \"00:00\" or \"00:00 "
                "+05:30\", not \"%s\"\n",
                cases[i].value);
            assert_refused(text, strlen(text), expected);
        } else {
            OWN(config_freep) struct config *config = load(text);
            assert_false(config->providers[0].day_rolling);
            assert_int_equal(config->providers[0].day_reset_minute, cases[i].minute);
        }
    }
}

static void test_accepted(void **state)
{
    static const char *const cases[] = {
        URL("http://127.0.0.1:1/x"),
        URL("http://127.9.8.7"),
        URL("http://localhost:65535/"),
        URL("http://[::1]"),
        URL("https://[2001:db8::1]:443/a"),
        URL("https://a-b.example?q"),
        /* a limit is a limit in every spelling */
        SETTING("burst = 1000;"),
        SETTING("burst = 0x3E8L;"),
        SETTING("burst = +0000000000000000000000000000000000000000001;"),
        SETTING("burst = 1 timeout = 2L max_in_flight = 3"),
        SETTING("/* burst = 0 */ # burst = 0\n// burst = 0"),
        TOP("shop = { pending_orders = \"\\\"My \\\"\\\"odd\\\"\\\" view\\\".v$1\"; };"),
        TOP("shop = { write_back = \"S._f\"; };"),
        TOP("log = { };"),
        TOP("# no line feed at the end"),
        TOP("\r\nhistory_days\r\n=\r\n7\r\n;\f"),
        /* one account of two providers, and one provider of two accounts */
        DATABASE "providers = ( { name = \"a\"; url = \"https://x\"; key_file = \"k\"; }, { name = "
                 "\"b\"; url = \"https://y\"; key_file = \"k\"; } );",
        DATABASE "providers = ( { name = \"a\"; url = \"https://x\"; key_file = \"k\"; }, { name = "
                 "\"b\"; url = \"https://x\"; key_file = \"l\"; } );",
        "database = { conninfo = \"host=h passfile=/p password=''\"; }; " PROVIDERS,
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        config_free(load(cases[i]));
}

#define SYNTAX(text, expected)                                                                     \
    {                                                                                              \
        text, "FILE:" expected "\n"                                                                \
    }

static const struct {
    const char *text, *expected;
} refusals[] = {
    /* the file as a whole */
    {"", "FILE: the file holds no setting\n    HINT: at least database.conninfo and one provider "
         "are needed\n"},
    {"# only\n/* comments */", "FILE: the file holds no setting\n    HINT: at least "
                               "database.conninfo and one provider are needed\n"},
    {DATABASE, "FILE: no provider is configured\n    HINT: write: providers = ( { name = ...; url "
               "= ...; key_file = ...; } );\n"},
    {DATABASE "\nproviders = ();", "FILE:3: no provider is configured\n    HINT: write: providers "
                                   "= ( { name = ...; url = ...; key_file = ...; } );\n"},
    {PROVIDERS, "FILE: database has no conninfo\n    HINT: for example: conninfo = "
                "\"host=/run/postgresql dbname=shop user=chwsync\";\n"},
    {"\ndatabase = {};\n" PROVIDERS,
     "FILE:2: database has no conninfo\n    HINT: for example: conninfo = \"host=/run/postgresql "
     "dbname=shop user=chwsync\";\n"},
    {DATABASE "providers = (\n{ url = \"https://x\"; key_file = \"k\" },\n{ name = \"n\"; url = "
              "\"https://x\"; }\n);",
     "FILE:3: this provider has no name\n    HINT: for example: name = \"chawang\";\n"
     "FILE:4: this provider has no key_file\n    HINT: for example: key_file = \"chawang.key\";\n"},

    /* names */
    {SETTING("bursts = 1;"), "FILE:3: unknown setting \"bursts\" in a group of providers\n    "
                             "HINT: the nearest known name is burst\n"},
    {SETTING("request_per_minute = 1;"),
     "FILE:3: unknown setting \"request_per_minute\" in a group of providers\n    HINT: the "
     "nearest known name is requests_per_minute\n"},
    {SETTING("histroy_days = 1;"),
     "FILE:3: unknown setting \"histroy_days\" in a group of providers\n    HINT: the nearest "
     "known name is history_days, which belongs at the top, outside all groups\n"},
    {TOP("shops = { };"), "FILE:3: unknown setting \"shops\" at the top, outside all groups\n    "
                          "HINT: the nearest known name is shop\n"},
    {TOP("provider = ( );"), "FILE:3: unknown setting \"provider\" at the top, outside all "
                             "groups\n    HINT: the nearest known name is providers\n"},
    {TOP("intake_interval = 5;"), "FILE:3: intake_interval does not belong at the top, outside all "
                                  "groups\n    HINT: it belongs in shop\n"},
    {TOP("log = {\n history_days = 5; };"), "FILE:4: history_days does not belong in log\n    "
                                            "HINT: it belongs at the top, outside all groups\n"},
    {TOP("shop = {\nlog = { level = 5 }; };"),
     "FILE:4: log does not belong in shop\n    HINT: it belongs at the top, outside all groups\n"},
    {TOP("shop = {\nburst = 5 };"),
     "FILE:4: burst does not belong in shop\n    HINT: it belongs in a group of providers\n"},

    /* types */
    {SETTING("burst = 1.0;"), "FILE:3: burst must be a whole number, not a number with a point\n   "
                              " HINT: for example: burst = 1;\n"},
    {SETTING("burst = 1e0;"), "FILE:3: burst must be a whole number, not a number with a point\n   "
                              " HINT: for example: burst = 1;\n"},
    {SETTING("burst = \"1\";"), "FILE:3: burst must be a whole number, not a text in quotes\n    "
                                "HINT: for example: burst = 1;\n"},
    {SETTING("burst = true;"), "FILE:3: burst must be a whole number, not true or false\n    HINT: "
                               "for example: burst = 1;\n"},
    {SETTING("burst = { burst = 1; };"),
     "FILE:3: burst must be a whole number, not a group { }\n    HINT: for example: burst = 1;\n"},
    {SETTING("burst = ( 1 );"),
     "FILE:3: burst must be a whole number, not a list ( )\n    HINT: for example: burst = 1;\n"},
    {SETTING("burst = [ 1 ];"),
     "FILE:3: burst must be a whole number, not an array [ ]\n    HINT: for example: burst = 1;\n"},
    {SETTING("low_balance = 10.00;"),
     "FILE:3: low_balance must be a text in quotes, not a number with a point\n    HINT: for "
     "example: low_balance = \"10.00\";\n"},
    {SETTING("ca_file = 5;"), "FILE:3: ca_file must be a text in quotes, not a whole number\n"},
    {DATABASE "providers = { " ACCOUNT " };",
     "FILE:2: providers must be a list of groups, not a group { }\n    HINT: write: providers = ( "
     "{ name = ...; url = ...; key_file = ...; } );\n"},
    {DATABASE "providers = ( { " ACCOUNT " },\n 5 );",
     "FILE:3: a provider must be a group { }, not a whole number\n"},
    {TOP("log = \"info\";"), "FILE:3: log must be a group { }, not a text in quotes\n"},

    /* ranges: as written, whatever libconfig made of it */
    {SETTING("burst = 0;"), "FILE:3: burst must be 1 to 1000, not 0\n"},
    {SETTING("burst = 1001;"), "FILE:3: burst must be 1 to 1000, not 1001\n"},
    {SETTING("burst = -1;"), "FILE:3: burst must be 1 to 1000, not -1\n"},
    {SETTING("burst = 4294967297;"), "FILE:3: burst must be 1 to 1000, not 4294967297\n"},
    {SETTING("burst = 18446744073709551617;"),
     "FILE:3: burst must be 1 to 1000, not 18446744073709551617\n"},
    {SETTING("burst = 18446744073709551617L;"),
     "FILE:3: burst must be 1 to 1000, not 18446744073709551617\n"},
    {SETTING("burst = 0x100000001;"), "FILE:3: burst must be 1 to 1000, not 0x100000001\n"},
    {SETTING("burst = 0x10000000000000001LL;"),
     "FILE:3: burst must be 1 to 1000, not 0x10000000000000001\n"},
    {SETTING("burst = 100000000000000000000000000000000000000000000001;"),
     "FILE:3: burst must be 1 to 1000, not 1000000000000000000000000000000000000000...\n"},
    {SETTING("burst =\n\n /* 7 */ 4294967297 # 8\n;"),
     "FILE:3: burst must be 1 to 1000, not 4294967297\n"},
    {SETTING("requests_per_minute = 1 burst = 4294967297 timeout = 1;"),
     "FILE:3: burst must be 1 to 1000, not 4294967297\n"},
    {DATABASE "providers = ( { burst = 5; name = \"b\"; url = \"https://y\"; key_file = \"k\"; "
              "},\n{ " ACCOUNT " burst = 4294967301; } );",
     "FILE:3: burst must be 1 to 1000, not 4294967301\n"},
    {TOP("shop = { intake_interval = 0 };"), "FILE:3: intake_interval must be 1 to 3600, not 0\n"},
    {TOP("history_days = 4294967295;"),
     "FILE:3: history_days must be 0 to 36500, not 4294967295\n"},

    /* values */
    {SETTING("uncertain = \"Prove\";"),
     "FILE:3: uncertain must be one of hold|prove, not \"Prove\"\n"},
    {SETTING("uncertain = \"hold|prove\";"),
     "FILE:3: uncertain must be one of hold|prove, not \"hold|prove\"\n"},
    {SETTING("uncertain = \"\";"), "FILE:3: uncertain must not be empty\n"},
    {SETTING("low_balance = \"ten\";"),
     "FILE:3: low_balance must be an amount such as \"10.00\", not \"ten\"\n"},
    {SETTING("max_spend_per_day = \"-1\";"),
     "FILE:3: max_spend_per_day must be an amount such as \"10.00\", not \"-1\"\n"},
    {SETTING("ca_file = \"ca.pem\";"), "FILE:3: ca_file must be an absolute path\n"},
    {SETTING("ca_file = \"/a\\nb\";"),
     "FILE:3: ca_file contains a control character\n    HINT: a text ends at its closing quote, "
     "and a backslash in it is written \\\\\n"},
    {SETTING("ca_file = \"/\xff\";"), "FILE:3: ca_file is not UTF-8\n"},
    {TOP("log = { level = \"warn\" };"),
     "FILE:3: level must be one of error|warning|notice|info|debug, not \"warn\"\n"},
    {TOP("state_directory = \"\";"), "FILE:3: state_directory must not be empty\n"},
    {TOP("shop = { wake_channel = \"Chwsync\" };"),
     "FILE:3: wake_channel may hold only a-z, 0-9 and _\n    HINT: PostgreSQL folds other letters "
     "unless they are quoted, so that the shop could announce on another channel\n"},
    {DATABASE "providers = ( { name = \"A\"; url = \"https://x\"; key_file = \"k\" } );",
     "FILE:2: name may hold only a-z, 0-9, _ and -\n"},
    {DATABASE "providers = ( { name = \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"; url = \"https://x\"; "
              "key_file = \"k\" } );",
     "FILE:2: name has 33 bytes, and must have at most 32\n"},

    /* across settings */
    {TOP("shop = { default_provider = \"b\" };"),
     "FILE:3: default_provider is \"b\", but no provider has that name\n"},
    {DATABASE "providers = ( { " ACCOUNT
              " },\n { name = \"a\"; url = \"https://y\"; key_file = \"b.key\" } );",
     "FILE:3: the provider name \"a\" is already taken on line 2\n"},
    {DATABASE "providers = ( { " ACCOUNT
              " },\n { name = \"b\"; url = \"https://X.example/api/\"; key_file = \"a.key\" } );",
     "FILE:3: the same account (url and key_file) is already configured on line 2\n    HINT: an "
     "account has one budget and one ledger: configure it once\n"},

    /* several at once, in the file's order */
    {"shop = { intake_interval = 0; };\nlog = { levle = \"info\"; };\nproviders = ( {\n name = "
     "\"a\"; } );\nhistory_days = \"x\";\n",
     "FILE: database has no conninfo\n    HINT: for example: conninfo = \"host=/run/postgresql "
     "dbname=shop user=chwsync\";\n"
     "FILE:1: intake_interval must be 1 to 3600, not 0\n"
     "FILE:2: unknown setting \"levle\" in log\n    HINT: the nearest known name is level\n"
     "FILE:3: this provider has no url\n    HINT: for example: url = "
     "\"https://gamestopup.shop/wp-json/chw/v2\";\n"
     "FILE:3: this provider has no key_file\n    HINT: for example: key_file = \"chawang.key\";\n"
     "FILE:5: history_days must be a whole number, not a text in quotes\n    HINT: for example: "
     "history_days = 400;\n"},

    /* syntax, told alone */
    SYNTAX("burst = 0;\nx = ;", "2: expected a value, but found \";\""),
    SYNTAX("x 5;", "1: expected \"=\" behind the name of a setting, but found \"5\""),
    SYNTAX("x = \"secret\" 5;", "1: expected \";\" or the next setting, but found \"5\""),
    SYNTAX("x = y;", "1: expected a value, but found \"y\""),
    SYNTAX("x = 5;;", "1: expected the name of a setting, but found \";\""),
    SYNTAX("\"x\" = 5;", "1: expected the name of a setting, but found a text in quotes"),
    SYNTAX("true = 5;", "1: expected the name of a setting, but found \"true\""),
    SYNTAX("x = \n", "3: expected a value, but the file ends"),
    SYNTAX("a = {\n b = 5;\n", "4: the file ends, but the \"{\" of line 1 is not closed"),
    SYNTAX("a = {\n b = 5 ); };", "2: \")\" cannot close the \"{\" of line 1"),
    SYNTAX("a = 5; };", "1: \"}\" closes nothing"),
    SYNTAX("a = ( 5; );", "1: expected \",\" or \")\", but found \";\""),
    SYNTAX("a = ( 5, );", "1: expected a value, but found \")\""),
    SYNTAX("a = [ 5 6 ];", "1: expected \",\" or \"]\", but found \"6\""),
    SYNTAX("a = [ { } ];", "1: expected a plain value inside [ ], but found \"{\""),
    SYNTAX("a = 5 $;", "1: \"$\" cannot stand here"),
    SYNTAX("a = \xc3\xa4;", "1: the byte 0xc3 cannot stand here"),
    SYNTAX("a = -;", "1: \"-\" cannot stand here"),
    SYNTAX("a = 5;\n/* b\n", "2: the comment that begins here with /* never ends"),
    SYNTAX("a = 5;\nb = \"c\n", "2: the text in quotes that begins here never ends"),
    SYNTAX("a=((((((((( 1 )))))))));", "1: brackets are nested more than 8 deep"),
    SYNTAX("a = 1;\nb = 2; a = 3;", "2: a setting on this line stands twice in its group"),
    SYNTAX("a = [ 1, \"x\" ];", "1: this line cannot be read: mismatched element type in array"),
    SYNTAX("\n @include \"/etc/passwd\"",
           "2: @include is not supported\n    HINT: put all settings into this one file"),
    SYNTAX("a = \"b;\nc = \"d\";",
           "2: the text in quotes that begins here never ends\n    HINT: the text that begins on "
           "line 1 runs over the end of its line: a closing quote may be missing"),
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(refusals); i++)
        assert_refused(refusals[i].text, strlen(refusals[i].text), refusals[i].expected);
}

static void test_urls(void **state)
{
    static const char need_https[] = "FILE:2: url must begin with https://\n";
    static const char no_user[] =
        "FILE:2: url must not hold a user or password\n    HINT: the key belongs in key_file\n";
    static const char blank[] =
        "FILE:2: url contains a blank or a sign, which an address of an API cannot hold\n";
    static const char fragment[] =
        "FILE:2: url contains a fragment (#), which an address of an API cannot hold\n";
    static const char no_host[] = "FILE:2: url has no valid host and port\n";
    static const char open_http[] =
        "FILE:2: url uses http:// to another machine\n    HINT: the key would travel in the open: "
        "use https://; http:// is for 127.0.0.1, [::1] and localhost only\n";
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {URL("ftp://x"), need_https},
        {URL("x.example/api"), need_https},
        {URL("HTTPS://x"), need_https},
        {URL("https://me:secret@x/"), no_user},
        {URL("http://127.0.0.1@x.example/"), no_user},
        {URL("https://x/a b"), blank},
        {URL("https://x\\\\@y/"), blank},
        {URL("https://x/\xc3\xa4"), blank},
        {URL("https://x/#a"), fragment},
        {URL("https://"), no_host},
        {URL("https:///a"), no_host},
        {URL("https://x:0/"), no_host},
        {URL("https://x:65536/"), no_host},
        {URL("https://x:/"), no_host},
        {URL("https://x:1:2/"), no_host},
        {URL("https://[::1/"), no_host},
        {URL("https://[zz]/"), no_host},
        {URL("https://[::1]x/"), no_host},
        {URL("https://x:99999999999999999999/"), no_host},
        {URL("http://x.example/"), open_http},
        {URL("http://127.0.0.1.x.example/"), open_http},
        {URL("http://128.0.0.1/"), open_http},
        {URL("http://localhost.x/"), open_http},
        {URL("http://[::2]/"), open_http},
        {URL("http://127.1/"), open_http},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_refused(cases[i].text, strlen(cases[i].text), cases[i].expected);
}

static void test_sql_names(void **state)
{
    static const char *const names[] = {
        "a.b.c", ".a",       "a.",
        "1a",    "a b",      "a;",
        "\\\"a", "\\\"\\\"", "a\\\"b\\\"",
        "a'b",   "v--",      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char text[400];

        snprintf(text, sizeof text, TOP("shop = { write_back = \"%s\" };"), names[i]);
        assert_refused(text, strlen(text),
                       "FILE:3: write_back is not an SQL name\n    HINT: write schema.name; a part "
                       "with other characters than a-z, 0-9 and _ stands in \\\"quotes\\\"\n");
    }
}

/* No part of a refused conninfo that could be a password is ever shown. */
static void test_conninfo(void **state)
{
    static const char held[] =
        "FILE:1: conninfo holds a password\n    HINT: take it out: it belongs in a file "
        "named by PGPASSFILE, or in the credential \"pgpass\"; then change it\n";
    static const char hidden[] =
        "FILE:1: conninfo is not a valid connection string\n    HINT: libpq's "
        "words are not shown, as they may hold a password\n";
    static const struct {
        const char *value, *expected;
    } cases[] = {
        {"host=h password=hunter2", held},
        {"host=h sslpassword = 'hunter2'", held},
        {"postgresql://me:hunter2@h/d", held},
        {"postgres://h/d?password=hunter2", held},
        {"password=hunter 2", hidden},
        {"postgresql://me:hunter2@[h/d", hidden},
        {"postgresql://me:hunter%2@h/d", hidden},
        {"PASSWORD=hunter2", hidden},
        {"shop", "FILE:1: conninfo is not a valid connection string: missing \"=\" after \"shop\" "
                 "in connection info string\n"},
        {"hots=h",
         "FILE:1: conninfo is not a valid connection string: invalid connection option \"hots\"\n"},
        {"", "FILE:1: conninfo must not be empty\n"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[400];

        snprintf(text, sizeof text, "database = { conninfo = \"%s\"; };\n" PROVIDERS,
                 cases[i].value);
        assert_refused(text, strlen(text), cases[i].expected);
    }
}

static void test_nul_and_size(void **state)
{
    static const char with_nul[] = DATABASE "\0" PROVIDERS;
    char *lines = malloc(70001);

    (void)state;
    assert_non_null(lines);
    assert_refused(with_nul, sizeof with_nul - 1,
                   "FILE: the file contains a NUL byte: it is no text\n");
    memset(lines, '\n', 70000);
    memcpy(lines + 69990, "a = 5;", 6);
    lines[70000] = '\0';
    assert_refused(lines, 70000, "FILE: the file has more than 65535 lines\n");
    free(lines);
}

static void assert_file_refused(const char *path, const char *expected)
{
    OWN(config_faults_done) struct config_faults faults = {0};
    OWN(free_bytes) struct bytes told = {0};
    struct config *config = NULL;

    assert_int_equal(config_load(path, &config, &faults), 1);
    assert_null(config);
    faults_text(&faults, &told);
    assert_string_equal(told.text, expected);
}

static void test_files(void **state)
{
    char directory[] = "/tmp/chwsyncd-config-XXXXXX", path[64];
    int file;

    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/conf", directory);
    assert_file_refused(path,
                        "FILE: there is no such file\n    HINT: --config FILE names another one\n");
    assert_file_refused(directory, "FILE: it is a directory, not a file\n    HINT: --config needs "
                                   "the path of the file itself\n");
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_file_refused(path, "FILE: it is a device or pipe, not a file\n    HINT: --config needs "
                              "the path of the file itself\n");
    unlink(path);
    file = open(path, O_WRONLY | O_CREAT | O_EXCL, 0000);
    assert_true(file >= 0);
    if (geteuid() != 0) {
        char expected[300];
        snprintf(expected, sizeof expected,
                 "FILE: unable to read it: Permission denied\n    HINT: user id %u must be able to "
                 "read it: see ls -l %s\n",
                 (unsigned)geteuid(), path);
        assert_file_refused(path, expected);
    }
    fchmod(file, 0600);
    assert_file_refused(path, "FILE: the file holds no setting\n    HINT: at least "
                              "database.conninfo and one provider are needed\n");
    assert_int_equal(ftruncate(file, 1024 * 1024 + 1), 0);
    assert_file_refused(path, "FILE: it is larger than 1 MiB: that is no configuration\n");
    close(file);
    unlink(path);
    rmdir(directory);
}

static void print_example(struct bytes *ret_bytes)
{
    FILE *stream = open_memstream(&ret_bytes->text, &ret_bytes->size);

    assert_non_null(stream);
    config_print_example(stream);
    fclose(stream);
}

/* etc/chwsyncd.conf is the printed table, and both load. */
static void test_example(void **state)
{
    OWN(free_bytes) struct bytes example = {0};
    OWN(config_freep) struct config *config = NULL;
    OWN(config_faults_done) struct config_faults faults = {0};
    FILE *file = fopen("etc/chwsyncd.conf", "re");
    char *content;

    (void)state;
    assert_non_null(file);
    print_example(&example);
    content = calloc(1, example.size + 2);
    assert_non_null(content);
    assert_int_equal(fread(content, 1, example.size + 1, file), example.size);
    fclose(file);
    assert_string_equal(content, example.text);
    free(content);
    assert_int_equal(config_load("etc/chwsyncd.conf", &config, &faults), 0);
    assert_string_equal(config->default_provider, "chawang");
}

/* Every default that the example shows is what a file without it has. */
static void test_example_shows_defaults(void **state)
{
    OWN(free_bytes) struct bytes example = {0};
    OWN(config_freep) struct config *plain = NULL, *full = NULL;
    const struct provider_config *a, *b;

    (void)state;
    print_example(&example);
    plain = load(example.text);
    for (char *at = example.text; *at; at++) {
        if (*at == '#' && at[1] != ' ' && at[1] != '\n')
            *at = ' ';
    }
    full = load(example.text);
    a = &plain->providers[0];
    b = &full->providers[0];
    assert_int_equal(plain->intake_interval_s, full->intake_interval_s);
    assert_int_equal(plain->write_back_timeout_s, full->write_back_timeout_s);
    assert_int_equal(plain->history_days, full->history_days);
    assert_string_equal(plain->default_provider, full->default_provider);
    assert_string_equal(plain->pending_orders, full->pending_orders);
    assert_string_equal(plain->write_back, full->write_back);
    assert_string_equal(plain->wake_channel, full->wake_channel);
    assert_int_equal(a->requests_per_day, b->requests_per_day);
    assert_int_equal(a->catalogue_interval_s, b->catalogue_interval_s);
    assert_string_equal(a->low_balance, b->low_balance);
    assert_null(b->ca_file);
    assert_null(b->max_spend_per_day);
    for (size_t i = 0; i < config_setting_count; i++)
        assert_non_null(strstr(example.text, config_settings[i].name));
}

static void test_manual(void **state)
{
    OWN(free_bytes) struct bytes manual = {0};
    FILE *stream = open_memstream(&manual.text, &manual.size), *page;
    char *content = NULL;
    size_t items = 0, size = 0;

    (void)state;
    assert_non_null(stream);
    config_print_manual(stream);
    fclose(stream);
    for (const char *at = manual.text; (at = strstr(at, ".It Ic ")); at++)
        items++;
    assert_int_equal(items, config_setting_count);
    assert_non_null(strstr(manual.text, ".It Ic providers.burst\n"
                                        "Requests that may leave at once after a pause.\n"
                                        "Value: whole number, 1 to 1000.\nDefault: 1.\n"));
    assert_non_null(strstr(manual.text, "Required.\n"));
    page = fopen("etc/chwsyncd.conf.5", "re");
    assert_non_null(page);
    assert_true(getdelim(&content, &size, '\0', page) > 0);
    fclose(page);
    assert_non_null(strstr(content, manual.text));
    free(content);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_every_setting),
        cmocka_unit_test(test_state_directory),
        cmocka_unit_test(test_days),
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_sql_names),
        cmocka_unit_test(test_conninfo),
        cmocka_unit_test(test_nul_and_size),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_example),
        cmocka_unit_test(test_example_shows_defaults),
        cmocka_unit_test(test_manual),
    };

    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
