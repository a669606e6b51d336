/*
 * store/metrics.h - what the ledger can be measured by: the numbers behind `chwsyncd metrics`.
 *
 * Read only. What grows with the age of the ledger is never counted: open work stands in short
 * lists, the rest is looked up by index, sampled, or estimated from the planner's statistics.
 */
#pragma once
#include "store/session.h"

/*
 * Rows of all measurements: a family's name, label values (NULL = it has fewer), and the value as
 * decimal text. They are owned by the caller. A snapshot must have begun (report_begin).
 */
enum metric_column {
    METRIC_FAMILY,
    METRIC_FIRST_LABEL,
    METRIC_SECOND_LABEL,
    METRIC_VALUE,
    METRIC_THIRD_LABEL, /* of METRIC_COUNTS alone */
    METRIC_PART,        /* likewise: "bucket", "count" or "sum" of a histogram */
};
enum metric_group { METRIC_ORDERS, METRIC_DELAYS, METRIC_SHOP, METRIC_PROVIDERS, METRIC_COUNTS };
#define METRIC_GROUPS 5
enum session_verdict metrics_read(struct session *session, enum metric_group group,
                                  PGresult **ret_rows, struct problem *reterr_problem);
