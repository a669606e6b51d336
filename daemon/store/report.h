/*
 * store/report.h - what the ledger tells an operator: the questions behind `chwsyncd status` and
 * `chwsyncd orders`.
 *
 * Read only, in one snapshot. Rows are owned by the caller. Columns called ..._at and ..._until are
 * seconds since 1970 by the database's clock, INT64_MAX for 'infinity'; the names are those of the
 * JSON output, so a column is never renamed.
 */
#pragma once
#include "store/session.h"

/* Begins the snapshot; *ret_now_s is the database's clock. Refused (3F000, 42P01, 42501) where the
 * ledger cannot be read. */
enum session_verdict report_begin(struct session *session, int64_t *ret_now_s,
                                  struct problem *reterr_problem);

/* One row an account; `is_current` is the one its provider used last. */
enum report_provider {
    PROVIDER_NAME,
    PROVIDER_ENDPOINT,
    PROVIDER_IS_CURRENT,
    PROVIDER_QUEUED,
    PROVIDER_UNDER_WAY,
    PROVIDER_OPEN,
    PROVIDER_UNCERTAIN,
    PROVIDER_MINUTE,
    PROVIDER_DAY,
    PROVIDER_SUBMITS_PAUSED_UNTIL,
    PROVIDER_ALL_PAUSED_UNTIL,
    PROVIDER_PAUSE_REASON,
    PROVIDER_LAST_ERROR,
    PROVIDER_LAST_ERROR_AT,
    PROVIDER_LAST_USED_AT,
    /* the budget; NULL until the daemon first kept it */
    PROVIDER_LIMIT_MINUTE,
    PROVIDER_LIMIT_DAY,
    PROVIDER_LEFT_DAY,
    PROVIDER_DAY_ENDS_AT,
    PROVIDER_PACE,
    PROVIDER_POLLS_PER_MINUTE,
    PROVIDER_RESERVE,
    PROVIDER_QUEUE_ENDS_AT,
    PROVIDER_RATE_REFUSALS,
    PROVIDER_RATE_REFUSED_AT,
    PROVIDER_PROBING,
    PROVIDER_PLANNED_DELAY_S,
    PROVIDER_MEASURED_DELAY_S,
    PROVIDER_BURST, /* in force, and as configured when it was last kept */
    PROVIDER_CONFIGURED_BURST,
    PROVIDER_TOLD_MINUTE, /* limits that the provider itself named, or NULL */
    PROVIDER_TOLD_DAY,
    /* money; NULL until the provider told it */
    PROVIDER_BALANCE,
    PROVIDER_CURRENCY,
    PROVIDER_BALANCE_AT,
    PROVIDER_BALANCE_IS_LOW,
    PROVIDER_AVAILABLE,
    PROVIDER_OUT_OF_FUNDS_SINCE_AT,
    PROVIDER_HELD_FOR_FUNDS,
};
enum session_verdict report_providers(struct session *session, PGresult **ret_rows,
                                      struct problem *reterr_problem);

/* One row a state that any order is in, in the order of an order's life. */
enum report_state { STATE_NAME, STATE_ORDERS, STATE_OLDEST_AT };
enum session_verdict report_states(struct session *session, PGresult **ret_rows,
                                   struct problem *reterr_problem);

/* Queued lines by provider; also of providers that were never used. */
enum report_queue { QUEUE_PROVIDER, QUEUE_ORDERS, QUEUE_DUE };
enum session_verdict report_queue(struct session *session, PGresult **ret_rows,
                                  struct problem *reterr_problem);

/* One row. */
enum report_write_back { WRITE_BACK_WAITING, WRITE_BACK_FAILING, WRITE_BACK_OLDEST_AT };
enum session_verdict report_write_backs(struct session *session, PGresult **ret_rows,
                                        struct problem *reterr_problem);

/* The oldest write-backs that failed; at most `limit`, as for all lists below. */
enum report_write_back_fault {
    WRITE_BACK_FAULT_REF,
    WRITE_BACK_FAULT_SQLSTATE,
    WRITE_BACK_FAULT_ERROR,
    WRITE_BACK_FAULT_FAILURES,
    WRITE_BACK_FAULT_SINCE_AT,
    WRITE_BACK_FAULT_DUE_AT,
};
enum session_verdict report_write_back_faults(struct session *session, long limit,
                                              PGresult **ret_rows, struct problem *reterr_problem);

/* Lines of the view that cannot be taken; each row also says how many there are in all. */
enum report_parked {
    PARKED_REF,
    PARKED_SQLSTATE,
    PARKED_REASON,
    PARKED_SINCE_AT,
    PARKED_RETRY_AT,
    PARKED_IN_ALL
};
enum session_verdict report_parked(struct session *session, long limit, PGresult **ret_rows,
                                   struct problem *reterr_problem);

/* When a daemon last looked at this database, or a minute or two before that: 0 seen_at, NULL =
 * nobody has yet. One row. */
enum session_verdict report_presence(struct session *session, PGresult **ret_rows,
                                     struct problem *reterr_problem);

/* What is wrong with the shop's view and function, as the daemon last found them. */
enum report_contract {
    CONTRACT_FAULT_STOPS_INTAKE,
    CONTRACT_FAULT_SENTENCE,
    CONTRACT_FAULT_REMEDY,
    CONTRACT_FAULT_SINCE_AT
};
enum session_verdict report_contract(struct session *session, PGresult **ret_rows,
                                     struct problem *reterr_problem);

/* Lines for which the shop's function answers NULL (busy), the longest first; each row also says
 * how many there are in all. */
enum report_busy { BUSY_REF, BUSY_TIMES, BUSY_SINCE_AT, BUSY_NEXT_AT, BUSY_IN_ALL };
enum session_verdict report_busy(struct session *session, long limit, PGresult **ret_rows,
                                 struct problem *reterr_problem);

