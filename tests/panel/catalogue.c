#include "catalogue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct service_type service_types[] = {
    {"Default", CHARGE_QUANTITY, true, true, NULL, {NULL}},
    {"Package", CHARGE_FIXED, true, false, NULL, {NULL}},
    {"Custom Comments", CHARGE_LINES, true, false, "comments", {"comments", NULL}},
    {"Custom Comments Package", CHARGE_FIXED, true, false, NULL, {"comments", NULL}},
    {"Mentions", CHARGE_QUANTITY, true, false, NULL, {"usernames", NULL}},
    {"Mentions with Hashtags", CHARGE_QUANTITY, true, false, NULL, {"usernames", "hashtags", NULL}},
    {"Mentions Custom List", CHARGE_LINES, true, false, "usernames", {"usernames", NULL}},
    {"Mentions Hashtag", CHARGE_QUANTITY, true, false, NULL, {"hashtag", NULL}},
    {"Mentions User Followers", CHARGE_QUANTITY, true, false, NULL, {"username", NULL}},
    {"Mentions Media Likers", CHARGE_QUANTITY, true, false, NULL, {"media", NULL}},
    {"Comment Likes", CHARGE_QUANTITY, true, false, NULL, {"username", NULL}},
    {"Comment Replies", CHARGE_LINES, true, false, "comments", {"username", "comments", NULL}},
    {"Poll", CHARGE_QUANTITY, true, false, NULL, {"answer_number", NULL}},
    {"SEO", CHARGE_QUANTITY, true, false, NULL, {"keywords", NULL}},
    {"Invites from Groups", CHARGE_QUANTITY, true, false, NULL, {"groups", NULL}},
    {"Subscriptions", CHARGE_POSTS, false, false, NULL, {"username", "min", "max", NULL}},
    {"Web Traffic",
     CHARGE_QUANTITY,
     true,
     true,
     NULL,
     {"country", "device", "type_of_traffic", NULL}},
};

