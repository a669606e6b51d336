/*
 * jobs/submit_send.h - the second step of a purchase: one `add` each, and what its answer means.
 *
 * Immediately before the first byte leaves: is the claim still good, and does the flight journal
 * have its record? Whatever is answered, the flight ends in one of the ways of jobs/flight, and the
 * account learns what the answer says of all its orders.
 */
#pragma once
#include "jobs/submit.h"

/* Sends what is claimed while connections are free; what a pause of the account has overtaken goes
 * back to the queue, where it can be cancelled. */
void submit_send_ready(struct submit *submit);
