-- sample-store.sql - a small shop that sells social media services: the daemon's tests and its demo buy for it.
--
-- It is written as if the daemon did not exist: nothing here knows of it. What connects the two is
-- sql/adapters/sample-store.sql, which changes nothing here. PostgreSQL 13 or later; run it once, in an empty database.

BEGIN;

CREATE SCHEMA store;

CREATE FUNCTION store.touch() RETURNS trigger
    LANGUAGE plpgsql
AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END
$$;

CREATE TABLE store.customers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email text NOT NULL CHECK (email ~ '^[^@\s]+@[^@\s]+$'),
    country char(2) NOT NULL CHECK (country ~ '^[A-Z]{2}$'),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX customers_email ON store.customers (lower(email));

CREATE TABLE store.products (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sku text NOT NULL UNIQUE, -- the supplier's product id
    name text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('followers', 'likes', 'views', 'comments', 'mentions', 'poll', 'package',
                                       'members', 'traffic', 'subscription')),
    pack_size int CHECK (pack_size > 0), -- pieces a pack; NULL: not sold by pieces
    price numeric(12,2) NOT NULL CHECK (price >= 0), -- of a pack, to the customer
    cost_cap numeric(12,5) CHECK (cost_cap > 0),     -- the most a pack may cost us; NULL: no matter
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- An order goes cart -> placed -> paid -> closed; it is closed when everything in it was delivered.
CREATE TABLE store.orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    number text NOT NULL UNIQUE CHECK (number ~ '^SO-[0-9]+$'), -- on the invoice
    customer_id bigint NOT NULL REFERENCES store.customers,
    status text NOT NULL DEFAULT 'cart' CHECK (status IN ('cart', 'placed', 'paid', 'closed', 'refunded', 'canceled')),
    currency char(3) NOT NULL DEFAULT 'USD',
    total numeric(12,2) NOT NULL DEFAULT 0 CHECK (total >= 0),
    placed_at timestamptz,
    paid_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK (status IN ('cart', 'canceled') OR placed_at IS NOT NULL),
    CHECK (status NOT IN ('paid', 'closed', 'refunded') OR paid_at IS NOT NULL)
);
CREATE INDEX orders_customer ON store.orders (customer_id);
CREATE INDEX orders_paid ON store.orders (paid_at) WHERE status = 'paid'; -- what has still to be delivered
CREATE SEQUENCE store.order_number START 100001;

-- What was bought, as it was sold: a product's later change does not change the line.
CREATE TABLE store.order_lines (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id bigint NOT NULL REFERENCES store.orders,
    position int NOT NULL CHECK (position > 0),
    ref text NOT NULL UNIQUE, -- number and position: SO-100234-2, in mails to customers
    product_id bigint NOT NULL REFERENCES store.products,
    sku text NOT NULL,
    pack_size int CHECK (pack_size > 0),
    packs int NOT NULL CHECK (packs > 0),
    unit_price numeric(12,2) NOT NULL CHECK (unit_price >= 0),
    line_total numeric(12,2) GENERATED ALWAYS AS (packs * unit_price) STORED,
    options jsonb NOT NULL DEFAULT '{}', -- entered by the customer: link, comments, usernames, hashtags, username
    extras text, -- JSON of the product page's plug-in: runs, interval, answer_number ...; unchecked
    canceled_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (order_id, position),
    CHECK (pack_size IS NOT NULL OR packs = 1)
);
CREATE INDEX order_lines_product ON store.order_lines (product_id);

CREATE TABLE store.payments (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id bigint NOT NULL REFERENCES store.orders,
    method text NOT NULL CHECK (method IN ('card', 'transfer', 'wallet')),
    status text NOT NULL CHECK (status IN ('authorized', 'captured', 'failed', 'refunded')),
    amount numeric(12,2) NOT NULL CHECK (amount > 0),
    gateway_ref text UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX payments_order ON store.payments (order_id);

-- The shop's log and outbox: its mailer and its other workers read what is not handled. It outlives the orders, so
-- it does not refer to them.
CREATE TABLE store.order_events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    order_id bigint NOT NULL,
    line_ref text,
    kind text NOT NULL CHECK (kind IN ('paid', 'line canceled', 'refunded', 'delivery', 'closed')),
    data jsonb NOT NULL DEFAULT '{}',
    handled_at timestamptz
);
CREATE INDEX order_events_unhandled ON store.order_events (handled_at, id);

CREATE TRIGGER touch BEFORE UPDATE ON store.customers FOR EACH ROW EXECUTE FUNCTION store.touch();
CREATE TRIGGER touch BEFORE UPDATE ON store.products FOR EACH ROW EXECUTE FUNCTION store.touch();
CREATE TRIGGER touch BEFORE UPDATE ON store.orders FOR EACH ROW EXECUTE FUNCTION store.touch();
CREATE TRIGGER touch BEFORE UPDATE ON store.order_lines FOR EACH ROW EXECUTE FUNCTION store.touch();
CREATE TRIGGER touch BEFORE UPDATE ON store.payments FOR EACH ROW EXECUTE FUNCTION store.touch();

-- What the shop's own code does. Whoever takes something back touches the lines first, then the order: that is the
-- order of locks everywhere in this shop.

-- The gateway captured the money.
CREATE FUNCTION store.pay_order(paid_number text, paid_method text DEFAULT 'card') RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    paid store.orders;
BEGIN
    UPDATE store.orders SET status = 'paid', paid_at = clock_timestamp()
     WHERE number = paid_number AND status = 'placed' RETURNING * INTO paid;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'order % is not waiting for a payment', paid_number;
    END IF;
    INSERT INTO store.payments (order_id, method, status, amount) VALUES (paid.id, paid_method, 'captured', paid.total);
    INSERT INTO store.order_events (order_id, kind) VALUES (paid.id, 'paid');
    PERFORM pg_notify('store_paid', '');
