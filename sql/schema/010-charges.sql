-- 010-charges.sql - what a queued line may wait for.
--
-- Run inside one transaction by `chwsyncd schema install|upgrade`, as the owner of schema chwsync.

ALTER TABLE chwsync.queue ADD CONSTRAINT queue_held
    CHECK (held IN ('price', 'limit', 'unpriced', 'spent', 'funds', 'disabled', 'identity', 'link'));
COMMENT ON COLUMN chwsync.queue.held IS 'What it waits for: a lower price (price: max_charge of the line; limit: max_charge_per_order or max_spend_per_day), a known price (unpriced), the next day''s spending (spent), the balance (funds), the service (disabled), an operator''s word that the service is the same (identity), another order with its link, as the provider said (link). NULL: nothing.';
