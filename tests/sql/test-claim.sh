#!/bin/bash
# What the claim lets go, holds and rejects, by the catalogue, by prices and by the balance; each case by the functions themselves.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/cluster.sh
. tests/lib/tap.sh
build=${BUILD:-build}
trap cluster_stop_all EXIT

ask() { cluster_psql -At -c "$1" 2>&1; }

cluster_start fsync=off && cluster_psql -c 'CREATE DATABASE shop' || exit 1
export PGDATABASE=shop PGOPTIONS='-c client_min_messages=warning'
"$build/chwsyncd" schema install --conninfo "host=$PGHOST dbname=shop user=postgres" >/dev/null || exit 1

cluster_psql -o /dev/null <<'SQL' || exit 1
CREATE SCHEMA test;
INSERT INTO chwsync.accounts (provider, endpoint, key_digest) VALUES ('one', 'https://one.example/api', 'd');
INSERT INTO chwsync.leases (account_id, holder, number, expires_at)
VALUES (1, '00000000-0000-0000-0000-000000000001', 1, now() + interval '1 hour');
-- The shop's side: what it says of a line, and every question.
CREATE TABLE test.answers (order_ref text PRIMARY KEY, go boolean);
CREATE TABLE test.asked (id bigint GENERATED ALWAYS AS IDENTITY, order_ref text, seq bigint);
CREATE FUNCTION test.veto(r chwsync.result) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO test.asked (order_ref, seq) VALUES (r.order_ref, r.seq);
    RETURN (SELECT CASE WHEN EXISTS (SELECT FROM test.answers a WHERE a.order_ref = r.order_ref)
                        THEN (SELECT a.go FROM test.answers a WHERE a.order_ref = r.order_ref) ELSE true END);
END $$;
CREATE FUNCTION test.line(ref text, service text, quantity bigint, more jsonb DEFAULT '{}') RETURNS void LANGUAGE sql AS $$
    WITH added AS (
        INSERT INTO chwsync.orders (order_ref, provider, service, link, quantity, runs, comments, usernames, max_charge)
        SELECT ref, 'one', service, 'https://x.example/' || ref, quantity, (more ->> 'runs')::bigint, more ->> 'comments',
               more ->> 'usernames', (more ->> 'max_charge')::numeric RETURNING id)
    INSERT INTO chwsync.queue (order_id, provider, next_at) SELECT id, 'one', now() - interval '1 second' FROM added
$$;
CREATE FUNCTION test.claim(at_most int DEFAULT 10, charge_limit numeric DEFAULT NULL, day_limit numeric DEFAULT NULL)
    RETURNS TABLE (place bigint, said text) LANGUAGE sql AS $$
    SELECT row_number() OVER (), concat_ws(' ', coalesce(c.order_ref, 'end'),
               CASE WHEN c.go THEN 'goes as ' || coalesce(c.type, 'unknown') WHEN NOT c.go THEN 'withdrawn' END, c.verdict || ':', c.reason,
               CASE WHEN c.more THEN 'and more' END)
      FROM chwsync.claim('one', 1, '00000000-0000-0000-0000-000000000001', at_most, 30, NULL, 1,
               (SELECT claims FROM chwsync.leases), '00000000-0000-0000-0000-00000000000a',
               'SELECT array_agg(r.order_ref), array_agg(test.veto(r)) FROM unnest($1) AS r', NULL, charge_limit, day_limit, true,
               '{"Default": ["link", "quantity"], "Custom Comments": ["link", "comments"], "Mentions Custom List": ["link", "usernames"], "Package": ["link"],
                 "Mentions Hashtag": ["link", "quantity", "hashtag"], "Comment Likes": ["link", "quantity", "username"]}') c
$$;
CREATE FUNCTION test.service(id text, product text, type text, charged text, rate numeric, min bigint, max bigint) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO chwsync.catalogue_services (account_id, service, product_id, name, type, charged_by, rate, min, max)
    VALUES (1, id, product, 'Name ' || id, type, charged, rate, min, max)
$$;
-- Everything due, and nothing left of what was claimed.
CREATE FUNCTION test.anew() RETURNS void LANGUAGE sql AS $$
    DELETE FROM chwsync.queue; DELETE FROM chwsync.orders; DELETE FROM chwsync.attempts; DELETE FROM chwsync.budget_minutes;
    DELETE FROM chwsync.history; DELETE FROM chwsync.write_backs; DELETE FROM chwsync.balances; DELETE FROM test.answers; DELETE FROM test.asked;
$$;
SQL
claim() { ask "SELECT said FROM test.claim($1) ORDER BY place"; }
anew() { ask "SELECT test.anew()" >/dev/null; }
line() { # REF SERVICE QUANTITY [JSON]
    ask "SELECT test.line('$1', '$2', $3, '${4:-{\}}')" >/dev/null
}
hasten() { ask "UPDATE chwsync.queue SET next_at = now()" >/dev/null; }
state() { ask "SELECT concat_ws(' ', o.state, q.held, o.error) FROM chwsync.orders o LEFT JOIN chwsync.queue q ON q.order_id = o.id WHERE o.order_ref = '$1'"; }
expected() { ask "SELECT trim_scale(a.expected_charge) FROM chwsync.attempts a JOIN chwsync.orders o ON o.id = a.order_id WHERE o.order_ref = '$1' ORDER BY number DESC LIMIT 1"; }

