-- demo-orders.sql - 200 order lines of many kinds in the sample shop, some wrong on purpose. Needs tests/lib/store-data.sql.
--
-- store_test.demo_lines says of each line where it may end: words of chwsync.order_status, or "unseen" for what the daemon must
-- never take. One line is canceled by the shop while the daemon wants it: see demo-cancel.sql.

BEGIN;

CREATE TABLE store_test.demo_kinds (kind text PRIMARY KEY, lines int NOT NULL, ends text[] NOT NULL, note text NOT NULL);
INSERT INTO store_test.demo_kinds VALUES
    ('followers', 46, '{completed}', 'followers'),
    ('likes', 30, '{completed}', 'likes'),
    ('views', 20, '{completed}', 'views'),
    ('members', 10, '{completed}', 'channel members'),
    ('comments', 10, '{completed}', 'comments of the customer''s own'),
    ('instant', 8, '{completed}', 'delivered at once'),
    ('mentions', 8, '{completed}', 'mentions'),
    ('drip', 8, '{completed}', 'drip-feed'),
    ('poll', 7, '{completed}', 'poll votes'),
    ('fine', 6, '{completed}', 'charges with nine places'),
    ('package', 6, '{completed}', 'packages'),
    ('comments package', 4, '{completed}', 'package of comments'),
    ('hashtags', 4, '{completed}', 'mentions with hashtags'),
    ('traffic', 4, '{completed}', 'visitors'),
    ('list', 3, '{completed}', 'mentions of a list'),
    ('partial', 4, '{partial}', 'ends short'),
    ('canceled', 2, '{canceled}', 'the provider cancels'),
    ('refunded', 2, '{refunded}', 'the provider refunds'),
    ('failed', 2, '{failed}', 'the provider fails'),
    ('no link', 1, '{rejected}', 'the customer gave no link'),
    ('blank link', 1, '{rejected}', 'the link is blank'),
    ('below minimum', 1, '{rejected}', 'too few pieces'),
    ('above maximum', 1, '{rejected}', 'too many pieces'),
    ('unknown service', 1, '{rejected}', 'no such service'),
    ('disabled service', 1, '{rejected,queued}', 'a service no longer sold'),
    ('no comments', 1, '{rejected}', 'comments are missing'),
    ('few comments', 1, '{rejected}', 'too few comments'),
    ('no answer', 1, '{rejected}', 'the poll''s answer is missing'),
    ('bad extras', 1, '{rejected}', 'extras that are no JSON'),
    ('uneven runs', 1, '{rejected}', 'pieces that the runs cannot share'),
    ('unpaid', 2, '{unseen}', 'not paid yet'),
    ('closed', 1, '{unseen}', 'delivered long ago');

CREATE TABLE store_test.demo_lines (
    ref text PRIMARY KEY,
    kind text NOT NULL,
    ends text[] NOT NULL,
    note text NOT NULL
);

SELECT store_test.add_customers(60);

-- The lines in a mixed order. Paid ones share orders of up to four lines, the others have one of their own.
CREATE TEMP TABLE demo ON COMMIT DROP AS
WITH line AS (
    SELECT row_number() OVER (ORDER BY md5(d.kind || i), d.kind) AS nth, d.kind, d.ends, d.note, i, k.status
      FROM store_test.demo_kinds d JOIN store_test.kinds k USING (kind), generate_series(1, d.lines) i
    UNION ALL
    SELECT 1000, 'likes', '{unseen}', 'canceled before it was taken', 1001, 'paid'
    UNION ALL
    SELECT 1001, 'followers', '{withdrawn,unseen}', 'canceled while it is being taken', 1002, 'paid'
), grouped AS (
    SELECT *, CASE WHEN status = 'paid' AND nth < 1000
                   -- Ten lines make orders of 1, 2, 1, 4 and 2.
                   THEN 'p' || (nth / 10 * 5 + (ARRAY[0, 1, 1, 2, 3, 3, 3, 3, 4, 4])[1 + nth % 10])
                   ELSE status || nth END AS basket
      FROM line
)
SELECT g.*, dense_rank() OVER (ORDER BY basket) AS order_nth,
       row_number() OVER (PARTITION BY basket ORDER BY nth) AS position,
       min(nth) OVER (PARTITION BY basket) AS first_nth
  FROM grouped g;

CREATE TEMP TABLE demo_orders ON COMMIT DROP AS
SELECT basket, min(status) AS status, 'SO-' || nextval('store.order_number') AS number, first_nth
  FROM (SELECT basket, status, first_nth FROM demo ORDER BY first_nth) d
 GROUP BY basket, first_nth ORDER BY first_nth;

INSERT INTO store.orders (number, customer_id, status, placed_at, paid_at)
SELECT number, (SELECT min(id) FROM store.customers) + first_nth % 60, status, now() - interval '1 hour',
       CASE WHEN status <> 'placed' THEN now() - interval '50 minutes' + first_nth * interval '1 second' END
  FROM demo_orders ORDER BY first_nth;

INSERT INTO store.order_lines (order_id, position, ref, product_id, sku, pack_size, packs, unit_price, options, extras, canceled_at)
SELECT o.id, d.position, o.number || '-' || d.position, p.id, p.sku, p.pack_size,
       CASE WHEN d.ends = '{completed}' AND p.pack_size IS NOT NULL AND k.extras IS NULL THEN 1 + d.i % 5 ELSE k.packs END,
       p.price,
       k.options
       -- Other words, and other line ends, for every other customer.
       || CASE WHEN d.kind = 'comments' AND d.i % 2 = 0
               THEN jsonb_build_object('comments', format(E'Number %s 💯\r\n"quoted" & <b>\r\na+b=c; 50 %%\r\n日本語', d.i))
               ELSE '{}' END
       || CASE WHEN k.link IS NULL THEN '{}'
               ELSE jsonb_build_object('link', k.link || 'demo' || substr(o.number, 4) || '_' || d.position
                                       || CASE WHEN d.i % 7 = 3 THEN '?from=a+b&to=c%2Fd#ü' ELSE '' END) END,
       k.extras,
       CASE WHEN d.note = 'canceled before it was taken' THEN now() END
  FROM demo d
  JOIN demo_orders n USING (basket)
  JOIN store.orders o ON o.number = n.number
  JOIN store_test.kinds k USING (kind)
  JOIN store.products p ON p.sku = k.sku
 ORDER BY d.first_nth, d.position;

INSERT INTO store_test.demo_lines
SELECT n.number || '-' || d.position, d.kind, d.ends, d.note FROM demo d JOIN demo_orders n USING (basket);

UPDATE store.orders o SET total = l.total
  FROM (SELECT order_id, sum(line_total) AS total FROM store.order_lines WHERE canceled_at IS NULL GROUP BY order_id) l
 WHERE l.order_id = o.id AND o.number IN (SELECT number FROM demo_orders);
INSERT INTO store.payments (order_id, method, status, amount)
SELECT id, (ARRAY['card', 'transfer', 'wallet'])[1 + id % 3], 'captured', total
  FROM store.orders WHERE number IN (SELECT number FROM demo_orders) AND paid_at IS NOT NULL AND total > 0;
INSERT INTO store.order_events (at, order_id, kind)
SELECT paid_at, id, 'paid' FROM store.orders WHERE number IN (SELECT number FROM demo_orders) AND paid_at IS NOT NULL;

DO $$
BEGIN
    ASSERT (SELECT count(*) FROM store_test.demo_lines JOIN store.order_lines USING (ref)) = 200, 'not 200 demo lines';
END
$$;

COMMIT;
