-- adapters/spree.sql - connects Spree 4 and 5, and Solidus, to chwsyncd. Tried on a replica of their tables only.
-- Written from their source (the replica: tests/sql/replicas/spree.sql): look at the result of `chwsyncd check` with care.
--
-- sample-store.sql explains what an adapter is and why each step is as it is; here stands what is Spree's own.
--
--     psql -d shop -v ON_ERROR_STOP=1 -f spree.sql     as the owner of the tables, or a superuser; as often as you like
--     chwsyncd check
--
-- WHAT IT READS. spree_variants.sku is the provider's service id. The metadata of the line item (private_metadata over
-- public_metadata; Solidus: admin_metadata over customer_metadata) has link, and, where a service needs them, comments,
-- usernames, hashtags, username, runs, interval, min, max, pack_size (pieces one unit stands for; 1 without). They are read
-- out of the row as JSON, so that the same file fits all of them.
--
-- WHAT SPREE DOES.
-- * Carts are in the same table: only state = 'complete' is an order. payment_state says whether it is paid.
-- * A canceled order has canceled_at; it goes with the state in Spree, and stays beside it in Solidus.
-- * Timestamps have no zone and are UTC.
-- * Events are published by the shop's code, never by a changed row: nothing is written into the shop's tables. The shop
--   reads chwsync_shop.line, or chwsync.order_status.
-- * Spree 6 renames columns (status = 'placed', payment_status): change the conditions of the view and the trigger then.
--
-- What --queue and --wake need: table | columns | when | the keys of its lines
-- @trigger public.spree_orders | payment_state, state | NEW.payment_state IN ('paid', 'credit_owed') AND NEW.state = 'complete' | SELECT l.id FROM public.spree_line_items l WHERE l.order_id = NEW.id
-- @lines public.spree_line_items l | l.id

BEGIN;
SET LOCAL lock_timeout = '10s';
SET LOCAL client_min_messages = warning;

-- 1. Rights of view and function. UPDATE (updated_at) is what PostgreSQL asks for a row lock; it is never written.
GRANT USAGE ON SCHEMA public TO chwsync_adapter;
GRANT SELECT ON public.spree_orders, public.spree_line_items, public.spree_variants TO chwsync_adapter;
GRANT UPDATE (updated_at) ON public.spree_orders, public.spree_line_items TO chwsync_adapter;

SET LOCAL ROLE chwsync_adapter;

-- 2. What was reported of each line, without a foreign key; and from which day on orders count. The day before the first
--    installation: what is older was delivered by other means. To change it, update the row.
CREATE TABLE IF NOT EXISTS chwsync_shop.line (
    order_ref text PRIMARY KEY,
    status text NOT NULL,
    provider_order_id text,
    charge numeric,
    currency text,
    start_count bigint,
    remains bigint,
    error text,
    seq bigint NOT NULL,
    told text,             -- the last end of delivery that the shop was told of,
    told_seq bigint,       -- and the report that brought it
    taken_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 60);
CREATE TABLE IF NOT EXISTS chwsync_shop.since (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    placed_at timestamptz NOT NULL
);
INSERT INTO chwsync_shop.since (placed_at) VALUES (now() - interval '1 day') ON CONFLICT DO NOTHING;

-- 3. The lines that the shop wants delivered, taken or not; and of those the ones that may be sent now.
--    Where pieces cannot be divided by runs the line is shown without a service, so that the daemon refuses this one.
DROP VIEW IF EXISTS chwsync_shop.pending_orders;
DROP VIEW IF EXISTS chwsync_shop.wanted_lines;
CREATE VIEW chwsync_shop.wanted_lines AS
SELECT l.id AS line_id,
       l.id::text AS order_ref,
       CASE WHEN coalesce(x.pieces % x.runs = 0, true) THEN v.sku::text END AS service,
       nullif(btrim(j.asked ->> 'link'), '') AS link,
       x.pieces / coalesce(x.runs, 1) AS quantity,
       x.runs,
       CASE WHEN x.runs IS NOT NULL THEN chwsync.try_bigint(j.asked ->> 'interval') END AS "interval",
       chwsync.try_bigint(j.asked ->> 'min') AS min,
       chwsync.try_bigint(j.asked ->> 'max') AS max,
       j.asked ->> 'comments' AS comments,
       j.asked ->> 'usernames' AS usernames,
       j.asked ->> 'hashtags' AS hashtags,
       j.asked ->> 'username' AS username,
       o.number::text AS display_ref,
       o.completed_at AT TIME ZONE 'UTC' AS created_at
  FROM public.spree_orders o
  JOIN public.spree_line_items l ON l.order_id = o.id
  JOIN public.spree_variants v ON v.id = l.variant_id
 -- OFFSET 0 keeps the planner from writing the calls out again for each use.
 CROSS JOIN LATERAL (SELECT to_jsonb(l) AS line OFFSET 0) t
 CROSS JOIN LATERAL (SELECT coalesce(nullif(t.line -> 'public_metadata', 'null'), '{}')
                            || coalesce(nullif(t.line -> 'customer_metadata', 'null'), '{}')
                            || coalesce(nullif(t.line -> 'admin_metadata', 'null'), '{}')
                            || coalesce(nullif(t.line -> 'private_metadata', 'null'), '{}') AS asked OFFSET 0) j
 CROSS JOIN LATERAL (SELECT nullif(greatest(chwsync.try_bigint(j.asked ->> 'runs'), 1), 1) AS runs,
                            l.quantity::bigint
                            * coalesce(chwsync.try_bigint(j.asked ->> 'pack_size'), 1) AS pieces
                     OFFSET 0) x
 WHERE o.state = 'complete'
   AND o.payment_state IN ('paid', 'credit_owed')
   AND o.canceled_at IS NULL
   AND l.quantity > 0
   AND o.completed_at AT TIME ZONE 'UTC' >= (SELECT placed_at FROM chwsync_shop.since);

