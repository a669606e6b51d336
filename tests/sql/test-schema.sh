#!/bin/bash
# `chwsyncd schema` installs, upgrades and shows, with and without rights, once, twice, at once and with faults. TAP on stdout.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/cluster.sh
. tests/lib/tap.sh
trap cluster_stop_all EXIT

chwsyncd=${BUILD:-build}/chwsyncd

# ask DATABASE SQL, as a superuser; ask_as USER DATABASE SQL
ask() { cluster_psql -At -d "$1" -c "$2" 2>&1; }
ask_as() { cluster_psql -At -U "$1" -d "$2" -c "$3" 2>&1; }

# schema USER DATABASE ACTION...: leaves what it printed in `said` and its exit code in `code`
schema() {
    local user=$1 database=$2
    shift 2
    said=$("$chwsyncd" schema "$@" --conninfo "host=$PGHOST port=$PGPORT dbname=$database user=$user" 2>&1)
    code=$?
}
objects() { ask "$1" "SELECT count(*) FROM pg_class WHERE relnamespace = 'chwsync'::regnamespace AND relkind IN ('r', 'v')"; }
owner() { ask "$1" "SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = '$2'"; }

version=$(ls sql/schema/[0-9][0-9][0-9]-*.sql | tail -n 1 | sed 's#.*/0*\([0-9]*\)-.*#\1#')

without_the_right_to_create_roles() {
    ask postgres "CREATE ROLE plain LOGIN" && ask postgres "CREATE DATABASE plain"
    schema plain plain install
    is "without CREATE on the database: permission" 77 "$code"
    has "... and the remedy" "GRANT CREATE ON DATABASE plain TO plain" "$said"
    is "... and nothing is left" "" "$(owner plain chwsync)"

    ask postgres "GRANT CREATE ON DATABASE plain TO plain" >/dev/null
    schema plain plain install
    is "a plain user installs" 0 "$code"
    is "... and owns both schemas" "plain plain" "$(owner plain chwsync) $(owner plain chwsync_shop)"
    is "... everything in them too" plain "$(ask plain "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class
        WHERE relnamespace = 'chwsync'::regnamespace AND relkind IN ('r', 'v')")"
    is "... is told the missing statements" "CREATE ROLE chwsync LOGIN NOINHERIT;
CREATE ROLE chwsync_adapter NOLOGIN;
CREATE ROLE chwsync_owner NOLOGIN;
CREATE ROLE chwsync_reader NOLOGIN;" "$(grep -o 'CREATE ROLE.*;' <<<"$said" | sort)"
    has "... and that the daemon may be this user" "the daemon can connect as plain" "$said"
    is "... which has its rights" 1 "$(ask_as plain plain "INSERT INTO chwsync.orders (order_ref, provider) VALUES ('a', 'p') RETURNING 1")"

    grep -o 'CREATE ROLE.*;' <<<"$said" | cluster_psql -d plain
    schema plain plain install
    is "once a superuser made the roles, a repetition" 0 "$code"
    has "... finds the version there" "already at version $version" "$said"
    is "... and gives the daemon's role its rights" 1 \
        "$(ask_as chwsync plain "INSERT INTO chwsync.orders (order_ref, provider) VALUES ('b', 'p') RETURNING 1")"
    is "... also to look into the shop's schema" t "$(ask plain "SELECT has_schema_privilege('chwsync', 'chwsync_shop', 'USAGE')")"
    ask postgres "CREATE ROLE stranger LOGIN" >/dev/null
    schema stranger plain upgrade
    is "a stranger may not upgrade it" 77 "$code"
    ask postgres "DROP DATABASE plain" >/dev/null
    ask postgres "DROP ROLE chwsync, chwsync_owner, chwsync_adapter, chwsync_reader" >/dev/null
}

with_the_right_to_create_roles() {
    ask postgres "CREATE ROLE maker LOGIN CREATEROLE" >/dev/null && ask postgres "CREATE DATABASE made OWNER maker" >/dev/null
    schema maker made install
    is "a user who may create roles installs" 0 "$code"
    is "... for the roles" "chwsync_owner chwsync_adapter" "$(owner made chwsync) $(owner made chwsync_shop)"
    is "... and nothing is left to do" "" "$(grep 'superuser' <<<"$said")"
    schema maker made upgrade
    is "... and may upgrade" 0 "$code"
    ask postgres "DROP DATABASE made" >/dev/null
}

