/*
 * store/contract_rehearsal.h - what only shows when the shop's function is called.
 *
 * One statement (chwsync.rehearse) calls it for an order that does not exist and for a line that
 * the view shows, and takes all of it back. Its rows are judged here, for `chwsyncd check` and for
 * the daemon alike; the faults are added to those of the contract.
 */
#pragma once
#include "store/contract.h"

/* $1 the function, $2 the view, both as the server quotes them. For a function that is sound and a
 * ledger of this version. */
extern const struct statement contract_rehearsal_statement;

/* Adds what is wrong with the answers. Returns 0 or -ENOMEM. */
int contract_judge_rehearsal(struct contract *contract, const PGresult *rows);

/* The same where the statement itself failed: it took longer than it may, for one. */
int contract_note_rehearsal_failed(struct contract *contract, const char *sqlstate,
                                   const char *words);

/* What helps against an error of the shop's own SQL, by its SQLSTATE; "" = nothing special. */
const char *contract_remedy_for(const char *sqlstate);

/* Runs the rehearsal in a transaction of its own, within that time. */
int contract_rehearse(struct connection *lane, const struct contract *contract, unsigned limit_s,
                      store_done done, void *userdata);

/* Keeps the faults in chwsync.contract_faults, in place of those that stood there. */
int contract_keep_faults(struct connection *lane, const struct contract *contract, store_done done,
                         void *userdata);
