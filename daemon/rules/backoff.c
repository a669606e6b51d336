#include "rules/backoff.h"

int64_t backoff_us(unsigned failures, int64_t first_us, int64_t longest_us, uint32_t random)
{
    int64_t wait_us = first_us < longest_us ? first_us : longest_us;
    for (; failures > 1 && wait_us < longest_us; failures--)
        wait_us = wait_us > longest_us / 2 ? longest_us : wait_us * 2;
    /* 128 bits, because a quarter of six hours times 32 random bits is past 64. */
    return wait_us - (int64_t)((unsigned __int128)(wait_us / 4) * random >> 32);
}
