/* What is known of an order's end. */
#include "base/own.h"
#include "rules/hazard.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define HOUR 3600.0

static struct service_history history_of(double median_s, double variance)
{
    return (struct service_history){.mean = log(median_s), .variance = variance, .weight = 50};
}

static bool is_near(double wanted, double got)
{
    return fabs(got - wanted) <= 0.05 * fabs(wanted);
}

static void test_history_learns(void **state)
{
    struct service_history history;
    (void)state;
    service_history_init(&history);
    assert_true(is_near(6 * HOUR, service_history_left_s(&history, 0)));
    for (int i = 0; i < 300; i++)
        service_history_learn(&history, i % 2 ? HOUR : 1.2 * HOUR);
    assert_true(history.weight == 50);
    assert_true(is_near(1.095 * HOUR, service_history_left_s(&history, 0)));
    /* The variance never goes to nothing, and no life is shorter than half a minute. */
    assert_true(history.variance >= 0.04);
    for (int i = 0; i < 300; i++)
        service_history_learn(&history, 0);
    assert_true(is_near(30, service_history_left_s(&history, 0)));
}

/* Who has lived far beyond the usual will live on for about as long. */
static void test_left_grows_past_the_median(void **state)
{
    struct service_history history = history_of(HOUR, 1);
    double left_s = service_history_left_s(&history, HOUR);
    (void)state;
    assert_true(service_history_left_s(&history, 0.5 * HOUR) < HOUR);
    assert_true(service_history_left_s(&history, 10 * HOUR) > left_s);
    assert_true(service_history_left_s(&history, 10 * HOUR) < 10 * HOUR);
}

/* Half delivered in an hour: another hour. */
static void test_progress_outweighs_the_history(void **state)
{
    struct service_history history = history_of(100 * HOUR, 0.2);
    struct delivery delivery = {.quantity = 1000};
    struct progress progress;
    double hazard;
    (void)state;
    progress_init(&progress);
    assert_true(is_near(1.05 / (100 * HOUR), hazard_of(&progress, &delivery, &history, 0, 0)));
    for (int i = 1; i <= 60; i++)
        progress_observe(&progress, &delivery, i * 60, 1000 - i * 500.0 / 60, true);
    hazard = hazard_of(&progress, &delivery, &history, 0, HOUR);
    assert_in_range(1 / hazard, 3000, 6000);
    /* It stands still: believed for a quarter of the time, and longer the longer it lasts. */
    progress_observe(&progress, &delivery, 30 * HOUR, 500, true);
    assert_true(hazard_of(&progress, &delivery, &history, 0, 30 * HOUR) < hazard / 5);
}

static void test_what_proves_nothing(void **state)
{
    static const struct {
        const char *what;
        double quantity, remains;
        bool running;
    } cases[] = {
        {"no remains", 1000, -1, true},
        {"more than was ordered", 1000, 1001, true},
        {"of an unknown quantity", 0, 500, true},
        {"not begun", 1000, 500, false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct progress progress;
        struct delivery delivery = {.quantity = cases[i].quantity};
        progress_init(&progress);
        progress_observe(&progress, &delivery, HOUR, cases[i].remains, cases[i].running);
        assert_true(progress.rate == 0 && progress.last_moved_s < 0);
    }
}

/* A drip-feed does not end before its last run, however fast a run goes. */
static void test_timetable(void **state)
{
    struct service_history history = history_of(HOUR, 0.5);
    struct delivery delivery = {
        .quantity = 1000, .last_run_s = 40 * HOUR, .run_interval_s = 10 * HOUR};
    struct progress progress;
    (void)state;
    progress_init(&progress);
    progress_observe(&progress, &delivery, 600, 900, true);
    progress_observe(&progress, &delivery, 1200, 800, true);
    assert_true(1 / hazard_of(&progress, &delivery, &history, 0, 1200) > 5 * HOUR);
    delivery.last_run_s = 0;
    assert_true(1 / hazard_of(&progress, &delivery, &history, 0, 1200) < 2 * HOUR);
}

/* Nobody is forgotten: the background stands under every hazard. */
static void test_background(void **state)
{
    struct service_history history = history_of(1000 * HOUR, 0.5);
    struct delivery delivery = {.quantity = 1000};
    struct progress progress;
    (void)state;
    progress_init(&progress);
    assert_true(hazard_of(&progress, &delivery, &history, 1e-3, 0) > 5e-4);
}

/* Whatever it is told, it is a hazard. */
static void test_always_finite(void **state)
{
    static const double values[] = {-1, 0, 1, 1e3, 1e9, 1e18};
    struct service_history history;
    (void)state;
    service_history_init(&history);
    for (size_t i = 0; i < COUNT_OF(values); i++)
        for (size_t j = 0; j < COUNT_OF(values); j++)
            for (size_t k = 0; k < COUNT_OF(values); k++) {
                struct delivery delivery = {
                    .quantity = values[i], .last_run_s = values[k], .run_interval_s = values[j]};
                struct progress progress;
                double hazard;
                progress_init(&progress);
                progress_observe(&progress, &delivery, 10, values[j], true);
                progress_observe(&progress, &delivery, values[k], values[j] / 2, true);
                hazard = hazard_of(&progress, &delivery, &history, 0, values[k]);
                assert_true(isfinite(hazard) && hazard > 0);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_history_learns),
        cmocka_unit_test(test_left_grows_past_the_median),
        cmocka_unit_test(test_progress_outweighs_the_history),
        cmocka_unit_test(test_what_proves_nothing),
        cmocka_unit_test(test_timetable),
        cmocka_unit_test(test_background),
        cmocka_unit_test(test_always_finite),
    };
    return cmocka_run_group_tests_name("hazard", tests, NULL, NULL);
}
