#include "commands/slot.h"
#include "commands/output.h"
#include "host/clock.h"
#include <stdio.h>

#define TELL_US (2 * US_PER_S)
/* A grant that was seen later than that after it was asked for may be of any time. */
#define LATE_US (2 * US_PER_S)
#define MARGIN_S 3 /* an intake of a daemon that is not woken, and then the gate */

static enum slot_verdict refuse(const struct slot *slot, int64_t pause_s,
                                struct problem *reterr_problem)
{
    char pause[DURATION_SIZE];

    output_duration(pause_s, pause);
    problem_set(reterr_problem,
                "%s was not asked: it wants no request, or its budget has no room, for another %s",
                slot->provider->name, pause);
    problem_hint(reterr_problem, "try again then; the daemon goes on by itself");
    return SLOT_REFUSED;
}

static enum slot_verdict fail(struct slot *slot, enum session_verdict verdict)
{
    slot->verdict = verdict;
    return SLOT_FAULT;
}

static enum slot_verdict take_alone(struct slot *slot, struct problem *reterr_problem)
{
    int64_t pause_s = 0;
    enum session_verdict verdict = slots_count(slot->session, slot->provider->name,
                                               slot->provider->url, &pause_s, reterr_problem);

    slot->waits = false;
    slot->alone = true;
    if (verdict != SESSION_DONE)
        return fail(slot, verdict);
    return pause_s > 0 ? refuse(slot, pause_s, reterr_problem) : SLOT_TAKEN;
}

static enum slot_verdict wish(struct slot *slot, struct problem *reterr_problem)
{
    struct slot_wish wish = {0};
    enum session_verdict verdict =
        slots_wish(slot->session, slot->provider->name, slot->provider->url, &wish, reterr_problem);

    if (verdict != SESSION_DONE)
        return fail(slot, verdict);
    if (wish.pause_s > 0)
        return refuse(slot, wish.pause_s, reterr_problem);
    if (wish.ticket == 0 || (!wish.works && !wish.lives))
        return take_alone(slot, reterr_problem);
    session_wake_daemon(slot->session, slot->config->wake_channel);
    slot->ticket = wish.ticket;
    slot->asked_us = clock_boottime_us();
    slot->waits = true;
    slot->told = false;
    return SLOT_WAITS;
}

static void tell(struct slot *slot)
{
    slot->told = true;
    if (slot->tells)
        fprintf(stderr, "waiting for room in the budget of %s, for %d s at most\n",
                slot->provider->name, SLOTS_PATIENCE_S);
}

static enum slot_verdict await(struct slot *slot, struct problem *reterr_problem)
{
    bool is_granted = false, works = false;
    int64_t before_us = clock_boottime_us(), waited_us = before_us - slot->asked_us;
    enum session_verdict verdict =
        slots_is_granted(slot->session, slot->provider->name, slot->provider->url, slot->ticket,
                         &is_granted, &works, reterr_problem);

    if (verdict != SESSION_DONE)
        return fail(slot, verdict);
    if (is_granted && clock_boottime_us() - before_us <= LATE_US) {
        slot->waits = false;
        return SLOT_TAKEN;
    }
    if (is_granted || waited_us > SLOTS_PATIENCE_S * US_PER_S) {
        slot->waits = false;
        slots_withdraw(slot->session, slot->provider->name, slot->provider->url, slot->ticket);
        return works || is_granted ? refuse(slot, 60, reterr_problem)
                                   : take_alone(slot, reterr_problem);
    }
    if (!works && waited_us > ((int64_t)slot->config->intake_interval_s + MARGIN_S) * US_PER_S) {
        slots_withdraw(slot->session, slot->provider->name, slot->provider->url, slot->ticket);
        return take_alone(slot, reterr_problem);
    }
    if (!slot->told && waited_us > TELL_US)
        tell(slot);
    return SLOT_WAITS;
}

enum slot_verdict slot_take(struct slot *slot, struct problem *reterr_problem)
{
    if (slot->waits)
        return await(slot, reterr_problem);
    return slot->alone ? take_alone(slot, reterr_problem) : wish(slot, reterr_problem);
}
