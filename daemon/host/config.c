#include "host/config.h"
#include "base/own.h"
#include "base/text.h"
#include "host/config_source.h"
#include "host/config_value.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libconfig.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Hundreds of providers fit; what is larger is another kind of file. */
#define FILE_BYTES_MAX (1024 * 1024)

struct loader {
    const struct config_source *source;
    struct config *config;
    struct config_faults *faults;
    struct config_fault spare; /* takes the fault for which there is no memory */
    bool out_of_memory;
};

/* A group of the file while it is read into its struct. */
struct place {
    const char *group;
    unsigned element; /* of the list of providers */
    void *target;
};

DEFINE_OWN(struct config, config_free, config_freep)

/* Where the next fault is to be written. */
static struct problem *fault_at(struct loader *loader, unsigned line)
{
    struct config_faults *faults = loader->faults;
    struct config_fault *grown =
        reallocarray(faults->faults, faults->count + 1, sizeof *faults->faults);

    if (!grown) {
        loader->out_of_memory = true;
        return &loader->spare.problem;
    }
    faults->faults = grown;
    grown[faults->count] = (struct config_fault){.line = line};
    return &grown[faults->count++].problem;
}

static unsigned line_of(const config_setting_t *setting)
{
    return config_setting_source_line(setting);
}

/* Keeps what a value's check returned: 0, 1 (told in *problem) or negative errno. */
static void keep_result(struct loader *loader, unsigned line, int r, const struct problem *problem)
{
    if (r > 0)
        *fault_at(loader, line) = *problem;
    else if (r < 0)
        loader->out_of_memory = true;
}

static const struct setting *find_setting(const char *group, const char *name)
{
    for (size_t i = 0; i < config_setting_count; i++) {
        const struct setting *setting = &config_settings[i];

        if ((!group || !strcmp(setting->group, group)) && !strcmp(setting->name, name))
            return setting;
    }
    return NULL;
}

static bool is_group_name(const char *name)
{
    for (size_t i = 0; i < config_setting_count; i++) {
        if (!strcmp(config_settings[i].group, name))
            return *name != '\0';
    }
    return false;
}

static const char *type_words(const config_setting_t *value)
{
    switch (config_setting_type(value)) {
    case CONFIG_TYPE_GROUP:
        return "a group { }";
    case CONFIG_TYPE_LIST:
        return "a list ( )";
    case CONFIG_TYPE_ARRAY:
        return "an array [ ]";
    case CONFIG_TYPE_STRING:
        return "a text in quotes";
    case CONFIG_TYPE_BOOL:
        return "true or false";
    case CONFIG_TYPE_FLOAT:
        return "a number with a point";
    default:
        return "a whole number";
    }
}

static void tell_mistyped(struct loader *loader, const struct setting *setting,
                          const config_setting_t *value)
{
    const char *example = setting->fallback ? setting->fallback : setting->example;
    struct problem *problem = fault_at(loader, line_of(value));

    problem_set(problem, "%s must be %s, not %s", setting->name,
                setting->type == SETTING_INTEGER ? "a whole number" : "a text in quotes",
                type_words(value));
    if (*example)
        problem_hint(problem, "for example: %s = %s;", setting->name, example);
}

/* "in shop", "at the top": where a setting of a group stands. */
static const char *place_words(const char *group)
{
    static const char *const words[][2] = {{"", "at the top, outside all groups"},
                                           {"database", "in database"},
                                           {"shop", "in shop"},
                                           {"providers", "in a group of providers"},
                                           {"log", "in log"}};

    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (!strcmp(words[i][0], group))
            return words[i][1];
    }
    return "elsewhere";
}

/* The known name nearest to a wrong one: in its group, unless one elsewhere is nearer. */
static void nearest_name(const char *group, const char *name, const char **ret_name,
                         const char **ret_group)
{
    unsigned best = UINT32_MAX;

    for (size_t i = 0; i < config_setting_count; i++) {
        const struct setting *setting = &config_settings[i];
        bool here = !strcmp(setting->group, group);
        unsigned distance = 2 * text_distance(name, setting->name) + !here;

        if (distance < best) {
            best = distance;
            *ret_name = setting->name;
            *ret_group = setting->group;
        }
        distance = 2 * text_distance(name, setting->group) + (*group != '\0');
        if (*setting->group && distance < best) {
            best = distance;
            *ret_name = setting->group;
            *ret_group = "";
        }
    }
}

