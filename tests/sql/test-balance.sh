#!/bin/bash
# What is kept of balances: what of one is not spoken for, its history, whether it rose and reaches. TAP on stdout.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/cluster.sh
. tests/lib/tap.sh
build=${BUILD:-build}
trap cluster_stop_all EXIT

ask() { cluster_psql -At -c "$1" 2>&1; }
# The daemon's own role. Rows: available|rose|reaches|frees|was_low|is_low
note() { # AMOUNT ASKED-AT [MARK [KEEP-DAYS]]
    PGUSER=chwsync ask "SELECT * FROM chwsync.note_balance(1, 'p', $1, 'USD', $2, ${3:-NULL}, ${4:-400})"
}

cluster_start && cluster_psql -c 'CREATE DATABASE shop' || exit 1
export PGDATABASE=shop
"$build/chwsyncd" schema install --conninfo "host=$PGHOST dbname=shop user=postgres" >/dev/null || exit 1
cluster_psql <<'SQL' || exit 1
CREATE TABLE t AS SELECT '2026-11-25 12:00:00+00'::timestamptz AS now;
INSERT INTO chwsync.accounts (provider, endpoint, key_digest) VALUES ('p', 'e', 'd'), ('q', 'f', 'd');
INSERT INTO chwsync.orders (order_ref, provider) SELECT 'line-' || i, 'p' FROM generate_series(1, 12) i;
-- One of each kind, with charges that show who was counted. Asked at 12:00:00.
INSERT INTO chwsync.attempts (order_id, number, account_id, instance, claim, claimed_at, send_before, open, outcome, ended_at, expected_charge)
SELECT a.id, 1, a.account, gen_random_uuid(), 1, t.now + a.claimed, now(), a.open, a.outcome, t.now + a.ended, a.charge
  FROM t, (VALUES
       (1, 1, interval '-5 s', true, NULL, NULL::interval, 0.001),               -- on the wire
       (2, 1, interval '1 s', true, NULL, NULL, 0.01),                           -- claimed since
       (3, 1, interval '-2 days', true, NULL, NULL, 0.1),                        -- without an end for long
       (4, 1, interval '-5 s', false, 'accepted', interval '1 s', 1),            -- accepted since
       (5, 1, interval '-5 s', true, 'unknown', interval '1 s', 10),             -- lost since
       (6, 1, interval '-9 s', false, 'accepted', interval '-1 s', 100),         -- accepted before
       (7, 1, interval '-9 s', true, 'unknown', interval '-1 s', 200),           -- lost before
       (8, 1, interval '-5 s', false, 'refused', interval '1 s', 300),           -- came to nothing
       (9, 1, interval '-5 s', false, 'not executed', interval '1 s', 400),
       (10, 1, interval '-5 s', false, 'put off', interval '1 s', 500),
       (11, 2, interval '-5 s', false, 'accepted', interval '1 s', 600),         -- another account's
       (12, 1, interval '-5 s', false, 'accepted', interval '1 s', NULL))        -- no price was known
       AS a(id, account, claimed, open, outcome, ended, charge);
SQL
now="(SELECT now FROM t)"
ask "GRANT SELECT ON t TO chwsync" >/dev/null

is "told, less what it cannot have included" "988.889|f|f|t|f|f" "$(note 1000 "'2026-11-25 12:00:00+00'")"
is "it is kept" "1000|USD|988.889" "$(ask "SELECT balance, currency, available FROM chwsync.balances")"
is "an older answer is ignored" "" "$(note 5 "'2026-11-25 11:59:59+00'")"
is "so is the same one again" "" "$(note 5 "'2026-11-25 12:00:00+00'")"
is "the first one stands" "1000|1" "$(ask "SELECT balance, (SELECT count(*) FROM chwsync.balance_history) FROM chwsync.balances")"
is "what has ended long before is included" "999.889|f|f|t|f|f" "$(note 1000 "'2026-11-25 12:01:00+00'")"
is "no row of history for the same amount" 1 "$(ask "SELECT count(*) FROM chwsync.balance_history")"
ask "UPDATE chwsync.attempts SET open = false, outcome = 'accepted', ended_at = '2026-11-25 12:00:30+00' WHERE open" >/dev/null

is "it fell" "900|f|f|f|f|f" "$(note 900 "'2026-11-25 12:02:00+00'")"
is "it rose" "900.01|t|f|t|f|f" "$(note 900.01 "'2026-11-25 12:03:00+00'")"
is "by less than a double can tell" "900.01000000000000000000001|t|f|t|f|f" "$(note 900.01000000000000000000001 "'2026-11-25 12:04:00+00'")"
is "every change is in the history" "1000 900 900.01 900.01000000000000000000001" "$(ask "SELECT string_agg(balance::text, ' ' ORDER BY at) FROM chwsync.balance_history")"

