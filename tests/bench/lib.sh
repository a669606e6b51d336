# tests/bench/lib.sh - what tests/bench/run is made of: databases, the daemon, the provider, clocks and the table.

transactions_sql='SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()'
met=0 missed=0 session_backend=''

broken() {
    echo "bench: unable to go on: $*" >&2
    [ ! -s "$work/log" ] || tail -n 20 "$work/log" >&2
    exit 1
}

# ---- the table ----

figure() { printf '%-52s %12s %s\n' "$1" "$2" "$3"; }

# bar TEXT VALUE UNIT <=|>= LIMIT
bar() {
    if awk -v value="$2" -v sign="$4" -v limit="$5" 'BEGIN { exit !(sign == "<=" ? value <= limit : value >= limit) }'; then
        met=$((met + 1))
        printf '%-52s %12s %-9s bar %s %-6s met\n' "$1" "$2" "$3" "$4" "$5"
    else
        missed=$((missed + 1))
        printf '%-52s %12s %-9s bar %s %-6s NOT MET\n' "$1" "$2" "$3" "$4" "$5"
    fi
}

percent() { awk -v part="$1" -v whole="$2" 'BEGIN { printf "%.1f\n", 100 * part / whole }'; }

# quantile SHARE FILE: of sorted µs, in ms
quantile() {
    awk -v share="$1" '{ values[NR] = $1 }
        END { i = int(share * NR + 0.999999); printf "%.2f", values[i < 1 ? 1 : i] / 1000 }' "$2"
}

bench_verdict() {
    echo "$met bars met, $missed not met, in $(($(date +%s) - began_s)) s"
    [ $missed = 0 ]
}

# ---- clocks ----

now_us() { echo $((${EPOCHREALTIME/[.,]/})); }

cpu_us() { "$build/bench-tool" cpu "$@"; }

# All processes of the cluster, and those that have ended; not the session that is left out, while it is open.
postgres_cpu_us() {
    local postmaster ended_us pids
    postmaster=$(cluster_postmaster) || broken "the cluster is gone"
    # Fields 16 and 17: ticks of children that were waited for.
    ended_us=$(awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); print ($14 + $15) * 1000000 / hz }' "/proc/$postmaster/stat")
    sleep 0.1 # a process that ends is counted when it was waited for
    pids=" $(cat "/proc/$postmaster/task/$postmaster/children") "
    # shellcheck disable=SC2086 # a list of process ids
    echo $(($(cpu_us "$postmaster" ${pids/ ${session_backend:-none} / }) + ended_us))
}

mebibytes() { awk -v kb="$1" 'BEGIN { printf "%.2f\n", kb / 1024 }'; }

memory_kb() { awk -v what="$1:" '$1 == what { print $2 }' "/proc/$daemon/status"; }

# ---- databases ----

value() { cluster_psql -At -d "$1" -c "$2"; }

daemon_conninfo() { echo "host=$PGHOST port=$PGPORT dbname=$1 user=chwsync"; }

contract_of() { [ "$1" = with ] && echo function || echo view; }
view_of() { [ "$1" = function ] && echo chwsync_shop.pending_orders || echo chwsync_shop.bench_paid; }
function_of() { [ "$1" = function ] && echo chwsync_shop.write_back || echo ''; }

bench_begin() {
    began_s=$(date +%s)
    cluster_start bench synchronous_commit=on || exit 1
    cluster_psql -c 'CREATE DATABASE template_empty'
    "$build/chwsyncd" schema install --conninfo "host=$PGHOST port=$PGPORT dbname=template_empty user=postgres" >/dev/null ||
        broken "schema install"
    cluster_psql -d template_empty -f sql/sample-store.sql -f sql/adapters/sample-store.sql -f tests/lib/store-data.sql \
        -f tests/bench/paid-view.sql 2>"$work/log" || broken "the sample shop"
    cluster_psql -d template_empty -c 'VACUUM ANALYZE'
    cluster_psql -c 'CREATE DATABASE template_full TEMPLATE template_empty'
    value template_full "SELECT store_test.place_orders($orders, 'followers')" >/dev/null
    cluster_psql -d template_full -c 'VACUUM ANALYZE'
}

# new_database NAME function|view [empty]: with a state directory of its own, as the flight journal belongs to a ledger
new_database() {
    rm -rf "$work/state.$1"
    mkdir -p "$work/state.$1"
    cluster_psql -c "DROP DATABASE IF EXISTS \"$1\"" -c "CREATE DATABASE \"$1\" TEMPLATE template_${3:-full}" -c CHECKPOINT 2>/dev/null ||
        broken "database $1"
}