/* A name that is not known in this group. */
static void tell_unknown(struct loader *loader, const char *group, const config_setting_t *value)
{
    const char *name = config_setting_name(value);
    const struct setting *elsewhere = find_setting(NULL, name);
    struct problem *problem = fault_at(loader, line_of(value));
    const char *nearest = NULL, *nearest_group = NULL;

    if (elsewhere || is_group_name(name)) {
        problem_set(problem, "%s does not belong %s", name, place_words(group));
        problem_hint(problem, "it belongs %s", place_words(elsewhere ? elsewhere->group : ""));
        return;
    }
    nearest_name(group, name, &nearest, &nearest_group);
    problem_set(problem, "unknown setting \"%.64s\" %s", name, place_words(group));
    if (!strcmp(nearest_group, group))
        problem_hint(problem, "the nearest known name is %s", nearest);
    else
        problem_hint(problem, "the nearest known name is %s, which belongs %s", nearest,
                     place_words(nearest_group));
}

static void read_value(struct loader *loader, const struct setting *setting,
                       const config_setting_t *value, const struct place *place)
{
    int type = config_setting_type(value);
    struct problem problem;
    int r;

    if (setting->type == SETTING_INTEGER) {
        const char *literal =
            config_source_integer(loader->source, place->group, place->element, setting->name);

        if ((type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64) || !literal) {
            tell_mistyped(loader, setting, value);
            return;
        }
        r = config_value_set_integer(setting, place->target, literal, &problem);
    } else {
        const char *text = config_setting_get_string(value);

        if (type != CONFIG_TYPE_STRING) {
            tell_mistyped(loader, setting, value);
            return;
        }
        r = config_value_set_text(setting, place->target, text ? text : "", &problem);
    }
    keep_result(loader, line_of(value), r, &problem);
}

/* The defaults come through the same door as the file's values; one that is refused is our own bug.
 */
static void set_default(struct loader *loader, const struct setting *setting, void *target)
{
    struct problem problem;
    size_t length = strlen(setting->fallback);
    char value[256];
    int r;

    if (setting->type == SETTING_INTEGER) {
        r = config_value_set_integer(setting, target, setting->fallback, &problem);
    } else {
        assert(length < sizeof value);
        value[0] = '\0';
        if (length > 2) {
            memcpy(value, setting->fallback + 1, length - 2);
            value[length - 2] = '\0';
        }
        r = config_value_set_text(setting, target, value, &problem);
    }
    assert(r <= 0);
    keep_result(loader, 0, r, &problem);
}

/* Sets what a group does not say. `group` is NULL when the file has no such group. */
static void complete_group(struct loader *loader, const config_setting_t *group,
                           const struct place *place)
{
    for (size_t i = 0; i < config_setting_count; i++) {
        const struct setting *setting = &config_settings[i];

        if (strcmp(setting->group, place->group) != 0)
            continue;
        if (group && config_setting_get_member(group, setting->name))
            continue;
        if (setting->fallback) {
            set_default(loader, setting, place->target);
        } else {
            struct problem *problem = fault_at(loader, group ? line_of(group) : 0);

            problem_set(problem, "%s has no %s",
                        strcmp(place->group, "providers") ? place->group : "this provider",
                        setting->name);
            problem_hint(problem, "for example: %s = %s;", setting->name, setting->example);
        }
    }
}

static void read_group(struct loader *loader, const config_setting_t *group,
                       const struct place *place)
{
    for (int i = 0; group && i < config_setting_length(group); i++) {
        const config_setting_t *value = config_setting_get_elem(group, (unsigned)i);
        const struct setting *setting = find_setting(place->group, config_setting_name(value));

        if (setting)
            read_value(loader, setting, value, place);
        else
            tell_unknown(loader, place->group, value);
    }
    complete_group(loader, group, place);
}

