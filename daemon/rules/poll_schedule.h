/*
 * rules/poll_schedule.h - which open orders are asked about next, and when a batch leaves.
 *
 * Which. The least delay for a given number of questions comes from asking about each order at a
 * rate that goes with the square root of its hazard. So each order is stamped with the moment of
 * its next turn on a clock of the account's own: one stride, 1/sqrt(hazard), after its last turn.
 * A batch takes the hundred earliest turns, and the clock then stands at the latest of these: it
 * goes as fast as questions leave. However the budget, the number of orders or their hazards
 * change, every order keeps its share, and no stamp is ever made anew. The clock's speed (strides a
 * second) is the one global number: its inverse times the stride is the time between two questions.
 *
 * When. Batches accrue at the rate that rules/shares grants, at most four; one leaves when it is
 * worth more than batches usually are, sooner the more have accrued. Pure.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* Of a hazard in ends per second. */
double poll_stride(double hazard);
/* True when the new stride differs enough for its stamp to be corrected. */
bool poll_stride_moved(double before, double after);
/* What asking about an order saves, in expected seconds of its delay; stride 0 = not known: 0. */
double poll_worth(double stride, double unasked_s);
/* Until an id is asked again that was answered with an error, `errors` times in a row (from 1). */
double poll_error_wait_s(unsigned errors);

struct poll_pace {
    int64_t now_us;     /* of the latest call */
    double tokens;      /* batches that may leave */
    double saved;       /* that could not while adds waited; they come back in the minutes after */
    double usual_worth; /* of batches lately; 0 = none left yet */
    int64_t sent_us;    /* the last batch */
    int64_t look_us;    /* before that the next batch is not worth looking at */
    double speed;       /* of the clock, strides a second, smoothed; 0 = not known */
    double turn;        /* where the clock stood at the last batch */
    double apart_s;     /* between batches, smoothed; 0 = not known */
    /* Of final states lately: half the time since the question before, as it was planned and as it
     * was; 0 = none. */
    double planned_s, measured_s;
};

void poll_pace_init(struct poll_pace *pace, int64_t now_us);
/*
 * Batches accrue at `rate` a second. Every turn of the job begins with it. What is too much while
 * adds wait is saved: a burst of orders that end soon is asked about the more when it is bought.
 */
void poll_pace_advance(struct poll_pace *pace, double rate, bool adds_wait, int64_t now_us);
/* When a batch may be looked at: now_us or later; INT64_MAX = never at that rate. */
int64_t poll_pace_next_us(const struct poll_pace *pace, double rate);
/*
 * The least worth for a batch to leave; 0 = whatever it is worth. With more than 2,000 open orders
 * batches hardly differ, and leave evenly: to look at one that is then declined costs something.
 */
double poll_pace_price(const struct poll_pace *pace, int64_t open);
/* The batch was worth less than that price. */
void poll_pace_declined(struct poll_pace *pace, double worth, double price);

/* A batch leaves: its orders' worth in all, and the latest of their turns, where the clock stands
 * now. */
void poll_pace_sent(struct poll_pace *pace, double worth, double turn);
/* An order turned out to have ended; its stride until now, and how long it was not asked about. */
void poll_pace_ended(struct poll_pace *pace, double stride, double unasked_s);
