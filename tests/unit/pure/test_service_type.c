/* What each type of service needs, and what its charge is counted by: the API's table, once more.
 */
#include "base/own.h"
#include "rules/service_type.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_type),
        cmocka_unit_test(test_an_unknown_type_is_no_near_neighbour),
    };
    return cmocka_run_group_tests_name("service_type", tests, NULL, NULL);
}
