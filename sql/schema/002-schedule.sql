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

DROP VIEW chwsync.provider_status;
CREATE VIEW chwsync.provider_status AS
    SELECT a.provider, a.endpoint, a.submits_paused_until, a.all_paused_until, a.pause_reason, a.last_error,
           a.last_error_at, a.last_used_at,
           (SELECT count(*) FROM chwsync.queue q WHERE q.provider = a.provider) AS queued,
           (SELECT count(*) FROM chwsync.attempts t WHERE t.account_id = a.id AND t.open AND t.outcome IS NULL) AS submitting,
           (SELECT count(*) FROM chwsync.polls p WHERE p.account_id = a.id) AS following,
           (SELECT count(*) FROM chwsync.attempts t WHERE t.account_id = a.id AND t.open AND t.outcome IS NOT NULL) AS uncertain,
           coalesce((SELECT sum(m.adds + m.polls + m.reads) FROM chwsync.budget_minutes m
                      WHERE m.account_id = a.id AND m.minute > now() - interval '1 minute'), 0)::bigint AS requests_last_minute,
           u.requests_last_day,
           b.per_minute AS limit_minute, b.per_day AS limit_day, b.configured_minute, b.configured_day,
           CASE WHEN b.per_day > 0 THEN greatest(b.per_day - u.requests_last_day, 0) END AS requests_left_day,
           b.day_ends_at, round(b.pace::numeric, 1) AS pace_per_minute, round(b.poll_rate::numeric * 60, 2) AS polls_per_minute,
           round(b.reserve::numeric)::bigint AS reserve, b.queue_ends_at, b.refusals AS rate_refusals, b.refused_at AS rate_refused_at,
           b.probing, round(b.planned_delay_s::numeric, 1) AS planned_delay_s, round(b.measured_delay_s::numeric, 1) AS measured_delay_s
      FROM chwsync.accounts a
      LEFT JOIN chwsync.budgets b ON b.account_id = a.id
     CROSS JOIN LATERAL (
           SELECT coalesce(sum(m.adds + m.polls + m.reads), 0)::bigint AS requests_last_day FROM chwsync.budget_minutes m
            WHERE m.account_id = a.id
              AND m.minute > greatest(now() - interval '1 day', CASE WHEN b.day_ends_at > now() THEN b.day_ends_at - interval '1 day'
                                                                 ELSE b.day_ends_at END - interval '1 minute')) AS u;
COMMENT ON VIEW chwsync.provider_status IS 'One row for every account that was ever used: pauses, work under way, requests, and what the limits allow.';
COMMENT ON COLUMN chwsync.provider_status.provider IS 'The name it is configured under.';
COMMENT ON COLUMN chwsync.provider_status.submits_paused_until IS 'No order is sent before then; infinity: until somebody does something.';
COMMENT ON COLUMN chwsync.provider_status.all_paused_until IS 'No request at all before then: the provider asked for it.';
COMMENT ON COLUMN chwsync.provider_status.pause_reason IS 'Why it is paused.';
COMMENT ON COLUMN chwsync.provider_status.queued IS 'Order lines waiting to be sent.';
COMMENT ON COLUMN chwsync.provider_status.submitting IS 'Order lines whose intent is committed and whose answer is not in.';
COMMENT ON COLUMN chwsync.provider_status.following IS 'Bought orders that have not ended.';
COMMENT ON COLUMN chwsync.provider_status.uncertain IS 'Sent, and the answer was lost: look at them.';
COMMENT ON COLUMN chwsync.provider_status.requests_last_day IS 'Requests of the last 24 hours, or of the calendar day when its end is known.';
COMMENT ON COLUMN chwsync.provider_status.limit_minute IS 'Requests a minute in force: configured, or less as the provider taught; 0: none.';
COMMENT ON COLUMN chwsync.provider_status.limit_day IS 'Requests a day in force, likewise.';
COMMENT ON COLUMN chwsync.provider_status.requests_left_day IS 'What is left of the day.';
COMMENT ON COLUMN chwsync.provider_status.day_ends_at IS 'When the provider''s day ends; NULL: any 24 hours count.';
COMMENT ON COLUMN chwsync.provider_status.pace_per_minute IS 'Requests leave evenly, at that pace at most.';
COMMENT ON COLUMN chwsync.provider_status.polls_per_minute IS 'Questions a minute that the day affords, each about 100 orders.';
COMMENT ON COLUMN chwsync.provider_status.reserve IS 'Requests of the day that are kept for a burst of orders.';
COMMENT ON COLUMN chwsync.provider_status.queue_ends_at IS 'When the last waiting order line is expected to be sent.';
COMMENT ON COLUMN chwsync.provider_status.rate_refusals IS 'Requests that the provider ever refused for rate: it should be 0.';
COMMENT ON COLUMN chwsync.provider_status.probing IS 'After such a refusal: one request goes alone to see whether it is over.';
COMMENT ON COLUMN chwsync.provider_status.planned_delay_s IS 'Seconds from an order''s end to our knowing it, as planned, mean of late.';
COMMENT ON COLUMN chwsync.provider_status.measured_delay_s IS 'The same as it was: half the time between the last two questions.';