# ---- lines of a text, as wire/add_check sends them ----
for case in "''|0" "'a'|1" "E'a\\r\\n\\r\\nb\\rc\\n \\t\\x0b\\f\\n'|3" "E'\\n \\r'|0" "E' a \\n\\u00a0'|2" "NULL|" "repeat(E'x\\r\\n', 10000)|10000"; do
    is "lines of ${case%|*}" "${case#*|}" "$(ask "SELECT chwsync.count_lines(${case%|*})")"
done

# ---- no catalogue was ever read ----
line a X 5
is "the very first orders wait a moment for the catalogue" "end" "$(claim)"
ask "UPDATE chwsync.accounts SET first_used_at = now() - interval '11 seconds'" >/dev/null
line b X 5 '{"max_charge": 2}'
is "without a catalogue all goes but what has a limit" "b unpriced: its price is not known beforehand, and max_charge 2 applies; it goes when a catalogue tells the price
a goes as unknown
end" "$(claim)"
is "no charge is expected" "" "$(expected a)"
is "what is held is told the shop" "b queued" "$(ask "SELECT o.order_ref, o.state FROM chwsync.write_backs w JOIN chwsync.orders o ON o.id = w.order_id" | tr '|' ' ')"
hasten
is "once" "end|1" "$(claim)|$(ask "SELECT count(*) FROM chwsync.write_backs")"
is "and is kept in the history" "held its price is not known beforehand, and max_charge 2 applies; it goes when a catalogue tells the price" \
    "$(ask "SELECT event, detail FROM chwsync.history" | tr '|' ' ')"

# ---- the catalogue ----
cluster_psql -o /dev/null <<'SQL' || exit 1
INSERT INTO chwsync.catalogues (account_id, read_at, tried_at) VALUES (1, now(), now());
SELECT test.service('1', 'LIKES', 'Default', 'runs', 1.5000, 100, 50000), test.service('2', 'VOTES', 'Poll', 'quantity', 0.080116556, 10, 1000),
       test.service('3', 'WORDS', 'Custom Comments', 'comments', 60, 2, 4), test.service('4', NULL, 'Mentions Custom List', 'usernames', 15, 2, 3),
       test.service('5', 'PACK', 'Package', 'fixed', 49.99, 1, 1), test.service('6', 'AUTO', 'Subscriptions', 'posts', 1.2, 10, 5000),
       test.service('7', 'ODD', 'Something New', 'unknown', 3, 10, 20), test.service('8', 'FREE', 'Default', 'runs', NULL, NULL, NULL);
SQL
anew
line known LIKES 1000
line byid 1 1000
line drip LIKES 200 '{"runs": 5}'
line votes VOTES 11
line words WORDS 1 '{"comments": "one\r\n\r\ntwo  \r \t \rthree\n"}'
line users 4 1 '{"usernames": "a\nb"}'
line pack PACK 1000000
line auto AUTO 1
line odd ODD 5
line free FREE 1
line none NOPE 5
is "what it sells goes" "none rejected: the provider does not sell service \"NOPE\"
known goes as Default
byid goes as Default
drip goes as Default
votes goes as Poll
words goes as Custom Comments
users goes as Mentions Custom List
pack goes as Package
auto goes as Subscriptions
odd goes as Something New
free goes as Default
end" "$(claim 11)"
for case in known:1.5 byid:1.5 drip:1.5 votes:0.000881282116 words:0.18 users:0.03 pack:49.99 auto: odd: free:; do
    is "the charge of ${case%:*} is foreseen" "${case#*:}" "$(expected "${case%:*}")"
done
is "what it does not sell is rejected" 'rejected the provider does not sell service "NOPE"' "$(state none)"
is "with an entry in the history, and told" "rejected rejected 1" "$(ask "SELECT h.event, h.state, (SELECT count(*) FROM chwsync.write_backs w WHERE w.order_id = o.id)
    FROM chwsync.orders o JOIN chwsync.history h ON h.order_id = o.id WHERE o.order_ref = 'none'" | tr '|' ' ')"
is "and stands in no list" "0" "$(ask "SELECT count(*) FROM chwsync.queue")"
is "the minute has what was claimed" "10 54.700881282116" "$(ask "SELECT sum(adds), trim_scale(sum(spent)) FROM chwsync.budget_minutes" | tr '|' ' ')"
is "a service ordered by its id is known by its name from then on" "1 Name 1 Default, 4 Name 4 Mentions Custom List" \
    "$(ask "SELECT string_agg(concat_ws(' ', service, ordered_name, ordered_type), ', ' ORDER BY service) FROM chwsync.catalogue_services WHERE ordered_name IS NOT NULL")"

anew
line few LIKES 50
line many VOTES 1001
line runs LIKES 50001 '{"runs": 3}'
line word WORDS 100 '{"comments": "\n \nonly one\n"}'
line users 4 100 '{"usernames": "a\nb\nc\nd"}'
claim >/dev/null
is "too few" "rejected quantity 50 is below the minimum of 100 for service LIKES (Name 1)" "$(state few)"
is "too many" "rejected quantity 1001 is above the maximum of 1000 for service VOTES (Name 2)" "$(state many)"
is "too many in each run" "rejected quantity 50001 of each run is above the maximum of 50000 for service LIKES (Name 1)" "$(state runs)"
is "too few comments, whatever the quantity says" "rejected number of comments 1 is below the minimum of 2 for service WORDS (Name 3)" "$(state word)"
is "too many usernames" "rejected number of usernames 4 is above the maximum of 3 for service 4 (Name 4)" "$(state users)"
is "the shop is not asked about any of them" "0" "$(ask "SELECT count(*) FROM test.asked")"
hasten
is "a rejected one is not opened again by itself" "end" "$(claim)"

