-- adapters/sample-store.sql - connects the sample shop (schema "store") to chwsyncd.
--
-- WHAT AN ADAPTER IS. The daemon knows nothing of your shop, and its role may read none of your tables. It reads one view,
-- chwsync_shop.pending_orders, and calls one function, chwsync_shop.write_back(). You write both; this file is a model.
-- It changes no table of the shop and adds no trigger and no foreign key to one.
--
-- HOW TO RUN IT. After `chwsyncd schema install`, as the owner of the shop's tables who is also a member of
-- chwsync_adapter (a superuser is both), as often as you like:
--
--     psql -d shop -v ON_ERROR_STOP=1 -f sample-store.sql
--     chwsyncd check
--
-- Everything happens in one transaction: it is there as a whole or not at all. When an upgrade of your shop wants to change
-- a column that the view reads, run DROP VIEW chwsync_shop.pending_orders, upgrade, and run this file again. Meanwhile the
-- daemon takes no new lines, and goes on following what it has bought.
--
-- TO WRITE YOUR OWN, go through the five steps and replace what stands for "store".

BEGIN;
SET LOCAL lock_timeout = '10s'; -- rather fail than stand in the shop's way

-- 1. RIGHTS. View and function run with the rights of chwsync_adapter, who owns them: give it what they use, and no more.
--    UPDATE on one harmless column is what PostgreSQL asks for a row lock (step 5); nothing here ever updates it.
GRANT USAGE ON SCHEMA store TO chwsync_adapter;
GRANT SELECT ON store.orders, store.order_lines, store.products TO chwsync_adapter;
GRANT UPDATE (updated_at) ON store.order_lines TO chwsync_adapter;
GRANT INSERT ON store.order_events TO chwsync_adapter;

SET LOCAL ROLE chwsync_adapter;

-- 2. A TABLE OF OUR OWN for what the daemon reports, because the shop has no columns for it. One row for each line that was
--    taken. No foreign key to the shop: with one, a shop that holds its order row locked would hold up every report.
--    Only the key is indexed and pages keep room, so that a new status rewrites a row in place.
CREATE TABLE IF NOT EXISTS chwsync_shop.sample_store_line (
    order_ref text PRIMARY KEY,
    order_id bigint NOT NULL,
    status text NOT NULL,
    provider_order_id text,
    charge numeric,
    currency text,
    start_count bigint,
    remains bigint,
    error text,
    seq bigint NOT NULL,   -- of the report that stands here; an older one changes nothing
    told text,             -- the last end of delivery that the shop was told of,
    told_seq bigint,       -- and the report that brought it
    taken_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 60);

