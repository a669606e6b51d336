# tests/lib/tap.sh - tests in bash that tell what they found as TAP, on stdout. Source it from bash; it sets no options and no traps.
#
#     is WHAT WANTED GOT          both are the same text
#     has WHAT PATTERN TEXT       an extended regular expression that a line of the text matches
#     holds WHAT COMMAND...       the command succeeds; what it printed is shown when it does not
#     passes WHAT                 fails WHAT [MORE]           skips WHAT WHY
#     done_testing                the plan; the last line of a test: fails when a test failed
#
# `about`, when it is set, stands in front of every test's name. Tests are counted in the shell that runs them: not in $( ), not in a pipe.

tests=0 failed=0 about=''

passes() {
    tests=$((tests + 1))
    echo "ok $tests - ${about:+$about: }$1"
}

fails() { # WHAT [MORE]
    tests=$((tests + 1)) failed=$((failed + 1))
    echo "not ok $tests - ${about:+$about: }$1"
    # What a terminal would obey is no text.
    [ -z "${2:-}" ] || echo "# ${2//$'\n'/$'\n'# }" | tr '\001-\010\013-\037\177' '?'
}

skips() { # WHAT WHY
    tests=$((tests + 1))
    echo "ok $tests - ${about:+$about: }$1 # SKIP $2"
}

is() { # WHAT WANTED GOT
    if [ "$2" = "$3" ]; then passes "$1"; else fails "$1" "wanted: $2"$'\n'"   got: $3"; fi
}

has() { # WHAT PATTERN TEXT
    if grep -qE -- "$2" <<<"$3"; then passes "$1"; else fails "$1" "no /$2/ in: $3"; fi
}

holds() { # WHAT COMMAND...
    local what=$1 output code
    shift
    if output=$("$@" 2>&1); then passes "$what"; else code=$?; fails "$what" "$* ended with $code"$'\n'"$output"; fi
}

done_testing() {
    echo "1..$tests"
    [ "$failed" = 0 ]
}
