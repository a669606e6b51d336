#!/bin/bash
# The sample shop and its adapter keep the contract: view, veto, reports, rights. TAP on stdout.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/cluster.sh
. tests/lib/tap.sh
trap cluster_stop_all EXIT

# One value, or rows joined by newlines; NULL is shown as such. What goes wrong is part of the answer.
ask() { cluster_psql -At -P null=NULL -c "$1" 2>&1; }
as_daemon() { cluster_psql -At -P null=NULL -c "SET ROLE chwsync" -c "SET lock_timeout = '2s'" -c "$1" 2>&1; }

# The answer of the function, called as the daemon does: report REF STATUS SEQ [further members of the result, JSON]
report() {
    as_daemon "SELECT chwsync_shop.write_back(jsonb_populate_record(NULL::chwsync.result,
        jsonb_build_object('order_ref', '$1', 'status', '$2', 'seq', $3) || '${4:-{\}}'))"
}

side() { ask "SELECT $2 FROM chwsync_shop.sample_store_line WHERE order_ref = '$1'"; }
shown() { as_daemon "SELECT count(*) FROM chwsync_shop.pending_orders WHERE order_ref = '$1'"; }
events() { ask "SELECT data ->> 'status' FROM store.order_events WHERE line_ref = '$1' AND kind = 'delivery' ORDER BY id"; }

# Places one order of a kind and leaves its line's key in `ref`.
place() {
    ask "SELECT store_test.place_orders(1, '$1')" >/dev/null
    ref=$(ask "SELECT ref FROM store.order_lines ORDER BY id DESC LIMIT 1")
}
row() { as_daemon "SELECT concat_ws(' ', $2) FROM chwsync_shop.pending_orders WHERE order_ref = '$1'"; }

