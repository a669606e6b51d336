#include "rules/service_type.h"
#include "base/own.h"
#include <string.h>

/* The table of service types in the API's family: see the fact page of the API and the document's
 * parameters of `add`. */
static const struct service_type types[] = {
    {"Default", CHARGED_BY_RUNS, {"link", "quantity"}},
    {"Package", CHARGED_BY_FIXED, {"link"}},
    {"Custom Comments", CHARGED_BY_COMMENTS, {"link", "comments"}},
    {"Custom Comments Package", CHARGED_BY_FIXED, {"link", "comments"}},
    {"Mentions", CHARGED_BY_QUANTITY, {"link", "quantity", "usernames"}},
    {"Mentions with Hashtags", CHARGED_BY_QUANTITY, {"link", "quantity", "usernames", "hashtags"}},
    {"Mentions Custom List", CHARGED_BY_USERNAMES, {"link", "usernames"}},
    {"Mentions Hashtag", CHARGED_BY_QUANTITY, {"link", "quantity", "hashtag"}},
    {"Mentions User Followers", CHARGED_BY_QUANTITY, {"link", "quantity", "username"}},
    {"Mentions Media Likers", CHARGED_BY_QUANTITY, {"link", "quantity", "media"}},
    {"Comment Likes", CHARGED_BY_QUANTITY, {"link", "quantity", "username"}},
    {"Comment Replies", CHARGED_BY_COMMENTS, {"link", "username", "comments"}},
    {"Poll", CHARGED_BY_QUANTITY, {"link", "quantity", "answer_number"}},
    {"SEO", CHARGED_BY_QUANTITY, {"link", "quantity", "keywords"}},
    {"Invites from Groups", CHARGED_BY_QUANTITY, {"link", "quantity", "groups"}},
    {"Subscriptions", CHARGED_BY_POSTS, {"username", "min", "max"}},
    {"Web Traffic", CHARGED_BY_RUNS, {"link", "quantity", "country", "device", "type_of_traffic"}},
};

const char *charged_by_name(enum charged_by charged_by)
{
    static const char *const names[] = {
        [CHARGED_BY_QUANTITY] = "quantity", [CHARGED_BY_RUNS] = "runs",
        [CHARGED_BY_COMMENTS] = "comments", [CHARGED_BY_USERNAMES] = "usernames",
        [CHARGED_BY_FIXED] = "fixed",       [CHARGED_BY_POSTS] = "posts",
        [CHARGED_BY_UNKNOWN] = "unknown",
    };

    return names[charged_by];
}

const struct service_type *service_type_at(size_t place)
{
    return place < COUNT_OF(types) ? &types[place] : NULL;
}

const struct service_type *service_type_of(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(types); i++)
        if (strcmp(types[i].name, name) == 0)
            return &types[i];
    return NULL;
}

enum charged_by service_type_charged_by(const char *name)
{
    const struct service_type *type = service_type_of(name);

    return type ? type->charged_by : CHARGED_BY_UNKNOWN;
}

void service_type_required_json(struct text *text)
{
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        text_format(text, "%s\"%s\": [", i ? ", " : "{", types[i].name);
        for (const char *const *name = types[i].required; *name; name++)
            text_format(text, "%s\"%s\"", name > types[i].required ? ", " : "", *name);
        text_add(text, "]");
    }
    text_add(text, "}");
}
