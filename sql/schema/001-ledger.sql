-- 001-ledger.sql - the ledger: orders, attempts, work lists, history; the contract's type and helpers.
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

-- Helpers for adapters. NULL instead of an error, so that one bad row stays one bad row.
-- try_jsonb has an EXCEPTION block, which starts a subtransaction: in a parallel plan that fails, hence PARALLEL UNSAFE.
CREATE FUNCTION chwsync.try_jsonb(value text) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN value::jsonb;
EXCEPTION
    WHEN data_exception OR statement_too_complex THEN
        RETURN NULL;
END
$$;
COMMENT ON FUNCTION chwsync.try_jsonb(text) IS 'The text as jsonb, or NULL where it is none.';

CREATE FUNCTION chwsync.try_bigint(value text) RETURNS bigint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN value ~ '^\s*[+-]?[0-9]{1,18}\s*$' THEN value::bigint END
$$;
COMMENT ON FUNCTION chwsync.try_bigint(text) IS 'The text as a whole number of at most 18 digits, or NULL where it is none.';

-- The word of the contract for where an order stands.
CREATE FUNCTION chwsync.contract_status(state chwsync.order_state, in_progress boolean) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE WHEN state <> 'active' THEN state::text WHEN in_progress THEN 'in_progress' ELSE 'pending' END
$$;

-- What the daemon does for every order stands in functions, because a session keeps their plans: to plan these statements anew
-- costs more than to carry them out for a few lines. They are planned for their indexes whatever the statistics say: a work list that was empty a
-- minute ago has those of an empty table, and would be read and sorted as a whole for every batch. The same holds for the
-- plans that PostgreSQL caches in the shop's function while they call it. What a disabled step costs must not wake the
-- just-in-time compiler.

-- The ends of attempts. The life of an order, set-wise: accepted moves submitting, uncertain, queued, rejected, withdrawn
-- and abandoned to active; everything else moves only the attempt that is the order's last.
CREATE FUNCTION chwsync.record_outcomes(order_ids bigint[], numbers int[], outcomes text[], provider_order_ids text[],
                                        http_statuses int[], answers text[], waits_s int[], tell_shop boolean,
                                        first_poll_s int, journals uuid[])
    RETURNS TABLE (order_ref text, state text, provider_order_id text)
    LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH told AS MATERIALIZED (
        SELECT * FROM unnest($1::bigint[], $2::int[], $3::text[], $4::text[], $5::int[], $6::text[], $7::int[], $10::uuid[])
                 AS t(order_id, number, outcome, provider_order_id, http_status, answer, wait_s, journal)
    ), ended AS (
        UPDATE chwsync.attempts a
           SET open = t.outcome = 'unknown', outcome = t.outcome, ended_at = clock_timestamp(),
               http_status = t.http_status, answer = t.answer, provider_order_id = t.provider_order_id,
               found_by = NULL -- a reply beats a proof
          FROM told t
         WHERE a.order_id = t.order_id AND a.number = t.number AND (t.journal IS NULL OR a.journal = t.journal)
           AND (a.open AND a.outcome IS DISTINCT FROM t.outcome
                OR t.outcome = 'accepted' AND (a.outcome, a.provider_order_id)
                                              IS DISTINCT FROM ('accepted', t.provider_order_id))
        RETURNING t.order_id, t.number, t.outcome, t.provider_order_id, t.answer, t.wait_s, a.account_id
    ), moved AS (
        UPDATE chwsync.orders o
           SET state = CASE e.outcome WHEN 'accepted' THEN 'active' WHEN 'refused' THEN 'rejected'
                                      WHEN 'unknown' THEN 'uncertain' ELSE 'queued' END::chwsync.order_state,
               in_progress = false, seq = o.seq + 1, updated_at = now(),
               account_id = CASE WHEN e.outcome = 'accepted' THEN e.account_id ELSE o.account_id END,
               provider_order_id = coalesce(e.provider_order_id, o.provider_order_id),
               error = CASE WHEN e.outcome <> 'accepted' THEN e.answer END,
               accepted_at = CASE WHEN e.outcome = 'accepted' THEN now() ELSE o.accepted_at END,
               changed_at = now()
          FROM ended e
         WHERE o.id = e.order_id
           AND (o.state IN ('submitting', 'uncertain') AND o.attempts = e.number
                OR e.outcome = 'accepted' AND o.state IN ('submitting', 'uncertain', 'queued', 'rejected', 'withdrawn',
                                                          'abandoned')
                -- It had been taken for another order of the provider (in this snapshot it still is).
                OR e.outcome = 'accepted'
                   AND EXISTS (SELECT FROM chwsync.attempts b
                                WHERE b.order_id = e.order_id AND b.number = e.number AND b.found_by IS NOT NULL
                                  AND b.provider_order_id = o.provider_order_id))
        RETURNING o.id, o.order_ref, o.provider, o.state, o.seq, e.account_id, e.wait_s, e.number
    ), followed AS (
        INSERT INTO chwsync.polls (order_id, account_id, next_at, interval_s)
        SELECT m.id, m.account_id, now() + make_interval(secs => $9::int), $9::int FROM moved m WHERE m.state = 'active'
        ON CONFLICT (order_id) DO NOTHING
    ), queued AS (
        INSERT INTO chwsync.queue (order_id, provider, next_at)
        SELECT m.id, m.provider, now() + make_interval(secs => m.wait_s) FROM moved m WHERE m.state = 'queued'
        ON CONFLICT (order_id) DO NOTHING
    ), unqueued AS (
        DELETE FROM chwsync.queue q USING moved m WHERE m.state = 'active' AND q.order_id = m.id
    ), due AS (
        INSERT INTO chwsync.write_backs (order_id, seq) SELECT m.id, m.seq FROM moved m WHERE $8::boolean
    ), surplus AS MATERIALIZED (
        SELECT o.order_ref, e.provider_order_id,
               chwsync.follow_surplus(o.id, e.number, e.account_id, e.provider_order_id, $9::int)
          FROM ended e JOIN chwsync.orders o ON o.id = e.order_id
         WHERE e.outcome = 'accepted' AND o.provider_order_id IS DISTINCT FROM e.provider_order_id
           AND NOT EXISTS (SELECT FROM moved m WHERE m.id = e.order_id AND m.number = e.number)
    )
    SELECT m.order_ref, m.state::text, NULL FROM moved m
    UNION ALL SELECT s.order_ref, 'surplus', s.provider_order_id FROM surplus s;