CREATE VIEW chwsync_shop.pending_orders AS
SELECT w.order_ref, w.service, w.link, w.quantity, w.runs, w."interval", w.min, w.max, w.comments, w.usernames, w.hashtags,
       w.username, w.display_ref, w.created_at
  FROM chwsync_shop.wanted_lines w
 WHERE NOT EXISTS (SELECT FROM chwsync_shop.line s
                    WHERE s.order_ref = w.order_ref AND s.status NOT IN ('queued', 'rejected', 'failed'));

-- 4. The function: the veto (status 'submitting'), and the reports.
CREATE OR REPLACE FUNCTION chwsync_shop.write_back(r chwsync.result) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    wanted public.spree_line_items.id%TYPE; -- as the shop has it
    is_end boolean;
BEGIN
    BEGIN
        wanted := r.order_ref;
    EXCEPTION WHEN data_exception THEN
        RETURN false; -- no key of this shop
    END;
    IF wanted::text IS DISTINCT FROM r.order_ref THEN
        RETURN false;
    END IF;

    IF r.status = 'submitting' THEN
        PERFORM FROM public.spree_line_items l JOIN public.spree_orders o ON o.id = l.order_id
          WHERE l.id = wanted
            FOR NO KEY UPDATE SKIP LOCKED;
        IF NOT FOUND THEN
            RETURN CASE WHEN NOT EXISTS (SELECT FROM public.spree_line_items l WHERE l.id = wanted) THEN false END;
        END IF;
        -- A statement of its own: it sees what was committed up to the moment the lock was got.
        IF NOT EXISTS (SELECT FROM chwsync_shop.wanted_lines w WHERE w.line_id = wanted) THEN
            RETURN false;
        END IF;
        INSERT INTO chwsync_shop.line AS s (order_ref, status, seq) VALUES (r.order_ref, r.status, r.seq)
            ON CONFLICT (order_ref) DO UPDATE
               SET status = excluded.status, error = NULL, seq = excluded.seq, updated_at = now()
             WHERE s.seq < excluded.seq;
        IF FOUND THEN
            RETURN true;
        END IF;
        -- The same question once more: the same answer. After a newer report the asker has forgotten something.
        RETURN (SELECT CASE WHEN s.seq = r.seq THEN true END
                  FROM chwsync_shop.line s WHERE s.order_ref = r.order_ref);
    END IF;

    is_end := r.status IN ('completed', 'partial', 'canceled', 'refunded', 'failed', 'rejected', 'abandoned');
    LOOP
        UPDATE chwsync_shop.line s
           SET status = r.status, provider_order_id = r.provider_order_id, charge = r.charge, currency = r.currency,
               start_count = r.start_count, remains = r.remains, error = r.error, seq = r.seq, updated_at = now(),
               told = CASE WHEN is_end THEN r.status ELSE s.told END,
               told_seq = CASE WHEN is_end AND s.told IS DISTINCT FROM r.status THEN r.seq ELSE s.told_seq END
         WHERE s.order_ref = r.order_ref AND s.seq < r.seq;
        EXIT WHEN FOUND;
        IF EXISTS (SELECT FROM chwsync_shop.line s WHERE s.order_ref = r.order_ref) THEN
            RETURN true; -- a repeat, or older than what is known
        END IF;
        IF NOT EXISTS (SELECT FROM public.spree_line_items l WHERE l.id = wanted) THEN
            RETURN false;
        END IF;
        INSERT INTO chwsync_shop.line (order_ref, status, seq) VALUES (r.order_ref, 'submitting', -1)
            ON CONFLICT DO NOTHING;
    END LOOP;

    RETURN true;
END
$$;

-- The daemon's role gets these two, nobody gets more.
REVOKE ALL ON FUNCTION chwsync_shop.write_back(chwsync.result) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION chwsync_shop.write_back(chwsync.result) TO chwsync;
GRANT SELECT ON chwsync_shop.pending_orders TO chwsync;
GRANT USAGE ON SCHEMA chwsync_shop TO chwsync;

COMMENT ON VIEW chwsync_shop.pending_orders IS 'Lines of Spree that chwsyncd may send now.';
COMMENT ON VIEW chwsync_shop.wanted_lines IS 'Lines of Spree that are to be delivered, taken or not.';
COMMENT ON FUNCTION chwsync_shop.write_back(chwsync.result) IS 'Asked by chwsyncd before it sends a line, and told what became of it.';
COMMENT ON TABLE chwsync_shop.line IS 'What chwsyncd reported of each line; the shop may read it.';
COMMENT ON TABLE chwsync_shop.since IS 'Orders placed before this moment are left alone.';

COMMIT;
