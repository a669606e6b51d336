#!/bin/bash
# The commands beside `run`: help, exit codes, JSON, `status` and `orders` over a prepared ledger, `check` over broken contracts.
# TAP on stdout.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/cluster.sh
. tests/lib/tap.sh
panel_pid=
stop_all() {
    [ -z "$panel_pid" ] || kill "$panel_pid"
    cluster_stop_all
}
trap stop_all EXIT

chwsyncd=${BUILD:-build}/chwsyncd
panel=${BUILD:-build}/panel

ask() { cluster_psql -At -c "$1" 2>&1; }

# run ARGUMENT...: leaves what it printed in `said` and its exit code in `code`
run() {
    said=$("$chwsyncd" "$@" 2>&1)
    code=$?
}
# told COMMAND ARGUMENT...: the same with the configuration
told() { run "$1" --config "$CLUSTER_DIR/chwsyncd.conf" "${@:2}"; }
# The value of a path in the JSON last printed: json '{orders,0,ref}'
json() { ask "SELECT \$json\$$said\$json\$::json #>> '$1'"; }
too_wide() { awk 'length($0) > 80' <<<"$said"; }

configure() { # configure [SHOP-SETTINGS] [PROVIDER-SETTINGS]
    cat >"$CLUSTER_DIR/chwsyncd.conf" <<CONF
database = { conninfo = "host=$PGHOST dbname=$PGDATABASE user=${role:-chwsync}"; };
shop = { default_provider = "panel"; $1 };
providers = ( { name = "panel"; url = "http://127.0.0.1:${port:-9}/wp-json/chw/v2"; key_file = "panel.key"; $2 } );
state_directory = "$CLUSTER_DIR";
CONF
}

usage_is_told() {
    local name
    run --help
    is "--help" 0 "$code"
    for name in run check schema status orders; do
        has "... names $name" "^  $name " "$said"
        run "$name" --help
        is "$name --help" 0 "$code"
        has "... has its usage" "^Usage: chwsyncd $name" "$said"
        is "... within 80 columns" "" "$(too_wide)"
        run --help
    done
    is "... within 80 columns" "" "$(too_wide)"
    run --version
    has "--version" "^chwsyncd [0-9]+\.[0-9]+" "$said"
    run
    is "no command" 64 "$code"
    run ordrs
    is "an unknown command" 64 "$code"
    has "... tells the nearest" 'unknown command "ordrs"; did you mean "orders"\?' "$said"
    run status --jsn
    is "an unknown option" 64 "$code"
    has "... tells the nearest" 'unknown option "--jsn"; did you mean "--json"\?' "$said"
    run status --state queued
    is "an option of another command" 64 "$code"
    run orders -x
    has "a short option" 'unknown option "-x"' "$said"
    run orders --state
    has "an option without its value" 'option --state needs a value' "$said"
    run status --json=1
    has "a value too many" 'option --json=1 takes no value' "$said"
    run orders --limit 10x
    is "a limit that is no number" 64 "$code"
    local age
    for age in 2 h -h 0h 2x 2hh 1e3h; do
        run orders --age "$age"
        is "an age that is none: $age" 64 "$code"
    done
    run orders one two
    is "an operand too many" 64 "$code"
    run schema
    is "an operand too few" 64 "$code"
    run schema instal
    has "an unknown action" 'did you mean "install"\?' "$said"
    run orders --state quued
    has "an unknown state" 'unknown state "quued"; did you mean "queued"\?' "$said"
    has "... tells which there are" 'HINT: there are queued, .*uncertain' "$said"
    told adapter --key id --pending true
    is "options of --table without it: usage" "64 chwsyncd: these options go with --table TABLE, the shop's table of lines" "$code $(head -n 1 <<<"$said")"
    run orders --help >/dev/null
    "$chwsyncd" --help >/dev/full 2>&1
    is "what cannot be printed is a failure" 1 "$?"
}

configuration_comes_first() {
    run status --config "$CLUSTER_DIR/none.conf"
    is "no configuration" 78 "$code"
    printf 'databas = { conninfo = "x"; };\nlog = { level = "loud"; };\n' >"$CLUSTER_DIR/wrong.conf"
    run check --config-only --config "$CLUSTER_DIR/wrong.conf"
    is "check of a wrong configuration" 78 "$code"
    has "... one fault" 'fault +configuration .*wrong.conf:1' "$said"
    has "... and the next" 'fault +configuration .*wrong.conf:2' "$said"
    told check --config-only
    is "check --config-only touches no database" "0 1" "$code $(grep -c '^ok' <<<"$said")"
}

