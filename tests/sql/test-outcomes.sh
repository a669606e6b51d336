#!/bin/bash
# How attempts end: nothing is queued while another attempt of the order may exist at the provider, and what is recorded is on disk.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/cluster.sh
. tests/lib/tap.sh
trap cluster_stop_all EXIT
ask() { cluster_psql -At -c "$1" 2>&1; }

cluster_start fsync=off && cluster_psql -c 'CREATE DATABASE shop' || exit 1
export PGDATABASE=shop PGOPTIONS='-c client_min_messages=warning'
program=$(cd "${BUILD:-build}" && pwd)/chwsyncd
"$program" schema install --conninfo "host=$PGHOST dbname=shop user=postgres" >/dev/null || exit 1
ask "INSERT INTO chwsync.accounts (provider, endpoint, key_digest) VALUES ('one', 'https://one.example/api', 'd')" >/dev/null

# An order whose attempts stand as told, the last one under way: `order REF OUTCOME...`, where - is without an end, and all but - are open
# when they are unknown.
order() {
    local ref=$1 number=0 outcome
    shift
    ask "INSERT INTO chwsync.orders (order_ref, provider, service, link, quantity, state, attempts, account_id)
         VALUES ('$ref', 'one', 'LIKES', 'https://x.example/$ref', 100, 'submitting', $#, 1)" >/dev/null
    for outcome; do
        number=$((number + 1))
        ask "INSERT INTO chwsync.attempts (order_id, number, account_id, instance, claim, send_before, open, outcome, ended_at)
             SELECT id, $number, 1, gen_random_uuid(), 1, now(), '$outcome' IN ('-', 'unknown'), nullif('$outcome', '-'),
                    CASE WHEN '$outcome' <> '-' THEN now() END FROM chwsync.orders WHERE order_ref = '$ref'" >/dev/null
    done
}
ends() { # REF NUMBER OUTCOME [ID]: where the order stands then, whether it is queued and followed, which attempts are open
    ask "SELECT chwsync.record_outcomes(ARRAY[id], ARRAY[$2], ARRAY['$3'], ARRAY[nullif('${4:-}', '')], ARRAY[200], ARRAY['words'], ARRAY[0], true, 5,
         ARRAY[NULL]::uuid[]) FROM chwsync.orders WHERE order_ref = '$1'" >/dev/null
    ask "SELECT concat_ws(' ', o.state, (SELECT 'queued' FROM chwsync.queue q WHERE q.order_id = o.id),
                (SELECT 'followed' FROM chwsync.polls p WHERE p.order_id = o.id),
                (SELECT 'open ' || string_agg(a.number::text, ',' ORDER BY number) FROM chwsync.attempts a WHERE a.order_id = o.id AND a.open))
           FROM chwsync.orders o WHERE o.order_ref = '$1'"
}

order alone -
is "the only attempt was put off: it is queued again" "queued queued" "$(ends alone 1 'put off')"
order known refused -
is "another one that has ended is in nobody's way" "queued queued" "$(ends known 2 'not executed')"
for outcome in 'put off' 'not executed' refused; do
    order "two $outcome" unknown -
    is "$outcome, and an earlier one may exist: it is uncertain, and not sent again" "uncertain open 1" "$(ends "two $outcome" 2 "$outcome")"
done
is "the earlier one's late answer: it was not executed" "queued queued" "$(ends 'two put off' 1 'not executed')"
is "... it was refused" "rejected" "$(ends 'two not executed' 1 refused)"
is "... it was accepted" "active followed" "$(ends 'two refused' 1 accepted 77)"
order both unknown -
is "two may exist" "uncertain open 1,2" "$(ends both 2 unknown)"
is "one of them does not" "uncertain open 2" "$(ends both 1 'not executed')"
is "nor does the other" "queued queued" "$(ends both 2 'not executed')"
order bought unknown -
is "accepted is accepted, whatever else may exist" "active followed open 1" "$(ends bought 2 accepted 78)"
is "and stays it when the other turns out to be nothing" "active followed" "$(ends bought 1 'not executed')"

