#include "run.h"
#include "reference.h"
#include "rules/budget.h"
#include "rules/hazard.h"
#include "rules/poll_schedule.h"
#include "rules/rate_learning.h"
#include "rules/shares.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECOND_US INT64_C(1000000)
#define DAY_US (86400 * SECOND_US)
#define BATCH 100
#define IN_FLIGHT 8
#define FIRST_POLL_US (5 * SECOND_US)

/* What the client knows of an order; the daemon has it in the ledger. */
struct known {
    struct progress progress;
    double stride, turn;
    double asked_s, asked_before_s, bought_s,
        told_s;   /* told_s: of the world the last answer spoke of */
    size_t place; /* in the list, SIZE_MAX = not in it */
    bool ended;
};

struct request {
    bool poll, accepted, of_day;
    size_t count, ids[BATCH];
    double sent_s, served_s;
};

enum happening {
    HAPPENS_PAID,
    HAPPENS_ARRIVAL,
    HAPPENS_ANSWER,
    HAPPENS_FIRST_TURN,
    HAPPENS_END, /* which only the clairvoyant hears of */
    HAPPENS_WAKE,
    HAPPENS_MINUTE
};
struct event {
    int64_t at_us;
    enum happening what;
    size_t id;
};

struct sample {
    float *values;
    size_t count;
};

struct run {
    const struct world *world;
    const struct run_options *options;
    struct run_result *result;
    int64_t now_us, wake_us;
    struct chance chance;
    struct event *events;
    size_t event_count, event_room;
    struct server_limit minute, day;
    /* the client */
    struct budget budget;
    struct rate_learning learning;
    struct shares shares;
    struct poll_pace pace;
    struct service_history histories[SERVICES];
    struct known *known;
    size_t *list, listed; /* open orders that are not on the wire: a heap by turn */
    size_t *queue, queue_first, queued;
    struct request *requests;
    size_t *free_requests, free_count, request_count;
    unsigned in_flight, polls_in_flight;
    double background, ended_day;
    double ends_by_hour[24];
    uint64_t asked; /* round robin's clock */
    struct reference reference;
    struct reference_order *plans; /* the reference's, else NULL */
    /* what is measured */
    struct sample delays, adds;
    double accepted, stale_area, stale_s, open_area, open_s, open_since_s;
    size_t open_now;
    uint64_t ids, full_ids;
    unsigned *burst_left;
    uint64_t *burst_polls;
    uint64_t polls_answered;
};

static void *room(size_t count, size_t size)
{
    void *memory = calloc(count + 1, size);

    if (!memory)
        abort();
    return memory;
}

static double now_s(const struct run *run)
{
    return (double)run->now_us / (double)SECOND_US;
}

/* ---- the future ---- */

static void happens(struct run *run, int64_t at_us, enum happening what, size_t id)
{
    size_t i = run->event_count++;

    if (i == run->event_room) {
        run->event_room = run->event_room * 2 + 4096;
        run->events = realloc(run->events, run->event_room * sizeof *run->events);
        if (!run->events)
            abort();
    }
    for (; i > 0 && run->events[(i - 1) / 2].at_us > at_us; i = (i - 1) / 2)
        run->events[i] = run->events[(i - 1) / 2];
    run->events[i] = (struct event){at_us, what, id};
}

static struct event next_event(struct run *run)
{
    struct event first = run->events[0], last = run->events[--run->event_count];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= run->event_count)
            break;
        if (child + 1 < run->event_count && run->events[child + 1].at_us < run->events[child].at_us)
            child++;
        if (run->events[child].at_us >= last.at_us)
            break;
        run->events[i] = run->events[child];
        i = child;
    }
    run->events[i] = last;
    return first;
}

/* ---- the list of open orders, by turn ---- */

static void list_set(struct run *run, size_t place, size_t id)
{
    run->list[place] = id;
    run->known[id].place = place;
}

