#include "base/own.h"
#include "rules/service_type.h"
#include "wire/add_check.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A line's columns by name; what is not named is not given. */
#define LINE(type_name, ...)                                                                       \
    {                                                                                              \
        .type = type_name, .columns = { [ADD_SERVICE] = "1", __VA_ARGS__ }                         \
    }
#define LINK [ADD_LINK] = "https://x.test/p"

/* "service=1&link=..." as it would be sent, values not escaped. */
static void join(const struct add_parameters *parameters, struct text *text)
{
    for (size_t i = 0; i < parameters->count; i++)
        text_format(text, "%s%s=%s", i ? "&" : "", parameters->list[i].name,
                    parameters->list[i].value);
}

static void assert_sent(const struct add_line *line, const char *wanted)
{
    OWN(add_parameters_done) struct add_parameters parameters = {0};
    OWN(text_done) struct text text = {0};
    struct problem problem = {0};

    assert_int_equal(add_check(line, &parameters, &problem), ADD_SOUND);
    assert_string_equal(problem.text, "");
    join(&parameters, &text);
    assert_string_equal(text_string(&text), wanted);
}

static void assert_refused(const struct add_line *line, const char *wanted)
{
    OWN(add_parameters_done) struct add_parameters parameters = {0};
    struct problem problem = {0};

    assert_int_equal(add_check(line, &parameters, &problem), ADD_UNSOUND);
    assert_string_equal(problem.text, wanted);
    assert_int_equal(parameters.count, 0);
}

/* Each type with all it needs, and what is said when one of it is missing. */
static void test_types(void **state)
{
    (void)state;
    static const struct {
        struct add_line line;
        const char *sent;
    } cases[] = {
        {LINE("Default", LINK, [ADD_QUANTITY] = "100"), "link=https://x.test/p&quantity=100"},
        {LINE("Default", LINK, [ADD_QUANTITY] = "100", [ADD_RUNS] = "5", [ADD_INTERVAL] = "60"),
         "link=https://x.test/p&quantity=100&runs=5&interval=60"},
        {LINE("Package", LINK), "link=https://x.test/p"},
        {LINE("Custom Comments", LINK, [ADD_COMMENTS] = "a\r\n\r\nb\rc\n \n"),
         "link=https://x.test/p&comments=a\nb\nc"},
        {LINE("Custom Comments Package", LINK, [ADD_COMMENTS] = "\n a b \n"),
         "link=https://x.test/p&comments= a b "},
        {LINE("Mentions", LINK, [ADD_QUANTITY] = "1", [ADD_USERNAMES] = "u\nv"),
         "link=https://x.test/p&quantity=1&usernames=u\nv"},
        {LINE("Mentions with Hashtags",
              LINK, [ADD_QUANTITY] = "1", [ADD_USERNAMES] = "u", [ADD_HASHTAGS] = "#a\n\n#b"),
         "link=https://x.test/p&quantity=1&usernames=u&hashtags=#a\n#b"},
        {LINE("Mentions Custom List", LINK, [ADD_USERNAMES] = "u\r\n"),
         "link=https://x.test/p&usernames=u"},
        {LINE("Mentions User Followers", LINK, [ADD_QUANTITY] = "1", [ADD_USERNAME] = "u"),
         "link=https://x.test/p&quantity=1&username=u"},
        {LINE("Comment Replies", LINK, [ADD_COMMENTS] = "a", [ADD_USERNAME] = "u"),
         "link=https://x.test/p&comments=a&username=u"},
        {LINE("Subscriptions", [ADD_MIN] = "10", [ADD_MAX] = "10", [ADD_USERNAME] = "u"),
         "min=10&max=10&username=u"},
        {LINE("A New Type", [ADD_QUANTITY] = "7"), "quantity=7"},
        {LINE("A New Type", LINK, [ADD_MIN] = "20"), "link=https://x.test/p&min=20"},
        {LINE("A New Type", LINK, [ADD_MAX] = "5"), "link=https://x.test/p&max=5"},
        {LINE(NULL, LINK), "link=https://x.test/p"},
        {LINE(NULL, [ADD_USERNAME] = "u", [ADD_LINK] = " \t"), "username=u"},
    };
    static const struct {
        const char *type, *params;
    } with_params[] = {
        {"Mentions Hashtag", "\"hashtag\":\"#a\""},
        {"Mentions Media Likers", "\"media\":\"m\""},
        {"Poll", "\"answer_number\":\"2\""},
        {"SEO", "\"keywords\":\"a\\r\\nb\""},
        {"Invites from Groups", "\"groups\":\"g\\rh\""},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        OWN(text_done) struct text wanted = {0};
        text_format(&wanted, "service=1&%s", cases[i].sent);
        assert_sent(&cases[i].line, text_string(&wanted));
    }
    for (size_t i = 0; i < COUNT_OF(with_params); i++) {
        OWN(add_parameters_done) struct add_parameters parameters = {0};
        OWN(text_done) struct text params = {0};
        struct problem problem;
        struct add_line line = LINE(with_params[i].type, LINK, [ADD_QUANTITY] = "5");
        text_format(&params, "{%s}", with_params[i].params);
        line.params = text_string(&params);
        assert_int_equal(add_check(&line, &parameters, &problem), ADD_SOUND);
        assert_int_equal(parameters.count, 4);
        assert_null(strchr(parameters.list[3].value, '\r'));
    }
    struct add_line traffic = LINE("Web Traffic", LINK, [ADD_QUANTITY] = "100");
    traffic.params =
        "{\"country\": \"IN\", \"device\": 2, \"type_of_traffic\": 1.50, \"google_keyword\": null, "
        "\"referring_url\": \" \", \"new\": true}";
    assert_sent(&traffic, "service=1&link=https://x.test/p&quantity=100&country=IN&device=2&"
                          "type_of_traffic=1.50&new=true");
}

