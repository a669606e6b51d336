#include "commands/options.h"
#include <locale.h>
#include <string.h>

/* What could not be printed must not look done. */
static int end_with(enum exit_code code)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fputs("chwsyncd: unable to write the output\n", stderr);
        return EXIT_FINDING;
    }
    return (int)code;
}

int main(int argc, char *argv[])
{
    setlocale(LC_TIME, "");
    if (argc < 2) {
        command_print_overview(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        command_print_overview(stdout);
        return end_with(EXIT_DONE);
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("chwsyncd " CHWSYNCD_VERSION);
        return end_with(EXIT_DONE);
    }
    const struct command *command = command_find(argv[1]);
    if (!command)
        return EXIT_USAGE;
    struct arguments arguments;
    int parsed = command_parse(command, argc - 1, argv + 1, &arguments);
    if (parsed != 0)
        return parsed > 0 ? end_with(EXIT_DONE) : EXIT_USAGE;
    return end_with(command->function(&arguments));
}
