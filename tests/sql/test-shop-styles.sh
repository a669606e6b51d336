#!/bin/bash
# Shops of many styles, each connected by `chwsyncd adapter --table`, all in one cluster. TAP on stdout.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/cluster.sh
. tests/lib/tap.sh
. tests/sql/adapter-lib.sh

# The usual ways to place, pay, cancel and hold a line of one table: usual TABLE KEY [COLUMNS VALUES]; LINK and PACKS are replaced.
usual() {
    local table=$1 key=$2 columns=$3 values=$4 status=${5:-status} paid=${6:-paid}
    values=${values//LINK/place.link}
    values=${values//PACKS/place.packs}
    cat <<SQL
CREATE SCHEMA replica;
CREATE FUNCTION replica.place(link text, packs int, word text DEFAULT '$paid') RETURNS text LANGUAGE sql AS \$\$
    INSERT INTO $table ($columns, $status) VALUES ($values, place.word) RETURNING $key::text \$\$;
CREATE FUNCTION replica.place_unpaid(link text) RETURNS text LANGUAGE sql AS \$\$ SELECT replica.place(link, 1, 'new') \$\$;
CREATE FUNCTION replica.pay(ref text) RETURNS void LANGUAGE sql AS \$\$ UPDATE $table SET $status = '$paid' WHERE $key::text = ref \$\$;
CREATE FUNCTION replica.cancel(ref text) RETURNS void LANGUAGE sql AS \$\$ UPDATE $table SET $status = 'canceled' WHERE $key::text = ref \$\$;
CREATE FUNCTION replica.hold(ref text) RETURNS void LANGUAGE sql AS \$\$ SELECT FROM $table WHERE $key::text = ref FOR UPDATE \$\$;
CREATE FUNCTION replica.told(ref text) RETURNS bigint LANGUAGE sql AS \$\$ SELECT NULL::bigint \$\$;
SQL
}

generate() { "$chwsyncd" adapter --conninfo "host=$PGHOST port=$PGPORT dbname='$PGDATABASE' user=postgres" "$@"; }

# style NAME OPTION...: the shop's SQL on stdin
style() {
    local name=$1
    shift
    new_shop "$name" && cluster_psql >/dev/null || { echo "Bail out! no shop $name"; exit 1; }
    generate "$@" --check >"$CLUSTER_DIR/adapter.sql" 2>"$CLUSTER_DIR/said"
    is "the generator writes an adapter" 0 $?
    grep -v '^Tried\|^the function' "$CLUSTER_DIR/said" | sed 's/^/# /'
    is "--check leaves nothing behind" NULL "$(ask "SELECT to_regclass('chwsync_shop.pending_orders')")"
    is "it runs" "" "$(cluster_psql -f "$CLUSTER_DIR/adapter.sql" 2>&1)"
    is "it runs again" "" "$(cluster_psql -f "$CLUSTER_DIR/adapter.sql" 2>&1)"
    adapter_does
    generate "$@" --queue --wake >"$CLUSTER_DIR/adapter.sql" 2>/dev/null
    is "its queue runs" "" "$(cluster_psql -f "$CLUSTER_DIR/adapter.sql" 2>&1)"
    place
    is "its trigger finds what is paid" t "$(ask "SELECT EXISTS (SELECT FROM chwsync_shop.queue WHERE line_id::text = '$ref')")"
    local unpaid
    unpaid=$(ask "SELECT replica.place_unpaid('https://instagram.com/p/u')")
    is "and nothing else" f "$(ask "SELECT EXISTS (SELECT FROM chwsync_shop.queue WHERE line_id::text = '$unpaid')")"
    view_shows_what_is_paid
    flow_begin
}

adapter_begin || { echo "Bail out! no cluster"; exit 1; }

style integer --table orders --key id --service sku --link link --quantity qty --pack 1000 --max-charge 'cap_cents / 100.0' \
    --pending "status = 'paid'" < <(
    echo "CREATE TABLE orders (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, sku text NOT NULL DEFAULT 'IG-LIKES-FAST', link text,
        qty int, cap_cents int DEFAULT 100000, status text NOT NULL, created_at timestamptz NOT NULL DEFAULT now());"
    usual orders id 'link, qty' 'LINK, PACKS')

style uuid --table public.lines --key id --service sku --link options.what.link --quantity options.qty --pack 1000 --created-at 'now()' \
    --pending "status = 'paid'" < <(
    echo "CREATE TABLE lines (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), sku varchar(40) DEFAULT 'IG-LIKES-FAST', options jsonb, status text);"
    usual lines id options "jsonb_build_object('qty', PACKS, 'what', jsonb_build_object('link', LINK))")

style text-keys --table lines --key line_ref --service sku --link link --quantity pieces --max-charge cap --pending "status IN ('paid', 'again')" < <(
    echo "CREATE SEQUENCE n; CREATE TABLE lines (line_ref varchar(40) PRIMARY KEY DEFAULT 'SO-' || nextval('n'), sku text DEFAULT 'IG-LIKES-FAST', link text,
        pieces numeric(20,4), cap numeric(12,2) DEFAULT 1000, status text, created timestamptz DEFAULT now());"
    usual lines line_ref 'link, pieces' 'LINK, PACKS * 1000')