without_a_schema() {
    role=postgres configure
    for name in status orders; do
        told $name
        is "$name without a schema" 1 "$code"
        has "... says what to do" "not installed in database postgres" "$said"
    done
    "$chwsyncd" schema install --conninfo "host=$PGHOST user=postgres dbname=postgres" >/dev/null
    configure
    told status
    is "status of an empty ledger" 0 "$code"
    has "... names the provider" "panel \(never used\) +0" "$said"
    told orders
    is "orders of an empty ledger" "0 No orders." "$code $said"
    told orders --json
    is "... as JSON" "0 array" "$code $(ask "SELECT json_typeof('$said'::json)")"
}

fill_the_ledger() {
    cluster_psql <<SQL
INSERT INTO chwsync.accounts (provider, endpoint, key_digest, submits_paused_until, pause_reason, last_error, last_error_at)
VALUES ('panel', 'http://127.0.0.1:$port/wp-json/chw/v2', 'd', 'infinity', 'the key was refused', 'Invalid API key', now());
INSERT INTO chwsync.orders (order_ref, display_ref, provider, service, link, quantity, comments, created_at)
SELECT 'line-' || i, '#10' || i, 'panel', 'IG-1', 'https://example.org/secret-' || i, 1000, E'one\ntwo \x1b[31m', now() - i * interval '1 hour'
  FROM generate_series(1, 30) i;
UPDATE chwsync.orders SET state = 'active', in_progress = true, provider_order_id = '4711', charge = 1.230000000000000000001,
       currency = 'USD', start_count = 10, remains = -5, attempts = 1, accepted_at = now(), account_id = 1, provider_status = 'In progress'
 WHERE id = 5;
UPDATE chwsync.orders SET state = 'uncertain', error = 'sent but not answered: it may exist there' WHERE id = 6;
UPDATE chwsync.orders SET error = 'price 3.00 above max_charge 2.00' WHERE id = 7;
UPDATE chwsync.orders SET order_ref = 'Bestellung Nr. 8 – ünïcode, and a key that is far too long for any column of a table' WHERE id = 8;
INSERT INTO chwsync.queue SELECT id, provider, now() + interval '90 s' FROM chwsync.orders WHERE state = 'queued';
UPDATE chwsync.queue SET held = 'price' WHERE order_id = 7;
INSERT INTO chwsync.polls (order_id, account_id, next_at) VALUES (5, 1, now() + interval '3 min');
INSERT INTO chwsync.budget_minutes (account_id, minute, adds, polls) VALUES (1, now(), 3, 4);
INSERT INTO chwsync.attempts (order_id, number, account_id, instance, claim, claimed_at, send_before, service, link, quantity, further, outcome,
                              ended_at, open, provider_order_id, http_status, expected_charge)
VALUES (5, 1, 1, gen_random_uuid(), 1, now() - interval '1 hour', now(), 'IG-1', 'https://example.org/secret-5', 1000, '{"runs": 2}', 'accepted',
        now() - interval '1 hour' + interval '431 ms', false, '4711', 201, 1.13),
       (9, 1, 1, gen_random_uuid(), 1, now() - interval '2 hours', now(), 'IG-1', 'https://example.org/secret-9', 1000, NULL, 'refused',
        now() - interval '2 hours' + interval '2 s', false, NULL, 200, NULL);
UPDATE chwsync.attempts SET answer = 'Insufficient balance' WHERE order_id = 9;
UPDATE chwsync.orders SET comments = (SELECT string_agg('Kommentar 😍 ' || i, E'\r\n') FROM generate_series(1, 1000) i) WHERE id = 11;
INSERT INTO chwsync.attempts (order_id, number, account_id, instance, claim, send_before, service, further, outcome, ended_at, open, http_status, answer)
SELECT 11, 1, 1, gen_random_uuid(), 1, now(), 'IG-1', jsonb_build_object('comments', comments), 'refused', now(), false, 0, 'link is missing'
  FROM chwsync.orders WHERE id = 11;
UPDATE chwsync.orders SET max_charge = 2.00 WHERE id = 5;
UPDATE chwsync.orders SET provider = 'elsewhere', error = 'provider "elsewhere" is not configured: ...' WHERE id = 10;
INSERT INTO chwsync.catalogue_services (account_id, service, product_id, name, type, rate, charged_by)
VALUES (1, '17', 'IG-1', 'Instagram Likes [fast]', 'Default', 1.13, 'quantity');
INSERT INTO chwsync.history (order_id, event, state, detail) VALUES (5, 'status_open', 'active', 'the provider works on it');
INSERT INTO chwsync.write_backs (order_id, seq, failures, sqlstate, error, due_at) VALUES (5, 1, 3, 'P0001', 'boom in the shop', now() + interval '30 s');
INSERT INTO chwsync.parked_lines (order_ref, reason) VALUES ('twice', 'shown twice');
SQL
}

