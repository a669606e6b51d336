
-- THE QUEUE, for a shop with more than 100,000 lines: the view above looks at every paid line that there ever was, this one
-- at a list of those that have just been paid. Triggers of the shop's tables write the list.
--
-- * A trigger never breaks a checkout: it waits for nothing longer than 100 ms, and whatever goes wrong is a warning in the
--   server's log. What it missed is found: the view also looks at the newest lines and, each time, at two pages of the
--   table picked at random.
-- * The list stays short: a line leaves it when it is bought; and for every line that is bought, three of the list are looked
--   at again and taken off if the shop no longer wants them. The view shows at most 10,000 lines of it.
-- * Run `chwsyncd adapter off` and drop the triggers (chwsync_queue) to be rid of it.

BEGIN;
SET LOCAL lock_timeout = '10s';
SET LOCAL client_min_messages = warning;
SET LOCAL ROLE chwsync_adapter;

-- One that was made for keys of another type is of no use.
DO $$
BEGIN
    IF (SELECT a.atttypid <> w.atttypid FROM pg_catalog.pg_attribute a, pg_catalog.pg_attribute w
         WHERE a.attrelid = to_regclass('chwsync_shop.queue') AND a.attname = 'line_id'
           AND w.attrelid = 'chwsync_shop.wanted_lines'::regclass AND w.attname = 'line_id') THEN
        DROP TABLE chwsync_shop.queue CASCADE;
    END IF;
END
$$;
CREATE TABLE IF NOT EXISTS chwsync_shop.queue AS
    SELECT w.line_id, now() AS added_at, now() AS looked_at FROM chwsync_shop.wanted_lines w WITH NO DATA;
CREATE UNIQUE INDEX IF NOT EXISTS queue_line ON chwsync_shop.queue (line_id);
CREATE INDEX IF NOT EXISTS queue_added ON chwsync_shop.queue (added_at);
CREATE INDEX IF NOT EXISTS queue_looked ON chwsync_shop.queue (looked_at);

-- Our own table says what is bought and what may be sent again.
CREATE OR REPLACE FUNCTION chwsync_shop.queue_line_moved() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    moved chwsync_shop.queue.line_id%TYPE := NEW.order_ref;
BEGIN
    IF NEW.status IN ('queued', 'rejected', 'failed') THEN
        INSERT INTO chwsync_shop.queue (line_id, added_at, looked_at) VALUES (moved, now(), now()) ON CONFLICT DO NOTHING;
    ELSE
        DELETE FROM chwsync_shop.queue q WHERE q.line_id = moved;
    END IF;
    IF NEW.status = 'submitting' THEN
        WITH oldest AS MATERIALIZED (
            SELECT q.line_id FROM chwsync_shop.queue q WHERE q.looked_at < now() - interval '10 minutes'
             ORDER BY q.looked_at LIMIT 3 FOR UPDATE SKIP LOCKED
        ), judged AS MATERIALIZED (
            SELECT o.line_id, EXISTS (SELECT FROM chwsync_shop.wanted_lines w WHERE w.line_id = o.line_id) AS wanted FROM oldest o
        ), gone AS (
            DELETE FROM chwsync_shop.queue q USING judged j WHERE q.line_id = j.line_id AND NOT j.wanted
        )
        UPDATE chwsync_shop.queue q SET looked_at = now() FROM judged j WHERE q.line_id = j.line_id AND j.wanted;
    END IF;
    RETURN NULL;
END
$$;
DROP TRIGGER IF EXISTS queue_line_taken ON chwsync_shop.line;
CREATE TRIGGER queue_line_taken AFTER INSERT ON chwsync_shop.line
    FOR EACH ROW EXECUTE FUNCTION chwsync_shop.queue_line_moved();
DROP TRIGGER IF EXISTS queue_line_moved ON chwsync_shop.line;
CREATE TRIGGER queue_line_moved AFTER UPDATE OF status ON chwsync_shop.line
    FOR EACH ROW WHEN (NEW.status IS DISTINCT FROM OLD.status) EXECUTE FUNCTION chwsync_shop.queue_line_moved();

-- OFFSET 0, and counting instead of NOT EXISTS, make it one look by the key for each line, however many the planner expects:
-- it would read whole tables instead. LIMIT 300 does the same for the pages, of which it expects a tenth of the table.
DROP VIEW IF EXISTS chwsync_shop.pending_orders;
CREATE VIEW chwsync_shop.pending_orders AS
SELECT @columns@
  FROM (SELECT q.line_id FROM (SELECT q.line_id FROM chwsync_shop.queue q ORDER BY q.added_at LIMIT 10000) q
         UNION
        SELECT l.line_id FROM (SELECT @line_key@ AS line_id FROM @line_table@
                                ORDER BY @line_key@ DESC LIMIT 100) l
         WHERE (SELECT count(*) FROM chwsync_shop.line s WHERE s.order_ref = l.line_id::text) = 0
         UNION
        SELECT l.line_id FROM (SELECT @line_key@ AS line_id FROM @line_table@
                               TABLESAMPLE SYSTEM ((SELECT least(100, 200.0 / greatest(1, @line_pages@))::real)) LIMIT 300) l
         WHERE (SELECT count(*) FROM chwsync_shop.line s WHERE s.order_ref = l.line_id::text) = 0) k
 CROSS JOIN LATERAL (SELECT * FROM chwsync_shop.wanted_lines v WHERE v.line_id = k.line_id OFFSET 0) w
 WHERE (SELECT count(*) FROM chwsync_shop.line s
         WHERE s.order_ref = w.order_ref AND s.status NOT IN ('queued', 'rejected', 'failed')) = 0;
GRANT SELECT ON chwsync_shop.pending_orders TO chwsync;
COMMENT ON VIEW chwsync_shop.pending_orders IS 'Lines that chwsyncd may send now, from the queue.';
COMMENT ON TABLE chwsync_shop.queue IS 'Lines that were paid and are not bought yet.';

@triggers@
-- What was paid before the triggers were there.
INSERT INTO chwsync_shop.queue (line_id, added_at, looked_at)
SELECT w.line_id, coalesce(w.created_at, now()), now() FROM chwsync_shop.wanted_lines w
 WHERE NOT EXISTS (SELECT FROM chwsync_shop.line s
                    WHERE s.order_ref = w.order_ref AND s.status NOT IN ('queued', 'rejected', 'failed'))
    ON CONFLICT DO NOTHING;

COMMIT;