static void list_add(struct run *run, size_t id)
{
    size_t i = run->listed++;

    for (; i > 0 && run->known[run->list[(i - 1) / 2]].turn > run->known[id].turn; i = (i - 1) / 2)
        list_set(run, i, run->list[(i - 1) / 2]);
    list_set(run, i, id);
}

static size_t list_take(struct run *run)
{
    size_t first = run->list[0], last = run->list[--run->listed], i = 0;

    run->known[first].place = SIZE_MAX;
    if (run->listed == 0)
        return first;
    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= run->listed)
            break;
        if (child + 1 < run->listed &&
            run->known[run->list[child + 1]].turn < run->known[run->list[child]].turn)
            child++;
        if (run->known[run->list[child]].turn >= run->known[last].turn)
            break;
        list_set(run, i, run->list[child]);
        i = child;
    }
    list_set(run, i, last);
    return first;
}

/* ---- requests ---- */

static double one_way_s(struct run *run)
{
    return 0.025 + 0.225 * chance_share(&run->chance);
}

static struct request *request_new(struct run *run, bool poll)
{
    size_t number =
        run->free_count > 0 ? run->free_requests[--run->free_count] : run->request_count++;
    struct request *request = &run->requests[number];

    *request = (struct request){.poll = poll};
    return request;
}

static void send(struct run *run, struct request *request)
{
    request->sent_s = now_s(run);
    run->in_flight++;
    run->polls_in_flight += request->poll;
    happens(run, run->now_us + (int64_t)(one_way_s(run) * 1e6), HAPPENS_ARRIVAL,
            (size_t)(request - run->requests));
}

static void arrived(struct run *run, size_t number)
{
    struct request *request = &run->requests[number];
    bool minute = server_limit_allows(&run->minute, now_s(run)),
         day = server_limit_allows(&run->day, now_s(run));

    request->accepted = minute && day;
    request->of_day = !day;
    request->served_s = now_s(run);
    server_limit_count(&run->minute, request->accepted, now_s(run));
    server_limit_count(&run->day, request->accepted, now_s(run));
    happens(run, run->now_us + (int64_t)(one_way_s(run) * 1e6), HAPPENS_ANSWER, number);
}

/* ---- what the jobs do ---- */

static bool is_daemon(const struct run *run)
{
    return run->options->policy == POLICY_DAEMON;
}

static bool is_reference(const struct run *run)
{
    return run->plans != NULL;
}

static bool is_clairvoyant(const struct run *run)
{
    return run->options->policy == POLICY_CLAIRVOYANT;
}

/* Of the last 24 h; on the first day at least what the shop usually has. */
static double plan_adds(const struct run *run)
{
    return fmax(run->shares.adds_day, now_s(run) < DAY_S ? run->world->adds_a_day : 0);
}

static double plan_rate(struct run *run)
{
    const struct budget_limits *limits = &run->budget.limits;

    return reference_rate(limits->per_day, budget_day_used(&run->budget, run->now_us),
                          plan_adds(run), (double)run->queued,
                          shares_reserve(&run->shares, limits));
}

static double poll_rate(struct run *run)
{
    run->shares.queued = (unsigned)run->queued;
    return shares_poll_rate(&run->shares, &run->budget, run->now_us);
}

static double worth_of(const struct run *run, size_t id)
{
    if (is_reference(run))
        return reference_worth(&run->plans[id], now_s(run) - run->plans[id].answered_s);
    return poll_worth(run->known[id].stride, now_s(run) - run->known[id].asked_s);
}

/* Whether a batch of that worth leaves now. */
static bool decides(struct run *run, double worth, double turn)
{
    double price = is_daemon(run) ? poll_pace_price(&run->pace, (int64_t)run->open_now) : 0;

    if (is_clairvoyant(run))
        return true;
    if (is_reference(run))
        return reference_decides(&run->reference, worth);
    if (worth < price) {
        poll_pace_declined(&run->pace, worth, price);
        return false;
    }
    poll_pace_sent(&run->pace, worth, turn);
    return true;
}

