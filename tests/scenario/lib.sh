# tests/scenario/lib.sh - what the scenarios share: a database, a simulated provider and the daemon. Source it first.
#
#     begin [own|shared [clock]]  a database of its own in the shared cluster; `own`: a cluster of its own, to be stopped or frozen;
#                                 `clock`: whose clock the test sets, and the daemon's that is started with $stepped
#     clock_set database|daemon SECONDS   from now on that clock is so much ahead of the true time
#     suspended daemon SECONDS    as if the machine under it had slept for so long, in all
#     panel_start [OPTION...]     the provider, with key KEY-SECRET-1 and endless money
#     other_start [OPTION...]     a second provider, "other", with key KEY-SECRET-3 and books of its own; configured from then on
#     routes_begin, route SERVICE PROVIDER   the view gets a column `provider`; '' = the default one
#     configure [SECTION.NAME=VALUE ...]   writes the configuration; a VALUE is written as libconfig has it
#     place N KIND                orders of the sample shop; their lines' keys come in the array `refs`
#     daemon_start, daemon_stop, daemon_kill, daemon_reload; await_dead: it dies by itself, at a crash point
#     second_configure [SED], second_start, second_stop, second_kill   another instance of it, as the first is configured by then
#     chwsyncd COMMAND ARGUMENT...   as an operator; leaves what it printed in `said` and its exit code in `code`
#     settle                      stops the daemon and compares the provider's books, the ledger and the shop; `ledger_went_back`
#                                 is set where the ledger has lost what it had counted
#     finish                      the plan; the last line of a scenario
#
# Tests:    is WHAT WANTED GOT    await WHAT SQL [SECONDS]    await_log WHAT PATTERN [COUNT]    logged WHAT COUNT PATTERN
#           holds WHAT COMMAND...    says WHAT PATTERN, of what `chwsyncd` printed    (tests/lib/tap.sh)
# Looking:  ask SQL    panel VERB [FIELD=VALUE...]    other VERB [FIELD=VALUE...]    fault KIND [FIELD=VALUE...]    counter COUNTER NAME    mark
#
# Every `await` polls a condition until a deadline, and ends the scenario when it does not come; nothing sleeps for a fixed time
# but where the time itself is what is tested.

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
. tests/lib/cluster.sh
. tests/lib/tap.sh
BUILD=${BUILD:-build}
DAEMON=${DAEMON:-$BUILD/asan/chwsyncd}
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:abort_on_error=0} UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}

finished='' directory='' daemon_pid='' second_pid='' panel_pid='' other_pid='' recorder_pid='' marked=0
refs=() stepped=()

# What the run looked like, for the log of a scenario that failed.
show_run() {
    local daemon
    {
        for daemon in $daemon_pid $second_pid; do
            if cluster_runs "$daemon"; then
                echo "--- $daemon runs: $(cat "/proc/$daemon/wchan" 2>&1) $(grep -E '^(State|SigQ|VmRSS)' "/proc/$daemon/status" | xargs) ---"
            else
                wait "$daemon"
                echo "--- $daemon ended with $? ---"
            fi
        done
        echo "--- the daemon's log ---"
        [ ! -e "$directory/log" ] || tail -n 80 "$directory/log"
        echo "--- orders ---"
        timeout 5 "$CLUSTER_BIN/psql" -X -q -c "SELECT o.order_ref, o.service, o.state, o.attempts, o.provider_order_id, left(o.error, 60) AS error,
            a.outcome, q.next_at - now() AS queued, p.next_at - now() AS polled, w.failures, left(w.error, 60) AS told
            FROM chwsync.orders o LEFT JOIN chwsync.attempts a ON a.order_id = o.id AND a.number = o.attempts
            LEFT JOIN chwsync.queue q ON q.order_id = o.id LEFT JOIN chwsync.polls p ON p.order_id = o.id
            LEFT JOIN chwsync.write_backs w ON w.order_id = o.id ORDER BY o.id LIMIT 60"
        echo "--- requests ---"
        [ -z "$panel_pid" ] || panel requests n=30 | cut -f 1,3-
    } >&2 2>&1
}

give_up() {
    show_run
    exit 1
}

finish() {
    finished=yes
    done_testing || { show_run; exit 1; }
    exit 0
}

