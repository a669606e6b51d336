#!/bin/bash
# Intake by the function itself: its plans over thousands of lines, and what becomes of lines that cannot be taken.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/cluster.sh
. tests/lib/tap.sh
build=${BUILD:-build}
trap cluster_stop_all EXIT
ask() { cluster_psql -At -c "$1" 2>&1; }

# Statistics are those of tables that are known to be empty, as they are a minute after the tables were.
cluster_start fsync=off autovacuum=off || exit 1
export PGOPTIONS='-c client_min_messages=warning'
"$build/chwsyncd" schema install --conninfo "host=$PGHOST port=$PGPORT dbname=postgres user=postgres" >/dev/null || exit 1
cluster_psql <<'SQL' || exit 1
CREATE SCHEMA test;
CREATE TABLE test.lines (order_ref text, service text DEFAULT 'S', link text, quantity bigint DEFAULT 100, raises boolean DEFAULT false);
CREATE VIEW test.shown AS SELECT order_ref, service, link, quantity / (NOT raises)::int AS quantity FROM test.lines;
-- As the daemon asks (store/shop): the whole, or one line.
CREATE FUNCTION test.intake(anew boolean, only_ref text DEFAULT NULL, at_most int DEFAULT 100000) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', i.taken, i.followed, i.parked, i.parked_in_all, i.parked_lines)
      FROM chwsync.intake('one', '{one}', at_most, false, 'test.shown',
               'SELECT v.order_ref::text, v.service, v.link, v.quantity, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint, NULL::text,
                       NULL::text, NULL::text, NULL::text, NULL::jsonb, NULL::text, NULL::numeric, NULL::text, NULL::timestamptz
                  FROM test.shown v WHERE ' || CASE WHEN only_ref IS NULL THEN
                  'v.order_ref IS NULL OR NOT v.order_ref::text = ANY (ARRAY(SELECT p.order_ref FROM chwsync.parked_lines p
                                                                              WHERE p.sqlstate IS NOT NULL))'
                  ELSE 'v.order_ref::text = $1' END, only_ref, anew, 'no %s') i
$$;
SQL

# ---- plans ----
# One session, as the daemon's: what was planned for an empty ledger must not serve a full one. Each line compared with each takes
# minutes, each looked up takes a second.
lines=20000
cluster_psql -c 'VACUUM ANALYZE' || exit 1
is "a session that planned for nothing takes $lines lines, follows them, half at a time, and takes some more" \
    "0 0 0 0
$lines 0 0 0
0 0 0 0
0 10000 0 0
0 10000 0 0
10 0 0 0" "$(cluster_psql -At 2>&1 <<SQL
SET statement_timeout = '15 s';
SELECT test.intake(true);
INSERT INTO test.lines (order_ref) SELECT 'line-' || g FROM generate_series(1, $lines) g;
SELECT test.intake(true);
SELECT test.intake(true);
UPDATE test.lines SET quantity = 200;
SELECT test.intake(true);
SELECT test.intake(true);
INSERT INTO test.lines (order_ref) SELECT 'more-' || g FROM generate_series(1, 10) g;
SELECT test.intake(true);
SQL
)"
ask "TRUNCATE test.lines; INSERT INTO test.lines (order_ref) SELECT 'row-' || g % $lines FROM generate_series(1, 200000) g" >/dev/null
is "of $((lines * 10)) faulty rows and $lines parked keys each is looked up too" "0 0 $lines $lines
0 0 0 $lines" "$(cluster_psql -At 2>&1 <<'SQL' | sed 's/ row-.*//' | grep -v '^row-'
SET statement_timeout = '15 s';
SELECT test.intake(true);
SELECT test.intake(true);
SQL
)"