is "not below the mark" "12|f|f|f|f|f" "$(note 12 "'2026-11-25 12:05:00+00'" 10)"
is "below it" "9.99|f|f|f|f|t" "$(note 9.99 "'2026-11-25 12:06:00+00'" 10)"
is "still below" "9|f|f|f|t|t" "$(note 9 "'2026-11-25 12:07:00+00'" 10)"
is "above again" "10.00|t|f|t|t|f" "$(note 10.00 "'2026-11-25 12:08:00+00'" 10)"
is "the mark was set higher: it was not below the one before" "10.00|f|f|f|f|t" "$(note 10.00 "'2026-11-25 12:08:30+00'" 50)"
is "no mark" "10.00|f|f|f|t|f" "$(note 10.00 "'2026-11-25 12:08:40+00'")"

# The oldest line was refused, and its price is known.
ask "UPDATE chwsync.orders SET attempts = 1;
     UPDATE chwsync.attempts SET expected_charge = 7 WHERE order_id = 10;
     INSERT INTO chwsync.queue VALUES (10, 'p', '2026-11-01'), (1, 'p', now())" >/dev/null
is "enough for the oldest line" "7|f|t|f|f|f" "$(note 7 "'2026-11-25 12:09:00+00'")"
is "not enough" "6.99|f|f|f|f|f" "$(note 6.99 "'2026-11-25 12:10:00+00'")"
ask "UPDATE chwsync.attempts SET expected_charge = NULL WHERE order_id = 10" >/dev/null
is "a price that is not known never reaches" "500|t|f|t|f|f" "$(note 500 "'2026-11-25 12:11:00+00'")"

# A claim that takes its charges off while a balance is noted: neither is lost.
(cluster_psql -c "BEGIN; UPDATE chwsync.balances SET available = available - 3;
    UPDATE chwsync.attempts SET open = true, outcome = NULL, ended_at = NULL, expected_charge = 3 WHERE order_id = 2;
    SELECT pg_sleep(1); COMMIT" >/dev/null) &
claim=$!
until [ "$(ask "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND wait_event = 'PgSleep'")" = 1 ]; do sleep 0.02; done
is "a claim that is being made is waited for, and counted once" "397|f|f|f|f|f" "$(note 400 "'2026-11-25 12:12:00+00'")"
wait $claim
is "the history is forgotten in time" "400" "$(note 401 "now()" NULL 400 >/dev/null; ask "UPDATE chwsync.balance_history SET at = at - interval '500 days' WHERE balance <> 400" >/dev/null
    note 400 "now()" NULL 400 >/dev/null; ask "SELECT string_agg(DISTINCT balance::text, ' ') FROM chwsync.balance_history")"
is "or never" "2" "$(ask "UPDATE chwsync.balance_history SET at = at - interval '500 days'" >/dev/null
    ask "DELETE FROM chwsync.balance_history WHERE id < (SELECT max(id) FROM chwsync.balance_history)" >/dev/null
    note 402 "now()" NULL 0 >/dev/null; ask "SELECT count(*) FROM chwsync.balance_history")"

# Where lines stand that could not be bought.
ask "DELETE FROM chwsync.queue; UPDATE chwsync.orders SET state = 'submitting', created_at = '2026-11-01';
     UPDATE chwsync.attempts SET open = true, outcome = NULL WHERE order_id IN (3, 4)" >/dev/null
ask "SELECT chwsync.record_outcomes('{3,4}', '{1,1}', '{put off,put off}', '{NULL,NULL}', '{200,200}', '{no money,busy}', '{-1,60}', false, 5, '{NULL,NULL}')" >/dev/null
is "where they stood, or after a while" "3|t|4|f" "$(ask "SELECT string_agg(order_id || '|' || CASE WHEN next_at < now() THEN 't' ELSE 'f' END, '|' ORDER BY order_id) FROM chwsync.queue")"

is "the view has it" "402|USD|t|f|399" "$(ask "SELECT balance, currency, balance_at > now() - interval '1 minute', balance_is_low, available + 0 FROM chwsync.provider_status WHERE provider = 'p'")"
is "and says what is not known" "||f|" "$(ask "SELECT balance, currency, balance_is_low, available FROM chwsync.provider_status WHERE provider = 'q'")"
done_testing
