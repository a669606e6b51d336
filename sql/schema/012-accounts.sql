-- 012-accounts.sql - what is done about a changed key or URL.
--
-- Run inside one transaction by `chwsyncd schema install|upgrade`, as the owner of schema chwsync.

-- One row for an account and one that was configured under the same provider name before it and has orders. Until it is decided
-- whether the two are the same account at the provider, nothing is bought with the later one. Rows are moved when they are.
CREATE TABLE chwsync.account_comparisons (
    account_id int NOT NULL,
    earlier_id int NOT NULL,
    found_at timestamptz NOT NULL DEFAULT now(),
    asked_at timestamptz,     -- the last time that the provider was asked about the earlier one's ids
    evidence text,            -- what it said
    verdict text CHECK (verdict IN ('same', 'other')), -- NULL: not decided
    decided_at timestamptz,
    decided_by text,          -- an operator; NULL: the daemon
    moved_at timestamptz,     -- 'same': every row is the later one's
    PRIMARY KEY (account_id, earlier_id)
) WITH (fillfactor = 70);

-- Flight journals name accounts too: whose rows they are now.
ALTER TABLE chwsync.accounts ADD COLUMN continued_by int;
