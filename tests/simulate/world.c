#include "world.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PI 3.14159265358979
#define SAMPLES 60000
#define LONGEST_S (14 * DAY_S)

/* xorshift64* */
static uint64_t chance_draw(struct chance *chance)
{
    chance->state ^= chance->state >> 12;
    chance->state ^= chance->state << 25;
    chance->state ^= chance->state >> 27;
    return chance->state * UINT64_C(2685821657736338717);
}

double chance_share(struct chance *chance)
{
    return ((double)(chance_draw(chance) >> 12) + 0.5) / 4503599627370496.0;
}

unsigned chance_below(struct chance *chance, unsigned count)
{
    return (unsigned)(chance_draw(chance) >> 33) % count;
}

static double chance_normal(struct chance *chance)
{
    double radius = sqrt(-2 * log(chance_share(chance)));

    return radius * cos(2 * PI * chance_share(chance));
}

static double chance_wait(struct chance *chance, double a_day)
{
    return -log(chance_share(chance)) * DAY_S / a_day;
}

/* 6 % are spread over several runs. */
static double make_drip_feed(struct fact *fact, double life_s, struct chance *chance)
{
    fact->runs = 3 + chance_below(chance, 10);
    fact->interval_s =
        (float)fmax(300, 60 * floor((life_s - fact->waits_s) / (fact->runs - 0.5) / 60));
    fact->run_s = (float)(fact->interval_s * (0.15 + 0.5 * chance_share(chance)));
    return fact->waits_s + (double)(fact->runs - 1) * fact->interval_s + fact->run_s;
}

static void make_delivery(struct fact *fact, struct chance *chance)
{
    double weights[SEGMENTS], sum = 0, moved = 0;

    for (size_t i = 0; i < SEGMENTS; i++)
        sum += weights[i] = exp(0.5 * chance_normal(chance));
    for (size_t i = 0; i < SEGMENTS; i++)
        fact->moved[i] = (float)(moved += weights[i] / sum);
    fact->moved[SEGMENTS - 1] = 1;
}

/* 3.5 % are cancelled or left partial at any time, 1.5 % get stuck and are closed some day later.
 */
static void make_end(struct fact *fact, struct chance *chance)
{
    double kind = chance_share(chance), at = chance_share(chance),
           wait_s = DAY_S * exp(chance_normal(chance));

    fact->ends_s = fact->stands_s = fact->lives_s;
    if (kind >= 0.05)
        return;
    fact->stands_s = (float)fmax(60, at * fact->lives_s);
    fact->fate = kind < 0.035 ? FATE_CUT_SHORT : FATE_STUCK;
    fact->ends_s = fact->stands_s;
    if (fact->fate == FATE_STUCK)
        fact->ends_s = (float)fmin(fact->stands_s + wait_s, 20 * DAY_S);
}

static struct fact make_fact(const struct world *world, struct chance *chance, unsigned service,
                             double paid_s)
{
    struct fact fact = {.paid_s = paid_s, .service = (unsigned char)service};
    double life_s =
        world->medians_s[service] * exp(world->spreads[service] * chance_normal(chance));

    life_s = fmin(fmax(life_s, 120), LONGEST_S);
    fact.quantity = 100 + (unsigned)exp(6 + 1.2 * chance_normal(chance));
    fact.waits_s = (float)(life_s * 0.3 * chance_share(chance));
    if (chance_share(chance) < 0.06 && life_s > 7200)
        life_s = make_drip_feed(&fact, life_s, chance);
    fact.lives_s = (float)life_s;
    make_delivery(&fact, chance);
    make_end(&fact, chance);
    return fact;
}

static double delivered(const struct fact *fact, double age_s)
{
    double moving_s = fmin(age_s, fact->stands_s) - fact->waits_s, place, before;
    unsigned segment;

    if (moving_s <= 0)
        return 0;
    if (fmin(age_s, fact->stands_s) >= fact->lives_s)
        return 1;
    if (fact->runs > 0) {
        double run = floor(moving_s / fact->interval_s);

        return fmin((run + fmin((moving_s - run * fact->interval_s) / fact->run_s, 1)) / fact->runs,
                    1);
    }
    place = moving_s / (fact->lives_s - fact->waits_s) * SEGMENTS;
    segment = (unsigned)place;
    if (segment >= SEGMENTS)
        return 1;
    before = segment > 0 ? fact->moved[segment - 1] : 0;
    return before + (place - segment) * (fact->moved[segment] - before);
}

