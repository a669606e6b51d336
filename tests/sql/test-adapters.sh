#!/bin/bash
# The ready adapters, each on a replica of its shop, alone and with queue and wake-up. TAP on stdout.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/cluster.sh
. tests/lib/tap.sh
. tests/sql/adapter-lib.sh

install() { # ADAPTER [OPTION...]
    "$chwsyncd" adapter "$@" >"$CLUSTER_DIR/adapter.sql" && cluster_psql -f "$CLUSTER_DIR/adapter.sql"
}

runs_again() {
    local before
    before=$(ask "SELECT count(*) || ' ' || sum(seq) FROM chwsync_shop.line")
    is "it runs again" "" "$(install "$@" 2>&1)"
    is "and keeps what was reported" "$before" "$(ask "SELECT count(*) || ' ' || sum(seq) FROM chwsync_shop.line")"
}

old_orders_are_left_alone() {
    ask "SELECT replica.old(5)" >/dev/null
    is "orders of long ago are left alone" 0 "$(as_daemon "SELECT count(*) FROM chwsync_shop.pending_orders WHERE created_at < now() - interval '30 days'")"
    ask "UPDATE chwsync_shop.since SET placed_at = '-infinity'" >/dev/null
}

medusa_versions() {
    place
    ask "SELECT replica.new_version('$ref')" >/dev/null
    is "a new version of the order shows the line once" 1 "$(shown "$ref")"
}

look_is_by_index() {
    ask "SELECT replica.old(5000); INSERT INTO chwsync_shop.line (order_ref, status, seq) SELECT order_item_id::text, 'completed', 4 FROM public.order_item
         ON CONFLICT DO NOTHING; ANALYZE" >/dev/null
    is "with the queue no table is read from end to end" "" \
        "$(ask "EXPLAIN SELECT * FROM chwsync_shop.pending_orders" | grep -oE 'Seq Scan on (order_item|"order"|line) ')"
}

queue_works() { # the same shop, with --queue --wake
    install "$@" --queue --wake || return
    about="$1 with queue"
    place
    is "the trigger puts a paid line into the queue" t "$(ask "SELECT EXISTS (SELECT FROM chwsync_shop.queue WHERE line_id::text = '$ref')")"
    is "buying takes it out" "t f" "$(report "$ref" submitting 1) $(ask "SELECT EXISTS (SELECT FROM chwsync_shop.queue WHERE line_id::text = '$ref')")"
    is "what may be sent again comes back" "t t" "$(report "$ref" queued 2) $(ask "SELECT EXISTS (SELECT FROM chwsync_shop.queue WHERE line_id::text = '$ref')")"
    place
    ask "DELETE FROM chwsync_shop.queue WHERE line_id::text = '$ref'" >/dev/null
    is "what the trigger missed is shown all the same" 1 "$(shown "$ref")"
    place
    ask "SELECT replica.cancel('$ref'); UPDATE chwsync_shop.queue SET looked_at = now() - interval '1 hour'" >/dev/null
    local stale=$ref
    for i in 1 2 3 4 5 6; do place; report "$ref" submitting 1 >/dev/null; done
    is "what the shop no longer wants leaves the queue" f "$(ask "SELECT EXISTS (SELECT FROM chwsync_shop.queue WHERE line_id::text = '$stale')")"
    PGOPTIONS='-c role=chwsync_adapter' ask "ALTER TABLE chwsync_shop.queue RENAME TO away" >/dev/null
    is "a broken queue breaks no checkout" 1 "$(ask "SELECT count(*) FROM replica.place('https://instagram.com/p/x', 1)" | tail -n 1)"
    PGOPTIONS='-c role=chwsync_adapter' ask "ALTER TABLE chwsync_shop.away RENAME TO queue" >/dev/null
    is "being paid wakes the daemon, once" 1 \
        "$(cluster_psql -At -c 'LISTEN chwsync' -c "SELECT 1 FROM replica.place('https://instagram.com/p/x', 1)" -c 'SELECT' | grep -c 'notification "chwsync"')"
    view_shows_what_is_paid
    nothing_waits
    rights_are_few
    [ "$1" != evershop ] || look_is_by_index
    flow_begin
}

adapter_begin || { echo "Bail out! no cluster"; exit 1; }
for name in evershop medusa oscar saleor spree template vendure; do
    new_shop "$name" && cluster_psql -f "tests/sql/replicas/$name.sql" >/dev/null || { echo "Bail out! no replica of $name"; exit 1; }
    ask "SELECT replica.old(3)" >/dev/null
    is "it runs" "" "$(install "$name" 2>&1)"
    adapter_does
    runs_again "$name"
    old_orders_are_left_alone
    [ "$name" != medusa ] || medusa_versions
    queue_works "$name"
done
flow_ends
about='chwsyncd adapter'
listed=$("$chwsyncd" adapter | tr -s ' \n' ' ')
for shop in "EverShop 2.x" "Medusa 2.x" "Vendure 3.x"; do
    is "it says that $shop was tried for real" yes "$(grep -q "connects $shop to chwsyncd. Tried on the real schema of" <<<"$listed" && echo yes)"
done
is "and which adapters were not" 3 "$(grep -oE 'Tried on a replica of (its|their) tables only\.' <<<"$listed" | wc -l)"
done_testing
