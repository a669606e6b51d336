#!/bin/bash
# `chwsyncd metrics`: strictly OpenMetrics, over HTTP too, and every name that alert rules and dashboard use is there. TAP on stdout.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/cluster.sh
. tests/lib/tap.sh
build=${BUILD:-build}
work=$(mktemp -d)
trap 'cluster_stop_all; rm -rf "$work"' EXIT

strict() { awk -f tests/lib/openmetrics.awk "$@" 2>&1; }
metrics() { "$build/chwsyncd" metrics --config "$work/conf" "$@"; }
value() { sed -n "s/^chwsyncd_$1 //p" "$work/metrics"; }
http() { printf '%b' "$1" | metrics --http; }

# The reader itself finds what is wrong.
refused() {
    printf '%b' "$2" >"$work/wrong"
    is "the reader refuses $1" "yes" "$(strict "$work/wrong" >/dev/null && echo no || echo yes)"
}
head='# TYPE a gauge\n# HELP a text\n'
printf '%b' "${head}a{b=\"c\\\\\\\\ \\\\\" d\"} 1.5\n# EOF\n" >"$work/right"
is "the reader takes what is right" "" "$(strict "$work/right")"
refused "a text without an end" "${head}a 1\n"
refused "a sample twice" "${head}a 1\na 1\n# EOF\n"
refused "a sample without a family" "b 1\n# EOF\n"
refused "a label without a quotation mark" "${head}a{b=c} 1\n# EOF\n"
refused "a comma as decimal point" "${head}a 1,5\n# EOF\n"
refused "an empty line" "${head}a 1\n\n# EOF\n"
refused "a family twice" "${head}${head}a 1\n# EOF\n"
refused "a counter without _total" '# TYPE a counter\n# HELP a text\na 1\n# EOF\n'
refused "a bucket without a bound" '# TYPE a histogram\n# HELP a text\na_bucket 1\n# EOF\n'
refused "buckets that shrink" '# TYPE a histogram\n# HELP a text\na_bucket{le="1.0"} 2\na_bucket{le="+Inf"} 1\na_count 1\n# EOF\n'
refused "a count that is not the last bucket" '# TYPE a histogram\n# HELP a text\na_bucket{le="+Inf"} 1\na_count 2\n# EOF\n'
refused "a quantile in a gauge" "${head}a{quantile=\"0.5\"} 1\n# EOF\n"

cluster_start && cluster_psql -c 'CREATE DATABASE shop' || exit 1
export PGDATABASE=shop PGOPTIONS='-c client_min_messages=warning'
"$build/chwsyncd" schema install --conninfo "host=$PGHOST dbname=shop user=postgres" >/dev/null || exit 1
cat >"$work/conf" <<CONFIGURATION
database = { conninfo = "host=$PGHOST dbname=shop user=chwsync"; };
providers = ( { name = "one"; url = "https://one.example/api"; key_file = "/nowhere"; requests_per_day = 0; } );
CONFIGURATION
metrics >"$work/metrics"
is "an empty ledger" "0 " "$? $(strict "$work/metrics")"

cluster_psql <<'SQL' || exit 1
INSERT INTO chwsync.accounts (provider, endpoint, key_digest, last_error, last_error_at)
VALUES ('one', 'https://one.example/api', 'd', 'x', now()), ('two', 'https://two.example/api', 'e', NULL, NULL);
UPDATE chwsync.accounts SET submits_paused_until = 'infinity' WHERE provider = 'two';
INSERT INTO chwsync.orders (order_ref, provider, state, account_id, max_charge, created_at, shop_created_at, accepted_at)
SELECT s || '-' || i, 'one', s::chwsync.order_state, 1, 2.5, now() - interval '1 hour', now() - interval '2 hours',
       CASE WHEN s IN ('active', 'completed') THEN now() - interval '59 minutes' END
  FROM unnest(ARRAY['queued', 'submitting', 'active', 'uncertain', 'completed', 'rejected']) s, generate_series(1, 3) i;