# What has to be counted and is not there is no matter of a price that nobody knows.
anew
line nothing LIKES NULL '{"max_charge": 2}'
line nowords WORDS 5 '{"max_charge": 2}'
line nousers 4 5 '{"max_charge": 2}'
line blanks FREE NULL '{"max_charge": 2}'
line minus FREE -5
line nan LIKES 100 '{"max_charge": "NaN"}'
ask "SELECT test.line('between', 'AUTO', NULL), test.line('low', 'AUTO', NULL), test.line('high', 'AUTO', NULL);
    UPDATE chwsync.orders SET min = CASE order_ref WHEN 'low' THEN 9 ELSE 10 END, max = CASE order_ref WHEN 'high' THEN 5001 ELSE 5000 END
     WHERE order_ref IN ('between', 'low', 'high');
    SELECT test.line('unnamed', NULL, 5)" >/dev/null
is "a subscription within the service's bounds goes, and nothing else of it" "between goes as Subscriptions" "$(claim 10 | grep 'goes as')"
ask "SELECT test.service('9', 'TAGS', 'Mentions Hashtag', 'quantity', 2, 1, 100), test.service('10', 'CLIKES', 'Comment Likes', 'quantity', 2, 1, 100);
    SELECT test.line('tag', 'TAGS', 5), test.line('notag', 'TAGS', 5), test.line('nulltag', 'TAGS', 5), test.line('liked', 'CLIKES', 5),
           test.line('blank', 'CLIKES', 5), test.line('nolink', 'LIKES', 100);
    UPDATE chwsync.orders SET params = CASE order_ref WHEN 'tag' THEN '{\"hashtag\": \"#a\"}' WHEN 'nulltag' THEN '{\"hashtag\": null}' END::jsonb,
           username = CASE order_ref WHEN 'liked' THEN 'u' ELSE E' \\t\\x0b\\r\\n' END, link = CASE order_ref WHEN 'nolink' THEN '' ELSE link END
     WHERE order_ref IN ('tag', 'notag', 'nulltag', 'liked', 'blank', 'nolink')" >/dev/null
is "what has all that its type needs goes" "tag goes as Mentions Hashtag, liked goes as Comment Likes" "$(claim 10 | grep 'goes as' | paste -sd, | sed 's/,/, /g')"
is "without a parameter" "rejected hashtag is missing: services of type Mentions Hashtag need it" "$(state notag)"
is "with one that is null" "rejected hashtag is missing: services of type Mentions Hashtag need it" "$(state nulltag)"
is "with blanks alone" "rejected username is missing: services of type Comment Likes need it" "$(state blank)"
is "without a link" "rejected link is missing: services of type Default need it" "$(state nolink)"
is "without a quantity" "rejected quantity is missing, or is no whole number: services of type Default need it" "$(state nothing)"
is "also where no price is told" "rejected quantity is missing, or is no whole number: services of type Default need it" "$(state blanks)"
is "without comments" "rejected comments is missing: services of type Custom Comments need it" "$(state nowords)"
is "without usernames" "rejected usernames is missing: services of type Mentions Custom List need it" "$(state nousers)"
is "below zero, where no minimum is told" "rejected the quantity is not positive" "$(state minus)"
# What will not pass by itself is not held for a limit first.
ask "SELECT test.line('list', 'TAGS', 5, '{\"max_charge\": 0}'), test.line('never', 'LIKES', 100, '{\"runs\": 0, \"max_charge\": 0}'),
           test.line('ever', 'LIKES', 100, '{\"runs\": 1000001, \"max_charge\": 0}'), test.line('crossed', 'AUTO', NULL, '{\"max_charge\": 1}');
    UPDATE chwsync.orders SET params = '[1]' WHERE order_ref = 'list'; UPDATE chwsync.orders SET min = 30, max = 20 WHERE order_ref = 'crossed'" >/dev/null
claim >/dev/null
is "params that name nothing" "rejected params is not an object of names and values" "$(state list)"
is "no runs" "rejected runs is 0: it must be a whole number above 0" "$(state never)"
is "endless ones" "rejected runs is 1000001, which no service sells: at most 1000000" "$(state ever)"
is "bounds that cross" "rejected min 30 is above max 20" "$(state crossed)"
is "a limit that is no number" "rejected max_charge is not a number" "$(state nan)"
is "a subscription's min" "rejected min 9 is below the minimum of 10 for service AUTO (Name 6)" "$(state low)"
is "a subscription's max" "rejected max 5001 is above the maximum of 5000 for service AUTO (Name 6)" "$(state high)"
is "no service" "rejected the line shows no service: it has none in the shop, or its options cannot be used as they are" "$(state unnamed)"

