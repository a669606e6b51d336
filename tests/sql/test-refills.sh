#!/bin/bash
# chwsync.request_refill(): what is checked, what is answered from the ledger, who may ask; and the columns of its view. TAP on stdout.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/cluster.sh
. tests/lib/tap.sh
trap cluster_stop_all EXIT

chwsyncd=${BUILD:-build}/chwsyncd

ask() { cluster_psql -At -c "$1" 2>&1; }
ask_as() { cluster_psql -At -U "$1" -c "$2" 2>&1; }
refill() { ask "SELECT chwsync.request_refill('$1')"; }
rows() { ask "SELECT count(*) FROM chwsync.refills r JOIN chwsync.orders o ON o.id = r.order_id WHERE o.order_ref = '$1'"; }
state() { ask "UPDATE chwsync.refills SET $2 WHERE order_id = (SELECT id FROM chwsync.orders WHERE order_ref = '$1')" >/dev/null; }

fill_the_ledger() {
    "$chwsyncd" schema install --conninfo "host=$PGHOST user=postgres dbname=postgres" >/dev/null || exit 1
    cluster_psql <<'SQL'
INSERT INTO chwsync.accounts (provider, endpoint, key_digest) VALUES ('panel', 'http://127.0.0.1:9/', 'd');
INSERT INTO chwsync.orders (order_ref, display_ref, provider, service, state, account_id, provider_order_id)
SELECT 'line-' || s, '#' || s, 'panel', 'IG-1', s::chwsync.order_state, 1, s
  FROM unnest(enum_range(NULL::chwsync.order_state)) s;
INSERT INTO chwsync.orders (order_ref, provider, service, state, account_id, provider_order_id)
SELECT 'of-' || s, 'panel', s, 'completed', 1, s FROM unnest(ARRAY['IG-1', 'IG-2', '2', '4', 'gone', 'IG-3', 'unknown']) s;
INSERT INTO chwsync.orders (order_ref, provider, service, state) VALUES ('without-id', 'panel', 'IG-1', 'completed');
CREATE ROLE clerk LOGIN; GRANT chwsync_reader TO clerk;
CREATE ROLE stranger LOGIN;
SQL
}

order_must_have_ended() {
    local wanted='' got=''
    for name in queued submitting active completed partial canceled refunded failed rejected withdrawn uncertain abandoned; do
        wanted+="$name:$([[ $name == completed || $name == partial ]] && echo requested || echo refused) "
        got+="$name:$(refill line-$name | cut -d: -f1) "
    done
    is "completed and partial orders alone" "$wanted" "$got"
    is "... the others are told why" 'refused: the order line is pending; a refill can be requested when it is completed or partial' "$(refill line-active)"
    is "... and leave nothing" 0 "$(rows line-active)"
    is "an order without an id" refused "$(refill without-id | cut -d: -f1)"
    has "an unknown key" '^refused: there is no order line none here$' "$(refill none)"
    has "no key" '^refused: there is no order line without a key here$' "$(ask "SELECT chwsync.request_refill(NULL)")"
}

catalogue_is_asked() {
    is "without a catalogue the provider decides" requested "$(refill of-IG-1 | cut -d: -f1)"
    ask "INSERT INTO chwsync.catalogue_services (account_id, service, product_id, name, type, refill, charged_by, listed) VALUES
        (1, '1', 'IG-3', 'a', 'Default', true, 'quantity', true), (1, '2', 'IG-2', 'b', 'Default', false, 'quantity', true),
        (1, '4', '2', 'c', 'Default', true, 'quantity', true), (1, '5', 'gone', 'd', 'Default', false, 'quantity', false),
        (2, '9', 'unknown', 'e', 'Default', false, 'quantity', true)" >/dev/null
    is "by the product's id" 'requested refused' "$(echo $(refill of-IG-3 | cut -d: -f1) $(refill of-IG-2 | cut -d: -f1))"
    is "... in one sentence" 'refused: the provider offers no refill for service IG-2' "$(refill of-IG-2)"
    is "a service's number comes before a product's id that is called alike, as when it is bought" refused "$(refill of-2 | cut -d: -f1)"
    is "by the number" requested "$(refill of-4 | cut -d: -f1)"
    is "a service that is no longer listed, as it was" refused "$(refill of-gone | cut -d: -f1)"
    is "one that is not in this account's catalogue: the provider decides" requested "$(refill of-unknown | cut -d: -f1)"
}

