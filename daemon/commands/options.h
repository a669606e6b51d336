/*
 * commands/options.h - the options of all commands: one table, from which parsing and --help
 * follow.
 *
 * A row says all of an option: its name and value, what --help tells of it, the commands it belongs
 * to, and where struct arguments keeps it.
 */
#pragma once
#include "commands/commands.h"

/* 0 = run it; 1 = help was printed; -1 = stderr tells what is wrong. argv[0] is the command's name.
 */
int command_parse(const struct command *command, int argc, char *argv[],
                  struct arguments *ret_arguments);
