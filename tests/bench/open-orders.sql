-- open-orders.sql - :open orders that are being followed, with the ids 1 to :open, all due for a look.
INSERT INTO chwsync.orders (order_ref, provider, service, link, quantity, state, attempts, provider_order_id, seq, accepted_at, changed_at)
SELECT 'open-' || i, 'panel', 'IG-LIKES-FAST', 'https://x.com/' || i, 1000, 'active', 1, i::text, 2, now(), now()
  FROM generate_series(1, :open) i;
INSERT INTO chwsync.polls (order_id, account_id, turn, stride, asked_at)
SELECT id, 0, 1000 * random(), 30 + 300 * random(), now() - interval '1 hour' * random() FROM chwsync.orders;
VACUUM ANALYZE chwsync.orders, chwsync.polls;
