-- 008-budget.sql - the burst that learned limits belong to, and turns that 002 had given from too far away.
--
-- Run inside one transaction by `chwsyncd schema install|upgrade`, as the owner of schema chwsync.

-- A learned burst is that of a configured one: another in the configuration forgets it. 0: not known.
ALTER TABLE chwsync.budgets ADD COLUMN configured_burst int NOT NULL DEFAULT 0;

-- Orders that were followed before there were turns got them from the time they were bought at, over years of a clock whose
-- strides are minutes: the older half would have waited for the clock to come by. Those that were not asked about since come
-- first, the newest before the others, and all within less than a stride.
UPDATE chwsync.polls p
   SET turn = coalesce((SELECT min(f.turn) FROM chwsync.polls f
                         WHERE f.account_id = p.account_id AND f.stride > 0 AND f.turn > '-Infinity'), 0)
              - 1 - extract(epoch FROM o.accepted_at)::float8 / 1e10
  FROM chwsync.orders o
 WHERE o.id = p.order_id AND p.stride = 0 AND p.turn > '-Infinity' AND o.accepted_at IS NOT NULL;
