#include "host/clock.h"
#include <sys/random.h>
#include <time.h>

static int64_t clock_us(clockid_t clock)
{
    struct timespec now = {0};

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * US_PER_S + now.tv_nsec / 1000;
}

int64_t clock_monotonic_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

int64_t clock_boottime_us(void)
{
    return clock_us(CLOCK_BOOTTIME);
}

int64_t clock_wall_us(void)
{
    return clock_us(CLOCK_REALTIME);
}

int64_t clock_wall_s(void)
{
    return clock_wall_us() / US_PER_S;
}

uint32_t clock_random(void)
{
    uint32_t random;

    /* Early in a boot the pool may not be ready; jitter needs no secrecy, and must not wait for it.
     */
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != (ssize_t)sizeof random)
        random = (uint32_t)((uint64_t)clock_monotonic_us() * UINT64_C(0x9E3779B97F4A7C15) >> 32);
    return random;
}
