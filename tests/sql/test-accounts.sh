#!/bin/bash
# An account that another one takes over: every row of its orders goes along, in batches; journals' names of accounts lead to it. TAP on stdout.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/cluster.sh
. tests/lib/tap.sh
trap cluster_stop_all EXIT

chwsyncd=${BUILD:-build}/chwsyncd
ask() { PGOPTIONS='-c role=chwsync' cluster_psql -At -c "$1" 2>&1; }

cluster_start || exit 1
"$chwsyncd" schema install --conninfo "host=$PGHOST user=postgres dbname=$PGDATABASE" >/dev/null || exit 1
cluster_psql <<'SQL'
INSERT INTO chwsync.accounts (provider, endpoint, key_digest) VALUES ('p', 'u', 'one'), ('p', 'u', 'two'), ('q', 'u', 'three');
INSERT INTO chwsync.orders (order_ref, provider, state, account_id, provider_order_id)
SELECT 'line-' || i, 'p', CASE WHEN i % 2 = 0 THEN 'active' ELSE 'completed' END::chwsync.order_state, 1, 1000 + i FROM generate_series(1, 25) i;
INSERT INTO chwsync.attempts (order_id, number, account_id, instance, claim, send_before, open, outcome, provider_order_id, found_by)
SELECT id, 1, 1, gen_random_uuid(), 1, now(), false, 'accepted', provider_order_id, CASE WHEN id = 7 THEN 'proof' END FROM chwsync.orders;
INSERT INTO chwsync.polls (order_id, account_id, next_at, turn, stride) SELECT id, 1, now() + interval '1 day', 17, 3 FROM chwsync.orders WHERE state = 'active';
INSERT INTO chwsync.orders (order_ref, provider, state, account_id) VALUES ('lost', 'p', 'uncertain', 1), ('refused', 'p', 'rejected', 1), ('elsewhere', 'q', 'active', 3);
INSERT INTO chwsync.attempts (order_id, number, account_id, instance, claim, send_before, open, outcome)
SELECT id, 1, account_id, gen_random_uuid(), 1, now(), order_ref = 'lost', CASE order_ref WHEN 'lost' THEN 'unknown' ELSE 'refused' END
  FROM chwsync.orders WHERE order_ref IN ('lost', 'refused', 'elsewhere');
INSERT INTO chwsync.submit_stops (order_id, number, account_id, order_ref, detail) VALUES (1, 1, 1, 'line-1', 'lost');
INSERT INTO chwsync.surplus_purchases VALUES (1, 1, 1, '77', 2);
INSERT INTO chwsync.resolutions (order_id, number, account_id, provider_order_id, asked_by) SELECT id, 1, 1, '78', 'me' FROM chwsync.orders WHERE order_ref = 'lost';
INSERT INTO chwsync.service_histories VALUES (1, 's', 1, 2, 3), (1, 't', 1, 2, 3), (2, 't', 9, 9, 9);
INSERT INTO chwsync.account_comparisons (account_id, earlier_id, verdict) VALUES (2, 1, 'same'), (1, 2, 'same');
-- The later account has read its catalogue already: service 1 is another one there, 2 is not listed.
INSERT INTO chwsync.catalogues (account_id, read_at, tried_at) VALUES (1, now(), now()), (2, now(), now());
INSERT INTO chwsync.catalogue_services (account_id, service, name, type, rate, charged_by, listed, first_seen_at, ordered_name, ordered_type) VALUES
    (1, '1', 'Likes', 'Default', 1, 'runs', true, '2026-01-01', 'Likes', 'Default'), (1, '2', 'Views', 'Default', 2, 'runs', true, '2026-01-01', NULL, NULL),
    (1, '3', 'Polls', 'Poll', 3, 'quantity', true, '2026-01-01', NULL, NULL),
    (2, '1', 'Dislikes', 'Default', 1.5, 'runs', true, now(), NULL, NULL), (2, '3', 'Polls', 'Poll', 3, 'quantity', true, now(), 'Votes', 'Poll');
