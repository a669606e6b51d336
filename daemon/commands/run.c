#include "commands/commands.h"
#include "engine/engine.h"
#include "host/credentials.h"
#include "host/events.h"
#include "host/log.h"
#include <string.h>

static enum exit_code run(struct engine *engine)
{
    int end = engine_run(engine);

    if (end < 0) {
        log_event(LOG_LEVEL_ERROR, MESSAGE_GAVE_UP, "unable to go on: %s", strerror(-end));
        return EXIT_FINDING;
    }
    switch ((enum engine_end)end) {
    case ENGINE_STOPPED:
        log_event(LOG_LEVEL_NOTICE, MESSAGE_STOPPED, "stopped: everything is recorded");
        return EXIT_DONE;
    case ENGINE_STOPPED_LATE:
        return EXIT_FINDING;
    case ENGINE_SCHEMA_NEWER:
        return EXIT_CONFIGURATION;
    }
    return EXIT_FINDING;
}

enum exit_code command_run(const struct arguments *arguments)
{
    struct engine *engine = NULL;
    struct problem problem = {0};
    enum exit_code code;
    int r;

    /* Until the configuration says otherwise. */
    log_open(LOG_LEVEL_INFO, LOG_TARGET_AUTO);
    r = engine_new(arguments->config_path, credentials_directory(arguments->credentials_dir),
                   &engine, &problem);
    if (r < 0) {
        log_event(LOG_LEVEL_ERROR, MESSAGE_START_FAILED, "unable to start: %s", strerror(-r));
        return EXIT_FINDING;
    }
    if (r != ENGINE_READY) {
        log_write(LOG_LEVEL_ERROR,
                  &(struct log_entry){.message_id = MESSAGE_START_FAILED, .hint = problem.hint},
                  "unable to start: %s", problem.text);
        return r == ENGINE_NO_PERMISSION ? EXIT_PERMISSION : EXIT_CONFIGURATION;
    }
    code = run(engine);
    engine_free(engine);
    return code;
}