# A catalogue that is older than the line may lack what the provider has begun to sell since.
anew
ask "UPDATE chwsync.catalogues SET read_at = now() - interval '20 minutes', tried_at = now() - interval '20 minutes'" >/dev/null
line new NEWEST 5
line known LIKES 100
is "the others go" "known goes as Default" "$(claim 10 | grep 'goes as')"
is "it waits" 'queued disabled the provider did not list service "NEWEST" when its list was read last; it is read again before the line goes or is rejected' "$(state new)"
is "and the catalogue is wanted" "t" "$(ask "SELECT wanted_at > now() - interval '1 minute' FROM chwsync.catalogues")"
ask "UPDATE chwsync.catalogues SET wanted_at = now() - interval '14 minutes'" >/dev/null
hasten
claim 10 >/dev/null
is "once in a quarter of an hour" "t" "$(ask "SELECT wanted_at < now() - interval '13 minutes' FROM chwsync.catalogues")"
ask "UPDATE chwsync.catalogues SET tried_at = now(), error = 'an HTML page'" >/dev/null
hasten
is "one that cannot be read decides nothing" "end" "$(claim 10)"
ask "UPDATE chwsync.catalogues SET read_at = now(), error = NULL" >/dev/null
hasten
claim 10 >/dev/null
is "one that was read does" 'rejected the provider does not sell service "NEWEST"' "$(state new)"
ask "UPDATE chwsync.catalogues SET wanted_at = NULL" >/dev/null

anew
ask "UPDATE chwsync.catalogue_services SET listed = false WHERE service = '2'; UPDATE chwsync.catalogue_services SET refused_at = now() WHERE service = '5'" >/dev/null
line gone VOTES 100
line off PACK 1
line works LIKES 100
is "one that can be bought does not wait for the others" "works goes as Default" "$(claim 1 | grep 'goes as')"
is "no longer listed" "queued disabled the provider does not list service VOTES (Name 2) now; it goes when a catalogue lists it again" "$(state gone)"
is "listed and refused" "queued disabled the provider refused service PACK (Name 5) as not found or disabled; it is tried again after the next catalogue" "$(state off)"
ask "UPDATE chwsync.catalogue_services SET listed = true, refused_at = NULL" >/dev/null
is "they wait a minute" "end" "$(claim)"
hasten
is "and go when it is back" "gone goes as Poll
off goes as Package
end" "$(claim)"
is "a refused one is noted" "2" "$(ask "SELECT chwsync.refuse_service(1, 'VOTES'), chwsync.refuse_service(1, '5')" >/dev/null; ask "SELECT count(*) FROM chwsync.catalogue_services WHERE refused_at IS NOT NULL")"
ask "UPDATE chwsync.catalogue_services SET refused_at = NULL" >/dev/null

# ---- another service under the same id ----
anew
ask "UPDATE chwsync.catalogue_services SET name = 'Something else', type = 'Package' WHERE service = '1'" >/dev/null
line byid 1 100
line byname LIKES 100
is "the stable name goes on" "byname goes as Package" "$(claim 10 | grep 'goes as')"
is "the id is held" 'queued identity service 1 was "Name 1" (Default) when it was last ordered and is "Something else" (Package) now; it waits for an operator: chwsyncd services --accept 1' "$(state byid)"
is "an operator says that it is right" "Name 1 (Default)|Something else (Package)|1" "$(ask "SELECT * FROM chwsync.accept_service(1, '1')")"
is "then it goes" "byid goes as Package
end" "$(claim)"
is "no such service" "||0" "$(ask "SELECT * FROM chwsync.accept_service(1, '99')")"
ask "UPDATE chwsync.catalogue_services SET name = 'Name 1', type = 'Default', ordered_name = NULL, ordered_type = NULL WHERE service = '1'" >/dev/null

# ---- limits ----
anew
line a LIKES 2000 '{"max_charge": 3}'
line b LIKES 2000 '{"max_charge": 2.9999}'
line c AUTO 1 '{"max_charge": 100}'
line d PACK 1
is "up to max_charge, and not a bit above" "a goes as Default" "$(claim '10, 49.98' | grep 'goes as')"
is "above it" "queued price price 3 is above max_charge 2.9999; it goes when the price falls" "$(state b)"
is "a charge that cannot be foreseen" "queued unpriced its price is not known beforehand for services of type Subscriptions, and max_charge 100 applies; it goes when that limit is taken away" "$(state c)"
is "above the configured one" "queued limit price 49.99 is above max_charge_per_order 49.98; it goes when the price falls" "$(state d)"
ask "UPDATE chwsync.catalogue_services SET rate = 1.4999 WHERE service = '1'" >/dev/null
hasten
is "it goes when the price has fallen, or the limit is gone" "b goes as Default
d goes as Package
end" "$(claim 10 | grep -v unpriced)"
ask "UPDATE chwsync.catalogue_services SET rate = 1.5 WHERE service = '1'" >/dev/null

anew
for ref in a b c d; do line $ref LIKES 2000; done
line big PACK 1
is "a day's limit, in order of age" "a b" "$(claim '10, NULL, 7.5' | grep -o '^. goes' | cut -d' ' -f1 | xargs)"
is "the rest waits for room" "queued spent queued spent" "$(state c | cut -d' ' -f1-2) $(state d | cut -d' ' -f1-2)"
is "which is there a day after it was spent" "t" "$(ask "SELECT error = 'max_spend_per_day is reached; it goes at about ' || to_char(now() + interval '1 day', 'YYYY-MM-DD HH24:MI TZ')
    OR error = 'max_spend_per_day is reached; it goes at about ' || to_char(now() + interval '1 day' - interval '1 minute', 'YYYY-MM-DD HH24:MI TZ') FROM chwsync.orders WHERE order_ref = 'c'")"