superuser_installs() {
    ask postgres "CREATE DATABASE shop" >/dev/null
    ask shop "CREATE TABLE customers (secret text)" >/dev/null
    schema postgres shop upgrade
    is "upgrade where nothing is installed" 1 "$code"
    has "... says what to do" "HINT: chwsyncd schema install" "$said"
    schema postgres shop show
    is "show where nothing is installed" 1 "$code"
    schema postgres shop install
    is "a superuser installs" 0 "$code"
    has "... version $version" "installed at version $version" "$said"
    is "... which the README shows too" "" "$(grep -oE 'is (installed )?at version [0-9]+' README.md | grep -v " $version\$")"
    is "... for the roles" "chwsync_owner chwsync_adapter" "$(owner shop chwsync) $(owner shop chwsync_shop)"
    local before
    before=$(ask shop "SELECT installed_at, digest_salt, schema_version, upgraded_at FROM chwsync.ledger")
    schema postgres shop install
    is "a second time" 0 "$code"
    has "... it is there already" "already at version $version" "$said"
    is "... and unchanged" "$before" "$(ask shop "SELECT installed_at, digest_salt, schema_version, upgraded_at FROM chwsync.ledger")"
    schema postgres shop upgrade --json
    is "upgrade at the same version" "0 object $version" "$code $(ask shop "SELECT json_typeof(j), j ->> 'version' FROM (SELECT \$json\$$said\$json\$::json) AS s(j)" | tr '|' ' ')"
}

rights_are_few() {
    has "the daemon's role reads no table of the shop" "permission denied for table customers" "$(ask_as chwsync shop "SELECT * FROM customers")"
    is "... writes the ledger" "1 2 3" "$(echo $(ask_as chwsync shop "INSERT INTO chwsync.history (order_id, event) VALUES (1, 'x') RETURNING 1"
        ask_as chwsync shop "UPDATE chwsync.history SET event = 'y' RETURNING 2"
        ask_as chwsync shop "DELETE FROM chwsync.history RETURNING 3"))"
    has "... but not its version" "permission denied" "$(ask_as chwsync shop "UPDATE chwsync.ledger SET schema_version = 2")"
    has "... and creates nothing there" "permission denied" "$(ask_as chwsync shop "CREATE TABLE chwsync.more ()")"
    has "... nor in the shop's schema" "permission denied" "$(ask_as chwsync shop "CREATE TABLE chwsync_shop.more ()")"
    is "the adapter's role may use the type and the helpers" "42" \
        "$(ask shop "SET ROLE chwsync_adapter; CREATE FUNCTION chwsync_shop.f(r chwsync.result) RETURNS bigint LANGUAGE sql AS 'SELECT chwsync.try_bigint(''42'')'; SELECT chwsync_shop.f(NULL)" | tail -n 1)"
    has "... but not the ledger" "permission denied" "$(ask shop "SET ROLE chwsync_adapter; SELECT * FROM chwsync.orders")"
    ask shop "CREATE ROLE clerk LOGIN; GRANT chwsync_reader TO clerk" >/dev/null
    is "a reader reads the views" 0 "$(ask_as clerk shop "SELECT count(*) FROM chwsync.order_status")"
    has "... alone" "permission denied" "$(ask_as clerk shop "SELECT * FROM chwsync.orders")"
    ask shop "REVOKE ALL ON chwsync.orders FROM chwsync" >/dev/null
    schema postgres shop upgrade
    is "an upgrade repeats the grants" "0" "$(ask_as chwsync shop "SELECT count(*) FROM chwsync.orders")"
}

show_tells() {
    schema postgres shop show
    is "show" 0 "$code"
    has "... the version" "is at version $version \(this chwsyncd needs $version\)" "$said"
    has "... the owner" "chwsync +belongs to chwsync_owner" "$said"
    has "... the roles" "chwsync +present .*may log in" "$said"
    has "... the objects" "chwsync.orders +table +chwsync_owner" "$said"
    is "... within 80 columns" "" "$(awk 'length($0) > 80' <<<"$said")"
    schema postgres shop show --json
    is "... as JSON" "$version chwsync_owner 4" "$(ask shop "SELECT j ->> 'version', j ->> 'owner', json_array_length(j -> 'roles')
        FROM (SELECT \$json\$$said\$json\$::json) AS s(j)" | tr '|' ' ')"
}