clean_up() {
    [ -n "$finished" ] || echo "# the scenario did not get to its end"
    for pid in "$daemon_pid" "$second_pid" "$panel_pid" "$other_pid" "$recorder_pid"; do
        [ -z "$pid" ] || { kill -KILL "$pid" && wait "$pid"; } 2>/dev/null
    done
    [ -z "${database:-}" ] || [ -n "${own_cluster:-}" ] ||
        PGDATABASE=postgres timeout 20 "$CLUSTER_BIN/psql" -X -q -c "DROP DATABASE IF EXISTS $database WITH (FORCE)" 2>/dev/null
    cluster_stop_all
    [ -z "$directory" ] || [ -n "${KEEP:-}" ] || rm -rf "$directory"
}

# ---- the database ----

# A database "ready" with ledger, sample shop, adapter and test data, of which every scenario gets a copy.
make_template() {
    cluster_psql -c 'CREATE DATABASE ready' || return
    "$BUILD/chwsyncd" schema install --conninfo "host=$PGHOST port=$PGPORT dbname=ready user=postgres" >"$CLUSTER_DIR/schema" 2>&1 ||
        { cat "$CLUSTER_DIR/schema" >&2; return 1; }
    PGDATABASE=ready PGOPTIONS='-c client_min_messages=warning' cluster_psql -f sql/sample-store.sql -f sql/adapters/sample-store.sql -f tests/lib/store-data.sql \
        -c "SELECT store_test.add_customers(500)" >/dev/null
}

begin() {
    trap clean_up EXIT
    trap 'exit 143' INT TERM
    directory=$(mktemp -d /tmp/chwsyncd-scenario.XXXXXX) && chmod 0755 "$directory" || exit 1
    if [ "${2:-}" = clock ]; then
        clock_set database 0
        clock_set daemon 0
        # AddressSanitizer wants to be the first library, unless it is told that another one does not matter.
        stepped=("LD_PRELOAD=$PWD/$BUILD/stepped_clock.so" "CHW_CLOCK_FILE=$directory/clock-daemon"
            "ASAN_OPTIONS=$ASAN_OPTIONS:verify_asan_link_order=0")
    fi
    if [ "${1:-}" = own ] || [ -z "${SCENARIO_CLUSTER:-}" ]; then
        own_cluster=yes
        if [ "${2:-}" = clock ]; then
            CLUSTER_CLOCK=$directory/clock-database cluster_start
        else
            cluster_start
        fi && make_template || exit 1
        database=ready
    else
        cluster_use "$SCENARIO_CLUSTER"
        database=scenario_$$
        PGDATABASE=template1 cluster_psql -c "CREATE DATABASE $database TEMPLATE ready" || exit 1
    fi
    export PGDATABASE=$database
    conninfo="host=$PGHOST port=$PGPORT dbname=$database user=chwsync"
}

little_endian() { # SECONDS: as 8 bytes
    local i seconds=$1 bytes=''
    for ((i = 0; i < 8; i++)); do bytes+=$(printf '\\%03o' $(((seconds >> (8 * i)) & 255))); done
    printf "$bytes"
}

clock_set() { # WHOSE SECONDS: as one write
    little_endian "$2" 1<>"$directory/clock-$1"
    chmod 0644 "$directory/clock-$1"
}

suspended() { # WHOSE SECONDS
    little_endian "$2" | dd of="$directory/clock-$1" bs=8 seek=1 conv=notrunc status=none
}

ask() { # SQL: values joined by |, rows by newlines
    cluster_psql -At -c "$1" 2>&1
}