/* Of every type of the table, with one of its parameters missing after the other. */
static void test_missing(void **state)
{
    (void)state;
    static const char *const types[] = {"Default",
                                        "Package",
                                        "Custom Comments",
                                        "Custom Comments Package",
                                        "Mentions",
                                        "Mentions with Hashtags",
                                        "Mentions Custom List",
                                        "Mentions Hashtag",
                                        "Mentions User Followers",
                                        "Mentions Media Likers",
                                        "Comment Likes",
                                        "Comment Replies",
                                        "Poll",
                                        "SEO",
                                        "Invites from Groups",
                                        "Subscriptions",
                                        "Web Traffic"};
    static const char *const names[ADD_COLUMN_COUNT] = {
        "service", "link",     "quantity",  "runs",     "interval", "min",
        "max",     "comments", "usernames", "hashtags", "username"};
    static const char *const others[] = {"hashtag", "media",   "answer_number", "keywords",
                                         "groups",  "country", "device",        "type_of_traffic"};
    size_t cases = 0;

    for (size_t t = 0; t < COUNT_OF(types); t++) {
        const struct service_type *type = service_type_of(types[t]);
        assert_non_null(type);
        for (const char *const *missing = type->required; *missing; missing++) {
            OWN(text_done) struct text params = {0}, wanted = {0};
            struct add_line line = {.type = types[t]};
            for (int c = 0; c < ADD_COLUMN_COUNT; c++)
                line.columns[c] = strcmp(names[c], *missing) == 0 ? "" : "5";
            text_add(&params, "{\"x\": 1");
            for (size_t o = 0; o < COUNT_OF(others); o++)
                if (strcmp(others[o], *missing) != 0)
                    text_format(&params, ", \"%s\": \"5\"", others[o]);
            text_add(&params, "}");
            line.params = text_string(&params);
            text_format(&wanted, "%s is missing%s: services of type %s need it", *missing,
                        strcmp(*missing, "quantity") == 0 ? ", or is no whole number" : "",
                        types[t]);
            assert_refused(&line, text_string(&wanted));
            cases++;
        }
    }
    assert_int_equal(cases, 48);
}

