#!/usr/bin/env bash
# The simulated provider proved by itself: self-test.sh [PANEL [SCRIPTED]]; TAP on stdout.
set -u
panel=${1:-build/panel} scripted=${2:-build/scripted}
work=$(mktemp -d) pid=
. "$(dirname "$0")/../lib/tap.sh"
trap '[ -n "$pid" ] && kill "$pid" 2>/dev/null; rm -rf "$work"' EXIT

includes() { # WHAT TEXT PART
    case "$2" in
    *"$3"*) passes "$1" ;;
    *) fails "$1" "no $3 in: $2" ;;
    esac
}

await_file() {
    for _ in $(seq 500); do
        [ -s "$1" ] && return
        sleep 0.01
    done
    echo "Bail out! $1 did not appear"
    exit 1
}
start() {
    rm -f "$work/port"
    "$panel" --port-file "$work/port" --books "$work/books" --key K1=100 --key K2=5 "$@" &
    pid=$!
    await_file "$work/port"
    base=http://127.0.0.1:$(cat "$work/port")
    url=$base/wp-json/chw/v2
}
stop() {
    kill -TERM "$pid"
    wait "$pid"
    code=$?
    pid=
}
api() { # api FIELD...: one request with the first key; the body, and the curl exit code in $work/code
    local fields=()
    for field in "$@"; do fields+=(--data-urlencode "$field"); done
    curl -sS -m "${patience:-5}" "$url" -d key="${key:-K1}" "${fields[@]}" 2>"$work/curl"
    echo $? >"$work/code"
}
add() { api action=add "$@"; }
control() { # control VERB [FIELD...]
    local verb=$1 fields=()
    shift
    for field in "$@"; do fields+=(--data-urlencode "$field"); done
    curl -sS -m 5 "$base/control/$verb" "${fields[@]}"
}
counter() { control counters | awk -F'\t' -v c="$1" -v n="$2" '$1 == c && $2 == n { print $3 }'; }
book() { # book LINK COLUMN...: those columns of the orders with this link
    control books | awk -F'\t' -v link="$1" -v wanted="${*:2}" '
        NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; n = split(wanted, w, " "); next }
        $at["link"] == link { for (i = 1; i <= n; i++) printf "%s%s", $at[w[i]], i < n ? " " : "\n" }'
}
amount() { api action=balance | sed 's/.*"balance":"\([^"]*\)".*/\1/'; }

test_actions() {
    is "ping needs no key" '{"status":"ok"}' "$(curl -sS "$url" -d action=ping)"
    is "no key" '{"error":"API key is required."}' "$(curl -sS "$url" -d action=balance)"
    is "a wrong key" '{"error":"Invalid API key."}' "$(key=no api action=balance)"
    control key key=K2 blocked=1 >/dev/null
    is "a blocked key" '{"error":"API key is blocked."}' "$(key=K2 api action=balance)"
    control key key=K2 blocked=0 >/dev/null
    is "balance" '{"balance":"100.0000","currency":"INR"}' "$(api action=balance)"
    includes "services as in the document" "$(api action=services)" '{"service":"1","name":"Instagram Followers — Real & Active","type":"Default","category":"Instagram","rate":"1.5000","min":100,"max":50000,"refill":true,"product_id":"IG-FOLLOWERS-REAL"}'
    is "the disabled service is not listed" 30 "$(api action=services | grep -o '"service"' | wc -l)"
    is "an unknown action" '{"error":"Incorrect request"}' "$(api action=cancel)"
    includes "another path is WordPress's 404" "$(curl -sS "$base/wp-json/none" -d action=ping -w '%{http_code}')" '"data":{"status":404}}404'
    includes "GET is not served" "$(curl -sS "$url")" rest_no_route
}