-- 3. THE VIEW: the lines that may be sent now, one row a line (a join must not multiply them).
--    * order_ref is the key of the LINE and never changes. write_back() finds the line by it, so it needs an index.
--    * The state is the shop's own word for "paid". orders_paid, a partial index of the shop, finds these few orders
--      among all. What was closed, refunded or canceled is not shown.
--    * Lines that were taken are hidden, but for those that may be sent again: what waits for another try follows a
--      correction made in the shop, and so does what you send again with `chwsyncd retry`.
--    * One bad row must not spoil the others: never cast text in a view. chwsync.try_jsonb() and chwsync.try_bigint()
--      answer NULL where a cast would raise.
--    * Never guess, either: where the extras cannot be read, a drip-feed might be bought at once, and where the pieces cannot
--      be divided by the runs, too few. Such a line is shown without a service, so the daemon refuses this one and says so.
DROP VIEW IF EXISTS chwsync_shop.pending_orders;
CREATE VIEW chwsync_shop.pending_orders AS
SELECT l.ref AS order_ref,
       CASE WHEN x.readable AND coalesce(l.packs::bigint * l.pack_size % x.runs = 0, true) THEN l.sku END AS service,
       nullif(btrim(l.options ->> 'link'), '') AS link,
       -- Sold in packs, ordered in pieces; and with a drip-feed the provider counts the pieces of each run.
       l.packs::bigint * l.pack_size / coalesce(x.runs, 1) AS quantity,
       x.runs,
       CASE WHEN x.runs IS NOT NULL THEN chwsync.try_bigint(e.extras ->> 'interval') END AS "interval",
       chwsync.try_bigint(e.extras ->> 'min') AS min,
       chwsync.try_bigint(e.extras ->> 'max') AS max,
       l.options ->> 'comments' AS comments,
       l.options ->> 'usernames' AS usernames,
       l.options ->> 'hashtags' AS hashtags,
       l.options ->> 'username' AS username,
       -- What the provider takes besides these (answer_number, country, device ...) goes in params.
       CASE WHEN x.readable
            THEN nullif(e.extras - '{runs,interval,min,max}'::text[], '{}') END AS params,
       l.packs * p.cost_cap AS max_charge,
       o.number AS display_ref,
       o.paid_at AS created_at
  FROM store.orders o
  JOIN store.order_lines l ON l.order_id = o.id
  JOIN store.products p ON p.id = l.product_id
 -- OFFSET 0 keeps the planner from writing the call out again for each use of its result.
 CROSS JOIN LATERAL (SELECT CASE WHEN l.extras IS NULL THEN '{}' ELSE chwsync.try_jsonb(l.extras) END AS extras
                     OFFSET 0) e
 CROSS JOIN LATERAL (SELECT nullif(greatest(chwsync.try_bigint(e.extras ->> 'runs'), 1), 1) AS runs,
                            l.extras IS NULL
                            OR coalesce(jsonb_typeof(e.extras) = 'object'
                                        AND num_nonnulls(e.extras ->> 'runs', e.extras ->> 'interval',
                                                         e.extras ->> 'min', e.extras ->> 'max')
                                          = num_nonnulls(chwsync.try_bigint(e.extras ->> 'runs'),
                                                         chwsync.try_bigint(e.extras ->> 'interval'),
                                                         chwsync.try_bigint(e.extras ->> 'min'),
                                                         chwsync.try_bigint(e.extras ->> 'max')), false) AS readable
                     OFFSET 0) x
 WHERE o.status = 'paid'
   AND l.canceled_at IS NULL
   AND NOT EXISTS (SELECT FROM chwsync_shop.sample_store_line s
                    WHERE s.order_ref = l.ref AND s.status NOT IN ('queued', 'rejected', 'failed'));

-- 4. THE FUNCTION. It is called for 100 lines in one statement, so it does little, and each step by an index.
--    It runs with its owner's rights, so its search_path is fixed and every name of the shop carries its schema.
--
--    Called with status 'submitting' it is asked whether this line may be bought now: true, go; false, the shop took it
--    back; NULL, ask again later. Every other status is a report: true, recorded; false, no such line here.
--    Do not change the shop's own states here: mails, stock and refunds hang on the shop's code, not on its rows. Append to
--    a log or outbox of the shop and let the shop act.
CREATE OR REPLACE FUNCTION chwsync_shop.write_back(r chwsync.result) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    line_order_id bigint;
    line_canceled_at timestamptz;
    is_end boolean;
    is_news boolean;