status_tells() {
    told status
    is "status" 0 "$code"
    is "... within 80 columns" "" "$(too_wide)"
    has "... the account against its limits" "^panel +28 +0 +1 +0 +7 / 60 +7 / 5000$" "$said"
    has "... why it is paused" "no order is sent until somebody does something: the key" "$said"
    has "... its last error" "last error .*: Invalid API key" "$said"
    has "... the states with the oldest" "queued +28 +oldest 30 h" "$said"
    has "... what the shop was not told" "write-backs waiting 1, failing 1" "$said"
    has "... and why" "line-5: boom in the shop \(P0001\), again in" "$said"
    has "... parked lines" "twice: shown twice" "$said"
    has "... the last errors" "line-7 +queued .*price 3.00 above max_charge 2.00" "$said"
    is "... no link" "" "$(grep secret- <<<"$said")"
    told status --json
    is "... as JSON: exact numbers" "28 60 infinity 1 1" \
        "$(json '{providers,0,queued}') $(json '{providers,0,requests_per_minute}') $(json '{providers,0,submits_paused_until}') $(json '{write_backs,failing}') $(json '{parked_lines,0,in_all}')"
    is "... no link there either" "" "$(grep secret- <<<"$said")"
    is "... where no daemon was ever seen, none is" "0 " "$(ask "SELECT (SELECT count(*) FROM chwsync.clocks) + (SELECT count(*) FROM chwsync.leases)") $(json '{daemon,seen_at}')"
}