double fact_remains(const struct fact *fact, double age_s)
{
    return fmax(1, ceil(fact->quantity * (1 - delivered(fact, age_s))));
}

static void add_fact(struct world *world, struct fact fact, size_t *capacity)
{
    if (world->count == *capacity) {
        *capacity = *capacity * 2 + 1024;
        world->facts = realloc(world->facts, *capacity * sizeof *world->facts);
        if (!world->facts)
            abort();
    }
    world->facts[world->count++] = fact;
}

/* Returns the mean life. */
static double make_services(struct world *world, struct chance *chance)
{
    const struct scenario *scenario = &world->scenario;
    double sum_s = 0;

    for (unsigned i = 0; i < SERVICES; i++) {
        world->medians_s[i] = scenario->shortest_s *
                              pow(scenario->longest_s / scenario->shortest_s, (i + 0.5) / SERVICES);
        world->spreads[i] = 0.4 + 0.6 * chance_share(chance);
        service_history_init(&world->histories[i]);
    }
    for (unsigned i = 0; i < SAMPLES; i++) {
        struct fact fact = make_fact(world, chance, i % SERVICES, 0);

        sum_s += fact.ends_s;
        if (i < 30 * SERVICES && fact.fate == FATE_COMPLETED)
            service_history_learn(&world->histories[i % SERVICES], fact.lives_s);
    }
    return sum_s / SAMPLES;
}

static double busy(double now_s)
{
    return 1 + 0.7 * sin(2 * PI * (now_s / DAY_S - 0.375));
}

static void make_bursts(struct world *world, struct chance *chance, size_t *capacity)
{
    const struct scenario *scenario = &world->scenario;
    double length_s = (scenario->to_day - scenario->from_day) * DAY_S;

    world->burst_count = (size_t)ceil(scenario->bursts_a_day * scenario->to_day);
    world->bursts_s = calloc(world->burst_count + 1, sizeof *world->bursts_s);
    for (size_t i = 0; i < world->burst_count; i++) {
        double share =
            ((double)i + 0.6 + 0.2 * chance_share(chance)) / (double)world->burst_count * 0.98;
        unsigned service = chance_below(chance, SERVICES);

        world->bursts_s[i] = scenario->from_day * DAY_S + share * length_s;
        for (unsigned j = 0; j < scenario->burst; j++)
            add_fact(world,
                     make_fact(world, chance, (service + j % 3) % SERVICES, world->bursts_s[i]),
                     capacity);
    }
}

void world_make(struct world *world, const struct scenario *scenario, unsigned seed)
{
    struct chance chance = {.state = UINT64_C(0x9E3779B97F4A7C15) * (seed + 1)};
    double bursts = scenario->open >= 1000 ? scenario->bursts_a_day * scenario->burst : 0,
           sustaining, steady, t_s;
    size_t capacity = 0;

    *world = (struct world){.scenario = *scenario};
    sustaining = scenario->open / make_services(world, &chance) * DAY_S;
    steady = fmax(50, (scenario->adds_a_day > 0 ? scenario->adds_a_day : sustaining) - bursts);
    world->adds_a_day = steady + bursts;
    for (t_s = -20 * DAY_S; (t_s += chance_wait(&chance, sustaining)) < 0;) {
        struct fact fact = make_fact(world, &chance, chance_below(&chance, SERVICES), t_s);

        if (t_s + fact.ends_s > 0)
            add_fact(world, fact, &capacity);
    }
    world->old = world->count;
    for (t_s = 0; (t_s += chance_wait(&chance, steady * 1.7)) < scenario->until_day * DAY_S;)
        if (chance_share(&chance) <= busy(t_s) / 1.7)
            add_fact(world, make_fact(world, &chance, chance_below(&chance, SERVICES), t_s),
                     &capacity);
    make_bursts(world, &chance, &capacity);
}

void world_done(struct world *world)
{
    free(world->facts);
    free(world->bursts_s);
}
