#!/usr/bin/env bash
# Builds the package and tries it under a real systemd (tests/systemd/inside.sh), where root and namespaces allow. TAP on stdout.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
build=${BUILD:-build}
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
package=$(ls "$build"/chwsyncd_*.deb 2>/dev/null | tail -n 1)
if [ -z "$package" ] || [ -n "$(find daemon sql etc systemd README.md Makefile -newer "$package" -print -quit)" ]; then
    make --no-print-directory deb >"$work/make" 2>&1 || { tail -n 20 "$work/make" >&2; exit 1; }
    package=$(ls "$build"/chwsyncd_*.deb)
fi
# The next version: the same files, and a number that dpkg takes for a newer one.
dpkg-deb -R "$package" "$work/next" && sed -i 's/^Version: .*/&+next1/' "$work/next/DEBIAN/control" &&
    dpkg-deb --root-owner-group -b "$work/next" "$work/next.deb" >/dev/null || exit 1
mkdir -p "$work/files"
cp "$work/next.deb" "$work/files/package-next.deb" || exit 1
cp "$package" "$work/files/package.deb" && cp "$build/panel" daemon/host/events.h tests/systemd/inside.sh "$work/files/" &&
    cp -r sql "$work/files/sql" && mkdir "$work/files/tests" && cp -r tests/lib "$work/files/tests/lib" || exit 1
sed -i "2i export STALL_S=$([ -n "${CHECK_LONG:-}" ] && echo 30 || echo 7)" "$work/files/inside.sh"
MACHINE_LIMIT_S=280 timeout 285 tests/systemd/machine "$work/files" inside.sh 2>"$work/errors"
code=$?
cat "$work/errors" >&2
if [ "$code" = 77 ]; then
    skips "the package under a real systemd" "$(tail -n 1 "$work/errors")"
    done_testing
    echo "SKIPPED: the package was NOT tried under a real systemd here" >&2
    exit 0
fi
exit "$code"
