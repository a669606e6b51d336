/*
 * host/clock.h - what time it is.
 */
#pragma once
#include <stdint.h>

#define US_PER_S INT64_C(1000000)
#define US_PER_MS INT64_C(1000)

int64_t clock_monotonic_us(void); /* CLOCK_MONOTONIC: for timers */
int64_t clock_boottime_us(void);  /* CLOCK_BOOTTIME: counts suspended time; for send_before */
int64_t clock_wall_us(void);      /* CLOCK_REALTIME: as files are stamped with it */
int64_t clock_wall_s(void);       /* likewise: for people and HTTP dates only */
uint32_t clock_random(void);      /* 32 random bits for jitter */