# The server looks every 20 ms, each time in a transaction of its own.
await() { # WHAT SQL [SECONDS]
    local answer
    answer=$(timeout $((${3:-30} + 15)) "$CLUSTER_BIN/psql" -X -q -v ON_ERROR_STOP=1 -c "
        DO \$wait\$
        DECLARE
            until timestamptz := clock_timestamp() + interval '${3:-30} s';
            holds boolean;
        BEGIN
            LOOP
                EXECUTE \$condition\$SELECT $2\$condition\$ INTO holds;
                EXIT WHEN holds;
                IF clock_timestamp() > until THEN RAISE EXCEPTION 'not within ${3:-30} s'; END IF;
                COMMIT;
                PERFORM pg_sleep(0.02);
            END LOOP;
        END \$wait\$" 2>&1) && { passes "$1"; return; }
    fails "$1" "$2"$'\n'"$answer"
    give_up
}

place() { # N KIND
    local before
    before=$(ask "SELECT coalesce(max(id), 0) FROM store.order_lines")
    ask "SELECT store_test.place_orders($1, '$2')" >/dev/null
    mapfile -t refs < <(ask "SELECT ref FROM store.order_lines WHERE id > $before ORDER BY id")
    ask "NOTIFY chwsync"
}

# A shop of one table with the contract's columns, without a function. `own_line REF COLUMN=VALUE...` places one line there.
own_lines() {
    settings[shop.write_back]='""'
    PGOPTIONS='-c client_min_messages=warning' cluster_psql -c "
        CREATE TABLE chwsync_shop.own_lines (order_ref text PRIMARY KEY, service text, link text, quantity bigint, runs bigint,
            \"interval\" bigint, min bigint, max bigint, comments text, usernames text, hashtags text, username text, params jsonb,
            provider text, max_charge numeric, display_ref text, created_at timestamptz DEFAULT clock_timestamp());
        DROP VIEW chwsync_shop.pending_orders;
        CREATE VIEW chwsync_shop.pending_orders AS SELECT * FROM chwsync_shop.own_lines;
        ALTER TABLE chwsync_shop.own_lines OWNER TO chwsync_adapter;
        ALTER VIEW chwsync_shop.pending_orders OWNER TO chwsync_adapter;
        GRANT SELECT ON chwsync_shop.pending_orders TO chwsync"
}

own_line() { # REF COLUMN=VALUE...; a VALUE is an SQL expression
    local ref=$1 field names=order_ref values="'$1'"
    shift
    [[ " $*" = *" link="* ]] || set -- "link='https://x.example/$ref'" "$@"
    for field in "$@"; do
        names+=", \"${field%%=*}\"" values+=", ${field#*=}"
    done
    cluster_psql -c "INSERT INTO chwsync_shop.own_lines ($names) VALUES ($values)" -c "NOTIFY chwsync"
}

reason_of() { ask "SELECT concat_ws(' ', o.state, q.held, o.error) FROM chwsync.orders o LEFT JOIN chwsync.queue q ON q.order_id = o.id WHERE o.order_ref = '$1'"; }

# Another view in front of the adapter's, which is chwsync_shop.sound from then on.
replace_view() { # SELECT
    ask "ALTER VIEW chwsync_shop.pending_orders RENAME TO sound;
        CREATE VIEW chwsync_shop.pending_orders AS $1;
        ALTER VIEW chwsync_shop.pending_orders OWNER TO chwsync_adapter;
        GRANT SELECT ON chwsync_shop.pending_orders TO chwsync"
}

# Puts a function in front of the adapter's that does as chwsync_shop.faults says for a product (sku): raise, sleep (10 s), null, false.
misbehave() {
    PGOPTIONS='-c role=chwsync_adapter' cluster_psql -c "
        CREATE TABLE chwsync_shop.faults (sku text PRIMARY KEY, veto text, report text);
        ALTER FUNCTION chwsync_shop.write_back(chwsync.result) RENAME TO sound_write_back;
        CREATE FUNCTION chwsync_shop.write_back(r chwsync.result) RETURNS boolean
            LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS \$\$
        DECLARE
            how text := (SELECT CASE r.status WHEN 'submitting' THEN f.veto ELSE f.report END
                           FROM store.order_lines l JOIN chwsync_shop.faults f USING (sku) WHERE l.ref = r.order_ref);
        BEGIN
            CASE how
                WHEN 'raise' THEN RAISE EXCEPTION 'the shop is on fire';
                WHEN 'sleep' THEN PERFORM pg_sleep(10);
                WHEN 'null' THEN RETURN NULL;
                WHEN 'false' THEN RETURN false;
                ELSE NULL;
            END CASE;
            RETURN chwsync_shop.sound_write_back(r);
        END \$\$;
        REVOKE ALL ON FUNCTION chwsync_shop.write_back(chwsync.result) FROM PUBLIC;
        GRANT EXECUTE ON FUNCTION chwsync_shop.write_back(chwsync.result) TO chwsync;"
}

shop_fault() { # SKU VETO REPORT; '' = sound
    ask "INSERT INTO chwsync_shop.faults VALUES ('$1', nullif('$2', ''), nullif('$3', ''))
         ON CONFLICT (sku) DO UPDATE SET veto = excluded.veto, report = excluded.report"
}

await_state() { # REF STATE [SECONDS]
    await "${4:-order ${1} is $2}" "EXISTS (SELECT FROM chwsync.orders WHERE order_ref = '$1' AND state = '$2')" "${3:-30}"
}

await_refill() { # REF STATUS [SECONDS]
    await "the refill of $1 is $2" "EXISTS (SELECT FROM chwsync.refill_status WHERE order_ref = '$1' AND status = '$2')" "${3:-30}"
}

# The catalogue is due now; comes back when it was tried, whatever came of it.
reread() { # WHAT
    ask "UPDATE chwsync.catalogues SET read_at = now() - interval '2 hours', tried_at = now() - interval '2 hours'; NOTIFY chwsync" >/dev/null
    await "$1" "bool_and(tried_at > now() - interval '1 hour') FROM chwsync.catalogues"
}

await_quiet() { # WHAT: every line has come to an end and the shop knows it
    await "$1" "NOT EXISTS (SELECT FROM chwsync_shop.pending_orders v WHERE NOT EXISTS
            (SELECT FROM chwsync.orders o WHERE o.order_ref = v.order_ref) AND NOT EXISTS
            (SELECT FROM chwsync.parked_lines p WHERE p.order_ref = v.order_ref))
        AND NOT EXISTS (SELECT FROM chwsync.orders WHERE state IN ('queued', 'submitting', 'active'))
        AND NOT EXISTS (SELECT FROM chwsync.write_backs)" "${2:-40}"
}