SQL
moves=0
until [ "$(ask "SELECT chwsync.take_over(1, 2, 4)")" = 0 ] || [ $((moves += 1)) -gt 50 ]; do :; done
is "it ends, in several batches" yes "$([ $moves -gt 3 ] && [ $moves -lt 20 ] && echo yes || echo "$moves")"
# Every table with both columns, found as the function does not find them: by the information schema.
left=''
while read -r table; do
    left+=$(ask "SELECT '$table ' || count(*) FROM chwsync.$table WHERE account_id = 1 HAVING count(*) > 0")
done < <(ask "SELECT table_name FROM information_schema.columns WHERE table_schema = 'chwsync' AND column_name IN ('order_id', 'account_id')
    AND table_name IN (SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'chwsync'::regnamespace) GROUP BY 1 HAVING count(*) = 2")
is "nothing of it is left but what was refused" "attempts 1" "$left"
is "its orders went along" "26|1" "$(ask "SELECT count(*) FILTER (WHERE account_id = 2), count(*) FILTER (WHERE account_id = 1) FROM chwsync.orders")"
is "polls are due, on the new clock" "12|t" "$(ask "SELECT count(*), bool_and(turn = '-Infinity' AND next_at <= now()) FROM chwsync.polls WHERE account_id = 2")"
is "another provider's rows are where they were" "3|3" "$(ask "SELECT o.account_id, a.account_id FROM chwsync.orders o JOIN chwsync.attempts a ON a.order_id = o.id WHERE order_ref = 'elsewhere'")"
is "what services teach went along, and nothing was overwritten" "s 1, t 9" "$(ask "SELECT string_agg(service || ' ' || mean, ', ' ORDER BY service) FROM chwsync.service_histories WHERE account_id = 2")"
is "what services were called when they were ordered goes along; its own catalogue says what is listed" '1|Dislikes|1.5|t|Likes|Default|t
2|Views|2|f|||t
3|Polls|3|t|Votes|Poll|t' "$(ask "SELECT service, name, rate, listed, ordered_name, ordered_type, first_seen_at = '2026-01-01' FROM chwsync.catalogue_services WHERE account_id = 2 ORDER BY service")"
is "the earlier one keeps its own" "3" "$(ask "SELECT count(*) FROM chwsync.catalogue_services WHERE account_id = 1")"
is "it is noted" "2||t|1" "$(ask "SELECT a.continued_by, b.continued_by, c.moved_at IS NOT NULL, (SELECT count(*) FROM chwsync.account_comparisons)
    FROM chwsync.accounts a, chwsync.accounts b, chwsync.account_comparisons c WHERE a.id = 1 AND b.id = 2 AND c.account_id = 2")"
is "a journal's account leads to the one that has its rows" 2 "$(ask "SELECT chwsync.account_of(1, 'p')")"
is "... its own stays its own" 3 "$(ask "SELECT chwsync.account_of(3, 'q')")"
is "... another provider's number is none" 3 "$(ask "SELECT chwsync.account_of(1, 'q')")"
is "... one that was never used here gets an account of that name" "4 r" "$(ask "SELECT chwsync.account_of(9, 'r'); SELECT id || ' ' || provider FROM chwsync.accounts ORDER BY id DESC LIMIT 1" | tail -n 1)"
is "... once" "4 4" "$(ask "SELECT chwsync.account_of(9, 'r') || ' ' || count(*) FROM chwsync.accounts")"
ask "SELECT chwsync.take_over(2, 1, 100)" >/dev/null
is "back: what was said of a service since goes along" "Dislikes" "$(ask "UPDATE chwsync.catalogue_services SET ordered_name = 'Dislikes' WHERE account_id = 2 AND service = '1'" >/dev/null
    ask "SELECT chwsync.take_over(2, 1, 100)" >/dev/null; ask "SELECT ordered_name FROM chwsync.catalogue_services WHERE account_id = 1 AND service = '1'")"
is "back: what was noted turns round" "|1" "$(ask "SELECT chwsync.take_over(2, 1, 100); SELECT a.continued_by, b.continued_by FROM chwsync.accounts a, chwsync.accounts b WHERE a.id = 1 AND b.id = 2" | tail -n 1)"
is "... and no circle is made" 1 "$(ask "SELECT chwsync.account_of(2, 'p')")"
done_testing
