/*
 * host/notify.h - what systemd is told: READY, RELOADING, STOPPING, STATUS, WATCHDOG. Nothing
 * without $NOTIFY_SOCKET.
 */
#pragma once
#include <stdint.h>

void notify_ready(void);
void notify_reloading(
    void); /* with MONOTONIC_USEC; notify_ready() must follow, whatever the verdict */
void notify_stopping(void);
void notify_status(const char *status); /* one line; repeated texts are not sent again */
void notify_extend_timeout(int64_t us);
void notify_watchdog(void);
/* Half of $WATCHDOG_USEC when it is meant for this process, else 0. */
int64_t notify_watchdog_interval_us(void);
