-- store-data.sql - fills the sample shop for tests and measurements. Needs sql/sample-store.sql, nothing of the daemon.
--
--     SELECT store_test.place_orders(20000, 'followers');   paid orders of one line each, every link another
--     SELECT store_test.place_orders(100000, 'closed');     long delivered: history that a poll must not read
--     SELECT * FROM store_test.kinds;                       what there is
--
-- A link ends in its order's number, so the books of a provider can be matched with the shop line by line.

BEGIN;
DROP SCHEMA IF EXISTS store_test CASCADE;
CREATE SCHEMA store_test;

CREATE TABLE store_test.kinds (
    kind text PRIMARY KEY,
    sku text NOT NULL,
    packs int NOT NULL,
    link text,           -- its beginning; NULL: none
    options jsonb NOT NULL DEFAULT '{}',
    extras text,
    status text NOT NULL DEFAULT 'paid' -- of the order
);

INSERT INTO store_test.kinds (kind, sku, packs, link, options, extras, status) VALUES
    ('followers', 'IG-FOLLOWERS-REAL', 5, 'https://instagram.com/account.', '{}', NULL, 'paid'),
    ('views', 'YT-VIEWS-WW', 2, 'https://youtube.com/watch?v=', '{}', NULL, 'paid'),
    ('likes', 'IG-LIKES-FAST', 3, 'https://instagram.com/p/', '{}', NULL, 'paid'),
    ('instant', 'TG-VIEWS-INSTANT', 1, 'https://t.me/channel/', '{}', NULL, 'paid'),
    ('members', 'TG-MEMBERS', 2, 'https://t.me/group.', '{}', NULL, 'paid'),
    ('fine', 'X-LIKES-FINE', 3, 'https://x.com/account/status/', '{}', NULL, 'paid'),
    ('partial', 'IG-FOLLOWERS-PARTIAL', 2, 'https://instagram.com/account.', '{}', NULL, 'paid'),
    ('canceled', 'TT-LIKES-CANCELED', 1, 'https://tiktok.com/@account/video/', '{}', NULL, 'paid'),
    ('refunded', 'TT-VIEWS-REFUNDED', 1, 'https://tiktok.com/@account/video/', '{}', NULL, 'paid'),
    ('failed', 'FB-LIKES-FAIL', 1, 'https://facebook.com/page.', '{}', NULL, 'paid'),
    ('stuck', 'FB-FOLLOWERS-STUCK', 1, 'https://facebook.com/page.', '{}', NULL, 'paid'),
    ('package', 'IG-STARTER-PACK', 1, 'https://instagram.com/account.', '{}', NULL, 'paid'),
    ('comments', 'IG-COMMENTS-CUSTOM', 1, 'https://instagram.com/p/',
     '{"comments": "Great shot!\nLove it 😍 & more\n100 % worth it + fun\nça c''est beau = ü"}', NULL, 'paid'),
    ('comments package', 'IG-COMMENTS-PACK', 1, 'https://instagram.com/p/', '{"comments": "Nice\nSo good 🔥"}', NULL, 'paid'),
    ('mentions', 'IG-MENTIONS', 3, 'https://instagram.com/account.', '{"usernames": "first.account\nsecond_account"}', NULL,
     'paid'),
    ('hashtags', 'IG-MENTIONS-TAGS', 2, 'https://instagram.com/account.',
     '{"usernames": "first.account", "hashtags": "#travel\n#food&drink"}', NULL, 'paid'),
    ('list', 'IG-MENTIONS-LIST', 1, 'https://instagram.com/account.', '{"usernames": "one\ntwo\nthree"}', NULL, 'paid'),
    ('drip', 'IG-FOLLOWERS-REAL', 10, 'https://instagram.com/account.', '{}', '{"runs": 5, "interval": "60"}', 'paid'),
    ('poll', 'TG-POLL-VOTES', 5, 'https://t.me/channel/', '{}', '{"answer_number": "2"}', 'paid'),
    ('traffic', 'WEB-TRAFFIC', 1, 'https://shop.example/page/', '{}',
     '{"country": "IN", "device": 2, "type_of_traffic": 3}', 'paid'),
    ('subscription', 'IG-AUTO-LIKES', 1, NULL, '{"username": "account"}', '{"min": 10, "max": 20, "posts": 5}', 'paid'),
    -- Wrong in one way each.
    ('no link', 'IG-LIKES-FAST', 1, NULL, '{}', NULL, 'paid'),
    ('blank link', 'IG-LIKES-FAST', 1, NULL, '{"link": "  "}', NULL, 'paid'),
    ('below minimum', 'IG-FOLLOWERS-REAL', 10, 'https://instagram.com/account.', '{}', '{"runs": 20, "interval": 5}', 'paid'),
    ('above maximum', 'X-RETWEETS-TINY', 4, 'https://x.com/account/status/', '{}', NULL, 'paid'),
    ('unknown service', 'IG-NO-SUCH-THING', 1, 'https://instagram.com/account.', '{}', NULL, 'paid'),
    ('disabled service', 'IG-OLD-FOLLOWERS', 1, 'https://instagram.com/account.', '{}', NULL, 'paid'),
    ('too dear', 'SP-PREMIUM', 1, 'https://spotify.com/track/', '{}', NULL, 'paid'),
    ('no comments', 'IG-COMMENTS-CUSTOM', 1, 'https://instagram.com/p/', '{}', NULL, 'paid'),
    ('few comments', 'IG-COMMENTS-CUSTOM', 1, 'https://instagram.com/p/', '{"comments": "Only one"}', NULL, 'paid'),
    ('no answer', 'TG-POLL-VOTES', 5, 'https://t.me/channel/', '{}', NULL, 'paid'),
    ('bad extras', 'IG-FOLLOWERS-REAL', 10, 'https://instagram.com/account.', '{}', '{"runs": 5, "interval', 'paid'),
    ('uneven runs', 'IG-FOLLOWERS-REAL', 10, 'https://instagram.com/account.', '{}', '{"runs": 3, "interval": 60}', 'paid'),
    -- Not for the daemon.
    ('unpaid', 'IG-LIKES-FAST', 1, 'https://instagram.com/p/', '{}', NULL, 'placed'),
    ('closed', 'IG-FOLLOWERS-REAL', 5, 'https://instagram.com/account.', '{}', NULL, 'closed');