static void read_providers(struct loader *loader, const config_setting_t *list)
{
    size_t count = list && config_setting_is_list(list) ? (size_t)config_setting_length(list) : 0;
    struct problem *problem;

    if (!count) {
        problem = fault_at(loader, list ? line_of(list) : 0);
        if (list && !config_setting_is_list(list))
            problem_set(problem, "providers must be a list of groups, not %s", type_words(list));
        else
            problem_set(problem, "no provider is configured");
        problem_hint(problem, "write: providers = ( { name = ...; url = ...; key_file = ...; } );");
        return;
    }
    loader->config->providers = calloc(count, sizeof *loader->config->providers);
    if (!loader->config->providers) {
        loader->out_of_memory = true;
        return;
    }
    loader->config->provider_count = count;
    for (unsigned i = 0; i < count; i++) {
        const config_setting_t *group = config_setting_get_elem(list, i);
        struct place place = {"providers", i, &loader->config->providers[i]};

        if (config_setting_is_group(group))
            read_group(loader, group, &place);
        else
            problem_set(fault_at(loader, line_of(group)), "a provider must be a group { }, not %s",
                        type_words(group));
    }
}

/* database, shop or log; a group that is missing has its defaults. */
static void read_named_group(struct loader *loader, const config_setting_t *root, const char *name)
{
    const config_setting_t *group = config_setting_get_member(root, name);
    struct place place = {name, 0, loader->config};

    if (group && !config_setting_is_group(group)) {
        problem_set(fault_at(loader, line_of(group)), "%s must be a group { }, not %s", name,
                    type_words(group));
        return;
    }
    read_group(loader, group, &place);
}

static void read_top(struct loader *loader, const config_setting_t *root)
{
    struct place place = {"", 0, loader->config};

    for (int i = 0; i < config_setting_length(root); i++) {
        const config_setting_t *value = config_setting_get_elem(root, (unsigned)i);
        const char *name = config_setting_name(value);
        const struct setting *setting = find_setting("", name);

        if (setting)
            read_value(loader, setting, value, &place);
        else if (!is_group_name(name))
            tell_unknown(loader, "", value);
    }
    complete_group(loader, root, &place);
    read_named_group(loader, root, "database");
    read_named_group(loader, root, "shop");
    read_named_group(loader, root, "log");
    read_providers(loader, config_setting_get_member(root, "providers"));
}

/* Where systemd says that state is kept; the first of a list. */
static void take_state_directory(struct loader *loader, const config_setting_t *root)
{
    const char *list = getenv("STATE_DIRECTORY");
    char *directory;

    if (!list || *list != '/' || config_setting_get_member(root, "state_directory"))
        return;
    directory = strndup(list, strcspn(list, ":"));
    if (!directory) {
        loader->out_of_memory = true;
        return;
    }
    free(loader->config->state_directory);
    loader->config->state_directory = directory;
}

static unsigned provider_line(const config_setting_t *root, size_t provider, const char *name)
{
    const config_setting_t *list = config_setting_get_member(root, "providers");

    return line_of(
        config_setting_get_member(config_setting_get_elem(list, (unsigned)provider), name));
}

static void compare_providers(struct loader *loader, const config_setting_t *root, size_t first,
                              size_t second)
{
    const struct provider_config *a = &loader->config->providers[first];
    const struct provider_config *b = &loader->config->providers[second];

    if (a->name && b->name && !strcmp(a->name, b->name))
        problem_set(fault_at(loader, provider_line(root, second, "name")),
                    "the provider name \"%s\" is already taken on line %u", b->name,
                    provider_line(root, first, "name"));
    if (a->url && b->url && a->key_file && b->key_file && !strcmp(a->key_file, b->key_file) &&
        config_value_same_url(a->url, b->url)) {
        struct problem *problem = fault_at(loader, provider_line(root, second, "key_file"));

        problem_set(problem, "the same account (url and key_file) is already configured on line %u",
                    provider_line(root, first, "key_file"));
        problem_hint(problem, "an account has one budget and one ledger: configure it once");
    }
}

/* What only shows when everything is read. */
static void check_providers(struct loader *loader, const config_setting_t *root)
{
    struct config *config = loader->config;
    const config_setting_t *shop = config_setting_get_member(root, "shop");
    const char *wanted = config->default_provider;
    bool known = false;

    for (size_t i = 0; i < config->provider_count; i++) {
        const char *name = config->providers[i].name;

        /* A name that is itself at fault is no reason for a second fault. */
        known = known || !name || (wanted && !strcmp(name, wanted));
        for (size_t j = 0; j < i; j++)
            compare_providers(loader, root, j, i);
    }
    if (wanted && config->provider_count && !known)
        problem_set(fault_at(loader, line_of(config_setting_get_member(shop, "default_provider"))),
                    "default_provider is \"%s\", but no provider has that name", wanted);
    if (!wanted && !loader->faults->count) {
        config->default_provider = strdup(config->providers[0].name);
        loader->out_of_memory = loader->out_of_memory || !config->default_provider;
    }
}