test_add() {
    is "the first order" '{"order":12345}' "$(add service=IG-FOLLOWERS-REAL link=https://x/1 quantity=1000)"
    is "the same service by number" '{"order":12346}' "$(add service=1 link=https://x/2 quantity=100)"
    is "drip-feed" '{"order":12347}' "$(add service=27 link=https://x/3 quantity=7 runs=3 interval=5)"
    is "comments" '{"order":12348}' "$(add service=10 link=https://x/4 $'comments=a\r\n\r\nb\nc\n')"
    is "package" '{"order":12349}' "$(add service=9 link=https://x/5)"
    is "subscription" '{"order":12350}' "$(add service=23 username=u min=1 max=2)"
    is "charges are exact" '1.5000 0.1500 0.001682447676 0.1800 49.9900 ' \
        "$(for i in 1 2 3 4 5; do book https://x/$i paid; done | tr '\n' ' ')"
    is "the balance is exact" 48.178317552324 "$(amount)"
    is "quantity and runs in the books" '7 3 interval=5' "$(book https://x/3 quantity runs extra)"
    is "lines are counted without empty ones" '3 comments=a%0D%0A%0D%0Ab%0Ac%0A' "$(book https://x/4 quantity extra)"
    local case
    while IFS='|' read -r case expected; do
        # shellcheck disable=SC2086 # the fields are words
        is "refused: $case" "{\"error\":\"$expected\"}" "$(add $case)"
    done <<'END'
service=404 link=https://x/9 quantity=100|Service not found or disabled.
service=25 link=https://x/9 quantity=100|Service not found or disabled.
service=1 link=https://x/9 quantity=99|Minimum quantity for this service is 100.
service=1 link=https://x/9 quantity=50001|Maximum quantity for this service is 50000.
service=1 link=https://x/9 quantity=1e3|Minimum quantity for this service is 100.
service=1 link=https://x/9|Minimum quantity for this service is 100.
service=1 quantity=100|Bad link
service=10 link=https://x/9|Comments field is required.
service=13 link=https://x/9 quantity=10 usernames=a|Hashtags field is required.
service=1 link=https://x/9 quantity=100 runs=2|Invalid Interval in minutes
service=28 link=https://x/9 quantity=1000|Insufficient balance.
END
    is "refusals cost nothing" 48.178317552324 "$(amount)"
    control service service=1 paused=1 rate=2.5 >/dev/null
    is "a paused service" '{"error":"Service not found or disabled."}' "$(add service=1 link=https://x/9 quantity=100)"
    control service service=1 paused=0 >/dev/null
    includes "a changed rate" "$(api action=services)" '"rate":"2.5000"'
    control service service=1 rate=1.5 >/dev/null
    includes "status of one order" "$(api action=status order=12345)" '{"charge":"1.5000","start_count":'
    is "another account's order" '{"error":"Incorrect order ID"}' "$(key=K2 api action=status order=12345)"
}

course() { # course SERVICE LINK: the order's status and remains at each tenth of its time
    add service="$1" link="$2" quantity=1000 >"$work/added"
    for _ in 0 1 2 3 4 5 6 7 8 9 10; do
        book "$2" status remains
        control time shift=30000 >/dev/null
    done | uniq | tr '\n' ' '
}