is "one that never could go waits by itself" "queued limit price 49.99 is above max_spend_per_day 7.5; it goes when the price falls" "$(state big)"
hasten
is "nothing more goes" "" "$(claim '10, NULL, 7.5' | grep 'goes as')"
ask "UPDATE chwsync.budget_minutes SET minute = minute - interval '23 hours'" >/dev/null
hasten
claim '10, NULL, 7.5' >/dev/null
ask "UPDATE chwsync.orders SET error = NULL WHERE order_ref = 'c'" >/dev/null
hasten
claim '10, NULL, 7.5' >/dev/null
is "the time is that of what was spent" "t" "$(ask "SELECT error = 'max_spend_per_day is reached; it goes at about ' || to_char(max(minute) + interval '1 day', 'YYYY-MM-DD HH24:MI TZ') FROM chwsync.orders, chwsync.budget_minutes WHERE order_ref = 'c' GROUP BY error")"
ask "UPDATE chwsync.budget_minutes SET minute = minute - interval '1 hour'" >/dev/null
hasten
is "a day later there is room" "c d" "$(claim '10, NULL, 7.5' | grep -o '^. goes' | cut -d' ' -f1 | xargs)"

# The limit is the provider's, whatever the key: what an earlier account of its name spent counts too.
ask "INSERT INTO chwsync.accounts (provider, endpoint, key_digest) VALUES ('one', 'https://one.example/api', 'former'), ('two', 'u', 'd');
    INSERT INTO chwsync.budget_minutes (account_id, minute, spent) SELECT a.id, date_trunc('minute', now()), 7 FROM chwsync.accounts a WHERE a.id > 1" >/dev/null
line e LIKES 2000
is "what another key of it spent counts" "" "$(claim '10, NULL, 15' | grep 'goes as')"
is "so it waits" "queued spent" "$(state e | cut -d' ' -f1-2)"
hasten
is "and what another provider spent does not" "e goes as Default" "$(claim '10, NULL, 16' | grep 'goes as')"
ask "SELECT state FROM chwsync.record_outcomes(ARRAY[(SELECT id FROM chwsync.orders WHERE order_ref = 'e')], ARRAY[1], ARRAY['refused'], ARRAY[NULL], ARRAY[200], ARRAY['no'], ARRAY[0], true, 5, ARRAY[NULL]::uuid[]);
    DELETE FROM chwsync.budget_minutes WHERE account_id > 1; DELETE FROM chwsync.accounts WHERE id > 1" >/dev/null

# What came to nothing was not spent.
before=$(ask "SELECT trim_scale(sum(spent)) FROM chwsync.budget_minutes")
ask "SELECT state FROM chwsync.record_outcomes(ARRAY[(SELECT id FROM chwsync.orders WHERE order_ref = 'c'), (SELECT id FROM chwsync.orders WHERE order_ref = 'd'), (SELECT id FROM chwsync.orders WHERE order_ref = 'a')],
    ARRAY[1, 1, 1], ARRAY['put off', 'unknown', 'accepted'], ARRAY[NULL, NULL, '77'], ARRAY[200, 200, 200], ARRAY['no', NULL, NULL], ARRAY[5, 0, 0], true, 5, ARRAY[NULL, NULL, NULL]::uuid[])" >/dev/null
is "a put off order gives it back, an uncertain one does not" "12 9" "$before $(ask "SELECT trim_scale(sum(spent)) FROM chwsync.budget_minutes")"
anew_adds() { ask "SELECT sum(adds) FROM chwsync.budget_minutes"; }
before=$(anew_adds)
line ours LIKES 100
line theirs LIKES 100
claim 10 >/dev/null
ask "SELECT state FROM chwsync.record_outcomes(ARRAY[(SELECT id FROM chwsync.orders WHERE order_ref = 'ours'), (SELECT id FROM chwsync.orders WHERE order_ref = 'theirs')],
    ARRAY[1, 1], ARRAY['refused', 'refused'], ARRAY[NULL, NULL], ARRAY[0, 200], ARRAY['a control character', 'Bad link'], ARRAY[0, 0], true, 5, ARRAY[NULL, NULL]::uuid[])" >/dev/null
is "a line that we refuse ourselves is no request" 1 $(($(anew_adds) - before))
ask "SELECT state FROM chwsync.record_outcomes(ARRAY[(SELECT id FROM chwsync.orders WHERE order_ref = 'c'), (SELECT id FROM chwsync.orders WHERE order_ref = 'd')],
    ARRAY[1, 1], ARRAY['put off', 'refused'], ARRAY[NULL, NULL], ARRAY[200, 200], ARRAY['no', 'no'], ARRAY[5, 0], true, 5, ARRAY[NULL, NULL]::uuid[])" >/dev/null
is "once, and when it turns out to be refused" "6" "$(ask "SELECT trim_scale(sum(spent)) FROM chwsync.budget_minutes")"

