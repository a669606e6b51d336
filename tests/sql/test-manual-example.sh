#!/bin/bash
# The worked example of chwsyncd-contract(7), taken from the page and tried. TAP on stdout.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/cluster.sh
. tests/lib/tap.sh
build=${BUILD:-build}
work=$(mktemp -d)
trap 'cluster_stop_all; rm -rf "$work"' EXIT
as_daemon() { cluster_psql -At -P null=NULL -c 'SET ROLE chwsync' -c "$1" 2>&1; }
report() { as_daemon "SELECT chwsync_shop.write_back(jsonb_populate_record(NULL::chwsync.result, '$1'))"; }
told() { cluster_psql -At -c "SELECT status, charge FROM chwsync_shop.told WHERE order_ref = '1'"; }

cluster_start && cluster_psql -c 'CREATE DATABASE shop' || exit 1
export PGDATABASE=shop PGOPTIONS='-c client_min_messages=warning'
"$build/chwsyncd" schema install --conninfo "host=$PGHOST dbname=shop user=postgres" >/dev/null || exit 1
cluster_psql -c "CREATE TABLE orders (id bigint PRIMARY KEY, state text, product text, link text, pieces int, note text);
    INSERT INTO orders VALUES (1, 'paid', 'IG-LIKES', 'https://x.example/1', 100), (2, 'cart', 'IG-LIKES', 'https://x.example/2', 5)" || exit 1
sed -n '/^\.Sh EXAMPLES/,$p' etc/chwsyncd-contract.7 | sed -n '/^\.Bd/,/^\.Ed/{/^\./!p}' >"$work/example.sql"
is "the example runs" "" "$(cluster_psql -f "$work/example.sql" 2>&1)"
is "the daemon sees the paid line" "1|IG-LIKES|https://x.example/1|100" "$(as_daemon 'SELECT * FROM chwsync_shop.pending_orders')"
is "the veto lets it go" "t" "$(report '{"order_ref": "1", "status": "submitting", "seq": 1}')"
is "one that is not paid does not" "f" "$(report '{"order_ref": "2", "status": "submitting", "seq": 1}')"
is "one that the shop has in hand waits" "NULL" "$(cluster_psql -At -P null=NULL <<'SQL' 2>&1
CREATE EXTENSION IF NOT EXISTS dblink;
SELECT FROM dblink_connect('shop', format('host=%s port=%s dbname=shop user=postgres', current_setting('unix_socket_directories'), current_setting('port')));
SELECT FROM dblink_exec('shop', 'BEGIN');
SELECT FROM dblink_exec('shop', 'UPDATE orders SET note = ''x'' WHERE id = 1');
SET ROLE chwsync;
SELECT chwsync_shop.write_back(jsonb_populate_record(NULL::chwsync.result, '{"order_ref": "1", "status": "submitting", "seq": 1}'));
SQL
)"
is "a report is taken" "t" "$(report '{"order_ref": "1", "status": "completed", "charge": "1.50", "seq": 3}')"
is "an older one changes nothing" "t" "$(report '{"order_ref": "1", "status": "pending", "seq": 2}')"
is "what stands there" "completed|1.50" "$(told)"
cat >"$work/conf" <<CONFIGURATION
database = { conninfo = "host=$PGHOST dbname=shop user=chwsync"; };
providers = ( { name = "one"; url = "http://127.0.0.1:1/"; key_file = "$work/key"; } );
state_directory = "$work";
CONFIGURATION
(umask 077 && echo KEY >"$work/key")
is "chwsyncd check is content with the contract" "" \
    "$("$build/chwsyncd" check --config "$work/conf" 2>&1 | grep -A1 -E '^(fault|warning) +(contract|schema)')"
done_testing