# Lines that wait for another try are due now, for a test that has something better to do than to wait.
hasten() { ask "UPDATE chwsync.queue SET next_at = now() WHERE next_at > now()"; }

state_of() { ask "SELECT state FROM chwsync.orders WHERE order_ref = '$1'"; }
link_of() { ask "SELECT options ->> 'link' FROM store.order_lines WHERE ref = '$1'"; }

# ---- the provider ----

panel_start() {
    rm -f "$directory/port"
    "$BUILD/panel" --port-file "$directory/port" --key KEY-SECRET-1=100000000 --duration-scale 0.01 "$@" 2>>"$directory/panel.log" &
    panel_pid=$!
    await_true "$directory/port appears" test -s "$directory/port"
    panel_port=$(cat "$directory/port")
}

other_start() {
    rm -f "$directory/other.port"
    "$BUILD/panel" --port-file "$directory/other.port" --key KEY-SECRET-3=100000000 --duration-scale 0.01 --first-id 500000 "$@" 2>>"$directory/other.log" &
    other_pid=$!
    await_true "$directory/other.port appears" test -s "$directory/other.port"
    other_port=$(cat "$directory/other.port")
    (umask 077 && printf %s KEY-SECRET-3 >"$directory/other.key")
    further="{ name = \"other\"; url = \"http://127.0.0.1:$other_port/wp-json/chw/v2\"; key_file = \"$directory/other.key\"; requests_per_minute = 0; requests_per_day = 0; }"
}

other() { panel_port=$other_port panel "$@"; }

# Lines go to the provider that their service is routed to.
routes_begin() {
    PGOPTIONS='-c role=chwsync_adapter -c client_min_messages=warning' cluster_psql -c "
        CREATE TABLE chwsync_shop.routes (service text PRIMARY KEY, provider text);
        ALTER VIEW chwsync_shop.pending_orders RENAME TO lines_without_provider;
        CREATE VIEW chwsync_shop.pending_orders AS
            SELECT v.*, r.provider FROM chwsync_shop.lines_without_provider v LEFT JOIN chwsync_shop.routes r USING (service);
        GRANT SELECT ON chwsync_shop.pending_orders TO chwsync"
}

route() { # SERVICE PROVIDER
    ask "INSERT INTO chwsync_shop.routes VALUES ('$1', nullif('$2', '')) ON CONFLICT (service) DO UPDATE SET provider = excluded.provider" >/dev/null
}

