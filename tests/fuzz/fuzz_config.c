/*
 * Any bytes as a configuration file: never a crash or a leak, and either a whole configuration or
 * at least one fault. What our reading of the text accepts, libconfig must accept too, but for two
 * rules that are left to it.
 */
#include "host/config.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at(const struct config_fault *fault)
{
    if (!*fault->problem.text)
        abort();
    if (strstr(fault->problem.text, "cannot be read") && !strstr(fault->problem.text, "array"))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config *config = NULL;
    struct config_faults faults = {0};
    char *text = malloc(size + 1);
    int r;

    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    r = config_load_text(text, size, "fuzz", &config, &faults);
    if (r < 0 || (r == 0) != (config != NULL) || (r == 1) != (faults.count > 0))
        abort();
    for (size_t i = 0; i < faults.count; i++)
        look_at(&faults.faults[i]);
    if (config && (!config->conninfo || !config_provider(config, config->default_provider)))
        abort();
    config_free(config);
    config_faults_done(&faults);
    free(text);
    return 0;
}
