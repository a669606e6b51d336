# tests/lib/cluster.sh - a throwaway PostgreSQL cluster. Source it from bash; it sets no shell options and no traps, but a umask
# under which the cluster's owner can read what a test writes for it.
#
#     . tests/lib/cluster.sh
#     trap cluster_stop_all EXIT
#     cluster_start [tcp] [bench] [NAME=VALUE ...]    exports PGHOST PGPORT PGUSER PGDATABASE CLUSTER_DIR CLUSTER_BIN CLUSTER_LOG
#     CLUSTER_CLOCK=FILE cluster_start ...            its clock is the one that FILE sets (stepped_clock.so), also after a restart
#     cluster_psql -c 'SELECT 1'                      psql without a start-up file, stopping at the first error
#
#     cluster_pause, cluster_resume    freezes every server process, as a stalled machine would
#     cluster_kill                     kill -9 of all of them; cluster_restart brings the cluster back through recovery
#     cluster_halt [-m MODE]           stops it and keeps it; MODE is smart, fast (default) or immediate
#     cluster_restart [-m MODE]        also starts one that was halted or killed
#     cluster_stop                     ends it at once and removes it
#     cluster_use DIR                  when several run: the one that the environment and these functions mean
#     cluster_stop_all                 for the trap
#
# The server listens on a unix socket in its own directory alone; with `tcp` also on PGPORT of 127.0.0.1 (PGHOST stays the socket's
# directory). Everybody is trusted. `bench` gives it memory as a small real server would have. fsync is on: tests kill it.
# The functions return non-zero and show the server's log on stderr when something fails. Call them in the main shell, not in $( ).

umask 022
declare -a cluster_all=()

# Runs a command as the cluster's owner, in its directory, without the caller's descriptors: a server that kept the
# test's pipes would leave their reader waiting for ever.
cluster_as_owner() {
    (
        cd "$CLUSTER_DIR" || exit 1
        for descriptor in /proc/self/fd/*; do
            descriptor=${descriptor##*/}
            [ "$descriptor" -le 2 ] || eval "exec $descriptor>&-"
        done
        unset PGDATA PGOPTIONS PGSERVICE PGPASSFILE PGPASSWORD
        owner=$(stat -c %U "$CLUSTER_DIR")
        if [ "$(id -un)" = "$owner" ]; then
            exec "$@"
        fi
        exec setpriv --reuid="$owner" --regid="$(id -g "$owner")" --clear-groups "$@"
    ) </dev/null
}

cluster_failed() {
    echo "cluster: $*" >&2
    [ ! -s "$CLUSTER_LOG" ] || tail -n 30 "$CLUSTER_LOG" >&2
    return 1
}

cluster_newest_bin() {
    local newest
    newest=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
    [ -x "$newest/initdb" ] && echo "$newest"
}

cluster_use() {
    export CLUSTER_DIR=$1 CLUSTER_LOG=$1/log PGHOST=$1 PGUSER=postgres PGDATABASE=postgres
    export CLUSTER_BIN PGPORT
    CLUSTER_BIN=$(cat "$1/bin") || return
    PGPORT=$(cat "$1/port")
}

# A port on which nobody answers now. Another one may take it before the server does: cluster_start then tries the next.
cluster_free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 12000))
        (: </dev/tcp/127.0.0.1/$port) 2>/dev/null || break
    done
    echo "$port"
}

cluster_launch() {
    local clock=()
    [ ! -e "$CLUSTER_DIR/clock" ] || clock=(env "LD_PRELOAD=$CLUSTER_DIR/stepped_clock.so" "CHW_CLOCK_FILE=$(cat "$CLUSTER_DIR/clock")")
    cluster_as_owner "${clock[@]}" "$CLUSTER_BIN/pg_ctl" -D "$CLUSTER_DIR/data" -l "$CLUSTER_LOG" -o "-p $PGPORT" -w -t 60 start \
        >>"$CLUSTER_DIR/pg_ctl" 2>&1
}

cluster_start() {
    local bin directory tcp='' buffers=32MB setting attempt owner
    local -a settings=()
    for setting in "$@"; do
        case $setting in
            tcp) tcp=127.0.0.1 ;;
            bench) buffers=256MB ;;
            *=*) settings+=("${setting%%=*} = '${setting#*=}'") ;;
            *) echo "cluster: no such option: $setting" >&2; return 1 ;;
        esac
    done
    bin=$(cluster_newest_bin) || { echo "cluster: no PostgreSQL server under /usr/lib/postgresql" >&2; return 1; }
    directory=$(mktemp -d /tmp/chwsyncd-cluster.XXXXXX) && chmod 0755 "$directory" || return
    echo "$bin" >"$directory/bin"
    echo 5432 >"$directory/port"
    if [ -n "${CLUSTER_CLOCK:-}" ]; then # the project may stand where its owner alone may go, as root's home is
        install -m 0755 "${BUILD:-build}/stepped_clock.so" "$directory/" && echo "$CLUSTER_CLOCK" >"$directory/clock" || return
    fi
    if [ "$(id -u)" = 0 ]; then
        owner=$(id -un postgres 2>/dev/null || echo nobody)
        chown "$owner" "$directory"
    fi
    cluster_use "$directory"
    cluster_all+=("$directory")

    cluster_as_owner "$bin/initdb" -D "$directory/data" -U postgres --locale=C.UTF-8 -E UTF8 --no-sync --auth=trust \
        >"$directory/initdb" 2>&1 || { cat "$directory/initdb" >&2; cluster_stop; return 1; }
    # Shared memory in files of the directory: what is left after a kill -9 goes with it.
    cat >>"$directory/data/postgresql.conf" <<SETTINGS