static void note_asked(struct run *run, size_t id, double turn)
{
    struct known *known = &run->known[id];

    known->asked_before_s = known->asked_s;
    known->asked_s = now_s(run);
    if (is_daemon(run))
        known->turn = turn + known->stride;
    else if (!is_reference(run))
        known->turn = (double)++run->asked;
}

/* A batch of the earliest turns; put back when it is not worth its price. */
static bool ask(struct run *run)
{
    struct request *request;
    double worth = 0, turn = -INFINITY;
    size_t ids[BATCH], count = 0;

    while (count < BATCH && run->listed > 0) {
        size_t id = ids[count++] = list_take(run);

        worth += worth_of(run, id);
        turn = fmax(turn, run->known[id].turn);
    }
    if (!decides(run, worth, turn)) {
        for (size_t i = 0; i < count; i++)
            list_add(run, ids[i]);
        return false;
    }
    budget_take(&run->budget, BUDGET_POLL, 1, run->now_us);
    request = request_new(run, true);
    for (size_t i = 0; i < count; i++)
        note_asked(run, ids[i], turn);
    memcpy(request->ids, ids, count * sizeof ids[0]);
    request->count = count;
    run->ids += count;
    run->result->short_batches += count < BATCH && run->listed > 0;
    run->result->polls++;
    send(run, request);
    return true;
}

static bool may_ask(struct run *run)
{
    if (is_clairvoyant(run))
        return true;
    if (is_reference(run))
        return reference_may_ask(&run->reference, run->listed, run->known[run->list[0]].turn);
    return poll_pace_next_us(&run->pace, poll_rate(run)) <= run->now_us;
}

static void poll_work(struct run *run)
{
    while (run->listed > 0 && run->polls_in_flight < IN_FLIGHT && run->in_flight < IN_FLIGHT &&
           may_ask(run) && budget_available(&run->budget, BUDGET_POLL, 1, run->now_us) > 0)
        if (!ask(run))
            return;
}

static void submit_work(struct run *run)
{
    while (run->queued > 0 && run->in_flight < IN_FLIGHT &&
           budget_available(&run->budget, BUDGET_ADD, 1, run->now_us) > 0) {
        struct request *request = request_new(run, false);

        budget_take(&run->budget, BUDGET_ADD, 1, run->now_us);
        shares_count_adds(&run->shares, 1, run->now_us, run->now_us);
        request->ids[0] = run->queue[run->queue_first];
        request->count = 1;
        run->queue_first = (run->queue_first + 1) % run->world->count;
        run->queued--;
        run->result->adds++;
        send(run, request);
    }
}

static int64_t next_poll_us(struct run *run)
{
    int64_t poll_us;

    if (is_reference(run))
        return run->now_us + (run->budget.limits.per_minute >= 300 ? SECOND_US / 4 : SECOND_US / 2);
    poll_us = is_clairvoyant(run) ? run->now_us : poll_pace_next_us(&run->pace, poll_rate(run));
    return poll_us <= run->now_us ? budget_next_us(&run->budget, BUDGET_POLL, run->now_us)
                                  : poll_us;
}

static void work(struct run *run)
{
    int64_t next_us = INT64_MAX, poll_us;

    run->budget.adds_waiting = run->queued > 0;
    poll_pace_advance(&run->pace, poll_rate(run), run->queued > 0, run->now_us);
    if (is_reference(run))
        reference_advance(&run->reference, plan_rate(run), now_s(run));
    poll_work(run);
    submit_work(run);
    run->budget.adds_waiting = run->queued > 0;
    if (run->in_flight >= IN_FLIGHT)
        return;
    if (run->queued > 0)
        next_us = budget_next_us(&run->budget, BUDGET_ADD, run->now_us);
    if (run->listed > 0) {
        poll_us = next_poll_us(run);
        if (poll_us < next_us)
            next_us = poll_us;
    }
    if (next_us == INT64_MAX || (run->wake_us > run->now_us && run->wake_us <= next_us))
        return;
    run->wake_us = next_us > run->now_us ? next_us : run->now_us + 1000;
    happens(run, run->wake_us, HAPPENS_WAKE, 0);
}

