#!/bin/bash
# Contracts broken in one way each: chwsyncd check names the fault, and its remedy, pasted as it stands, mends it. TAP on stdout.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/cluster.sh
. tests/lib/tap.sh
. tests/sql/adapter-lib.sh

check() { "$chwsyncd" check --config "$CLUSTER_DIR/conf" 2>&1; }
remedy() { grep -A1 -E "$1" <<<"$said" | sed -n 's/^ *HINT: //p' | head -n 1; }

# breaks WHAT-IS-SAID SQL [ROLE]: with PASTE=no the remedy is not SQL
breaks() {
    local pattern=$1 hint
    ask "$2" >"$CLUSTER_DIR/broken"
    said=$(check)
    is "named: $pattern" yes "$(grep -qE "^(fault|warning) +(contract|schema) +.*$pattern" <<<"$said" && echo yes || echo "$said")"
    hint=$(remedy "$pattern")
    is "... with a remedy" yes "$([ -n "$hint" ] && echo yes)"
    if [ "${PASTE:-yes}" = yes ]; then
        ask "$hint" >"$CLUSTER_DIR/pasted"
        said=$(check)
        is "... which mends it: $hint" "" "$(grep -E "$pattern" <<<"$said")"
    fi
}

adapter_begin || { echo "Bail out! no cluster"; exit 1; }
new_shop broken
cluster_psql -f tests/sql/replicas/template.sql -c "SELECT replica.place('https://instagram.com/p/1', 1)" >/dev/null
"$chwsyncd" adapter template | cluster_psql
is "a sound contract" "All is well." "$(check | tail -n 1)"

breaks 'this role may not read chwsync_shop.pending_orders' "REVOKE SELECT ON chwsync_shop.pending_orders FROM chwsync" 
breaks "reads public.orders, and the view's owner chwsync_adapter may not" "REVOKE SELECT ON public.orders FROM chwsync_adapter"
breaks 'this role may not execute' "REVOKE EXECUTE ON FUNCTION chwsync_shop.write_back FROM chwsync"
breaks 'SECURITY DEFINER without a search_path' "ALTER FUNCTION chwsync_shop.write_back RESET search_path"
breaks 'leaves pg_temp out' "ALTER FUNCTION chwsync_shop.write_back SET search_path = pg_catalog"
breaks 'has a schema in which everybody may create' "CREATE SCHEMA open; GRANT CREATE ON SCHEMA open TO PUBLIC; ALTER FUNCTION chwsync_shop.write_back SET search_path = pg_catalog, open, pg_temp"
breaks 'is not VOLATILE' "ALTER FUNCTION chwsync_shop.write_back STABLE"
breaks "runs with the daemon's rights" "ALTER FUNCTION chwsync_shop.write_back SECURITY INVOKER"
breaks 'may be called by everybody' "GRANT EXECUTE ON FUNCTION chwsync_shop.write_back TO PUBLIC"
breaks 'runs with the rights of a superuser' "ALTER FUNCTION chwsync_shop.write_back OWNER TO postgres"
breaks 'belongs to a superuser' "ALTER VIEW chwsync_shop.pending_orders OWNER TO postgres; GRANT SELECT ON chwsync_shop.wanted_lines, chwsync_shop.line TO postgres" # the remedy has a second half in words
ask "ALTER VIEW chwsync_shop.pending_orders OWNER TO chwsync_adapter" >/dev/null
breaks 'foreign key' "ALTER TABLE chwsync_shop.line ADD COLUMN line_id int CONSTRAINT into_shop REFERENCES public.order_lines"
breaks 'may create in schema chwsync_shop' "GRANT CREATE ON SCHEMA chwsync_shop TO chwsync"
breaks 'is a member of chwsync_adapter' "GRANT chwsync_adapter TO chwsync"
breaks 'default_transaction_isolation = repeatable read holds' "ALTER DATABASE broken SET default_transaction_isolation = 'repeatable read'"
breaks 'read with the daemon.s rights \(security_invoker\)' "ALTER VIEW chwsync_shop.pending_orders SET (security_invoker = true)"
breaks 'marked PARALLEL SAFE' "ALTER FUNCTION chwsync.try_jsonb(text) PARALLEL SAFE; SET ROLE chwsync_adapter; CREATE OR REPLACE VIEW chwsync_shop.pending_orders AS
    SELECT w.order_ref, w.service, w.link, w.quantity, w.display_ref, w.created_at, chwsync.try_jsonb(NULL) AS params FROM chwsync_shop.wanted_lines w"
for setting in array_nulls=off standard_conforming_strings=off quote_all_identifiers=on \
    $(ask "SELECT name || '=5min' FROM pg_settings WHERE name = 'idle_session_timeout'"); do
    breaks "${setting/=/ = } holds for this role here" "ALTER ROLE chwsync SET ${setting%=*} = '${setting#*=}'"
    ask "ALTER ROLE chwsync RESET ${setting%=*}; ALTER ROLE chwsync IN DATABASE $PGDATABASE RESET ${setting%=*}" >/dev/null
done
breaks 'has row-level security' "ALTER TABLE public.orders ENABLE ROW LEVEL SECURITY"
is "... and the lines are there again" "All is well." "$(tail -n 1 <<<"$said")"
ask "ALTER TABLE public.orders DISABLE ROW LEVEL SECURITY" >/dev/null
PASTE=no breaks 'raises for line [0-9]+, which the view shows: permission denied' "REVOKE UPDATE (updated_at) ON public.orders, public.order_lines FROM chwsync_adapter"
ask "GRANT UPDATE (updated_at) ON public.orders, public.order_lines TO chwsync_adapter" >/dev/null
PASTE=no breaks 'have no service' "UPDATE public.order_lines SET sku = ''"
ask "UPDATE public.order_lines SET sku = 'IG-LIKES-FAST'" >/dev/null
PASTE=no breaks 'changes search_path' "CREATE OR REPLACE FUNCTION chwsync_shop.write_back(r chwsync.result) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS
    \$\$ BEGIN PERFORM set_config('search_path', 'elsewhere', true); RETURN r.order_ref = '1'; END \$\$"
PASTE=no breaks 'must not COMMIT|invalid transaction termination' "CREATE OR REPLACE FUNCTION chwsync_shop.write_back(r chwsync.result) RETURNS boolean LANGUAGE plpgsql AS
    \$\$ BEGIN COMMIT; RETURN true; END \$\$"
PASTE=no breaks 'statement timeout' "CREATE OR REPLACE FUNCTION chwsync_shop.write_back(r chwsync.result) RETURNS boolean LANGUAGE plpgsql AS
    \$\$ BEGIN PERFORM pg_sleep(10); RETURN true; END \$\$"
ask "INSERT INTO public.orders (status) SELECT 'new' FROM generate_series(1, 30000); ANALYZE public.orders; INSERT INTO public.orders (status) VALUES ('paid')" >/dev/null
"$chwsyncd" adapter template | cluster_psql
breaks 'goes through all of public.orders' "DROP INDEX IF EXISTS none"
ask "INSERT INTO public.order_lines (order_id, quantity) SELECT 1, 1 FROM generate_series(1, 1500)" >/dev/null
PASTE=no breaks 'are new and would be bought at once' "SELECT replica.set_status('1', 'paid')"
sed -i 's/intake_interval = 1;/& wake_channel = "new_event";/' "$CLUSTER_DIR/conf"
PASTE=no breaks 'no function of this database notifies channel new_event' "SELECT 1"
done_testing
