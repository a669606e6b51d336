#!/bin/bash
# The installed package under a real systemd and journald, with a real PostgreSQL and the simulated provider over TLS. Runs inside
# tests/systemd/machine; finds package.deb, package-next.deb, panel, sql/, tests/ in /test. TAP on stdout.
set -u
cd /test || exit 1
. tests/lib/tap.sh
stall_s=${STALL_S:-7}
until_true() { # SECONDS COMMAND...
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || return 1
        read -rt 0.1 <> <(:) || :
    done
}
comes() { # WHAT SECONDS COMMAND...
    local what=$1
    shift
    if until_true "$@"; then passes "$what"; else fails "$what" "not within $1 s: ${*:2}"$'\n'"$(systemctl status --no-pager -n 15 chwsyncd 2>&1)"; fi
}
prop() { systemctl show -P "$1" "${2:-chwsyncd}"; }
prop_is() { [ "$(prop "$1" "${3:-chwsyncd}")" = "$2" ]; }
log_has() { journalctl --sync; journalctl -q --no-pager -o json "$@" 2>/dev/null | grep -q .; }
sql() { runuser -u postgres -- psql -X -q -At -v ON_ERROR_STOP=1 -d "${database:-shop}" "$@"; }
message() { sed -n "s/^#define MESSAGE_$1 *\"\([0-9a-f]*\)\".*/\1/p" events.h; }
state_count() { sql -c "SELECT count(*) FROM chwsync.orders WHERE state IN ($1)"; }
adds_on_the_wire() { [ "$(sql -c 'SELECT count(*) FROM chwsync.attempts WHERE open AND outcome IS NULL')" -gt 3 ]; }
none_in() { [ "$(state_count "$1")" = 0 ]; }
control() { curl -sS -m 5 --cacert ca.pem "https://localhost:8443/control/$1" "${@:2}"; }
bought_twice() { control books | awk -F'\t' 'NR > 1 { n[$5]++ } END { for (l in n) if (n[l] > 1) print l }'; }
place() { sql -c "SELECT store_test.place_orders($1, 'instant')" >/dev/null; }
all_told() { [ "$(sql -c "SELECT count(*) FROM chwsync.orders WHERE state IN ('completed', 'uncertain')")" -ge "$1" ] && none_in "'queued', 'submitting', 'active'" && [ "$(sql -c 'SELECT count(*) FROM chwsync.write_backs')" = 0 ]; }

part() { echo "# $1, at $SECONDS s"; }

part "the package"
holds "the package can be installed" dpkg -i package.deb
is "its user is there" "/var/lib/chwsyncd:/usr/sbin/nologin" "$(getent passwd chwsync | cut -d: -f6,7)"
is "the keys' directory is root's alone" "root 700" "$(stat -c '%U %a' /etc/chwsyncd/credentials)"
is "nothing was started" "inactive disabled" "$(systemctl is-active chwsyncd) $(systemctl is-enabled chwsyncd)"
holds "systemd-analyze verify is silent" sh -c '[ -z "$(systemd-analyze --man=no verify chwsyncd.service chwsyncd@shop.service chwsyncd-metrics.socket 2>&1 | grep chwsyncd)" ]'

part "database, provider"
pg=$(ls /usr/lib/postgresql | sort -V | tail -n 1)
pg_createcluster "$pg" shop --start -- --no-sync >pg.log 2>&1 || { cat pg.log; exit 1; }
export PGCLUSTER=$pg/shop
port=$(pg_lsclusters -h | awk '$2 == "shop" { print $3 }')
runuser -u postgres -- createdb shop
runuser -u postgres -- createdb second
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
    -addext 'subjectAltName=DNS:localhost,IP:127.0.0.1' -keyout panel.pem -out ca.pem 2>/dev/null || exit 1
install -m 644 ca.pem /etc/chwsyncd/panel-ca.pem
systemd-run --quiet --unit=panel -p WorkingDirectory=/test ./panel --port 8443 --tls-cert ca.pem --tls-key panel.pem \
    --key KEY-1=1000000 --key KEY-2=1000 --duration-scale 0.01 || exit 1
