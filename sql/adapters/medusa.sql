-- adapters/medusa.sql - connects Medusa 2.x to chwsyncd. Tried on the real schema of Medusa 2.15.2.
--
-- sample-store.sql explains what an adapter is and why each step is as it is; here stands what is Medusa's own.
--
--     psql -d shop -v ON_ERROR_STOP=1 -f medusa.sql     as the owner of the tables, or a superuser; as often as you like
--     chwsyncd check
--
-- WHAT IT READS. variant_sku is the provider's service id. The metadata of the order's line item has link, and, where a
-- service needs them, comments, usernames, hashtags, username, runs, interval, min, max, pack_size (pieces one unit stands
-- for; 1 without).
--
-- WHAT MEDUSA DOES.
-- * order_item is versioned: each edit, fulfilment or return writes all rows anew. What stays the same is the
--   order_line_item, so its id is the key, and of order_item the row of the order's present version counts.
-- * Whether an order is paid stands in its payment collections, by a link table. An edit that makes it dearer adds another
--   collection: while that is not paid, nothing of the order is sent.
-- * Rows are deleted by setting deleted_at, in every table.
-- * quantity is numeric: what is no whole number is shown without a quantity, so that the daemon refuses this one.
-- * There is no log or outbox table for others to write: the shop reads chwsync_shop.line, or chwsync.order_status.
--
-- What --queue and --wake need: table | columns | when | the keys of its lines
-- @trigger public.payment_collection | status | NEW.status = 'completed' | SELECT i.item_id FROM public.order_payment_collection p JOIN public."order" o ON o.id = p.order_id JOIN public.order_item i ON i.order_id = o.id AND i.version = o.version WHERE p.payment_collection_id = NEW.id
-- @trigger public.order_payment_collection | deleted_at | NEW.deleted_at IS NULL | SELECT i.item_id FROM public."order" o JOIN public.order_item i ON i.order_id = o.id AND i.version = o.version WHERE o.id = NEW.order_id
-- @trigger public."order" | version | NEW.version > 1 | SELECT i.item_id FROM public.order_item i WHERE i.order_id = NEW.id AND i.version = NEW.version
-- @lines public.order_line_item l | l.id

BEGIN;
SET LOCAL lock_timeout = '10s';
SET LOCAL client_min_messages = warning;

-- 1. Rights of view and function. UPDATE (updated_at) is what PostgreSQL asks for a row lock; it is never written.
GRANT USAGE ON SCHEMA public TO chwsync_adapter;
GRANT SELECT ON public."order", public.order_item, public.order_line_item, public.order_payment_collection,
    public.payment_collection TO chwsync_adapter;
GRANT UPDATE (updated_at) ON public."order", public.order_line_item TO chwsync_adapter;

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
       l.id AS order_ref,
       CASE WHEN coalesce(x.pieces % x.runs = 0, true) THEN l.variant_sku END AS service,
       nullif(btrim(l.metadata ->> 'link'), '') AS link,
       x.pieces / coalesce(x.runs, 1) AS quantity,
       x.runs,
       CASE WHEN x.runs IS NOT NULL THEN chwsync.try_bigint(l.metadata ->> 'interval') END AS "interval",
       chwsync.try_bigint(l.metadata ->> 'min') AS min,
       chwsync.try_bigint(l.metadata ->> 'max') AS max,
       l.metadata ->> 'comments' AS comments,
       l.metadata ->> 'usernames' AS usernames,
       l.metadata ->> 'hashtags' AS hashtags,
       l.metadata ->> 'username' AS username,
       o.display_id::text AS display_ref,
       o.created_at
  FROM public."order" o
  JOIN public.order_item i ON i.order_id = o.id AND i.version = o.version
  JOIN public.order_line_item l ON l.id = i.item_id
 CROSS JOIN LATERAL (SELECT i.quantity - i.return_received_quantity - i.written_off_quantity AS units OFFSET 0) q
 -- OFFSET 0 keeps the planner from writing the calls out again for each use.
 CROSS JOIN LATERAL (SELECT nullif(greatest(chwsync.try_bigint(l.metadata ->> 'runs'), 1), 1) AS runs,
                            CASE WHEN q.units = trunc(q.units) AND q.units < 1e15 THEN q.units::bigint END
                            * coalesce(chwsync.try_bigint(l.metadata ->> 'pack_size'), 1) AS pieces
                     OFFSET 0) x
 WHERE o.status IN ('pending', 'completed')
   AND o.canceled_at IS NULL
   AND o.deleted_at IS NULL
   AND i.deleted_at IS NULL
   AND l.deleted_at IS NULL
   AND NOT o.is_draft_order
   AND q.units > 0
   AND o.created_at >= (SELECT placed_at FROM chwsync_shop.since)
   -- Paid, and nothing of it open or given back.
   AND (SELECT coalesce(bool_or(c.status = 'completed'), false)
               AND bool_and(c.status IN ('completed', 'canceled', 'failed'))
               AND coalesce(sum(c.refunded_amount), 0)
                   < coalesce(sum(coalesce(nullif(c.captured_amount, 0), c.amount)) FILTER (WHERE c.status = 'completed'), 0)
          FROM public.order_payment_collection p
          JOIN public.payment_collection c ON c.id = p.payment_collection_id AND c.deleted_at IS NULL
         WHERE p.order_id = o.id AND p.deleted_at IS NULL);

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
    wanted public.order_line_item.id%TYPE; -- as the shop has it
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
        PERFORM FROM public.order_line_item l
           JOIN public.order_item i ON i.item_id = l.id
           JOIN public."order" o ON o.id = i.order_id AND o.version = i.version
          WHERE l.id = wanted
            FOR NO KEY UPDATE OF l, o SKIP LOCKED;
        IF NOT FOUND THEN
            RETURN CASE WHEN NOT EXISTS (SELECT FROM public.order_line_item l WHERE l.id = wanted) THEN false END;
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
        IF NOT EXISTS (SELECT FROM public.order_line_item l WHERE l.id = wanted) THEN
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

COMMENT ON VIEW chwsync_shop.pending_orders IS 'Lines of Medusa that chwsyncd may send now.';
COMMENT ON VIEW chwsync_shop.wanted_lines IS 'Lines of Medusa that are to be delivered, taken or not.';
COMMENT ON FUNCTION chwsync_shop.write_back(chwsync.result) IS 'Asked by chwsyncd before it sends a line, and told what became of it.';
COMMENT ON TABLE chwsync_shop.line IS 'What chwsyncd reported of each line; the shop may read it.';
COMMENT ON TABLE chwsync_shop.since IS 'Orders placed before this moment are left alone.';

COMMIT;