listen_addresses = '$tcp'
unix_socket_directories = '$directory'
max_connections = 200
shared_buffers = $buffers
dynamic_shared_memory_type = mmap
fsync = on
autovacuum = on
log_line_prefix = '%m [%p] %a '
SETTINGS
    printf '%s\n' "${settings[@]}" >>"$directory/data/postgresql.conf"

    for attempt in 1 2 3 4 5; do
        if [ -n "$tcp" ]; then
            PGPORT=$(cluster_free_port)
            echo "$PGPORT" >"$directory/port"
        fi
        cluster_launch && return 0
        [ -n "$tcp" ] || break
    done
    cluster_failed "the server did not start (attempt $attempt)"
    cluster_stop
    return 1
}

# The postmaster's process id; fails when none runs. A process that nobody has reaped yet does not run.
cluster_postmaster() {
    local pid
    pid=$(head -n 1 "$CLUSTER_DIR/data/postmaster.pid" 2>/dev/null) && cluster_runs "$pid" && echo "$pid"
}

cluster_runs() {
    local state
    state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null)
    [ -n "$state" ] && [ "$state" != Z ]
}

# The postmaster goes first: frozen, it starts no further backend, so the list is complete.
cluster_freeze() {
    local postmaster
    postmaster=$(cluster_postmaster) || return
    kill -STOP "$postmaster" || return
    # shellcheck disable=SC2046 # a list of process ids
    set -- $(cat "/proc/$postmaster/task/$postmaster/children")
    [ $# = 0 ] || kill -STOP "$@" 2>/dev/null || :
    echo "$postmaster $*"
}

cluster_pause() {
    cluster_freeze >/dev/null
}

cluster_resume() {
    local postmaster
    postmaster=$(cluster_postmaster) || return
    # shellcheck disable=SC2046
    kill -CONT $(cat "/proc/$postmaster/task/$postmaster/children") "$postmaster" 2>/dev/null || :
}

cluster_kill() {
    local pids pid segment
    pids=$(cluster_freeze) || return
    segment=$(sed -n '7s/.* //p' "$CLUSTER_DIR/data/postmaster.pid")
    # shellcheck disable=SC2086
    kill -KILL $pids 2>/dev/null || :
    for pid in $pids; do
        while cluster_runs "$pid"; do sleep 0.01; done
    done
    # Where nobody reaps them they look alive to the next postmaster, which would then refuse to start.
    rm -f "$CLUSTER_DIR/data/postmaster.pid" "$CLUSTER_DIR"/.s.PGSQL.*.lock
    [ -z "$segment" ] || ipcrm -m "$segment" 2>/dev/null || :
    return 0
}

cluster_halt() {
    local mode=fast
    [ "${1:-}" != -m ] || mode=$2
    cluster_postmaster >/dev/null || return 0
    cluster_resume
    cluster_as_owner "$CLUSTER_BIN/pg_ctl" -D "$CLUSTER_DIR/data" -m "$mode" -w -t 60 stop >>"$CLUSTER_DIR/pg_ctl" 2>&1 ||
        cluster_failed "the server did not stop"
}

cluster_restart() {
    cluster_halt "$@" && { cluster_launch || cluster_failed "the server did not start again"; }
}

cluster_psql() {
    "$CLUSTER_BIN/psql" -X -q -v ON_ERROR_STOP=1 "$@"
}

cluster_stop() {
    local directory kept=()
    [ -d "${CLUSTER_DIR:-}" ] || return 0
    cluster_kill || : "it had stopped already"
    rm -rf "$CLUSTER_DIR"
    for directory in "${cluster_all[@]}"; do
        [ "$directory" = "$CLUSTER_DIR" ] || kept+=("$directory")
    done
    cluster_all=("${kept[@]}")
    unset CLUSTER_DIR CLUSTER_BIN CLUSTER_LOG PGHOST PGPORT PGUSER PGDATABASE
}

cluster_stop_all() {
    local directory
    for directory in "${cluster_all[@]}"; do
        cluster_use "$directory" && cluster_stop
    done
}

# A second session runs SQL and keeps its transaction, and with it its locks, until cluster_release.
cluster_hold() { # SQL
    local line
    coproc HOLDER { cluster_psql -At 2>&1; }
    cluster_holder=$HOLDER_PID
    printf 'BEGIN;\n%s;\n\\echo held\n' "$1" >&"${HOLDER[1]}"
    while read -r line <&"${HOLDER[0]}" && [ "$line" != held ]; do :; done
}
cluster_release() { # [COMMIT]; else ROLLBACK
    printf '%s;\n\\q\n' "${1:-ROLLBACK}" >&"${HOLDER[1]}"
    wait "$cluster_holder" 2>/dev/null
}
