# tests/lib/tap.sh - results as TAP on stdout. Source it from bash.
#
#     is WHAT WANTED GOT
#     has WHAT PATTERN TEXT      an extended regular expression
#     tap_show=COMMAND           what differs goes through it ("cat -v" for what a terminal would obey)
#     tap_name WHAT              prints WHAT; to be defined anew where something stands before each
#
# `tests` and `failed` count; the caller prints the plan.
# shellcheck shell=bash disable=SC2034
tests=0 failed=0 tap_show=cat

tap_name() { printf '%s' "$1"; }
is() { # WHAT WANTED GOT
    tests=$((tests + 1))
    if [ "$2" = "$3" ]; then
        echo "ok $tests - $(tap_name "$1")"
    else
        failed=$((failed + 1))
        echo "not ok $tests - $(tap_name "$1")"
        printf '# wanted: %s\n#    got: %s\n' "${2//$'\n'/ | }" "${3//$'\n'/ | }" | $tap_show
    fi
}
has() { # WHAT PATTERN TEXT
    local found="not in: $3"
    ! grep -qE -- "$2" <<<"$3" || found=there
    is "$1" there "$found"
}
