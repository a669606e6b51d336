-- 003-journal.sql - flight journals, leases, stops of submits, surplus purchases.

ALTER TABLE chwsync.attempts
    ADD COLUMN journal uuid,      -- the flight journal in which a record stands if the request left
    ADD COLUMN journal_number int; -- the attempt's number there, where it got another one here

-- One instance at a time claims and sends for an account. `claims` counts the claims of all holders: a claim names the
-- count it knows, so that none is made in a database that has lost the one before.
CREATE TABLE chwsync.leases (
    account_id int PRIMARY KEY,
    holder uuid NOT NULL, -- an instance
    number bigint NOT NULL, -- grows with every change of holder
    claims bigint NOT NULL DEFAULT 0,
    journal uuid, -- the holder's: who can lock it knows that the holder is dead
    taken_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- Attempts that a flight journal knew and this database had lost: it is older than what was bought (a restored backup,
-- a standby that lacked the last commits). Submits of the account stop until every row is released.
CREATE TABLE chwsync.submit_stops (
    order_id bigint NOT NULL,
    number int NOT NULL, -- the attempt, as it was put back
    account_id int NOT NULL,
    order_ref text NOT NULL,
    detail text NOT NULL, -- what the journal knows of it
    found_at timestamptz NOT NULL DEFAULT now(),
    released_at timestamptz,
    released_by text,
    PRIMARY KEY (order_id, number)
);
CREATE INDEX submit_stops_unreleased ON chwsync.submit_stops (account_id) WHERE released_at IS NULL;

-- Orders that were accepted twice. The surplus one is followed as an order of its own, `followed_as`.
CREATE TABLE chwsync.surplus_purchases (
    order_id bigint NOT NULL,
    number int NOT NULL,
    account_id int NOT NULL,
    provider_order_id text NOT NULL,
    followed_as bigint NOT NULL,
    found_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (order_id, number)
);