# ---- the balance ----
anew
ask "INSERT INTO chwsync.balances (account_id, balance, currency, asked_at, available) VALUES (1, 10, 'INR', now(), 10)" >/dev/null
for ref in a b c d e; do line $ref LIKES 2000; done
line pack PACK 1
line small LIKES 100
is "as far as it reaches, in order of age" "a b c" "$(claim | grep -o '^. goes' | cut -d' ' -f1 | xargs)"
is "what was claimed is spoken for" "1" "$(ask "SELECT trim_scale(available) FROM chwsync.balances")"
is "the rest waits" "queued funds price 3: what is left of the balance, 10, does not reach for it and the older ones; it goes when the balance has risen" "$(state d)"
is "also what it would reach for" "queued funds" "$(state small | cut -d' ' -f1-2)"
line young LIKES 100
is "no younger one overtakes them" "queued funds older orders wait for the balance to rise; it goes after them" "$(claim >/dev/null; state young)"
is "all are looked at together" "1" "$(ask "SELECT count(DISTINCT next_at) FROM chwsync.queue")"
ask "DELETE FROM test.asked" >/dev/null
hasten
is "nothing new is said of them" "end" "$(claim)"
is "only the oldest is asked about, and told that it waits" "d 1" "$(ask "SELECT string_agg(order_ref, ' ') FROM test.asked") $(ask "SELECT count(*) FROM chwsync.write_backs w JOIN chwsync.orders o ON o.id = w.order_id WHERE o.order_ref = 'd' AND w.seq = o.seq AND w.seq > (SELECT max(seq) FROM test.asked)")"
ask "INSERT INTO test.answers VALUES ('d', false)" >/dev/null
hasten
is "when the shop took it back, it does not keep the others waiting" "d withdrawn
end" "$(claim)"
hasten
ask "UPDATE chwsync.balances SET available = 3.1" >/dev/null
is "the next goes when the balance has risen" "e goes as Default
end" "$(claim)"
ask "UPDATE chwsync.balances SET available = 1000" >/dev/null
hasten
is "and all of them" "pack small young" "$(claim | grep -o '^[a-z]* goes' | cut -d' ' -f1 | xargs)"
ask "SELECT state FROM chwsync.record_outcomes(ARRAY[(SELECT id FROM chwsync.orders WHERE order_ref = 'pack')], ARRAY[1], ARRAY['not executed'], ARRAY[NULL], ARRAY[0], ARRAY['nobody'], ARRAY[5], true, 5, ARRAY[NULL]::uuid[])" >/dev/null
is "what was not executed is there again" "999.7" "$(ask "SELECT trim_scale(available) FROM chwsync.balances")"

# An account may have credit, which its balance does not tell of: nothing was sent for long, and one is tried.
anew
ask "INSERT INTO chwsync.balances (account_id, balance, currency, asked_at, available) VALUES (1, -5, 'INR', now(), -5)" >/dev/null
for ref in a b c; do line $ref LIKES 2000; done
waited() { ask "UPDATE chwsync.orders SET updated_at = now() - interval '$1'" >/dev/null; hasten; }
is "with a balance below zero all wait" "funds funds funds" "$(claim >/dev/null; ask "SELECT string_agg(held, ' ') FROM chwsync.queue")"
waited '14 minutes'
is "for a while" "end" "$(claim)"
waited '16 minutes'
is "then the oldest is tried" "a goes as Default
end" "$(claim)"
waited '16 minutes'
is "and no other soon" "end" "$(claim)"
ask "UPDATE chwsync.budget_minutes SET minute = minute - interval '16 minutes'" >/dev/null
waited '16 minutes'
is "but later" "b goes as Default
end" "$(claim)"

# One that is accepted then tells that there is credit, until the provider says that there is none.
accepted() { # REF
    ask "SELECT state FROM chwsync.record_outcomes(ARRAY[(SELECT id FROM chwsync.orders WHERE order_ref = '$1')], ARRAY[1], ARRAY['accepted'],
        ARRAY['id-$1'], ARRAY[200], ARRAY[NULL], ARRAY[0], true, 5, ARRAY[NULL]::uuid[])"
}
credit() { ask "SELECT credit_at IS NOT NULL FROM chwsync.balances"; }
told() { ask "SELECT true FROM chwsync.note_balance(1, 'one', $1, 'INR', clock_timestamp(), NULL, 400)" >/dev/null; }
ask "UPDATE chwsync.balances SET asked_at = now() - interval '1 minute'" >/dev/null
is "it was sent long before, and another one since" "active f" "$(accepted a) $(credit)"
is "it was the last that was tried" "active t" "$(accepted b) $(credit)"
line young LIKES 100
is "then the others go, too" "c young" "$(claim | grep -o '^[a-z]* goes' | cut -d' ' -f1 | sort | xargs)"
is "what they cost is counted all the same" "-14.15" "$(ask "SELECT trim_scale(available) FROM chwsync.balances")"
told -11
told 1
is "a balance that rises changes nothing of it" t "$(credit)"
line later LIKES 2000
is "it goes beyond the balance" "later goes as Default" "$(claim | grep later)"
anew
ask "INSERT INTO chwsync.balances (account_id, balance, currency, asked_at, available) VALUES (1, 0, 'INR', now() - interval '1 minute', 0)" >/dev/null
line a LIKES 2000
line b LIKES 2000
claim >/dev/null
waited '16 minutes'
claim >/dev/null
is "tried with a balance of nothing, and accepted" "active t" "$(accepted a) $(credit)"
told 50
is "but money had come meanwhile" f "$(credit)"
ask "UPDATE chwsync.balances SET balance = 2, available = 2; UPDATE chwsync.budget_minutes SET minute = minute - interval '16 minutes'" >/dev/null
waited '16 minutes'
is "with some money left one is tried" "b goes as Default
end" "$(claim)"
is "and says nothing: its price may have fallen" "active f" "$(accepted b) $(credit)"

# Two at once: the money is there once. The second one waits for the first, and finds that the lease's count has moved on.
anew
ask "INSERT INTO chwsync.balances (account_id, balance, currency, asked_at, available) VALUES (1, 3, 'INR', now(), 3);
    CREATE FUNCTION test.slow_veto(r chwsync.result) RETURNS boolean LANGUAGE sql AS 'SELECT pg_sleep(1) IS NOT NULL'" >/dev/null
