-- 007-refills.sql - refills, and looks at orders after their end.
--
-- Run inside one transaction by `chwsyncd schema install|upgrade`, as the owner of schema chwsync.

-- One row a request for a refill. An order has at most one that has not ended: a second one is answered from that row.
CREATE TABLE chwsync.refills (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id bigint NOT NULL,
    account_id int NOT NULL,
    state text NOT NULL DEFAULT 'requested' CHECK (state IN (
        'requested',                -- waits to be sent
        'sending',                  -- the intent is committed: it may have left
        'uncertain',                -- sent, and the answer is lost: not sent again unless an operator says so
        'pending', 'in_progress',   -- the provider has it under refill_id
        'completed', 'rejected', 'canceled', -- the provider says so
        'refused')),                -- the provider did not take it
    attempt int NOT NULL DEFAULT 0, -- how often the intent was committed; an answer belongs to its attempt
    instance uuid,                  -- who sends or sent it
    refill_id text,
    word text,                      -- the provider's own, for where it stands
    error text,
    errors int NOT NULL DEFAULT 0,  -- answers that told nothing, in a row
    requested_at timestamptz NOT NULL DEFAULT now(),
    requested_by text NOT NULL,
    sent_at timestamptz,
    next_at timestamptz DEFAULT now(), -- when something is to be done; NULL: nothing, or by an operator alone
    ended_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX refills_open ON chwsync.refills (order_id) WHERE ended_at IS NULL;
CREATE INDEX refills_order ON chwsync.refills (order_id, id);
CREATE INDEX refills_next ON chwsync.refills (account_id, next_at) WHERE next_at IS NOT NULL;

-- Orders that have ended, and when the provider is asked about them once more: it may change its mind. A row is made when an
-- order ends. While the order is followed again it waits (infinity); it goes with the last look.
CREATE TABLE chwsync.rechecks (
    order_id bigint PRIMARY KEY,
    account_id int NOT NULL,
    due_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70);
CREATE INDEX rechecks_due ON chwsync.rechecks (account_id, due_at);
-- What ended before there were such looks: over the coming two days, so that no wave of them comes back.
INSERT INTO chwsync.rechecks (order_id, account_id, due_at, ended_at)
SELECT o.id, o.account_id, now() + random() * interval '2 days', o.changed_at FROM chwsync.orders o
 WHERE o.state IN ('completed', 'partial', 'canceled', 'refunded', 'failed') AND o.account_id IS NOT NULL
   AND o.provider_order_id IS NOT NULL AND o.changed_at > now() - interval '30 days';