END
$$;

-- False when there is nothing to cancel: no such line, or canceled already.
CREATE FUNCTION store.cancel_line(canceled_ref text) RETURNS boolean
    LANGUAGE plpgsql
AS $$
DECLARE
    line store.order_lines;
BEGIN
    UPDATE store.order_lines SET canceled_at = now() WHERE ref = canceled_ref AND canceled_at IS NULL RETURNING * INTO line;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO store.order_events (order_id, line_ref, kind) VALUES (line.order_id, line.ref, 'line canceled');
    RETURN true;
END
$$;

CREATE FUNCTION store.refund_order(refunded_number text) RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    refunded_id bigint := (SELECT id FROM store.orders WHERE number = refunded_number);
BEGIN
    UPDATE store.order_lines SET canceled_at = coalesce(canceled_at, now()) WHERE order_id = refunded_id;
    UPDATE store.orders SET status = 'refunded' WHERE id = refunded_id AND status IN ('paid', 'closed');
    IF NOT FOUND THEN
        RAISE EXCEPTION 'order % is not paid', refunded_number;
    END IF;
    UPDATE store.payments SET status = 'refunded' WHERE order_id = refunded_id AND status = 'captured';
    INSERT INTO store.order_events (order_id, kind) VALUES (refunded_id, 'refunded');
END
$$;

-- Run by the shop every now and then: closes paid orders in which every line was delivered or canceled by the shop. The
-- others stay for its staff to refund or to send again. Answers how many were closed.
CREATE FUNCTION store.close_delivered() RETURNS bigint
    LANGUAGE sql
AS $$
    WITH delivered AS (
        SELECT o.id
          FROM store.orders o
         WHERE o.status = 'paid'
           AND NOT EXISTS (SELECT FROM store.order_lines l
                            WHERE l.order_id = o.id AND l.canceled_at IS NULL
                              AND l.ref NOT IN (SELECT e.line_ref FROM store.order_events e
                                                 WHERE e.kind = 'delivery' AND e.handled_at IS NULL
                                                   AND e.line_ref IS NOT NULL
                                                   AND e.data ->> 'status' IN ('completed', 'partial')))
    ), closed AS (
        UPDATE store.orders o SET status = 'closed' FROM delivered d WHERE o.id = d.id RETURNING o.id
    ), handled AS (
        UPDATE store.order_events e SET handled_at = now()
          FROM closed c WHERE e.order_id = c.id AND e.handled_at IS NULL
    )
    SELECT count(*) FROM closed
$$;

INSERT INTO store.products (sku, name, kind, pack_size, price, cost_cap) VALUES
    ('IG-FOLLOWERS-REAL', 'Instagram followers, 100', 'followers', 100, 0.49, 0.18),
    ('YT-VIEWS-WW', 'YouTube views, 1000', 'views', 1000, 2.49, 0.95),
    ('IG-LIKES-FAST', 'Instagram likes, 100', 'likes', 100, 0.19, NULL),
    ('IG-FOLLOWERS-PARTIAL', 'Instagram followers, economy, 100', 'followers', 100, 0.45, NULL),
    ('TT-LIKES-CANCELED', 'TikTok likes, 100', 'likes', 100, 0.39, NULL),
    ('TT-VIEWS-REFUNDED', 'TikTok views, 1000', 'views', 1000, 0.29, NULL),
    ('FB-LIKES-FAIL', 'Facebook page likes, 100', 'likes', 100, 0.99, NULL),
    ('FB-FOLLOWERS-STUCK', 'Facebook followers, 100', 'followers', 100, 0.79, NULL),
    ('IG-STARTER-PACK', 'Instagram starter package', 'package', NULL, 79.00, 55),
    ('IG-COMMENTS-CUSTOM', 'Instagram comments of your own', 'comments', NULL, 4.99, NULL),
    ('IG-COMMENTS-PACK', 'Ten Instagram comments', 'comments', NULL, 19.90, 13),
    ('IG-MENTIONS', 'Instagram mentions, 10', 'mentions', 10, 0.29, NULL),
    ('IG-MENTIONS-TAGS', 'Instagram mentions with hashtags, 10', 'mentions', 10, 0.29, NULL),
    ('IG-MENTIONS-LIST', 'Instagram mentions of your list', 'mentions', NULL, 2.49, NULL),
    ('TG-POLL-VOTES', 'Telegram poll votes, 10', 'poll', 10, 0.05, 0.02),
    ('IG-AUTO-LIKES', 'Likes for your next posts', 'subscription', NULL, 9.90, NULL),
    ('WEB-TRAFFIC', 'Visitors, 1000', 'traffic', 1000, 1.29, 0.5),
    ('TG-MEMBERS', 'Telegram channel members, 100', 'members', 100, 0.29, NULL),
    ('TG-VIEWS-INSTANT', 'Telegram post views, 100', 'views', 100, 0.01, NULL),
    ('X-RETWEETS-TINY', 'Retweets', 'likes', 1, 0.10, NULL),
    ('X-LIKES-FINE', 'X likes, 100', 'likes', 100, 0.05, NULL),
    ('SP-PREMIUM', 'Spotify premium plays, 100', 'views', 100, 149.00, 99),
    ('IG-OLD-FOLLOWERS', 'Instagram followers, classic, 100', 'followers', 100, 0.39, NULL);

COMMIT;