INSERT INTO chwsync.queue SELECT id, provider, now() FROM chwsync.orders WHERE state = 'queued';
INSERT INTO chwsync.polls SELECT id, 1, now(), 5 FROM chwsync.orders WHERE state = 'active';
INSERT INTO chwsync.attempts (order_id, number, account_id, instance, claim, claimed_at, send_before, open, outcome)
SELECT id, 1, 1, gen_random_uuid(), 1, now() - interval '10 minutes', now(), state <> 'active',
       CASE state WHEN 'uncertain' THEN 'unknown' WHEN 'active' THEN 'accepted' END
  FROM chwsync.orders WHERE state IN ('submitting', 'uncertain', 'active');
INSERT INTO chwsync.history (order_id, event, state) SELECT id, 'status', state FROM chwsync.orders WHERE state = 'completed';
INSERT INTO chwsync.write_backs (order_id, seq, since, failures)
SELECT id, 1, now() - interval '5 minutes', (state = 'completed')::int FROM chwsync.orders WHERE state IN ('completed', 'active');
INSERT INTO chwsync.parked_lines (order_ref, reason) VALUES ('x', 'shown twice');
INSERT INTO chwsync.request_counts VALUES (1, 'add', 'done', 7), (1, 'add', 'no answer', 2), (1, 'status', 'throttled', 1);
INSERT INTO chwsync.told_delays VALUES (1, 5, 2.5), (60, 2, 90), ('Infinity', 1, 9000);
INSERT INTO chwsync.leases (account_id, holder, number, expires_at) VALUES (1, gen_random_uuid(), 1, now() - interval '50 seconds');
INSERT INTO chwsync.budgets (account_id, kept_at) VALUES (1, now() - interval '1 minute'), (2, now() - interval '2 minutes');
INSERT INTO chwsync.budget_minutes VALUES (1, now(), 7, 2, 1), (1, now() - interval '2 hours', 10, 0, 0);
SQL
metrics >"$work/metrics"
is "a ledger with everything" "0 " "$? $(strict "$work/metrics")"
for case in 'orders{state="queued"} 3' 'orders{state="completed"} 3' 'orders{state="uncertain"} 3' 'orders{state="partial"} 0' \
    'orders_ended_last_day{state="completed"} 3' 'uncertain_charge_limit{provider="one"} 7.5' 'write_backs{state="waiting"} 6' \
    'write_backs{state="failing"} 3' 'parked_lines 1' 'provider_up{provider="one"} 1' 'provider_up{provider="two"} 0' \
    'requests_used{provider="one",window="minute"} 10' 'requests_used{provider="one",window="day"} 20' \
    'requests_last_day{provider="one",action="add"} 17' 'requests_limit{provider="one",window="minute"} 60' \
    'requests_limit{provider="one",window="day"} ' 'recent_attempts{provider="one",outcome="unknown"} 3' \
    'provider_orders{provider="one",state="active"} 3' 'bought_delay_seconds{since="taken",quantile="0.5"} 60.000' \
    'bought_delay_seconds{since="paid",quantile="0.99"} 3660.000' 'database_up 1' \
    'requests_total{provider="one",action="add",outcome="no answer"} 2' 'requests_total{provider="one",action="status",outcome="throttled"} 1' \
    'told_delay_seconds_bucket{le="1.0"} 5' 'told_delay_seconds_bucket{le="60.0"} 7' 'told_delay_seconds_bucket{le="+Inf"} 8' \
    'provider_worked_on{provider="one"} 1' 'provider_worked_on{provider="two"} 0' 'told_delay_seconds_count 8' 'told_delay_seconds_sum 9092.500'; do
    is "${case% *}" "${case##* }" "$(value "${case% *}")"
done
is "age of the oldest uncertain order" "600" "$(value 'oldest_order_age_seconds{state="uncertain"}' | cut -d. -f1)"
is "age of the oldest untold end" "300" "$(value 'oldest_write_back_age_seconds{of="ended"}' | cut -d. -f1)"

# What etc/ asks for: names, and label values, of which each stands in the scrape above.
if command -v promtool >/dev/null; then
    cp etc/chwsyncd-alerts.yml tests/sql/alerts.yml "$work" && holds "the alert rules say what they should" promtool test rules "$work/alerts.yml"
