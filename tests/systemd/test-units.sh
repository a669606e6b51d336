#!/usr/bin/env bash
# The units: whole, valid, and as well locked up as promised. TAP on stdout. Needs BUILD/chwsyncd.
set -u
cd "$(dirname "$0")/../.." || exit 1
build=$(cd "${BUILD:-build}" && pwd) || exit 1
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
. tests/lib/tap.sh
result() { # CODE WHAT OUTPUT
    if [ "$1" = 0 ]; then passes "$2"; else fails "$2" "$3"; fi
}
silent() { # WHAT COMMAND...: succeeds and prints nothing
    local what=$1 output
    shift
    output=$("$@" 2>&1) && [ -z "$output" ]
    result $? "$what" "$output"
}

# verify looks for the programs of ExecStart= and ExecReload=, so the units are made for where the program is now.
for name in chwsyncd.service chwsyncd@.service; do
    instance=${name/@/@shop}
    systemd/make-unit systemd/chwsyncd.service.in "$name" "$build" >"$work/$instance"
    ! grep -n '@[A-Z]*@' "$work/$instance"
    result $? "$name is complete" "$(grep '@[A-Z]*@' "$work/$instance")"
    if command -v systemd-analyze >/dev/null; then
        silent "$name: systemd-analyze verify is silent" systemd-analyze --man=no verify "$work/$instance"
        exposure=$(systemd-analyze security --offline=true --threshold=11 "$work/$instance" 2>&1)
        result $? "$name: exposure is at most 1.1" "$(tail -n 1 <<<"$exposure")"
    else
        skips "$name: verify" "no systemd-analyze here"
        skips "$name: exposure" "no systemd-analyze here"
    fi
done
diff <(sed 's/chwsyncd@shop/chwsyncd/' "$work/chwsyncd@shop.service" | grep -o '^[A-Za-z]*=' | sort) \
    <(grep -o '^[A-Za-z]*=' "$work/chwsyncd.service" | sort) >"$work/diff"
result $? "plain unit and template have the same settings" "$(cat "$work/diff")"
for setting in Type=notify 'RestartPreventExitStatus=64 77 78' WatchdogSec=60s TimeoutStopSec=60s User=chwsync; do
    grep -qx "$setting" "$work/chwsyncd.service"
    result $? "$setting" "not in the unit"
done
! grep -q '^Requires=' "$work/chwsyncd.service"
result $? "a restart of the database restarts nothing" "$(grep '^Requires=' "$work/chwsyncd.service")"
for unit in systemd/*.socket systemd/*@.service; do
    [ -e "$unit" ] || continue
    case $unit in *chwsyncd@*) continue ;; esac
    sed "s|@SBINDIR@|$build|" "$unit" >"$work/${unit##*/}"
done
for unit in "$work"/*.socket; do
    [ -e "$unit" ] || continue
    ! command -v systemd-analyze >/dev/null || silent "${unit##*/}: systemd-analyze verify is silent" systemd-analyze --man=no verify "$unit"
done
if command -v systemd-analyze >/dev/null; then
    cp "$work/chwsyncd-metrics@.service" "$work/chwsyncd-metrics@1.service"
    silent "chwsyncd-metrics@.service: systemd-analyze verify is silent" systemd-analyze --man=no verify "$work/chwsyncd-metrics@1.service"
    exposure=$(systemd-analyze security --offline=true --threshold=11 "$work/chwsyncd-metrics@1.service" 2>&1)
    result $? "chwsyncd-metrics@.service: exposure is at most 1.1" "$(tail -n 1 <<<"$exposure")"
fi
if command -v systemd-sysusers >/dev/null; then
    made=$(systemd-sysusers --dry-run --root="$work" "$PWD/systemd/chwsyncd.sysusers" 2>&1) && [[ $made == *"user 'chwsync'"* ]]
    result $? "sysusers makes the user" "$made"
fi
done_testing
