/* What each type's charge is counted by, and that the table names every type once. */
#include "base/own.h"
#include "rules/service_type.h"
#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* As the family's servers charge them. */
static const struct {
    const char *name, *charged_by;
} types[] = {
    {"Default", "runs"},
    {"Package", "fixed"},
    {"Custom Comments", "comments"},
    {"Custom Comments Package", "fixed"},
    {"Mentions", "quantity"},
    {"Mentions with Hashtags", "quantity"},
    {"Mentions Custom List", "usernames"},
    {"Mentions Hashtag", "quantity"},
    {"Mentions User Followers", "quantity"},
    {"Mentions Media Likers", "quantity"},
    {"Comment Likes", "quantity"},
    {"Comment Replies", "comments"},
    {"Poll", "quantity"},
    {"SEO", "quantity"},
    {"Invites from Groups", "quantity"},
    {"Subscriptions", "posts"},
    {"Web Traffic", "runs"},
};

static void test_charges(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(types); i++)
        assert_string_equal(charged_by_name(service_type_charged_by(types[i].name)),
                            types[i].charged_by);
    assert_string_equal(charged_by_name(service_type_charged_by("A New Type")), "unknown");
    assert_string_equal(charged_by_name(service_type_charged_by("")), "unknown");
    assert_null(service_type_of("default")); /* spelled as in the document, by wire/reply */
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
    assert_int_equal(count, COUNT_OF(types));
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
    assert_int_equal(json_object_object_length(root), COUNT_OF(types));
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
        cmocka_unit_test(test_charges),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_json),
    };

    return cmocka_run_group_tests_name("service types", tests, NULL, NULL);
}
