-- 004-settle.sql - what is done about purchases whose answer was lost: the search for them, and what operators say.
--
-- Run inside one transaction by `chwsyncd schema install|upgrade`, as the owner of schema chwsync.

-- How an attempt got its end when no reply told it: proved by the daemon, or said by an operator. NULL: by its reply.
ALTER TABLE chwsync.attempts ADD COLUMN found_by text CHECK (found_by IN ('proof', 'operator'));

-- Whose an id is. An id belongs to one order of an account: what was found, not told, is held to that here; two replies with the
-- same id are the provider's mistake and are both kept.
CREATE INDEX attempts_ids ON chwsync.attempts (account_id, provider_order_id) WHERE provider_order_id IS NOT NULL;
CREATE UNIQUE INDEX attempts_found ON chwsync.attempts (account_id, provider_order_id)
    WHERE found_by IS NOT NULL AND provider_order_id IS NOT NULL;
-- The neighbours in time of a lost attempt. Rows come in that order, so a few bytes for each 16 pages will do.
CREATE INDEX attempts_claimed ON chwsync.attempts USING brin (claimed_at) WITH (pages_per_range = 16, autosummarize = on);

-- The search for one lost attempt: when it goes on, and what it last found.
CREATE TABLE chwsync.settlings (
    order_id bigint NOT NULL,
    number int NOT NULL,
    looks int NOT NULL DEFAULT 0,
    next_at timestamptz NOT NULL,
    evidence text,
    PRIMARY KEY (order_id, number)
);

-- An operator named an order's id at the provider: the daemon asks the provider about it, and answers here.
CREATE TABLE chwsync.resolutions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id bigint NOT NULL,
    number int NOT NULL,
    account_id int NOT NULL,
    provider_order_id text NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    asked_by text NOT NULL,
    reason text,
    answered_at timestamptz,
    placed boolean, -- the order is followed under that id now
    answer text
);
CREATE INDEX resolutions_open ON chwsync.resolutions (account_id, id) WHERE answered_at IS NULL;
