-- 016-figures.sql - what the daemon counts for a monitoring system.
--
-- Run inside one transaction by `chwsyncd schema install|upgrade`, as the owner of schema chwsync.

-- The daemon's requests by what became of them, ever. Written every few seconds: a crash loses the last ones.
CREATE TABLE chwsync.request_counts (
    account_id int NOT NULL,
    action text NOT NULL,  -- add, status, ... as on the wire
    outcome text NOT NULL, -- done, refused, throttled, not executed, unreadable, no answer, not sent
    requests bigint NOT NULL,
    PRIMARY KEY (account_id, action, outcome)
) WITH (fillfactor = 50);

-- From a final status in the ledger to the shop's having been told: how many took so long at the most, and longer than the row before.
CREATE TABLE chwsync.told_delays (
    at_most_s float8 PRIMARY KEY, -- 'Infinity': the rest
    results bigint NOT NULL,
    seconds float8 NOT NULL -- of all of them together
) WITH (fillfactor = 50);
