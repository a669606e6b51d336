#!/bin/bash
# `chwsyncd status --watch`: on a terminal of 80 columns, with NO_COLOR, and where there is no terminal. TAP on stdout.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/cluster.sh
. tests/lib/tap.sh
program=$(cd "${BUILD:-build}" && pwd)/chwsyncd
work=$(mktemp -d)
trap 'cluster_stop_all; rm -rf "$work"' EXIT

cluster_start && cluster_psql -c 'CREATE DATABASE shop' || exit 1
export PGDATABASE=shop PGOPTIONS='-c client_min_messages=warning'
"$program" schema install --conninfo "host=$PGHOST dbname=shop user=postgres" >/dev/null || exit 1
cat >"$work/conf" <<CONFIGURATION
database = { conninfo = "host=$PGHOST dbname=shop user=chwsync"; };
providers = ( { name = "one"; url = "https://one.example/api"; key_file = "/nowhere"; } );
CONFIGURATION
cluster_psql -c "INSERT INTO chwsync.accounts (provider, endpoint, key_digest, last_error, last_error_at)
    VALUES ('one', 'https://one.example/api', 'd', repeat('a long word of the provider ', 20), now());
    INSERT INTO chwsync.parked_lines (order_ref, reason) VALUES (E'x\e[31m' || repeat('y', 150), 'shown twice'),
        (repeat('🛒', 50), 'shown twice');" || exit 1

# watch PATTERN COUNT KEYS [NAME=VALUE ...]: on a terminal of $columns columns and $rows lines, where the keys are struck once
# COUNT lines drawn have shown the pattern; what it wrote is in $work/screen, its code in $code
rows=24 columns=80
watch() {
    local pattern=$1 count=$2 keys=$3
    shift 3
    : >"$work/screen"
    { drawn "$pattern" "$count"; printf %b "$keys"; drawn $'\e\\[[?]1049l' 1; } |
        env -u NO_COLOR "$@" timeout 40 script -qfec "stty cols $columns rows $rows; exec '$program' status --watch --config '$work/conf'" /dev/null >"$work/screen" 2>&1
    code=${PIPESTATUS[1]}
}
# drawn PATTERN COUNT: waits until so many lines on the screen have shown it
drawn() {
    local i
    for ((i = 0; i < 1000; i++)); do
        [ "$(grep -ciE -- "$1" "$work/screen")" -lt "$2" ] || return 0
        sleep 0.02
    done
    return 1
}
# The widest line of what stands on the screen, without what a terminal takes for itself.
widest() { tr -d '\r' <"$work/screen" | sed 's/\x1b\[[?0-9;]*[a-zA-Z]//g' | LC_ALL=C.UTF-8 wc -L; }
# The most line ends between two pictures.
tallest() { tr -d '\r' <"$work/screen" | awk -v RS=$'\x1b\\[H' '{ n = gsub(/\n/, ""); if (NR > 1 && n > most) most = n } END { print most + 0 }'; }
shows() { grep -qF -- "$1" "$work/screen" && echo yes || echo no; }

watch one 2 q
is "q ends it" 0 "$code"
is "it was drawn anew" yes "$([ "$(grep -c 'one' "$work/screen")" -ge 2 ] && echo yes)"
is "the screen of before comes back, and the cursor" "yes yes" "$(shows $'\e[?1049l') $(shows $'\e[?25h')"
is "no line is wider than 80 columns" yes "$([ "$(widest)" -le 80 ] && [ "$(widest)" -gt 30 ] && echo yes || widest)"
is "bold is the only attribute" "" "$(grep -oE $'\x1b\\[[0-9;]*m' "$work/screen" | sort -u | grep -vE $'\x1b\\[(0|1)m')"
is "... and is there" yes "$(shows $'\e[1m')"
is "a shop's escape reaches no terminal" no "$(shows $'\e[31m')"
rows=60
watch '🛒' 1 q
is "what fits needs no more lines" no "$(shows 'make the window taller')"
is "nor of wide characters" 80 "$(widest)"
columns=30
watch '🛒' 1 q
is "a narrow terminal cuts, also what is two columns wide" 30 "$(widest)"
columns=80
for rows in 8 5 4 2; do
    watch 'more line' 2 q
    is "$rows lines: nothing scrolls" yes "$([ "$(tallest)" -lt $rows ] && echo yes || tallest)"
    is "$rows lines: the heading has its place, or gives it up" "$([ $rows -ge 5 ] && echo yes || echo no)" "$(shows 'q ends')"
done
rows=24
watch one 1 '\003'
is "so does Ctrl-C" 0 "$code"
is "... which leaves the terminal as it was" yes "$(shows $'\e[?1049l')"
watch one 1 q NO_COLOR=1
is "NO_COLOR: no attribute" no "$(grep -q $'\x1b\\[[0-9;]*m' "$work/screen" && echo yes || echo no)"
"$program" status --watch --config "$work/conf" >"$work/screen" 2>&1 </dev/null &
drawn one 1
kill -TERM $!
wait $!
is "without a terminal: ends by a signal" 0 "$?"
is "... and plain lines" "no yes" "$(grep -q $'\x1b' "$work/screen" && echo yes || echo no) $(shows one)"
cluster_halt
watch 'unable|database' 1 q
is "a database that is away does not end it" 0 "$code"
is "... and is said" yes "$(grep -qiE 'unable|database' "$work/screen" && echo yes)"
done_testing