test_course() {
    for service in 1 4 5 6 7 8; do control service service=$service seconds=300000 min=10 max=10000 >/dev/null; done
    control balance set=100 >/dev/null
    local last_half='In progress 875 In progress 750 In progress 625 In progress 500 In progress 375 In progress 250 In progress 125'
    is "an order's course" "Pending 1000 Processing 1000 In progress 1000 $last_half Completed 0 " "$(course 1 https://c/1)"
    includes "ends partial" "$(course 4 https://c/4)" "In progress 475 Partial 400 "
    includes "ends canceled" "$(course 5 https://c/5)" "Canceled 1000 "
    includes "ends refunded" "$(course 6 https://c/6)" "Refunded 1000 "
    includes "fails" "$(course 7 https://c/7)" "Fail 1000 "
    includes "gets stuck" "$(course 8 https://c/8)" "In progress 500 "
    is "what is charged after each" '1.5000 1.2000 0.0000 0.0000 0.0000 3.0000 ' \
        "$(for i in 1 4 5 6 7 8; do book https://c/$i charge; done | tr '\n' ' ')"
    is "and the rest is paid back" 94.3000 "$(amount)"
    add service=3 link=https://c/9 quantity=1000 >/dev/null
    control order link=https://c/9 status=Partial remains=200 start_count=-5 >/dev/null
    is "a test sets an order" 'Partial 200 -5 0.2800' "$(book https://c/9 status remains start_count charge)"
    control order link=https://c/9 "status=Being moderated" >/dev/null
    includes "any word" "$(api action=status order="$(book https://c/9 order_id)")" '"status":"Being moderated"'
}

test_status_lists() {
    local many
    includes "an unknown id has its own error" "$(api action=status orders=12345,1)" ',"1":{"error":"Incorrect order ID"}}'
    many=$(seq -s, 12345 12445)
    is "101 ids" '{"error":"Maximum 100 IDs per request"}' "$(api action=status orders="$many")"
    is "100 ids" 45 "$(api action=status orders="${many%,*}" | grep -o '"124[0-9]*":' | wc -l)"
    is "a refill" '{"refill":1}' "$(api action=refill order=12345)"
    is "asked twice" '{"error":"Refill already requested."}' "$(api action=refill order=12345)"
    is "not for this service" '{"error":"Order is not eligible for refill."}' "$(api action=refill order=12348)"
    is "its status" '{"status":"Pending"}' "$(api action=refill_status refill=1)"
    control time shift=500000 >/dev/null
    is "its end" '{"status":"Completed"}' "$(api action=refill_status refill=1)"
    is "an unknown refill" '{"error":"Refill not found"}' "$(api action=refill_status refill=2)"
}

test_faults() {
    local kind exit bought
    while read -r kind exit bought; do
        control fault kind="$kind" action=add link="f/$kind" millis=20 http=418 text=words retry_after=7 >/dev/null
        patience=1 add service=3 link="https://f/$kind" quantity=10 >/dev/null
        is "$kind: curl's exit code and whether it was bought" \
            "$exit $bought" "$(cat "$work/code") $(book "https://f/$kind" order_id | wc -l)"
        is "$kind: the next one is served" '{"order":' "$(add service=3 link="https://f/$kind" quantity=10 | cut -c1-9)"
    done <<'END'
reset-before 56 0
reset-after 56 1
close-before 52 0
close-after 52 1
html-503 0 0
html-200 0 0
empty 0 0
endless 28 0
truncated 18 1
half-json 0 1
500-before 0 0
500-after 0 1
wrong-key 0 0
insufficient 0 0
rate 0 0
slow-body 0 1
reply 0 0
delay 0 1
END
    for kind in timeout-before timeout-after; do
        control fault kind=$kind >/dev/null
        curl -sS -m 0.3 "$url" -d key=K1 -d action=add -d service=3 -d link=https://f/$kind -d quantity=10 2>/dev/null
        is "$kind: curl gives up" 28 $?
    done
    is "timeout-after alone bought" '0 1' "$(book https://f/timeout-before order_id | wc -l) $(book https://f/timeout-after order_id | wc -l)"
    control fault kind=html-503 retry_after=9 >/dev/null
    includes "html-503 with Retry-After" "$(curl -sSi "$url" -d key=K1 -d action=balance)" 'Retry-After: 9'
    control fault kind=rate retry_after=9 >/dev/null
    includes "rate with its seconds" "$(api action=balance)" '"retry_after":9}'
    control fault kind=empty n=1000 chance=0.25 seed=7 action=ping >/dev/null
    is "a chance, the same each time" 12 "$(for _ in $(seq 40); do curl -sS "$url" -d action=ping | wc -c; done | grep -c '^0$')"
    control faults-clear >/dev/null
    control fault kind=empty action=orders >/dev/null
    includes "a fault waits for its action" "$(api action=status order=12345)" charge
    is "and meets it" '' "$(api action=status orders=12345)"
    includes "no such fault" "$(control fault kind=none)" 'do not fit'
}

test_reuse() {
    local before
    before=$(counter requests add)
    control fault kind=close-reused execute=1 >/dev/null
    curl -sS -o /dev/null "$url" -d key=K1 -d action=balance --next \
        -sS -o /dev/null "$url" -d key=K1 -d action=add -d service=3 -d link=https://r/1 -d quantity=10
    is "closed without a byte on a reused connection, a client sends again and buys twice" \
        '0 2 1 2 ' "$? $(($(counter requests add) - before)) $(book https://r/1 nth | tr '\n' ' ')"
    includes "the log tells reused connections" "$(curl -sS "$base/control/requests" | tail -n 2 | cut -f3-5,11)" $'add\tdone\tclose-reused\ty'
    is "repeated orders are counted" "$(control books | awk -F'\t' 'NR > 1 && $14 > 1' | wc -l)" "$(counter orders repeated)"
    exec 3<>"/dev/tcp/127.0.0.1/$(cat "$work/port")"
    printf 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\naction=ping' >&3
    while read -r -t 5 line <&3 && [ "$line" != $'\r' ]; do :; done
    read -r -N 15 -t 5 line <&3
    is "a kept connection" '{"status":"ok"}' "$line"
    is "close-idle" ok "$(control close-idle)"
    read -r -t 5 line <&3
    is "ends it" 1 $?
    exec 3>&-
}

test_limiter() {
    local model passed
    for model in fixed sliding bucket estimate sliding-rejects; do
        control limits minute=5 minute_seconds=1000 limiter=$model >/dev/null
        passed=$(for _ in 1 2 3 4 5 6 7; do api action=balance; done | grep -o '"balance"' | wc -l)
        is "$model: five pass" 5 "$passed"
        includes "$model: the sixth is told" "$(api action=balance)" '{"error":"Rate limit exceeded: max 5 requests per minute.","retry_after":'
    done
    control limits limiter=bucket >/dev/null
    for _ in 1 2 3 4 5 6; do api action=balance >/dev/null; done
    control time shift=201 >/dev/null
    is "bucket: a fifth of the time gives one of five back" 1 "$(for _ in 1 2 3; do api action=balance; done | grep -o '"balance"' | wc -l)"
    control limits limiter=estimate >/dev/null
    for _ in 1 2 3 4 5; do api action=balance >/dev/null; done
    control time shift=2000 >/dev/null
    is "estimate: two windows later nothing is left of it" 5 "$(for _ in 1 2 3 4 5 6; do api action=balance; done | grep -o '"balance"' | wc -l)"
    control limits limiter=sliding-rejects >/dev/null
    for _ in 1 2 3 4 5 6; do api action=balance >/dev/null; done
    is "sliding-rejects: refused ones count" 1 "$(
        control time shift=900 >/dev/null
        for _ in 1 2 3 4 5; do api action=balance >/dev/null; done
        control time shift=200 >/dev/null
        api action=balance | grep -c Rate
    )"
    control limits minute=5 minute_seconds=1000 limiter=sliding >/dev/null
    for _ in 1 2 3 4 5; do api action=balance >/dev/null; done
    control time shift=990 >/dev/null
    includes "sliding: still full after 990 of 1000 s" "$(api action=balance)" '"retry_after":10}'
    control time shift=11 >/dev/null
    includes "sliding: free again after that" "$(api action=balance)" '"balance"'
    control limits minute=0 day=2 limiter=fixed day_seconds=100000 >/dev/null
    for _ in 1 2; do api action=balance >/dev/null; done
    includes "a day's limit" "$(api action=balance)" 'max 2 requests per day.'
    is "one key's limit is not another's" '"balance"' "$(key=K2 api action=balance | cut -c2-10)"
    control variant set=rate-429,rate-no-number,rate-wait-string >/dev/null
    includes "429 with a header" "$(curl -sSi "$url" -d key=K1 -d action=balance | tr -d '\r' | tr '\n' ' ')" 'Retry-After: '
    includes "no number, seconds as text" "$(api action=balance)" '{"error":"Rate limit exceeded","retry_after":"'
    control variant set= >/dev/null
    control limits day=0 >/dev/null
}