/* ---- answers ---- */

static bool is_measured(const struct run *run, double at_s)
{
    const struct scenario *scenario = &run->world->scenario;

    return at_s >= scenario->from_day * DAY_S && at_s < scenario->to_day * DAY_S;
}

static void keep(struct sample *sample, double value)
{
    sample->values[sample->count++] = (float)value;
}

static void queue_add(struct run *run, size_t id, bool in_front)
{
    if (in_front)
        run->queue_first = (run->queue_first + run->world->count - 1) % run->world->count;
    run->queue[in_front ? run->queue_first : (run->queue_first + run->queued) % run->world->count] =
        id;
    run->queued++;
}

static void refused(struct run *run, struct request *request)
{
    const struct run_options *options = run->options;
    double wait_s = (request->of_day ? 600 : 60) * (1 + 0.05 * chance_share(&run->chance));
    struct rate_refusal refusal = {
        .retry_after_s = request->of_day ? 600 : 60,
        .minute_used = budget_minute_used(&run->budget, run->now_us),
        .day_used = budget_day_used(&run->budget, run->now_us),
    };

    run->result->refused++;
    if (options->says_limit) {
        refusal.limit = (int64_t)(request->of_day ? run->day.limit : run->minute.limit);
        refusal.period_s = request->of_day ? 86400 : 60;
    }
    budget_refused(&run->budget, run->now_us + (int64_t)(wait_s * 1e6));
    if (!options->deaf && rate_learning_refused(&run->learning, &refusal, run->now_us)) {
        struct budget_limits limits = rate_learning_limits(&run->learning);

        (void)budget_set_limits(&run->budget, &limits, run->now_us);
    }
    for (size_t i = 0; i < request->count; i++)
        if (request->poll)
            list_add(run, request->ids[i]);
        else
            queue_add(run, request->ids[i], true);
}

static void take_over(struct run *run, size_t id, double bought_s)
{
    struct known *known = &run->known[id];

    progress_init(&known->progress);
    known->bought_s = known->asked_s = known->told_s = bought_s;
    known->place = SIZE_MAX;
    run->open_now++;
}

/* The reference's plan for an order that was bought. */
static void plan_order(struct run *run, size_t id, double bought_s)
{
    const struct fact *fact = &run->world->facts[id];
    struct reference_order *plan = &run->plans[id];

    *plan = (struct reference_order){.bought_s = bought_s,
                                     .answered_s = bought_s,
                                     .quantity = fact->quantity,
                                     .remains = fact->quantity,
                                     .first_moved_s = -1,
                                     .last_moved_s = -1};
    if (fact->runs > 0) {
        plan->last_run_s = bought_s + (fact->runs - 1) * (double)fact->interval_s;
        plan->run_interval_s = fact->interval_s;
    }
    reference_observe(plan, &run->histories[fact->service], bought_s + 0.01, fact->quantity, false,
                      run->background);
    run->known[id].turn = plan->answered_s + reference_wait_s(plan, run->reference.price);
}

/* One more answer for it. */
static void plan_again(struct run *run, size_t id, const struct request *request, double remains,
                       bool running)
{
    const struct fact *fact = &run->world->facts[id];
    struct reference_order *plan = &run->plans[id];

    reference_observe(plan, &run->histories[fact->service], request->served_s, remains, running,
                      run->background);
    if (run->options->policy == POLICY_PERFECT && fact->fate == FATE_COMPLETED)
        reference_foretell(plan, fact->lives_s,
                           fact->lives_s - (request->served_s - run->known[id].bought_s),
                           run->background);
    run->known[id].turn = plan->answered_s + reference_wait_s(plan, run->reference.price);
}

