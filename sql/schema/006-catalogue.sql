-- 006-catalogue.sql - what providers sell, what it costs, and what is left to pay it with.
--
-- Run inside one transaction by `chwsyncd schema install|upgrade`, as the owner of schema chwsync.

-- One row an account: how its catalogue was last read. A catalogue that cannot be read leaves the known one as it is.
CREATE TABLE chwsync.catalogues (
    account_id int PRIMARY KEY,
    read_at timestamptz,   -- when the known one was asked for; NULL: none was ever read, and orders are not checked against it
    tried_at timestamptz,  -- the last try, whatever came of it
    error text,            -- what was wrong with it; NULL: nothing
    wanted_at timestamptz  -- somebody asked for a fresh one (a command); done once read_at or tried_at is later
) WITH (fillfactor = 50);

-- What an account may buy. Rows are never deleted: a service that is no longer listed is still known.
CREATE TABLE chwsync.catalogue_services (
    account_id int NOT NULL,
    service text NOT NULL,     -- the provider's id for it; it may be given to another service one day
    product_id text,           -- the stable name, where there is one
    name text NOT NULL,
    type text NOT NULL,        -- the provider's word
    category text,
    rate numeric,              -- per 1000, or for the whole where charged_by is 'fixed'; NULL: the provider's word is no amount
    min bigint,
    max bigint,
    refill boolean NOT NULL DEFAULT false,
    charged_by text NOT NULL,  -- what the rate is multiplied with (rules/service_type): quantity, runs, comments, usernames,
                               -- fixed, posts, unknown
    listed boolean NOT NULL DEFAULT true, -- in the last catalogue that could be read
    refused_at timestamptz,    -- it was listed, and an order for it was refused as not found or disabled: orders wait until the
                               -- next catalogue
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now(),
    -- As it was called at the last order that named it by `service`; another name or type now holds such orders.
    ordered_name text,
    ordered_type text,
    PRIMARY KEY (account_id, service)
);
CREATE INDEX catalogue_services_product ON chwsync.catalogue_services (account_id, product_id) WHERE product_id IS NOT NULL;

CREATE TABLE chwsync.catalogue_changes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id int NOT NULL,
    service text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    change text NOT NULL,      -- new, gone, back, price, min, max, name, type, category, refill, product_id
    before text,
    after text
);
CREATE INDEX catalogue_changes_service ON chwsync.catalogue_changes (account_id, service, id);
CREATE INDEX catalogue_changes_at ON chwsync.catalogue_changes USING brin (at);

-- One row an account: its balance as it was last told.
CREATE TABLE chwsync.balances (
    account_id int PRIMARY KEY,
    balance numeric NOT NULL,
    currency text,
    asked_at timestamptz NOT NULL,
    -- What of it is not spoken for: told, less the expected charges of orders that it cannot have included. Every claim takes its
    -- expected charges off; the next balance says it anew.
    available numeric NOT NULL
) WITH (fillfactor = 50);

-- A row each time it was another.
CREATE TABLE chwsync.balance_history (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id int NOT NULL,
    at timestamptz NOT NULL,
    balance numeric NOT NULL,
    currency text
);
CREATE INDEX balance_history_account ON chwsync.balance_history (account_id, at);

-- What an attempt was expected to cost by the catalogue of that moment; NULL: no price was known.
ALTER TABLE chwsync.attempts ADD COLUMN expected_charge numeric;

-- Why a queued line is not claimed though it is due: price, limit, spent, funds, disabled, identity, unpriced. What ends one of
-- these (a new catalogue, a higher balance) makes its rows due at once.
ALTER TABLE chwsync.queue ADD COLUMN held text;

-- Expected charges of what was claimed in that minute, less those of what came to nothing: for max_spend_per_day.
ALTER TABLE chwsync.budget_minutes ADD COLUMN spent numeric NOT NULL DEFAULT 0;
