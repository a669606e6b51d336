/*
 * store/adapter_switch.h - takes the shop's view away around an upgrade of the shop, and puts it
 * back.
 *
 * A view keeps the shop from changing the columns it reads. `off` keeps the text of the view, and
 * of the views of its schema it is built on, in the ledger, with owners and rights, and drops them;
 * the daemon says so and takes no new lines, and follows what it has bought. Each is one
 * transaction.
 */
#pragma once
#include "base/problem.h"
#include "base/text.h"
#include "store/session.h"

enum switch_verdict {
    SWITCH_DONE,
    SWITCH_ALREADY, /* off: it is off; on: it is on, or was put back by its own file */
    SWITCH_NOTHING, /* off: there is no such view; on: nothing was switched off */
    SWITCH_REFUSED, /* the server raised an error; nothing was changed */
    SWITCH_LOST,
};
/* *ret_views is a list of names; owned (text_done). */
enum switch_verdict adapter_switch_off(struct session *session, const char *view,
                                       struct text *ret_views, struct problem *reterr_problem);
enum switch_verdict adapter_switch_on(struct session *session, struct text *ret_views,
                                      struct problem *reterr_problem);
