#include "store/counts.h"

/* clang-format off */
static const struct statement counts_statement = {
    "counts",
    "SELECT (SELECT count(*) FROM chwsync.queue),\n"
    "       (SELECT count(DISTINCT a.order_id) FROM chwsync.attempts a WHERE a.open AND a.outcome IS NOT NULL)"};
/* clang-format on */

int counts_ask(struct connection *lane, store_done done, void *userdata)
{
    struct transaction transaction = {.statement = &counts_statement};

    return connection_run(lane, &transaction, done, userdata);
}
