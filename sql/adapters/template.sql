-- adapters/template.sql - a beginning for a shop of your own: replace what stands for it, step by step.
--
-- It is written for two tables, public.orders (id, number, status, placed_at, updated_at) and public.order_lines (id, order_id,
-- sku, link, quantity, pack_size, options, updated_at), and runs as it is where there are such. If your lines stand in one or
-- two tables like these, `chwsyncd adapter --table` writes the whole file for you; chwsyncd-contract(7) has the queries by
-- which one finds out what a shop has.
--
--     psql -d shop -v ON_ERROR_STOP=1 -f adapter.sql     as the owner of the tables, or a superuser; as often as you like
--     chwsyncd check
--
-- What --queue and --wake need, here and in every adapter: the table in which an order becomes paid | the columns that say
-- so | when | the keys of its lines; and the table of lines, as l, with its key.
-- @trigger public.orders | status | NEW.status = 'paid' | SELECT l.id FROM public.order_lines l WHERE l.order_id = NEW.id
-- @lines public.order_lines l | l.id

BEGIN;
SET LOCAL lock_timeout = '10s'; -- rather fail than stand in the shop's way
SET LOCAL client_min_messages = warning;

-- 1. RIGHTS. The view and the function run with the rights of chwsync_adapter: give it what they use, and no more.
--    UPDATE on one harmless column of each table is what PostgreSQL asks for a row lock; it is never written.
GRANT USAGE ON SCHEMA public TO chwsync_adapter;
GRANT SELECT ON public.orders, public.order_lines TO chwsync_adapter;
GRANT UPDATE (updated_at) ON public.orders, public.order_lines TO chwsync_adapter;

SET LOCAL ROLE chwsync_adapter;

-- 2. TABLES OF OUR OWN. What was reported of each line, because shops have no columns for it. No foreign key to the shop:
--    with one, every report would wait while the shop holds its row. And from which day on orders count: the day before
--    the first installation, because what is older was delivered by other means. To change it, update the row.
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
    taken_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 60);
CREATE TABLE IF NOT EXISTS chwsync_shop.since (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    placed_at timestamptz NOT NULL
);
INSERT INTO chwsync_shop.since (placed_at) VALUES (now() - interval '1 day') ON CONFLICT DO NOTHING;

-- 3. THE LINES THAT ARE WANTED, taken or not: one row a line. line_id is the key as it is, order_ref the same as text.
--    * service  the provider's product id. Sold in packs? Multiply. Out of JSON? options ->> 'link'; out of a text column
--               that holds JSON: chwsync.try_jsonb(options) ->> 'link'. Numbers out of text: chwsync.try_bigint(...).
--    * Never cast text in a view: one bad row would hide all others. The helpers answer NULL where a cast raises.
--    * More columns are there: runs, interval, min, max, comments, usernames, hashtags, username, params (jsonb), provider,
--      max_charge. Add those you need here and in the view below.
--    * The condition: paid, not canceled, not refunded, not deleted, the present version, not an aggregate of other orders.
--      With many orders it needs an index, such as ON public.orders (placed_at) WHERE status = 'paid'.
--    * Timestamps without a zone: placed_at AT TIME ZONE 'UTC', if that is what the shop writes.
DROP VIEW IF EXISTS chwsync_shop.pending_orders;
DROP VIEW IF EXISTS chwsync_shop.wanted_lines;
CREATE VIEW chwsync_shop.wanted_lines AS
SELECT l.id AS line_id,
       l.id::text AS order_ref,
       l.sku::text AS service,
       nullif(btrim(l.link), '') AS link,
       l.quantity::bigint * l.pack_size AS quantity,
       o.number::text AS display_ref,
       o.placed_at AS created_at
  FROM public.orders o
  JOIN public.order_lines l ON l.order_id = o.id
 WHERE o.status = 'paid'
   AND o.placed_at >= (SELECT placed_at FROM chwsync_shop.since);

--    What may be sent now: wanted, and not taken yet, or taken and to be sent again.
CREATE VIEW chwsync_shop.pending_orders AS
SELECT w.order_ref, w.service, w.link, w.quantity, w.display_ref, w.created_at
  FROM chwsync_shop.wanted_lines w
 WHERE NOT EXISTS (SELECT FROM chwsync_shop.line s
                    WHERE s.order_ref = w.order_ref AND s.status NOT IN ('queued', 'rejected', 'failed'));

-- 4. THE FUNCTION. Status 'submitting' asks whether this line may be bought now: true, go; false, the shop took it back;
--    NULL, ask again later. Every other status is a report: true, recorded; false, no such line here.
CREATE OR REPLACE FUNCTION chwsync_shop.write_back(r chwsync.result) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp -- so that every name of the shop carries its schema
AS $$
DECLARE
    wanted public.order_lines.id%TYPE; -- integer, uuid or text: as the shop has it
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
        -- First lock line and order, then look: whoever takes it back later finds it taken. Never wait for a lock: the shop
        -- may hold one and want the other.
        PERFORM FROM public.order_lines l JOIN public.orders o ON o.id = l.order_id
          WHERE l.id = wanted
            FOR NO KEY UPDATE SKIP LOCKED;
        IF NOT FOUND THEN
            RETURN CASE WHEN NOT EXISTS (SELECT FROM public.order_lines l WHERE l.id = wanted) THEN false END;
        END IF;
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

    IF NOT EXISTS (SELECT FROM public.order_lines l WHERE l.id = wanted) THEN
        RETURN false;
    END IF;
    -- seq grows with every report of a line: an older one, or a repeat, changes nothing.
    INSERT INTO chwsync_shop.line AS s (order_ref, status, provider_order_id, charge, currency, start_count, remains, error, seq)
    VALUES (r.order_ref, r.status, r.provider_order_id, r.charge, r.currency, r.start_count, r.remains, r.error, r.seq)
        ON CONFLICT (order_ref) DO UPDATE
           SET status = excluded.status, provider_order_id = excluded.provider_order_id, charge = excluded.charge,
               currency = excluded.currency, start_count = excluded.start_count, remains = excluded.remains,
               error = excluded.error, seq = excluded.seq, updated_at = now()
         WHERE s.seq < excluded.seq;
    -- 5. TELLING THE SHOP. Do not change its own states here: mails, stock and refunds hang on its code, not on its rows.
    --    Append to a log or an outbox table, if it has one, and let the shop act; IF FOUND keeps repeats out of it.
    RETURN true;
END
$$;

-- The daemon's role gets these two, nobody gets more.
REVOKE ALL ON FUNCTION chwsync_shop.write_back(chwsync.result) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION chwsync_shop.write_back(chwsync.result) TO chwsync;
GRANT SELECT ON chwsync_shop.pending_orders TO chwsync;
GRANT USAGE ON SCHEMA chwsync_shop TO chwsync;

COMMENT ON VIEW chwsync_shop.pending_orders IS 'Lines of the shop that chwsyncd may send now.';
COMMENT ON VIEW chwsync_shop.wanted_lines IS 'Lines of the shop that are to be delivered, taken or not.';
COMMENT ON FUNCTION chwsync_shop.write_back(chwsync.result) IS 'Asked by chwsyncd before it sends a line, and told what became of it.';
COMMENT ON TABLE chwsync_shop.line IS 'What chwsyncd reported of each line; the shop may read it.';
COMMENT ON TABLE chwsync_shop.since IS 'Orders placed before this moment are left alone.';

COMMIT;
