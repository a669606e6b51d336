#!/bin/bash
# The views that the shop's people may read: every column is explained in the catalogue (\d+) and in chwsyncd-contract(7). TAP on stdout.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/cluster.sh
. tests/lib/tap.sh
trap cluster_stop_all EXIT

chwsyncd=${BUILD:-build}/chwsyncd
ask() { cluster_psql -At -c "$1" 2>&1; }

# Names of the columns that the manual explains in the view's subsection: ".It Sy NAME" or ".It Sy NAME , NAME".
explained() {
    awk -v view="$1" '
        /^\.S[sh] / { inside = $0 == ".Ss chwsync." view }
        inside && /^\.It Sy / { for (i = 3; i <= NF; i++) if ($i != ",") print $i }' etc/chwsyncd-contract.7
}
columns() { ask "SELECT attname FROM pg_attribute WHERE attrelid = 'chwsync.$1'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum"; }

cluster_start || exit 1
"$chwsyncd" schema install --conninfo "host=$PGHOST user=postgres dbname=$PGDATABASE" >/dev/null || exit 1

views=$(ask "SELECT relname FROM pg_class WHERE relnamespace = 'chwsync'::regnamespace AND relkind IN ('r', 'v', 'm')
    AND has_table_privilege('chwsync_reader', oid, 'SELECT') ORDER BY 1")
is "a reader may read views" "" "$(for view in order_history order_status provider_status; do grep -qx "$view" <<<"$views" || echo "$view"; done)"
is "... and nothing but views" "" "$(ask "SELECT relname FROM pg_class WHERE relnamespace = 'chwsync'::regnamespace AND relkind <> 'v'
    AND relkind IN ('r', 'm', 'p', 'f') AND has_table_privilege('chwsync_reader', oid, 'SELECT')")"
is "every view says what it is" "" "$(ask "SELECT relname FROM pg_class WHERE relnamespace = 'chwsync'::regnamespace
    AND has_table_privilege('chwsync_reader', oid, 'SELECT') AND coalesce(obj_description(oid, 'pg_class'), '') = ''")"
is "every column of them says what it is" "" "$(ask "SELECT c.relname || '.' || a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = 'chwsync'::regnamespace AND has_table_privilege('chwsync_reader', c.oid, 'SELECT') AND c.relkind = 'v'
      AND a.attnum > 0 AND coalesce(col_description(c.oid, a.attnum), '') = '' ORDER BY 1")"
for view in $views; do
    is "chwsyncd-contract(7) explains the columns of $view, in their order" "$(columns "$view")" "$(explained "$view")"
done
done_testing
