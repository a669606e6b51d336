/*
 * jobs/submit_record.h - the third step of a purchase: its end is committed to the ledger.
 *
 * Money was spent: until the ledger confirmed it an end stays in memory (and in the flight
 * journal), however often the database refuses. Saying it twice changes nothing.
 */
#pragma once
#include "jobs/submit.h"

/* Hands a batch of ended flights to the ledger. submit->recording tells whether it is under way. */
void submit_record(struct submit *submit);