test_variants() {
    local name fields expected
    while IFS='|' read -r name fields expected; do
        control variant "set=$name" >/dev/null
        # shellcheck disable=SC2086 # the fields are words
        includes "variant $name" "$(curl -sSi "$url" -d key=K1 ${fields})" "$expected"
    done <<'END'
strings|-d action=status -d order=12345|"remains":"0"
numbers|-d action=status -d order=12345|"charge":1.5000
list|-d action=status -d orders=12345,1|[{"order":"12345","charge"
nested|-d action=status -d orders=12345|{"orders":{"12345":{
flat-one|-d action=status -d orders=12345|{"charge":
reversed|-d action=status -d orders=12345,12346|{"12346":
omit-unknown|-d action=status -d orders=1,2|[]
bare-errors|-d action=status -d orders=1|{"1":"Incorrect order ID"}
array-errors|-d action=status -d orders=1|{"1":{"error":["Incorrect order ID"]}}
add-status|-d action=add -d service=3 -d link=https://v/1 -d quantity=10|{"status":"success","order":
add-status-100|-d action=add -d service=3 -d link=https://v/1 -d quantity=10|{"status":100,"order":
add-charge|-d action=add -d service=3 -d link=https://v/1 -d quantity=10|,"charge":"0.0035"}
http-201|-d action=add -d service=3 -d link=https://v/1 -d quantity=10|HTTP/1.1 201
http-codes|-d action=add -d service=404|HTTP/1.1 422
http-codes|-d action=add -d service=28 -d link=https://v/1 -d quantity=10000|HTTP/1.1 402
remains-unknown|-d action=status -d order=12345|"remains":0
start-null|-d action=status -d order=12345|"start_count":null
envelope-message|-d action=none|{"status":"error","message":"Incorrect request"}
envelope-msg|-d action=none|{"status":"error","msg":"error","error":"Incorrect request"}
error-keys|-d action=add -d service=404|{"error":"error.incorrect_service_id"}
drip-form|-d action=status -d order=12347|{"status":"Completed","runs":"3","orders":[]}
drip-form|-d action=status -d order=12350|"posts":"0","orders":[]}
thousands|-d action=services|"rate":"1,234.5000"
php-warning|-d action=balance|<b>Warning</b>
text-html|-d action=balance|Content-Type: text/html
words-lower|-d action=status -d order=12345|"status":"completed"
types-lower|-d action=services|"type":"custom_comments"
booleans-digits|-d action=services|"refill":"1"
empty-catalogue|-d action=services|{"status":"success","data":"Empty Data"}
refill-tasks|-d action=refill_status -d refill=1|"tasks.status.completed"
link-duplicate|-d action=add -d service=3 -d link=https://v/1 -d quantity=10|You have active order with this link
connection-close|-d action=balance|Connection: close
END
    control variant set=bom >/dev/null
    is "variant bom" ' ef bb bf 7b' "$(api action=balance | head -c 4 | od -An -tx1)"
    control variant set=truncate-past-100 >/dev/null
    is "variant truncate-past-100" 0 "$(api action=status orders="$(seq -s, 1 100),12345" | grep -c 12345)"
    control variant set=incorrect-past-100 >/dev/null
    includes "variant incorrect-past-100" "$(api action=status orders="$(seq -s, 1 100),12345")" '"12345":{"error":"Incorrect order ID"}'
    includes "no such variant" "$(control variant set=none)" 'do not fit'
    control variant set= >/dev/null
}

test_end() {
    local orders before held=()
    control fault kind=slow-body action=services >/dev/null
    control fault kind=timeout-before action=ping >/dev/null
    control fault kind=delay action=balance millis=60000 >/dev/null
    for kind in services ping balance; do
        before=$(counter faulted $kind)
        api action=$kind >/dev/null 2>&1 &
        held+=($!)
        until [ "$(counter faulted $kind)" -gt "$before" ]; do sleep 0.01; done
    done
    orders=$(control books | wc -l)
    stop
    wait "${held[@]}"
    is "SIGTERM: exit 0" 0 "$code"
    is "the books are on disk" "$orders" "$(wc -l <"$work/books")"
    includes "and the counters" "$(cat "$work/books.counters")" $'orders\tall\t'"$((orders - 1))"
}

test_ids() {
    local style first second
    while read -r style first second; do
        start --ids "$style" --variant unlimited-ids
        add service=3 link=https://i/1 quantity=10 >/dev/null
        includes "ids $style" "$(add service=3 link=https://i/2 quantity=10)" "{\"order\":$second}"
        includes "ids $style: found again" "$(api action=status order="${first//\"/}")" '"status":"Pending"'
        stop
    done <<'END'
number 12345 12346
string "12345" "12346"
hex24 "65f0c0ffee65f0c0a12b4869" "65f0c0ffee65f0c03f62c21a"
gaps 12345 12351
END
}

test_latency_and_tls() {
    local began took
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 \
        -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null
    start --latency-ms 200 --tls-cert "$work/cert.pem" --tls-key "$work/key.pem" --control-key secret
    base=https${base#http} url=https${url#http}
    export CURL_CA_BUNDLE=$work/cert.pem
    is "TLS" '{"balance":"100.0000","currency":"INR"}' "$(api action=balance)"
    is "control without its key" 'wrong control key' "$(control counters)"
    includes "control with its key" "$(control counters control=secret)" $'requests\tbalance\t1'
    includes "its key as a header" "$(curl -sS -H 'X-Control-Key: secret' "$base/control/accounts")" $'K1\t100.0000\t0'
    control latency control=secret millis=400 >/dev/null
    began=$(date +%s%N)
    curl -s --parallel --parallel-immediate --parallel-max 30 -d key=K1 -d action=balance "$url?[1-30]" >"$work/many" 2>/dev/null
    took=$((($(date +%s%N) - began) / 1000000))
    is "30 requests are held at once" '30 1' "$(grep -o '"balance"' "$work/many" | wc -l) $((took >= 400 && took < 6000))"
    control fault control=secret kind=reset-before >/dev/null
    api action=balance
    includes "a reset under TLS" "35 56" "$(cat "$work/code")"
    kill -TERM "$pid" && wait "$pid"
    is "SIGTERM under TLS: exit 0" 0 $?
    pid=
    unset CURL_CA_BUNDLE
}

test_scripted() {
    cat >"$work/script" <<'END'
# one good reply, one that is cut off, one reset
accept
expect action=balance
reply "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
expect action=add
reply-http 201 {"order":\x37}
expect-silence 50
close
repeat 2
accept
expect ""
reset
end
END
    rm -f "$work/port"
    "$scripted" --port-file "$work/port" --script "$work/script" --transcript "$work/transcript" &
    pid=$!
    await_file "$work/port"
    url=http://127.0.0.1:$(cat "$work/port")/
    is "scripted replies" '{}{"order":7}' "$(curl -sS "$url" -d action=balance --next -sS "$url" -d action=add)"
    curl -sS "$url" -d action=ping 2>/dev/null
    is "scripted reset" 56 $?
    curl -sS "$url" -d action=ping 2>/dev/null
    wait "$pid"
    is "scripted ends" 0 $?
    pid=
    is "its transcript" '4 requests 4 connections 3 ' "$(grep -c '^[0-9]* request ' "$work/transcript") $(tail -n 2 "$work/transcript" | tr '\n' ' ')"
    printf 'accept\nexpect nothing\n' >"$work/script"
    rm -f "$work/port"
    "$scripted" --port-file "$work/port" --script "$work/script" --transcript "$work/transcript" 2>/dev/null &
    pid=$!
    await_file "$work/port"
    curl -sS "http://127.0.0.1:$(cat "$work/port")/" -d action=ping 2>/dev/null
    wait "$pid"
    is "scripted tells what did not fit" 1 $?
    pid=
}

start
test_actions
test_add
test_course
test_status_lists
test_variants
test_faults
test_reuse
test_limiter
test_end
test_ids
test_latency_and_tls
test_scripted
done_testing