# Ends of two attempts of one order, recorded at once.
both_end() { # REF OUTCOME OUTCOME: where the order stands, its id, and surplus purchases
    ask "SELECT chwsync.record_outcomes(ARRAY[id, id], ARRAY[1, 2], ARRAY['$2', '$3'], ARRAY[CASE WHEN '$2' = 'accepted' THEN id || '-1' END,
         CASE WHEN '$3' = 'accepted' THEN id || '-2' END], ARRAY[200, 200], ARRAY['words', 'words'], ARRAY[0, 0], true, 5, ARRAY[NULL, NULL]::uuid[])
           FROM chwsync.orders WHERE order_ref = '$1'" >/dev/null
    ask "SELECT concat_ws(' ', o.state, substr(o.provider_order_id, length(o.id::text) + 1), (SELECT 'queued' FROM chwsync.queue q WHERE q.order_id = o.id),
                (SELECT 'open ' || string_agg(a.number::text, ',') FROM chwsync.attempts a WHERE a.order_id = o.id AND a.open),
                (SELECT 'surplus' FROM chwsync.surplus_purchases s WHERE s.order_id = o.id))
           FROM chwsync.orders o WHERE o.order_ref = '$1'"
}
for wanted in 'put off:not executed:queued queued' 'not executed:refused:rejected' 'accepted:refused:active -1' 'refused:accepted:active -2' \
    'accepted:not executed:active -1' 'unknown:refused:uncertain open 1' 'refused:unknown:uncertain open 2' 'accepted:unknown:active -1 open 2' \
    'accepted:accepted:active -2 surplus'; do
    IFS=: read -r first second state <<<"$wanted"
    order "$first, $second" - -
    is "$first, and the later attempt $second" "$state" "$(both_end "$first, $second" "$first" "$second")"
done

# Ends of two attempts of one order, in two transactions at once: the second begins while the first is not committed.
stands() { ends "$1" 99 'put off'; } # what has no such attempt changes nothing
coproc first { exec "$CLUSTER_BIN/psql" -X -q -At 2>&1; }
tell_first() { # SQL: one line is read back
    printf '%s\n' "$1" >&"${first[1]}"
    read -r line <&"${first[0]}"
}
beside() { # REF COMMAND...: ends attempt 1, which was not executed, and commits when the command waits or has ended
    local ref=$1
    shift
    after "SELECT 'said' FROM chwsync.orders o, chwsync.record_outcomes(ARRAY[o.id], ARRAY[1], ARRAY['not executed'], ARRAY[NULL], ARRAY[200],
        ARRAY['words'], ARRAY[0], true, 5, ARRAY[NULL]::uuid[]) WHERE o.order_ref = '$ref' UNION ALL SELECT 'said' LIMIT 1;" "$@"
}
after() { # SQL COMMAND...: begins the command while what the SQL did is not committed
    local pid
    tell_first "BEGIN; $1"
    shift
    "$@" >"$CLUSTER_DIR/second" 2>&1 &
    pid=$!
    while kill -0 $pid 2>/dev/null && [ "$(ask "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")" = 0 ]; do sleep 0.02; done
    tell_first "${finally:-} COMMIT; SELECT 'committed';"
    wait $pid
    code=$?
}
order "at once" - -
beside "at once" ends "at once" 2 'not executed'
is "neither may exist any more: it is queued" "queued queued" "$(cat "$CLUSTER_DIR/second")"
restore() { # REF: the end of an attempt that a journal alone knows is not known either
    echo "SELECT chwsync.restore_attempt('$1', 'one', 1, gen_random_uuid(), 1, now(), 'LIKES', 'l', 100, 'unknown', NULL, 0, NULL, true, 5);"
}
order "late" unknown
ask "UPDATE chwsync.orders SET state = 'queued' WHERE order_ref = 'late'; INSERT INTO chwsync.queue (order_id, provider, next_at)
    SELECT id, 'one', now() FROM chwsync.orders WHERE order_ref = 'late'" >/dev/null
finally="UPDATE chwsync.orders SET updated_at = now() WHERE order_ref = 'late';" \
    after "SELECT 'locked' FROM chwsync.queue q JOIN chwsync.orders o ON o.id = q.order_id WHERE o.order_ref = 'late' FOR UPDATE OF q;" ends late 1 accepted 79
