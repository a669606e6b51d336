#!/usr/bin/env bash
# make install and make uninstall: what is there, where PREFIX and DESTDIR say, and what is left. TAP on stdout. Needs BUILD/chwsyncd.
set -u
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build}
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
number=0
is() { # WHAT GOT EXPECTED
    number=$((number + 1))
    if [ "$2" = "$3" ]; then
        echo "ok $number - $1"
    else
        echo "not ok $number - $1"
        printf '# got      %s\n# expected %s\n' "${2//$'\n'/ }" "${3//$'\n'/ }"
    fi
}
make_it() { env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make --no-print-directory -s BUILD="$build" DESTDIR="$work" PREFIX=/opt/chw "$@" 2>&1; }
files() { (cd "$work" && find . -type f | sort); }
conf=$work/etc/chwsyncd/chwsyncd.conf

is "make install" "$(make_it install; echo $?)" 0
is "the program is there, and runs" "$("$work/opt/chw/sbin/chwsyncd" --version | head -n 1)" "$("$build/chwsyncd" --version | head -n 1)"
is "every unit starts that one" "$(files | grep -E '\.service$' | while read -r unit; do grep -h '^ExecStart=' "$work/$unit"; done | grep -vc '^ExecStart=/opt/chw/sbin/chwsyncd ')" 0
is "plain unit, template, metrics and their socket" "$(files | grep -cE '/system/chwsyncd(@|-metrics@)?\.service$|/system/chwsyncd-metrics\.socket$')" 4
is "sysusers, tmpfiles, catalogue, completion" \
    "$(files | grep -cE '/(sysusers|tmpfiles)\.d/chwsyncd\.conf$|/catalog/chwsyncd\.catalog$|completions/chwsyncd$')" 4
is "every manual page" "$(files | sed -n 's|^./opt/chw/share/man/man[578]/||p' | sort)" "$(cd etc && ls chwsyncd*.[578])"
is "every ready adapter" "$(files | sed -n 's|^./opt/chw/share/doc/chwsyncd/examples/adapters/||p')" "$(cd sql/adapters && ls)"
is "alert rules, dashboard and README" "$(files | grep -cE 'chwsyncd-alerts\.yml$|chwsyncd-dashboard\.json$|/README\.md$')" 3
is "only the program may be run" "$(cd "$work" && find . -type f -perm /111)" "./opt/chw/sbin/chwsyncd"
is "the configuration is the one that explains itself" "$(cmp "$conf" etc/chwsyncd.conf && echo same)" same
is "nothing lies elsewhere" "$(files | grep -vE '^\./(opt/chw|etc/chwsyncd|(usr/)?lib/(systemd|sysusers\.d|tmpfiles\.d)|usr/share/bash-completion)/')" ""

make_it uninstall >/dev/null
is "make uninstall leaves nothing" "$(files)" ""
make_it install >/dev/null
echo '# changed' >>"$conf"
make_it install >/dev/null
is "installed again, a changed configuration stays as it is" "$(tail -n 1 "$conf")" '# changed'
make_it uninstall >/dev/null
is "and outlives make uninstall" "$(files)" ./etc/chwsyncd/chwsyncd.conf
echo "1..$number"