END
$$;

-- Lines that are due, asked for their veto, moved from queued to submitting (or withdrawn). `ask` takes results (chwsync.result[])
-- and answers two arrays, their keys and what the shop says; `ask_any`, where the view is asked, whether it shows anything:
-- one that shows nothing at all is more likely broken than emptied, and then nothing is withdrawn.
CREATE FUNCTION chwsync.claim(for_provider text, by_account int, by_instance uuid, at_most int, send_within_s int,
                              only_order bigint, lease_number bigint, lease_claims bigint, by_journal uuid, ask text,
                              ask_any text)
    RETURNS TABLE (id bigint, number int, order_ref text, go boolean, service text, link text, quantity bigint,
                   runs bigint, "interval" bigint, min bigint, max bigint, comments text, usernames text, hashtags text,
                   username text, params jsonb)
    LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    questions chwsync.result[];
    asked_refs text[];
    asked_gos boolean[];
    shows_any boolean;
BEGIN
    -- The lease is renewed and its claims are counted here, or nothing is claimed: another instance has taken it, or this
    -- database has lost our last claim.
    UPDATE chwsync.leases l
       SET claims = l.claims + 1, journal = by_journal, expires_at = clock_timestamp() + interval '10 seconds'
     WHERE l.account_id = $2 AND l.holder = $3 AND l.number = lease_number AND l.claims = lease_claims;
    IF NOT FOUND THEN
        RETURN; -- without a row
    END IF;
    -- While submits are stopped nothing is due. A row whose order is not queued would stand at the head for ever.
    WITH due AS MATERIALIZED (
        SELECT q.order_id FROM chwsync.queue q
         WHERE q.provider = $1 AND q.next_at <= now() AND ($6 IS NULL OR q.order_id = $6)
           AND NOT EXISTS (SELECT FROM chwsync.submit_stops s WHERE s.account_id = $2 AND s.released_at IS NULL)
         ORDER BY q.next_at, q.order_id LIMIT $4 FOR UPDATE SKIP LOCKED
    ), stale AS (
        UPDATE chwsync.queue q SET next_at = now() + interval '1 hour' FROM due d JOIN chwsync.orders o ON o.id = d.order_id
         WHERE q.order_id = d.order_id AND o.state <> 'queued'
    )
    SELECT array_agg(ROW(o.order_ref, 'submitting', NULL, NULL, NULL, NULL, NULL, NULL, o.seq + 1)::chwsync.result)
      INTO questions
      FROM due d JOIN chwsync.orders o ON o.id = d.order_id
     WHERE o.state = 'queued';
    IF questions IS NULL THEN
        RETURN NEXT; -- one row of NULLs: the lease holds, nothing is due
        RETURN;
    END IF;
    EXECUTE ask INTO asked_refs, asked_gos USING questions;
    IF ask_any IS NOT NULL AND true <> ALL (asked_gos) THEN
        EXECUTE ask_any INTO shows_any;
        IF NOT shows_any THEN
            asked_gos := array_fill(NULL::boolean, ARRAY[cardinality(asked_gos)]);
        END IF;
    END IF;
    RETURN QUERY
    WITH asked AS MATERIALIZED (
        SELECT a.order_ref, a.go FROM unnest(asked_refs, asked_gos) AS a(order_ref, go)
    ), moved AS (
        UPDATE chwsync.orders o
           SET state = CASE WHEN a.go THEN 'submitting' ELSE 'withdrawn' END::chwsync.order_state,
               attempts = o.attempts + a.go::int, seq = o.seq + 1, account_id = $2::int, updated_at = now(),
               error = CASE WHEN NOT a.go THEN 'the shop took it back' END
          FROM asked a WHERE o.order_ref = a.order_ref AND o.state = 'queued' AND a.go IS NOT NULL
        RETURNING o.id, o.attempts AS number, o.order_ref, a.go, o.service, o.link, o.quantity, o.runs, o."interval", o.min, o.max, o.comments, o.usernames, o.hashtags, o.username, o.params
    ), taken AS (
        DELETE FROM chwsync.queue q USING moved m WHERE q.order_id = m.id
    ), busy AS (
        UPDATE chwsync.queue q SET next_at = now() + interval '2 seconds' FROM asked a, chwsync.orders o
         WHERE a.go IS NULL AND o.order_ref = a.order_ref AND q.order_id = o.id
        RETURNING q.order_id, o.order_ref
    ), attempt AS (
        INSERT INTO chwsync.attempts (order_id, number, account_id, instance, claim, journal, send_before, service, link, quantity, further)
        SELECT m.id, m.number, $2::int, $3::uuid, lease_claims + 1, by_journal, now() + make_interval(secs => $5::int), m.service, m.link, m.quantity,
               CASE WHEN num_nonnulls(m.runs, m."interval", m.min, m.max, m.comments, m.usernames, m.hashtags,
                                      m.username, m.params) > 0
                    THEN jsonb_strip_nulls(jsonb_build_object('runs', m.runs, 'interval', m."interval", 'min', m.min,
                        'max', m.max, 'comments', m.comments, 'usernames', m.usernames, 'hashtags', m.hashtags,
                        'username', m.username, 'params', m.params)) END
          FROM moved m WHERE m.go
    ), withdrawn AS (
        INSERT INTO chwsync.history (order_id, event, state, detail)
        SELECT m.id, 'withdrawn', 'withdrawn', 'the shop took it back' FROM moved m WHERE NOT m.go
    ), counted AS (
        INSERT INTO chwsync.budget_minutes AS b (account_id, minute, adds)
        SELECT $2::int, date_trunc('minute', now()), count(*) FROM moved m WHERE m.go HAVING count(*) > 0
        ON CONFLICT (account_id, minute) DO UPDATE SET adds = b.adds + excluded.adds
    )
    SELECT m.id, m.number, m.order_ref, m.go, m.service, m.link, m.quantity, m.runs, m."interval", m.min, m.max,
           m.comments, m.usernames, m.hashtags, m.username, m.params FROM moved m
    UNION ALL SELECT b.order_id, NULL, b.order_ref, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
      FROM busy b ORDER BY 1;
    IF NOT FOUND THEN
        RETURN NEXT;
    END IF;
