#!/usr/bin/env bash
# The journal's catalogue and daemon/host/events.h name the same events, and the daemon uses all of them. TAP on stdout.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
header=daemon/host/events.h catalogue=systemd/chwsyncd.catalog
names=$(sed -n 's/^#define \(MESSAGE_[A-Z_]*\) .*/\1/p' $header | sort)
ids=$(sed -n 's/^#define MESSAGE_[A-Z_]* *"\([0-9a-f]\{32\}\)".*/\1/p' $header | sort)

is "there are events" yes "$([ "$(wc -w <<<"$names")" -gt 30 ] && echo yes)"
is "every event has an id" "$(wc -w <<<"$names")" "$(wc -w <<<"$ids")"
is "no id is used twice" "" "$(uniq -d <<<"$ids")"
is "the catalogue has a paragraph for each of them, and for nothing else" "$ids" "$(sed -n 's/^-- //p' $catalogue | sort)"
is "every paragraph has a subject" "$(wc -w <<<"$ids")" "$(grep -c '^Subject: [A-Za-z].*[a-z]$' $catalogue)"
is "every event is used" "" "$(for name in $names; do grep -rqw --include=*.c "$name" daemon || echo "$name"; done)"
is "ids stand nowhere else" "" "$(grep -rlE '"[0-9a-f]{32}"' --include=*.c --include=*.h daemon | grep -v "^$header$")"
is "fields in paragraphs are fields of the daemon" \
    "" "$(grep -o '@[A-Z_]*@' $catalogue | tr -d @ | sort -u | while read -r field; do grep -q "\"$field\"" daemon/host/log.c || echo "$field"; done)"
is "every paragraph says what can be done: nothing, or by which command" "" "$(awk '/^-- / { id = $2 } /^Subject/ { subject[id] = $0 }
    { gsub(/\n/, " "); text[id] = text[id] " " $0 }
    END { for (id in subject) if (text[id] !~ /Nothing is to +be done|`/) print subject[id] }' $catalogue)"
is "no line is wider than 80 columns" "" "$(awk 'length > 80 && !/^#/' $catalogue)"
if command -v journalctl >/dev/null; then
    root=$(mktemp -d) && trap 'rm -rf "$root"' EXIT
    install -D -m 644 $catalogue "$root/usr/lib/systemd/catalog/chwsyncd.catalog"
    mkdir -p "$root/var/lib/systemd/catalog"
    is "journalctl takes it" "" "$(journalctl --root="$root" --update-catalog 2>&1)"
    is "and finds all of it" "$ids" "$(journalctl --root="$root" --list-catalog 2>/dev/null | sed 's/ .*//' | sort)"
else
    skips "journalctl takes the catalogue" "no journalctl here"
fi
done_testing