/* Once a minute: one price for all; when it moved, every order is due at another moment. */
static void plan_price(struct run *run)
{
    const struct reference_order *sample[400];
    const struct budget_limits *limits = &run->budget.limits;
    size_t count = 0, step = run->listed / 400 + 1, listed = run->listed;
    double rate = (limits->per_day - plan_adds(run) - shares_reserve(&run->shares, limits)) / DAY_S;
    double price;

    if (run->listed <= BATCH)
        return;
    for (size_t i = chance_below(&run->chance, (unsigned)step); i < listed && count < 400;
         i += step)
        sample[count++] = &run->plans[run->list[i]];
    price = reference_solve(&run->reference, sample, count, listed,
                            fmax(rate, 0.05 * limits->per_day / DAY_S));
    if (fabs(log(price / run->reference.price)) <= 0.4)
        return;
    run->reference.price = price;
    run->listed = 0;
    for (size_t i = 0; i < listed; i++) {
        size_t id = run->list[i];

        run->known[id].turn = run->plans[id].answered_s + reference_wait_s(&run->plans[id], price);
        list_add(run, id);
    }
}

static void note_burst(struct run *run, double paid_s)
{
    for (size_t i = 0; i < run->world->burst_count; i++) {
        double took_s = now_s(run) - paid_s;
        uint64_t polls;

        if (run->world->bursts_s[i] != paid_s || --run->burst_left[i] > 0)
            continue;
        polls = run->polls_answered - run->burst_polls[i];
        if (took_s > run->result->drained_s) {
            run->result->drained_s = took_s;
            run->result->drain_polls = (unsigned)polls;
        }
    }
}

static void hear_of_end(struct run *run, size_t id)
{
    double at_s = run->known[id].bought_s + run->world->facts[id].ends_s;

    happens(run, (int64_t)(fmax(at_s, now_s(run)) * 1e6) + 1, HAPPENS_END, id);
}

static void accepted_add(struct run *run, const struct request *request)
{
    size_t id = request->ids[0];
    double paid_s = run->world->facts[id].paid_s;

    if (is_measured(run, paid_s))
        keep(&run->adds, now_s(run) - paid_s);
    note_burst(run, paid_s);
    take_over(run, id, request->served_s);
    if (is_reference(run)) {
        plan_order(run, id, request->served_s);
        list_add(run, id);
        return;
    }
    if (is_clairvoyant(run)) {
        hear_of_end(run, id);
        return;
    }
    happens(run, run->now_us + FIRST_POLL_US, HAPPENS_FIRST_TURN, id);
}

static void first_turn(struct run *run, size_t id)
{
    run->known[id].turn = run->listed > 0 ? run->known[run->list[0]].turn : run->pace.turn;
    if (!is_daemon(run))
        run->known[id].turn = (double)++run->asked;
    list_add(run, id);
}

static struct delivery delivery_of(const struct fact *fact)
{
    return (struct delivery){.quantity = fact->quantity,
                             .last_run_s =
                                 fact->runs > 0 ? (fact->runs - 1) * (double)fact->interval_s : 0,
                             .run_interval_s = fact->interval_s};
}

static void note_staleness(struct run *run, double from_s, double to_s, double told_s)
{
    const struct scenario *scenario = &run->world->scenario;

    from_s = fmax(from_s, scenario->from_day * DAY_S);
    to_s = fmin(to_s, scenario->to_day * DAY_S);
    if (to_s <= from_s)
        return;
    run->stale_area +=
        ((to_s - told_s) * (to_s - told_s) - (from_s - told_s) * (from_s - told_s)) / 2;
    run->stale_s += to_s - from_s;
}

static void ended(struct run *run, size_t id)
{
    const struct fact *fact = &run->world->facts[id];
    struct known *known = &run->known[id];
    double end_s = known->bought_s + fact->ends_s;

    known->ended = true;
    poll_pace_ended(&run->pace, known->stride, known->asked_s - known->asked_before_s);
    run->open_now--;
    run->ends_by_hour[(size_t)(now_s(run) / 3600) % 24]++;
    run->ended_day++;
    if (is_measured(run, end_s))
        keep(&run->delays, now_s(run) - end_s);
    if (fact->fate == FATE_COMPLETED)
        service_history_learn(&run->histories[fact->service],
                              (known->progress.answered_s + now_s(run) - known->bought_s) / 2);
}