INSERT INTO store.products (sku, name, kind, pack_size, price)
VALUES ('IG-NO-SUCH-THING', 'What no provider knows', 'followers', 100, 0.39) ON CONFLICT (sku) DO NOTHING;

CREATE FUNCTION store_test.add_customers(wanted int) RETURNS void
    LANGUAGE sql
AS $$
    INSERT INTO store.customers (email, country)
    SELECT format('customer-%s@mail.example', i), (ARRAY['IN', 'DE', 'BR', 'US', 'NG'])[1 + i % 5]
      FROM generate_series((SELECT count(*) + 1 FROM store.customers), wanted) i
$$;

-- Places `n` orders of one line each, as `kind` says; answers how many.
CREATE FUNCTION store_test.place_orders(n int, kind text) RETURNS bigint
    LANGUAGE plpgsql
AS $$
DECLARE
    wanted store_test.kinds;
    customers bigint[];
    product store.products;
    placed bigint;
BEGIN
    SELECT * INTO STRICT wanted FROM store_test.kinds k WHERE k.kind = place_orders.kind;
    PERFORM store_test.add_customers(500);
    customers := ARRAY(SELECT id FROM store.customers ORDER BY id LIMIT 500);
    SELECT * INTO STRICT product FROM store.products p WHERE p.sku = wanted.sku;

    WITH numbers AS MATERIALIZED (
        SELECT i, nextval('store.order_number') AS number FROM generate_series(1, n) i
    ), orders AS (
        INSERT INTO store.orders (number, customer_id, status, total, placed_at, paid_at)
        SELECT 'SO-' || number, customers[1 + i % array_length(customers, 1)], wanted.status, wanted.packs * product.price,
               now(), CASE WHEN wanted.status <> 'placed' THEN clock_timestamp() END
          FROM numbers ORDER BY i
        RETURNING id, number, total
    ), lines AS (
        INSERT INTO store.order_lines (order_id, position, ref, product_id, sku, pack_size, packs, unit_price, options, extras)
        SELECT id, 1, number || '-1', product.id, product.sku, product.pack_size, wanted.packs, product.price,
               CASE WHEN wanted.link IS NULL THEN wanted.options
                    ELSE wanted.options || jsonb_build_object('link', wanted.link || substr(number, 4)) END,
               wanted.extras
          FROM orders
        RETURNING id
    ), payments AS (
        INSERT INTO store.payments (order_id, method, status, amount)
        SELECT id, 'card', 'captured', total FROM orders WHERE wanted.status <> 'placed' AND total > 0
    )
    SELECT count(*) INTO placed FROM lines;

    IF wanted.status = 'closed' AND to_regclass('chwsync_shop.sample_store_line') IS NOT NULL THEN
        EXECUTE 'INSERT INTO chwsync_shop.sample_store_line (order_ref, order_id, status, provider_order_id, charge, currency,'
                ' start_count, remains, seq, told, told_seq)'
                ' SELECT l.ref, l.order_id, ''completed'', ''h'' || l.id, 0.75, ''USD'', 100, 0, 4, ''completed'', 4'
                ' FROM store.order_lines l JOIN store.orders o ON o.id = l.order_id'
                ' WHERE o.status = ''closed'' ON CONFLICT DO NOTHING';
    END IF;
    RETURN placed;
END
$$;

COMMIT;