until_true 10 control counters || exit 1
configure() { # FILE DATABASE KEY-FILE [further settings of the provider]
    cat >"$1" <<CONFIGURATION
database = { conninfo = "host=/run/postgresql port=$port dbname=$2 user=chwsync"; };
providers = ( { name = "panel"; url = "https://localhost:8443/wp-json/chw/v2"; key_file = "$3";
    ca_file = "/etc/chwsyncd/panel-ca.pem"; requests_per_minute = 0; requests_per_day = 0; ${4:-} } );
CONFIGURATION
}
configure /etc/chwsyncd/chwsyncd.conf shop panel.key

part "start"
systemctl start chwsyncd >/dev/null 2>&1
comes "without its key it does not start, and is not tried again" 10 prop_is ActiveState failed
is "with the exit code for that" "77 0" "$(prop ExecMainStatus) $(prop NRestarts)"
holds "the journal says which key, and where to put it" log_has -u chwsyncd "MESSAGE_ID=$(message START_FAILED)" PRIORITY=3
(umask 077 && echo KEY-1 >/etc/chwsyncd/credentials/panel.key)
configure /etc/chwsyncd/chwsyncd.conf shop panel.key 'max_in_flite = 4;'
systemctl reset-failed chwsyncd
systemctl start chwsyncd >/dev/null 2>&1
comes "with a wrong configuration neither" 10 prop_is ActiveState failed
is "with the exit code for that" "$(prop ExecMainStatus) $(prop NRestarts)" "78 0"
comes "the journal names the line, as an error that journalctl -x explains" 10 sh -c "journalctl -q --no-pager -o cat -u chwsyncd \
    MESSAGE_ID=$(message START_FAILED) PRIORITY=3 | grep -q '^/etc/chwsyncd/chwsyncd.conf:[0-9]*: unknown setting \"max_in_flite\"'"
configure /etc/chwsyncd/chwsyncd.conf shop panel.key
systemctl reset-failed chwsyncd
holds "it starts although its role is not there yet" systemctl start chwsyncd
comes "and says what is missing" 10 log_has -u chwsyncd "MESSAGE_ID=$(message DATABASE_AWAY)"
systemctl stop chwsyncd
holds "schema install as postgres" runuser -u postgres -- chwsyncd schema install --conninfo "port=$port dbname=shop"
sql -f sql/sample-store.sql -f sql/adapters/sample-store.sql -f tests/lib/store-data.sql >/dev/null || exit 1
holds "chwsyncd check, as the service's user" runuser -u chwsync -- sh -c "chwsyncd check --credentials-dir /dev/null >/dev/null 2>&1; [ \$? != 64 ]"
holds "and as root, who is let in as that user" sh -c 'chwsyncd check --credentials-dir /etc/chwsyncd/credentials | grep "connected to shop as chwsync"'
holds "so is who looks at the status" chwsyncd status
sed 's/dbname=shop/dbname=nowhere/' /etc/chwsyncd/chwsyncd.conf >/root/nowhere.conf
has "that user's obstacle is told, not root's" 'database "nowhere" does not exist' "$(chwsyncd status --config /root/nowhere.conf 2>&1)"
has "who is nobody there is told so" 'HINT: you are no role there: run it as one that is, sudo -u postgres' "$(chwsyncd adapter off 2>&1)"
has "and who is not let in, as whom to come" 'HINT: run it as root, or sudo -u chwsync' "$(runuser -u daemon -- chwsyncd status 2>&1)"
began=${EPOCHREALTIME/./}
holds "systemctl start waits for READY=1" systemctl start chwsyncd
echo "# start to ready: $(((${EPOCHREALTIME/./} - began) / 1000)) ms"
is "active" "active running" "$(prop ActiveState) $(prop SubState)"
comes "STATUS= tells the pulse" 20 sh -c 'systemctl show -P StatusText chwsyncd | grep -q "^working; queued 0, on the wire 0, open 0, uncertain 0.*; bought 0"'
is "state and runtime directory" "chwsync 700 chwsync 750 " "$(stat -c '%U %a' /var/lib/chwsyncd /run/chwsyncd | tr '\n' ' ')"
is "the key is in no environment" 0 "$(tr '\0' '\n' </proc/"$(prop MainPID)"/environ | grep -c KEY-1)"

