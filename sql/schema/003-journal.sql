-- 003-journal.sql - flight journals, leases, stops of submits, surplus purchases.

ALTER TABLE chwsync.attempts
    ADD COLUMN journal uuid,      -- the flight journal in which a record stands if the request left
    ADD COLUMN journal_number int; -- the attempt's number there, where it got another one here

-- One instance at a time claims and sends for an account. `claims` counts the claims of all holders: a claim names the
-- count it knows, so that none is made in a database that has lost the one before.
CREATE TABLE chwsync.leases (
    account_id int PRIMARY KEY,
    holder uuid NOT NULL, -- an instance
    number bigint NOT NULL, -- grows with every change of holder
    claims bigint NOT NULL DEFAULT 0,
    journal uuid, -- the holder's: who can lock it knows that the holder is dead
    taken_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- Attempts that a flight journal knew and this database had lost: it is older than what was bought (a restored backup,
-- a standby that lacked the last commits). Submits of the account stop until every row is released.
CREATE TABLE chwsync.submit_stops (
    order_id bigint NOT NULL,
    number int NOT NULL, -- the attempt, as it was put back
    account_id int NOT NULL,
    order_ref text NOT NULL,
    detail text NOT NULL, -- what the journal knows of it
    found_at timestamptz NOT NULL DEFAULT now(),
    released_at timestamptz,
    released_by text,
    PRIMARY KEY (order_id, number)
);
CREATE INDEX submit_stops_unreleased ON chwsync.submit_stops (account_id) WHERE released_at IS NULL;

-- Orders that were accepted twice. The surplus one is followed as an order of its own, `followed_as`.
CREATE TABLE chwsync.surplus_purchases (
    order_id bigint NOT NULL,
    number int NOT NULL,
    account_id int NOT NULL,
    provider_order_id text NOT NULL,
    followed_as bigint NOT NULL,
    found_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (order_id, number)
);

-- An operator says that submits may go on: for one order, or (NULL) for all of the account. Returns how many rows that released.
CREATE FUNCTION chwsync.release_submits(account int, ref text, who text) RETURNS bigint
    LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
    WITH released AS (
        UPDATE chwsync.submit_stops s SET released_at = now(), released_by = who
         WHERE s.released_at IS NULL AND (account IS NULL OR s.account_id = account) AND (ref IS NULL OR s.order_ref = ref)
        RETURNING s.order_id, s.number)
    , noted AS (
        INSERT INTO chwsync.history (order_id, event, detail)
        SELECT r.order_id, 'released', 'submits may go on, said ' || who FROM released r)
    SELECT count(*) FROM released
$$;

-- A second order id for the same line: it is money too, so it is followed as an order of its own that no shop line stands for.
CREATE FUNCTION chwsync.follow_surplus(line bigint, attempt int, of_account int, their_id text, first_poll_s int) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    followed bigint;
BEGIN
    INSERT INTO chwsync.orders (order_ref, provider, service, link, quantity, runs, display_ref, state, account_id,
                                provider_order_id, accepted_at, changed_at)
    SELECT format('surplus:%s.%s', o.id, attempt), o.provider, o.service, o.link, o.quantity, o.runs, o.order_ref,
           'active', of_account, their_id, now(), now()
      FROM chwsync.orders o WHERE o.id = line
    ON CONFLICT (order_ref) DO NOTHING RETURNING orders.id INTO followed;
    IF followed IS NULL THEN
        RETURN; -- known already
    END IF;
    INSERT INTO chwsync.polls (order_id, account_id, next_at, interval_s)
    VALUES (followed, of_account, now() + make_interval(secs => first_poll_s), first_poll_s);
    INSERT INTO chwsync.surplus_purchases (order_id, number, account_id, provider_order_id, followed_as)
    VALUES (line, attempt, of_account, their_id, followed);
    INSERT INTO chwsync.history (order_id, event, detail)
    VALUES (line, 'surplus', format('bought a second time as %s, which is followed as surplus:%s.%s', their_id, line, attempt));
END
$$;

-- Puts an attempt back that only a flight journal knows, with what became of it, and stops the account's submits.
-- Returns where the order stands then.
CREATE FUNCTION chwsync.restore_attempt(ref text, of_provider text, of_account int, of_journal uuid, known_number int,
                                        left_at timestamptz, of_service text, of_link text, of_quantity bigint,
                                        ended_as text, their_id text, http int, words text, tell boolean, first_poll_s int)
    RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    line chwsync.orders;
    attempt int;
    becomes chwsync.order_state;
BEGIN
    of_account := coalesce((SELECT a.id FROM chwsync.accounts a WHERE a.id = of_account AND a.provider = of_provider),
                        (SELECT max(a.id) FROM chwsync.accounts a WHERE a.provider = of_provider), of_account);
    INSERT INTO chwsync.orders (order_ref, provider, service, link, quantity, state, account_id, error)
    VALUES (ref, of_provider, nullif(of_service, ''), nullif(of_link, ''), of_quantity,
            CASE WHEN ended_as = 'refused' THEN 'rejected' ELSE 'withdrawn' END::chwsync.order_state, of_account,
            'known from a flight journal only')
    ON CONFLICT (order_ref) DO NOTHING;
    SELECT * INTO line FROM chwsync.orders o WHERE o.order_ref = ref FOR UPDATE;
    -- The number it had, where that is free; else one before all others: the last one must stay the last.
    IF line.attempts < known_number AND line.state IN ('queued', 'withdrawn', 'rejected') THEN
        attempt := known_number;
    ELSE
        SELECT least(min(a.number), 1) - 1 INTO attempt FROM chwsync.attempts a WHERE a.order_id = line.id;
        attempt := coalesce(attempt, 0);
    END IF;
    INSERT INTO chwsync.attempts (order_id, number, account_id, instance, claim, claimed_at, send_before, service, link,
                                  quantity, open, outcome, ended_at, http_status, answer, provider_order_id, journal,
                                  journal_number)
    VALUES (line.id, attempt, of_account, '00000000-0000-0000-0000-000000000000', 0, left_at, left_at, nullif(of_service, ''),
            nullif(of_link, ''), of_quantity, ended_as = 'unknown', ended_as, clock_timestamp(), nullif(http, 0),
            nullif(words, ''), nullif(their_id, ''), of_journal, known_number);
    becomes := CASE
        WHEN ended_as = 'accepted' AND line.state IN ('queued', 'submitting', 'uncertain', 'withdrawn', 'rejected', 'abandoned')
            THEN 'active'
        WHEN ended_as = 'unknown' AND line.state IN ('queued', 'withdrawn', 'rejected') THEN 'uncertain' END;
    UPDATE chwsync.orders o
       SET attempts = greatest(o.attempts, attempt), seq = o.seq + 1, updated_at = now(), changed_at = now(),
           state = coalesce(becomes, o.state), account_id = CASE WHEN becomes IS NULL THEN o.account_id ELSE of_account END,
           provider_order_id = CASE WHEN becomes = 'active' THEN their_id ELSE o.provider_order_id END,
           accepted_at = CASE WHEN becomes = 'active' THEN now() ELSE o.accepted_at END, in_progress = false,
           error = CASE WHEN becomes = 'active' THEN NULL
                        WHEN becomes = 'uncertain' THEN 'the database had lost this attempt: it may exist at the provider'
                        ELSE o.error END
     WHERE o.id = line.id AND (becomes IS NOT NULL OR o.attempts < attempt);
    IF becomes IS NOT NULL THEN
        DELETE FROM chwsync.queue q WHERE q.order_id = line.id;
        INSERT INTO chwsync.write_backs (order_id, seq) SELECT line.id, line.seq + 1 WHERE tell ON CONFLICT DO NOTHING;
    END IF;
    IF becomes = 'active' THEN
        INSERT INTO chwsync.polls (order_id, account_id, next_at, interval_s)
        VALUES (line.id, of_account, now() + make_interval(secs => first_poll_s), first_poll_s) ON CONFLICT DO NOTHING;
    ELSIF ended_as = 'accepted' AND line.provider_order_id IS DISTINCT FROM their_id THEN
        PERFORM chwsync.follow_surplus(line.id, attempt, of_account, their_id, first_poll_s);
    END IF;
    INSERT INTO chwsync.history (order_id, event, state, detail)
    VALUES (line.id, 'restored', becomes, format('the database had lost attempt %s, the flight journal has it: %s', known_number,
            concat_ws(' ', ended_as, nullif(their_id, ''))));
    INSERT INTO chwsync.submit_stops (order_id, number, account_id, order_ref, detail)
    VALUES (line.id, attempt, of_account, ref, concat_ws(' ', 'sent at', to_char(left_at, 'YYYY-MM-DD HH24:MI:SS TZ') || ',',
            CASE ended_as WHEN 'unknown' THEN 'no answer is known' WHEN 'accepted' THEN 'accepted as ' || their_id ELSE ended_as END));
    RETURN CASE WHEN becomes IS NULL AND ended_as = 'accepted' THEN 'surplus' ELSE coalesce(becomes, line.state)::text END;
END
$$;