END
$$;

-- Tells the shop where orders stand. A row of write_backs is one change (order, seq); the shop is told the present state, and what
-- was due up to that seq is done. So a change that comes in meanwhile needs no lock here and is never lost. `tell` as `ask` above.
CREATE FUNCTION chwsync.deliver(at_most int, only_order bigint, tell text)
    RETURNS TABLE (id bigint, order_ref text, answer boolean, status text)
    LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    due_ids bigint[];
    due_seqs bigint[];
    results chwsync.result[];
    told_refs text[];
    told_answers boolean[];
BEGIN
    WITH due AS MATERIALIZED (
        SELECT w.order_id, w.seq FROM chwsync.write_backs w
         WHERE w.due_at <= now() AND ($2 IS NULL OR w.order_id = $2)
         ORDER BY w.due_at LIMIT $1 FOR UPDATE SKIP LOCKED
    )
    SELECT array_agg(d.order_id), array_agg(d.seq) INTO due_ids, due_seqs FROM due d;
    IF due_ids IS NULL THEN
        RETURN;
    END IF;
    SELECT array_agg(ROW(o.order_ref, chwsync.contract_status(o.state, o.in_progress), o.provider_order_id, o.charge, o.currency,
                         o.start_count, o.remains, o.error, o.seq)::chwsync.result)
      INTO results
      FROM (SELECT DISTINCT d.id FROM unnest(due_ids) AS d(id)) d JOIN chwsync.orders o ON o.id = d.id
     WHERE o.state NOT IN ('submitting', 'withdrawn');
    IF results IS NOT NULL THEN
        EXECUTE tell INTO told_refs, told_answers USING results;
    END IF;
    RETURN QUERY
    WITH due AS (
        SELECT d.order_id, d.seq FROM unnest(due_ids, due_seqs) AS d(order_id, seq)
    ), told AS MATERIALIZED (
        SELECT o.id, r.order_ref, r.seq, r.status, a.answer
          FROM unnest(results) AS r
          JOIN unnest(told_refs, told_answers) AS a(order_ref, answer) ON a.order_ref = r.order_ref
          JOIN chwsync.orders o ON o.order_ref = r.order_ref
    ), done AS (
        DELETE FROM chwsync.write_backs w USING due d LEFT JOIN told t ON t.id = d.order_id
         WHERE w.order_id = d.order_id AND w.seq <= coalesce(t.seq, d.seq) AND (t.id IS NULL OR t.answer IS NOT NULL)
    ), busy AS (
        UPDATE chwsync.write_backs w
           SET failures = w.failures + 1, error = 'the function answered NULL', sqlstate = NULL,
               due_at = now() + least(interval '1 second' * power(2, least(w.failures, 12)), interval '1 hour')
          FROM told t WHERE w.order_id = t.id AND t.answer IS NULL AND w.seq <= t.seq
    )
    SELECT t.id, t.order_ref, t.answer, t.status FROM told t;
