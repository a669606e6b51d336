/* JSON from a foreign server: which bodies are a document, and what each value is taken for. */
#include "base/own.h"
#include "base/text.h"
#include "wire/value.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

DEFINE_OWN(struct json_object, (void)json_object_put, object_putp)

static struct json_object *read_body(const char *body, size_t bytes)
{
    struct json_object *root = NULL;
    assert_int_equal(value_read_body(body, bytes, &root), 0);
    return root;
}

static void test_bodies(void **state)
{
    static const struct {
        const char *body, *document; /* NULL: there is none */
    } cases[] = {
        {"", NULL},
        {" \r\n\t", NULL},
        {"null", NULL}, /* no object and no list */
        {"[]", "[]"},
        {" \t{\"a\":1}\r\n", "{\"a\":1}"},
        {"\xEF\xBB\xBF {\"a\":1}", "{\"a\":1}"},
        {"\xEF\xBB\xBF\n\xEF\xBB\xBF[2]", "[2]"},
        {"{\"a\":1", NULL},
        {"{\"a\":1}}", NULL},
        {"{\"a\":1} thanks", NULL},
        /* What json-c lets pass. */
        {"{\"a\":1,\"a\":1}", NULL},
        {"[[{\"b\":{\"a\":1,\"c\":[],\"a\":2}}]]", NULL},
        {"{\"a\":NaN}", NULL},
        {"{\"a\":-Infinity}", NULL},
        {"{'a':1}", NULL},
        {"{\"a\":'b'}", NULL},
        {"{\"a\\u0000b\":1}", NULL},
        /* The same signs within a text are none. */
        {"{\"a\":\"'N:I'\",\"b\":{\"a\":\":\"}}", "{\"a\":\"'N:I'\",\"b\":{\"a\":\":\"}}"},
        {"{\"a\\\"b\\\\\":\"\\\"\"}", "{\"a\\\"b\\\\\":\"\\\"\"}"},
        {"{\"a\":\"b\\u0000c\"}", "{\"a\":\"b\\u0000c\"}"},
        /* Text in front. */
        {"<b>Warning</b> in [x] {\"a\":1}", "{\"a\":1}"},
        {"Notice: {curly} [\"a\", 2]", "[\"a\",2]"},
        {"x {", NULL},
        {"x { ", NULL},
        {"x [1] {\n", NULL},
        {"oops {\"a\":{\"b\":1}", NULL}, /* never the piece {"b":1} */
        {"oops { \"a\":1,\"a\":{\"b\":1}}", NULL},
        /* Bytes that are no UTF-8. */
        {"{\"a\":\"x\xff\xc3\"}", "{\"a\":\"x\xEF\xBF\xBD\xEF\xBF\xBD\"}"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        OWN(object_putp)
        struct json_object *root = read_body(cases[i].body, strlen(cases[i].body));
        if (!cases[i].document) {
            if (root)
                fail_msg("%s is taken for a document", cases[i].body);
            continue;
        }
        if (!root)
            fail_msg("%s is taken for none", cases[i].body);
        assert_string_equal(json_object_to_json_string_ext(root, JSON_C_TO_STRING_PLAIN),
                            cases[i].document);
    }
    assert_null(read_body(NULL, 0));
}

/* ---- lists, element by element ---- */

struct taken {
    struct text text; /* the elements, each in brackets */
    int most;         /* then -ECANCELED */
};

static int take(void *userdata, struct json_object *element)
{
    struct taken *taken = userdata;
    if (taken->most-- == 0)
        return -ECANCELED;
    text_format(&taken->text, "<%s>",
                json_object_to_json_string_ext(element, JSON_C_TO_STRING_PLAIN));
    return 0;
}

static void test_lists(void **state)
{
    static const struct {
        const char *body, *taken;
        bool is_whole;
    } cases[] = {
        {"[]", "", true},
        {" [ ] ", "", true},
        {"\xEF\xBB\xBF[{\"a\":1} , 2,\n\"x\"]\n", "<{\"a\":1}><2><\"x\">", true},
        {"[null,1]", "<null><1>", true},
        {"[\"\xff\"]", "<\"\xEF\xBF\xBD\">", true},
        /* Another thing, or more than that. */
        {"", "", false},
        {"{\"a\":1}", "", false},
        {"x [1]", "", false},
        {"[1]]", "<1>", false},
        {"[1] x", "<1>", false},
        /* Broken somewhere. */
        {"[", "", false},
        {"[1", "", false}, /* the number may go on */
        {"[{\"a\":1}", "<{\"a\":1}>", false},
        {"[{\"a\":1},", "<{\"a\":1}>", false},
        {"[{\"a\":1};{\"b\":1}]", "<{\"a\":1}>", false},
        {"[{\"a\":1},]", "<{\"a\":1}>", false},
        {"[{\"a\":1},{\"b\":1,\"b\":2}]", "<{\"a\":1}>", false},
        {"[{\"a\":1},{\"b\":NaN}]", "<{\"a\":1}>", false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct taken taken = {.most = 100};
        bool is_whole = !cases[i].is_whole;
        assert_int_equal(
            value_read_list(cases[i].body, strlen(cases[i].body), take, &taken, &is_whole), 0);
        if (is_whole != cases[i].is_whole)
            fail_msg("%s is taken for %s", cases[i].body, is_whole ? "a list" : "none");
        assert_string_equal(text_string(&taken.text), cases[i].taken);
        text_done(&taken.text);
    }
}

/* Whoever takes the elements can end it. */
static void test_a_list_that_is_given_up(void **state)
{
    static const char body[] = "[1,2,3]";
    struct taken taken = {.most = 2};
    bool is_whole = true;
    (void)state;
    assert_int_equal(value_read_list(body, strlen(body), take, &taken, &is_whole), -ECANCELED);
    assert_string_equal(text_string(&taken.text), "<1><2>");
    assert_false(is_whole);
    text_done(&taken.text);
}

/* ---- values ---- */

static void assert_string(const char *json, const char *what, const char *got, const char *wanted)
{
    if (!got != !wanted || (got && strcmp(got, wanted) != 0))
        fail_msg("%s: %s is %s, not %s", json, what, got ? got : "none", wanted ? wanted : "none");
}

static void test_values(void **state)
{
    static const struct {
        const char *json, *text, *scalar, *id, *amount;
        bool has_count;
        int64_t count;
        bool is_empty, is_true;
    } cases[] = {
        {"null", NULL, NULL, NULL, NULL, false, 0, true, false},
        {"false", NULL, NULL, NULL, NULL, false, 0, true, false},
        {"true", NULL, NULL, NULL, NULL, false, 0, false, true},
        {"[]", NULL, NULL, NULL, NULL, false, 0, true, false},
        {"[0]", NULL, NULL, NULL, NULL, false, 0, false, false},
        {"{}", NULL, NULL, NULL, NULL, false, 0, true, false},
        {"{\"a\":1}", NULL, NULL, NULL, NULL, false, 0, false, false},
        /* Numbers; an amount keeps its spelling. */
        {"0", NULL, "0", NULL, "0", true, 0, true, false},
        {"1", NULL, "1", "1", "1", true, 1, false, true},
        {"-1", NULL, "-1", NULL, "-1", true, -1, false, false},
        {"0.00", NULL, NULL, NULL, "0.00", true, 0, true, false},
        {"12.500", NULL, NULL, NULL, "12.500", false, 0, false, false},
        {"-3.0", NULL, NULL, NULL, "-3.0", true, -3, false, false},
        {"1e3", NULL, NULL, NULL, NULL, false, 0, false, false},
        /* The ends of json-c's ranges may be anything beyond them. */
        {"9223372036854775806", NULL, "9223372036854775806", "9223372036854775806",
         "9223372036854775806", true, INT64_MAX - 1, false, false},
        {"9223372036854775807", NULL, "9223372036854775807", "9223372036854775807",
         "9223372036854775807", false, 0, false, false},
        {"18446744073709551615", NULL, NULL, NULL, NULL, false, 0, false, false},
        {"99999999999999999999", NULL, NULL, NULL, NULL, false, 0, false, false},
        {"-9223372036854775808", NULL, NULL, NULL, NULL, false, 0, false, false},
        {"-99999999999999999999", NULL, NULL, NULL, NULL, false, 0, false, false},
        /* Texts. */
        {"\"\"", NULL, NULL, NULL, NULL, false, 0, true, false},
        {"\"0\"", "0", "0", NULL, "0", true, 0, true, false},
        {"\"00\"", "00", "00", NULL, "00", true, 0, false, false},
        {"\"1\"", "1", "1", "1", "1", true, 1, false, true},
        {"\"True\"", "True", "True", NULL, NULL, false, 0, false, true},
        {"\" 1,234.50 \"", " 1,234.50 ", " 1,234.50 ", NULL, "1234.50", false, 0, false, false},
        {"\"5.00\"", "5.00", "5.00", "5.00", "5.00", true, 5, false, false},
        {"\"a\\u0000b\"", NULL, NULL, NULL, NULL, false, 0, false, false},
        {"\"65f0c0ffee\"", "65f0c0ffee", "65f0c0ffee", "65f0c0ffee", NULL, false, 0, false, false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        OWN(text_done) struct text body = {0};
        char amount[DECIMAL_SIZE];
        int64_t count = 0;
        text_format(&body, "{\"v\":%s}", cases[i].json);
        OWN(object_putp)
        struct json_object *root = read_body(body.bytes, body.length);
        assert_non_null(root);
        struct json_object *value = value_member(root, "v");
        assert_string(cases[i].json, "its text", value_text(value), cases[i].text);
        assert_string(cases[i].json, "its scalar", value_scalar(value), cases[i].scalar);
        assert_string(cases[i].json, "its id", value_id(value), cases[i].id);
        assert_string(cases[i].json, "its amount", value_amount(value, amount) ? amount : NULL,
                      cases[i].amount);
        assert_int_equal(value_count(value, &count), cases[i].has_count);
        assert_int_equal(count, cases[i].count);
        assert_int_equal(value_is_empty(value), cases[i].is_empty);
        assert_int_equal(value_is_true(value), cases[i].is_true);
    }
}

static void test_members(void **state)
{
    static const char body[] = "{\"list\":[1],\"none\":null}";
    OWN(object_putp) struct json_object *root = read_body(body, strlen(body));
    (void)state;
    assert_non_null(value_member(root, "list"));
    assert_null(value_member(root, "none"));
    assert_null(value_member(root, "absent"));
    assert_null(value_member(value_member(root, "list"), "0"));
    assert_null(value_member(NULL, "list"));
}

static void test_ids(void **state)
{
    static const struct {
        const char *text;
        bool is_id;
    } cases[] = {
        {"1", true},
        {"12345", true},
        {"ET-2", true},
        {"b1ab", true},
        {"", false},
        {"0", false},
        {"000", false},
        {"null", false},
        {"-1", false},
        {"1 2", false},
        {"1,2", false},
        {"\"1\"", false},
        {"'1'", false},
        {"`1`", false},
        {"<b>1</b>", false},
        {"1\n", false},
        {"\xC3\xA9\x31", false},
        {"1\x7f", false},
        {"1-", true},
        {"1234567890123456789012345678901234567890123456789012345678901234", true},
        {"12345678901234567890123456789012345678901234567890123456789012345", false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (value_is_id(cases[i].text) != cases[i].is_id)
            fail_msg("\"%s\" is taken for %s", cases[i].text, cases[i].is_id ? "none" : "an id");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_a_list_that_is_given_up),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_ids),
    };
    return cmocka_run_group_tests_name("value", tests, NULL, NULL);
}
