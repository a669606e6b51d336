#!/bin/bash
# The package's memory limits under a kernel with a memory controller (tests/systemd/memory). TAP on stdout.
set -u
cd /test || exit 1
. ./tap.sh
until_true() { # SECONDS COMMAND...
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.2
    done
}
comes() { # WHAT SECONDS COMMAND...
    local what=$1
    shift
    if until_true "$@"; then passes "$what"; else fails "$what" "not within $1 s: ${*:2}"$'\n'"$(systemctl status --no-pager -n 15 chwsyncd 2>&1)"; fi
}
prop() { systemctl show -P "$1" chwsyncd; }
restarted() { [ "$(prop NRestarts)" -gt 0 ]; }
sql() { runuser -u postgres -- psql -X -q -At -v ON_ERROR_STOP=1 -d shop "$@"; }
control() { curl -sS -m 20 "http://127.0.0.1:8080/control/$1" "${@:2}"; }
all_told() { [ "$(sql -c "SELECT count(*) FROM chwsync.orders WHERE state IN ('completed', 'uncertain')")" = "$1" ] && [ "$(sql -c 'SELECT count(*) FROM chwsync.write_backs')" = 0 ]; }
some_bought() { [ "$(sql -c "SELECT count(*) FROM chwsync.attempts WHERE outcome = 'accepted'")" -ge "$1" ]; }

dpkg -i package.deb >dpkg.log 2>&1 || { echo "# the package cannot be installed"; sed "s/^/# /" dpkg.log; exit 1; }
ip link set lo up 2>/dev/null || true
pg=$(ls /usr/lib/postgresql | sort -V | tail -n 1)
pg_createcluster "$pg" shop --start -- --no-sync >pg.log 2>&1 || { cat pg.log; exit 1; }
export PGCLUSTER=$pg/shop
port=$(pg_lsclusters -h | awk '$2 == "shop" { print $3 }')
runuser -u postgres -- createdb shop
runuser -u postgres -- chwsyncd schema install --conninfo "port=$port dbname=shop" >/dev/null || exit 1
sql -f sql/sample-store.sql -f sql/adapters/sample-store.sql -f store-data.sql -c "SELECT store_test.add_customers(50)" >/dev/null || exit 1
systemd-run --quiet --unit=panel -p WorkingDirectory=/test ./panel --port 8080 --key KEY-1=1000000 --duration-scale 0.01 --latency-ms 200 || exit 1
until_true 30 control counters || { echo "# no provider"; systemctl status panel; exit 1; }
(umask 077 && echo KEY-1 >/etc/chwsyncd/credentials/panel.key)
cat >/etc/chwsyncd/chwsyncd.conf <<CONFIGURATION
database = { conninfo = "host=/run/postgresql port=$port dbname=shop user=chwsync"; };
providers = ( { name = "panel"; url = "http://127.0.0.1:8080/wp-json/chw/v2"; key_file = "panel.key";
    requests_per_minute = 0; requests_per_day = 0; max_in_flight = 4; } );
CONFIGURATION
sql -c "SELECT store_test.place_orders(60, 'instant')" >/dev/null

holds "it starts" systemctl start chwsyncd
is "the limits are in force" "$((192 << 20)) $((256 << 20)) 0 stop" "$(prop MemoryHigh) $(prop MemoryMax) $(prop MemorySwapMax) $(prop OOMPolicy)"
comes "orders are bought" 120 some_bought 10
echo "# memory of the unit while it buys: $(($(prop MemoryCurrent) / 1024)) KiB"
holds "with plenty of room below the limit" test "$(prop MemoryCurrent)" -lt $((64 << 20))
# The limit falls below what it has: the kernel takes back what it can, then kills it, with adds on the wire.
systemctl set-property --runtime chwsyncd MemoryHigh=infinity MemoryMax=2M
comes "the kernel's out-of-memory killer ends it" 60 sh -c 'journalctl -q --no-pager -u chwsyncd | grep -q "out of memory\|oom-kill\|OOM killer"'
comes "which systemd tells apart from a crash, and it is tried again" 60 restarted
systemctl set-property --runtime chwsyncd MemoryHigh=192M MemoryMax=256M
systemctl reset-failed chwsyncd
systemctl start chwsyncd
comes "with its memory back every order is bought or uncertain, and told" 240 all_told 60
is "each was bought once" "" "$(control books | awk -F'\t' 'NR > 1 { n[$5]++ } END { for (l in n) if (n[l] > 1) print l }')"
echo "# uncertain, as they were on the wire: $(sql -c "SELECT count(*) FROM chwsync.orders WHERE state = 'uncertain'") of at most 4 a kill"
done_testing
