#include "commands/commands.h"
enum exit_code command_check(const struct arguments *arguments)
{
    (void)arguments;
    return EXIT_DONE;
}
