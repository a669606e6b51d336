#!/bin/bash
# What is claimed, recorded and told the shop is looked up line by line, also by a session that made its plans for a ledger that was nearly empty.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/cluster.sh
. tests/lib/tap.sh
trap cluster_stop_all EXIT

cluster_start fsync=off autovacuum=off || exit 1
export PGOPTIONS='-c client_min_messages=warning'
lines=20000
orders() { # PREFIX COUNT
    echo "INSERT INTO chwsync.orders (order_ref, provider, service, link, quantity, max_charge)
          SELECT '$1' || i, 'one', CASE i % 2 WHEN 0 THEN 'P-1' ELSE 'P-' || i % 500 + 1 END, 'https://x.example/$1' || i, 100, CASE i % 4 WHEN 3 THEN 0 END
            FROM generate_series(1, $2) i;
          INSERT INTO chwsync.queue (order_id, provider, next_at) SELECT id, provider, now() FROM chwsync.orders WHERE order_ref LIKE '$1%' AND state = 'queued';"
}
claim() { # COUNT [ANSWER]: how many of the queue are asked for their veto; the others of them wait
    echo "SELECT count(*) FILTER (WHERE number IS NOT NULL OR id IS NOT NULL AND verdict IS NULL) FROM chwsync.claim('one', 1, '11111111-1111-1111-1111-111111111111', $1, 30, NULL, 1,
              (SELECT claims FROM chwsync.leases), '22222222-2222-2222-2222-222222222222',
              'SELECT array_agg(a.order_ref), array_agg(${2:-true}::boolean) FROM unnest(\$1) a', NULL, NULL, NULL, false, '{\"Default\": [\"link\", \"quantity\"]}');"
}
record() { # OUTCOME: of each attempt that is under way, as SQL
    echo "SELECT count(*) FROM (SELECT array_agg(order_id) AS ids, array_agg(number) AS numbers, array_agg(outcome) AS outcomes,
            array_agg(CASE outcome WHEN 'accepted' THEN 'id-' || order_id END) AS theirs, array_agg(200) AS statuses, array_agg(NULL::text) AS answers,
            array_agg(0) AS waits, array_agg(NULL::uuid) AS journals FROM (SELECT order_id, number, $1 AS outcome FROM chwsync.attempts WHERE open AND outcome IS NULL) b) a,
        chwsync.record_outcomes(ids, numbers, outcomes, theirs, statuses, answers, waits, true, 5, journals);"
}
of_all_kinds="(ARRAY['accepted', 'refused', 'put off', 'unknown'])[1 + order_id % 4]"
deliver() { # ANSWER
    echo "SELECT count(*) FROM chwsync.deliver(100, NULL, 'SELECT array_agg(r.order_ref), array_agg($1::boolean) FROM unnest(\$1) r');"
}
read_since="SELECT CASE WHEN sum(idx_tup_fetch) < 5000 THEN 'few' ELSE 'read ' || sum(idx_tup_fetch) END FROM pg_stat_xact_user_tables
             WHERE schemaname = 'chwsync' AND relname IN ('orders', 'polls', 'write_backs', 'history', 'attempts', 'catalogue_services');"

reads() { # COMMAND: prints what the statement that it tells answers and what is read for it
    echo "BEGIN; $(eval "$1") $read_since COMMIT;"
}

tables_of() { # WHAT
    cluster_psql -c "DROP DATABASE IF EXISTS shop" -c "CREATE DATABASE shop"
    "${BUILD:-build}/chwsyncd" schema install --conninfo "host=$PGHOST port=$PGPORT dbname=shop user=postgres" >/dev/null || exit 1
    {
        echo "INSERT INTO chwsync.accounts (provider, endpoint, key_digest) VALUES ('one', 'https://one.example', 'd');
            INSERT INTO chwsync.catalogues (account_id, read_at, tried_at) VALUES (1, now(), now());
            INSERT INTO chwsync.catalogue_services (account_id, service, product_id, name, type, category, rate, min, max, refill, charged_by, listed)
            SELECT 1, i, 'P-' || i, 'service ' || i, 'Default', 'c', 0.35, 1, 100000, false, 'quantity', true FROM generate_series(1, 500) i;
            INSERT INTO chwsync.leases (account_id, holder, number, claims, expires_at)
            VALUES (1, '11111111-1111-1111-1111-111111111111', 1, 0, now() + interval '1 hour');"
        [ $1 = empty ] && echo 'VACUUM ANALYZE;'
        orders early 80
        [ $1 = small ] && echo 'VACUUM ANALYZE;'
        for i in 1 2 3 4 5 6 7 8; do for of in "$of_all_kinds" "'accepted'"; do claim 2 && record "$of" && deliver true; done; done
    } | cat - <(
        orders late $lines
        echo "INSERT INTO chwsync.write_backs (order_id, seq, due_at) SELECT id, 0, now() + interval '1 hour' FROM chwsync.orders WHERE order_ref LIKE 'late%';"
        echo '\echo ----'
        for i in 1 2; do
            reads 'claim 20 NULL'
            reads 'claim 20'
            reads 'record "$of_all_kinds"'
            reads 'deliver NULL'
            echo "UPDATE chwsync.write_backs SET due_at = now() WHERE failures > 0;"
            reads 'deliver true'
            reads 'claim 20'
            reads "record \"'accepted'\""
            reads 'deliver true'
        done
    ) | PGDATABASE=shop cluster_psql -At >"$CLUSTER_DIR/said" 2>&1
}
for kind in empty small; do
    tables_of $kind
    is "plans were made when tables were $kind, and used often" "48" "$(sed '/^----/,$d' "$CLUSTER_DIR/said" | grep -c '^2$')"
    is "of $lines lines only those are looked at that are claimed, held, recorded or told" "$(printf '20 few %.0s' 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)20 few" "$(sed '1,/^----/d' "$CLUSTER_DIR/said" | xargs)"
done
done_testing
