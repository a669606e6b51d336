# tests/lib/suites.sh - runs test programs that print TAP, some at the same time, and adds up what they say. Source it from bash.
#
#     suites_begin DIR [JOBS]        results go to DIR/NAME.tap (stdout) and DIR/NAME.log (stderr)
#     suite NAME COMMAND...          starts it, as soon as one of JOBS places is free
#     suites_drain                   waits for all that were started
#     suites_total                   the last line: "N passed, N failed[, N skipped]"; fails when anything failed
#     suites_kill                    for the trap
#
# One line a suite on stdout. A suite fails as a whole when it crashes, runs too long, or runs other than the number of tests it announced.

declare -A suites_name=() suites_began=()
suites_passed=0 suites_failed=0 suites_skipped=0 suites_limit_s=150

suites_begin() {
    suites_directory=$1 suites_jobs=${2:-2}
    mkdir -p "$suites_directory" && rm -f "$suites_directory"/*.tap "$suites_directory"/*.log
}

suite() {
    local name=$1 file
    shift
    while [ ${#suites_name[@]} -ge "$suites_jobs" ]; do suites_reap; done
    file=$suites_directory/${name//[\/ ]/-}
    # Without the descriptor of the lock that `check` holds: what a test left behind would keep it.
    (exec timeout -k 10 "$suites_limit_s" "$@") >"$file.tap" 2>"$file.log" </dev/null 9>&- &
    suites_name[$!]=$name
    suites_began[$!]=${EPOCHREALTIME//[!0-9]/}
}

suites_drain() {
    while [ ${#suites_name[@]} -gt 0 ]; do suites_reap; done
}

suites_reap() {
    local pid code
    wait -n -p pid "${!suites_name[@]}"
    code=$?
    suites_report "${suites_name[$pid]}" "$code" $(((${EPOCHREALTIME//[!0-9]/} - suites_began[$pid]) / 100000))
    unset "suites_name[$pid]" "suites_began[$pid]"
}

# NAME EXIT-CODE TENTHS-OF-SECONDS
suites_report() {
    local file=$suites_directory/${1//[\/ ]/-} seconds=$((${3} / 10)).$((${3} % 10)) passed failed skipped plan why=''
    read -r passed failed skipped plan < <(awk '
        /^ok /     { if (/# *SKIP/) skipped++; else passed++; next }
        /^not ok / { if (/# *SKIP/) skipped++; else failed++; next }
        /^1\.\.[0-9]+/ { plan = substr($1, 4) }
        END { print passed + 0, failed + 0, skipped + 0, plan == "" ? -1 : plan }' "$file.tap")
    if [ "$plan" -le 0 ]; then
        why='ran no test'
    elif [ "$plan" -ne $((passed + failed + skipped)) ]; then
        why="announced $plan tests"
    elif [ "$2" -ne 0 ] && [ "$failed" -eq 0 ]; then
        why='ended badly'
    fi
    [ "$2" -ne 124 ] || why='ran too long'
    [ -z "$why" ] || { why="$why, exit code $2"; failed=$((failed + 1)); }
    suites_passed=$((suites_passed + passed)) suites_failed=$((suites_failed + failed))
    suites_skipped=$((suites_skipped + skipped))
    if [ "$failed" -eq 0 ]; then
        echo "suite $1 … $passed ok$([ "$skipped" -eq 0 ] || echo ", $skipped skipped") ($seconds s)"
        return
    fi
    echo "suite $1 … $passed ok, $failed FAILED${why:+: $why} ($seconds s)"
    awk '/^not ok /, /^ok / { if (!/^ok /) print "    " $0 }' "$file.tap" | head -n 60
    tail -n 60 "$file.log" | sed 's/^/    /'
    echo "    (all of it: $file.tap, $file.log)"
}

suites_total() {
    echo "$suites_passed passed, $suites_failed failed$([ "$suites_skipped" -eq 0 ] || echo ", $suites_skipped skipped")"
    [ "$suites_failed" -eq 0 ] && [ "$suites_passed" -gt 0 ]
}

suites_kill() {
    [ ${#suites_name[@]} -eq 0 ] || kill "${!suites_name[@]}" 2>/dev/null
    wait
}