BEGIN
    -- 5. THE VETO. First lock the line, then look: whoever takes it back later finds it taken. Never wait for a lock: the
    --    shop may hold the line and want what we hold. SKIP LOCKED finds nothing then, and the daemon asks again.
    IF r.status = 'submitting' THEN
        SELECT l.order_id, l.canceled_at INTO line_order_id, line_canceled_at
          FROM store.order_lines l
         WHERE l.ref = r.order_ref
           FOR NO KEY UPDATE SKIP LOCKED;
        IF NOT FOUND THEN
            IF EXISTS (SELECT FROM store.order_lines l WHERE l.ref = r.order_ref) THEN
                RETURN NULL;
            END IF;
            RETURN false;
        END IF;
        IF line_canceled_at IS NOT NULL THEN
            RETURN false;
        END IF;
        INSERT INTO chwsync_shop.sample_store_line AS s (order_ref, order_id, status, seq)
        SELECT r.order_ref, o.id, r.status, r.seq
          FROM store.orders o
         WHERE o.id = line_order_id AND o.status = 'paid'
            ON CONFLICT (order_ref) DO UPDATE
               SET status = excluded.status, error = NULL, seq = excluded.seq, updated_at = now()
             WHERE s.seq < excluded.seq;
        IF FOUND THEN
            RETURN true;
        END IF;
        IF NOT EXISTS (SELECT FROM store.orders o WHERE o.id = line_order_id AND o.status = 'paid') THEN
            RETURN false;
        END IF;
        -- The same question once more: the same answer. But after a newer report the asker has forgotten something, such
        -- as a ledger from an old backup; it may have bought this line already.
        RETURN (SELECT CASE WHEN s.seq = r.seq THEN true END
                  FROM chwsync_shop.sample_store_line s WHERE s.order_ref = r.order_ref);
    END IF;

    is_end := r.status IN ('completed', 'partial', 'canceled', 'refunded', 'failed', 'rejected', 'abandoned');
    LOOP
        -- The line is here already, but for those taken without the function.
        UPDATE chwsync_shop.sample_store_line s
           SET status = r.status, provider_order_id = r.provider_order_id, charge = r.charge, currency = r.currency,
               start_count = r.start_count, remains = r.remains, error = r.error, seq = r.seq, updated_at = now(),
               told = CASE WHEN is_end THEN r.status ELSE s.told END,
               told_seq = CASE WHEN is_end AND s.told IS DISTINCT FROM r.status THEN r.seq ELSE s.told_seq END
         WHERE s.order_ref = r.order_ref AND s.seq < r.seq
        RETURNING s.order_id, s.told_seq = r.seq INTO line_order_id, is_news;
        EXIT WHEN FOUND;
        IF EXISTS (SELECT FROM chwsync_shop.sample_store_line s WHERE s.order_ref = r.order_ref) THEN
            RETURN true; -- a repeat, or older than what is known
        END IF;
        IF NOT EXISTS (SELECT FROM store.order_lines l WHERE l.ref = r.order_ref) THEN
            RETURN false;
        END IF;
        INSERT INTO chwsync_shop.sample_store_line (order_ref, order_id, status, seq)
        SELECT l.ref, l.order_id, 'submitting', -1 FROM store.order_lines l WHERE l.ref = r.order_ref
            ON CONFLICT DO NOTHING;
    END LOOP;

    -- The shop hears of each end once, however often it is reported.
    IF is_news THEN
        INSERT INTO store.order_events (order_id, line_ref, kind, data)
        VALUES (line_order_id, r.order_ref, 'delivery',
                jsonb_build_object('status', r.status, 'provider_order_id', r.provider_order_id, 'charge', r.charge,
                                   'currency', r.currency, 'remains', r.remains, 'error', r.error));
    END IF;
    RETURN true;
END
$$;

-- The daemon's role gets these two, nobody gets more.
REVOKE ALL ON FUNCTION chwsync_shop.write_back(chwsync.result) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION chwsync_shop.write_back(chwsync.result) TO chwsync;
GRANT SELECT ON chwsync_shop.pending_orders TO chwsync;
GRANT USAGE ON SCHEMA chwsync_shop TO chwsync;

COMMENT ON VIEW chwsync_shop.pending_orders IS 'Lines of the sample shop that chwsyncd may send now.';
COMMENT ON FUNCTION chwsync_shop.write_back(chwsync.result) IS 'Asked by chwsyncd before it sends a line, and told what became of it.';
COMMENT ON TABLE chwsync_shop.sample_store_line IS 'What chwsyncd reported of each line; the shop may read it.';

COMMIT;