style text-json --table lines --key id --service data.sku --link data.link --quantity data.packs --pack pack_size --runs data.runs \
    --pending "status = 'paid'" < <(
    echo "CREATE TABLE lines (id bigserial PRIMARY KEY, data text, pack_size smallint DEFAULT 1000, status text, created_at timestamp DEFAULT (now() AT TIME ZONE 'UTC'));
        INSERT INTO lines (data, status) VALUES ('{broken', 'canceled'), (NULL, 'canceled'), ('[1]', 'canceled');"
    usual lines id data "jsonb_build_object('sku', 'IG-LIKES-FAST', 'link', LINK, 'packs', PACKS::text)::text")

style soft-deletes --table lines --key id --service sku --link link --quantity 'qty * 1000' --pending "status = 'paid' AND deleted_at IS NULL" < <(
    echo "CREATE TABLE lines (id bigserial PRIMARY KEY, sku text DEFAULT 'IG-LIKES-FAST', link text, qty int, status text, deleted_at timestamptz,
        created_at date DEFAULT current_date + 1);"
    usual lines id 'link, qty' 'LINK, PACKS' | sed "s/SET status = 'canceled'/SET deleted_at = now()/")

style versions --table lines --key line_id --service sku --link link --quantity 'qty * 1000' --pending "status = 'paid' AND is_current" < <(
    echo "CREATE SEQUENCE n; CREATE TABLE lines (line_id bigint NOT NULL DEFAULT nextval('n'), version int NOT NULL DEFAULT 2, is_current boolean NOT NULL DEFAULT true,
        sku text DEFAULT 'IG-LIKES-FAST', link text, qty int, status text, created_at timestamptz DEFAULT now(), PRIMARY KEY (line_id, version));
        CREATE FUNCTION old_version() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN
            INSERT INTO lines (line_id, version, is_current, qty, status) VALUES (NEW.line_id, 1, false, 1, 'paid'); RETURN NULL; END \$\$;
        CREATE TRIGGER old_version AFTER INSERT ON lines FOR EACH ROW WHEN (NEW.version > 1) EXECUTE FUNCTION old_version();"
    usual lines line_id 'link, qty' 'LINK, PACKS')

