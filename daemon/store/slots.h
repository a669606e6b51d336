/*
 * store/slots.h - slots of an account's budget for the requests of commands.
 *
 * The gate is the daemon's: a command asks for a slot and waits until the daemon has taken and
 * counted one. Where no daemon works, the command counts it itself, if what the ledger knows to be
 * used leaves room for it. Nothing is asked or counted for an account that the ledger does not
 * know.
 */
#pragma once
#include "store/session.h"
#include <stdint.h>

#define SLOTS_PATIENCE_S                                                                           \
    30 /* of a command: wishes are granted for that long, and a moment more                        \
        */

struct slot_wish {
    int64_t ticket; /* 0 = there is no budget yet that it could pass */
    int64_t
        pause_s; /* nothing was wished: it wants no request for so long, or its day is used up */
    bool works;  /* a daemon has the account's lease */
    bool lives;  /* a daemon was there a minute ago; it may have nothing to do */
};
/* Wishes for a slot of the account that this provider and endpoint used last. */
enum session_verdict slots_wish(struct session *session, const char *provider, const char *endpoint,
                                struct slot_wish *ret_wish, struct problem *reterr_problem);
/* Whether it was granted; `ret_works` as above. */
enum session_verdict slots_is_granted(struct session *session, const char *provider,
                                      const char *endpoint, int64_t ticket, bool *ret_is_granted,
                                      bool *ret_works, struct problem *reterr_problem);
/* Nobody waits for it any more. If it was granted meanwhile, its slot is lost. */
void slots_withdraw(struct session *session, const char *provider, const char *endpoint,
                    int64_t ticket);
/* Counts one request, or tells for how long there is no room for it: for when no daemon works. */
enum session_verdict slots_count(struct session *session, const char *provider,
                                 const char *endpoint, int64_t *ret_pause_s,
                                 struct problem *reterr_problem);

/* The daemon's side. Rows: 0 how many wishes wait. */
int slots_look(struct connection *lane, int account_id, store_done done, void *userdata);
/* Grants one, and counts its request. Rows: 0 how many wait then; none = nobody waits any more. */
int slots_grant(struct connection *lane, int account_id, store_done done, void *userdata);