/* Stable, and short lists only. */
static void sort_faults(struct config_faults *faults)
{
    for (size_t i = 1; i < faults->count; i++) {
        struct config_fault fault = faults->faults[i];
        size_t j = i;

        for (; j && faults->faults[j - 1].line > fault.line; j--)
            faults->faults[j] = faults->faults[j - 1];
        faults->faults[j] = fault;
    }
}

/* libconfig's own refusal: what our reading of the text lets pass, such as a name that stands
 * twice. */
static void tell_refused(struct loader *loader, const config_t *parsed)
{
    struct problem *problem = fault_at(loader, (unsigned)config_error_line(parsed));
    const char *text = config_error_text(parsed);

    if (text && !strcmp(text, "duplicate setting name"))
        problem_set(problem, "a setting on this line stands twice in its group");
    else
        problem_set(problem, "this line cannot be read: %s", text ? text : "syntax error");
}

static int load_parsed(struct loader *loader, const char *text)
{
    OWN(config_destroy) config_t parsed;
    const config_setting_t *root;

    config_init(&parsed);
    if (!config_read_string(&parsed, text)) {
        tell_refused(loader, &parsed);
        return loader->out_of_memory ? -ENOMEM : 1;
    }
    root = config_root_setting(&parsed);
    if (!config_setting_length(root)) {
        struct problem *problem = fault_at(loader, 0);

        problem_set(problem, "the file holds no setting");
        problem_hint(problem, "at least database.conninfo and one provider are needed");
        return loader->out_of_memory ? -ENOMEM : 1;
    }
    read_top(loader, root);
    take_state_directory(loader, root);
    check_providers(loader, root);
    sort_faults(loader->faults);
    if (loader->out_of_memory)
        return -ENOMEM;
    return loader->faults->count ? 1 : 0;
}

static int load_text(struct loader *loader, const char *text, size_t length)
{
    OWN(config_source_done) struct config_source source = {0};
    OWN(text_done) struct text whole = {0};
    struct config_fault fault;
    int r;

    if (strlen(text) != length) {
        problem_set(fault_at(loader, 0), "the file contains a NUL byte: it is no text");
        return loader->out_of_memory ? -ENOMEM : 1;
    }
    /* libconfig 1.5 takes a comment for one only when a line feed follows. */
    text_add_bytes(&whole, text, length);
    text_add_char(&whole, '\n');
    if (whole.failed)
        return -ENOMEM;
    r = config_source_read(text_string(&whole), &source, &fault);
    if (r > 0)
        *fault_at(loader, fault.line) = fault.problem;
    if (r)
        return loader->out_of_memory ? -ENOMEM : r;
    loader->source = &source;
    return load_parsed(loader, text_string(&whole));
}

int config_load_text(const char *text, size_t length, const char *path, struct config **ret_config,
                     struct config_faults *reterr_faults)
{
    OWN(config_freep) struct config *config = calloc(1, sizeof *config);
    OWN(config_faults_done) struct config_faults faults = {0};
    struct loader loader = {.config = config, .faults = &faults};
    int r;

    if (!config)
        return -ENOMEM;
    config->path = strdup(path);
    if (!config->path)
        return -ENOMEM;
    r = load_text(&loader, text, length);
    if (r > 0) {
        *reterr_faults = faults;
        faults = (struct config_faults){0};
    } else if (!r) {
        *ret_config = GIVE(config);
    }
    return r;
}

static void close_descriptor(const int *descriptor)
{
    if (*descriptor >= 0)
        close(*descriptor);
}

static void tell_unopened(const char *path, int error, struct problem *reterr_problem)
{
    if (error == ENOENT || error == ENOTDIR) {
        problem_set(reterr_problem, "there is no such file");
        problem_hint(reterr_problem, "--config FILE names another one");
    } else {
        problem_set(reterr_problem, "unable to read it: %s", strerror(error));
        if (error == EACCES)
            problem_hint(reterr_problem, "user id %u must be able to read it: see ls -l %.120s",
                         (unsigned)geteuid(), path);
    }
}