END
$$;

CREATE VIEW chwsync.order_status AS
    SELECT o.order_ref, chwsync.contract_status(o.state, o.in_progress) AS status, o.provider_order_id, o.charge,
           o.currency, o.start_count, o.remains, o.error, o.seq, o.provider, o.display_ref, o.state,
           q.next_at AS next_attempt_at, o.updated_at
      FROM chwsync.orders o LEFT JOIN chwsync.queue q ON q.order_id = o.id;
COMMENT ON VIEW chwsync.order_status IS 'Where every order line stands now; one row an order_ref.';
COMMENT ON COLUMN chwsync.order_status.order_ref IS 'The key of the order line, as the shop''s view shows it.';
COMMENT ON COLUMN chwsync.order_status.status IS 'The word the write-back function gets: queued, submitting, pending, in_progress, completed, partial, canceled, refunded, failed, rejected, uncertain, abandoned; and withdrawn.';
COMMENT ON COLUMN chwsync.order_status.provider_order_id IS 'The order''s id at the provider, once it was accepted.';
COMMENT ON COLUMN chwsync.order_status.charge IS 'What the provider charged, exactly as it said, in currency; NULL until it was reported.';
COMMENT ON COLUMN chwsync.order_status.currency IS 'The currency the provider named.';
COMMENT ON COLUMN chwsync.order_status.start_count IS 'The count at the start of delivery, as the provider says.';
COMMENT ON COLUMN chwsync.order_status.remains IS 'What is left to deliver; negative when over-delivered; never a sign of completion.';
COMMENT ON COLUMN chwsync.order_status.error IS 'Why it is where it is, when something is in the way.';
COMMENT ON COLUMN chwsync.order_status.seq IS 'Grows with every change of this order.';
COMMENT ON COLUMN chwsync.order_status.provider IS 'The configured provider.';
COMMENT ON COLUMN chwsync.order_status.display_ref IS 'The order number a person knows.';
COMMENT ON COLUMN chwsync.order_status.state IS 'The ledger''s own word: pending and in_progress are both active.';
COMMENT ON COLUMN chwsync.order_status.next_attempt_at IS 'When a queued order is tried next.';
COMMENT ON COLUMN chwsync.order_status.updated_at IS 'The last change.';

