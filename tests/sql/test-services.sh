#!/bin/bash
# chwsync.store_services() and end_catalogue(): what is new, another, gone, back; what is not written; who waits for whom. TAP on stdout.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/cluster.sh
. tests/lib/tap.sh
trap cluster_stop_all EXIT

chwsyncd=${BUILD:-build}/chwsyncd

ask() { cluster_psql -At -U chwsync -c "$1" 2>&1; }

# store ROW...: a row is "service|product_id|name|type|category|rate|min|max|refill|charged_by", "" = NULL
store() {
    local row values=''
    for row in "$@"; do values+="${values:+, }('${row//|/\', \'}')"; done
    ask "SELECT r.* FROM (SELECT array_agg(a) a, array_agg(nullif(b, '')) b, array_agg(c) c, array_agg(d) d, array_agg(e) e,
                array_agg(nullif(f, '')::numeric) f, array_agg(nullif(g, '')::bigint) g, array_agg(nullif(h, '')::bigint) h,
                array_agg(i::boolean) i, array_agg(j) j FROM (VALUES $values) AS v(a, b, c, d, e, f, g, h, i, j)) AS t
         CROSS JOIN LATERAL chwsync.store_services(${account:-1}, a, b, c, d, e, f, g, h, i, j) AS r"
}
end() { # SERVICES: joined by commas
    ask "SELECT * FROM chwsync.end_catalogue(${account:-1}, 'p', string_to_array('$1', ','), 2)"
}
kept() { ask "SELECT service, change, before, after FROM chwsync.catalogue_changes WHERE account_id = ${account:-1} AND id > ${since:-0} ORDER BY id"; }
mark() { since=$(ask "SELECT coalesce(max(id), 0) FROM chwsync.catalogue_changes"); }
written() { ask "SELECT count(*) FROM chwsync.catalogue_services WHERE xmin::text::bigint >= $1"; }
now_xid() { ask "SELECT txid_current() & 4294967295"; }

cluster_start >/dev/null || exit 1
"$chwsyncd" schema install --conninfo "host=$PGHOST port=$PGPORT dbname=postgres user=postgres" >/dev/null
ask "INSERT INTO chwsync.accounts (provider, endpoint, key_digest) VALUES ('p', 'e', 'd'), ('q', 'e', 'f')" >/dev/null

one='1|P1|One|Default|Cat|1.50|10|1000|t|runs'
two='2||Two|Package|Cat|0.0800||1|f|fixed'
three='3|P3|Three||||10|100|f|unknown'

is "a first catalogue is told as nothing" '' "$(store "$one" "$two" "$three")"
is "nor is its end" '' "$(end 1,2,3)"
is "and kept as no change" '' "$(kept)"
is "but stored, exactly" '1|P1|1.50|10|1000|t|t
2||0.0800||1|f|t
3|P3||10|100|f|t' "$(ask "SELECT service, product_id, rate, min, max, refill, listed FROM chwsync.catalogue_services ORDER BY service")"
is "read_at is when it was asked for" t "$(ask "SELECT tried_at - read_at = interval '2 s' AND error IS NULL FROM chwsync.catalogues WHERE account_id = 1")"

xid=$(now_xid)
is "the same again is nothing" '' "$(store "$one" "$two" "$three")$(end 1,2,3)"
is "and not written" 0 "$(written "$xid")"
is "1.5 is 1.50" '' "$(store '1|P1|One|Default|Cat|1.5|10|1000|t|runs')"
is "and not written either" '0 1.50' "$(written "$xid") $(ask "SELECT rate FROM chwsync.catalogue_services WHERE service = '1'")"

mark
is "everything that can be another is" 'category|1|1|Uno|Cat|Kat
max|1|1|Uno|1000|
min|1|1|Uno|10|20
name|1|1|Uno|One|Uno
price|1|1|Uno|1.50|1.51
product_id|1|1|Uno|P1|
refill|1|1|Uno|true|false
type|1|1|Uno|Default|Package' "$(store '1||Uno|Package|Kat|1.51|20||f|fixed' "$two")"
is "and kept" 8 "$(kept | wc -l)"
is "in one row" 1 "$(written "$xid")"
is "changed_at moves for that one" '1' "$(ask "SELECT string_agg(service, ',') FROM chwsync.catalogue_services WHERE changed_at > first_seen_at")"
mark
is "a price that is told no more, and one that is told again" 'price|2|2|Two|0.0800|
price|2|3|Three||7' "$(store '2||Two|Package|Cat|||1|f|fixed' '3|P3|Three|||7|10|100|f|unknown')"
is "a price that is counted otherwise is no change" '' "$(store '3|P3|Three|||7|10|100|f|quantity')"
is "but kept" quantity "$(ask "SELECT charged_by FROM chwsync.catalogue_services WHERE service = '3'")"

