/*
 * simulate.c - the daemon's rules on a virtual clock, against servers that count in five ways.
 *
 *   simulate            every scenario, several seeds, other policies on the same traces (minutes)
 *   simulate --short    the same bars on less (half a minute)
 *
 * Prints TAP: each line names the bar, what was measured and what is allowed; tables are comments.
 */
#include "run.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static const struct scenario scenarios[] = {
    {"basic-200", 60, 5000, 200, 0, 300, 4 * DAY_S, 1, 5, 6, 0.34, 500},
    {"basic-5k", 60, 5000, 5000, 0, 6 * 3600, 7 * DAY_S, 1, 5, 6, 1, 500},
    {"basic-50k", 60, 5000, 50000, 1200, 6 * 3600, 7 * DAY_S, 0, 3, 4, 0.5, 500},
    {"pro-200", 600, 100000, 200, 0, 300, 4 * DAY_S, 1, 3, 3.5, 0.34, 500},
    {"pro-5k", 600, 100000, 5000, 0, 300, 4 * DAY_S, 1, 3, 3.5, 2, 500},
    {"pro-50k", 600, 100000, 50000, 0, 300, 4 * DAY_S, 0.5, 2.5, 3, 6, 500},
};

static struct scenario scenario_named(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(scenarios); i++)
        if (strcmp(scenarios[i].name, name) == 0)
            return scenarios[i];
    abort();
}

static struct run_result run_one(const struct scenario *scenario, unsigned seed,
                                 struct run_options options)
{
    struct world world;
    struct run_result result;

    world_make(&world, scenario, seed);
    options.seed = seed;
    run_world(&world, &options, &result);
    world_done(&world);
    return result;
}

/* ---- what is printed ---- */

struct tap {
    unsigned count, failed;
};

/* A measured value against its bar. */
__attribute__((format(printf, 4, 5))) static void bar(struct tap *tap, unsigned number, bool passed,
                                                      const char *format, ...)
{
    va_list arguments;

    printf("%sok %u - bar %u: ", passed ? "" : "not ", ++tap->count, number);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
    tap->failed += !passed;
}

static void print_head(const char *title)
{
    printf("#\n# %s\n# %-36s %8s %8s %8s %8s %8s %8s %8s %8s %8s %7s %7s\n", title, "", "delay s",
           "half", "95 %", "99 %", "add half", "add 99%", "drained", "stale s", "refused", "budget",
           "open");
}

static void print_row(const char *name, const struct run_result *result)
{
    printf("# %-36s %8.2f %8.2f %8.1f %8.1f %8.2f %8.2f %8.1f %8.1f %8u %6.1f%% %7.0f\n", name,
           result->delay_s, result->delay_half_s, result->delay_95_s, result->delay_99_s,
           result->add_half_s, result->add_99_s, result->drained_s, result->stale_s,
           result->refused, 100 * result->used, result->open);
    fflush(stdout);
}

static struct run_result print_run(const char *what, const struct scenario *scenario, unsigned seed,
                                   struct run_options options)
{
    struct run_result result = run_one(scenario, seed, options);
    char name[100];

    snprintf(name, sizeof name, "%s %s, seed %u", scenario->name, what, seed);
    print_row(name, &result);
    return result;
}

/* ---- the same traces under other policies ---- */

/* The bars of a scenario; 0 = none. `short_*`: the days of the short form. */
static const struct trial {
    const char *scenario;
    double delay, delay_95; /* of round robin's */
    double clairvoyant;     /* times its delay */
    unsigned seeds;
    double short_from, short_to, short_until;
    bool short_perfect;
} trials[] = {
    {"basic-200", 0.40, 0.40, 0, 4, 1, 5, 6, true},
    {"basic-5k", 0.30, 0.40, 0, 4, 1, 5, 6, false},
    {"pro-5k", 0.20, 0.40, 0, 4, 0.25, 0.6, 0.75, false},
    {"pro-50k", 0.20, 0.40, 0, 2, 0.25, 0.4, 0.5, false},
    {"pro-200", 0, 0, 4, 1, 0, 0, 0, false},
    {"basic-50k", 0, 0, 0, 2, 0, 0, 0, false},
};

static struct run_result try_policy(const char *what, const struct scenario *scenario,
                                    unsigned seed, enum policy policy)
{
    return print_run(what, scenario, seed,
                     (struct run_options){.policy = policy, .model = COUNT_LOG});
}

static void compare_with_round_robin(struct tap *out, const struct trial *trial, unsigned seed,
                                     const struct run_result *daemon,
                                     const struct run_result *robin)
{
    double delay = daemon->delay_s / robin->delay_s,
           delay_95 = daemon->delay_95_s / robin->delay_95_s,
           stale = daemon->stale_s / robin->stale_s;

    if (trial->delay > 0) {
        bar(out, 3, delay <= trial->delay,
            "%s, seed %u: final states are known after %.2f s, %.3f of paced round robin (<= %.2f)",
            trial->scenario, seed, daemon->delay_s, delay, trial->delay);
        bar(out, 3, delay_95 <= trial->delay_95,
            "%s, seed %u: 95 %% of them within %.1f s, %.3f of round robin (<= %.2f)",
            trial->scenario, seed, daemon->delay_95_s, delay_95, trial->delay_95);
    }
    bar(out, 6, stale <= 1.5,
        "%s, seed %u: what is known of open orders is %.2f times as old as by round robin (<= 1.5)",
        trial->scenario, seed, stale);
    bar(out, 9, daemon->short_batches == 0,
        "%s, seed %u: of %u batches %u were not full (0); %.1f ids in each", trial->scenario, seed,
        daemon->polls, daemon->short_batches, daemon->ids_a_batch);
}

