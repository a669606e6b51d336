@head@
BEGIN;
SET LOCAL lock_timeout = '10s';
SET LOCAL client_min_messages = warning;

@grants@

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
DROP VIEW IF EXISTS chwsync_shop.pending_orders;
DROP VIEW IF EXISTS chwsync_shop.wanted_lines;
-- A queue that was made before, perhaps for another table, is kept by its own part only.
DROP TRIGGER IF EXISTS queue_line_taken ON chwsync_shop.line;
DROP TRIGGER IF EXISTS queue_line_moved ON chwsync_shop.line;
CREATE VIEW chwsync_shop.wanted_lines AS
@view@

CREATE VIEW chwsync_shop.pending_orders AS
SELECT @columns@
  FROM chwsync_shop.wanted_lines w
 WHERE NOT EXISTS (SELECT FROM chwsync_shop.line s
                    WHERE s.order_ref = w.order_ref AND s.status NOT IN ('queued', 'rejected', 'failed'));

-- 4. The function: the veto (status 'submitting'), and the reports.
CREATE OR REPLACE FUNCTION chwsync_shop.write_back(r chwsync.result) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    wanted @key_type@; -- as the shop has it
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
@lock@
        IF NOT FOUND THEN
            RETURN CASE WHEN NOT EXISTS (SELECT FROM @table@ l WHERE l.@key@ = wanted) THEN false END;
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
        IF NOT EXISTS (SELECT FROM @table@ l WHERE l.@key@ = wanted) THEN
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

COMMENT ON VIEW chwsync_shop.pending_orders IS 'Lines of the shop that chwsyncd may send now.';
COMMENT ON VIEW chwsync_shop.wanted_lines IS 'Lines of the shop that are to be delivered, taken or not.';
COMMENT ON FUNCTION chwsync_shop.write_back(chwsync.result) IS 'Asked by chwsyncd before it sends a line, and told what became of it.';
COMMENT ON TABLE chwsync_shop.line IS 'What chwsyncd reported of each line; the shop may read it.';
COMMENT ON TABLE chwsync_shop.since IS 'Orders placed before this moment are left alone.';

COMMIT;
