-- 017-command-slots.sql - commands ask the daemon for a slot of its gate.
--
-- Run inside one transaction by `chwsyncd schema install|upgrade`, as the owner of schema chwsync.

-- A command that wants to ask the provider takes the next wish and waits until it is granted: the daemon has then taken a slot for
-- it and counted it. Wishes that are not granted within 35 s count for nothing. `commands` counts the requests that left.
ALTER TABLE chwsync.budgets
    ADD COLUMN wishes bigint NOT NULL DEFAULT 0,
    ADD COLUMN granted bigint NOT NULL DEFAULT 0,
    ADD COLUMN wished_at timestamptz; -- the last of them
