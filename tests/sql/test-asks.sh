#!/bin/bash
# How the shop's view is asked before an order is sent (chwsync.ask_shop): by a statement that the session keeps, which may never answer for
# a view that is not the present one.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/cluster.sh
. tests/lib/tap.sh
clock=$(mktemp /tmp/chwsyncd-clock.XXXXXX) && chmod 0644 "$clock" && truncate -s 8 "$clock" || exit 1
trap 'cluster_stop_all; rm -f "$clock"' EXIT
CLUSTER_CLOCK=$clock cluster_start fsync=off || exit 1
cluster_psql -c 'CREATE DATABASE shop'
export PGDATABASE=shop PGOPTIONS='-c client_min_messages=warning'
"${BUILD:-build}/chwsyncd" schema install --conninfo "host=$PGHOST port=$PGPORT dbname=shop user=postgres" >/dev/null || exit 1

view=shown
ask() { # KEY...: what the view says of each
    local keys
    keys=$(printf ",\$key\$%s\$key\$" "$@")
    echo "SELECT string_agg(coalesce(answer::text, 'NULL'), ' ' ORDER BY place) || ' of ' || string_agg(ref, ' ' ORDER BY place)
            FROM chwsync.ask_shop('WITH seen AS MATERIALIZED (SELECT v.order_ref::text AS order_ref FROM public.$view v
                                    WHERE v.order_ref::text = ANY (ARRAY(SELECT r.order_ref FROM unnest(\$1) AS r(order_ref))))
                                   SELECT array_agg(r.order_ref), array_agg(r.order_ref IN (SELECT s.order_ref FROM seen s)) FROM unnest(\$1) AS r(order_ref)',
                                  'SELECT EXISTS (SELECT FROM public.$view)',
                                  NULL, ARRAY[${keys:1}], ${anew:-false}) s,
                 unnest(s.refs, s.answers) WITH ORDINALITY AS u(ref, answer, place);"
}
kept="SELECT count(*) || CASE WHEN sum(generic_plans) > 2 THEN ', planned once' ELSE '' END FROM pg_prepared_statements WHERE name = 'chwsync_ask';"
{
    echo "CREATE VIEW public.shown AS SELECT 'a' AS order_ref UNION ALL SELECT 'b';"
    for i in 1 2 3 4 5 6 7 8 9; do ask a x b; done
    echo "$kept"
    anew=true ask a x b
    echo "$kept \echo ----"
    echo "CREATE OR REPLACE VIEW public.shown AS SELECT 'x' AS order_ref;"
    ask a x b
    echo "DROP VIEW public.shown; CREATE VIEW public.shown AS SELECT 'b'::varchar(9) COLLATE \"C\" AS order_ref;"
    ask a x b
    echo "DROP VIEW public.shown; CREATE VIEW public.shown AS SELECT 5 AS order_ref;"
    ask 5 6
    echo "$kept \echo ----"
    echo "CREATE OR REPLACE VIEW public.shown AS SELECT 5 AS order_ref WHERE false;"
    ask 5 6
    echo "CREATE OR REPLACE VIEW public.shown AS SELECT i AS order_ref FROM generate_series(1, 9) i, pg_sleep(0.03);"
    ask 5
    echo "$kept \echo ----"
    echo "DROP VIEW public.shown; CREATE VIEW public.shown AS SELECT unnest(ARRAY['NULL', '{', 'a\"b', E'back\\\\slash', 'it''s', 'a,b', ' ']) AS order_ref;"
    ask NULL '{' 'a"b' 'back\slash' "it's" a,b ' ' a
    echo "DROP VIEW public.shown;"
    ask a
    echo "CREATE VIEW public.shown AS SELECT 'a' AS order_ref;"
    ask a
    echo "CREATE VIEW public.other AS SELECT 'o' AS order_ref;"
    view=other ask a o
    echo '\echo ----' # and by a clock that is set an hour ahead, and back
    echo "\! printf '\\020\\016' | dd of=$clock conv=notrunc status=none"
    view=other ask a o
    echo "\! printf '\\0\\0' | dd of=$clock conv=notrunc status=none"
    echo "SELECT prepare_time > now() + interval '50 minutes' FROM pg_prepared_statements WHERE name = 'chwsync_ask';"
    view=other ask a o
    echo "SELECT prepare_time > now() + interval '50 minutes' FROM pg_prepared_statements WHERE name = 'chwsync_ask';"
} | PSQL_PAGER='' "$CLUSTER_BIN/psql" -X -q -At -U postgres >"$CLUSTER_DIR/said" 2>&1
part() { awk -v RS='----\n' -v n="$1" 'NR == n { printf "%s", $0 }' "$CLUSTER_DIR/said"; }
is "what it shows goes, what it does not is withdrawn" 10 "$(part 1 | grep -c '^true false true of a x b$')"
is "... by a statement that is planned once" "1, planned once" "$(part 1 | sed -n 10p)"
is "... or anew, for a line that is claimed alone" 1 "$(part 1 | tail -n 1)"
is "a view that was replaced is asked, whatever its types" $'false true false of a x b\nfalse false true of a x b\ntrue false of 5 6' "$(part 2 | head -n 3)"
is "one that shows nothing at all says nothing" "NULL NULL of 5 6" "$(part 3 | sed -n 1p)"
is "... a plan that takes long is not kept" $'true of 5\n0' "$(part 3 | tail -n 2)"
is "keys are asked for as they are" "true true true true true true true false of NULL { a\"b back\\slash it's a,b   a" "$(part 4 | sed -n 1p)"
is "a view that is missing is an error, and none when it is back" "1 true of a" "$(part 4 | grep -c 'ERROR:  relation "public.shown" does not exist') $(part 4 | tail -n 2 | head -n 1)"
is "another view is asked itself" "false true of a o" "$(part 4 | tail -n 1)"
is "what was prepared before the clock was set back is prepared anew" "false true of a o|t|false true of a o|f" "$(part 5 | paste -s -d '|')"
done_testing