repeated_requests() {
    local ref=line-completed
    has "an open one is told" '^requested: the provider is asked for it' "$(refill $ref)"
    state $ref "state = 'sending', sent_at = now()"
    has "... on its way" '^requested: the provider is being asked' "$(refill $ref)"
    state $ref "state = 'uncertain', next_at = NULL"
    has "... uncertain" '^uncertain: the provider was asked for it at .* until an operator' "$(refill $ref)"
    state $ref "state = 'pending', refill_id = '77'"
    has "... pending" '^pending: refill 77 has not begun' "$(refill $ref)"
    state $ref "state = 'in_progress'"
    has "... under way" '^in_progress: refill 77 is under way' "$(refill $ref)"
    is "all of that is one row" 1 "$(rows $ref)"
    for end in completed rejected canceled; do
        state $ref "state = '$end', ended_at = now() - interval '23 hours'"
        has "$end yesterday: answered from the ledger" "^$end: refill 77 was $end at .*; it can be requested again from " "$(refill $ref)"
    done
    is "... still one row" 1 "$(rows $ref)"
    is "an operator may ask again" requested "$(ask "SELECT split_part(chwsync.ask_refill('$ref', 'me', true), ':', 1)")"
    is "... but not beside an open one" 'requested 2' "$(ask "SELECT split_part(chwsync.ask_refill('$ref', 'me', true), ':', 1)") $(rows $ref)"
    state $ref "state = 'refused', error = 'not eligible', ended_at = now() - interval '59 minutes'"
    has "refused within the hour: answered from the ledger" '^refused: not eligible, at .*; it can be requested again from ' "$(refill $ref)"
    state $ref "ended_at = now() - interval '61 minutes'"
    is "... later a new one" 'requested 3' "$(refill $ref | cut -d: -f1) $(rows $ref)"
    is "... and the history has each" 3 "$(ask "SELECT count(*) FROM chwsync.order_history WHERE order_ref = '$ref' AND event = 'refill' AND detail LIKE '% requested a refill'")"
}

two_at_once() {
    local round
    ask "DELETE FROM chwsync.refills" >/dev/null
    for round in 1 2 3 4 5 6; do refill line-partial >"$CLUSTER_DIR/answer-$round" & done
    wait
    is "six at once: one row" 1 "$(rows line-partial)"
    is "... and each has its answer" 6 "$(cat "$CLUSTER_DIR"/answer-? | grep -c '^requested: ')"
}

rights_are_few() {
    ask "DELETE FROM chwsync.refills" >/dev/null
    is "a reader may ask" requested "$(ask_as clerk "SELECT split_part(chwsync.request_refill('line-completed'), ':', 1)")"
    is "... is named" clerk "$(ask "SELECT requested_by FROM chwsync.refill_status")"
    is "... and reads the view" 1 "$(ask_as clerk "SELECT count(*) FROM chwsync.refill_status")"
    has "... but writes nothing" 'permission denied' "$(ask_as clerk "UPDATE chwsync.refills SET state = 'completed'")"
    has "... and speaks for nobody else" 'permission denied' "$(ask_as clerk "SELECT chwsync.ask_refill('line-partial', 'the boss', true)")"
    is "the adapter's role may ask" requested "$(ask "SET ROLE chwsync_adapter; SELECT split_part(chwsync.request_refill('line-completed'), ':', 1)" | tail -n 1)"
    has "a stranger may not" 'permission denied' "$(ask_as stranger "SELECT chwsync.request_refill('line-completed')")"
    ask "GRANT USAGE ON SCHEMA chwsync TO stranger" >/dev/null
    has "... not even with the schema" 'permission denied for function request_refill' "$(ask_as stranger "SELECT chwsync.request_refill('line-completed')")"
    ask "CREATE SCHEMA trap AUTHORIZATION clerk" >/dev/null
    ask_as clerk "CREATE FUNCTION trap.date_trunc(text, timestamptz) RETURNS text LANGUAGE sql AS 'SELECT current_user::text';
        CREATE FUNCTION trap.split_part(text, text, int) RETURNS text LANGUAGE sql AS 'SELECT NULL::text'" >/dev/null
    is "a search path of the caller's has no effect" 0 "$(ask_as clerk "SET search_path = trap, pg_catalog; SELECT chwsync.request_refill('line-completed')" | grep -c chwsync_owner)"
    is "every column of the view is explained" 0 "$(ask "SELECT count(*) FROM pg_attribute a WHERE a.attrelid = 'chwsync.refill_status'::regclass AND a.attnum > 0
        AND col_description(a.attrelid, a.attnum) IS NULL")"
    is "so are the view and the function" t "$(ask "SELECT obj_description('chwsync.refill_status'::regclass) IS NOT NULL
        AND obj_description('chwsync.request_refill(text)'::regprocedure) IS NOT NULL")"
}

upgrade_takes_what_ended() {
    is "an upgrade leaves functions and rows" "0 1" "$("$chwsyncd" schema upgrade --conninfo "host=$PGHOST user=postgres dbname=postgres" >/dev/null; echo $?) $(rows line-completed)"
    is "... and rights" requested "$(ask_as clerk "SELECT split_part(chwsync.request_refill('line-completed'), ':', 1)")"
}

cluster_start || exit 1
fill_the_ledger
order_must_have_ended
catalogue_is_asked
repeated_requests
two_at_once
rights_are_few
upgrade_takes_what_ended
done_testing
