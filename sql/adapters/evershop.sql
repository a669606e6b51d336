-- adapters/evershop.sql - connects EverShop 2.x to chwsyncd. Tried on the real schema of EverShop 2.1.2 and of 2.2.1.
--
-- sample-store.sql explains what an adapter is and why each step is as it is; here stands what is EverShop's own.
--
--     psql -d shop -v ON_ERROR_STOP=1 -f evershop.sql     as the owner of the tables, or a superuser; as often as you like
--     chwsyncd check
--
-- WHAT IT READS. product_sku is the provider's service id. What the customer typed is JSON in a text column of the item,
-- requested_data or product_custom_options, which the core leaves alone: an object with link, and, where a service needs
-- them, comments, usernames, hashtags, username, runs, interval, min, max, pack_size (pieces one unit stands for; 1 without).
--
-- WHAT EVERSHOP DOES.
-- * An order of digital goods alone counts as delivered from the moment it is placed: only payment_status tells what is to
--   be done, never shipment_status or status.
-- * Such an order cannot be canceled in the admin any more. What takes a line back is a refund, which changes payment_status.
-- * event is the shop's outbox: its own subscribers get what is written there. Its trigger says NOTIFY new_event for every
--   event of the shop, so wake_channel = "new_event" wakes the daemon and nothing need be installed for that.
--
-- What --queue and --wake need: table | columns | when | the keys of its lines
-- @trigger public."order" | payment_status | NEW.payment_status = 'paid' | SELECT l.order_item_id FROM public.order_item l WHERE l.order_item_order_id = NEW.order_id
-- @lines public.order_item l | l.order_item_id

BEGIN;
SET LOCAL lock_timeout = '10s';
SET LOCAL client_min_messages = warning;

-- 1. Rights of view and function. UPDATE (updated_at, referer) is what PostgreSQL asks for a row lock; it is never written.
GRANT USAGE ON SCHEMA public TO chwsync_adapter;
GRANT SELECT ON public."order", public.order_item TO chwsync_adapter;
GRANT UPDATE (updated_at) ON public."order" TO chwsync_adapter;
GRANT UPDATE (referer) ON public.order_item TO chwsync_adapter;
GRANT INSERT ON public.event, public.order_activity TO chwsync_adapter;

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
--    Text that is no JSON object is the same as none: the line has no link, and the daemon refuses this one alone.
DROP VIEW IF EXISTS chwsync_shop.pending_orders;
DROP VIEW IF EXISTS chwsync_shop.wanted_lines;
CREATE VIEW chwsync_shop.wanted_lines AS
SELECT l.order_item_id AS line_id,
       l.order_item_id::text AS order_ref,
       CASE WHEN coalesce(x.pieces % x.runs = 0, true) THEN l.product_sku::text END AS service,
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
       o.order_number::text AS display_ref,
       o.created_at
  FROM public."order" o
  JOIN public.order_item l ON l.order_item_order_id = o.order_id
 -- OFFSET 0 keeps the planner from writing the calls out again for each use.
 CROSS JOIN LATERAL (SELECT chwsync.try_jsonb(l.requested_data) AS requested,
                            chwsync.try_jsonb(l.product_custom_options) AS options OFFSET 0) t
 CROSS JOIN LATERAL (SELECT CASE jsonb_typeof(t.options) WHEN 'object' THEN t.options ELSE '{}' END
                            || CASE jsonb_typeof(t.requested) WHEN 'object' THEN t.requested ELSE '{}' END AS asked
                     OFFSET 0) j
 CROSS JOIN LATERAL (SELECT nullif(greatest(chwsync.try_bigint(j.asked ->> 'runs'), 1), 1) AS runs,
                            l.qty::bigint
                            * coalesce(chwsync.try_bigint(j.asked ->> 'pack_size'), 1) AS pieces
                     OFFSET 0) x
 WHERE o.payment_status = 'paid'
   AND o.status NOT IN ('canceled', 'closed')
   AND l.qty > 0
   AND o.created_at >= (SELECT placed_at FROM chwsync_shop.since);

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
    wanted public.order_item.order_item_id%TYPE; -- as the shop has it
    is_end boolean;
    is_news boolean;
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
        PERFORM FROM public.order_item l JOIN public."order" o ON o.order_id = l.order_item_order_id
          WHERE l.order_item_id = wanted
            FOR NO KEY UPDATE SKIP LOCKED;
        IF NOT FOUND THEN
            RETURN CASE WHEN NOT EXISTS (SELECT FROM public.order_item l WHERE l.order_item_id = wanted) THEN false END;
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
         WHERE s.order_ref = r.order_ref AND s.seq < r.seq
        RETURNING s.told_seq = r.seq INTO is_news;
        EXIT WHEN FOUND;
        IF EXISTS (SELECT FROM chwsync_shop.line s WHERE s.order_ref = r.order_ref) THEN
            RETURN true; -- a repeat, or older than what is known
        END IF;
        IF NOT EXISTS (SELECT FROM public.order_item l WHERE l.order_item_id = wanted) THEN
            RETURN false;
        END IF;
        INSERT INTO chwsync_shop.line (order_ref, status, seq) VALUES (r.order_ref, 'submitting', -1)
            ON CONFLICT DO NOTHING;
    END LOOP;

    -- 5. The shop hears of each end once: an event for its subscribers, and a line in the order's activities for its staff.
    IF is_news THEN
        INSERT INTO public.event (name, data)
        SELECT 'chwsync_line_ended',
               jsonb_build_object('orderId', l.order_item_order_id, 'orderItemId', l.order_item_id, 'status', r.status,
                                  'providerOrderId', r.provider_order_id, 'charge', r.charge, 'currency', r.currency,
                                  'remains', r.remains, 'error', r.error)
          FROM public.order_item l WHERE l.order_item_id = wanted;
        INSERT INTO public.order_activity (order_activity_order_id, comment)
        SELECT l.order_item_order_id,
               concat_ws(', ', 'Line ' || r.order_ref || ' ' || r.status, 'provider order ' || r.provider_order_id,
                         'charge ' || r.charge || coalesce(' ' || r.currency, ''), 'remains ' || r.remains, r.error)
          FROM public.order_item l WHERE l.order_item_id = wanted;
    END IF;
    RETURN true;
END
$$;

-- The daemon's role gets these two, nobody gets more.
REVOKE ALL ON FUNCTION chwsync_shop.write_back(chwsync.result) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION chwsync_shop.write_back(chwsync.result) TO chwsync;
GRANT SELECT ON chwsync_shop.pending_orders TO chwsync;
GRANT USAGE ON SCHEMA chwsync_shop TO chwsync;

COMMENT ON VIEW chwsync_shop.pending_orders IS 'Lines of EverShop that chwsyncd may send now.';
COMMENT ON VIEW chwsync_shop.wanted_lines IS 'Lines of EverShop that are to be delivered, taken or not.';
COMMENT ON FUNCTION chwsync_shop.write_back(chwsync.result) IS 'Asked by chwsyncd before it sends a line, and told what became of it.';
COMMENT ON TABLE chwsync_shop.line IS 'What chwsyncd reported of each line; the shop may read it.';
COMMENT ON TABLE chwsync_shop.since IS 'Orders placed before this moment are left alone.';

COMMIT;