static void test_columns(void **state)
{
    (void)state;
    static const struct {
        struct add_line line;
        const char *why;
    } cases[] = {
        {{.columns = {[ADD_SERVICE] = " "}},
         "the line shows no service: it has none in the shop, or its options cannot be used as "
         "they are"},
        {LINE(NULL, [ADD_QUANTITY] = "5"), "link and username are both missing"},
        {LINE(NULL, LINK, [ADD_QUANTITY] = "0"),
         "quantity is 0: it must be a whole number above 0"},
        {LINE(NULL, LINK, [ADD_QUANTITY] = "-5"),
         "quantity is -5: it must be a whole number above 0"},
        {LINE(NULL, LINK, [ADD_QUANTITY] = "1.5"),
         "quantity is 1.5: it must be a whole number above 0"},
        {LINE(NULL, LINK, [ADD_QUANTITY] = "9223372036854775807"),
         "quantity is 9223372036854775807, which no service sells: at most 1000000000000"},
        {LINE(NULL, LINK, [ADD_QUANTITY] = "9223372036854775808"),
         "quantity is 9223372036854775808: it must be a whole number above 0"},
        {LINE(NULL, LINK, [ADD_RUNS] = "0"), "runs is 0: it must be a whole number above 0"},
        {LINE(NULL, LINK, [ADD_RUNS] = "1000001"),
         "runs is 1000001, which no service sells: at most 1000000"},
        {LINE(NULL, LINK, [ADD_INTERVAL] = "-1"),
         "interval is -1: it must be a whole number above 0"},
        {LINE(NULL, LINK, [ADD_MIN] = "20", [ADD_MAX] = "10"), "min 20 is above max 10"},
        {LINE(NULL, [ADD_LINK] = "https://x.test/\n"),
         "link holds a line end or another control character"},
        {LINE(NULL, [ADD_LINK] = "https://x.test/\x7f"),
         "link holds a line end or another control character"},
        {LINE(NULL, [ADD_LINK] = "https://x.test/\xc2\x85"),
         "link holds a line end or another control character"},
        {LINE(NULL, [ADD_LINK] = "https://x.test/\xc2\x9f"),
         "link holds a line end or another control character"},
        {LINE(NULL, [ADD_LINK] = "https://x.test/\xff"), "link holds bytes that are no UTF-8"},
        {LINE(NULL, LINK, [ADD_USERNAME] = "a\rb"),
         "username holds a line end or another control character"},
        {LINE(NULL, LINK, [ADD_COMMENTS] = "a\n\x1b[31m"), "comments holds a control character"},
        {LINE(NULL, LINK, [ADD_USERNAMES] = "a\n\xed\xa0\x80"),
         "usernames holds bytes that are no UTF-8"},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_refused(&cases[i].line, cases[i].why);
    assert_sent(&(struct add_line)LINE(NULL, [ADD_LINK] =
                                                 "https://x.test/\xc3\x85\xf0\x9f\x98\x8d\xc2\xa0"),
                "service=1&link=https://x.test/\xc3\x85\xf0\x9f\x98\x8d\xc2\xa0");
}

static void test_params(void **state)
{
    (void)state;
    static const struct {
        const char *params, *why;
    } cases[] = {
        {"[1]", "params is not an object of names and values"},
        {"\"a\"", "params is not an object of names and values"},
        {"7", "params is not an object of names and values"},
        {"{\"a\": 1", "params is not an object of names and values"},
        {"{\"a\": {\"b\": 1}}", "params may hold only plain values, and \"a\" is none"},
        {"{\"a\": []}", "params may hold only plain values, and \"a\" is none"},
        {"{\"key\": \"x\"}", "params may not hold \"key\""},
        {"{\"Action\": \"x\"}", "params may not hold \"Action\""},
        {"{\"key[]\": \"x\"}",
         "params holds the name \"key[]\": letters, digits, _ and - are possible"},
        {"{\" key\": \"x\"}",
         "params holds the name \" key\": letters, digits, _ and - are possible"},
        {"{\"\": \"x\"}", "params holds the name \"\": letters, digits, _ and - are possible"},
        {"{\"a12345678901234567890123456789012345678901234567890123456789012345\": \"x\"}",
         "params holds the name \"a1234567890123456789012345678901234567890123456789012345...\": "
         "letters, digits, _ and - are possible"},
        {"{\"quantity\": 5}",
         "params may not hold \"quantity\": the view has a column of that name"},
        {"{\"Link\": \"x\"}", "params may not hold \"Link\": the view has a column of that name"},
        {"{\"a\": 99999999999999999999}", "params holds too large a number: \"a\""},
        {"{\"a\": -99999999999999999999}", "params holds too large a number: \"a\""},
        {"{\"a\": \"x\\u0000y\"}", "a of params holds a control character"},
        {"{\"a\": \"x\\u0007y\"}", "a of params holds a control character"},
    };
    OWN(text_done) struct text many = {0};

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct add_line line = LINE(NULL, LINK);
        line.params = cases[i].params;
        assert_refused(&line, cases[i].why);
    }
    text_add(&many, "{\"a\": 0");
    for (int i = 1; i < ADD_PARAMETERS_MAX; i++)
        text_format(&many, ", \"a%d\": %d", i, i);
    text_add(&many, "}");
    struct add_line line = LINE(NULL, LINK);
    line.params = text_string(&many);
    assert_refused(&line, "params holds more than 53 values");
    line.params = "null";
    assert_sent(&line, "service=1&link=https://x.test/p");
    line.params = "{}";
    assert_sent(&line, "service=1&link=https://x.test/p");
}