line a LIKES 2000
line b LIKES 2000
slow_claim() {
    ask "SELECT coalesce(order_ref, 'end'), go FROM chwsync.claim('one', 1, '00000000-0000-0000-0000-000000000001', 10, 30, NULL, 1, $1,
        '00000000-0000-0000-0000-00000000000a', 'SELECT array_agg(r.order_ref), array_agg(test.slow_veto(r)) FROM unnest(\$1) AS r', NULL, NULL, NULL, true, NULL)
        WHERE go OR order_ref IS NULL"
}
claims=$(ask "SELECT claims FROM chwsync.leases")
slow_claim "$claims" >/tmp/claim.$$ &
until [ "$(ask "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%slow_veto%' AND wait_event = 'PgSleep' AND pid <> pg_backend_pid()")" = 1 ]; do sleep 0.02; done
is "two claims at once: the second one takes nothing" "" "$(slow_claim "$claims")"
wait $!
is "the first one what the money reaches for" "a|t end|" "$(xargs </tmp/claim.$$; rm /tmp/claim.$$)"
is "which is spoken for once" "0" "$(ask "SELECT trim_scale(available) FROM chwsync.balances")"

# ---- one link ----
anew
duplicate() { ask "SELECT chwsync.hold_duplicates(id, true) FROM chwsync.orders WHERE order_ref = '$1'"; }
for ref in a b c d; do line $ref LIKES 2000; done
ask "UPDATE chwsync.orders SET account_id = 1, link = CASE order_ref WHEN 'd' THEN link ELSE 'https://x.example/one' END" >/dev/null
is "one of them goes" "a goes as Default" "$(claim 1 | grep goes)"
is "its own refusal echoes nobody" "f" "$(duplicate a)"
is "a refusal that another order explains" "t" "$(duplicate b)"
is "holds the others with that link" "queued link the provider takes one order with this link at a time, and another one is active; it is tried again every 5 minutes" "$(state c)"
is "and no other" "b queued, d queued" "$(ask "SELECT string_agg(concat_ws(' ', o.order_ref, o.state, q.held), ', ' ORDER BY o.order_ref) FROM chwsync.orders o JOIN chwsync.queue q ON q.order_id = o.id WHERE q.next_at <= now()")"
is "who is told, once" "c 1" "$(duplicate b >/dev/null; ask "SELECT o.order_ref, o.seq FROM chwsync.write_backs w JOIN chwsync.orders o ON o.id = w.order_id" | tr '|' ' ')"
is "after them the one that was refused goes first" "t" "$(ask "SELECT next_at > now() + interval '5 minutes' FROM chwsync.queue q JOIN chwsync.orders o ON o.id = q.order_id WHERE order_ref = 'c'")"
ask "SELECT state FROM chwsync.record_outcomes(ARRAY[(SELECT id FROM chwsync.orders WHERE order_ref = 'a')], ARRAY[1], ARRAY['accepted'], ARRAY['9'], ARRAY[200], ARRAY[NULL], ARRAY[0], true, 5, ARRAY[NULL]::uuid[])" >/dev/null
is "so while the other is followed" "t" "$(duplicate b)"

# ---- the shop changes a line while it is claimed ----
anew
cluster_psql -o /dev/null <<'SQL' || exit 1
CREATE TABLE test.shown (order_ref text, service text, link text, quantity bigint, runs bigint, "interval" bigint, min bigint, max bigint,
    comments text, usernames text, hashtags text, username text, params jsonb, provider text, max_charge numeric, display_ref text,
    created_at timestamptz);
INSERT INTO test.shown (order_ref, service, link, quantity, max_charge) VALUES ('moving', 'LIKES', 'https://x.example/m', 100, 1);
CREATE FUNCTION test.look() RETURNS bigint LANGUAGE sql AS $$
    SELECT followed FROM chwsync.intake('one', '{one}', 100, true, 'test.shown', 'SELECT * FROM test.shown', NULL, true, 'no %s')
$$;
SQL
look() { ask "SELECT 'followed ' || test.look()"; }
quantity() { ask "SELECT 'quantity ' || quantity FROM chwsync.orders WHERE order_ref = 'moving'"; }
is "a line is taken" "followed 0 quantity 100" "$(look) $(quantity)"
cluster_hold "SELECT said FROM test.claim();"
ask "UPDATE test.shown SET quantity = 900" >/dev/null
is "what is being claimed is not changed, and not waited for" "followed 0 quantity 100" "$(look) $(quantity)"
cluster_release ROLLBACK
is "when it was not claimed it is" "followed 1 quantity 900" "$(look) $(quantity)"
ask "UPDATE test.shown SET quantity = 700" >/dev/null
cluster_hold "SELECT test.look();"
is "what is being changed is not claimed, and not waited for" "end" "$(claim)"
cluster_release COMMIT
is "after that it is judged as it is then" "moving price: price 1.05 is above max_charge 1; it goes when the price falls
end" "$(claim)"

# ---- an order is changed between being judged and being claimed ----
anew
line touched LIKES 100
line still LIKES 100
ask "CREATE FUNCTION test.touching_veto(r chwsync.result) RETURNS boolean LANGUAGE sql AS
    'UPDATE chwsync.orders SET link = ''https://x.example/other'' WHERE order_ref = ''touched'' AND r.order_ref = ''touched''; SELECT true'" >/dev/null
touching_claim() { ask "SELECT coalesce(order_ref, 'end'), go FROM chwsync.claim('one', 1, '00000000-0000-0000-0000-000000000001', 10, 30, NULL, 1,
        (SELECT claims FROM chwsync.leases), '00000000-0000-0000-0000-00000000000a',
        'SELECT array_agg(r.order_ref), array_agg(test.touching_veto(r)) FROM unnest(\$1) AS r', NULL, NULL, NULL, true, NULL)" | xargs; }
is "it does not go with that claim" "still|t end|" "$(touching_claim)"
is "nothing is spent on it" "queued 0 1" "$(state touched) $(ask "SELECT attempts FROM chwsync.orders WHERE order_ref = 'touched'") $(ask "SELECT sum(adds) FROM chwsync.budget_minutes")"
is "the next one takes it as it is then" "touched goes as Default https://x.example/other" \
    "$(claim | head -n 1) $(ask "SELECT a.link FROM chwsync.attempts a JOIN chwsync.orders o ON o.id = a.order_id WHERE o.order_ref = 'touched'")"

# ---- the shop cannot say now ----
anew
line busy LIKES 100
ask "INSERT INTO test.answers VALUES ('busy', NULL)" >/dev/null
again_ms() {
    ask "SELECT again_ms FROM chwsync.claim('one', 1, '00000000-0000-0000-0000-000000000001', 10, 30, NULL, 1,
        (SELECT claims FROM chwsync.leases), '00000000-0000-0000-0000-00000000000a',
        'SELECT array_agg(r.order_ref), array_agg(test.veto(r)) FROM unnest(\$1) AS r', NULL, NULL, NULL, true, NULL) WHERE order_ref IS NULL"
}
is "it is asked soon, then less and less often, but every 30 s" "250 500 1000 2000 4000 8000 16000 30000 30000" \
    "$(for try in 1 2 3 4 5 6 7 8 9; do hasten; again_ms; done | xargs)"