/* id, product_id, type, category, name, rate, min, max, refill, enabled, outcome, seconds */
static const char builtin[] =
    "1\tIG-FOLLOWERS-REAL\tDefault\tInstagram\tInstagram Followers — Real & "
    "Active\t1.5000\t100\t50000\t1\t1\tcompleted\t120\n"
    "2\tYT-VIEWS-WW\tDefault\tYouTube\tYouTube Views — "
    "Worldwide\t0.8000\t500\t1000000\t0\t1\tcompleted\t300\n"
    "3\tIG-LIKES-FAST\tDefault\tInstagram\tInstagram Likes — "
    "Fast\t0.3500\t10\t100000\t1\t1\tcompleted\t60\n"
    "4\tIG-FOLLOWERS-PARTIAL\tDefault\tInstagram\tFollowers that end "
    "short\t2.0000\t10\t100000\t1\t1\tpartial\t90\n"
    "5\tTT-LIKES-CANCELED\tDefault\tTikTok\tLikes that are "
    "canceled\t1.1000\t10\t100000\t0\t1\tcanceled\t60\n"
    "6\tTT-VIEWS-REFUNDED\tDefault\tTikTok\tViews that are "
    "refunded\t0.0500\t100\t10000000\t0\t1\trefunded\t90\n"
    "7\tFB-LIKES-FAIL\tDefault\tFacebook\tPage likes that fail\t4.2500\t10\t10000\t0\t1\tfail\t60\n"
    "8\tFB-FOLLOWERS-STUCK\tDefault\tFacebook\tFollowers that get "
    "stuck\t3.0000\t10\t10000\t0\t1\tnever\t60\n"
    "9\tIG-STARTER-PACK\tPackage\tInstagram\tStarter package\t49.9900\t1\t1\t1\t1\tcompleted\t180\n"
    "10\tIG-COMMENTS-CUSTOM\tCustom Comments\tInstagram\tComments of your "
    "own\t60.0000\t3\t130\t0\t1\tcompleted\t120\n"
    "11\tIG-COMMENTS-PACK\tCustom Comments Package\tInstagram\tTen "
    "comments\t12.5000\t1\t1\t0\t1\tcompleted\t120\n"
    "12\tIG-MENTIONS\tMentions\tInstagram\tMentions\t9.9900\t10\t10000\t0\t1\tcompleted\t150\n"
    "13\tIG-MENTIONS-TAGS\tMentions with Hashtags\tInstagram\tMentions with "
    "hashtags\t10.4900\t10\t10000\t0\t1\tcompleted\t150\n"
    "14\tIG-MENTIONS-LIST\tMentions Custom List\tInstagram\tMentions of a "
    "list\t15.0000\t2\t5000\t0\t1\tcompleted\t150\n"
    "15\tIG-MENTIONS-TAG\tMentions Hashtag\tInstagram\tMentions by "
    "hashtag\t8.0000\t10\t10000\t0\t1\tcompleted\t150\n"
    "16\tIG-MENTIONS-FOLLOWERS\tMentions User Followers\tInstagram\tMentions of "
    "followers\t8.5000\t10\t10000\t0\t1\tcompleted\t150\n"
    "17\tIG-MENTIONS-LIKERS\tMentions Media Likers\tInstagram\tMentions of "
    "likers\t8.7500\t10\t10000\t0\t1\tcompleted\t150\n"
    "18\tYT-COMMENT-LIKES\tComment Likes\tYouTube\tComment "
    "likes\t2.2500\t5\t5000\t0\t1\tcompleted\t90\n"
    "19\tYT-COMMENT-REPLIES\tComment Replies\tYouTube\tComment "
    "replies\t75.0000\t1\t100\t0\t1\tcompleted\t120\n"
    "20\tTG-POLL-VOTES\tPoll\tTelegram\tPoll votes\t0.9000\t10\t20000\t0\t1\tcompleted\t60\n"
    "21\tSEO-KEYWORDS\tSEO\tSearch\tKeyword searches\t5.0000\t100\t10000\t0\t1\tcompleted\t240\n"
    "22\tTG-INVITES\tInvites from Groups\tTelegram\tInvites from "
    "groups\t6.0000\t10\t10000\t0\t1\tcompleted\t240\n"
    "23\tIG-AUTO-LIKES\tSubscriptions\tInstagram\tLikes for coming "
    "posts\t1.2000\t10\t5000\t0\t1\tcompleted\t600\n"
    "24\tWEB-TRAFFIC\tWeb Traffic\tTraffic\tVisitors\t0.4000\t100\t1000000\t0\t1\tcompleted\t200\n"
    "25\tIG-OLD-FOLLOWERS\tDefault\tInstagram\tFollowers no longer "
    "sold\t1.0000\t10\t1000\t0\t0\tcompleted\t60\n"
    "26\tX-RETWEETS-TINY\tDefault\tX\tRetweets, one to three\t33.3330\t1\t3\t0\t1\tcompleted\t30\n"
    "27\tX-LIKES-FINE\tDefault\tX\tLikes with a fine "
    "price\t0.080116556\t1\t4000000000\t1\t1\tcompleted\t60\n"
    "28\tSP-PREMIUM\tDefault\tSpotify\tPremium plays\t1234.5000\t10\t100000\t0\t1\tcompleted\t120\n"
    "47\tTG-MEMBERS\tDefault\tTelegram\tChannel members\t0.9500\t50\t200000\t1\t1\tcompleted\t240\n"
    "48\tTG-VIEWS-INSTANT\tDefault\tTelegram\tPost views, at "
    "once\t0.0100\t1\t1000000\t0\t1\tcompleted\t0\n"
    "203\t\tDefault\tTikTok\tFollowers without a product "
    "id\t2.7500\t10\t100000\t1\t1\tcompleted\t120\n";

#define COLUMNS 12

static const struct service_type *find_type(const char *name)
{
    for (size_t i = 0; i < sizeof service_types / sizeof *service_types; i++) {
        if (strcasecmp(service_types[i].name, name) == 0)
            return &service_types[i];
    }
    return NULL;
}

int service_outcome_parse(const char *word, enum service_outcome *ret_outcome)
{
    static const char *const words[] = {
        [ENDS_COMPLETED] = "completed", [ENDS_PARTIAL] = "partial", [ENDS_CANCELED] = "canceled",
        [ENDS_REFUNDED] = "refunded",   [ENDS_FAIL] = "fail",       [ENDS_NEVER] = "never",
    };

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(words[i], word) == 0) {
            *ret_outcome = (enum service_outcome)i;
            return 0;
        }
    }
    return -1;
}