is "a late acceptance and a claim of that order do not wait for one another" "committed active followed" "$line $(cat "$CLUSTER_DIR/second")"
order "touched" -
after "UPDATE chwsync.orders SET updated_at = now() WHERE order_ref = 'touched'; SELECT 'touched';" ends touched 1 accepted 81
is "what is being submitted, and is changed elsewhere while its acceptance waits, is bought" "active followed" "$(cat "$CLUSTER_DIR/second")"
order "restored meanwhile" -
after "$(restore "restored meanwhile")" ends "restored meanwhile" 1 'not executed'
is "one is put back that may exist: it is not queued" "uncertain open 0" "$(cat "$CLUSTER_DIR/second")"
release() { # REF: where the order stands after its claim was found unsent
    ask "SELECT chwsync.release_unsent(a.instance, 1, 1, '{}') FROM chwsync.attempts a JOIN chwsync.orders o ON o.id = a.order_id
          WHERE o.order_ref = '$1' AND a.outcome IS NULL" >/dev/null
    stands "$1"
}
order "claimed and restored" -
after "$(restore "claimed and restored")" release "claimed and restored"
is "... nor when its claim turns out unsent" "uncertain open 0" "$(cat "$CLUSTER_DIR/second")"
order "claimed again" unknown -
beside "claimed again" release "claimed again"
is "unsent, and the other was not executed: it is queued" "queued queued" "$(cat "$CLUSTER_DIR/second")"
cat >"$CLUSTER_DIR/conf" <<CONFIGURATION
database = { conninfo = "host=$PGHOST dbname=shop user=postgres"; };
providers = ( { name = "one"; url = "https://one.example/api"; key_file = "/nowhere"; } );
CONFIGURATION
order "beside an operator" - unknown
ask "UPDATE chwsync.orders SET state = 'uncertain' WHERE order_ref = 'beside an operator'" >/dev/null
beside "beside an operator" "$program" resolve "beside an operator" --not-placed --yes --config "$CLUSTER_DIR/conf"
is "an operator says so of the other" "queued queued" "$(stands "beside an operator")"
is "... and is told what came of it" "0 It is queued again." "$code $(tail -n 1 "$CLUSTER_DIR/second")"
order "of two" unknown unknown
ask "UPDATE chwsync.orders SET state = 'uncertain' WHERE order_ref = 'of two'" >/dev/null
is "an operator says it of one of two" "It is said of this attempt. yes" \
    "$("$program" resolve "of two" --not-placed --yes --config "$CLUSTER_DIR/conf" 2>&1 | grep -o 'It is said of this attempt.') $([[ $(stands "of two") == uncertain* ]] && echo yes)"
is "... then of the other" "It is queued again." "$("$program" resolve "of two" --not-placed --yes --config "$CLUSTER_DIR/conf" 2>&1 | tail -n 1)"
for word in not-placed:queued:'queued queued' give-up:abandoned:abandoned; do
    IFS=: read -r option state wanted <<<"$word"
    order "stranded $option" 'not executed' 'put off'
    ask "UPDATE chwsync.orders SET state = 'uncertain' WHERE order_ref = 'stranded $option'" >/dev/null
    is "--$option moves on what is uncertain for no attempt's sake" 0 "$("$program" resolve "stranded $option" --$option --yes --config "$CLUSTER_DIR/conf" >/dev/null 2>&1; echo $?)"
    is "... to $state, and its history says who said so" "$wanted yes" "$(stands "stranded $option") $(ask "SELECT 'yes' FROM chwsync.history h
        JOIN chwsync.orders o ON o.id = h.order_id WHERE o.order_ref = 'stranded $option' AND h.state = '$state' AND h.detail LIKE '%said that%'
          OR o.order_ref = 'stranded $option' AND h.detail LIKE '%gave it up%'")"
done
order "stranded placed" 'not executed' 'put off'
ask "UPDATE chwsync.orders SET state = 'uncertain' WHERE order_ref = 'stranded placed'" >/dev/null
is "no attempt of it can have an id, which is said" "order stranded placed has no attempt whose end is unknown: it has no such id HINT: --not-placed queues it again, --give-up ends it" \
    "$("$program" resolve "stranded placed" --placed 99 --yes --config "$CLUSTER_DIR/conf" 2>&1 | grep -A1 'chwsyncd:' | sed 's/^chwsyncd: //' | xargs)"

