-- 013-clock.sql - what is known of this database's clock: whether it was set.
--
-- Run inside one transaction by `chwsyncd schema install|upgrade`, as the owner of schema chwsync.

-- The last look at it from each boot of a machine, with that machine's own clock, which nobody sets, before and after it.
CREATE TABLE chwsync.clocks (
    boot uuid PRIMARY KEY,
    seen_at timestamptz NOT NULL,
    asked_us bigint NOT NULL,
    told_us bigint NOT NULL
) WITH (fillfactor = 50);

-- When it was set. What waits here was moved along: see chwsync.clock_stepped().
CREATE TABLE chwsync.clock_steps (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(), -- afterwards
    step interval NOT NULL,
    instance uuid NOT NULL -- who noticed
);
