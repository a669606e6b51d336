#include "host/crash_point.h"

#ifdef CHW_CRASH_POINTS
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How often the named place was reached: a test build's, so the one variable of file scope harms
 * nobody. */
static long reached;

bool crash_is_due(const char *name)
{
    const char *wanted = getenv("CHW_CRASH_POINT");
    size_t length = strlen(name);

    if (!wanted || strncmp(wanted, name, length) != 0 || wanted[length] != ':')
        return false;
    return ++reached == atol(wanted + length + 1);
}

void crash_now(void)
{
    const char *wanted = getenv("CHW_CRASH_POINT");
    bool stop = wanted && strstr(wanted, ":stop");

    kill(getpid(), stop ? SIGSTOP : SIGKILL);
}

void crash_point(const char *name)
{
    if (crash_is_due(name))
        crash_now();
}
#endif