# A reply that names an id which another order's reply has named.
order owner -
order echoed -
is "an id is told" "active followed" "$(ends owner 1 accepted 500)"
is "told again to another order: it may exist, and is not followed as the other" "uncertain open 1" "$(ends echoed 1 accepted 500)"
is "... which is said" "the provider answered with order id 500, which is that of order owner" \
    "$(ask "SELECT error FROM chwsync.orders WHERE order_ref = 'echoed'")"
is "... once: told again nothing changes" "uncertain open 1|1" "$(ends echoed 1 accepted 500)|$(ask "SELECT seq FROM chwsync.orders WHERE order_ref = 'echoed'")"
is "nor for the one that has it" "active followed" "$(ends owner 1 accepted 500)"
is "a reply with an id of its own" "active followed" "$(ends echoed 1 accepted 501)"
order "both attempts" unknown -
is "one id told to two attempts of one order is no other's" "active followed" "$(ends "both attempts" 2 accepted 502 >/dev/null; ends "both attempts" 1 accepted 502)"
order "first of two" -
order "second of two" -
is "two told of one id at once: the first has it" "echoed second of two|active first of two" \
    "$(ask "SELECT string_agg(r.state || ' ' || r.order_ref, '|' ORDER BY r.state DESC) FROM (SELECT array_agg(id ORDER BY id) AS ids FROM chwsync.orders
        WHERE order_ref LIKE '% of two' AND state = 'submitting') o, chwsync.record_outcomes(o.ids, ARRAY[1, 1], ARRAY['accepted', 'accepted'],
        ARRAY['503', '503'], ARRAY[200, 200], ARRAY[NULL, NULL], ARRAY[0, 0], true, 5, ARRAY[NULL, NULL]::uuid[]) r")"
told() { # REF ID ID: what is told of two attempts that are accepted at once
    ask "SELECT r.state || ' ' || coalesce(r.provider_order_id, '') FROM chwsync.orders o, chwsync.record_outcomes(ARRAY[o.id, o.id], ARRAY[1, 2],
        ARRAY['accepted', 'accepted'], ARRAY['$2', '$3'], ARRAY[200, 200], ARRAY[NULL, NULL], ARRAY[0, 0], true, 5, ARRAY[NULL, NULL]::uuid[]) r
        WHERE o.order_ref = '$1'"
}
order "one id at once" - -
is "one id told to two attempts of one order at once is bought once" "active " "$(told "one id at once" 505 505)"
order "echoed and not" - -
is "an echo beside an id of its own leaves nothing uncertain" "active " "$(told "echoed and not" 500 506)"
ask "UPDATE chwsync.attempts SET found_by = 'proof' WHERE provider_order_id = '503'" >/dev/null
is "what was found gives way" "active followed" "$(ends "second of two" 1 accepted 503)"
is "put back from a journal likewise" "uncertain|unknown|" "$(ask "SELECT chwsync.restore_attempt('echoed too', 'one', 1, gen_random_uuid(), 1, now(), 'LIKES', 'l', 1,
    'accepted', '500', 200, NULL, true, 5)")|$(ask "SELECT outcome, a.provider_order_id FROM chwsync.attempts a JOIN chwsync.orders o ON o.id = a.order_id
    WHERE order_ref = 'echoed too'")"
is "... with an id of its own it is followed" active "$(ask "SELECT chwsync.restore_attempt('its own', 'one', 1, gen_random_uuid(), 1, now(), 'LIKES', 'l', 1,
    'accepted', '504', 200, NULL, true, 5)")"
is "put back once more, of an order that has that very id, it is no second purchase" active "$(ask "SELECT chwsync.restore_attempt('its own', 'one', 1,
    gen_random_uuid(), 2, now(), 'LIKES', 'l', 1, 'accepted', '504', 200, NULL, true, 5)")"
is "... with another id it is" surplus "$(ask "SELECT chwsync.restore_attempt('its own', 'one', 1, gen_random_uuid(), 3, now(), 'LIKES', 'l', 1,
    'accepted', '507', 200, NULL, true, 5)")"