static void answered_order(struct run *run, size_t id, const struct request *request)
{
    const struct fact *fact = &run->world->facts[id];
    struct known *known = &run->known[id];
    struct progress progress = known->progress;
    struct delivery delivery = delivery_of(fact);
    double age_s = request->served_s - known->bought_s,
           asked_age_s = request->sent_s - known->bought_s;
    double remains = fact_remains(fact, age_s), stride;

    note_staleness(run, known->told_s, fmin(request->served_s, known->bought_s + fact->ends_s),
                   known->told_s);
    if (age_s >= fact->ends_s) {
        ended(run, id);
        return;
    }
    known->told_s = request->served_s;
    if (is_reference(run)) {
        plan_again(run, id, request, remains, age_s >= fact->waits_s);
        list_add(run, id);
        return;
    }
    progress_observe(&progress, &delivery, asked_age_s, remains, age_s >= fact->waits_s);
    stride = poll_stride(hazard_of(&progress, &delivery, &run->histories[fact->service],
                                   run->background, asked_age_s));
    /* As in the ledger: only what moved is written. */
    if (known->stride <= 0 || progress.remains != known->progress.remains ||
        poll_stride_moved(known->stride, stride)) {
        if (is_daemon(run))
            known->turn += stride - known->stride;
        known->progress = progress;
        known->stride = stride;
    }
    list_add(run, id);
}

static void answered(struct run *run, size_t number)
{
    struct request *request = &run->requests[number];

    run->in_flight--;
    run->polls_in_flight -= request->poll;
    budget_note_took(&run->budget, run->now_us - (int64_t)(request->sent_s * 1e6));
    budget_answered(&run->budget, run->now_us);
    run->free_requests[run->free_count++] = number;
    if (!request->accepted) {
        refused(run, request);
        return;
    }
    budget_was_let_through(&run->budget, (int64_t)(request->sent_s * 1e6));
    if (is_measured(run, now_s(run)))
        run->accepted++;
    if (!request->poll) {
        accepted_add(run, request);
        return;
    }
    run->polls_answered++;
    for (size_t i = 0; i < request->count; i++)
        answered_order(run, request->ids[i], request);
}

/* ---- the whole ---- */

static void minute_passed(struct run *run)
{
    size_t hour = (size_t)(now_s(run) / 3600) % 24;

    if (!run->options->deaf && rate_learning_recover(&run->learning, run->now_us)) {
        struct budget_limits limits = rate_learning_limits(&run->learning);

        (void)budget_set_limits(&run->budget, &limits, run->now_us);
    }
    if (run->now_us % (3600 * SECOND_US) == 0) {
        run->ended_day -= run->ends_by_hour[hour];
        run->ends_by_hour[hour] = 0;
    }
    if (run->open_now > 0)
        run->background = run->ended_day / DAY_S / (double)run->open_now;
    if (is_reference(run)) {
        double known = fmin(now_s(run) / DAY_S, 1); /* of a day; before, the shop's usual */

        if (run->open_now > 0)
            run->background = (run->ended_day + (1 - known) * run->world->adds_a_day) / DAY_S /
                              (double)run->open_now;
        plan_price(run);
    }
    happens(run, run->now_us + 60 * SECOND_US, HAPPENS_MINUTE, 0);
}

static void paid(struct run *run, size_t id)
{
    for (size_t i = 0; i < run->world->burst_count; i++)
        if (run->world->bursts_s[i] == run->world->facts[id].paid_s && run->burst_left[i]++ == 0)
            run->burst_polls[i] = run->polls_answered;
    queue_add(run, id, false);
}