style aggregates --table shop.lines --key l.id --service sku --link l.link --quantity qty --pack 1000 --order shop.orders --by order_id --display-ref o.more.number \
    --pending "o.status = 'paid' AND o.kind <> 'aggregate' AND NOT canceled" < <(
    cat <<'SQL'
CREATE SCHEMA shop;
CREATE TABLE shop.orders (id serial PRIMARY KEY, more json, kind text DEFAULT 'seller', status text, placed_at timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'));
CREATE TABLE shop.lines (id serial PRIMARY KEY, order_id int REFERENCES shop.orders, sku text DEFAULT 'IG-LIKES-FAST', link text, qty int, canceled boolean DEFAULT false);
CREATE INDEX ON shop.lines (order_id);
CREATE SCHEMA replica;
CREATE FUNCTION replica.place(link text, packs int, word text DEFAULT 'paid') RETURNS text LANGUAGE sql AS $$
    WITH a AS (INSERT INTO shop.orders (kind, status) VALUES ('aggregate', word) RETURNING id),
    o AS (INSERT INTO shop.orders (more, status) VALUES ('{"number": "N"}', word) RETURNING id),
    doubled AS (INSERT INTO shop.lines (order_id, link, qty) SELECT id, link, packs FROM a)
    INSERT INTO shop.lines (order_id, link, qty) SELECT id, link, packs FROM o RETURNING id::text $$;
CREATE FUNCTION replica.place_unpaid(link text) RETURNS text LANGUAGE sql AS $$ SELECT replica.place(link, 1, 'new') $$;
CREATE FUNCTION replica.pay(ref text) RETURNS void LANGUAGE sql AS $$ UPDATE shop.orders o SET status = 'paid' FROM shop.lines l WHERE l.order_id = o.id AND l.id = ref::int $$;
CREATE FUNCTION replica.cancel(ref text) RETURNS void LANGUAGE sql AS $$ UPDATE shop.lines SET canceled = true WHERE id = ref::int $$;
CREATE FUNCTION replica.hold(ref text) RETURNS void LANGUAGE sql AS $$ SELECT FROM shop.orders o JOIN shop.lines l ON l.order_id = o.id WHERE l.id = ref::int FOR UPDATE $$;
CREATE FUNCTION replica.told(ref text) RETURNS bigint LANGUAGE sql AS $$ SELECT NULL::bigint $$;
SQL
)

style partitioned --table lines --key id --service sku --link link --quantity qty --pack 1000 --pending "status = 'paid'" < <(
    echo "CREATE SEQUENCE n; CREATE TABLE lines (id bigint DEFAULT nextval('n'), sku text DEFAULT 'IG-LIKES-FAST', link text, qty int, status text,
        created_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (id, created_at)) PARTITION BY RANGE (created_at);
        CREATE TABLE lines_old PARTITION OF lines FOR VALUES FROM (MINVALUE) TO ('2020-01-01'); CREATE TABLE lines_now PARTITION OF lines DEFAULT;"
    usual lines id 'link, qty' 'LINK, PACKS')

style row-security --table lines --key id --service sku --link link --quantity qty --pack 1000 --pending "status = 'paid'" < <(
    echo "CREATE ROLE shopkeeper; CREATE TABLE lines (id serial PRIMARY KEY, tenant text DEFAULT 'a', sku text DEFAULT 'IG-LIKES-FAST', link text, qty int, status text,
        created_at timestamptz DEFAULT now()); ALTER TABLE lines OWNER TO shopkeeper; ALTER TABLE lines ENABLE ROW LEVEL SECURITY; ALTER TABLE lines FORCE ROW LEVEL SECURITY;
        CREATE POLICY own ON lines USING (tenant = current_setting('shop.tenant', true));"
    usual lines id 'link, qty' 'LINK, PACKS')

style 'odd names' --table '"My ""Shop"."Order Lines %@"' --key 'Line Id' --service 'SKU"s' --link 'the Link' --quantity "Qty's" --pack 1000 \
    --pending "\"Pay State\" = 'paid'" < <(
    echo "CREATE SCHEMA \"My \"\"Shop\"; CREATE TABLE \"My \"\"Shop\".\"Order Lines %@\" (\"Line Id\" serial PRIMARY KEY, \"SKU\"\"s\" text DEFAULT 'IG-LIKES-FAST',
        \"the Link\" text, \"Qty's\" int, \"Pay State\" text, \"CreatedAt\" timestamp DEFAULT (now() AT TIME ZONE 'UTC'));"
    usual '"My ""Shop"."Order Lines %@"' '"Line Id"' "\"the Link\", \"Qty's\"" 'LINK, PACKS' '"Pay State"')

# Words of SQL as names, a key that a domain guards, and nothing that tells when a line was ordered.
style domains --table '"select"' --key user --service '"meta data".svc' --link 'meta data.what.0.link' --quantity order --pack 1000 \
    --pending "\"where\" = 'paid'" < <(
    echo "CREATE SEQUENCE n; CREATE DOMAIN word AS text NOT NULL; CREATE DOMAIN ref AS word CHECK (VALUE ~ '^L-[0-9]+\$');
        CREATE TABLE \"select\" (\"user\" ref PRIMARY KEY DEFAULT 'L-' || nextval('n'), \"meta data\" jsonb, \"order\" int, \"where\" text);"
    usual '"select"' '"user"' '"meta data", "order"' "jsonb_build_object('svc', 'IG-LIKES-FAST', 'what', jsonb_build_array(jsonb_build_object('link', LINK))), PACKS" '"where"')