/* 0 with the text, 1 with the problem, negative errno. */
static int read_file(const char *path, struct text *ret_text, struct problem *reterr_problem)
{
    /* Without O_NONBLOCK the opening of a FIFO would wait for ever. */
    OWN(close_descriptor) int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat status;
    char bytes[8192];
    ssize_t count;

    if (file < 0 || fstat(file, &status) < 0) {
        tell_unopened(path, errno, reterr_problem);
        return 1;
    }
    if (!S_ISREG(status.st_mode)) {
        problem_set(reterr_problem, "it is %s, not a file",
                    S_ISDIR(status.st_mode) ? "a directory" : "a device or pipe");
        problem_hint(reterr_problem, "--config needs the path of the file itself");
        return 1;
    }
    while ((count = read(file, bytes, sizeof bytes)) > 0 && ret_text->length <= FILE_BYTES_MAX)
        text_add_bytes(ret_text, bytes, (size_t)count);
    if (count < 0) {
        tell_unopened(path, errno, reterr_problem);
        return 1;
    }
    if (ret_text->length > FILE_BYTES_MAX) {
        problem_set(reterr_problem, "it is larger than 1 MiB: that is no configuration");
        return 1;
    }
    return ret_text->failed ? -ENOMEM : 0;
}

int config_load(const char *path, struct config **ret_config, struct config_faults *reterr_faults)
{
    OWN(text_done) struct text text = {0};
    struct problem problem;
    int r = read_file(path, &text, &problem);

    if (r < 0)
        return r;
    if (r > 0) {
        struct config_fault *fault = calloc(1, sizeof *fault);
        if (!fault)
            return -ENOMEM;
        fault->problem = problem;
        *reterr_faults = (struct config_faults){.faults = fault, .count = 1};
        return 1;
    }
    return config_load_text(text_string(&text), text.length, path, ret_config, reterr_faults);
}

static void provider_done(struct provider_config *provider)
{
    free(provider->name);
    free(provider->url);
    free(provider->key_file);
    free(provider->ca_file);
    free(provider->low_balance);
    free(provider->max_charge_per_order);
    free(provider->max_spend_per_day);
}

void config_free(struct config *config)
{
    if (!config)
        return;
    for (size_t i = 0; i < config->provider_count; i++)
        provider_done(&config->providers[i]);
    free(config->providers);
    free(config->path);
    free(config->conninfo);
    free(config->wake_conninfo);
    free(config->pending_orders);
    free(config->write_back);
    free(config->wake_channel);
    free(config->default_provider);
    free(config->state_directory);
    free(config);
}

const struct provider_config *config_provider(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->provider_count; i++) {
        if (!strcmp(config->providers[i].name, name))
            return &config->providers[i];
    }
    return NULL;
}

bool config_same_account(const struct provider_config *a, const char *a_key,
                         const struct provider_config *b, const char *b_key,
                         struct problem *reterr_problem)
{
    if (!config_value_same_url(a->url, b->url) || strcmp(a_key, b_key) != 0)
        return false;
    problem_set(reterr_problem, "providers %s and %s are the same account: same url, same key",
                a->name, b->name);
    problem_hint(reterr_problem, "configure it once; a budget belongs to an account");
    return true;
}

void config_faults_done(struct config_faults *faults)
{
    free(faults->faults);
    *faults = (struct config_faults){0};
}

void config_fault_describe(const struct config_fault *fault, const char *path,
                           struct problem *ret_problem)
{
    char shown[256];

    text_one_line(shown, sizeof shown, path);
    if (fault->line)
        problem_set(ret_problem, "%s:%u: %s", shown, fault->line, fault->problem.text);
    else
        problem_set(ret_problem, "%s: %s", shown, fault->problem.text);
    problem_hint(ret_problem, "%s", fault->problem.hint);
}

void config_faults_print(const struct config_faults *faults, const char *path, FILE *stream)
{
    for (size_t i = 0; i < faults->count; i++) {
        struct problem problem;

        config_fault_describe(&faults->faults[i], path, &problem);
        fprintf(stream, "%s\n", problem.text);
        if (*problem.hint)
            fprintf(stream, "    HINT: %s\n", problem.hint);
    }
}