is "that is said also when nothing is due" "t" "$(ask "SELECT $(again_ms) BETWEEN 20000 AND 30000")"
line next LIKES 100
is "and when another one goes" "t" "$(ask "SELECT $(again_ms) BETWEEN 20000 AND 30000")"
is "it is due then" "t" "$(ask "SELECT next_at - now() BETWEEN '20 s' AND '30 s' FROM chwsync.queue")"
ask "UPDATE test.answers SET go = true; UPDATE chwsync.queue SET next_at = now()" >/dev/null
is "and goes when the shop can say" "busy goes as Default
end" "$(claim)"

# ---- many that wait ----
anew
cluster_psql -o /dev/null -c "SELECT test.line('dear-' || i, 'LIKES', 2000, '{\"max_charge\": 1}') FROM generate_series(1, 1500) i" \
    -c "SELECT test.line('cheap-' || i, 'LIKES', 100) FROM generate_series(1, 5) i"
is "a thousand are looked at at once" "end and more 0" "$(claim 2 | tail -n 1) $(ask "SELECT count(*) FROM chwsync.attempts")"
is "behind all that wait the others go" "2 end and more" "$(claim 2 >/tmp/claim.$$; grep -c 'goes as' /tmp/claim.$$) $(tail -n 1 /tmp/claim.$$; rm /tmp/claim.$$)"
is "and the last ones" "3 end" "$(claim 10 | cut -d' ' -f1-2 | grep -vc end) $(claim 10)"
is "every one has its reason" "1500" "$(ask "SELECT count(*) FROM chwsync.orders o JOIN chwsync.queue q ON q.order_id = o.id WHERE q.held = 'price' AND o.error LIKE 'price 3 is above max_charge 1;%'")"

# ---- what was claimed is on disk ----
anew
cluster_psql -o /dev/null <<'SQL' || exit 1
CREATE OR REPLACE FUNCTION test.veto(r chwsync.result) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    SET LOCAL synchronous_commit = off; -- the shop is in a hurry
    RETURN true;
END $$;
SQL
for setting in on off local remote_apply; do
    line "durable-$setting" LIKES 100
    is "with synchronous_commit = $setting, and a shop that sets it off" "1 on" "$(PGOPTIONS="-c synchronous_commit=$setting" ask "BEGIN;
        SELECT count(*) FROM test.claim(1) c WHERE c.said LIKE 'durable% goes as%'; SHOW synchronous_commit; COMMIT" | xargs)"
done

# ---- the shop's own statements are planned as they would be elsewhere ----
anew
cluster_psql -o /dev/null <<'SQL' || exit 1
CREATE TABLE test.joins (at text, settings text);
CREATE FUNCTION test.settings() RETURNS text LANGUAGE sql AS $$ SELECT current_setting('enable_nestloop') || ' ' || current_setting('random_page_cost') $$;
CREATE OR REPLACE FUNCTION test.veto(r chwsync.result) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO test.joins VALUES (r.status, test.settings());
    RETURN true;
END $$;
CREATE FUNCTION test.joined_later() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE test.joins SET settings = settings || ', at the end ' || test.settings() WHERE at = NEW.at;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER later AFTER INSERT ON test.joins DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION test.joined_later();
SQL
line planned LIKES 100
claim 1 >/dev/null
ask "UPDATE chwsync.orders SET state = 'completed', seq = seq + 1; INSERT INTO chwsync.write_backs (order_id, seq) SELECT id, seq FROM chwsync.orders" >/dev/null
ask "SELECT FROM chwsync.deliver(10, NULL, 'SELECT array_agg(r.order_ref), array_agg(test.veto(r)) FROM unnest(\$1) AS r')" >/dev/null
is "with nested loops and pages that cost something, in its function and in its deferred triggers" "completed|on 4, at the end on 4
submitting|on 4, at the end on 4" "$(ask "SELECT * FROM test.joins ORDER BY 1")"
done_testing