flow_ends
is "several shops in one cluster do not see each other" 11 "$(ask "SELECT count(*) FROM pg_database WHERE datname NOT IN ('postgres', 'ready') AND NOT datistemplate")"

# ---- an adapter for another table, where one with a queue was before ----
about='another table'
export PGDATABASE=integer
ask "CREATE TABLE words (id text PRIMARY KEY, sku text, status text, created_at timestamptz DEFAULT now()); INSERT INTO words VALUES ('a', 'IG-LIKES-FAST', 'paid')" >/dev/null
for with in '' --queue; do
    generate --table words --key id --service sku --pending "status = 'paid'" $with >"$CLUSTER_DIR/adapter.sql" 2>/dev/null
    is "it runs ${with:-without a queue}" "" "$(cluster_psql -f "$CLUSTER_DIR/adapter.sql" 2>&1)"
    is "it shows its line, and lets it go" "a t" "$(ask "SELECT order_ref FROM chwsync_shop.pending_orders") $(ask "BEGIN;
        SELECT chwsync_shop.write_back(jsonb_populate_record(NULL::chwsync.result, '{\"order_ref\": \"a\", \"status\": \"submitting\", \"seq\": 1}')); ROLLBACK")"
done

# ---- what the generator refuses, all at once ----
about=refusals
export PGDATABASE=integer
said=$(generate --table order --key id --service sku --pending true 2>&1)
is "a table that is not there: the nearest name" 1 "$(grep -c 'did you mean public.orders?' <<<"$said")"
ask 'CREATE TABLE "Order Item" (id timestamptz PRIMARY KEY, part int, sku text)' >/dev/null
for name in 'Order Item' '"Order Item' 'public.Order Item'; do
    is "nor is $name a name: the nearest" 1 "$(generate --table "$name" --key id --service sku --pending true 2>&1 | grep -cF 'did you mean public."Order Item"?')"
done
is "a key whose text depends on settings" 1 "$(generate --table '"Order Item"' --key id --service sku --pending true 2>&1 | grep -cF 'how public."Order Item".id (timestamp with time zone) is written')"
is "a key that is not there is told once" 1 "$(generate --table orders --key idd --service sku --pending true 2>&1 | grep -c '^chwsyncd: --key')"
said=$(generate --table orders --key sku --service skuu --link 'link ||' --quantity created_at --pending status 2>&1)
is "it fails" 1 $?
for pattern in '--key: no index leads to public.orders.sku' 'CREATE UNIQUE INDEX CONCURRENTLY ON public.orders' '--service: column "skuu" does not exist' '--link: syntax error' \
    '--quantity: created_at is of a type that cannot be bigint' '--pending: status is no condition'; do
    is "it names $pattern" 1 "$(grep -cF -- "$pattern" <<<"$said")"
done
is "without a condition: usage" 64 "$(generate --table orders --key id --service sku >/dev/null 2>&1; echo $?)"
is "no statement hides in an expression" 1 "$(generate --table orders --key id --service 'sku); DROP TABLE orders; SELECT (1' --pending true >/dev/null 2>&1; echo $?)"
for given in "status = 'paid') OR (true" "status = 'paid' /*" "true); SELECT (true" "status = 'paid'] OR ARRAY[true"; do
    is "nor is a condition more than one: $given" 1 "$(generate --table orders --key id --service sku --pending "$given" >/dev/null 2>&1; echo $?)"
done
is "nor one that counts" 1 "$(generate --table orders --key id --service sku --pending 'count(*) > 0' 2>&1 | grep -c -- '--pending: aggregate functions are not allowed')"
is "one with alternatives, a comment and a query is one" 0 "$(generate --table orders --key id --service sku --quantity 1 \
    --pending "status = 'paid' OR status = (SELECT 'again') -- later" >/dev/null 2>&1; echo $?)"
for pack in 0 -3 1.5 10000000000; do is "--pack $pack" 1 "$(generate --table orders --key id --service sku --quantity qty --pack $pack --pending true 2>&1 | grep -c 'chwsyncd: --pack: ')"; done
is "the table is still there" orders "$(ask "SELECT to_regclass('orders')")"
done_testing