/* Orders that something is in the way of, the latest first. */
enum report_trouble { TROUBLE_REF, TROUBLE_STATE, TROUBLE_TEXT, TROUBLE_AT };
enum session_verdict report_errors(struct session *session, long limit, PGresult **ret_rows,
                                   struct problem *reterr_problem);

/* The newest orders; `state` is a state of the ledger, "pending", "in_progress", or NULL for all.
 */
enum report_line {
    LINE_REF,
    LINE_STATUS,
    LINE_PROVIDER,
    LINE_PROVIDER_ORDER_ID,
    LINE_SERVICE,
    LINE_QUANTITY,
    LINE_CHARGE,
    LINE_CURRENCY,
    LINE_CREATED_AT,
    LINE_UPDATED_AT,
    LINE_ERROR,
};
/* Which orders: NULL and 0 = whatever. Ages are since they were taken from the view. */
struct report_filter {
    const char *state, *provider;
    int64_t older_than_s, newer_than_s;
    long limit;
};
enum session_verdict report_orders(struct session *session, const struct report_filter *filter,
                                   PGresult **ret_rows, struct problem *reterr_problem);

/* Everything about one order: one row, or none. */
enum report_story {
    STORY_REF,
    STORY_DISPLAY_REF,
    STORY_STATUS,
    STORY_STATE,
    /* what the shop wants */
    STORY_PROVIDER,
    STORY_SERVICE,
    STORY_LINK,
    STORY_QUANTITY,
    STORY_RUNS,
    STORY_INTERVAL,
    STORY_MIN,
    STORY_MAX,
    STORY_COMMENTS,
    STORY_USERNAMES,
    STORY_HASHTAGS,
    STORY_USERNAME,
    STORY_PARAMS,
    STORY_MAX_CHARGE,
    STORY_SHOP_CREATED_AT,
    STORY_CREATED_AT,
    /* where it stands */
    STORY_ATTEMPTS,
    STORY_PROVIDER_ORDER_ID,
    STORY_PROVIDER_STATUS,
    STORY_CHARGE,
    STORY_CURRENCY,
    STORY_START_COUNT,
    STORY_REMAINS,
    STORY_ERROR,
    STORY_SEQ,
    STORY_ACCEPTED_AT,
    STORY_CHANGED_AT,
    STORY_POLLED_AT,
    STORY_UPDATED_AT,
    /* what is next */
    STORY_NEXT_ATTEMPT_AT,
    STORY_NEXT_POLL_AT,
    STORY_POLL_ERRORS,
    STORY_NEXT_WRITE_BACK_AT,
    STORY_WRITE_BACK_FAILURES,
    STORY_WRITE_BACK_SQLSTATE,
    STORY_WRITE_BACK_ERROR,
    STORY_SUBMITS_PAUSED_UNTIL,
    STORY_ALL_PAUSED_UNTIL,
    STORY_PAUSE_REASON,
    STORY_HELD,              /* why it is not claimed although it is due: chwsync.queue.held */
    STORY_NEXT_LOOK_AT,      /* for an uncertain one */
    STORY_STOPS,             /* lost attempts that stop submits of its provider */
    STORY_ACCOUNT_UNDECIDED, /* its provider's key was changed: nothing is sent */
    STORY_ACCOUNT_IS_FORMER, /* its key is not the configured one: nobody asks about it */
    STORY_SERVICE_NAME,      /* of the catalogue, where it is known */
    STORY_SERVICE_TYPE,
    STORY_SERVICE_RATE,
    STORY_EXPECTED_CHARGE, /* by the catalogue, at the attempt that was accepted or the last */
    STORY_DIFFERENCE,      /* charge less what was expected */
    STORY_NEXT_RECHECK_AT, /* of one that has ended: it is looked at again */
    STORY_REFILL,          /* the latest refill, in a sentence */
    STORY_REFILL_LOOK_AT,  /* when the provider is asked about it, or gets the request */
};
enum session_verdict report_order(struct session *session, const char *order_ref,
                                  PGresult **ret_rows, struct problem *reterr_problem);

/* Its attempts, the first one first. */
enum report_attempt {
    ATTEMPT_NUMBER,
    ATTEMPT_CLAIMED_AT,
    ATTEMPT_ENDED_AT,
    ATTEMPT_TOOK_S,
    ATTEMPT_OUTCOME, /* NULL: no answer yet */
    ATTEMPT_HTTP_STATUS,
    ATTEMPT_ANSWER,
    ATTEMPT_PROVIDER_ORDER_ID,
    ATTEMPT_FOUND_BY,
    ATTEMPT_EXPECTED_CHARGE,
    ATTEMPT_SERVICE,
    ATTEMPT_LINK,
    ATTEMPT_QUANTITY,
    ATTEMPT_FURTHER, /* the other parameters, as JSON */
    ATTEMPT_ENDPOINT,
};
enum session_verdict report_attempts(struct session *session, const char *order_ref,
                                     PGresult **ret_rows, struct problem *reterr_problem);

/* What happened to it, the oldest first. */
enum report_event {
    HAPPENED_AT,
    HAPPENED_EVENT,
    HAPPENED_DETAIL,
    HAPPENED_ATTEMPT,
    HAPPENED_PROVIDER_ORDER_ID
};
enum session_verdict report_history(struct session *session, const char *order_ref,
                                    PGresult **ret_rows, struct problem *reterr_problem);

/* Keys that begin alike, and those whose display_ref it is. Rows: 0 order_ref. */
enum session_verdict report_similar(struct session *session, const char *order_ref,
                                    PGresult **ret_rows, struct problem *reterr_problem);
