#include "jobs/clock_watch.h"
#include "host/clock.h"
#include "host/crash_point.h"
#include "host/events.h"
#include "store/clocks.h"
#include <stdio.h>
#include <string.h>
#include <systemd/sd-id128.h>

#define LOOK_INTERVAL_US (60 * US_PER_S)
#define AGAIN_US US_PER_S
#define UNKNOWN_US (180 * US_PER_S) /* since another machine's look: longer than between two */

/* "90 s", "60 min", "26 h 3 min". */
static void say_span(char *ret_text, size_t size, int64_t span_us)
{
    int64_t seconds = ((span_us < 0 ? -span_us : span_us) + US_PER_S / 2) / US_PER_S;

    if (seconds < 300)
        snprintf(ret_text, size, "%lld s", (long long)seconds);
    else if (seconds < 6 * 3600)
        snprintf(ret_text, size, "%lld min", (long long)(seconds / 60));
    else
        snprintf(ret_text, size, "%lld h %lld min", (long long)(seconds / 3600),
                 (long long)(seconds / 60 % 60));
}

static void notice_step(struct clock_watch *watch, int64_t step_us, int64_t since_us,
                        const struct clock_look *look)
{
    struct log_entry entry = {.message_id = MESSAGE_CLOCK_SET,
                              .hint = "see to it that the database's machine keeps its time (NTP), "
                                      "in small steps"};
    char span[40];

    say_span(span, sizeof span, step_us);
    if (step_us < 0)
        log_write(LOG_LEVEL_WARNING, &entry,
                  "the database's clock was set back by %s: what waits there is moved along, so "
                  "that it waits no longer than it was to",
                  span);
    else
        log_write(LOG_LEVEL_WARNING, &entry,
                  "the database's clock was set forward by %s: what waits there is tried early, "
                  "and an instance that takes over sends nothing for 10 s",
                  span);
    watch->step_us = step_us;
    watch->since_us = since_us;
    watch->after = *look;
    if (step_us > 0)
        watch->on_forward(watch->userdata);
}

/* A step that waits to be moved along is not noticed again by later looks. */
static void compare(struct clock_watch *watch, const struct clock_look *look)
{
    int64_t step_us = watch->last.server_us ? clock_step_us(&watch->last, look) : 0;
    int64_t since_us = look->told_us - watch->last.asked_us;

    watch->last = *look;
    watch->workshop->server_s = look->server_us / US_PER_S;
    if (step_us)
        watch->workshop->clock_set_us = look->told_us;
    else if (!watch->step_us)
        watch->workshop->clock_seen_us = look->asked_us;
    if (step_us && watch->step_us) {
        watch->step_us += step_us;
        watch->since_us += since_us;
        watch->after = *look;
    } else if (step_us) {
        notice_step(watch, step_us, since_us, look);
    }
}

/* The first look of this run, and what was kept by others: of our boot, or else of any. */
static void compare_with_kept(struct clock_watch *watch, const PGresult *rows,
                              const struct clock_look *look)
{
    int64_t others_us = row_integer(rows, 0, CLOCKS_OTHERS_US, 0);

    if (row_text(rows, 0, CLOCKS_SEEN_US)) {
        watch->last = (struct clock_look){row_integer(rows, 0, CLOCKS_SEEN_US, 0),
                                          row_integer(rows, 0, CLOCKS_ASKED_US, 0),
                                          row_integer(rows, 0, CLOCKS_TOLD_US, 0)};
    } else if (others_us > look->server_us) {
        watch->last = (struct clock_look){others_us, look->told_us - UNKNOWN_US, look->told_us};
    }
    compare(watch, look);
}