CREATE VIEW chwsync.order_history AS
    SELECT o.order_ref, o.created_at AS at, 'taken' AS event, 'taken from the shop''s view' AS detail,
           NULL::int AS attempt, NULL::text AS provider_order_id
      FROM chwsync.orders o
    UNION ALL
    SELECT o.order_ref, a.claimed_at, 'submitting',
           concat_ws(', ', 'service ' || a.service, 'quantity ' || a.quantity), a.number, NULL
      FROM chwsync.attempts a JOIN chwsync.orders o ON o.id = a.order_id
    UNION ALL
    SELECT o.order_ref, a.ended_at, a.outcome, a.answer, a.number, a.provider_order_id
      FROM chwsync.attempts a JOIN chwsync.orders o ON o.id = a.order_id
     WHERE a.ended_at IS NOT NULL
    UNION ALL
    SELECT o.order_ref, h.at, h.event, h.detail, NULL, NULL
      FROM chwsync.history h JOIN chwsync.orders o ON o.id = h.order_id;
COMMENT ON VIEW chwsync.order_history IS 'What happened to every order line, and when; many rows an order_ref.';
COMMENT ON COLUMN chwsync.order_history.order_ref IS 'The key of the order line.';
COMMENT ON COLUMN chwsync.order_history.at IS 'When it happened, by the database''s clock.';
COMMENT ON COLUMN chwsync.order_history.event IS 'taken, submitting, an attempt''s outcome, or a change of status.';
COMMENT ON COLUMN chwsync.order_history.detail IS 'The provider''s words, or ours.';
COMMENT ON COLUMN chwsync.order_history.attempt IS 'Number of the attempt, from 1.';
COMMENT ON COLUMN chwsync.order_history.provider_order_id IS 'The id this attempt got.';

CREATE VIEW chwsync.provider_status AS
    SELECT a.provider, a.endpoint, a.submits_paused_until, a.all_paused_until, a.pause_reason, a.last_error,
           a.last_error_at, a.last_used_at,
           (SELECT count(*) FROM chwsync.queue q WHERE q.provider = a.provider) AS queued,
           (SELECT count(*) FROM chwsync.attempts t WHERE t.account_id = a.id AND t.open AND t.outcome IS NULL) AS submitting,
           (SELECT count(*) FROM chwsync.polls p WHERE p.account_id = a.id) AS following,
           (SELECT count(*) FROM chwsync.attempts t WHERE t.account_id = a.id AND t.open AND t.outcome IS NOT NULL) AS uncertain,
           coalesce((SELECT sum(m.adds + m.polls + m.reads) FROM chwsync.budget_minutes m
                      WHERE m.account_id = a.id AND m.minute > now() - interval '1 minute'), 0)::bigint AS requests_last_minute,
           coalesce((SELECT sum(m.adds + m.polls + m.reads) FROM chwsync.budget_minutes m
                      WHERE m.account_id = a.id AND m.minute > now() - interval '1 day'), 0)::bigint AS requests_last_day
      FROM chwsync.accounts a;
COMMENT ON VIEW chwsync.provider_status IS 'One row for every account that was ever used: pauses, work under way, requests.';
COMMENT ON COLUMN chwsync.provider_status.provider IS 'The name it is configured under.';
COMMENT ON COLUMN chwsync.provider_status.submits_paused_until IS 'No order is sent before then; infinity: until somebody does something.';
COMMENT ON COLUMN chwsync.provider_status.all_paused_until IS 'No request at all before then: the provider asked for it.';
COMMENT ON COLUMN chwsync.provider_status.pause_reason IS 'Why it is paused.';
COMMENT ON COLUMN chwsync.provider_status.queued IS 'Order lines waiting to be sent.';
COMMENT ON COLUMN chwsync.provider_status.submitting IS 'Order lines whose intent is committed and whose answer is not in.';
COMMENT ON COLUMN chwsync.provider_status.following IS 'Bought orders that have not ended.';
COMMENT ON COLUMN chwsync.provider_status.uncertain IS 'Sent, and the answer was lost: look at them.';