# What a claim that was never sent has spent.
unsent() { # MINUTES: what is left of the balance and spent of the day when it was told so long after the claim
    order "unsent $1" -
    ask "UPDATE chwsync.attempts SET expected_charge = 2.5, claimed_at = now() - interval '$1 minutes' WHERE order_id = (SELECT id FROM chwsync.orders
            WHERE order_ref = 'unsent $1');
        INSERT INTO chwsync.balances (account_id, balance, currency, asked_at, available) VALUES (1, 10, 'USD', now(), 7.5);
        INSERT INTO chwsync.budget_minutes (account_id, minute, adds, spent) VALUES (1, date_trunc('minute', now() - interval '$1 minutes'), 1, 2.5)" >/dev/null
    release "unsent $1" >/dev/null
    ask "SELECT (SELECT trim_scale(available) FROM chwsync.balances) || ' ' || (SELECT trim_scale(spent) FROM chwsync.budget_minutes)"
    ask "DELETE FROM chwsync.balances; DELETE FROM chwsync.budget_minutes" >/dev/null
}
ask "DELETE FROM chwsync.budget_minutes" >/dev/null
is "a claim that was never sent costs nothing, of the balance nor of the day" "10 0" "$(unsent 0)"
is "... of a balance that was told later it took nothing" "7.5 0" "$(unsent 9)"

# An order that was tried without money, was put off, and is accepted when there is some.
credit() { # BALANCE: whether there is credit when such a balance was told meanwhile
    order "tried at $1" -
    ask "INSERT INTO chwsync.balances (account_id, balance, currency, asked_at, available, tried) SELECT 1, 0, 'USD', now() - interval '1 minute', 0, id
           FROM chwsync.orders WHERE order_ref = 'tried at $1'" >/dev/null
    ask "SELECT chwsync.note_balance(1, 'one', $1, 'USD', now(), NULL, 30)" >/dev/null
    ends "tried at $1" 1 accepted "60$1" >/dev/null
    ask "DELETE FROM chwsync.balances RETURNING credit_at IS NOT NULL"
}
is "while the balance is nothing, it was bought on credit" "t" "$(credit 0 | head -n 1)"
is "with money it was not" "f" "$(credit 5 | head -n 1)"

# An attempt that only a journal knows, of an order that is being bought again.
order again -
is "it is put back" submitting "$(ask "SELECT chwsync.restore_attempt('again', 'one', 1, gen_random_uuid(), 1, now(), 'LIKES', 'https://x.example/again', 100,
    'unknown', NULL, 0, NULL, true, 5)")"
is "what was not executed now may have been then" "uncertain open 0" "$(ends again 1 'put off')"

# The server may confirm what is not on disk; not so for an outcome.
for setting in off local; do
    order "durable $setting" -
    is "recorded with synchronous_commit = $setting: it is on" on "$(PGOPTIONS="-c synchronous_commit=$setting" ask "BEGIN;
        SELECT FROM chwsync.orders o, chwsync.record_outcomes(ARRAY[o.id], ARRAY[1], ARRAY['accepted'], ARRAY['9-$setting'], ARRAY[200], ARRAY[NULL], ARRAY[0],
            true, 5, ARRAY[NULL]::uuid[]) WHERE o.order_ref = 'durable $setting';
        SHOW synchronous_commit; COMMIT" | grep -xE 'on|off|local')"
    is "... put back with it" on "$(PGOPTIONS="-c synchronous_commit=$setting" ask "BEGIN;
        SELECT chwsync.restore_attempt('lost $setting', 'one', 1, gen_random_uuid(), 1, now(), 'LIKES', 'l', 1, 'accepted', '8-$setting', 200, NULL, true, 5);
        SHOW synchronous_commit; COMMIT" | grep -xE 'on|off|local')"
done
order durable -
is "what is stricter stays" remote_apply "$(PGOPTIONS="-c synchronous_commit=remote_apply" ask "BEGIN;
    SELECT FROM chwsync.orders o, chwsync.record_outcomes(ARRAY[o.id], ARRAY[1], ARRAY['accepted'], ARRAY['9'], ARRAY[200], ARRAY[NULL], ARRAY[0],
        true, 5, ARRAY[NULL]::uuid[]) WHERE o.order_ref = 'durable'; SHOW synchronous_commit; COMMIT" | grep -xE 'on|off|local|remote_apply')"
done_testing