else
    skips "the alert rules say what they should" "needs promtool, of the package prometheus"
fi
names=$(strict -v names=1 "$work/metrics" | sort -u)
for file in etc/chwsyncd-alerts.yml etc/chwsyncd-dashboard.json; do
    used=$(sed 's/\\"/"/g' "$file" | grep -oE 'chwsyncd_[a-z_]+' | sort -u)
    is "$file uses metrics" "yes" "$([ "$(wc -w <<<"$used")" -gt 8 ] && echo yes)"
    is "$file uses only metrics that exist" "" "$(comm -23 <(echo "$used") <(echo "$names"))"
    sed 's/\\"/"/g' "$file" | grep -oE 'chwsyncd_[a-z_]+\{[a-z]+="[a-z]+"' | sort -u >"$work/selectors"
    is "$file selects only labels that exist" "" "$(while IFS= read -r selector; do
        label=${selector#*\{}
        grep -qE "^${selector%%\{*}\{(.*,)?$label[,}]" "$work/metrics" || echo "$selector"
    done <"$work/selectors")"
done
is "no metric is left out of the dashboard" "chwsyncd_build_info
chwsyncd_last_bought_timestamp_seconds
chwsyncd_provider_last_error_timestamp_seconds
chwsyncd_provider_last_used_timestamp_seconds
chwsyncd_provider_paused" "$(comm -13 <(sed 's/\\"/"/g' etc/chwsyncd-dashboard.json | grep -oE 'chwsyncd_[a-z_]+' | sort -u) <(echo "$names"))"
is "the dashboard is JSON" "t" "$(cluster_psql -At -v text="$(cat etc/chwsyncd-dashboard.json)" <<<"SELECT (:'text'::jsonb -> 'panels') IS NOT NULL")"
is "the manual has all of them" "" "$(for name in $names; do grep -q "${name#chwsyncd_}" etc/chwsyncd.8 || echo "$name"; done)"

# Over HTTP.
http 'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n' >"$work/answer"
is "GET /metrics" "HTTP/1.1 200 OK" "$(head -n 1 "$work/answer" | tr -d '\r')"
is "its type" "application/openmetrics-text; version=1.0.0; charset=utf-8" "$(sed -n 's/^Content-Type: \(.*\)\r$/\1/p' "$work/answer")"
sed '1,/^\r$/d' "$work/answer" >"$work/body"
is "its length" "$(wc -c <"$work/body")" "$(sed -n 's/^Content-Length: \(.*\)\r$/\1/p' "$work/answer")"
is "its body" "" "$(strict "$work/body")"
is "another path" "HTTP/1.1 404 Not Found" "$(http 'GET /keys HTTP/1.1\r\n\r\n' | head -n 1 | tr -d '\r')"
is "another method" "HTTP/1.1 405 Method Not Allowed" "$(http 'POST /metrics HTTP/1.1\r\n\r\n' | head -n 1 | tr -d '\r')"
is "HEAD tells no other length than GET" 0 "$(http 'HEAD /metrics HTTP/1.1\r\n\r\n' | grep -ci '^content-length')"
is "HEAD has no body" "" "$(http 'HEAD /metrics HTTP/1.1\r\n\r\n' | sed '1,/^\r$/d')"
is "no request" "HTTP/1.1 400 Bad Request" "$(http 'nonsense' | head -n 1 | tr -d '\r')"
is "an endless request" "HTTP/1.1 400 Bad Request" "$(head -c 100000 /dev/zero | tr '\0' 'x' | metrics --http 2>/dev/null | head -n 1 | tr -d '\r')"

cluster_halt
metrics >"$work/metrics" 2>/dev/null
is "without a database: the exit code" "69" "$?"
is "and a text that says so" "0 " "$(value database_up) $(strict "$work/metrics")"
is "over HTTP too" "HTTP/1.1 200 OK" "$(http 'GET /metrics HTTP/1.0\r\n\r\n' 2>/dev/null | head -n 1 | tr -d '\r')"
done_testing