panel_stop() { # `kill`: at once, without a word
    kill "-${1:-TERM}" "$panel_pid"
    wait "$panel_pid" 2>/dev/null
    panel_pid=''
}

panel() { # VERB [FIELD=VALUE...]
    local verb=$1 field
    local -a fields=()
    shift
    for field in "$@"; do fields+=(--data-urlencode "$field"); done
    curl -sS -m 10 "http://127.0.0.1:$panel_port/control/$verb" "${fields[@]}"
}

fault() { # KIND [FIELD=VALUE...]
    local kind=$1
    shift
    [ "$(panel fault "kind=$kind" "$@")" = ok ] || { fails "the provider takes the fault $kind $*"; give_up; }
}

counter() { # COUNTER NAME
    panel counters | awk -F'\t' -v c="$1" -v n="$2" '$1 == c && $2 == n { print $3 }'
}

met() { panel counters | awk -F'\t' '$1 == "requests" { met += $3 } END { print met + 0 }'; } # requests, of every kind

# ---- waiting outside of the database ----

await_true() { # WHAT COMMAND...
    local what=$1 until=$((SECONDS + ${seconds:-30}))
    shift
    until "$@"; do
        if [ $SECONDS -gt $until ]; then fails "$what" "not in time: $*"; give_up; fi
        sleep 0.02
    done
}

# ---- the daemon ----

declare -A settings=()
further='' # providers after the first

