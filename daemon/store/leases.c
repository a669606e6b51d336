#include "store/leases.h"

/* The clock is the database's alone. A holder whose journal can be locked is dead; one whose
 * expires_at stood still for longer than a lease is too, whatever the clock says meanwhile. */
static const struct statement take_statement = {
    .name = "take the lease",
    .text =
        "WITH before AS MATERIALIZED (\n"
        "    SELECT l.holder FROM chwsync.leases l WHERE l.account_id = $1::int\n"
        "), taken AS (\n"
        "    INSERT INTO chwsync.leases AS l (account_id, holder, number, journal, expires_at)\n"
        "    VALUES ($1::int, $2::uuid, 1, $3::uuid, clock_timestamp() + interval '10 seconds')\n"
        "    ON CONFLICT (account_id) DO UPDATE\n"
        "       SET holder = excluded.holder, number = l.number + (l.holder <> "
        "excluded.holder)::int,\n"
        "           journal = coalesce(excluded.journal, l.journal), expires_at = "
        "excluded.expires_at,\n"
        "           taken_at = CASE WHEN l.holder = excluded.holder THEN l.taken_at\n"
        "                           ELSE clock_timestamp() END\n"
        "     WHERE l.holder = excluded.holder\n"
        "        OR l.expires_at < clock_timestamp() - make_interval(secs => $6::int)\n"
        "        OR l.journal = ANY ($4::uuid[]) OR l.expires_at = $5::timestamptz\n"
        "    RETURNING l.number, l.claims, l.expires_at\n"
        ")\n"
        "SELECT t.number IS NOT NULL, t.number, t.claims, b.holder <> $2::uuid,\n"
        "       greatest(ceil(extract(epoch FROM o.expires_at - clock_timestamp())), 0)::bigint,\n"
        "       coalesce(t.expires_at, o.expires_at)::text, pg_postmaster_start_time()::text,\n"
        "       s.stops, s.order_ref\n"
        "  FROM (SELECT count(*) AS stops, min(x.order_ref) AS order_ref FROM chwsync.submit_stops "
        "x\n"
        "         WHERE x.account_id = $1::int AND x.released_at IS NULL) s\n"
        "  LEFT JOIN taken t ON true LEFT JOIN before b ON true\n"
        "  LEFT JOIN chwsync.leases o ON o.account_id = $1::int",
};

int leases_take(struct connection *lane, const struct lease_request *request, store_done done,
                void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {
        .statement = &take_statement, .values = &values, .lock_timeout_ms = 500};

    values_add_integer(&values, request->account_id);
    values_add_text(&values, request->instance);
    values_add_text(&values, request->journal);
    values_begin_array(&values);
    for (size_t i = 0; i < request->dead_count; i++)
        values_add_text(&values, request->dead_journals[i]);
    values_end_array(&values);
    values_add_text(&values, request->unchanged);
    values_add_integer(&values, request->patience_s);
    return connection_run(lane, &transaction, done, userdata);
}

static const struct statement give_up_statement = {
    .name = "give up the lease",
    .text = "UPDATE chwsync.leases SET expires_at = clock_timestamp()\n"
            " WHERE account_id = $1::int AND holder = $2::uuid",
};

int leases_give_up(struct connection *lane, int account_id, const char *instance, store_done done,
                   void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {
        .statement = &give_up_statement, .values = &values, .lock_timeout_ms = 500};

    values_add_integer(&values, account_id);
    values_add_text(&values, instance);
    return connection_run(lane, &transaction, done, userdata);
}
