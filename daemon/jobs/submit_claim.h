/*
 * jobs/submit_claim.h - the first step of a purchase: lines that are due become flights.
 *
 * A claim takes budget slots first and gives back what it did not use; its answer's lines are
 * FLIGHT_READY and offered to jobs/submit_send at once. A claim whose commit is ambiguous is never
 * sent: submit->ambiguous_claim names it until the lease's count tells what became of it.
 */
#pragma once
#include "jobs/submit.h"

/*
 * Connections that will be free by the time a claim is answered, as claims and requests went
 * lately: without them every connection would stand idle for the time of a claim after each
 * request. Those that come near while this claim runs are counted with the first, as they would
 * wait for a claim of their own. One that keeps silent far longer than usual is not expected back
 * soon, and before the first reply nothing is known. When the next one comes near: ret_next_us.
 */
unsigned submit_claim_ahead(const struct submit *submit, int64_t now_us, int64_t *ret_next_us);
/*
 * Asks for as many lines as there are slots and connections, `ahead` of which come free meanwhile.
 * After a claim that failed the lines that are due are listed first, to be claimed one by one.
 * submit->claiming tells whether something is under way now.
 */
void submit_claim(struct submit *submit, unsigned ahead, int64_t now_us);

/* Whether the claim whose commit was ambiguous is committed: the lease's count says so. */
bool submit_must_release(const struct submit *submit);
/* Its lines, of which none was sent, go back to the queue. */
void submit_release(struct submit *submit);