mark
is "a new one is told from the second catalogue on" 'new|1|4|Four||' "$(store '4||Four|Default|Cat|1|1|1|f|runs')"
is "what is not listed is gone" 'gone|2|1|Uno||
gone|2|3|Three||' "$(end 2,4)"
is "only once" '' "$(end 2,4)"
is "one that is back may have another price too" 'back|1|3|Three||
price|1|3|Three|7|8' "$(store '3|P3|Three|||8|10|100|f|quantity')"
is "all of it is kept" '4|new||
1|gone||
3|gone||
3|back||
3|price|7|8' "$(kept)"
is "and is the truth" '1f 2t 3t 4t' "$(ask "SELECT string_agg(service || left(listed::text, 1), ' ' ORDER BY service) FROM chwsync.catalogue_services")"

mark
many=$(seq -f '%g||S|Default|C|1|1|1|f|runs' 100 111)
is "of many, three are told and all are counted" '3 12' \
    "$(store $many | awk -F'|' '{ n++; c = $2 } END { print n, c }')"
is "and all are kept" 12 "$(kept | wc -l)"

mark
ask "UPDATE chwsync.catalogue_services SET refused_at = now() WHERE service = '2'" >/dev/null
is "one that was refused and is listed" '' "$(store '2||Two|Package|Cat|||1|f|fixed')"
is "is available again" t "$(ask "SELECT refused_at IS NULL AND changed_at > first_seen_at FROM chwsync.catalogue_services WHERE service = '2'")"

account=2
is "another account has a catalogue of its own" '' "$(store "$one" '9||Nine|Default|C|1|1|1|f|runs')$(end 1,9)"
is "which says nothing about the first" '1 t' "$(ask "SELECT count(*), bool_and(listed) FROM chwsync.catalogue_services WHERE account_id = 1 AND service = '4'" | tr '|' ' ')"
account=1

account=7
ask "INSERT INTO chwsync.catalogue_services (account_id, service, name, type, rate, charged_by, listed) VALUES (7, '1', 'One', 'Default', 1, 'runs', false)" >/dev/null
is "what an account has taken over is not back with its first catalogue, but has another price" 'price|1|1|One|1|1.50' "$(store "$one" | grep -E '^(back|new|price)')"
is "and is listed" t "$(ask "SELECT listed FROM chwsync.catalogue_services WHERE account_id = 7")"
account=1

# What is held for a catalogue is due when one changed something.
ask "INSERT INTO chwsync.queue (order_id, provider, next_at, held) SELECT i, CASE i WHEN 8 THEN 'q' ELSE 'p' END, now() + interval '1 day',
     (ARRAY['disabled', 'unpriced', 'price', 'identity', 'funds', 'spent', NULL, 'price'])[i] FROM generate_series(1, 8) i" >/dev/null
due() { ask "SELECT string_agg(order_id::text, ',' ORDER BY order_id) FROM chwsync.queue WHERE next_at <= now()"; }
ids=$(ask "SELECT string_agg(service, ',') FROM chwsync.catalogue_services WHERE account_id = 1 AND listed")
end "$ids" >/dev/null # the changes of before are taken up
ask "UPDATE chwsync.queue SET next_at = now() + interval '1 day'" >/dev/null
end "$ids" >/dev/null
is "without a change nothing is due" '' "$(due)"
store '2||Two|Package|Cat|3||1|f|fixed' >/dev/null
is "nor is it before the end" '' "$(due)"
end "$ids" >/dev/null
is "then what was held for it is, at this provider" 1,2,3,4 "$(due)"

# Two at once: the second one waits, and sees what the first did.
mark
ask "BEGIN; SELECT chwsync.store_services(1, '{2}', '{NULL}', '{Two}', '{Package}', '{Cat}', '{5}', '{NULL}', '{1}', '{f}', '{fixed}');
     SELECT pg_sleep(1.5); COMMIT" >/dev/null &
until [ "$(ask "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND wait_event = 'PgSleep' AND pid <> pg_backend_pid()")" = 1 ]; do sleep 0.02; done
is "two that store the same at once make one change" '' "$(store '2||Two|Package|Cat|5||1|f|fixed')"
wait $!
is "which is kept once" '2|price|3|5' "$(kept)"

cluster_psql -c "CREATE ROLE looker LOGIN IN ROLE chwsync_reader" >/dev/null
is "a reader may look" 'p|2|Two|5|t' "$(cluster_psql -At -U looker -c "SELECT provider, service, name, rate, available FROM chwsync.services WHERE service = '2'" 2>&1)"
is "at changes too" 'p|2|Two|price|3|5' "$(cluster_psql -At -U looker -c "SELECT provider, service, name, change, before, after FROM chwsync.service_changes ORDER BY at DESC LIMIT 1" 2>&1)"
is "and every column is explained" '' "$(ask "SELECT attrelid::regclass || '.' || attname FROM pg_attribute
    WHERE attrelid IN ('chwsync.services'::regclass, 'chwsync.service_changes'::regclass) AND attnum > 0 AND col_description(attrelid, attnum) IS NULL")"
ask "INSERT INTO chwsync.accounts (provider, endpoint, key_digest) VALUES ('p', 'e', 'g')" >/dev/null
is "of a provider whose key changed the new account's are shown" 0 "$(ask "SELECT count(*) FROM chwsync.services WHERE provider = 'p'")"

done_testing