# ---- lines that cannot be taken ----
parked() { ask "SELECT concat_ws(' ', order_ref, sqlstate, CASE WHEN retry_at > now() + interval '4 minutes' THEN 'later' ELSE 'now' END) FROM chwsync.parked_lines ORDER BY 1"; }
ask "TRUNCATE test.lines; INSERT INTO test.lines (order_ref) VALUES ('twice'), ('twice'), ('good-1')" >/dev/null
is "a look at the whole parks what is shown twice, and forgets what is not any more" "1 0 1 1 twice: the view shows this order_ref more than once
twice now" "$(ask "SELECT test.intake(true)")
$(parked)"
is "looked at alone it waits, so that others have their turn" "0 0 0 1
twice later" "$(ask "SELECT test.intake(false, 'twice')")
$(parked)"
is "shown once, it is taken all the same" "1 0 0 0
" "$(ask "DELETE FROM test.lines WHERE ctid = (SELECT min(ctid) FROM test.lines WHERE order_ref = 'twice')
          RETURNING NULL" >/dev/null; ask "SELECT test.intake(true)")
$(parked)"
stands() { ask "SELECT state || ' ' || quantity FROM chwsync.orders WHERE order_ref = 'twice'"; }
ask "INSERT INTO test.lines (order_ref, quantity) VALUES ('twice', 300)" >/dev/null
is "shown twice after it was taken, it follows neither row" "0 0 1 1 twice: the view shows this order_ref more than once
queued 100" "$(ask "SELECT test.intake(true)")
$(stands)"
ask "UPDATE chwsync.orders SET state = 'withdrawn', updated_at = now() - interval '1 hour' WHERE order_ref = 'twice'; DELETE FROM chwsync.queue" >/dev/null
is "... and does not come back as one of them" "0 0 0 1
withdrawn 100" "$(ask "SELECT test.intake(true)")
$(stands)"
is "shown once it comes back as it is shown" "0 0 0 0
queued 300
" "$(ask "DELETE FROM test.lines WHERE order_ref = 'twice' AND quantity = 100" >/dev/null; ask "SELECT test.intake(true)")
$(stands)
$(parked)"

park() { ask "INSERT INTO chwsync.parked_lines (order_ref, sqlstate, reason) VALUES ('$1', '22012', 'division by zero')" >/dev/null; }
ask "INSERT INTO test.lines (order_ref, raises) VALUES ('bad-1', true), ('bad-2', true)" >/dev/null
is "a line that raises spoils the look at the whole" "ERROR:  division by zero" "$(ask "SELECT test.intake(true)" | head -n 1)"
park bad-1
park bad-2
ask "INSERT INTO test.lines (order_ref) VALUES ('good-2')" >/dev/null
is "and is left out of it, when it is parked" "1 0 0 2
bad-1 22012 now
bad-2 22012 now" "$(ask "SELECT test.intake(true)")
$(parked)"
ask "UPDATE test.lines SET raises = false WHERE order_ref = 'bad-1'; DELETE FROM test.lines WHERE order_ref = 'bad-2'" >/dev/null
is "mended, it is taken when it is tried again" "1 0 0 1" "$(ask "SELECT test.intake(false, 'bad-1')")"
is "no longer shown, it is forgotten" "0 0 0 0
" "$(ask "SELECT test.intake(false, 'bad-2')")
$(parked)"

# ---- long texts ----
# What is followed at once is held in memory: of lines of a megabyte each that is not 10,000.
ask "TRUNCATE test.lines; INSERT INTO test.lines (order_ref) SELECT 'long-' || g FROM generate_series(1, 100) g;
    CREATE OR REPLACE VIEW test.shown AS SELECT order_ref, service, repeat(quantity::text, 1000000 / length(quantity::text)) AS link, quantity FROM test.lines" >/dev/null
is "long lines are followed some at a time, each of them" "100 0 0 0
0 67 0 0
0 33 0 0
0 0 0 0" "$(for quantity in 100 200 200 200; do ask "UPDATE test.lines SET quantity = $quantity" >/dev/null; ask "SELECT test.intake(true)"; done)"

# ---- two instances ----
# The view of one takes long, and meanwhile the other follows the shop further.
ask "TRUNCATE test.lines; INSERT INTO test.lines (order_ref) VALUES ('both');
    CREATE OR REPLACE VIEW test.shown AS SELECT order_ref, service, link, quantity FROM test.lines
     WHERE current_setting('application_name') <> 'slow' OR pg_sleep(0.1) IS NOT NULL AND pg_advisory_xact_lock(1) IS NOT NULL" >/dev/null
ask "SELECT test.intake(true)" >/dev/null
ask "UPDATE test.lines SET quantity = 1" >/dev/null
cluster_psql -c "SELECT pg_advisory_lock(1)" -c "SELECT pg_sleep(3600)" >/dev/null 2>&1 &
await_waiter() { # SQL
    for ((i = 0; i < 500; i++)); do [ "$(ask "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND $1")" = 0 ] || return 0; sleep 0.02; done
}
await_waiter granted
PGAPPNAME=slow cluster_psql -At -c "SELECT test.intake(true)" >"$CLUSTER_DIR/slow" 2>&1 &
slow=$!
await_waiter 'NOT granted'
ask "UPDATE test.lines SET quantity = 2" >/dev/null
is "the other follows" "0 1 0 0" "$(ask "SELECT test.intake(true)")"
ask "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted" >/dev/null
wait $slow
is "the slow one does not bring back what the shop had before" "0 0 0 0 2" "$(cat "$CLUSTER_DIR/slow") $(ask "SELECT quantity FROM chwsync.orders WHERE order_ref = 'both'")"
is "and follows again" "0 1 0 0 3" "$(ask "UPDATE test.lines SET quantity = 3" >/dev/null; ask "SELECT test.intake(true)") $(ask "SELECT quantity FROM chwsync.orders WHERE order_ref = 'both'")"
echo "1..$tests"
[ $failed = 0 ]