orders_are_listed() {
    told orders
    is "orders" 0 "$code"
    is "... twenty, with heading and remark" 22 "$(wc -l <<<"$said")"
    has "... the newest first" "^line-30 " "$(sed -n 2p <<<"$said")"
    is "... no link" "" "$(grep secret- <<<"$said")"
    told orders --limit 100
    is "... within 80 columns" "" "$(LC_ALL=C.UTF-8 awk 'length($0) > 80' <<<"$said")"
    has "... with id, charge and age" "^line-5 .* in_progress +panel 4711 +IG-1 +1000 +1\.23[0-9.]* +5 h" "$said"
    told orders --state uncertain --json
    is "... by state, as JSON" "line-6 uncertain" "$(json '{0,order_ref}') $(json '{0,status}')"
    told orders --state in_progress --json
    is "... by the contract's word; an amount is a string" "line-5 1.230000000000000000001" "$(json '{0,order_ref}') $(json '{0,charge}')"
    told orders --provider elsewhere
    is "... by provider" "2 line-10" "$(wc -l <<<"$said") $(sed -n '2s/ .*//p' <<<"$said")"
    told orders --provider nobody
    is "... of nobody" "0 No orders." "$code $said"
    told orders --age 27h --json
    is "... older than" "line-30 line-29 line-28" "$(json '{0,order_ref}') $(json '{1,order_ref}') $(json '{2,order_ref}')"
    told orders --age +1d --age -26h --json
    is "... and newer than" "2 line-25" "$(ask "SELECT json_array_length(\$j\$$said\$j\$::json)") $(json '{0,order_ref}')"
    told orders --age -90m --json
    is "... newer alone" "1" "$(ask "SELECT json_array_length(\$j\$$said\$j\$::json)")"
    told orders --limit 30
    has "a list of several providers' orders names them" "^line-10 .* elsewhere +IG-1" "$said"
    is "... within 80 columns" "" "$(LC_ALL=C.UTF-8 awk 'length($0) > 80' <<<"$said")"
    told orders --state in_progress --json
    is "... to the last digit" string "$(ask "SELECT json_typeof(\$j\$$said\$j\$::json #> '{0,charge}')")"
}

one_order_tells_its_story() {
    told orders line-5
    is "one order" 0 "$code"
    has "... who it is" "^Order line-5 \(#105\): in_progress" "$said"
    has "... what the shop wants" "link +https://example.org/secret-5" "$said"
    has "... the service as the catalogue has it" "Instagram Likes \[fast\] \(Default, rate 1.13\)" "$said"
    has "... the money: what was expected" "expected +1\.13 USD" "$said"
    has "... what was charged" "charge +1\.230000000000000000001 USD" "$said"
    has "... the difference, exactly" "difference +0\.100000000000000000001 USD" "$said"
    has "... and what it may cost" "max charge +2.00 USD" "$said"
    has "... what was asked for" "asked for service IG-1, link https://example.org/secret-5, quantity 1000, further .*runs.*expected charge 1.13" "$(tr '\n' ' ' <<<"$said" | tr -s ' ')"
    has "... what was answered" "accepted after 0.431 s, order id 4711, HTTP 201" "$said"
    is "... within 80 columns" "" "$(LC_ALL=C.UTF-8 awk 'length($0) > 80' <<<"$said")"
    has "... what is next and when" "provider is asked about it in .* \([0-9:]+\)" "$said"
    has "... what the shop was not told" "shop is told in .*failures so far: 3" "$said"
    is "... the history in its order" "taken submitting accepted status_open" \
        "$(echo $(sed -n '/^What happened$/,$p' <<<"$said" | grep -oE '(taken|submitting|accepted|status_open)( \(|,|:)' | tr -d '(,: '))"
    is "... no control character" "" "$(grep $'\x1b' <<<"$said")"
    told orders line-7
    has "a queued one: why" "because +price 3.00 above max_charge 2.00" "$said"
    has "... what it waits for and when, and what is in the way" "It is sent when the price has fallen to its max charge; looked at again in .*; but nothing is sent to this provider until" "$(tr '\n' ' ' <<<"$said" | tr -s ' ')"
    told orders line-9
    has "a queued one that was refused: the provider's words" "refused after 2.000 s, HTTP 200: Insufficient balance" "$said"
    has "... is sent again" "It is sent in" "$said"
    told orders line-11
    is "thousands of comments: some of them, an entry a line" "Kommentar 😍 1|Kommentar 😍 2|Kommentar 😍 5|and 995 more; --json tells all of them" \
        "$(sed -nE 's/^  comments +//p; s/^ +(Kommentar 😍 [25])$/\1/p; s/^ +(and 995 more.*)/\1/p' <<<"$said" | paste -sd '|')"
    has "... and no more of what was asked for" "\.\.\. \([0-9]+ bytes; --json tells all of them\)" "$(tr '\n' ' ' <<<"$said" | tr -s ' ')"
    has "what we refused ourselves was not sent" "not sent: service IG-1, .*refused by ourselves after .* s: link is missing" "$(tr '\n' ' ' <<<"$said" | tr -s ' ')"
    is "... within 80 columns, wide characters taking two" yes "$([ "$(LC_ALL=C.UTF-8 wc -L <<<"$said")" -le 80 ] && echo yes || echo "$said")"
    told orders line-11 --json
    is "... as JSON all of it" 1000 "$(json '{comments}' | wc -l)"
    told orders line-10
    has "one for a provider that is not configured" "It is sent when provider elsewhere is configured, or when the view names another" "$(tr '\n' ' ' <<<"$said" | tr -s ' ')"
    told orders line-6
    has "an uncertain one is not sent again" "not sent again by itself" "$said"
    told orders line-5 --json
    is "... as JSON: attempts and money" "0.431 1.13 0.100000000000000000001" "$(json '{attempt_list,0,took_s}') $(json '{expected_charge}') $(json '{charge_difference}')"
    is "... as JSON" "line-5 4711 4 status_open" "$(json '{order_ref}') $(json '{provider_order_id}') $(ask "SELECT json_array_length(\$j\$$said\$j\$::json -> 'history')") $(json '{history,3,event}')"
    told orders line-77
    is "an unknown one" 1 "$code"
    has "... says so, and names similar ones" "no order line-77 in the ledger" "$said"
    has "... by the beginning" "similar ones: .*line-7" "$said"
    told orders '#107'
    has "... or by the number a person knows" "similar ones: .*line-7" "$said"
}

# What there is to say of money: low, gone, held, and limits that were learned.
money_is_told() {
    ask "INSERT INTO chwsync.budgets (account_id, configured_minute, configured_day, per_minute, per_day, refusals)
         VALUES (1, 60, 5000, 30, 5000, 2);
         UPDATE chwsync.accounts SET out_of_funds_since = now(), pause_reason = 'Insufficient balance.',
                submits_paused_until = now() + interval '10 min';
         UPDATE chwsync.queue SET held = 'funds' WHERE order_id IN (SELECT order_id FROM chwsync.queue LIMIT 3);
         INSERT INTO chwsync.attempts (order_id, number, account_id, instance, claim, send_before, outcome)
         VALUES (6, 1, 1, gen_random_uuid(), 1, now(), 'unknown');
         INSERT INTO chwsync.balances VALUES (1, 12.5, 'USD', now() - interval '3 min', 9.25, 20)" >/dev/null
    configure '' 'low_balance = "20";'
    told check "${credentials[@]}"
    has "a low balance" "warning +provider +panel: the balance is below low_balance \(20\)" "$said"
    has "... orders that wait for it" "warning +orders +panel: order lines that wait for money: 3" "$said"
    has "... and a pause" "warning +orders +panel: no order is sent for another .*: Insufficient balance" "$said"
    has "... what helps" "HINT: add funds at the provider; orders go on by themselves" "$said"
    has "... orders that may have been bought" "warning +orders +panel: 1 order may or may not have been bought" "$said"
    has "... with a remedy" "HINT: chwsyncd orders --state uncertain, then chwsyncd resolve" "$said"
    has "limits that were learned" "warning +provider +panel: requests allowed: 30 a minute \(of 60 configured\), 5000 a day" "$said"
    ask "UPDATE chwsync.budgets SET configured_minute = 0" >/dev/null
    told check "${credentials[@]}"
    has "... also where none is configured" "warning +provider +panel: requests allowed: 30 a minute \(none configured\), 5000 a day" "$said"
    ask "UPDATE chwsync.budgets SET configured_minute = 60" >/dev/null
    told status
    has "status shows the balance" "panel: balance 12.5 USD, told 3 min ago .*, 9.25 of it not spoken for; LOW" "$(tr '\n' ' ' <<<"$said" | tr -s ' ')"
    has "... and that it does not reach" "out of funds, first seen .*; order lines that wait for money: 3" "$(tr '\n' ' ' <<<"$said" | tr -s ' ')"
    is "... within 80 columns" "" "$(too_wide)"
    told status --json
    is "... as JSON" "12.5 USD 9.25 true 3" "$(json '{providers,0,balance}') $(json '{providers,0,currency}') $(json '{providers,0,available}') $(json '{providers,0,balance_is_low}') $(json '{providers,0,held_for_funds}')"
    ask "DELETE FROM chwsync.budgets; DELETE FROM chwsync.balances; UPDATE chwsync.queue SET held = NULL;
         UPDATE chwsync.accounts SET out_of_funds_since = NULL" >/dev/null
    configure
}

state_directory_is_looked_at() {
    has "the state directory" "ok +state +$CLUSTER_DIR can be written" "$said"
    sed -i "s|^state_directory.*|state_directory = \"$CLUSTER_DIR/none\";|" "$CLUSTER_DIR/chwsyncd.conf"
    told check "${credentials[@]}"
    has "... one that is missing" "warning +state +$CLUSTER_DIR/none does not exist" "$said"
    if [ -e /var/lib/chwsyncd ]; then
        skips "... systemd's own, before the first start" "/var/lib/chwsyncd exists here"
    else
        sed -i '/^state_directory/d' "$CLUSTER_DIR/chwsyncd.conf"
        told check "${credentials[@]}"
        has "... systemd's own, before the first start" "ok +state +/var/lib/chwsyncd does not exist yet: systemd makes it" "$said"
    fi
    configure
}

start_panel() {
    "$panel" --port-file "$CLUSTER_DIR/panel-port" --key CHW-TEST-000000-00000000=12.50 --currency USD &
    panel_pid=$!
    until [ -s "$CLUSTER_DIR/panel-port" ]; do kill -0 "$panel_pid" || return; sleep 0.02; done
    port=$(cat "$CLUSTER_DIR/panel-port")
    printf 'CHW-TEST-000000-00000000\n' >"$CLUSTER_DIR/panel.key"
    chmod 600 "$CLUSTER_DIR/panel.key"
}

check_finds() {
    credentials=(--credentials-dir "$CLUSTER_DIR")
    configure
    told check "${credentials[@]}"
    is "check before the adapter" 1 "$code"
    has "... the view is missing" "fault +contract +view chwsync_shop.pending_orders does not exist" "$said"
    has "... and so is the function" "fault +contract +function chwsync_shop.write_back" "$said"
    has "... with a remedy" "HINT: chwsyncd adapter prints one, to be run with psql; or correct shop.write_back" "$said"
    has "... the provider is asked all the same" "ok +provider +panel accepts the key; balance 12.50* USD" "$said"
    has "... whether anybody is there, and how the way is protected" "ok +provider +panel answers in [0-9]+ ms; plain HTTP, on this machine only" "$said"
    has "... what it sells" "ok +provider +panel sells [1-9][0-9]* services" "$said"
    has "... the limits in force" "ok +provider +panel: requests allowed: 60 a minute, 5000 a day; used in the last day: [0-9]+" "$said"
    has "... a pause" "warning +orders +panel: no order is sent for another .*: the key" "$said"
    state_directory_is_looked_at
    money_is_told

    cluster_psql -f sql/sample-store.sql -f sql/adapters/sample-store.sql >/dev/null 2>&1
    ask "UPDATE chwsync.attempts SET open = false WHERE outcome = 'unknown'; UPDATE chwsync.accounts SET submits_paused_until = NULL" >/dev/null
    told check "${credentials[@]}"
    is "check of a sound installation" "0 All is well." "$code $(tail -n 1 <<<"$said")"
    told check "${credentials[@]}" --json
    is "... as JSON" "0 ok" "$(json '{exit_code}') $(json '{findings,0,severity}')"
    is "... what each provider told" "panel true USD t t" "$(json '{providers,0,name}') $(json '{providers,0,key_accepted}') $(json '{providers,0,currency}') $(ask "SELECT (\$j\$$said\$j\$::json #>> '{providers,0,services}')::int > 0") $(ask "SELECT (\$j\$$said\$j\$::json #>> '{providers,0,latency_ms}')::int < 10000")"
    said=$(COLUMNS=80 script -qec "$chwsyncd check --config $CLUSTER_DIR/chwsyncd.conf ${credentials[*]}" /dev/null </dev/null | tr -d '\r')
    is "... on a terminal within 80 columns" "All is well. " "$(tail -n 1 <<<"$said") $(too_wide)"
    before=$(ask "SELECT sum(reads) FROM chwsync.budget_minutes")
    told check "${credentials[@]}"
    is "... three requests, all counted" 3 "$(($(ask "SELECT sum(reads) FROM chwsync.budget_minutes") - before))"
    is "... leaves no trace in the shop" 0 "$(ask "SELECT count(*) FROM chwsync_shop.sample_store_line WHERE order_ref LIKE 'chwsyncd-check%'")"
    is "... and its request in the budget" t "$(ask "SELECT sum(reads) >= 1 FROM chwsync.budget_minutes")"

    mv "$CLUSTER_DIR/panel.key" "$CLUSTER_DIR/other.key"
    told check "${credentials[@]}"
    is "check without the key file: what run ends with" 77 "$code"
    has "... names it" "fault +credentials .*panel.key" "$said"
    printf 'wrong-key\n' >"$CLUSTER_DIR/panel.key"
    chmod 600 "$CLUSTER_DIR/panel.key"
    told check "${credentials[@]}"
    is "check with a wrong key" 1 "$code"
    has "... ping needs none" "ok +provider +panel answers in" "$said"
    has "... the provider's words" "fault +provider +panel refuses: Invalid API key" "$said"
    is "... nothing more is asked" "" "$(grep sells <<<"$said")"
    is "... never the key" "" "$(grep wrong-key <<<"$said")"
    mv "$CLUSTER_DIR/other.key" "$CLUSTER_DIR/panel.key"

    curl -sS "http://127.0.0.1:$port/control/fault" --data kind=html-503 >/dev/null
    told check "${credentials[@]}"
    is "check of a provider that shows an HTML page: unavailable" 69 "$code"
    has "... said once" "fault +provider +panel gives no usable answer: HTTP 503 with an HTML page$" "$said"
    is "... and not taken for an answer" 0 "$(grep -cE 'panel answers in|panel refuses' <<<"$said")"

    ask "UPDATE chwsync.accounts SET all_paused_until = now() + interval '5 min'" >/dev/null
    told check "${credentials[@]}"
    has "a pause the provider asked for holds for checks too" "warning +provider +panel was not asked" "$said"
    ask "UPDATE chwsync.accounts SET all_paused_until = NULL" >/dev/null
}

# Over TLS: its version, and a certificate that ends soon.
check_sees_tls() {
    local plain=$port
    openssl req -x509 -newkey rsa:2048 -nodes -days 5 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 \
        -keyout "$CLUSTER_DIR/tls.key" -out "$CLUSTER_DIR/tls.pem" 2>/dev/null
    "$panel" --port-file "$CLUSTER_DIR/tls-port" --key CHW-TEST-000000-00000000=12.50 --tls-cert "$CLUSTER_DIR/tls.pem" \
        --tls-key "$CLUSTER_DIR/tls.key" &
    local pid=$!
    until [ -s "$CLUSTER_DIR/tls-port" ]; do kill -0 "$pid" || return; sleep 0.02; done
    port=$(cat "$CLUSTER_DIR/tls-port")
    configure '' "ca_file = \"$CLUSTER_DIR/tls.pem\";"
    sed -i 's|http://|https://|' "$CLUSTER_DIR/chwsyncd.conf"
    told check "${credentials[@]}"
    has "a provider over TLS" "ok +provider +panel answers in [0-9]+ ms; TLSv1.[23], certificate verified, good until 20[0-9-]+" "$said"
    has "... whose certificate ends soon" "warning +provider +panel: its certificate ends in [45] (days|d)" "$said"
    told check "${credentials[@]}" --json
    has "... as JSON" "^TLSv1" "$(json '{providers,0,tls}')"
    configure
    sed -i 's|http://|https://|' "$CLUSTER_DIR/chwsyncd.conf"
    told check "${credentials[@]}"
    is "a certificate that nobody vouches for" 69 "$code"
    has "... is a fault with a remedy" "fault +provider +panel: .*certificate" "$said"
    kill "$pid" && wait "$pid" 2>/dev/null
    port=$plain
    configure
}

broken_contracts() {
    cluster_psql >/dev/null <<'SQL'
CREATE TABLE public.lines (id int PRIMARY KEY, note text, data jsonb, pieces numeric);
INSERT INTO public.lines VALUES (1, 'no number', '{}', 1), (2, NULL, NULL, 2);
GRANT SELECT ON public.lines TO chwsync_adapter;
SET ROLE chwsync_adapter;
CREATE VIEW chwsync_shop.bad AS SELECT id AS order_ref, data AS service, note AS url, pieces AS quantity FROM public.lines;
CREATE VIEW chwsync_shop.raises AS SELECT id AS order_ref, 's'::text AS service, 'l'::text AS link, note::bigint AS quantity FROM public.lines;
CREATE VIEW chwsync_shop.twice AS SELECT 'same'::text AS order_ref, 's'::text AS service, 'l'::text AS link, 1 AS quantity FROM public.lines;
CREATE VIEW chwsync_shop.keyless AS SELECT CASE id WHEN 1 THEN repeat('ä', 101) END AS order_ref, 's'::text AS service, 'l'::text AS link, 1 AS quantity FROM public.lines;
CREATE VIEW chwsync_shop.closed AS SELECT id AS order_ref, 's'::text AS service, 'l'::text AS link, 1 AS quantity FROM public.lines;
CREATE MATERIALIZED VIEW chwsync_shop.stale AS SELECT * FROM chwsync_shop.twice;
CREATE FUNCTION chwsync_shop.other(r jsonb) RETURNS boolean LANGUAGE sql AS 'SELECT false';
CREATE FUNCTION chwsync_shop.raises(r chwsync.result) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN r.order_ref::bigint > 0; END';
CREATE FUNCTION chwsync_shop.sleeps(r chwsync.result) RETURNS boolean LANGUAGE sql AS 'SELECT pg_sleep(60) IS NULL';
CREATE FUNCTION chwsync_shop.says_yes(r chwsync.result) RETURNS boolean LANGUAGE sql SECURITY DEFINER AS 'SELECT true';
CREATE FUNCTION chwsync_shop.says_null(r chwsync.result) RETURNS boolean LANGUAGE sql AS 'SELECT NULL::boolean';
CREATE FUNCTION chwsync_shop."Very Odd"(r chwsync.result) RETURNS boolean LANGUAGE sql AS 'SELECT false';
GRANT SELECT ON chwsync_shop.bad, chwsync_shop.raises, chwsync_shop.twice, chwsync_shop.keyless, chwsync_shop.stale TO chwsync;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA chwsync_shop TO chwsync;
SQL
    # view | function | exit code | what must be said
    local view function wanted pattern
    while IFS='|' read -r view function wanted pattern; do
        configure "pending_orders = \"$view\"; write_back = \"$function\"; write_back_timeout = 1;"
        told check --credentials-dir "$CLUSTER_DIR"
        is "check of $view and ${function:-no function}" "$wanted" "$code"
        has "... $pattern" "$pattern" "$said"
    done <<'CASES'
chwsync_shop.bad||1|fault .*bad.service is jsonb, should be text
chwsync_shop.bad||1|fault .*bad.quantity is numeric, should be bigint
chwsync_shop.bad||1|fault .*bad has no column link \(text\)
chwsync_shop.bad||1|warning .*columns that nothing reads: url
chwsync_shop.raises||1|fault .*reading chwsync_shop.raises fails: invalid input syntax for type bigint.*22P02
chwsync_shop.twice||1|fault .*shows 1 key more than once$
chwsync_shop.twice||1|HINT: .*SELECT order_ref FROM chwsync_shop.twice GROUP BY order_ref HAVING count\(\*\) > 1;
chwsync_shop.keyless||1|fault .*shows 1 row without a key$
chwsync_shop.keyless||1|fault .*shows 1 key of more than 200 bytes$
chwsync_shop.keyless||1|HINT: .*SELECT order_ref FROM chwsync_shop.keyless WHERE octet_length\(order_ref\) > 200;
chwsync_shop.closed||1|fault .*this role may not read chwsync_shop.closed
chwsync_shop.stale||1|fault .*is a materialized view
nowhere.to_be_found||1|fault .*view nowhere.to_be_found does not exist
chwsync_shop.pending_orders|chwsync_shop.other|1|fault .*other\(chwsync.result\) returns boolean does not exist \(found: chwsync_shop.other\(r jsonb\)
chwsync_shop.pending_orders|chwsync_shop.raises|1|fault .*raises for submitting of an order that does not exist
chwsync_shop.pending_orders|chwsync_shop.sleeps|1|fault .*calling .*sleeps fails: .*57014
chwsync_shop.pending_orders|chwsync_shop.says_yes|0|warning .*answers true to submitting
chwsync_shop.pending_orders|chwsync_shop.says_yes|0|warning .*SECURITY DEFINER without a search_path
chwsync_shop.pending_orders|chwsync_shop.says_null|0|warning .*answers NULL
chwsync_shop.pending_orders|chwsync_shop.\"Very Odd\"|0|ok .*"Very Odd" answers as it should
chwsync_shop.pending_orders||0|ok .*no write-back function
CASES
    role=postgres configure
    told check --credentials-dir "$CLUSTER_DIR"
    has "a role that may read the shop's tables" "warning +database +role postgres may read tables of the shop" "$said"
    configure
}

rights_and_versions() {
    ask "CREATE ROLE outsider LOGIN" >/dev/null
    role=outsider configure
    told status
    is "a role without rights: permission" 77 "$code"
    configure
    local version
    version=$(ask "SELECT schema_version FROM chwsync.ledger")
    ask "UPDATE chwsync.ledger SET schema_version = 99" >/dev/null
    told check --credentials-dir "$CLUSTER_DIR"
    has "a newer schema" "fault +schema +the schema is at version 99, newer than this chwsyncd" "$said"
    ask "UPDATE chwsync.ledger SET schema_version = 0" >/dev/null
    told check --credentials-dir "$CLUSTER_DIR"
    has "an older schema" "HINT: chwsyncd schema upgrade" "$said"
    ask "UPDATE chwsync.ledger SET schema_version = $version" >/dev/null
}

what_is_away() {
    kill "$panel_pid"
    wait "$panel_pid" 2>/dev/null
    panel_pid=
    told check --credentials-dir "$CLUSTER_DIR"
    is "check without the provider" 69 "$code"
    has "... says so" "fault +provider +panel: " "$said"
    cluster_halt -m immediate
    local name
    for name in status orders; do
        told $name
        is "$name without the database" 69 "$code"
        is "... is one sentence" 1 "$(grep -c '^chwsyncd: ' <<<"$said")"
    done
    told check --credentials-dir "$CLUSTER_DIR"
    is "check without the database" 69 "$code"
    has "... says so" "fault +database +unable to reach the database" "$said"
    is "... and counts no requests, as the ledger does that" 0 "$(grep -c 'used in the last day' <<<"$said")"
}

cluster_start || exit 1
configure
usage_is_told
configuration_comes_first
start_panel || exit 1
without_a_schema
fill_the_ledger
status_tells
orders_are_listed
one_order_tells_its_story
check_finds
check_sees_tls
broken_contracts
rights_and_versions
what_is_away
done_testing