static char *repeat(const char *what, size_t times)
{
    size_t bytes = strlen(what);
    char *text = malloc(bytes * times + 1);

    assert_non_null(text);
    for (size_t i = 0; i < times; i++)
        memcpy(text + i * bytes, what, bytes);
    text[bytes * times] = '\0';
    return text;
}

static void test_sizes(void **state)
{
    (void)state;
    static const struct {
        enum add_column column;
        size_t bytes;
        const char *why;
    } cases[] = {
        {ADD_SERVICE, 200, "service is too long: 200 bytes, where less than 200 are possible"},
        {ADD_LINK, 1000000, "link is too long: 1000000 bytes, where less than 4000 are possible"},
        {ADD_USERNAME, 1000, "username is too long: 1000 bytes, where less than 1000 are possible"},
        {ADD_COMMENTS, 1000000,
         "comments is too long: 1000000 bytes, where less than 1000000 are possible"},
        {ADD_USERNAMES, 1000000,
         "usernames is too long: 1000000 bytes, where less than 1000000 are possible"},
        {ADD_HASHTAGS, 1048576,
         "hashtags is too long: 1048576 bytes, where less than 1000000 are possible"},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char *text = repeat("x", cases[i].bytes);
        struct add_line line = LINE(NULL, LINK);
        line.columns[cases[i].column] = text;
        assert_refused(&line, cases[i].why);
        free(text);
    }
    for (size_t bytes = 1000000; bytes <= 2000000; bytes += 1000000) {
        OWN(text_done) struct text params = {0};
        char *text = repeat("x", bytes);
        struct add_line line = LINE(NULL, LINK);
        struct problem problem;
        struct add_parameters parameters;
        text_format(&params, "{\"a\": \"%s\"}", text);
        line.params = text_string(&params);
        assert_int_equal(add_check(&line, &parameters, &problem), ADD_UNSOUND);
        free(text);
    }
}

/* As many as the contract allows, with every kind of line end, come out exactly. */
static void test_ten_thousand_comments(void **state)
{
    (void)state;
    static const char comment[] = "Sch\xc3\xb6n \xf0\x9f\x98\x8d & more = 100 % + \"fun\"";
    static const char *const ends[] = {"\n", "\r\n", "\r", "\n\n", "\r\n \t\r\n"};
    OWN(text_done) struct text given = {0}, wanted = {0}, body = {0}, escaped = {0};
    OWN(add_parameters_done) struct add_parameters parameters = {0};
    struct problem problem;

    for (int i = 0; i < 10000; i++) {
        text_format(&given, "%s %d%s", comment, i, ends[i % 5]);
        text_format(&wanted, "%s%s %d", i ? "\n" : "", comment, i);
    }
    assert_true(given.length < ADD_TEXT_BYTES);
    struct add_line line = LINE("Custom Comments", LINK, [ADD_COMMENTS] = text_string(&given));
    assert_int_equal(add_check(&line, &parameters, &problem), ADD_SOUND);
    assert_int_equal(parameters.count, 3);
    assert_string_equal(parameters.list[2].value, text_string(&wanted));

    const struct api_request request = {
        .action = ACTION_ADD, .parameters = parameters.list, .parameter_count = parameters.count};
    api_request_encode(&request, "k", &body);
    text_add(&escaped, "key=k&action=add&service=1&link=https%3A%2F%2Fx.test%2Fp&comments=");
    for (int i = 0; i < 10000; i++)
        text_format(&escaped,
                    "%sSch%%C3%%B6n+%%F0%%9F%%98%%8D+%%26+more+%%3D+100+%%25+%%2B+%%22fun%%22+%d",
                    i ? "%0A" : "", i);
    assert_string_equal(text_string(&body), text_string(&escaped));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),   cmocka_unit_test(test_missing),
        cmocka_unit_test(test_columns), cmocka_unit_test(test_params),
        cmocka_unit_test(test_sizes),   cmocka_unit_test(test_ten_thousand_comments),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