# pgbench_rate DATABASE USER SCRIPT TRANSACTIONS ROWS: rows a second, with the settings of the daemon's transactions (by_index)
pgbench_rate() {
    PGOPTIONS='-c enable_seqscan=off -c enable_bitmapscan=off -c jit=off' \
        "$CLUSTER_BIN/pgbench" -n -M extended -U "$2" -f "$3" -D first=-99 -D claims=-1 -t "$4" "$1" >"$work/pgbench" 2>&1 ||
        { cat "$work/pgbench" >&2; exit 1; }
    awk -v rows="$5" '/^tps/ { printf "%d\n", $3 * rows }' "$work/pgbench"
}

# One session that stays, so that asking costs little and is not counted as somebody else's.
session_open() {
    coproc session { exec "$CLUSTER_BIN/psql" -X -q -At -d "$1" 2>&1; }
}
# Its processor time is left out from here on.
session_leave_out() { session_backend=$(session_ask 'SELECT pg_backend_pid()'); }
session_ask() {
    local line
    printf '%s;\n' "$1" >&"${session[1]}"
    read -r line <&"${session[0]}"
    echo "$line"
}
session_close() {
    local pid=$session_PID
    eval "exec ${session[1]}>&-"
    wait "$pid" 2>/dev/null
    session_backend=''
}

# ---- the provider ----

panel_start() {
    rm -f "$work/port"
    "$build/panel" --port-file "$work/port" --key KEY-1=1000000000 --log-size 262144 "$@" 2>>"$work/panel.log" &
    panel=$!
    until [ -s "$work/port" ]; do sleep 0.01; done
    panel_url=http://127.0.0.1:$(cat "$work/port")
}

panel_stop() {
    kill "$panel" && wait "$panel"
    panel=''
}

# panel_count ACTION: sets `counted` to the requests that were answered. Without a process of its own, which would take what is measured.
panel_count() {
    local connection kind name value
    counted=0
    exec {connection}<>"/dev/tcp/127.0.0.1/${panel_url##*:}" || broken "the provider is gone"
    printf 'GET /control/counters HTTP/1.0\r\n\r\n' >&"$connection"
    while read -r kind name value; do
        [ "$kind $name" != "done $1" ] || counted=$value
    done <&"$connection"
    exec {connection}>&-
}

panel_await_adds() {
    local deadline=$((SECONDS + 60))
    panel_count add
    while [ "$counted" -lt "$1" ]; do
        [ $SECONDS -lt $deadline ] || broken "only $counted of $1 orders arrived at the provider"
        sleep 0.04
        panel_count add
    done
}

# When each add arrived, wall clock in µs, in order.
panel_adds() { curl -sS "$panel_url/control/requests" | awk -F '\t' '$3 == "add" { print $1 }' | sort -n; }

# ---- the daemon ----

# daemon_start DATABASE function|view MAX_IN_FLIGHT REQUESTS_PER_MINUTE
daemon_start() {
    printf KEY-1 >"$work/key"
    chmod 600 "$work/key"
    cat >"$work/conf" <<CONF
database = { conninfo = "$(daemon_conninfo "$1")"; };
shop = { pending_orders = "$(view_of "$2")"; write_back = "$(function_of "$2")"; wake_channel = "store_paid";
         default_provider = "panel"; };
providers = ( { name = "panel"; url = "$panel_url/wp-json/chw/v2"; key_file = "$work/key"; max_in_flight = $3;
                requests_per_minute = $4; requests_per_day = 0; } );
log = { level = "warning"; target = "stderr"; };
state_directory = "$work/state.$1";
CONF
    daemon_database=$1
    daemon_began_us=$(now_us)
    "$build/chwsyncd" run --config "$work/conf" 2>>"$work/log" &
    daemon=$!
}

daemon_stop() {
    kill "$daemon"
    wait "$daemon" || broken "the daemon ended with exit code $?"
    daemon=''
    until [ "$(daemon_sessions)" = 0 ]; do sleep 0.02; done
}

# Asked by the session that is left out, where one is: another one would be counted.
daemon_sessions() {
    local sql="SELECT count(*) FROM pg_stat_activity WHERE usename = 'chwsync'"
    if [ "$session_backend" ]; then session_ask "$sql"; else value postgres "$sql"; fi
}

# It has opened its account and looked at the shop.
daemon_await_ready() {
    until [ "$(value "$daemon_database" "SELECT count(*) FROM chwsync.accounts")" -gt 0 ]; do sleep 0.05; done
    sleep 0.3
}

# Every outcome is in the ledger, and the shop was told. Needs an open session.
await_settled() {
    local deadline=$((SECONDS + 60))
    until [ "$(session_ask "SELECT (SELECT count(*) FROM chwsync.attempts WHERE outcome = 'accepted') = $orders
                               AND NOT EXISTS (SELECT FROM chwsync.write_backs)")" = t ]; do
        [ $SECONDS -lt $deadline ] || broken "not every order was recorded"
        sleep 0.02
    done
}

bench_end() {
    [ -z "$daemon" ] || kill "$daemon" 2>/dev/null
    [ -z "$panel" ] || kill "$panel" 2>/dev/null
    wait
    cluster_stop_all
    rm -rf "$work"
}