configure() { # [SECTION.NAME=VALUE ...]; an empty VALUE takes the setting out
    local setting section
    settings[database.conninfo]=${settings[database.conninfo]:-"\"$conninfo\""}
    settings[shop.default_provider]='"panel"'
    settings[shop.intake_interval]=${settings[shop.intake_interval]:-1}
    settings[provider.name]='"panel"'
    settings[provider.url]="\"http://127.0.0.1:$panel_port/wp-json/chw/v2\""
    settings[provider.key_file]="\"$directory/key\""
    settings[provider.requests_per_minute]=${settings[provider.requests_per_minute]:-0}
    settings[provider.requests_per_day]=${settings[provider.requests_per_day]:-0}
    settings[log.level]=${settings[log.level]:-'"debug"'}
    settings[log.target]='"stderr"'
    for setting in "$@"; do settings[${setting%%=*}]=${setting#*=}; done
    (umask 077 && printf %s KEY-SECRET-1 >"$directory/key")
    for section in database shop provider log; do
        [ $section = provider ] && echo 'providers = ( {' || echo "$section = {"
        for setting in "${!settings[@]}"; do
            [ "${setting%%.*}" != $section ] || [ -z "${settings[$setting]}" ] || echo "    ${setting#*.} = ${settings[$setting]};"
        done
        [ $section = provider ] && echo "} ${further:+, $further} );" || echo '};'
    done >"$directory/conf"
    echo "state_directory = \"$directory\";" >>"$directory/conf"
}

# $INVOCATION_ID makes it write levels in front of its lines, as under a service manager.
daemon_start() { # [NAME=VALUE ...]: further environment
    env INVOCATION_ID=1 "$@" "$DAEMON" run --config "$directory/conf" >>"$directory/log" 2>&1 &
    daemon_pid=$!
}

# The service manager's end of sd_notify(3): what the daemon says is in $directory/notified.
recorder_start() {
    "$BUILD/notify_recorder" "$directory/notify" "$directory/notified" &
    recorder_pid=$!
    await_true "the recorder listens" test -e "$directory/notified"
}

# It dies by itself, at a crash point.
await_dead() { # WHAT [SECONDS]
    local until=$((SECONDS + ${2:-40}))
    while cluster_runs "$daemon_pid" && [ $SECONDS -lt $until ]; do sleep 0.05; done
    if cluster_runs "$daemon_pid"; then
        fails "$1" "it still runs"
        give_up
    fi
    wait "$daemon_pid" 2>/dev/null
    daemon_pid=''
    passes "$1"
}

daemon_stop() { # [EXIT-CODE]
    local code
    kill -TERM "$daemon_pid"
    wait "$daemon_pid"
    code=$?
    daemon_pid=''
    is "the daemon ends when asked to" "${1:-0}" "$code"
}

daemon_kill() {
    kill -KILL "$daemon_pid"
    wait "$daemon_pid" 2>/dev/null
    daemon_pid=''
}

daemon_reload() { kill -HUP "$daemon_pid"; }

# ---- a second instance ----

# What else is otherwise than in the first one's configuration, for sed.
second_configure() {
    sed "s|^state_directory.*|state_directory = \"$directory/second\";|; ${1:-}" "$directory/conf" >"$directory/conf2"
}

second_start() {
    INVOCATION_ID=1 "$DAEMON" run --config "$directory/conf2" >>"$directory/log2" 2>&1 &
    second_pid=$!
}

second_stop() {
    local code
    kill -TERM "$second_pid"
    wait "$second_pid"
    code=$?
    second_pid=''
    is "the second ends when asked to" 0 "$code"
}

second_kill() {
    kill -KILL "$second_pid"
    wait "$second_pid" 2>/dev/null
    second_pid=''
}

# ---- an operator ----

chwsyncd() { # COMMAND ARGUMENT...
    said=$(SUDO_USER=operator "$BUILD/chwsyncd" "$1" --config "$directory/conf" "${@:2}" 2>&1 </dev/null)
    code=$?
}

says() { # WHAT PATTERN: in what it printed, as one line
    has "$1" "$2" "$(tr '\n' ' ' <<<"$said" | tr -s ' ')"
}

# ---- its log ----

mark() { marked=$(wc -l <"$directory/log"); }
log_since() { tail -n +$((marked + 1)) "$directory/log"; }
log_count() { log_since | grep -cE -- "$1"; }
log_has() { [ "$(log_count "$1")" -ge "${2:-1}" ]; }

logged() { # WHAT COUNT PATTERN: since the last mark
    local count
    count=$(log_count "$3")
    if [ "$count" = "$2" ]; then passes "$1"; else fails "$1" "wanted $2 lines with /$3/, got $count:"$'\n'"$(log_since | grep -vE '^<7>' | tail -n 20)"; fi
}

await_log() { # WHAT PATTERN [COUNT]
    await_true "$1" log_has "$2" "${3:-1}"
    passes "$1"
}

# Lines that ask for attention: warnings and errors, without their hints.
complaints() { # WHAT COUNT
    logged "$1" "$2" '^<[0-4]>([^H]|H[^I])'
}

# A server that goes and comes gives one reason after the other: closed, no socket, starting up. Each is said once.
away_was_said() {
    is "nothing but the database is complained of" '' "$(log_since | grep -E '^<[0-4]>' | grep -vE '^<3>(HINT|the database is away): ')"
    is "each reason is one line" '' "$(log_since | grep '^<3>the database is away' | sort | uniq -d)"
}

# ---- the end ----

compare_books() { # [settled|unsettled] [told|untold]
    local faults
    panel books | tail -n +2 >"$directory/books"
    [ -z "$other_pid" ] || other books | tail -n +2 >>"$directory/books"
    faults=$(cluster_psql -At -v books="$directory/books" -v settled="$([ "${1:-settled}" = settled ] && echo true || echo false)" \
        -v told="$([ "${2:-told}" = told ] && echo true || echo false)" -f tests/lib/compare-books.sql 2>&1)
    is "the provider's books, the ledger and the shop agree" '' "$faults"
}

logs() { cat "$directory"/log "$directory"/log2 2>/dev/null; } # of both instances

no_secrets() {
    is "no key in the log" 0 "$(logs | grep -c 'KEY-SECRET')"
    is "links at debug only" 0 "$(logs | grep -v '^<7>' | grep -cE 'https?://(instagram|youtube|t\.me|x\.com|tiktok|facebook|shop\.example)')"
    is "no sanitizer complained" 0 "$(logs | grep -cE 'Sanitizer|runtime error:')"
}

# Each stood in the ledger before it left, whatever kind it was and whatever died meanwhile.
requests_were_counted() {
    local met counted
    met=$(met) # first: the daemon may be at work
    counted=$(ask "SELECT coalesce(sum(adds + polls + reads), 0) FROM chwsync.budget_minutes")
    holds "every request was counted in the ledger ($counted; the provider met $met)" test "$counted" -ge "$met"
}

settle() { # as compare_books
    [ -z "$daemon_pid" ] || daemon_stop
    compare_books "$@"
    [ -n "${ledger_went_back:-}" ] || requests_were_counted
    no_secrets
}