newer_schema_is_refused() {
    ask shop "UPDATE chwsync.ledger SET schema_version = 99" >/dev/null
    local action
    for action in install upgrade; do
        schema postgres shop $action
        is "$action refuses a newer schema" 1 "$code"
        has "... with a sentence" "at version 99, newer than this chwsyncd, which knows $version" "$said"
    done
    is "... and touches nothing" 99 "$(ask shop "SELECT schema_version FROM chwsync.ledger")"
    ask shop "UPDATE chwsync.ledger SET schema_version = $version" >/dev/null
}

two_at_once() {
    local round outcome=''
    for round in 1 2 3; do
        ask postgres "CREATE DATABASE pair$round" >/dev/null
        for side in a b; do
            "$chwsyncd" schema install --conninfo "host=$PGHOST dbname=pair$round user=postgres" >"$CLUSTER_DIR/pair-$side" 2>&1 &
        done
        wait -n; outcome+="$? "
        wait -n; outcome+="$? "
        outcome+="$(cat "$CLUSTER_DIR"/pair-? | grep -c 'is installed at version') "
        outcome+="$(cat "$CLUSTER_DIR"/pair-? | grep -c 'already at version') "
    done
    is "two installs at once: one does it, the other finds it" "0 0 1 1 0 0 1 1 0 0 1 1 " "$outcome"
}

failure_leaves_nothing() {
    ask postgres "CREATE DATABASE broken" >/dev/null
    ask broken "CREATE SCHEMA chwsync AUTHORIZATION chwsync_owner; CREATE TABLE chwsync.write_backs (mine int)" >/dev/null
    schema postgres broken install
    is "a failure in the middle" 1 "$code"
    has "... names the file" 'sql/schema/001-ledger.sql: relation "write_backs" already exists' "$said"
    is "... leaves nothing behind" "1 0 " "$(objects broken) $(ask broken "SELECT count(*) FROM pg_type
        WHERE typnamespace = 'chwsync'::regnamespace AND typname IN ('order_state', 'result')") $(owner broken chwsync_shop)"
    ask broken "DROP TABLE chwsync.write_backs" >/dev/null
    schema postgres broken install
    is "... and works once mended" 0 "$code"
}

no_connection() {
    said=$("$chwsyncd" schema install --conninfo "host=$CLUSTER_DIR/nowhere user=postgres" 2>&1)
    is "no server: unavailable" 69 "$?"
    is "... in one sentence and a hint" "1 1" "$(grep -c '^chwsyncd: ' <<<"$said") $(grep -c 'HINT: ' <<<"$said")"
    said=$("$chwsyncd" schema show --conninfo "host=x password=topsecret =" 2>&1)
    is "a conninfo that cannot be read" "69 0" "$? $(grep -c topsecret <<<"$said")"
}

configuration_names_the_database() {
    cat >"$CLUSTER_DIR/chwsyncd.conf" <<CONF
database = { conninfo = "host=$PGHOST dbname=shop user=chwsync"; };
shop = { default_provider = "p"; };
providers = ( { name = "p"; url = "http://127.0.0.1:9/"; key_file = "p.key"; } );
CONF
    said=$("$chwsyncd" schema upgrade --config "$CLUSTER_DIR/chwsyncd.conf" 2>&1)
    is "the configuration's database, as the calling user" "0 Database shop: schema chwsync is already at version $version." "$? $(head -n 1 <<<"$said")"
    said=$("$chwsyncd" schema upgrade --config "$CLUSTER_DIR/none.conf" 2>&1)
    is "no configuration" 78 "$?"
}

cluster_start || exit 1
without_the_right_to_create_roles
with_the_right_to_create_roles
superuser_installs
rights_are_few
show_tells
newer_schema_is_refused
two_at_once
failure_leaves_nothing
no_connection
configuration_names_the_database
done_testing
