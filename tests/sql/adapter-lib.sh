# tests/sql/adapter-lib.sh - what every adapter has to do, whatever its shop. Source it from bash after tests/lib/cluster.sh and tap.sh.
#
#     adapter_begin                  a cluster, a simulated provider, and a database "ready" with the ledger
#     new_shop NAME                  a database of its own, which PGDATABASE names from then on
#     adapter_does                   all but the flow of orders; the shop has a schema "replica" (see tests/sql/replicas/README)
#
# `ask SQL`, `as_daemon SQL`. Every test says which shop it is about.

chwsyncd=${BUILD:-build}/chwsyncd
panel_pid=''

ask() { cluster_psql -At -P null=NULL -c "$1" 2>&1; }
as_daemon() { PGOPTIONS="-c role=chwsync -c client_min_messages=warning" cluster_psql -At -P null=NULL -c "$1" 2>&1; }

adapter_stop_all() {
    [ ${#flow_daemons[@]} = 0 ] || kill "${flow_daemons[@]}"
    [ -z "$panel_pid" ] || kill "$panel_pid"
    wait
    cluster_stop_all
}

adapter_begin() {
    trap adapter_stop_all EXIT
    cluster_start fsync=off || return
    export PGOPTIONS='-c client_min_messages=warning'
    cluster_psql -c 'CREATE DATABASE ready' || return
    "$chwsyncd" schema install --conninfo "host=$PGHOST port=$PGPORT dbname=ready user=postgres" >"$CLUSTER_DIR/schema" || return
    "${BUILD:-build}/panel" --port-file "$CLUSTER_DIR/panel-port" --key KEY-1=100000000 --duration-scale 0.001 2>"$CLUSTER_DIR/panel.log" &
    panel_pid=$!
    until [ -s "$CLUSTER_DIR/panel-port" ]; do kill -0 $panel_pid || return; sleep 0.02; done
    panel_port=$(cat "$CLUSTER_DIR/panel-port")
    (umask 077 && printf KEY-1 >"$CLUSTER_DIR/key")
}

new_shop() {
    about=$1
    PGDATABASE=template1 cluster_psql -c "CREATE DATABASE \"$1\" TEMPLATE ready" || return
    export PGDATABASE=$1
    cat >"$CLUSTER_DIR/conf" <<CONF
database = { conninfo = "host=$PGHOST port=$PGPORT dbname='$1' user=chwsync"; };
shop = { default_provider = "panel"; intake_interval = 1; };
providers = ( { name = "panel"; url = "http://127.0.0.1:$panel_port/wp-json/chw/v2"; key_file = "$CLUSTER_DIR/key";
                requests_per_minute = 0; requests_per_day = 0; } );
log = { level = "info"; target = "stderr"; };
state_directory = "$CLUSTER_DIR";
CONF
}

report() { # REF STATUS SEQ [JSON]: within a second, whatever the shop holds
    as_daemon "SET statement_timeout = '1s'; SELECT chwsync_shop.write_back(jsonb_populate_record(NULL::chwsync.result,
        jsonb_build_object('order_ref', '$1', 'status', '$2', 'seq', $3) || '${4:-{\}}'))"
}
shown() { as_daemon "SELECT count(*) FROM chwsync_shop.pending_orders WHERE order_ref = '$1'"; }
place() {
    placed=$((placed + 1))
    ref=$(ask "SELECT replica.place('https://instagram.com/p/$placed', 2)")
}
placed=0

view_shows_what_is_paid() {
    place
    is "a paid line is shown, in pieces" "IG-LIKES-FAST https://instagram.com/p/$placed 2000" \
        "$(as_daemon "SELECT concat_ws(' ', service, link, quantity) FROM chwsync_shop.pending_orders WHERE order_ref = '$ref'")"
    ref=$(ask "SELECT replica.place_unpaid('https://instagram.com/p/unpaid')")
    is "an unpaid one is not" 0 "$(shown "$ref")"
    is "nor bought" f "$(report "$ref" submitting 1)"
    ask "SELECT replica.pay('$ref')" >/dev/null
    is "paying shows it" 1 "$(shown "$ref")"
    ask "SELECT replica.cancel('$ref')" >/dev/null
    is "canceling hides it" 0 "$(shown "$ref")"
    is "and it is not bought" f "$(report "$ref" submitting 1)"
}

function_answers() {
    local other
    place
    is "a paid line may go" t "$(report "$ref" submitting 1)"
    is "it is hidden from then on" 0 "$(shown "$ref")"
    is "the same question gets the same answer" t "$(report "$ref" submitting 1)"
    is "put off: recorded" t "$(report "$ref" queued 2 '{"error": "funds"}')"
    is "put off: shown again" 1 "$(shown "$ref")"
    is "put off: may go again" t "$(report "$ref" submitting 3)"
    is "one that has forgotten gets no go" NULL "$(report "$ref" submitting 2)"
    local before
    before=$(ask "SELECT replica.told('$ref')")
    is "a report is recorded" t "$(report "$ref" completed 5 '{"provider_order_id": "77", "charge": 1.25, "currency": "USD"}')"
    is "an older one changes nothing" t "$(report "$ref" in_progress 4)"
    is "a repeat neither" t "$(report "$ref" completed 6)"
    is "it stands in the side table" "completed 6" "$(ask "SELECT status || ' ' || seq FROM chwsync_shop.line WHERE order_ref = '$ref'")"
    [ "$before" = NULL ] || is "the shop hears of it once" $((before + 1)) "$(ask "SELECT replica.told('$ref')")"
    for other in 0 -1 999999999 99999999999999999999 1e3 '' ' 1' x ordli_nothing 00000000-0000-0000-0000-000000000000 "$(printf 'x%.0s' {1..300})" 'a\\b"c'; do
        is "unknown key <${other:0:40}>: false" "f f" "$(report "$other" submitting 1) $(report "$other" completed 1)"
    done
}