static void failed(struct clock_watch *watch, const struct store_answer *answer)
{
    watch->next_us = watch->move_us = clock_monotonic_us() + AGAIN_US;
    if (answer->verdict == STORE_REFUSED)
        log_repeated(
            &watch->failed_log, LOG_LEVEL_ERROR,
            &(struct log_entry){.message_id = MESSAGE_LEDGER_FAILED, .sqlstate = answer->sqlstate},
            "unable to compare the database's clock: %s; next try in 1 s", answer->problem.text);
}

static void looked(void *userdata, const struct store_answer *answer)
{
    struct clock_watch *watch = userdata;
    struct clock_look look = {.asked_us = watch->asked_us, .told_us = clock_boottime_us()};

    watch->busy = false;
    if (answer->verdict != STORE_DONE) {
        failed(watch, answer);
        return;
    }
    if (log_recovered(&watch->failed_log))
        log_event(LOG_LEVEL_NOTICE, MESSAGE_LEDGER_WELL,
                  "the database's clock can be compared again");
    look.server_us = row_integer(answer->rows, 0, CLOCKS_NOW_US, 0);
    if (watch->last.server_us)
        compare(watch, &look);
    else
        compare_with_kept(watch, answer->rows, &look);
    watch->fresh = true;
}

static void look(struct clock_watch *watch, int64_t now_us)
{
    watch->next_us = now_us + LOOK_INTERVAL_US;
    watch->asked_us = clock_boottime_us();
    watch->busy = clocks_look(watch->workshop->lanes.ledger,
                              watch->boot[0] ? watch->boot : watch->workshop->instance,
                              watch->last.server_us ? &watch->last : NULL, looked, watch) == 0;
}

static void moved(void *userdata, const struct store_answer *answer)
{
    struct clock_watch *watch = userdata;

    watch->busy = false;
    if (answer->verdict != STORE_DONE) {
        failed(watch, answer);
        return;
    }
    CRASH_POINT("clock: moved");
    log_debug("what waits was moved along with the database's clock%s",
              row_boolean(answer->rows, 0, 0) ? "" : " by another instance");
    watch->step_us = 0;
    watch->workshop->clock_set_us = clock_boottime_us();
    watch->on_moved(watch->userdata);
}

static void move(struct clock_watch *watch, int64_t now_us)
{
    watch->move_us = now_us + AGAIN_US;
    watch->busy = clocks_move(watch->workshop->lanes.ledger, watch->workshop->instance,
                              watch->boot[0] ? watch->boot : watch->workshop->instance,
                              watch->step_us, watch->since_us, &watch->after, moved, watch) == 0;
}

void clock_watch_init(struct clock_watch *watch, struct workshop *workshop)
{
    sd_id128_t boot;

    *watch = (struct clock_watch){.workshop = workshop};
    if (sd_id128_get_boot(&boot) >= 0)
        snprintf(watch->boot, sizeof watch->boot, SD_ID128_UUID_FORMAT_STR,
                 SD_ID128_FORMAT_VAL(boot));
}

void clock_watch_wake(struct clock_watch *watch)
{
    watch->fresh = false;
    watch->next_us = 0;
}

void clock_watch_note(struct clock_watch *watch, const struct clock_look *look)
{
    /* While one is under way they may come in another order than they were made. */
    if (watch->last.server_us && !watch->busy)
        compare(watch, look);
}

bool clock_watch_is_settled(const struct clock_watch *watch)
{
    return watch->fresh && watch->step_us == 0;
}

int64_t clock_watch_work(struct clock_watch *watch, int64_t now_us)
{
    bool moves = watch->step_us && watch->fresh;

    if (watch->workshop->clock_doubtful) {
        watch->workshop->clock_doubtful = false;
        clock_watch_wake(watch);
    }
    if (watch->busy || !connection_is_up(watch->workshop->lanes.ledger))
        return INT64_MAX;
    if (moves && now_us >= watch->move_us)
        move(watch, now_us);
    else if (!moves && now_us >= watch->next_us)
        look(watch, now_us);
    if (watch->busy)
        return INT64_MAX;
    return moves ? watch->move_us : watch->next_us;
}