part "orders"
place 1000
comes "1000 orders are bought, followed and told" 40 all_told 1000
is "each was bought once" "" "$(bought_twice)"
ref=$(sql -c 'SELECT order_ref FROM chwsync.orders ORDER BY id LIMIT 1')
holds "an order's life can be found by its key" log_has -u chwsyncd CHW_ORDER_REF="$ref" CHW_PROVIDER=panel "MESSAGE_ID=$(message ORDER_BOUGHT)"
lines=$(journalctl -q --no-pager -o cat -u chwsyncd CHW_ORDER_REF="$ref" | wc -l)
is "it is told in two lines" 2 "$lines"
echo "# journal lines of 1000 orders: $(journalctl -q --no-pager -o cat -u chwsyncd _PID="$(prop MainPID)" | wc -l)"
holds "journalctl -x explains" sh -c "journalctl -q --no-pager -x -u chwsyncd CHW_ORDER_REF=$ref | grep -q 'accepted order line $ref'"
is "no key is in the journal" 0 "$(journalctl -q --no-pager -o json -u chwsyncd | grep -c KEY-1)"

part "reload"
pid=$(prop MainPID)
configure /etc/chwsyncd/chwsyncd.conf shop panel.key 'max_in_flight = 4;'
holds "a good configuration: reload succeeds" systemctl reload chwsyncd
comes "and it is in force" 10 log_has -u chwsyncd "MESSAGE_ID=$(message RELOADED)"
sed -i 's/max_in_flight/max_in_flite/' /etc/chwsyncd/chwsyncd.conf
if systemctl reload chwsyncd 2>/dev/null; then fails "a wrong one: reload fails"; else passes "a wrong one: reload fails"; fi
kill -HUP "$pid"
comes "asked past the check, the daemon refuses it too" 10 log_has -u chwsyncd "MESSAGE_ID=$(message RELOAD_REFUSED)"
comes "and is not left reloading" 10 prop_is ActiveState active
is "the old one goes on in the same process" "$pid" "$(prop MainPID)"
place 5
comes "and works" 60 all_told 1005
configure /etc/chwsyncd/chwsyncd.conf shop panel.key

part "metrics"
systemctl start chwsyncd-metrics.socket
holds "figures over HTTP, by a process of their own" sh -c 'curl -sSf -m 10 http://127.0.0.1:9749/metrics >metrics'
is "they are what they should be" "" "$(awk -f tests/lib/openmetrics.awk metrics)"
is "with the orders in them" 1005 "$(sed -n 's/^chwsyncd_orders{state="completed"} //p' metrics)"
is "the daemon itself listens nowhere" 0 "$(ss -Hltnp 2>/dev/null | grep -c '"chwsyncd"')"

part "a template instance, for a second shop"
runuser -u postgres -- chwsyncd schema install --conninfo "port=$port dbname=second" >/dev/null
configure /etc/chwsyncd/second.conf second key
install -d -m 700 /etc/chwsyncd/second.credentials
(umask 077 && echo KEY-2 >/etc/chwsyncd/second.credentials/key)
holds "chwsyncd@second starts" systemctl start chwsyncd@second
is "with a state directory of its own" "chwsync 700" "$(stat -c '%U %a' /var/lib/chwsyncd-second)"
comes "and works" 10 test -n "$(database=second sql -c "SELECT 1 FROM chwsync.ledger")"
holds "its entries bear its name" log_has -t chwsyncd-second "MESSAGE_ID=$(message STARTED)"
holds "and stops" systemctl stop chwsyncd@second

part "stop while adds are on the wire"
control latency -d millis=1500 >/dev/null
place 8
comes "adds are on the wire" 10 adds_on_the_wire
holds "stop" systemctl stop chwsyncd
is "ends well" "success 0" "$(prop Result) $(prop ExecMainStatus)"
is "nothing is left on the wire, nothing became uncertain" 0 "$(state_count "'submitting', 'uncertain'")"
holds "and says so" log_has -u chwsyncd "MESSAGE_ID=$(message STOPPED)"
control latency -d millis=0 >/dev/null
systemctl start chwsyncd
comes "the rest follows after the next start" 60 all_told 1013

