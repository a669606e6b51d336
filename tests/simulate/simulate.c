/*
 * simulate.c - the daemon's rules on a virtual clock, against servers that count in five ways.
 *
 *   simulate            every experiment, as tables (minutes)
 *   simulate --short    the bars that the rules must meet, as TAP (half a minute)
 */
#include "run.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct scenario scenarios[] = {
    {"basic-200", 60, 5000, 200, 0, 300, 4 * DAY_S, 1, 5, 6, 0.34, 500},
    {"basic-5k", 60, 5000, 5000, 0, 6 * 3600, 7 * DAY_S, 1, 5, 6, 1, 500},
    {"basic-50k", 60, 5000, 50000, 1200, 6 * 3600, 7 * DAY_S, 0, 3, 4, 0.5, 500},
    {"pro-200", 600, 100000, 200, 0, 300, 4 * DAY_S, 1, 3, 3.5, 0.34, 500},
    {"pro-5k", 600, 100000, 5000, 0, 300, 4 * DAY_S, 1, 3, 3.5, 2, 500},
    {"pro-50k", 600, 100000, 50000, 0, 300, 4 * DAY_S, 0.5, 2.5, 3, 6, 500},
};
#define SCENARIOS (sizeof scenarios / sizeof scenarios[0])

static struct scenario scenario_named(const char *name)
{
    for (size_t i = 0; i < SCENARIOS; i++)
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

/* ---- tables ---- */

static void print_head(const char *title)
{
    printf("\n%s\n%-30s %8s %8s %8s %8s %8s %8s %8s %8s %8s %7s %7s\n", title, "", "delay s",
           "half", "95 %", "99 %", "add half", "add 99%", "drained", "stale s", "refused", "budget",
           "open");
}

static void print_row(const char *name, const struct run_result *result)
{
    printf("%-30s %8.2f %8.2f %8.1f %8.1f %8.2f %8.2f %8.1f %8.1f %8u %6.1f%% %7.0f\n", name,
           result->delay_s, result->delay_half_s, result->delay_95_s, result->delay_99_s,
           result->add_half_s, result->add_99_s, result->drained_s, result->stale_s,
           result->refused, 100 * result->used, result->open);
    fflush(stdout);
}

static void print_policies(unsigned seed)
{
    char title[100];

    snprintf(title, sizeof title, "Policies, sliding log, seed %u", seed);
    print_head(title);
    for (size_t i = 0; i < SCENARIOS; i++) {
        struct run_result robin =
            run_one(&scenarios[i], seed,
                    (struct run_options){.policy = POLICY_ROUND_ROBIN, .model = COUNT_LOG});
        struct run_result daemon =
            run_one(&scenarios[i], seed, (struct run_options){.model = COUNT_LOG});
        char name[60];

        snprintf(name, sizeof name, "%s round robin", scenarios[i].name);
        print_row(name, &robin);
        snprintf(name, sizeof name, "%s chwsyncd", scenarios[i].name);
        print_row(name, &daemon);
        printf("%-30s delay %.3f, 95 %% %.3f, stale %.2f of round robin; it says %.2f s planned, "
               "%.2f s measured; %u polls in the slowest drain\n",
               "", daemon.delay_s / robin.delay_s, daemon.delay_95_s / robin.delay_95_s,
               daemon.stale_s / robin.stale_s, daemon.planned_s, daemon.measured_s,
               daemon.drain_polls);
    }
}

static void print_models(void)
{
    static const char *const names[] = {"basic-200", "basic-5k", "pro-5k"};

    print_head("Ways of counting");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        for (int model = 0; model < COUNT_MODELS; model++)
            for (unsigned seed = 1; seed <= 2; seed++) {
                struct scenario scenario = scenario_named(names[i]);
                struct run_options options = {.model = (enum count_model)model};
                struct run_result result = run_one(&scenario, seed, options);
                char name[60];

                snprintf(name, sizeof name, "%s %s, seed %u", names[i], count_model_names[model],
                         seed);
                print_row(name, &result);
            }
}

static const struct experiment {
    const char *name, *scenario;
    struct run_options options;
} experiments[] = {
    {"bucket of 3", "basic-5k", {.model = COUNT_BUCKET, .capacity = 3}},
    {"known calendar day", "basic-200", {.model = COUNT_FIXED, .calendar = true}},
    {"known calendar day", "basic-5k", {.model = COUNT_FIXED, .calendar = true}},
    {"nothing known of services", "basic-5k", {.model = COUNT_LOG, .cold = true}},
    {"nothing known of services", "pro-5k", {.model = COUNT_LOG, .cold = true}},
    {"half the minute, deaf", "basic-5k", {.model = COUNT_LOG, .server_minute = 30, .deaf = true}},
    {"half the minute", "basic-5k", {.model = COUNT_LOG, .server_minute = 30}},
    {"half the minute, number told",
     "basic-5k",
     {.model = COUNT_LOG, .server_minute = 30, .says_limit = true}},
    {"half the day, deaf", "basic-200", {.model = COUNT_LOG, .server_day = 2500, .deaf = true}},
    {"half the day", "basic-200", {.model = COUNT_LOG, .server_day = 2500}},
    {"half the day, fixed", "basic-200", {.model = COUNT_FIXED, .server_day = 2500}},
    {"half the day, number told",
     "basic-200",
     {.model = COUNT_LOG, .server_day = 2500, .says_limit = true}},
    {"burst 60, bucket of 10, deaf",
     "basic-5k",
     {.model = COUNT_BUCKET, .capacity = 10, .burst = 60, .deaf = true}},
    {"burst 60, bucket of 10", "basic-5k", {.model = COUNT_BUCKET, .capacity = 10, .burst = 60}},
    {"a tenth, rejects count, deaf",
     "pro-5k",
     {.model = COUNT_REJECTS, .server_minute = 60, .deaf = true}},
    {"a tenth, rejects count", "pro-5k", {.model = COUNT_REJECTS, .server_minute = 60}},
    {"a tenth, rejects count, told",
     "pro-5k",
     {.model = COUNT_REJECTS, .server_minute = 60, .says_limit = true}},
};

static void print_experiments(void)
{
    print_head("Wrong and unknown limits, and what else may be");
    for (size_t i = 0; i < sizeof experiments / sizeof experiments[0]; i++) {
        struct scenario scenario = scenario_named(experiments[i].scenario);
        struct run_result result = run_one(&scenario, 1, experiments[i].options);
        char name[100];

        snprintf(name, sizeof name, "%s %s", experiments[i].scenario, experiments[i].name);
        print_row(name, &result);
    }
}

/* ---- bars ---- */

struct tap {
    unsigned count, failed;
};

__attribute__((format(printf, 3, 4))) static void tap(struct tap *tap, bool passed,
                                                      const char *format, ...)
{
    va_list arguments;

    printf("%sok %u - ", passed ? "" : "not ", ++tap->count);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
    tap->failed += !passed;
}

static void check_delay(struct tap *out, struct scenario scenario, unsigned seed, double most,
                        double most_95)
{
    struct run_result robin = run_one(
        &scenario, seed, (struct run_options){.policy = POLICY_ROUND_ROBIN, .model = COUNT_LOG});
    struct run_result daemon = run_one(&scenario, seed, (struct run_options){.model = COUNT_LOG});

    tap(out, daemon.delay_s <= most * robin.delay_s,
        "%s, seed %u: final states known after %.2f s on average, %.3f of round robin's %.2f s (at "
        "most %.2f)",
        scenario.name, seed, daemon.delay_s, daemon.delay_s / robin.delay_s, robin.delay_s, most);
    tap(out, daemon.delay_95_s <= most_95 * robin.delay_95_s,
        "%s, seed %u: 95 %% of them within %.1f s, %.3f of %.1f s (at most %.2f)", scenario.name,
        seed, daemon.delay_95_s, daemon.delay_95_s / robin.delay_95_s, robin.delay_95_s, most_95);
    tap(out, daemon.stale_s <= 1.5 * robin.stale_s,
        "%s, seed %u: what is known of open orders is %.2f times as old", scenario.name, seed,
        daemon.stale_s / robin.stale_s);
    tap(out, daemon.refused + robin.refused == 0 && daemon.short_batches == 0,
        "%s, seed %u: no refusal, no batch that was not full", scenario.name, seed);
}

/* Five days, a burst of 500 on each. */
static void check_limiters(struct tap *out)
{
    struct scenario scenario = scenario_named("basic-5k");

    scenario.from_day = 0;
    for (int model = 0; model < COUNT_MODELS; model++)
        for (unsigned i = 0; i < (model == COUNT_BUCKET ? 2 : 1); i++) {
            struct run_options options = {.model = (enum count_model)model,
                                          .capacity = i > 0 ? 3 : 0};
            struct run_result result = run_one(&scenario, 7, options);

            tap(out, result.refused == 0,
                "%s%s: %u refusals in five days with a burst of 500 on each",
                count_model_names[model], i > 0 ? " of 3" : "", result.refused);
            tap(out, result.drained_s <= 510 && result.drained_s > 0 && result.drain_polls > 0,
                "%s%s: the slowest burst of 500 was bought after %.1f s, %u polls meanwhile",
                count_model_names[model], i > 0 ? " of 3" : "", result.drained_s,
                result.drain_polls);
        }
}

static void check_budget(struct tap *out)
{
    struct scenario scenario = scenario_named("basic-5k");
    struct run_result calendar =
        run_one(&scenario, 3, (struct run_options){.model = COUNT_FIXED, .calendar = true});
    struct run_result rolling = run_one(&scenario, 3, (struct run_options){.model = COUNT_LOG});

    tap(out, calendar.used >= 0.99 && calendar.refused == 0,
        "a known calendar day is used up to %.2f %%, %u refusals", 100 * calendar.used,
        calendar.refused);
    tap(out, rolling.used >= 0.855, "a rolling day is used up to %.1f %%", 100 * rolling.used);
    scenario.bursts_a_day = 0;
    scenario.open = 200;
    scenario.shortest_s = 300;
    rolling = run_one(&scenario, 3, (struct run_options){.model = COUNT_LOG});
    tap(out, rolling.add_99_s <= 1.5,
        "without a backlog 99 %% of the adds are answered within %.2f s", rolling.add_99_s);
}

static void check_learning(struct tap *out)
{
    static const struct {
        const char *name;
        unsigned most;
    } bars[] = {{"half the minute", 50},
                {"half the minute, number told", 1},
                {"half the day", 3},
                {"half the day, number told", 1}};

    for (size_t i = 0; i < sizeof bars / sizeof bars[0]; i++)
        for (size_t j = 0; j < sizeof experiments / sizeof experiments[0]; j++)
            if (strcmp(experiments[j].name, bars[i].name) == 0) {
                struct scenario scenario = scenario_named(experiments[j].scenario);
                struct run_result result = run_one(&scenario, 1, experiments[j].options);

                tap(out, result.refused <= bars[i].most, "%s: %u refusals in six days (at most %u)",
                    bars[i].name, result.refused, bars[i].most);
            }
}

static int check_bars(void)
{
    struct tap out = {0};
    struct scenario fast = scenario_named("pro-5k"), large = scenario_named("pro-50k");

    check_limiters(&out);
    check_delay(&out, scenario_named("basic-200"), 1, 0.40, 0.40);
    check_delay(&out, scenario_named("basic-5k"), 1, 0.30, 0.40);
    fast.from_day = 0.25;
    fast.to_day = 0.6;
    fast.until_day = 0.75;
    check_delay(&out, fast, 1, 0.20, 0.40);
    large.from_day = 0.25;
    large.to_day = 0.4;
    large.until_day = 0.5;
    check_delay(&out, large, 1, 0.20, 0.40);
    check_budget(&out);
    check_learning(&out);
    printf("1..%u\n", out.count);
    return out.failed > 0;
}

int main(int argc, char *argv[])
{
    if (argc > 1 && strcmp(argv[1], "--short") == 0)
        return check_bars();
    for (unsigned seed = 1; seed <= 2; seed++)
        print_policies(seed);
    print_models();
    print_experiments();
    return 0;
}