static char *copy(const char *string)
{
    char *duplicate = strdup(string);

    if (!duplicate)
        abort();
    return duplicate;
}

/* Returns 0 or -1; strings of the service are owned by it only on 0. */
static int parse_line(char *line, struct service *service)
{
    char *columns[COLUMNS];
    size_t count = 0;
    uint64_t id, seconds;

    for (char *rest = line; rest && count < COLUMNS;)
        columns[count++] = strsep(&rest, "\t");
    if (count != COLUMNS)
        return -1;
    *service = (struct service){
        .type = find_type(columns[2]),
        .refill = strcmp(columns[8], "1") == 0,
        .enabled = strcmp(columns[9], "1") == 0,
    };
    if (!service->type || digits_parse(columns[0], UINT32_MAX, &id) ||
        money_parse(columns[5], &service->rate) || service->rate % 1000 ||
        digits_parse(columns[6], UINT32_MAX, &service->min) ||
        digits_parse(columns[7], UINT32_MAX, &service->max) ||
        service_outcome_parse(columns[10], &service->outcome) ||
        digits_parse(columns[11], UINT32_MAX, &seconds))
        return -1;
    service->id = (uint32_t)id;
    service->seconds = (uint32_t)seconds;
    service->product_id = copy(columns[1]);
    service->category = copy(columns[3]);
    service->name = copy(columns[4]);
    return 0;
}

static int compare_ids(const void *left, const void *right)
{
    uint32_t a = ((const struct service *)left)->id;
    uint32_t b = ((const struct service *)right)->id;

    return (a > b) - (a < b);
}

static int parse_all(struct catalogue *catalogue, char *text, const char *path)
{
    unsigned line_number = 0;

    for (char *rest = text, *line; (line = strsep(&rest, "\n"));) {
        line_number++;
        if (!*line || *line == '#')
            continue;
        catalogue->services =
            realloc(catalogue->services, (catalogue->count + 1) * sizeof *catalogue->services);
        if (!catalogue->services)
            abort();
        if (parse_line(line, &catalogue->services[catalogue->count])) {
            fprintf(stderr, "panel: %s:%u is no service\n", path, line_number);
            return -1;
        }
        catalogue->count++;
    }
    if (catalogue->count)
        qsort(catalogue->services, catalogue->count, sizeof *catalogue->services, compare_ids);
    return 0;
}

int catalogue_load(struct catalogue *catalogue, const char *path)
{
    struct text text = {0};
    char block[4096];
    size_t got;

    *catalogue = (struct catalogue){0};
    if (strcmp(path, "builtin") == 0) {
        text_add(&text, builtin);
    } else {
        FILE *file = fopen(path, "re");
        if (!file) {
            perror(path);
            return -1;
        }
        while ((got = fread(block, 1, sizeof block, file)) > 0)
            text_add_bytes(&text, block, got);
        fclose(file);
        text_add(&text, "");
    }
    int result = parse_all(catalogue, text.data, path);
    text_done(&text);
    return result;
}

void catalogue_done(struct catalogue *catalogue)
{
    for (size_t i = 0; i < catalogue->count; i++) {
        free(catalogue->services[i].product_id);
        free(catalogue->services[i].category);
        free(catalogue->services[i].name);
    }
    free(catalogue->services);
    *catalogue = (struct catalogue){0};
}

struct service *catalogue_find(const struct catalogue *catalogue, const char *name)
{
    uint64_t id;
    struct service *services = catalogue->services;

    if (!*name)
        return NULL;
    if (digits_parse(name, UINT32_MAX, &id) == 0 && catalogue->count) {
        struct service wanted = {.id = (uint32_t)id};
        return bsearch(&wanted, services, catalogue->count, sizeof *services, compare_ids);
    }
    for (size_t i = 0; i < catalogue->count; i++) {
        if (strcmp(services[i].product_id, name) == 0)
            return &services[i];
    }
    return NULL;
}