static void compare_with_others(struct tap *out, const struct trial *trial,
                                const struct scenario *scenario, unsigned seed, bool perfect,
                                const struct run_result *daemon)
{
    struct run_result other = try_policy("one price", scenario, seed, POLICY_REFERENCE);

    bar(out, 4, daemon->delay_s <= 1.25 * other.delay_s,
        "%s, seed %u: %.3f of the delay with one price and stamps (<= 1.25)", trial->scenario, seed,
        daemon->delay_s / other.delay_s);
    if (perfect) {
        other = try_policy("... ends foretold", scenario, seed, POLICY_PERFECT);
        bar(out, 4, daemon->delay_s <= 2.5 * other.delay_s,
            "%s, seed %u: %.3f of the delay when natural ends are foretold (<= 2.5)",
            trial->scenario, seed, daemon->delay_s / other.delay_s);
    }
    if (perfect && trial->clairvoyant > 0) {
        other = try_policy("clairvoyant", scenario, seed, POLICY_CLAIRVOYANT);
        bar(out, 4, daemon->delay_s <= trial->clairvoyant * other.delay_s,
            "%s, seed %u: %.3f of the delay of clairvoyance (<= %.1f)", trial->scenario, seed,
            daemon->delay_s / other.delay_s, trial->clairvoyant);
    }
}

static void check_trial(struct tap *out, const struct trial *trial, unsigned seed, bool whole)
{
    struct scenario scenario = scenario_named(trial->scenario);
    struct run_result daemon, robin;

    if (!whole) {
        scenario.from_day = trial->short_from;
        scenario.to_day = trial->short_to;
        scenario.until_day = trial->short_until;
    }
    robin = try_policy("round robin", &scenario, seed, POLICY_ROUND_ROBIN);
    daemon = try_policy("chwsyncd", &scenario, seed, POLICY_DAEMON);
    printf(
        "# %-36s planned %.2f s, measured %.2f s by its own account; %.0f µs of processor time a "
        "batch\n",
        "", daemon.planned_s, daemon.measured_s,
        daemon.polls > 0 ? 1e6 * daemon.work_s / daemon.polls : 0);
    bar(out, 1, daemon.refused + robin.refused == 0, "%s, seed %u: %u refusals (0)",
        trial->scenario, seed, daemon.refused);
    compare_with_round_robin(out, trial, seed, &daemon, &robin);
    compare_with_others(out, trial, &scenario, seed, whole || trial->short_perfect, &daemon);
}

static void check_trials(struct tap *out, bool whole)
{
    print_head("Other policies on the same traces, sliding log");
    for (size_t i = 0; i < COUNT_OF(trials); i++)
        for (unsigned seed = 1; seed <= (whole ? trials[i].seeds : 1); seed++)
            if (whole || trials[i].short_until > 0)
                check_trial(out, &trials[i], seed, whole);
}

/* ---- servers that count otherwise ---- */

/* Five days, a burst of 500 on each; the bucket also with room for no more than three. */
static void check_limiter(struct tap *out, const char *name, enum count_model model,
                          double capacity)
{
    struct scenario scenario = scenario_named(name);
    struct run_options options = {.model = model, .capacity = capacity};
    struct run_result result;
    char what[60];

    scenario.from_day = 0;
    scenario.to_day = scenario.until_day = 5;
    scenario.bursts_a_day = 1;
    snprintf(what, sizeof what, "%s", count_model_names[model]);
    if (capacity > 0)
        snprintf(what, sizeof what, "%s of %.0f", count_model_names[model], capacity);
    result = print_run(what, &scenario, 7, options);
    bar(out, 1, result.refused == 0, "%s, %s: %u refusals in five days, a burst of 500 on each (0)",
        name, what, result.refused);
    if (scenario.per_minute == 60)
        bar(out, 2, result.drained_s <= 510 && result.drained_s > 0 && result.drain_polls > 0,
            "%s, %s: the slowest burst of 500 was bought after %.1f s (<= 510), %u polls meanwhile "
            "(> 0)",
            name, what, result.drained_s, result.drain_polls);
}

static void check_limiters(struct tap *out, bool whole)
{
    static const char *const names[] = {"basic-5k", "basic-200", "pro-5k"};

    print_head("Ways of counting");
    for (size_t i = 0; i < (whole ? COUNT_OF(names) : 1); i++) {
        for (int model = 0; model < COUNT_MODELS; model++)
            check_limiter(out, names[i], (enum count_model)model, 0);
        /* Also one with hardly any room. At 600 a minute four that leave evenly can come within 75
         * ms, as ways differ by 225 ms: three would not do for anybody. */
        check_limiter(out, names[i], COUNT_BUCKET,
                      scenario_named(names[i]).per_minute > 60 ? 4 : 3);
    }
}

