-- 015-balance.sql - out of funds, and low on them.
--
-- Run inside one transaction by `chwsyncd schema install|upgrade`, as the owner of schema chwsync.

-- A refusal for want of money, until the balance has risen or an order is accepted: a restart goes on waiting for that. What
-- pauses an account for another reason (its key) is tried at once by a new process.
ALTER TABLE chwsync.accounts ADD COLUMN out_of_funds_since timestamptz;

-- low_balance as it was configured at the last answer; NULL: none. A warning is given when an answer is the first below it.
ALTER TABLE chwsync.balances ADD COLUMN low_mark numeric;

-- Lines that wait for money: looked for often, while there are hardly ever any.
CREATE INDEX queue_funds ON chwsync.queue (provider) WHERE held = 'funds';
