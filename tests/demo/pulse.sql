-- pulse.sql - one row about the demo's lines: queued, being sent, open, ended, rejected, withdrawn, not told yet, charges,
-- and whether everything has come to its end.
WITH line AS (
    SELECT d.ref, d.ends, o.id, o.state, o.attempts, o.error, o.charge
      FROM store_test.demo_lines d LEFT JOIN chwsync.orders o ON o.order_ref = d.ref
), sums AS (
    SELECT count(*) FILTER (WHERE state = 'queued' OR state IS NULL AND ends <> '{unseen}') AS queued,
           count(*) FILTER (WHERE state = 'submitting') AS submitting,
           count(*) FILTER (WHERE state = 'active') AS open,
           count(*) FILTER (WHERE state IN ('completed', 'partial', 'canceled', 'refunded', 'failed')) AS ended,
           count(*) FILTER (WHERE state = 'rejected') AS rejected,
           count(*) FILTER (WHERE state = 'withdrawn') AS withdrawn,
           coalesce(sum(charge), 0) AS charged,
           -- What may stay queued has been tried, and says why it waits.
           bool_and(CASE WHEN state = 'queued' THEN 'queued' = ANY (ends) AND error IS NOT NULL
                         WHEN state IS NULL THEN 'unseen' = ANY (ends)
                         ELSE state NOT IN ('submitting', 'active') END) AS over
      FROM line
)
SELECT queued, submitting, open, ended, rejected, withdrawn, untold, charged, over AND untold = 0
  FROM sums, (SELECT count(DISTINCT order_id) AS untold FROM chwsync.write_backs) w;