nothing_waits() {
    place
    cluster_hold "SELECT replica.hold('$ref')"
    is "a line that the shop holds is asked for again" NULL "$(report "$ref" submitting 1)"
    cluster_release
    is "and goes when it is free" t "$(report "$ref" submitting 1)"
    cluster_hold "SELECT replica.hold('$ref')"
    is "a report waits for no lock of the shop" t "$(report "$ref" in_progress 2)"
    cluster_release
    place
    cluster_hold "SET LOCAL ROLE chwsync; SELECT chwsync_shop.write_back(ROW('$ref', 'submitting', NULL, NULL, NULL, NULL, NULL, NULL, 1)::chwsync.result)"
    is "a claim keeps no other line of the shop waiting" 1 "$(ask "SET lock_timeout = '500ms'; SELECT count(*) FROM replica.place('https://instagram.com/p/other', 1)")"
    cluster_release
}

rights_are_few() {
    is "the daemon has no right on any table but the ledger" "" "$(ask "
        SELECT coalesce(string_agg(c.oid::regclass::text, ' '), '') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname NOT IN ('chwsync', 'pg_catalog', 'information_schema') AND n.nspname !~ '^pg_toast'
           AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relname <> 'pending_orders'
           AND (has_any_column_privilege('chwsync', c.oid, 'SELECT, INSERT, UPDATE') OR has_table_privilege('chwsync', c.oid, 'DELETE, TRUNCATE'))")"
    is "the adapter deletes nothing in the shop, and updates at most one column of a table" "" "$(ask "
        SELECT coalesce(string_agg(c.oid::regclass::text, ' '), '') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname NOT IN ('chwsync', 'chwsync_shop', 'pg_catalog', 'information_schema') AND n.nspname !~ '^pg_toast' AND c.relkind IN ('r', 'p')
           AND (has_table_privilege('chwsync_adapter', c.oid, 'UPDATE, DELETE, TRUNCATE')
                OR (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                       AND has_column_privilege('chwsync_adapter', c.oid, a.attnum, 'UPDATE')) > 1)")"
    is "no foreign key leads into the shop" 0 "$(ask "SELECT count(*) FROM pg_constraint f WHERE f.contype = 'f' AND f.connamespace = 'chwsync_shop'::regnamespace")"
}

check_is_content() {
    "$chwsyncd" check --config "$CLUSTER_DIR/conf" >"$CLUSTER_DIR/check" 2>&1
    is "chwsyncd check finds nothing" "0 All is well." "$? $(tail -n 1 "$CLUSTER_DIR/check")"
    [ "$(tail -n 1 "$CLUSTER_DIR/check")" = "All is well." ] || grep -A1 -E '^(warning|fault)' "$CLUSTER_DIR/check" | sed 's/^/# /'
}

await_sql() { # SQL [SECONDS]
    local until=$((SECONDS + ${2:-30}))
    until [ "$(ask "$1")" = t ]; do
        [ $SECONDS -lt $until ] || return 1
        sleep 0.05
    done
}

# The daemon itself: three lines are bought and followed to their end, one that was canceled is not. Daemons of several shops
# run at the same time: flow_begin starts one and flow_ends looks at all of them.
declare -A flow_daemons=() flow_lines=() flow_canceled=()
flow_begin() {
    local canceled all
    place; all="'$ref'"
    place; all="$all, '$ref'"
    place; canceled=$ref
    ask "SELECT replica.cancel('$canceled')" >/dev/null
    place; all="$all, '$ref'"
    cp "$CLUSTER_DIR/conf" "$CLUSTER_DIR/conf-$PGDATABASE"
    mkdir -p "$CLUSTER_DIR/state-$PGDATABASE"
    sed -i "s|^state_directory.*|state_directory = \"$CLUSTER_DIR/state-$PGDATABASE\";|" "$CLUSTER_DIR/conf-$PGDATABASE"
    "$chwsyncd" run --config "$CLUSTER_DIR/conf-$PGDATABASE" 2>"$CLUSTER_DIR/log-$PGDATABASE" &
    flow_daemons[$PGDATABASE]=$!
    flow_lines[$PGDATABASE]=$all
    flow_canceled[$PGDATABASE]=$canceled
}

flow_ends() {
    local shop all canceled
    for shop in "${!flow_daemons[@]}"; do
        export PGDATABASE=$shop
        about=$shop
        all=${flow_lines[$shop]} canceled=${flow_canceled[$shop]}
        await_sql "SELECT count(*) = 3 FROM chwsync_shop.line WHERE order_ref IN ($all) AND status = 'completed'" ||
            ask "SELECT order_ref, state, error FROM chwsync.orders" | cat - "$CLUSTER_DIR/log-$PGDATABASE" | sed 's/^/# /'
        kill "${flow_daemons[$shop]}"
        wait "${flow_daemons[$shop]}"
        unset "flow_daemons[$shop]"
        is "orders flow from paid to completed" 3 "$(ask "SELECT count(*) FROM chwsync_shop.line WHERE order_ref IN ($all) AND status = 'completed' AND provider_order_id IS NOT NULL")"
        is "a canceled one was not bought" 0 "$(ask "SELECT count(*) FROM chwsync.attempts a JOIN chwsync.orders o ON o.id = a.order_id WHERE o.order_ref = '$canceled'")"
        is "none of them is shown any more" 0 "$(as_daemon "SELECT count(*) FROM chwsync_shop.pending_orders WHERE order_ref IN ($all, '$canceled')")"
    done
}

adapter_does() {
    view_shows_what_is_paid
    function_answers
    nothing_waits
    rights_are_few
    check_is_content
}
