-- 001-ledger.sql - the ledger: orders, attempts, work lists, history; the contract's type.
--
-- Run inside one transaction by `chwsyncd schema install|upgrade`, as the owner of schema chwsync.
--
-- How the tables share the work. `orders` holds the truth, one row an order for ever. Nothing that changes in an
-- order's life is indexed there, so that every change of state is a heap-only update (fillfactor leaves the room).
-- What is to be done next stands in three narrow work lists, `queue` (to submit), `polls` (to follow) and
-- `write_backs` (to tell the shop); a row there exists exactly as long as the work does. There are no foreign
-- keys between them: each is written by the same statement that writes `orders`, and a check per row would cost more
-- than the row.

CREATE TYPE chwsync.order_state AS ENUM (
    'queued', 'submitting', 'active', 'completed', 'partial', 'canceled', 'refunded', 'failed', 'rejected',
    'withdrawn', 'uncertain', 'abandoned');

-- What the shop's function is called with. A column is only ever added at the end.
CREATE TYPE chwsync.result AS (
    order_ref text, status text, provider_order_id text, charge numeric, currency text, start_count bigint,
    remains bigint, error text, seq bigint);

CREATE TABLE chwsync.ledger (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    schema_version int NOT NULL,
    installed_at timestamptz NOT NULL DEFAULT now(),
    upgraded_at timestamptz,
    -- Keys the digests of provider keys, so that a reader of the ledger cannot try keys against them.
    digest_salt text NOT NULL DEFAULT substr(replace(gen_random_uuid()::text, '-', ''), 1, 16)
);

CREATE TABLE chwsync.accounts (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider text NOT NULL, -- the name it was last configured under
    endpoint text NOT NULL,
    key_digest text NOT NULL,
    first_used_at timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz NOT NULL DEFAULT now(),
    submits_paused_until timestamptz, -- 'infinity': until somebody does something
    all_paused_until timestamptz,     -- the provider asked for it (retry_after)
    pause_reason text,
    last_error text,
    last_error_at timestamptz,
    UNIQUE (endpoint, key_digest)
);

-- Requests that were allowed, by minute: what a restart knows of the budget. Kept for two days.
CREATE TABLE chwsync.budget_minutes (
    account_id int NOT NULL,
    minute timestamptz NOT NULL,
    adds int NOT NULL DEFAULT 0,
    polls int NOT NULL DEFAULT 0,
    reads int NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, minute)
) WITH (fillfactor = 50);

CREATE TABLE chwsync.orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_ref text NOT NULL UNIQUE CHECK (octet_length(order_ref) BETWEEN 1 AND 200),
    -- What the shop wants. Follows the view while queued, stands still from the claim on.
    provider text NOT NULL,
    service text,
    link text,
    quantity bigint,
    runs bigint,
    "interval" bigint,
    min bigint,
    max bigint,
    comments text,
    usernames text,
    hashtags text,
    username text,
    params jsonb,
    max_charge numeric,
    display_ref text,
    shop_created_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    -- Where it stands.
    state chwsync.order_state NOT NULL DEFAULT 'queued',
    in_progress boolean NOT NULL DEFAULT false, -- while active: the provider has begun
    attempts int NOT NULL DEFAULT 0,
    account_id int,
    provider_order_id text,
    provider_status text, -- the provider's own word
    charge numeric,
    currency text,
    start_count bigint,
    remains bigint,
    error text,
    seq bigint NOT NULL DEFAULT 0,
    accepted_at timestamptz,
    changed_at timestamptz, -- status or remains moved
    polled_at timestamptz,  -- when the poll that was last applied was sent
    updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

-- Every `add`, from the committed intent to its end. What was sent stays here.
CREATE TABLE chwsync.attempts (
    order_id bigint NOT NULL,
    number int NOT NULL,
    account_id int NOT NULL,
    instance uuid NOT NULL,
    claim bigint NOT NULL, -- grows from claim to claim within an instance
    claimed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    send_before timestamptz NOT NULL,
    service text,
    link text,
    quantity bigint,
    further jsonb, -- the other parameters, when there were any
    -- Open until the outcome is certain: an unknown one stays open.
    open boolean NOT NULL DEFAULT true,
    outcome text, -- accepted, refused, put off, not executed, unknown
    ended_at timestamptz,
    http_status int,
    answer text, -- the provider's words, or what happened instead of an answer
    provider_order_id text,
    PRIMARY KEY (order_id, number)
) WITH (fillfactor = 70);
CREATE INDEX attempts_open ON chwsync.attempts (account_id, order_id) WHERE open;

CREATE TABLE chwsync.queue (
    order_id bigint PRIMARY KEY,
    provider text NOT NULL,
    next_at timestamptz NOT NULL
);
CREATE INDEX queue_next ON chwsync.queue (provider, next_at, order_id);

CREATE TABLE chwsync.polls (
    order_id bigint PRIMARY KEY,
    account_id int NOT NULL,
    next_at timestamptz NOT NULL,
    interval_s int NOT NULL, -- until the look after the next
    errors int NOT NULL DEFAULT 0 -- answers with an error for this id, in a row
) WITH (fillfactor = 70);
CREATE INDEX polls_next ON chwsync.polls (account_id, next_at);

-- One row a change that the shop has not been told; the present state is told, so later ones make earlier ones done.
CREATE TABLE chwsync.write_backs (
    order_id bigint NOT NULL,
    seq bigint NOT NULL,
    due_at timestamptz NOT NULL DEFAULT now(),
    since timestamptz NOT NULL DEFAULT now(),
    failures int NOT NULL DEFAULT 0,
    sqlstate text,
    error text,
    PRIMARY KEY (order_id, seq)
) WITH (fillfactor = 70);
CREATE INDEX write_backs_due ON chwsync.write_backs (due_at);

-- Lines of the view that cannot be taken: shown twice, without a key, or raising when read.
CREATE TABLE chwsync.parked_lines (
    order_ref text PRIMARY KEY,
    sqlstate text,
    reason text NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    retry_at timestamptz NOT NULL DEFAULT now()
);

-- What happened to an order besides its attempts.
CREATE TABLE chwsync.history (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    event text NOT NULL,
    state chwsync.order_state,
    detail text
);
CREATE INDEX history_order ON chwsync.history (order_id);
CREATE INDEX history_at ON chwsync.history USING brin (at);