static void take_event(struct run *run, const struct event *event)
{
    switch (event->what) {
    case HAPPENS_PAID:
        paid(run, event->id);
        break;
    case HAPPENS_ARRIVAL:
        arrived(run, event->id);
        return;
    case HAPPENS_ANSWER:
        answered(run, event->id);
        break;
    case HAPPENS_FIRST_TURN:
        first_turn(run, event->id);
        break;
    case HAPPENS_END:
        list_add(run, event->id);
        break;
    case HAPPENS_WAKE:
        break;
    case HAPPENS_MINUTE:
        minute_passed(run);
        break;
    }
    /* Orders that are paid in the same moment are in the queue together. */
    if (run->event_count == 0 || run->events[0].at_us > run->now_us ||
        run->events[0].what != HAPPENS_PAID)
        work(run);
}

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

static double mean(const struct sample *sample)
{
    double sum = 0;

    for (size_t i = 0; i < sample->count; i++)
        sum += sample->values[i];
    return sample->count > 0 ? sum / (double)sample->count : 0;
}

static double quantile(struct sample *sample, double share)
{
    if (sample->count == 0)
        return 0;
    qsort(sample->values, sample->count, sizeof sample->values[0], compare_floats);
    return sample->values[(size_t)fmin((double)sample->count - 1, share * (double)sample->count)];
}

/* What nobody was told of by the end counts with its age. */
static void count_unseen(struct run *run)
{
    double end_s = run->world->scenario.until_day * DAY_S;

    for (size_t id = 0; id < run->world->count; id++) {
        const struct fact *fact = &run->world->facts[id];
        const struct known *known = &run->known[id];
        double ends_s = known->bought_s + fact->ends_s;

        if (known->bought_s < -1e17) {
            if (fact->paid_s < end_s && is_measured(run, fact->paid_s))
                keep(&run->adds, end_s - fact->paid_s);
            continue;
        }
        if (known->ended)
            continue;
        note_staleness(run, known->told_s, fmin(ends_s, end_s), known->told_s);
        if (is_measured(run, ends_s))
            keep(&run->delays, end_s - ends_s);
    }
}

static void sum_up(struct run *run)
{
    const struct scenario *scenario = &run->world->scenario;
    struct run_result *result = run->result;
    double days = scenario->to_day - scenario->from_day;

    count_unseen(run);
    result->ends = (unsigned)run->delays.count;
    result->delay_s = mean(&run->delays);
    result->delay_half_s = quantile(&run->delays, 0.5);
    result->delay_95_s = quantile(&run->delays, 0.95);
    result->delay_99_s = quantile(&run->delays, 0.99);
    result->add_s = mean(&run->adds);
    result->add_half_s = quantile(&run->adds, 0.5);
    result->add_99_s = quantile(&run->adds, 0.99);
    result->stale_s = run->stale_s > 0 ? run->stale_area / run->stale_s : 0;
    result->used = run->accepted / (scenario->per_day * days);
    result->requests_per_end = result->ends > 0 ? run->accepted / result->ends : 0;
    result->open = run->open_s > 0 ? run->open_area / run->open_s : 0;
    result->planned_s = run->pace.planned_s;
    result->measured_s = run->pace.measured_s;
    result->ids_a_batch = result->polls > 0 ? (double)run->ids / result->polls : 0;
}