part "journald stands still"
mkdir -p /run/systemd/system/chwsyncd.service.d
printf '[Service]\nWatchdogSec=3s\nTimeoutAbortSec=3s\n' >/run/systemd/system/chwsyncd.service.d/test.conf
systemctl daemon-reload
systemctl restart chwsyncd
pid=$(prop MainPID)
journald=$(systemctl show -P MainPID systemd-journald)
kill -STOP "$journald"
place 700
read -rt "$stall_s" <> <(:) || : # the stall itself, longer than the watchdog's time
sum=$(sql -c "SELECT count(*) FROM chwsync.orders WHERE state IN ('active', 'completed')")
kill -CONT "$journald"
is "a journal that stands still for $stall_s s holds up no order" yes "$([ "$sum" -ge 1713 ] && echo yes)"
is "and costs no watchdog kill" "$pid 0" "$(prop MainPID) $(prop NRestarts)"
comes "everything is told" 60 all_told 1713

part "watchdog"
control latency -d millis=1000 >/dev/null
place 20
comes "adds are on the wire again" 10 adds_on_the_wire
kill -STOP "$pid"
comes "a daemon that hangs is killed and started again" 25 sh -c "[ \"\$(systemctl show -P NRestarts chwsyncd)\" -ge 1 ] && [ \"\$(systemctl show -P ActiveState chwsyncd)\" = active ]"
control latency -d millis=0 >/dev/null
comes "and goes on" 30 all_told 1733
is "nothing was bought twice" "" "$(bought_twice)"
uncertain=$(state_count "'uncertain'")
is "what was on the wire is uncertain" yes "$([ "$uncertain" -gt 0 ] && [ "$uncertain" -le 20 ] && echo yes)"
echo "# uncertain after the kill: $uncertain"

part "upgrade, remove, purge"
rm -r /run/systemd/system/chwsyncd.service.d
systemctl daemon-reload
systemctl restart chwsyncd
pid=$(prop MainPID)
echo '# changed here' >>/etc/chwsyncd/chwsyncd.conf
systemctl enable --now chwsyncd >/dev/null 2>&1
systemctl start chwsyncd@second
second=$(prop MainPID chwsyncd@second)
control latency -d millis=1500 >/dev/null
place 8
comes "adds are on the wire once more" 10 adds_on_the_wire
holds "an upgrade to the next version" dpkg -i --force-confold package-next.deb
control latency -d millis=0 >/dev/null
is "is what is installed now" 1 "$(dpkg-query -W -f '${Version}' chwsyncd | grep -c '+next1$')"
is "restarts what runs" "active anew" "$(prop ActiveState) $([ "$(prop MainPID)" != "$pid" ] && echo anew)"
is "the other instance too" "active anew" "$(prop ActiveState chwsyncd@second) $([ "$(prop MainPID chwsyncd@second)" != "$second" ] && echo anew)"
is "and the socket listens on" active "$(prop ActiveState chwsyncd-metrics.socket)"
is "what was enabled stays so" enabled "$(systemctl is-enabled chwsyncd)"
comes "what was on the wire is recorded, the rest goes on" 60 all_told 1741
is "it cost no certainty" "$uncertain" "$(state_count "'uncertain'")"
is "and no order twice" "" "$(bought_twice)"
is "and keeps the configuration" "# changed here" "$(tail -n 1 /etc/chwsyncd/chwsyncd.conf)"
holds "the package can be removed" dpkg -r chwsyncd
is "which stops the service and keeps configuration and state" \
    "inactive /etc/chwsyncd/chwsyncd.conf /var/lib/chwsyncd" \
    "$(systemctl is-active chwsyncd chwsyncd@second chwsyncd-metrics.socket | sort -u) $(ls /etc/chwsyncd/chwsyncd.conf) $(ls -d /var/lib/chwsyncd)"
holds "and purged" dpkg -P chwsyncd
is "which leaves nothing of it" "" "$(ls -d /etc/chwsyncd/credentials /var/lib/chwsyncd /etc/chwsyncd/chwsyncd.conf /usr/sbin/chwsyncd 2>/dev/null)"
done_testing
