#!/bin/bash
# Which orders a question is about, in the database: what a batch reads of many, where new ones stand, and turns of before migration 008.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/cluster.sh
. tests/lib/tap.sh
trap cluster_stop_all EXIT
BUILD=${BUILD:-build}
ask() { cluster_psql -At -c "$1" 2>&1; }

cluster_start fsync=off autovacuum=off || exit 1
directory=$CLUSTER_DIR/scripts && mkdir "$directory"
conninfo="host=$PGHOST port=$PGPORT dbname=postgres user=postgres"
"$BUILD/chwsyncd" schema install --conninfo "$conninfo" >/dev/null || exit 1
export PGOPTIONS='-c client_min_messages=warning'
cluster_psql -f sql/sample-store.sql -f sql/adapters/sample-store.sql >/dev/null || exit 1
"$BUILD/bench-tool" statements "$conninfo" chwsync_shop.pending_orders '' "$directory" || exit 1
batches() { # N
    local i
    for ((i = 0; i < $1; i++)); do cat "$directory/polls.sql"; done >"$directory/round.sql"
    cluster_psql -f "$directory/round.sql" >/dev/null
}
open_orders() { # N
    cluster_psql -c 'TRUNCATE chwsync.orders, chwsync.polls' -v open="$1" -f tests/bench/open-orders.sql \
        -c 'UPDATE chwsync.polls SET account_id = 1' >/dev/null
}
read_of() { ask "SELECT coalesce(sum(idx_tup_read), 0) FROM pg_stat_user_indexes WHERE relname = 'polls'"; }

# Whatever the statistics say, a batch reads the hundred rows that it takes, and not the others.
open_orders 30000
cluster_psql -c 'VACUUM ANALYZE chwsync.polls' >/dev/null
batches 1
for _ in $(seq 100); do [ "$(ask "SELECT n_tup_upd >= 30100 FROM pg_stat_user_tables WHERE relname = 'polls'")" = t ] && break; sleep 0.1; done
before=$(read_of) scans=$(ask "SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'polls'")
batches 20
for _ in $(seq 100); do [ "$(ask "SELECT n_tup_upd >= 32100 FROM pg_stat_user_tables WHERE relname = 'polls'")" = t ] && break; sleep 0.1; done
is "each of 21 batches took a hundred" 32100 "$(ask "SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'polls'")"
rows=$((($(read_of) - before) / 20))
is "of 30,000 open orders a batch reads about a hundred ($rows index entries)" yes "$([ "$rows" -le 500 ] && echo yes)"
is "and never the whole list" "$scans" "$(ask "SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'polls'")"
is "each is a request in the ledger" 21 "$(ask "SELECT sum(polls) FROM chwsync.budget_minutes")"

# The statement says that the clock stood at 1 when it was last known; the others are far beyond.
open_orders 200
ask "UPDATE chwsync.polls SET turn = turn + 1e6;
     UPDATE chwsync.polls SET turn = '-Infinity', stride = 0, asked_at = NULL, next_at = now() WHERE order_id IN (SELECT order_id FROM chwsync.polls LIMIT 150)" >/dev/null
batches 1
is "new orders in a batch of their own are stamped where the others stand" t "$(ask "SELECT count(*) = 100 AND min(turn) >= 1e6 FROM chwsync.polls WHERE stride = 0 AND turn > '-Infinity'")"
batches 1
is "and so are those in a mixed one" t "$(ask "SELECT count(*) = 150 AND min(turn) >= 1e6 FROM chwsync.polls WHERE stride = 0 AND turn > '-Infinity'")"
ask "UPDATE chwsync.polls SET turn = turn - 2e9" >/dev/null
ask "UPDATE chwsync.polls SET turn = '-Infinity', asked_at = NULL, next_at = now() WHERE stride = 0" >/dev/null
batches 1
is "a clock that was known and is ahead is not set back" t "$(ask "SELECT min(turn) = 1 FROM chwsync.polls WHERE stride = 0 AND turn > '-Infinity'")"

# Turns that migration 002 had made from the time of purchase.
open_orders 6
ask "UPDATE chwsync.orders SET accepted_at = now() - interval '1 month' * (1 + id - (SELECT min(x.id) FROM chwsync.orders x));
     UPDATE chwsync.polls SET turn = -extract(epoch FROM o.accepted_at), stride = 0 FROM chwsync.orders o WHERE o.id = order_id;
     UPDATE chwsync.polls SET turn = 40, stride = 300 WHERE order_id = (SELECT max(order_id) FROM chwsync.polls)" >/dev/null
sed -n '/^UPDATE/,/;/p' sql/schema/008-budget.sql >"$directory/repair.sql"
cluster_psql -f "$directory/repair.sql"
is "the newest come first" "$(ask "SELECT string_agg(id::text, ' ' ORDER BY accepted_at DESC) FROM chwsync.orders")" \
    "$(ask "SELECT string_agg(order_id::text, ' ' ORDER BY turn) FROM chwsync.polls")"
is "all within less than a stride before the others" t "$(ask "SELECT min(turn) > 38 AND max(turn) = 40 FROM chwsync.polls")"
done_testing
