-- 014-contract-faults.sql - what the daemon found wrong with the shop's two objects, and how long the shop has been busy.
--
-- Run inside one transaction by `chwsyncd schema install|upgrade`, as the owner of schema chwsync.

-- As the daemon found them last: `chwsyncd status` shows them. Empty when all is well.
CREATE TABLE chwsync.contract_faults (
    place int PRIMARY KEY,
    stops_intake boolean NOT NULL,
    sentence text NOT NULL,
    remedy text,
    since timestamptz NOT NULL DEFAULT now()
);

-- How often in a row the shop's function answered NULL (busy) when it was asked for a line, and since when.
ALTER TABLE chwsync.queue
    ADD COLUMN busy int NOT NULL DEFAULT 0,
    ADD COLUMN busy_since timestamptz;
