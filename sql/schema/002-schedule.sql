-- 002-schedule.sql - the poll schedule and what is known of each account's limits.
--
-- Which order is asked about next is an order of turns (rules/poll_schedule): a position on a clock of the account's own, which
-- goes as fast as questions leave. It is indexed, and no change of the budget or of the number of orders ever makes it wrong, so
-- no row is stamped anew but when it was asked about or its own outlook changed. next_at is the time that this turn is planned for.

DROP INDEX chwsync.polls_next;
ALTER TABLE chwsync.polls
    ALTER COLUMN interval_s SET DEFAULT 0, -- of the first version: nothing reads it any more
    ALTER COLUMN next_at SET DEFAULT now(),
    ADD COLUMN turn double precision NOT NULL DEFAULT '-Infinity', -- never asked about: before everybody else
    ADD COLUMN stride double precision NOT NULL DEFAULT 0,         -- from turn to turn, 1/sqrt(ends per second); 0: not known
    ADD COLUMN asked_at timestamptz,                               -- the last question
    -- What answers said so far: seconds since the order was accepted, of the last answer that is in here and of movements.
    ADD COLUMN answered_s double precision NOT NULL DEFAULT 0,
    ADD COLUMN remains bigint,
    ADD COLUMN rate real NOT NULL DEFAULT 0, -- pieces per second, smoothed
    ADD COLUMN first_moved_s double precision,
    ADD COLUMN last_moved_s double precision;
-- Rows of before: the newest first, as they have the nearest ends.
UPDATE chwsync.polls p SET turn = -extract(epoch FROM o.accepted_at) FROM chwsync.orders o
 WHERE o.id = p.order_id AND o.accepted_at IS NOT NULL;
CREATE INDEX polls_turn ON chwsync.polls (account_id, turn);

-- How long the orders of a service live that are completed: mean and variance of ln(seconds).
CREATE TABLE chwsync.service_histories (
    account_id int NOT NULL,
    service text NOT NULL,
    mean double precision NOT NULL,
    variance double precision NOT NULL,
    weight double precision NOT NULL,
    PRIMARY KEY (account_id, service)
) WITH (fillfactor = 50);

ALTER TABLE chwsync.budget_minutes ADD COLUMN ended int NOT NULL DEFAULT 0; -- orders that were found to have ended
COMMENT ON TABLE chwsync.budget_minutes IS 'Slots taken, by minute, counted in the transaction that allows the request: what was taken before a crash stays taken.';

-- One row an account: the limits in force and what led to them, and the figures of the last minute.
CREATE TABLE chwsync.budgets (
    account_id int PRIMARY KEY,
    -- Limits; 0 is none. Learned ones are never above the configured ones.
    configured_minute int NOT NULL DEFAULT 0,
    configured_day int NOT NULL DEFAULT 0,
    per_minute int NOT NULL DEFAULT 0,
    per_day int NOT NULL DEFAULT 0,
    burst int NOT NULL DEFAULT 1,
    told_minute int NOT NULL DEFAULT 0, -- named by the provider
    told_day int NOT NULL DEFAULT 0,
    refusals bigint NOT NULL DEFAULT 0, -- for rate, ever
    refused_at timestamptz,
    day_ends_at timestamptz, -- of a calendar day; NULL: rolling
    pace double precision NOT NULL DEFAULT 0, -- requests a minute at most, 0 = no pace
    probing boolean NOT NULL DEFAULT false,   -- after a refusal: one request alone
    -- Used, as the gate counts.
    used_minute int NOT NULL DEFAULT 0,
    used_day int NOT NULL DEFAULT 0,
    commands bigint NOT NULL DEFAULT 0, -- requests of commands, ever: the daemon takes them into its gate
    -- Shares.
    largest_burst double precision NOT NULL DEFAULT 0,
    reserve double precision NOT NULL DEFAULT 0,
    poll_rate double precision NOT NULL DEFAULT 0, -- a second
    queued int NOT NULL DEFAULT 0,
    queue_ends_at timestamptz,
    -- The schedule.
    open bigint NOT NULL DEFAULT 0,
    clock_speed double precision NOT NULL DEFAULT 0,
    usual_worth double precision NOT NULL DEFAULT 0,
    planned_delay_s double precision NOT NULL DEFAULT 0,
    measured_delay_s double precision NOT NULL DEFAULT 0,
    kept_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);
