/* What each type of service needs, and what its charge is counted by: the API's table, once more.
 */
#include "base/own.h"
#include "rules/service_type.h"
#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define TYPES 17

static void test_every_type(void **state)
{
    static const struct {
        const char *name, *charged_by;
        const char *required; /* in their order */
    } cases[] = {
        {"Default", "runs", "link quantity"},
        {"Package", "fixed", "link"},
        {"Custom Comments", "comments", "link comments"},
        {"Custom Comments Package", "fixed", "link comments"},
        {"Mentions", "quantity", "link quantity usernames"},
        {"Mentions with Hashtags", "quantity", "link quantity usernames hashtags"},
        {"Mentions Custom List", "usernames", "link usernames"},
        {"Mentions Hashtag", "quantity", "link quantity hashtag"},
        {"Mentions User Followers", "quantity", "link quantity username"},
        {"Mentions Media Likers", "quantity", "link quantity media"},
        {"Comment Likes", "quantity", "link quantity username"},
        {"Comment Replies", "comments", "link username comments"},
        {"Poll", "quantity", "link quantity answer_number"},
        {"SEO", "quantity", "link quantity keywords"},
        {"Invites from Groups", "quantity", "link quantity groups"},
        {"Subscriptions", "posts", "username min max"},
        {"Web Traffic", "runs", "link quantity country device type_of_traffic"},
    };
    (void)state;
    assert_int_equal(COUNT_OF(cases), TYPES);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct service_type *type = service_type_of(cases[i].name);
        char required[200] = "";
        assert_non_null(type);
        assert_string_equal(type->name, cases[i].name);
        for (const char *const *name = type->required; *name; name++) {
            if (*required)
                strcat(required, " ");
            strcat(required, *name);
        }
        assert_string_equal(required, cases[i].required);
        assert_string_equal(charged_by_name(type->charged_by), cases[i].charged_by);
        assert_int_equal(service_type_charged_by(cases[i].name), type->charged_by);
    }
}

/* Only a reply's decoder evens out letter case, spaces and underscores: none is guessed here. */
static void test_an_unknown_type_is_no_near_neighbour(void **state)
{
    static const char *const names[] = {"",      "default",         "Default ",        "Mention",
                                        "Polls", "Mentions Custom", "Custom_Comments", "SEO 2"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        assert_null(service_type_of(names[i]));
        assert_int_equal(service_type_charged_by(names[i]), CHARGED_BY_UNKNOWN);
    }
    assert_string_equal(charged_by_name(CHARGED_BY_UNKNOWN), "unknown");
}

static bool requires(const struct service_type *type, const char *parameter)
{
    for (const char *const *name = type->required; *name; name++)
        if (strcmp(*name, parameter) == 0)
            return true;
    return false;
}

/* What is counted is required: without it nobody could say beforehand what an order costs. */
static void test_table(void **state)
{
    const struct service_type *type;
    size_t count = 0;

    (void)state;
    for (; (type = service_type_at(count)); count++) {
        assert_ptr_equal(service_type_of(type->name), type);
        switch (type->charged_by) {
        case CHARGED_BY_QUANTITY:
        case CHARGED_BY_RUNS:
            assert_true(requires(type, "quantity"));
            break;
        case CHARGED_BY_COMMENTS:
        case CHARGED_BY_USERNAMES:
            assert_true(requires(type, charged_by_name(type->charged_by)));
            break;
        case CHARGED_BY_FIXED:
        case CHARGED_BY_POSTS:
            assert_false(requires(type, "quantity"));
            break;
        case CHARGED_BY_UNKNOWN:
            fail_msg("%s is charged by nothing", type->name);
        }
        assert_int_equal(requires(type, "link"), strcmp(type->name, "Subscriptions") != 0);
    }
    assert_int_equal(count, TYPES);
}

/* Every name in its place; the database reads it as JSON. */
static void test_json(void **state)
{
    OWN(text_done) struct text text = {0};
    struct json_object *root;
    const struct service_type *type;

    (void)state;
    service_type_required_json(&text);
    root = json_tokener_parse(text_string(&text));
    assert_int_equal(json_object_object_length(root), TYPES);
    for (size_t i = 0; (type = service_type_at(i)); i++) {
        struct json_object *names = NULL;
        size_t count = 0;

        assert_true(json_object_object_get_ex(root, type->name, &names));
        for (; type->required[count]; count++)
            assert_string_equal(json_object_get_string(json_object_array_get_idx(names, count)),
                                type->required[count]);
        assert_int_equal(json_object_array_length(names), count);
    }
    json_object_put(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_type),
        cmocka_unit_test(test_an_unknown_type_is_no_near_neighbour),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_json),
    };
    return cmocka_run_group_tests_name("service_type", tests, NULL, NULL);
}
