# tests/lib/tap.sh - tests that print TAP. Source it from bash; it sets no shell options and no traps.
#
#     is WHAT WANTED GOT         the two are the same
#     has WHAT PATTERN TEXT      a line of the text matches the extended regular expression
#     finish                     the plan; ends the script, with 1 when anything failed
#
# $tap_subject, where it is not empty, stands before each WHAT.
tests=0 failed=0 tap_subject=''

is() {
    local what="${tap_subject:+$tap_subject: }$1"
    tests=$((tests + 1))
    if [ "$2" = "$3" ]; then
        echo "ok $tests - $what"
    else
        failed=$((failed + 1))
        echo "not ok $tests - $what"
        printf '# wanted: %s\n#    got: %s\n' "${2//$'\n'/ | }" "${3//$'\n'/ | }"
    fi
}

has() {
    local found="not in: $3"
    ! grep -qE -- "$2" <<<"$3" || found=there
    is "$1" there "$found"
}

finish() {
    echo "1..$tests"
    exit $((failed > 0))
}