/* ---- the day's use; no backlog ---- */

static void check_budget(struct tap *out)
{
    struct scenario scenario = scenario_named("basic-5k");
    double reserve = 1.25 * scenario.burst / scenario.per_day;
    struct run_result result;

    print_head("Use of the day");
    result = print_run("known calendar day", &scenario, 3,
                       (struct run_options){.model = COUNT_FIXED, .calendar = true});
    bar(out, 5, result.used >= 0.99 && result.refused == 0,
        "a calendar day that is known is used up to %.2f %% (>= 99), %u refusals (0)",
        100 * result.used, result.refused);
    result = print_run("rolling", &scenario, 3, (struct run_options){.model = COUNT_LOG});
    bar(out, 5, result.used >= 1 - reserve - 0.02, "a rolling day is used up to %.1f %% (>= %.1f)",
        100 * result.used, 100 * (1 - reserve - 0.02));
    scenario.bursts_a_day = 0;
    scenario.open = 200;
    scenario.shortest_s = 300;
    result = print_run("without bursts", &scenario, 3, (struct run_options){.model = COUNT_LOG});
    bar(out, 2, result.add_99_s <= 1.5,
        "without a backlog 99 %% of the adds are answered within %.2f s (<= 1 s and the way)",
        result.add_99_s);
}

/* ---- wrong limits, and what else may be ---- */

static const struct experiment {
    const char *name, *scenario;
    unsigned most; /* refusals; 0 = no bar */
    struct run_options options;
} experiments[] = {
    {"bucket of 3", "basic-5k", 0, {.model = COUNT_BUCKET, .capacity = 3}},
    {"known calendar day", "basic-200", 0, {.model = COUNT_FIXED, .calendar = true}},
    {"known calendar day", "basic-5k", 0, {.model = COUNT_FIXED, .calendar = true}},
    {"nothing known of services", "basic-5k", 0, {.model = COUNT_LOG, .cold = true}},
    {"nothing known of services", "pro-5k", 0, {.model = COUNT_LOG, .cold = true}},
    {"half the minute, deaf",
     "basic-5k",
     0,
     {.model = COUNT_LOG, .server_minute = 30, .deaf = true}},
    {"half the minute", "basic-5k", 50, {.model = COUNT_LOG, .server_minute = 30}},
    {"half the minute, number told",
     "basic-5k",
     1,
     {.model = COUNT_LOG, .server_minute = 30, .says_limit = true}},
    {"half the day, deaf", "basic-200", 0, {.model = COUNT_LOG, .server_day = 2500, .deaf = true}},
    {"half the day", "basic-200", 3, {.model = COUNT_LOG, .server_day = 2500}},
    {"half the day, fixed", "basic-200", 3, {.model = COUNT_FIXED, .server_day = 2500}},
    {"half the day, number told",
     "basic-200",
     1,
     {.model = COUNT_LOG, .server_day = 2500, .says_limit = true}},
    {"burst 60, bucket of 10, deaf",
     "basic-5k",
     0,
     {.model = COUNT_BUCKET, .capacity = 10, .burst = 60, .deaf = true}},
    {"burst 60, bucket of 10", "basic-5k", 0, {.model = COUNT_BUCKET, .capacity = 10, .burst = 60}},
    {"a tenth, rejects count, deaf",
     "pro-5k",
     0,
     {.model = COUNT_REJECTS, .server_minute = 60, .deaf = true}},
    {"a tenth, rejects count", "pro-5k", 0, {.model = COUNT_REJECTS, .server_minute = 60}},
    {"a tenth, rejects count, told",
     "pro-5k",
     0,
     {.model = COUNT_REJECTS, .server_minute = 60, .says_limit = true}},
};

/* Five days. In the short form only those that have a bar. */
static void check_experiments(struct tap *out, bool whole)
{
    print_head("Wrong and unknown limits, and what else may be");
    for (size_t i = 0; i < COUNT_OF(experiments); i++) {
        const struct experiment *experiment = &experiments[i];
        struct scenario scenario = scenario_named(experiment->scenario);
        struct run_result result;

        if (!whole && experiment->most == 0)
            continue;
        if (experiment->most > 0)
            scenario.to_day = scenario.until_day = 5;
        result = print_run(experiment->name, &scenario, 1, experiment->options);
        if (experiment->most > 0)
            bar(out, 7, result.refused <= experiment->most,
                "%s, %s: %u refusals in five days (<= %u)", experiment->scenario, experiment->name,
                result.refused, experiment->most);
    }
}

int main(int argc, char *argv[])
{
    bool whole = argc < 2 || strcmp(argv[1], "--short") != 0;
    struct tap out = {0};

    check_limiters(&out, whole);
    check_trials(&out, whole);
    check_budget(&out);
    check_experiments(&out, whole);
    printf("# bar 8, the processor time of a batch in the database, is tests/bench/schedule's\n");
    printf("1..%u\n", out.count);
    return out.failed > 0;
}
