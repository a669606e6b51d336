#!/usr/bin/env bash
# The manual pages: without a fault, and complete against the program. TAP on stdout. Needs BUILD/chwsyncd.
set -u
cd "$(dirname "$0")/../.." || exit 1
program=$(cd "${BUILD:-build}" && pwd)/chwsyncd
. tests/lib/tap.sh
cd etc || exit 1
for page in chwsyncd*.[578]; do
    if command -v mandoc >/dev/null; then
        # Whether another package's page is installed here is none of this page's faults.
        is "mandoc -Tlint $page" "" "$(mandoc -Tlint "$page" 2>/dev/null | grep -v 'referenced manual not found')"
    else
        skips "mandoc -Tlint $page" "no mandoc here"
    fi
    is "$page names itself" "${page%.*}" "$(sed -n 's/^\.Nm //p' "$page" | head -n 1)"
done
commands=$("$program" --help | sed -n 's/^  \([a-z]*\)  *.*/\1/p')
is "there are commands" yes "$([ "$(wc -w <<<"$commands")" -gt 4 ] && echo yes)"
is "every command is in chwsyncd(8)" \
    "" "$(for command in $commands; do grep -qE "^\.It Cm $command\b" chwsyncd.8 || echo "$command"; done)"
is "every option is in chwsyncd(8)" "" "$(for command in $commands; do
    "$program" "$command" --help | sed -n 's/^ *--\([a-z-]*\).*/\1/p'
done | sort -u | while read -r option; do grep -q -- "Fl -$option" chwsyncd.8 || echo "$option"; done)"
is "every exit code is in chwsyncd(8)" \
    "" "$(grep -oE 'EXIT_[A-Z]+ = [0-9]+' ../daemon/commands/commands.h | sed 's/.* //' | while read -r code; do grep -qx ".It $code" chwsyncd.8 || echo "$code"; done)"
# Also there in the synopsis, where it is seen which command takes it.
is "every command's options are in its synopsis" "" "$(for command in $commands; do
    synopsis=$(sed -n '/^.Sh SYNOPSIS/,/^.Sh DESCRIPTION/p' chwsyncd.8 | awk -v c="$command" '/^\.Nm/ { on = 0; next } $1 == ".Cm" && $2 == c { on = 1 } on')
    "$program" "$command" --help | sed -n 's/^  *--\([a-z-]*\).*/\1/p' | grep -vxE 'config|help' | while read -r option; do
        # what a generated adapter is made of has a section of its own
        [ "$command" != adapter ] || [ "$option" = conninfo ] || continue
        grep -q -- "Fl -$option\b" <<<"$synopsis" || echo "$command --$option"
    done
done)"
is "every page is installed" "" "$(for page in chwsyncd*.[578]; do grep -q "^etc/$page " ../systemd/install.mk || echo "$page"; done)"
bash -n chwsyncd.bash-completion
is "the completion is a script" 0 "$?"
complete_words() { # WORD...: what the completion offers for the last one
    # shellcheck source=/dev/null
    bash -c '. ./chwsyncd.bash-completion; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _chwsyncd; echo "${COMPREPLY[*]}"' bash "$program" "$@"
}
is "it completes commands" "status" "$(complete_words sta)"
is "and options" "--state" "$(complete_words orders --st)"
is "and the ready adapters" "medusa" "$(complete_words adapter med)"
is "and what adapter does to the shop's" "off on oscar" "$(complete_words adapter o)"
is "and the catalogue's command" "--refresh" "$(complete_words services --ref)"
is "and states" "uncertain" "$(complete_words orders --state unc)"
done_testing