install() {
    cluster_psql -f sql/roles.sql -c "
        CREATE SCHEMA chwsync AUTHORIZATION chwsync_owner;
        CREATE SCHEMA chwsync_shop AUTHORIZATION chwsync_adapter" || return
    local file
    for file in sql/schema/*.sql sql/functions.sql sql/views.sql sql/grants.sql; do
        cluster_psql -1 -f "$file" || return
    done
    cluster_psql -f sql/sample-store.sql || return
    fingerprint=$(shop_fingerprint)
    cluster_psql -f sql/adapters/sample-store.sql -f tests/lib/store-data.sql
}

# Every object of the shop's schema, as the catalogue has it; rights apart.
shop_fingerprint() {
    ask "SELECT md5(string_agg(x, ';' ORDER BY x)) FROM (
           SELECT format('%s %s %s', c.relname, a.attname, a.atttypid) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
            WHERE c.relnamespace = 'store'::regnamespace
           UNION ALL SELECT pg_get_constraintdef(oid) || conrelid FROM pg_constraint
            WHERE connamespace = 'store'::regnamespace OR confrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'store'::regnamespace)
           UNION ALL SELECT pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
            WHERE c.relnamespace = 'store'::regnamespace AND NOT tgisinternal
           UNION ALL SELECT format('%s %s', tgrelid, count(*)) FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
            WHERE c.relnamespace = 'store'::regnamespace GROUP BY tgrelid) o(x)"
}

view_shows_what_may_be_sent() {
    place followers
    is "a paid line is shown in pieces, with its cost cap" "IG-FOLLOWERS-REAL https://instagram.com/account.${ref:3:6} 500 0.90000" \
        "$(row "$ref" 'service, link, quantity, max_charge')"
    place drip
    is "a drip-feed is divided among its runs" "200 5 60 1000" "$(row "$ref" 'quantity, runs, interval, quantity * runs')"
    place comments
    is "comments keep their lines and signs" "4 t t" \
        "$(row "$ref" "cardinality(string_to_array(comments, chr(10))), comments LIKE '%😍 & more%', comments LIKE '%100 \% worth it + fun%'")"
    is "what is sold by lines has no quantity" 1 "$(row "$ref" 'num_nulls(quantity)')"
    place poll
    is "what has no column travels in params" '{"answer_number": "2"}' "$(row "$ref" params)"
    place subscription
    is "min and max leave params" '10 20 {"posts": 5} account' "$(row "$ref" 'min, max, params, username')"
    place 'blank link'
    is "a link of blanks is none" 2 "$(row "$ref" 'num_nonnulls(service, link, quantity)')"
    place unpaid
    is "an unpaid line is not shown" 0 "$(shown "$ref")"
    ask "SELECT store.pay_order(left('$ref', -2))" >/dev/null
    is "paying shows it" 1 "$(shown "$ref")"
    ask "SELECT store.cancel_line('$ref')" >/dev/null
    is "canceling hides it" 0 "$(shown "$ref")"
}

view_survives_any_extras() {
    local extras
    place drip
    for extras in '{"runs": 5' 'null' '[1]' '"runs"' '7' '' '{"runs": "four"}' '{"runs": 2.5}' '{"runs": 3}' \
        '{"runs": 99999999999999999999}' '{"runs": 5, "interval": "soon"}' '\u0000' '{"a": "\u0000"}'; do
        ask "UPDATE store.order_lines SET extras = \$x\$$extras\$x\$ WHERE ref = '$ref'"
        is "extras <$extras> cost this line its service and nobody else" "1 0" \
            "$(as_daemon "SELECT count(*) FILTER (WHERE order_ref = '$ref' AND service IS NULL) || ' ' ||
                          count(*) FILTER (WHERE order_ref <> '$ref' AND service IS NULL)
                     FROM (SELECT v.*, length(v::text) FROM chwsync_shop.pending_orders v OFFSET 0) w")"
    done
    for extras in '{"runs": 1, "interval": 60}' '{"runs": 0}' '{}' '{"runs": null}'; do
        ask "UPDATE store.order_lines SET extras = '$extras' WHERE ref = '$ref'"
        is "extras <$extras> mean no drip-feed" "IG-FOLLOWERS-REAL 1000" "$(row "$ref" 'service, quantity, runs, "interval", params')"
    done
    ask "UPDATE store.order_lines SET extras = NULL, options = '[1, 2]' WHERE ref = '$ref'"
    is "options that are no object are no link" "IG-FOLLOWERS-REAL 1000" "$(row "$ref" 'service, link, quantity')"
}

veto_lets_through_what_is_paid() {
    place followers
    is "veto: a paid line goes" t "$(report "$ref" submitting 1)"
    is "it stands in the side table" "submitting 1" "$(side "$ref" "status || ' ' || seq")"
    is "it is hidden from then on" 0 "$(shown "$ref")"
    is "the same question gets the same answer" t "$(report "$ref" submitting 1)"
    is "put off: recorded" t "$(report "$ref" queued 2 '{"error": "funds"}')"
    is "put off: shown again" 1 "$(shown "$ref")"
    is "put off: may go again" t "$(report "$ref" submitting 3)"
    is "the reason is gone" NULL "$(side "$ref" error)"
    is "a ledger that has forgotten gets no go" NULL "$(report "$ref" submitting 2)"
    is "veto: unknown line" f "$(report chwsync-selftest-unknown submitting 1)"
    is "an unknown line leaves no row" "" "$(side chwsync-selftest-unknown status)"
    place followers
    ask "SELECT store.cancel_line('$ref')" >/dev/null
    is "veto: a canceled line is withdrawn" f "$(report "$ref" submitting 1)"
    is "and leaves no row" "" "$(side "$ref" status)"
    place followers
    ask "SELECT store.refund_order(left('$ref', -2))" >/dev/null
    is "veto: a refunded order's line is withdrawn" f "$(report "$ref" submitting 1)"
    place followers
    ask "UPDATE store.orders SET status = 'refunded' WHERE number || '-1' = '$ref'"
    is "veto: the order's state alone is enough" f "$(report "$ref" submitting 1)"
    place followers
    report "$ref" submitting 1 >/dev/null
    report "$ref" queued 2 >/dev/null
    ask "SELECT store.cancel_line('$ref')" >/dev/null
    is "veto: canceled while it waited for another try" f "$(report "$ref" submitting 3)"
    is "and is not shown" 0 "$(shown "$ref")"
}

veto_never_waits() {
    place followers
    cluster_hold "SELECT store.cancel_line('$ref')"
    is "veto: NULL while the shop cancels the line" NULL \
        "$(report "$ref" submitting 1)"
    is "the line is still shown" 1 "$(shown "$ref")"
    cluster_release COMMIT
    is "veto: false once it did" f "$(report "$ref" submitting 1)"
    place followers
    cluster_hold "SELECT FROM store.order_lines WHERE ref = '$ref' FOR UPDATE"
    is "veto: NULL while the line is locked" NULL "$(report "$ref" submitting 1)"
    cluster_release ROLLBACK
    is "veto: true once it is free" t "$(report "$ref" submitting 1)"
    cluster_hold "SELECT FROM store.orders o JOIN store.order_lines l ON l.order_id = o.id WHERE l.ref = '$ref' FOR UPDATE"
    is "a report waits for no lock of the shop" t "$(report "$ref" completed 2)"
    cluster_release ROLLBACK
    place followers
    cluster_hold "SET LOCAL ROLE chwsync; SELECT chwsync_shop.write_back(ROW('$ref', 'submitting', NULL, NULL, NULL, NULL, NULL, NULL, 1)::chwsync.result)"
    is "a claimed line cannot be canceled before the claim ends" "ERROR:  canceling statement due to lock timeout" \
        "$(ask "SET lock_timeout = '20ms'; SELECT store.cancel_line('$ref')" | head -n 1)"
    cluster_release COMMIT
    place followers
    cluster_hold "SELECT FROM store.order_lines WHERE ref = '$ref' FOR KEY SHARE"
    is "veto: a mere reference to the line does not matter" t "$(report "$ref" submitting 1)"
    cluster_release COMMIT
}

reports_are_kept_by_seq() {
    place followers
    report "$ref" submitting 1 >/dev/null
    is "report: accepted" t "$(report "$ref" pending 2 '{"provider_order_id": "777"}')"
    is "report: progress" t \
        "$(report "$ref" in_progress 3 '{"provider_order_id": "777", "charge": 0.080116556, "currency": "USD", "start_count": 12, "remains": -3}')"
    is "every value stands in the side table" "in_progress 777 0.080116556 USD 12 -3 3" \
        "$(side "$ref" "concat_ws(' ', status, provider_order_id, charge, currency, start_count, remains, error, seq)")"
    is "an older report is taken and changes nothing" t "$(report "$ref" completed 2)"
    is "the newer one stands" "in_progress 3" "$(side "$ref" "concat_ws(' ', status, seq)")"
    is "no end, no event" "" "$(events "$ref")"
    is "report: the end" t "$(report "$ref" completed 4 '{"provider_order_id": "777", "charge": 0.75}')"
    report "$ref" completed 4 >/dev/null
    report "$ref" completed 5 >/dev/null
    is "the shop hears of the end once" completed "$(events "$ref")"
    report "$ref" in_progress 6 >/dev/null
    report "$ref" completed 7 >/dev/null
    is "a refill tells it nothing new" completed "$(events "$ref")"
    report "$ref" partial 8 >/dev/null
    is "another end is told" $'completed\npartial' "$(events "$ref")"
    is "report: unknown line" f "$(report SO-1-1 completed 1)"
    is "an unknown line leaves no row" "" "$(side SO-1-1 status)"
    is "nor an event" "" "$(events SO-1-1)"
    place followers
    is "report: a line taken without the function" t "$(report "$ref" completed 9)"
    is "is recorded all the same" "completed 9 completed" "$(side "$ref" "concat_ws(' ', status, seq, told)")"
    is "and told" completed "$(events "$ref")"
    local status
    for status in partial canceled refunded failed rejected abandoned; do
        place followers
        report "$ref" submitting 1 >/dev/null
        report "$ref" $status 2 >/dev/null
        is "$status is an end" $status "$(events "$ref")"
    done
    is "an uncertain line is recorded" t "$(report "$ref" uncertain 3)"
    is "and not shown" 0 "$(shown "$ref")"
    is "an exactly filled report works in one statement for many" "100 0" "$(as_daemon "
        SELECT count(*) FILTER (WHERE NOT done) || ' ' || count(*) FILTER (WHERE done) FROM (
            SELECT chwsync_shop.write_back(ROW('none-' || i, 'completed', NULL, NULL, NULL, NULL, NULL, NULL, 1)::chwsync.result) AS done
              FROM generate_series(1, 100) i) x")"
}

rights_are_few() {
    local table
    for table in customers products orders order_lines payments order_events; do
        is "the daemon may not read store.$table" "ERROR:  permission denied for schema store" \
            "$(as_daemon "SELECT count(*) FROM store.$table" | head -n 1)"
    done
    is "the daemon may not write the side table" "ERROR:  permission denied for table sample_store_line" \
        "$(as_daemon "DELETE FROM chwsync_shop.sample_store_line" | head -n 1)"
    is "nor create anything beside it" "ERROR:  permission denied for schema chwsync_shop" \
        "$(as_daemon "CREATE TABLE chwsync_shop.mine ()" | head -n 1)"
    is "nobody else may call the function" f \
        "$(ask "SELECT has_function_privilege('chwsync_reader', 'chwsync_shop.write_back(chwsync.result)', 'EXECUTE')")"
    is "the adapter's rights on the shop" \
        $'order_events INSERT\norder_lines SELECT\norder_lines.updated_at UPDATE\norders SELECT\nproducts SELECT' \
        "$(ask "SELECT c.relname || ' ' || a.privilege_type FROM pg_class c, aclexplode(c.relacl) a
                 WHERE a.grantee = 'chwsync_adapter'::regrole AND c.relnamespace = 'store'::regnamespace
                UNION ALL
                SELECT c.relname || '.' || t.attname || ' ' || a.privilege_type
                  FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid, aclexplode(t.attacl) a
                 WHERE a.grantee = 'chwsync_adapter'::regrole ORDER BY 1")"
    is "view, function and table belong to the adapter" chwsync_adapter \
        "$(ask "SELECT DISTINCT owner::regrole::text FROM (
                  SELECT relowner FROM pg_class WHERE relnamespace = 'chwsync_shop'::regnamespace AND relkind IN ('r', 'v')
                  UNION SELECT proowner FROM pg_proc WHERE pronamespace = 'chwsync_shop'::regnamespace) o(owner)")"
    is "the function's search_path is fixed" "{\"search_path=pg_catalog, pg_temp\"} t" \
        "$(ask "SELECT proconfig::text || ' ' || prosecdef::text::char FROM pg_proc WHERE oid = 'chwsync_shop.write_back(chwsync.result)'::regprocedure")"
    is "the view has the contract's columns and types" "order_ref text, service text, link text, quantity bigint, runs bigint, \
interval bigint, min bigint, max bigint, comments text, usernames text, hashtags text, username text, params jsonb, \
max_charge numeric, display_ref text, created_at timestamp with time zone" \
        "$(ask "SELECT string_agg(attname || ' ' || format_type(atttypid, NULL), ', ' ORDER BY attnum) FROM pg_attribute
                 WHERE attrelid = 'chwsync_shop.pending_orders'::regclass AND attnum > 0")"
}

adapter_runs_again() {
    local before after
    before=$(ask "SELECT count(*) || ' ' || sum(seq) FROM chwsync_shop.sample_store_line")
    is "the adapter runs again" "" "$(PGOPTIONS='-c client_min_messages=warning' cluster_psql -f sql/adapters/sample-store.sql 2>&1)"
    after=$(ask "SELECT count(*) || ' ' || sum(seq) FROM chwsync_shop.sample_store_line")
    is "and keeps what was reported" "$before" "$after"
    is "the daemon can read the view again" t "$(as_daemon "SELECT count(*) > 0 FROM chwsync_shop.pending_orders")"
    is "the shop is as it was before the adapter" "$fingerprint" "$(shop_fingerprint)"
}

poll_does_not_read_history() {
    local plan
    ask "SELECT store_test.place_orders(100000, 'closed')" >/dev/null
    ask "SELECT store_test.place_orders(20, 'followers')" >/dev/null
    ask "VACUUM ANALYZE" >/dev/null
    plan=$(ask "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) SELECT * FROM chwsync_shop.pending_orders")
    is "few pending among 100,000: by indexes alone" "products" "$(grep -A4 '"Seq Scan"' <<<"$plan" | grep -o '"Relation Name": "[^"]*"' | cut -d'"' -f4 | sort -u)"
    is "few pages" yes "$([ "$(grep -m 1 -o '"Shared Hit Blocks": [0-9]*' <<<"$plan" | grep -o '[0-9]*$')" -lt 2000 ] && echo yes)"
    is "a line is found by its key" "order_lines_ref_key" \
        "$(ask "EXPLAIN SELECT FROM store.order_lines WHERE ref = 'SO-100500-1' FOR NO KEY UPDATE SKIP LOCKED" | grep -o 'order_lines_ref_key')"
    is "the shop closes what was delivered" t "$(ask "SELECT store.close_delivered() > 0")"
    is "what waits for the daemon stays open" "20" "$(ask "SELECT count(*) FROM (SELECT FROM chwsync_shop.pending_orders
        ORDER BY created_at DESC LIMIT 20) x")"
}

cluster_start || { echo "Bail out! no cluster"; exit 1; }
export PGOPTIONS='-c client_min_messages=warning'
install || { echo "Bail out! the sample shop could not be set up"; exit 1; }
view_shows_what_may_be_sent
view_survives_any_extras
veto_lets_through_what_is_paid
veto_never_waits
reports_are_kept_by_seq
rights_are_few
adapter_runs_again
poll_does_not_read_history
done_testing