static void start_client(struct run *run)
{
    const struct scenario *scenario = &run->world->scenario;
    const struct run_options *options = run->options;
    struct budget_limits limits = {.per_minute = scenario->per_minute,
                                   .per_day = scenario->per_day,
                                   .burst = options->burst > 0 ? options->burst : 1,
                                   .day_rolling = !options->calendar,
                                   .day_ends_us = DAY_US};

    if (budget_init(&run->budget, &limits, 0) < 0)
        abort();
    rate_learning_init(&run->learning, &limits, 0);
    shares_init(&run->shares, 0);
    shares_learn_burst(&run->shares, scenario->burst);
    /* The adds of the day before, as the ledger would have them. */
    for (int64_t i = 1; i <= 144; i++)
        shares_count_adds(&run->shares, (unsigned)(run->world->adds_a_day / 144),
                          -i * 600 * SECOND_US, 0);
    poll_pace_init(&run->pace, 0);
    if (is_reference(run))
        reference_init(&run->reference, scenario->open, run->world->adds_a_day,
                       fmax(plan_rate(run), 1e-3));
    for (size_t i = 0; i < SERVICES; i++) {
        run->histories[i] = run->world->histories[i];
        if (options->cold)
            service_history_init(&run->histories[i]);
    }
    for (size_t id = 0; id < run->world->old; id++) {
        take_over(run, id, run->world->facts[id].paid_s);
        run->known[id].told_s = run->known[id].asked_s = 0;
        if (is_clairvoyant(run)) {
            hear_of_end(run, id);
            continue;
        }
        if (is_reference(run)) {
            plan_order(run, id, run->world->facts[id].paid_s);
            run->plans[id].answered_s = 0;
        }
        run->known[id].turn = is_daemon(run) || is_reference(run)
                                  ? -1 / (1 - run->known[id].bought_s)
                                  : (double)++run->asked;
        list_add(run, id);
    }
}

static void allocate(struct run *run)
{
    size_t count = run->world->count;

    run->known = room(count, sizeof *run->known);
    if (run->options->policy == POLICY_REFERENCE || run->options->policy == POLICY_PERFECT)
        run->plans = room(count, sizeof *run->plans);
    run->list = room(count, sizeof *run->list);
    run->queue = room(count, sizeof *run->queue);
    run->requests = room(IN_FLIGHT, sizeof *run->requests);
    run->free_requests = room(IN_FLIGHT, sizeof *run->free_requests);
    run->delays.values = room(count, sizeof(float));
    run->adds.values = room(count, sizeof(float));
    run->burst_left = room(run->world->burst_count, sizeof *run->burst_left);
    run->burst_polls = room(run->world->burst_count, sizeof *run->burst_polls);
}

static void release(struct run *run)
{
    budget_done(&run->budget);
    server_limit_done(&run->minute);
    server_limit_done(&run->day);
    free(run->events);
    free(run->known);
    free(run->plans);
    free(run->list);
    free(run->queue);
    free(run->requests);
    free(run->free_requests);
    free(run->delays.values);
    free(run->adds.values);
    free(run->burst_left);
    free(run->burst_polls);
}

void run_world(const struct world *world, const struct run_options *options,
               struct run_result *ret_result)
{
    const struct scenario *scenario = &world->scenario;
    struct run run = {.world = world, .options = options, .result = ret_result, .wake_us = -1};
    double minute = options->server_minute > 0 ? options->server_minute : scenario->per_minute;
    double day = options->server_day > 0 ? options->server_day : scenario->per_day;

    clock_t began = clock();

    *ret_result = (struct run_result){0};
    run.chance.state = options->seed * UINT64_C(2654435761) + 88172645463325252U;
    server_limit_init(&run.minute, options->model, minute, 60, options->capacity);
    /* Nobody estimates a day from two of them. */
    server_limit_init(&run.day, options->model == COUNT_ESTIMATE ? COUNT_LOG : options->model, day,
                      DAY_S, 0);
    allocate(&run);
    for (size_t id = 0; id < world->count; id++)
        run.known[id].bought_s = -1e18;
    start_client(&run);
    for (size_t id = world->old; id < world->count; id++)
        happens(&run, (int64_t)(world->facts[id].paid_s * 1e6), HAPPENS_PAID, id);
    happens(&run, 0, HAPPENS_MINUTE, 0);
    while (run.event_count > 0) {
        struct event event = next_event(&run);

        if (event.at_us > (int64_t)(scenario->until_day * 86400e6))
            break;
        if (is_measured(&run, now_s(&run))) {
            run.open_area += (double)run.open_now * (double)(event.at_us - run.now_us) / 1e6;
            run.open_s += (double)(event.at_us - run.now_us) / 1e6;
        }
        run.now_us = event.at_us;
        take_event(&run, &event);
    }
    sum_up(&run);
    ret_result->work_s = (double)(clock() - began) / CLOCKS_PER_SEC;
    release(&run);
}
