-- 021-learned-limits.sql - what was learned of a provider's limits recovers at its own pace, however often the daemon is restarted.
--
-- Run inside one transaction by `chwsyncd schema install|upgrade`, as the owner of schema chwsync.

-- When the minute and the day in force were last cut or raised; NULL: not known, as if just now.
ALTER TABLE chwsync.budgets
    ADD COLUMN raised_at timestamptz,
    ADD COLUMN day_raised_at timestamptz;
