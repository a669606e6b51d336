-- functions.sql - the contract's helpers and what the daemon does for every order, as functions.
--
-- Idempotent; run after the migrations by every `chwsyncd schema install|upgrade`, as the owner of schema chwsync. Tables change
-- in schema/NNN-name.sql; a change here comes with a new number there, so that a daemon never meets functions older than itself.
-- What the shop may have built upon (helpers, views) is replaced in place and keeps its columns; the rest is made anew.
DO $$
DECLARE
    known record;
BEGIN
    FOR known IN
        SELECT p.oid::regprocedure AS function FROM pg_catalog.pg_proc p
         WHERE p.pronamespace = 'chwsync'::regnamespace
           AND p.proname IN ('shown', 'intake', 'record_outcomes', 'claim', 'deliver', 'follow_surplus', 'restore_attempt', 'release_submits',
                             'clock_stepped', 'store_services', 'end_catalogue', 'account_of', 'take_over', 'tell_apart',
                             'note_balance', 'rehearse', 'ask_refill', 'refill_words', 'count_lines',
                             'judge_due', 'room_at', 'hold_lines', 'refuse_service', 'accept_service', 'hold_duplicates',
                             'ask_shop', 'release_unsent', 'judge_money', 'keep_prepared', 'keep_back', 'follow_lines', 'park_lines')
    LOOP
        EXECUTE format('DROP FUNCTION %s', known.function);
    END LOOP;
END
$$;

-- Helpers for adapters. NULL instead of an error, so that one bad row stays one bad row.
-- try_jsonb has an EXCEPTION block, which starts a subtransaction: in a parallel plan that fails, hence PARALLEL UNSAFE.
CREATE OR REPLACE FUNCTION chwsync.try_jsonb(value text) RETURNS jsonb
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

-- Called for several columns of every line at every look: without SET and STRICT the planner writes it into the query, which
-- costs a tenth of a call. Operators carry their schema instead.
CREATE OR REPLACE FUNCTION chwsync.try_bigint(value text) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE WHEN value OPERATOR(pg_catalog.~) '^\s*[+-]?[0-9]{1,18}\s*$' THEN value::pg_catalog.int8 END
$$;
COMMENT ON FUNCTION chwsync.try_bigint(text) IS 'The text as a whole number of at most 18 digits, or NULL where it is none.';

-- The word of the contract for where an order stands.
CREATE OR REPLACE FUNCTION chwsync.contract_status(state chwsync.order_state, in_progress boolean) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE WHEN state <> 'active' THEN state::text WHEN in_progress THEN 'in_progress' ELSE 'pending' END
$$;

-- What the daemon does for every order stands in functions, because a session keeps their plans: to plan these statements anew
-- costs more than to carry them out for a few lines. They are planned for their indexes whatever the statistics say: a work list
-- that was empty a minute ago has those of an empty table, and would be read and sorted as a whole for every batch. The same holds
-- for the plans that PostgreSQL caches in the shop's function while they call it. What a disabled step costs must not wake the
-- just-in-time compiler.

-- A statement about the shop's view, which this session keeps prepared: to plan a view costs more than to read a few lines of it, and
-- its text is the contract's. It is looked for in the transaction that uses it: behind a pooler another server may carry out the next
-- one. A plan fits the sizes that the tables had: it serves for a minute, by a clock that may be set back, and until its user finds
-- that it takes long (`anew`).
CREATE OR REPLACE FUNCTION chwsync.keep_prepared(statement_name text, wanted text, anew boolean) RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    serves boolean;
BEGIN
    SELECT NOT anew AND p.statement = wanted AND p.prepare_time BETWEEN now() - interval '1 minute' AND now() + interval '1 minute' INTO serves
      FROM pg_catalog.pg_prepared_statements p WHERE p.name = statement_name;
    IF NOT serves THEN
        EXECUTE 'DEALLOCATE ' || statement_name;
    END IF;
    IF serves IS NOT TRUE THEN
        EXECUTE wanted;
    END IF;
END
$$;

-- The view's rows, of one line where only_ref names it. What is kept serves one view: another of the same name may have other types.
-- What the callers are told about indexes does not hold for it.
CREATE OR REPLACE FUNCTION chwsync.shown(view text, look text, only_ref text, anew boolean)
    RETURNS TABLE (order_ref text, service text, link text, quantity bigint, runs bigint, "interval" bigint, min bigint, max bigint,
                   comments text, usernames text, hashtags text, username text, params jsonb, provider text, max_charge numeric,
                   display_ref text, created_at timestamptz)
    LANGUAGE plpgsql ROWS 100
    SET enable_seqscan = on SET enable_bitmapscan = on SET enable_nestloop = on SET enable_mergejoin = on SET plan_cache_mode = auto
AS $$
BEGIN
    IF only_ref IS NOT NULL THEN
        RETURN QUERY EXECUTE look USING only_ref;
        RETURN;
    END IF;
    PERFORM chwsync.keep_prepared('chwsync_look', format('PREPARE chwsync_look AS /* %s */ %s', pg_catalog.to_regclass(view)::oid, look),
                                  anew);
    RETURN QUERY EXECUTE 'EXECUTE chwsync_look';
END
$$;

-- What the view shows otherwise than it was taken, and what it shows again after it was withdrawn. A queued order follows the view, to
-- another provider too; a withdrawn one comes back as it is shown now. Where another instance has changed one since the view was read,
-- it knows the shop later than this one.
CREATE OR REPLACE FUNCTION chwsync.follow_lines(lines chwsync.shown_line[], providers text[], not_configured text,
                                                OUT returned bigint, OUT followed bigint)
    LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
    SET enable_nestloop = off SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
BEGIN
    WITH meant AS MATERIALIZED ( -- once: what waits for a row asks all that it asks beside anew
        SELECT * FROM unnest($1)
    ), returned AS (
        UPDATE chwsync.orders o
           SET (service, link, quantity, runs, "interval", min, max, comments, usernames,
                hashtags, username, params, max_charge, display_ref, provider, error) = ROW(
                s.service, s.link, s.quantity, s.runs, s."interval", s.min, s.max, s.comments, s.usernames,
                s.hashtags, s.username, s.params, s.max_charge, s.display_ref, s.chosen,
                CASE WHEN s.chosen <> ALL ($2) THEN format($3, s.chosen) END), state = 'queued', updated_at = now()
          FROM meant s
         WHERE o.id = ANY (ARRAY(SELECT n.known_id FROM meant n WHERE n.known_state = 'withdrawn')) AND o.id = s.known_id
           AND o.state = 'withdrawn' AND o.updated_at = s.known_at
        RETURNING o.id, o.provider
    ), queued AS (
        INSERT INTO chwsync.queue (order_id, provider, next_at) SELECT id, provider, now() FROM returned ON CONFLICT (order_id) DO NOTHING
    ), changed AS MATERIALIZED ( -- locks as a claim does, the queue's row first: what is being claimed is not changed under it
        SELECT s.* FROM meant s JOIN chwsync.queue q ON q.order_id = s.known_id
         WHERE s.differs AND q.order_id = ANY (ARRAY(SELECT n.known_id FROM meant n WHERE n.differs)) FOR UPDATE OF q SKIP LOCKED
    ), followed AS (
        UPDATE chwsync.orders o
           SET (service, link, quantity, runs, "interval", min, max, comments, usernames,
                hashtags, username, params, max_charge, display_ref, provider, error) = ROW(
                c.service, c.link, c.quantity, c.runs, c."interval", c.min, c.max, c.comments, c.usernames,
                c.hashtags, c.username, c.params, c.max_charge, c.display_ref, coalesce(c.turned, o.provider),
                CASE WHEN c.turned <> ALL ($2) THEN format($3, c.turned) WHEN c.turned IS NULL THEN o.error END), updated_at = now()
          FROM changed c
         WHERE o.id = ANY (ARRAY(SELECT n.known_id FROM changed n)) AND o.id = c.known_id AND o.state = 'queued' AND o.updated_at = c.known_at
        RETURNING o.id, c.turned
    ), requeued AS (
        UPDATE chwsync.queue q SET provider = f.turned, next_at = now(), held = NULL
          FROM followed f
         WHERE q.order_id = ANY (ARRAY(SELECT n.id FROM followed n WHERE n.turned IS NOT NULL)) AND q.order_id = f.id AND f.turned IS NOT NULL
    )
    SELECT (SELECT count(*) FROM returned), (SELECT count(*) FROM followed) INTO returned, followed;
END
$$;

-- What cannot be taken, for what reason, and what can be again: `taken` of those that were parked, where only_ref is NULL all that are
-- not among `refs`. What raised before is only known to be well when it is read alone (only_ref), or taken.
CREATE OR REPLACE FUNCTION chwsync.park_lines(refs text[], reasons text[], taken text[], only_ref text, OUT parked bigint, OUT parked_lines text)
    LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
    SET enable_nestloop = off SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
BEGIN
    WITH parked AS (
        INSERT INTO chwsync.parked_lines (order_ref, reason, retry_at)
        SELECT f.order_ref, f.reason, now() + CASE WHEN $4 IS NULL THEN interval '0' ELSE interval '5 minutes' END
          FROM unnest($1, $2) AS f(order_ref, reason)
        ON CONFLICT (order_ref) DO NOTHING
        RETURNING order_ref, reason
    ), put_off AS ( -- while lines are taken one by one, each has its turn before this one is looked at again
        UPDATE chwsync.parked_lines p SET retry_at = now() + interval '5 minutes'
         WHERE $4 IS NOT NULL AND p.order_ref = left($4, 200) AND p.sqlstate IS NULL AND $3 IS NULL
    ), cleared AS (
        DELETE FROM chwsync.parked_lines p
         WHERE p.order_ref = ANY ($3)
            -- it has raised, and was read now, or is no longer shown
            OR $4 IS NOT NULL AND p.order_ref = $4 AND p.sqlstate IS NOT NULL
            -- by hashing: of a million faulty rows and a thousand parked keys, not each with each
            OR $4 IS NULL AND p.sqlstate IS NULL AND p.order_ref NOT IN (SELECT f FROM unnest($1) AS f)
    )
    SELECT (SELECT count(*) FROM parked),
           (SELECT string_agg(p.order_ref || ': ' || p.reason, E'\n') FROM (SELECT * FROM parked LIMIT 20) p)
      INTO parked, parked_lines;
END
$$;

-- Intake: the view's rows against the ledger; of one line where only_ref names it (what is wrong with others is not known then). A
-- key that is shown twice, or NULL, is parked: which of the two rows was meant cannot be known, so what was taken before stays as it
-- is. What was taken before and is shown otherwise is followed, 10,000 lines or 64 MB at a time; a withdrawn one that is shown again
-- at once when the view alone decides, after five minutes when a function withdrew it while the view kept showing it. A line without a
-- service is rejected here: no request could ask for it. not_configured is what lines of an unknown provider say, for format(). What is
-- rare is done by statements of its own, as to prepare to do it costs each look something. How the ledger's rows are looked up is said
-- below, with record_outcomes().
CREATE OR REPLACE FUNCTION chwsync.intake(default_provider text, providers text[], at_most int, tell_shop boolean, view text, look text,
                                          only_ref text, anew boolean, not_configured text)
    RETURNS TABLE (taken bigint, returned bigint, followed bigint, parked bigint, parked_in_all bigint, queue_due_s bigint,
                   write_back_due_s bigint, rejected text, parked_lines text, refills_due text, server_us bigint, wishes text)
    LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
    SET enable_nestloop = off SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    rejected_ids bigint[];
    changed chwsync.shown_line[]; -- taken before
    faulty_refs text[];
    faulty_reasons text[];
    well_refs text[];             -- parked before, and can be taken
    any_parked boolean;
BEGIN
    -- A backlog's lines are gone through several times: in memory.
    IF pg_size_bytes(current_setting('work_mem')) < pg_size_bytes('16MB') THEN
        PERFORM set_config('work_mem', '16MB', true);
    END IF;
    WITH shown AS MATERIALIZED ( -- a provider's name stands in an index, which takes no long one
        SELECT v.*, c.chosen, o.id AS known_id, o.state AS known_state, o.updated_at AS known_at,
               CASE WHEN o.provider <> c.chosen THEN c.chosen END AS turned,
               o.state = 'queued'
               AND (o.provider <> c.chosen
                    OR (o.service, o.link, o.quantity, o.runs, o."interval", o.min, o.max, o.comments, o.usernames,
                        o.hashtags, o.username, o.params, o.max_charge, o.display_ref)
                       IS DISTINCT FROM (v.service, v.link, v.quantity, v.runs, v."interval", v.min, v.max, v.comments, v.usernames,
                        v.hashtags, v.username, v.params, v.max_charge, v.display_ref)) AS differs
          FROM chwsync.shown($5, $6, $7, $8) v CROSS JOIN LATERAL (SELECT left(coalesce(v.provider, $1), 200)) AS c(chosen)
          LEFT JOIN LATERAL (SELECT * FROM chwsync.orders k WHERE k.order_ref = v.order_ref LIMIT 1) AS o ON true -- one by one
    ), repeated AS MATERIALIZED (
        SELECT s.order_ref FROM shown s WHERE s.known_id IS NULL GROUP BY 1 HAVING count(*) > 1
    ), fresh AS NOT MATERIALIZED (
        SELECT s.*, s.order_ref IN (SELECT r.order_ref FROM repeated r) AS is_repeated FROM shown s WHERE s.known_id IS NULL
    ), twice AS MATERIALIZED ( -- of what was taken before
        SELECT s.known_id, s.order_ref FROM shown s
         WHERE s.known_id IN (SELECT n.known_id FROM shown n WHERE n.differs OR n.known_state = 'withdrawn')
         GROUP BY s.known_id, s.order_ref HAVING count(*) > 1
    ), meant AS (
        SELECT s.* FROM shown s
         WHERE (s.differs
                OR s.known_state = 'withdrawn'
                   AND (NOT $4 OR s.known_at < now() - interval '5 minutes' OR s.known_at > now() + interval '1 minute'))
           AND s.known_id NOT IN (SELECT t.known_id FROM twice t)
         ORDER BY s.known_at LIMIT 10000 -- what a view shows otherwise each time keeps nothing else waiting
    ), faulty AS (
        SELECT DISTINCT coalesce(left(f.order_ref, 200), '(NULL)') AS order_ref,
               CASE WHEN f.order_ref IS NULL THEN 'the view shows a line whose order_ref is NULL'
                    WHEN f.is_repeated THEN 'the view shows this order_ref more than once'
                    ELSE 'the order_ref is empty or longer than 200 bytes' END AS reason
          FROM fresh f
         WHERE f.is_repeated OR f.order_ref IS NULL OR octet_length(f.order_ref) NOT BETWEEN 1 AND 200
         UNION ALL SELECT t.order_ref, 'the view shows this order_ref more than once' FROM twice t
    ), good AS (
        SELECT f.*,
               CASE WHEN btrim(coalesce(f.service, '')) = '' THEN 'the line shows no service: it has none in the shop, or its options cannot be used as they are'
                    WHEN f.quantity <= 0 THEN 'the quantity is not positive'
                    WHEN f.max_charge = 'NaN' THEN 'max_charge is not a number'
                    WHEN octet_length(f.provider) > 200 THEN 'the provider''s name is longer than 200 bytes'
                    WHEN octet_length(f.display_ref) > 1000 THEN 'display_ref is longer than 1000 bytes' END AS fault
          FROM fresh f WHERE f.is_repeated IS NOT TRUE AND octet_length(f.order_ref) BETWEEN 1 AND 200
         ORDER BY f.created_at, f.order_ref LIMIT $3
    ), inserted AS (
        INSERT INTO chwsync.orders (order_ref, provider, service, link, quantity, runs, "interval", min, max, comments, usernames,
                                    hashtags, username, params, max_charge, display_ref, shop_created_at, state, error, seq)
        SELECT g.order_ref, g.chosen, g.service, g.link, g.quantity, g.runs, g."interval", g.min, g.max, g.comments, g.usernames,
               g.hashtags, g.username, g.params, g.max_charge, g.display_ref, g.created_at,
               CASE WHEN g.fault IS NULL THEN 'queued' ELSE 'rejected' END::chwsync.order_state,
               CASE WHEN g.fault IS NULL AND g.chosen <> ALL ($2) THEN format($9, g.chosen)
                    ELSE g.fault END,
               CASE WHEN g.fault IS NULL THEN 0 ELSE 1 END
          FROM good g
        ON CONFLICT (order_ref) DO NOTHING
        RETURNING id, provider, state, order_ref, error
    ), queued AS (
        INSERT INTO chwsync.queue (order_id, provider, next_at) SELECT id, provider, now() FROM inserted WHERE state = 'queued'
    )
    SELECT i.count, i.rejected_ids, i.rejected, f.refs, f.reasons,
           (SELECT array_agg(l.line) FROM ( -- which is held in memory: of long texts fewer
                   SELECT m::chwsync.shown_line AS line, sum(pg_column_size(m)) OVER (ORDER BY m.known_at ROWS UNBOUNDED PRECEDING) AS bytes,
                          row_number() OVER (ORDER BY m.known_at ROWS UNBOUNDED PRECEDING) AS place FROM meant m) AS l
             WHERE l.bytes < pg_size_bytes('64MB') OR l.place = 1),
           i.well_refs,
           EXISTS (SELECT FROM chwsync.parked_lines)
      INTO taken, rejected_ids, rejected, faulty_refs, faulty_reasons, changed, well_refs, any_parked
      FROM (SELECT count(*), array_agg(n.id) FILTER (WHERE n.state = 'rejected') AS rejected_ids,
                   string_agg(n.order_ref || ' rejected: ' || n.error, E'\n') FILTER (WHERE n.state = 'rejected') AS rejected,
                   array_agg(n.order_ref) FILTER (WHERE n.order_ref IN (SELECT p.order_ref FROM chwsync.parked_lines p)) AS well_refs
              FROM inserted n) AS i,
           (SELECT array_agg(n.order_ref) AS refs, array_agg(n.reason) AS reasons FROM faulty n) AS f;
    IF rejected_ids IS NOT NULL AND tell_shop THEN
        INSERT INTO chwsync.write_backs (order_id, seq) SELECT o.id, o.seq FROM chwsync.orders o WHERE o.id = ANY (rejected_ids);
    END IF;
    returned := 0;
    followed := 0;
    IF changed IS NOT NULL THEN
        SELECT l.returned, l.followed INTO returned, followed FROM chwsync.follow_lines(changed, providers, not_configured) l;
    END IF;
    parked := 0;
    IF any_parked OR faulty_refs IS NOT NULL THEN
        SELECT l.parked, l.parked_lines INTO parked, parked_lines
          FROM chwsync.park_lines(coalesce(faulty_refs, '{}'), coalesce(faulty_reasons, '{}'), well_refs, only_ref) l;
    END IF;
    SELECT (SELECT count(*) FROM chwsync.parked_lines),
           (SELECT greatest(ceil(extract(epoch FROM n.next_at - now())), 0)::bigint FROM unnest($2) p(name),
                   LATERAL (SELECT q.next_at FROM chwsync.queue q WHERE q.provider = p.name
                             ORDER BY q.next_at LIMIT 1) n
             ORDER BY n.next_at LIMIT 1), -- no row, no time: greatest() would make NULL a 0
           (SELECT greatest(ceil(extract(epoch FROM w.due_at - now())), 0)::bigint FROM chwsync.write_backs w
             ORDER BY w.due_at LIMIT 1),
           (SELECT string_agg(a.id || ':' || greatest(ceil(extract(epoch FROM n.next_at - now())), 0)::bigint, ' ')
              FROM chwsync.accounts a, LATERAL (SELECT r.next_at FROM chwsync.refills r
                   WHERE r.account_id = a.id AND r.next_at IS NOT NULL ORDER BY r.next_at LIMIT 1) n),
           (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
           (SELECT string_agg(b.account_id::text, ' ') FROM chwsync.budgets b
             WHERE b.granted < b.wishes AND b.wished_at > now() - interval '35 seconds')
      INTO parked_in_all, queue_due_s, write_back_due_s, refills_due, server_us, wishes;
    RETURN NEXT;
END
$$;

-- An id is one order's. Where a reply names one that another order's reply has named before (a late or repeated reply of the provider, of
-- a proxy, or one that answers for an earlier order with that link), what was bought for this order is not known: its end is unknown, and
-- says why. Of the same end told again nothing changes. What was found without a reply gives way to one (store/settle).
CREATE OR REPLACE FUNCTION chwsync.tell_apart(order_ids bigint[], numbers int[], INOUT outcomes text[], INOUT provider_order_ids text[],
                                              INOUT answers text[])
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    WITH told AS MATERIALIZED (
        SELECT t.*, a.account_id
          FROM unnest($1, $2, $3, $4, $5) WITH ORDINALITY AS t(order_id, number, outcome, their_id, answer, place)
          LEFT JOIN chwsync.attempts a ON a.order_id = t.order_id AND a.number = t.number
    ), known AS (
        SELECT t.*, CASE WHEN t.outcome = 'accepted' THEN coalesce(
               (SELECT b.order_id FROM chwsync.attempts b
                 WHERE b.account_id = t.account_id AND b.provider_order_id = t.their_id AND b.found_by IS NULL AND b.order_id <> t.order_id LIMIT 1),
               (SELECT u.order_id FROM told u
                 WHERE u.outcome = 'accepted' AND u.account_id = t.account_id AND u.their_id = t.their_id AND u.order_id <> t.order_id
                   AND u.place < t.place ORDER BY u.place LIMIT 1)) END AS owner
          FROM told t
    )
    SELECT array_agg(CASE WHEN k.owner IS NULL THEN k.outcome ELSE 'unknown' END ORDER BY k.place),
           array_agg(CASE WHEN k.owner IS NULL THEN k.their_id END ORDER BY k.place),
           array_agg(CASE WHEN k.owner IS NULL THEN k.answer
                          ELSE format('the provider answered with order id %s, which is that of order %s', k.their_id, o.order_ref) END ORDER BY k.place)
      INTO outcomes, provider_order_ids, answers
      FROM known k LEFT JOIN chwsync.orders o ON o.id = k.owner;
END
$$;

-- Here, in what claims and in what tells the shop: a plan is kept, also from when the tables were nearly empty, and might then begin
-- with all of an index and compare each row of it. So each table is also asked for by the array (= ANY) that names its rows, by each
-- column that it is joined by, and what it finds is joined by hashing: a nested loop would sort the array anew for each row, which takes
-- a third of the time of it all. What is known by its place is read there: were pages to cost something, all of a small index would cost
-- less.
--
-- The ends of attempts. The life of an order, set-wise: accepted moves submitting, uncertain, queued, rejected, withdrawn
-- and abandoned to active; everything else moves only the attempt that is the order's last. While another attempt of it may exist
-- at the provider, it is uncertain: nothing sends it again before that is known, whatever became of this one.
--
-- Rows: what became of each order that moved, surplus purchases, and orders whose reply names another one's id (echoed); these two
-- alone where alarms_only.
CREATE OR REPLACE FUNCTION chwsync.record_outcomes(order_ids bigint[], numbers int[], outcomes text[], provider_order_ids text[],
                                        http_statuses int[], answers text[], waits_s int[], tell_shop boolean,
                                        first_poll_s int, journals uuid[], alarms_only boolean DEFAULT false)
    RETURNS TABLE (order_ref text, state text, provider_order_id text)
    LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
    SET enable_nestloop = off SET enable_mergejoin = off SET random_page_cost = 0 SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    of_accounts int[];
    are_plain boolean;         -- all are being submitted, by the attempts that end
    places tid[];              -- where the locked orders are: what is locked stays there
    followed_before bigint[];  -- orders
    echoed bigint[];           -- orders whose reply names another one's id
BEGIN
    -- As the claim: who has heard that an id is recorded forgets it, and a machine that dies takes the flight journal's with it.
    IF current_setting('synchronous_commit') IN ('off', 'local') THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    -- What may queue an order again must see all of its attempts: of two that end at once each would take the other's for open, and
    -- one that is restored from a journal meanwhile would not be seen. So orders are locked before their attempts are looked at; first
    -- what is being submitted, which has no row of the queue, then where there is more, all: the queue's rows before the orders, as a
    -- claim and a look lock them, and each in order of ids, so that two who record the same attempts do not wait for one another. Where
    -- an order begins to be submitted, or ends, between the two, they may: the one that is given up (40P01) is repeated.
    SELECT count(*) FILTER (WHERE l.attempts = t.number) = cardinality($1), array_agg(DISTINCT l.account_id), array_agg(l.place)
      INTO are_plain, of_accounts, places
      FROM (SELECT o.id, o.attempts, o.account_id, o.ctid AS place FROM chwsync.orders o
             WHERE o.id = ANY ($1) AND o.state = 'submitting' ORDER BY o.id FOR NO KEY UPDATE) AS l
      JOIN unnest($1, $2) AS t(order_id, number) ON t.order_id = l.id;
    IF NOT are_plain THEN
        PERFORM FROM chwsync.queue q WHERE q.order_id = ANY ($1) ORDER BY q.order_id FOR UPDATE;
        PERFORM FROM chwsync.orders o WHERE o.id = ANY ($1) ORDER BY o.id FOR NO KEY UPDATE;
        of_accounts := ARRAY(SELECT DISTINCT a.account_id FROM chwsync.attempts a WHERE a.order_id = ANY ($1));
    END IF;
    followed_before := ARRAY(SELECT p.order_id FROM chwsync.polls p WHERE p.order_id = ANY ($1));
    IF EXISTS (SELECT FROM unnest(of_accounts) AS n(account_id) CROSS JOIN unnest($4) AS t(their_id) -- one by one: an index that was
                CROSS JOIN LATERAL (SELECT FROM chwsync.attempts b -- empty when the plan was made would be read for all of the account
                                     WHERE b.account_id = n.account_id AND b.provider_order_id = t.their_id AND b.found_by IS NULL LIMIT 1) AS k)
       OR (SELECT count(i) > count(DISTINCT i COLLATE "C") FROM unnest($4) AS i) THEN
        SELECT t.outcomes, t.provider_order_ids, t.answers,
               ARRAY(SELECT e.order_id FROM unnest($1, $3, t.outcomes) AS e(order_id, outcome, becomes) WHERE e.outcome <> e.becomes)
          INTO outcomes, provider_order_ids, answers, echoed
          FROM chwsync.tell_apart($1, $2, $3, $4, $6) t;
    END IF;
    IF are_plain AND 'accepted' = ALL (outcomes) THEN -- nearly always, and a third faster than what follows, which would do the same
        RETURN QUERY
        WITH ended AS (
            UPDATE chwsync.attempts a
               SET open = false, outcome = 'accepted', ended_at = clock_timestamp(),
                   http_status = t.http_status, answer = t.answer, provider_order_id = t.provider_order_id, found_by = NULL
              FROM unnest($1, $2, $4, $5, $6, $10) AS t(order_id, number, provider_order_id, http_status, answer, journal)
             WHERE a.order_id = ANY ($1) AND a.order_id = t.order_id AND a.number = t.number AND (t.journal IS NULL OR a.journal = t.journal)
               AND (a.outcome, a.provider_order_id) IS DISTINCT FROM ('accepted', t.provider_order_id)
            RETURNING a.order_id, a.account_id, a.provider_order_id
        ), moved AS (
            UPDATE chwsync.orders o
               SET state = 'active', in_progress = false, seq = o.seq + 1, updated_at = now(), account_id = e.account_id,
                   provider_order_id = coalesce(e.provider_order_id, o.provider_order_id), error = NULL, accepted_at = now(),
                   changed_at = now()
              FROM ended e WHERE o.ctid = ANY (places) AND o.id = e.order_id
            RETURNING o.id, o.order_ref, o.seq, o.account_id
        ), followed AS (
            INSERT INTO chwsync.polls (order_id, account_id, next_at, interval_s)
            SELECT m.id, m.account_id, now() + make_interval(secs => $9), $9 FROM moved m WHERE m.id <> ALL (followed_before)
        ), due AS (
            INSERT INTO chwsync.write_backs (order_id, seq) SELECT m.id, m.seq FROM moved m WHERE $8
        ), credited AS (
            UPDATE chwsync.balances b SET credit_at = now() FROM ended e WHERE b.account_id = e.account_id AND b.tried = e.order_id
        )
        SELECT m.order_ref, 'active', NULL FROM moved m WHERE NOT $11;
        RETURN;
    END IF;
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
         WHERE a.order_id = ANY ($1) AND a.order_id = t.order_id AND a.number = t.number AND (t.journal IS NULL OR a.journal = t.journal)
           AND (a.open AND a.outcome IS DISTINCT FROM t.outcome
                OR t.outcome = 'accepted' AND (a.outcome, a.provider_order_id)
                                              IS DISTINCT FROM ('accepted', t.provider_order_id))
        RETURNING t.order_id, t.number, t.outcome, t.provider_order_id, t.answer, t.wait_s, a.account_id, a.claimed_at,
                  a.expected_charge, t.outcome = 'refused' AND t.http_status = 0 AS by_us
    ), decisive AS ( -- of several ends of one order
        SELECT DISTINCT ON (e.order_id) e.*,
               e.outcome <> 'accepted'
               AND EXISTS (SELECT FROM chwsync.attempts b WHERE b.order_id = e.order_id AND b.number <> e.number AND b.open
                              AND NOT EXISTS (SELECT FROM ended x WHERE x.order_id = b.order_id AND x.number = b.number
                                                 AND x.outcome <> 'unknown')) AS another_is_open
          FROM ended e ORDER BY e.order_id, e.outcome = 'accepted' DESC, e.number DESC
    ), moved AS (
        UPDATE chwsync.orders o
           SET state = CASE WHEN e.outcome = 'accepted' THEN 'active'
                            WHEN e.outcome = 'unknown' OR e.another_is_open THEN 'uncertain'
                            WHEN e.outcome = 'refused' THEN 'rejected' ELSE 'queued' END::chwsync.order_state,
               in_progress = false, seq = o.seq + 1, updated_at = now(),
               account_id = CASE WHEN e.outcome = 'accepted' THEN e.account_id ELSE o.account_id END,
               provider_order_id = coalesce(e.provider_order_id, o.provider_order_id),
               error = CASE WHEN e.outcome <> 'accepted' THEN e.answer END,
               accepted_at = CASE WHEN e.outcome = 'accepted' THEN now() ELSE o.accepted_at END,
               changed_at = now()
          FROM decisive e
         WHERE o.id = ANY ($1) AND o.id = e.order_id
           AND (o.state IN ('submitting', 'uncertain') AND o.attempts = e.number
                -- The last that stood in its way.
                OR e.outcome NOT IN ('accepted', 'unknown') AND o.state = 'uncertain' AND NOT e.another_is_open
                OR e.outcome = 'accepted' AND o.state IN ('submitting', 'uncertain', 'queued', 'rejected', 'withdrawn',
                                                          'abandoned')
                -- It had been taken for another order of the provider (in this snapshot it still is).
                OR e.outcome = 'accepted'
                   AND EXISTS (SELECT FROM chwsync.attempts b
                                WHERE b.order_id = e.order_id AND b.number = e.number AND b.found_by IS NOT NULL
                                  AND b.provider_order_id = o.provider_order_id))
        RETURNING o.id, o.order_ref, o.provider, o.state, o.seq, o.provider_order_id, e.account_id, e.wait_s, e.number, o.created_at, o.error
    ), followed AS (
        INSERT INTO chwsync.polls (order_id, account_id, next_at, interval_s)
        SELECT m.id, m.account_id, now() + make_interval(secs => $9::int), $9::int FROM moved m
         WHERE m.state = 'active' AND m.id <> ALL (followed_before) -- not ON CONFLICT, which costs a third of the row
    ), queued AS (
        -- Less than 0 s: where it stood before.
        INSERT INTO chwsync.queue (order_id, provider, next_at)
        SELECT m.id, m.provider, CASE WHEN m.wait_s < 0 THEN m.created_at ELSE now() + make_interval(secs => m.wait_s) END
          FROM moved m WHERE m.state = 'queued'
        ON CONFLICT (order_id) DO NOTHING
    ), unqueued AS (
        DELETE FROM chwsync.queue q USING moved m WHERE NOT are_plain AND m.state = 'active' AND q.order_id = ANY ($1) AND q.order_id = m.id
    ), due AS (
        INSERT INTO chwsync.write_backs (order_id, seq) SELECT m.id, m.seq FROM moved m WHERE $8::boolean
    ), unspent AS (
        -- What the claim spent of the day and of the balance, of attempts that cost nothing; and of the requests, where we refused
        -- the line ourselves.
        SELECT e.account_id, date_trunc('minute', e.claimed_at) AS minute, coalesce(sum(e.expected_charge), 0) AS charge,
               count(*) FILTER (WHERE e.by_us) AS requests
          FROM ended e WHERE e.outcome IN ('refused', 'put off', 'not executed') AND (e.expected_charge > 0 OR e.by_us) GROUP BY 1, 2
    ), returned AS (
        -- A balance that was told later does not lack it. Written before the minutes, as by the claim: both wait for one another.
        -- In the same go, as a row is written once: what was tried without money, and is accepted, was bought on credit.
        UPDATE chwsync.balances b
           SET available = b.available + coalesce(u.charge, 0), credit_at = CASE WHEN u.on_credit THEN now() ELSE b.credit_at END
          FROM (SELECT c.account_id, sum(n.charge) AS charge, bool_or(n.accepted = c.tried) AS on_credit
                  FROM (SELECT account_id, minute, charge, NULL AS accepted FROM unspent
                        UNION ALL SELECT e.account_id, NULL, NULL, e.order_id FROM ended e WHERE e.outcome = 'accepted') AS n
                  JOIN chwsync.balances c USING (account_id)
                 WHERE n.minute > c.asked_at - interval '2 minutes' OR n.accepted = c.tried GROUP BY 1) AS u
         WHERE b.account_id = u.account_id
        RETURNING 1
    ), counted AS (
        UPDATE chwsync.budget_minutes m SET spent = m.spent - u.charge, adds = greatest(m.adds - u.requests, 0) FROM unspent u
         WHERE m.account_id = ANY (ARRAY(SELECT n.account_id FROM unspent n)) AND m.minute = ANY (ARRAY(SELECT n.minute FROM unspent n))
           AND m.account_id = u.account_id AND m.minute = u.minute AND (SELECT count(*) FROM returned) >= 0
    ), beside AS MATERIALIZED ( -- accepted, and the order is not that which was bought
        SELECT e.order_id, e.number, e.account_id, e.provider_order_id FROM ended e
         WHERE e.outcome = 'accepted'
           AND NOT EXISTS (SELECT FROM moved m WHERE m.id = e.order_id AND (m.number = e.number OR m.provider_order_id = e.provider_order_id))
    ), surplus AS MATERIALIZED (
        SELECT o.order_ref, b.provider_order_id,
               chwsync.follow_surplus(o.id, b.number, b.account_id, b.provider_order_id, $9::int)
          FROM beside b JOIN chwsync.orders o ON o.id = b.order_id
         WHERE o.id = ANY (ARRAY(SELECT n.order_id FROM beside n)) AND o.provider_order_id IS DISTINCT FROM b.provider_order_id
    )
    SELECT m.order_ref, CASE WHEN m.is_echoed THEN 'echoed' ELSE m.state::text END, CASE WHEN m.is_echoed THEN m.error END
      FROM (SELECT n.*, n.state = 'uncertain' AND n.id = ANY (echoed) AS is_echoed FROM moved n) AS m -- another attempt may have settled it
     WHERE m.is_echoed OR NOT $11
    UNION ALL SELECT s.order_ref, 'surplus', s.provider_order_id FROM surplus s;
END
$$;

-- Claims of an instance that were never sent, because it was not told whether they are committed: its claim of that number, but for
-- the orders that it knows to have claimed.
CREATE OR REPLACE FUNCTION chwsync.release_unsent(by_instance uuid, by_account int, claim_number bigint, known bigint[])
    RETURNS TABLE (order_ref text)
    LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    unsent bigint[] := ARRAY(SELECT a.order_id FROM chwsync.attempts a
                              WHERE a.open AND a.outcome IS NULL AND a.instance = by_instance AND a.account_id = by_account
                                AND a.claim = claim_number AND a.order_id <> ALL (known));
BEGIN
    PERFORM FROM chwsync.orders o WHERE o.id = ANY (unsent) ORDER BY o.id FOR NO KEY UPDATE; -- as in record_outcomes()
    RETURN QUERY
    WITH ended AS (
        UPDATE chwsync.attempts a
           SET open = false, outcome = 'not executed', ended_at = clock_timestamp(),
               answer = 'claimed, but never sent: the claim was not confirmed'
         WHERE a.order_id = ANY (unsent) AND a.open AND a.outcome IS NULL AND a.instance = by_instance AND a.account_id = by_account
           AND a.claim = claim_number
        RETURNING a.order_id, a.number, a.account_id, a.claimed_at, a.expected_charge
    ), unspent AS (
        SELECT e.account_id, date_trunc('minute', e.claimed_at) AS minute, sum(e.expected_charge) AS charge
          FROM ended e WHERE e.expected_charge > 0 GROUP BY 1, 2
    ), returned AS ( -- as in record_outcomes(), and before the minutes
        UPDATE chwsync.balances b SET available = b.available + u.charge
          FROM (SELECT sum(n.charge) AS charge FROM unspent n JOIN chwsync.balances c USING (account_id)
                 WHERE n.minute > c.asked_at - interval '2 minutes') AS u
         WHERE b.account_id = by_account AND u.charge > 0
        RETURNING 1
    ), counted AS (
        UPDATE chwsync.budget_minutes m SET spent = m.spent - u.charge FROM unspent u
         WHERE m.account_id = u.account_id AND m.minute = u.minute AND (SELECT count(*) FROM returned) >= 0
    ), moved AS (
        UPDATE chwsync.orders o
           SET state = CASE WHEN EXISTS (SELECT FROM chwsync.attempts b
                                          WHERE b.order_id = e.order_id AND b.number <> e.number AND b.open)
                            THEN 'uncertain' ELSE 'queued' END::chwsync.order_state,
               seq = o.seq + 1, updated_at = now()
          FROM ended e
         WHERE o.id = e.order_id AND o.state = 'submitting' AND o.attempts = e.number
        RETURNING o.id, o.provider, o.order_ref, o.state
    ), queued AS (
        INSERT INTO chwsync.queue (order_id, provider, next_at)
        SELECT m.id, m.provider, now() FROM moved m WHERE m.state = 'queued'
        ON CONFLICT (order_id) DO NOTHING
    )
    SELECT m.order_ref FROM moved m;
END
$$;

-- Lines of a text that are not blank: what comments and usernames are charged by, as wire/add_check sends them.
CREATE OR REPLACE FUNCTION chwsync.count_lines(lines text) RETURNS bigint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$
    SELECT count(*) FROM unnest(string_to_array(translate(lines, E'\r', E'\n'), E'\n')) AS l WHERE btrim(l, E' \t\x0b\f') <> ''
$$;

-- Of the lines that may go each by itself, in order of age: those that the day's limit (room) and the balance (funds) do not reach for.
-- A NULL is no limit.
CREATE OR REPLACE FUNCTION chwsync.judge_money(charges numeric[], holds text[], changed_ats timestamptz[], INOUT verdicts text[],
                                    INOUT reasons text[], room numeric, funds numeric, funds_waited boolean, tries boolean)
    LANGUAGE sql STABLE
AS $$
    WITH limited AS (
        SELECT a.charge, a.held, a.changed_at, a.reason, a.place,
               coalesce(a.verdict, CASE WHEN sum(a.charge) FILTER (WHERE a.verdict IS NULL) OVER (ORDER BY a.place) > room
                                        THEN 'spent' END) AS limited
          FROM unnest(charges, holds, changed_ats, verdicts, reasons) WITH ORDINALITY AS a(charge, held, changed_at, verdict, reason, place)
    ), line AS (
        SELECT l.*, coalesce(l.limited, CASE WHEN tries AND l.held = 'funds' AND l.changed_at < now() - interval '15 minutes'
                                                  AND count(*) FILTER (WHERE l.limited IS NULL) OVER oldest_first = 1 THEN NULL
                                             WHEN funds_waited OR sum(l.charge) FILTER (WHERE l.limited IS NULL) OVER oldest_first > funds
                                             THEN 'funds' END) AS verdict
          FROM limited l WINDOW oldest_first AS (ORDER BY l.place)
    )
    SELECT array_agg(l.verdict ORDER BY l.place),
           array_agg(CASE WHEN l.verdict <> 'funds' OR l.verdict IS NULL THEN l.reason
                          WHEN funds_waited THEN 'older orders wait for the balance to rise; it goes after them'
                          ELSE format('price %s: what is left of the balance, %s, does not reach for it and the older ones; it goes when the '
                                      'balance has risen', coalesce(trim_scale(l.charge)::text, 'not known'), trim_scale(funds))
                     END ORDER BY l.place)
      FROM line l
$$;

-- Lines that are due, locked and judged by the catalogue and by what they may cost, in order of age. The verdict: NULL, it may go;
-- rejected, for a reason that will not pass by itself; price, limit, unpriced, spent, funds, disabled, identity, what it waits for;
-- stale, it is no longer queued. Where no catalogue was ever read only limits that cannot be kept stand in the way. A service that
-- the catalogue lacks may be newer than it: until one is read that is about as new as the line, it waits. `required` has the
-- parameters that services of each type need (rules/service_type).
--
-- Arrays with an element for each line, NULL where none is due. `firsts` names the service where it is ordered by its id for the first
-- time. `places` and `queue_places` are where the order and its row of the queue lie: that of the queue is locked. An order that is
-- changed meanwhile, by an operator or by the shop's function, is no longer found at its place: it stays queued, and goes with the next
-- claim, judged as it is then. Planned by the settings of claim(), which alone calls it.
CREATE OR REPLACE FUNCTION chwsync.judge_due(for_provider text, by_account int, at_most int, only_order bigint, passed bigint[],
                                  catalogue_at timestamptz, charge_limit numeric, day_limit numeric, room numeric, funds numeric,
                                  funds_waited boolean, tries boolean, required jsonb,
                                  OUT ids bigint[], OUT refs text[], OUT seqs bigint[], OUT charges numeric[], OUT types text[],
                                  OUT firsts text[], OUT places tid[], OUT queue_places tid[], OUT holds text[], OUT verdicts text[],
                                  OUT reasons text[], OUT do_all_go boolean, OUT is_lacking boolean)
    LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
    due_ids bigint[];
    due_ats timestamptz[];
    due_holds text[];
    due_places tid[];
    changed_ats timestamptz[];
    sum_charge numeric; -- of all that may go, each by itself; of absolute values, so that no running sum is above it whatever a rate is
BEGIN
    -- While submits are stopped nothing is due.
    SELECT array_agg(d.order_id), array_agg(d.next_at), array_agg(d.held), array_agg(d.place) INTO due_ids, due_ats, due_holds, due_places
      FROM (SELECT q.order_id, q.next_at, q.held, q.ctid AS place FROM chwsync.queue q
             WHERE q.provider = $1 AND q.next_at <= now() AND ($4 IS NULL OR q.order_id = $4) AND q.order_id <> ALL (passed)
               AND NOT EXISTS (SELECT FROM chwsync.submit_stops s WHERE s.account_id = $2 AND s.released_at IS NULL)
             ORDER BY q.next_at, q.order_id LIMIT $3 FOR UPDATE SKIP LOCKED) AS d;
    IF due_ids IS NULL THEN
        RETURN;
    END IF;
    -- Read by a statement of its own, after the lock: what the intake changed until then is judged, and no more is changed.
    WITH due AS (
        SELECT * FROM unnest(due_ids, due_ats, due_holds, due_places) AS d(order_id, next_at, held, queue_place)
    ), asked_for AS MATERIALIZED (
        SELECT d.next_at, d.held, d.queue_place, o.ctid AS place, o.id, o.order_ref, o.seq, o.state, o.service AS wanted, o.max_charge,
               o.quantity, o.runs, o.comments, o.usernames, o.min AS line_min, o.max AS line_max, o.updated_at, o.link, o.hashtags,
               o.username, o.params
          FROM due d JOIN chwsync.orders o ON o.id = d.order_id WHERE o.id = ANY (due_ids)
    ), sold AS MATERIALIZED ( -- each service once, by its id or by its stable name
        SELECT w.wanted, k.*, n.needs, 'link' = ANY (n.needs) AS needs_link, 'quantity' = ANY (n.needs) AS needs_quantity,
               NOT n.needs <@ ARRAY['link', 'quantity'] AS needs_more
          FROM (SELECT DISTINCT a.wanted FROM asked_for a WHERE catalogue_at IS NOT NULL) AS w
         CROSS JOIN LATERAL (
               (SELECT s.*, true AS by_id FROM chwsync.catalogue_services s WHERE s.account_id = $2 AND s.service = w.wanted)
               UNION ALL
               (SELECT s.*, false FROM chwsync.catalogue_services s WHERE s.account_id = $2 AND s.product_id = w.wanted
                 ORDER BY s.listed DESC, s.changed_at DESC LIMIT 1)
               LIMIT 1) AS k
         CROSS JOIN LATERAL (SELECT ARRAY(SELECT jsonb_array_elements_text(required -> k.type)) AS needs) AS n
    ), known AS (
        SELECT a.next_at, a.held, a.queue_place, a.place, a.id, a.order_ref, a.seq, a.state, left(a.wanted, 80) AS wanted, a.max_charge,
               a.runs, a.line_min, a.line_max, a.updated_at, jsonb_typeof(a.params) NOT IN ('object', 'null') AS is_odd,
               CASE WHEN k.needs_link AND btrim(coalesce(a.link, ''), E' \t\x0b\f\r\n') = '' THEN 'link'
                    WHEN k.needs_quantity AND a.quantity IS NULL THEN 'quantity'
                    WHEN k.needs_more
                    THEN (SELECT r.name FROM unnest(k.needs) WITH ORDINALITY AS r(name, place)
                           WHERE r.name NOT IN ('link', 'quantity')
                             AND btrim(coalesce(CASE r.name WHEN 'comments' THEN a.comments WHEN 'usernames' THEN a.usernames
                                                            WHEN 'hashtags' THEN a.hashtags WHEN 'username' THEN a.username
                                                            WHEN 'min' THEN a.line_min::text WHEN 'max' THEN a.line_max::text
                                                            ELSE a.params ->> r.name END, ''), E' \t\x0b\f\r\n') = ''
                           ORDER BY r.place LIMIT 1) END AS lacks,
               k.service, k.name, k.type, k.rate, k.min, k.max, k.charged_by, k.listed, k.refused_at, k.ordered_name, k.ordered_type,
               k.by_id,
               CASE k.charged_by WHEN 'quantity' THEN a.quantity WHEN 'runs' THEN a.quantity
                                 WHEN 'comments' THEN chwsync.count_lines(a.comments)
                                 WHEN 'usernames' THEN chwsync.count_lines(a.usernames) END AS pieces
          FROM asked_for a LEFT JOIN sold k ON k.wanted = a.wanted OFFSET 0
    ), priced AS (
        SELECT k.*, CASE k.charged_by WHEN 'fixed' THEN k.rate
                                      WHEN 'runs' THEN k.rate * k.pieces * greatest(k.runs, 1) * 0.001
                                      ELSE k.rate * k.pieces * 0.001 END AS charge
          FROM known k OFFSET 0
    ), faulty AS ( -- what will not pass by itself
        SELECT p.*,
               CASE WHEN btrim(coalesce(p.wanted, '')) = '' THEN 'the line shows no service: it has none in the shop, or its options cannot be used as they are'
                    WHEN p.max_charge = 'NaN' THEN 'max_charge is not a number'
                    WHEN catalogue_at >= p.updated_at - interval '15 minutes' AND p.service IS NULL
                    THEN format('the provider does not sell service "%s"', p.wanted)
                    WHEN p.service IS NULL OR NOT p.listed OR p.refused_at IS NOT NULL THEN NULL -- what else is wrong can wait
                    -- As wire/add_check says it, which only sees what is not held.
                    WHEN p.is_odd THEN 'params is not an object of names and values'
                    WHEN p.runs < 1 THEN format('runs is %s: it must be a whole number above 0', p.runs)
                    WHEN p.runs > 1000000 THEN format('runs is %s, which no service sells: at most 1000000', p.runs)
                    WHEN p.line_min > p.line_max THEN format('min %s is above max %s', p.line_min, p.line_max)
                    WHEN p.lacks IS NOT NULL
                    THEN format('%s is missing%s: services of type %s need it', p.lacks,
                                CASE p.lacks WHEN 'quantity' THEN ', or is no whole number' END, p.type)
                    WHEN p.charged_by IN ('quantity', 'runs') AND p.pieces < 1 THEN 'the quantity is not positive'
                    WHEN p.pieces < p.min OR p.pieces > p.max
                    THEN format('%s %s%s is %s of %s for service %s (%s)',
                                CASE p.charged_by WHEN 'comments' THEN 'number of comments' WHEN 'usernames' THEN 'number of usernames'
                                                  ELSE 'quantity' END,
                                p.pieces, CASE WHEN p.charged_by = 'runs' AND p.runs > 1 THEN ' of each run' END,
                                CASE WHEN p.pieces < p.min THEN 'below the minimum' ELSE 'above the maximum' END,
                                CASE WHEN p.pieces < p.min THEN p.min ELSE p.max END, p.wanted, p.name)
                    WHEN p.charged_by = 'posts' AND p.line_min < p.min
                    THEN format('min %s is below the minimum of %s for service %s (%s)', p.line_min, p.min, p.wanted, p.name)
                    WHEN p.charged_by = 'posts' AND p.line_max > p.max
                    THEN format('max %s is above the maximum of %s for service %s (%s)', p.line_max, p.max, p.wanted, p.name)
               END AS fault
          FROM priced p OFFSET 0
    ), alone AS ( -- what can be said of each by itself
        SELECT p.*,
               CASE WHEN p.state <> 'queued' THEN 'stale'
                    WHEN p.service IS NULL AND p.fault IS NOT NULL THEN 'rejected'
                    WHEN catalogue_at IS NOT NULL AND p.service IS NULL OR NOT p.listed OR p.refused_at IS NOT NULL THEN 'disabled'
                    WHEN p.by_id AND (p.ordered_name <> p.name OR p.ordered_type <> p.type) THEN 'identity'
                    WHEN p.fault IS NOT NULL THEN 'rejected'
                    WHEN p.charge > p.max_charge THEN 'price'
                    WHEN p.charge > charge_limit OR p.charge > day_limit THEN 'limit'
                    WHEN p.charge IS NULL AND num_nonnulls(p.max_charge, charge_limit, day_limit) > 0 THEN 'unpriced'
               END AS verdict
          FROM faulty p OFFSET 0
    ), line AS (
        SELECT l.*,
               CASE WHEN l.verdict IS NULL THEN NULL
                    WHEN l.verdict = 'rejected' THEN l.fault
                    WHEN l.verdict = 'disabled' AND l.service IS NULL
                    THEN format('the provider did not list service "%s" when its list was read last; it is read again before the line goes '
                                'or is rejected', l.wanted)
                    WHEN l.verdict = 'disabled' AND NOT l.listed
                    THEN format('the provider does not list service %s (%s) now; it goes when a catalogue lists it again', l.wanted, l.name)
                    WHEN l.verdict = 'disabled'
                    THEN format('the provider refused service %s (%s) as not found or disabled; it is tried again after the next catalogue',
                                l.wanted, l.name)
                    WHEN l.verdict = 'identity'
                    THEN format('service %s was "%s" (%s) when it was last ordered and is "%s" (%s) now; it waits for an operator: '
                                'chwsyncd services --accept %1$s', l.wanted, l.ordered_name, l.ordered_type, l.name, l.type)
                    WHEN l.verdict = 'price'
                    THEN format('price %s is above max_charge %s; it goes when the price falls', trim_scale(l.charge), trim_scale(l.max_charge))
                    WHEN l.verdict = 'limit' AND l.charge > charge_limit
                    THEN format('price %s is above max_charge_per_order %s; it goes when the price falls', trim_scale(l.charge),
                                trim_scale(charge_limit))
                    WHEN l.verdict = 'limit'
                    THEN format('price %s is above max_spend_per_day %s; it goes when the price falls', trim_scale(l.charge),
                                trim_scale(day_limit))
                    WHEN l.verdict = 'unpriced'
                    THEN format('its price is not known beforehand%s, and %s applies; it goes when %s',
                                CASE WHEN l.charged_by IN ('posts', 'unknown') THEN ' for services of type ' || nullif(l.type, '') END,
                                CASE WHEN l.max_charge IS NOT NULL THEN 'max_charge ' || trim_scale(l.max_charge)
                                     WHEN charge_limit IS NOT NULL THEN 'max_charge_per_order ' || trim_scale(charge_limit)
                                     ELSE 'max_spend_per_day ' || trim_scale(day_limit) END,
                                CASE WHEN l.charged_by IN ('posts', 'unknown') THEN 'that limit is taken away'
                                     ELSE 'a catalogue tells the price' END)
                    END AS reason
          FROM alone l ORDER BY l.next_at, l.id -- the order of the arrays, by which judge_money() tells the age
    )
    SELECT array_agg(l.id), array_agg(l.order_ref), array_agg(l.seq), array_agg(l.charge), array_agg(l.type),
           array_agg(CASE WHEN l.by_id AND l.ordered_name IS NULL THEN l.service END), array_agg(l.place), array_agg(l.queue_place),
           array_agg(l.held), array_agg(l.verdict), array_agg(l.reason), array_agg(l.updated_at),
           sum(abs(l.charge)) FILTER (WHERE l.verdict IS NULL), count(l.verdict) = 0,
           coalesce(bool_or(l.verdict = 'disabled' AND l.service IS NULL), false)
      INTO ids, refs, seqs, charges, types, firsts, places, queue_places, holds, verdicts, reasons, changed_ats, sum_charge, do_all_go,
           is_lacking
      FROM line l;
    IF funds_waited OR sum_charge > room OR sum_charge > funds THEN
        SELECT m.verdicts, m.reasons INTO verdicts, reasons
          FROM chwsync.judge_money(charges, holds, changed_ats, verdicts, reasons, room, funds, funds_waited, tries) m;
        do_all_go := false;
    END IF;
END
$$;

-- When the day's limit has room for `charge`.
CREATE OR REPLACE FUNCTION chwsync.room_at(of_provider text, day_limit numeric, charge numeric) RETURNS timestamptz
    LANGUAGE sql STABLE
AS $$
    SELECT coalesce(max(m.minute) FILTER (WHERE m.since > day_limit - charge), now()) + interval '1 day'
      FROM (SELECT b.minute, sum(b.spent) OVER (ORDER BY b.minute DESC) AS since
              FROM chwsync.accounts a JOIN chwsync.budget_minutes b ON b.account_id = a.id
             WHERE a.provider = of_provider AND b.minute > now() - interval '1 day') AS m
$$;

-- What judge_due() held or rejected, or hold_duplicates(): written, told the shop when the reason is another one, and answered then.
-- The amounts in the reason of one that waits for money are those of when it began to wait. All who wait for the balance are due
-- together, so that the oldest is judged first.
CREATE OR REPLACE FUNCTION chwsync.hold_lines(for_provider text, ids bigint[], verdicts text[], reasons text[], former text[],
                                   room_from timestamptz, tell_shop boolean)
    RETURNS TABLE (id bigint, order_ref text, verdict text, reason text)
    LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
    SET enable_nestloop = off SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    funds_at timestamptz;
BEGIN
    IF 'funds' = ANY (verdicts) THEN
        SELECT q.next_at INTO funds_at FROM chwsync.queue q
         WHERE q.provider = for_provider AND q.held = 'funds' AND q.next_at > now() ORDER BY q.next_at LIMIT 1;
    END IF;
    RETURN QUERY
    WITH judged AS MATERIALIZED (
        SELECT j.id, j.verdict, j.former,
               CASE WHEN j.verdict = 'spent'
                    THEN 'max_spend_per_day is reached; it goes at about ' || to_char(room_from, 'YYYY-MM-DD HH24:MI TZ')
                    ELSE j.reason END AS reason
          FROM unnest(ids, verdicts, reasons, former) AS j(id, verdict, reason, former)
    ), moved AS (
        UPDATE chwsync.queue q
           SET held = j.verdict, busy = 0, busy_since = NULL,
               next_at = CASE j.verdict WHEN 'funds' THEN coalesce(funds_at, now() + interval '1 minute')
                                        -- After the one that was refused, which goes alone and finds out.
                                        WHEN 'link' THEN now() + interval '310 seconds'
                                        WHEN 'spent' THEN least(greatest(room_from, now() + interval '10 seconds'), now() + interval '5 minutes')
                                        ELSE now() + interval '1 minute' END
          FROM judged j WHERE q.order_id = ANY (ids) AND q.order_id = j.id AND j.verdict <> 'rejected'
    ), gone AS (
        DELETE FROM chwsync.queue q USING judged j WHERE q.order_id = ANY (ids) AND q.order_id = j.id AND j.verdict = 'rejected'
    ), changed AS (
        UPDATE chwsync.orders o
           SET state = CASE j.verdict WHEN 'rejected' THEN 'rejected' ELSE 'queued' END::chwsync.order_state, error = j.reason,
               seq = o.seq + 1, updated_at = now(), changed_at = CASE j.verdict WHEN 'rejected' THEN now() ELSE o.changed_at END
          FROM judged j
         WHERE o.id = ANY (ids) AND o.id = j.id AND o.state = 'queued'
           AND (j.verdict = 'rejected' OR o.error IS NULL OR j.former IS DISTINCT FROM j.verdict
                OR j.verdict NOT IN ('funds', 'spent') AND o.error <> j.reason)
        RETURNING o.id, o.order_ref, o.seq, o.state, j.verdict, j.reason
    ), noted AS (
        INSERT INTO chwsync.history (order_id, event, state, detail)
        SELECT c.id, CASE c.verdict WHEN 'rejected' THEN 'rejected' ELSE 'held' END, c.state, c.reason FROM changed c
    ), due AS (
        INSERT INTO chwsync.write_backs (order_id, seq) SELECT c.id, c.seq FROM changed c WHERE tell_shop
    )
    SELECT c.id, c.order_ref, c.verdict, c.reason FROM changed c ORDER BY c.id;
END
$$;

-- What claim() and deliver() ask the shop, whose own joins are not to be told what theirs are told. `ask` answers two arrays, the keys
-- and what the shop says of each. Its function takes `results`. Where its view is asked, that takes the keys alone (`keys`), and `ask_any`
-- asks whether it shows anything: one that shows nothing at all is more likely broken than emptied, and then it has said nothing.
-- `anew`: planned now.
CREATE OR REPLACE FUNCTION chwsync.ask_shop(ask text, ask_any text, results chwsync.result[], keys text[], anew boolean,
                                            OUT refs text[], OUT answers boolean[])
    LANGUAGE plpgsql
    SET enable_nestloop = on SET enable_mergejoin = on SET plan_cache_mode = auto
AS $$
DECLARE
    asked_at timestamptz := clock_timestamp();
    shows_any boolean;
BEGIN
    IF ask_any IS NULL THEN
        EXECUTE ask INTO refs, answers USING results;
        RETURN;
    END IF;
    PERFORM chwsync.keep_prepared('chwsync_ask', 'PREPARE chwsync_ask (text[]) AS ' || ask, anew);
    EXECUTE format('EXECUTE chwsync_ask (%L)', keys) INTO refs, answers;
    IF clock_timestamp() > asked_at + interval '20 milliseconds' THEN
        DEALLOCATE chwsync_ask;
    END IF;
    IF true <> ALL (answers) THEN
        EXECUTE ask_any INTO shows_any;
        IF NOT shows_any THEN
            answers := array_fill(NULL::boolean, ARRAY[cardinality(answers)]);
        END IF;
    END IF;
END
$$;

-- What the shop did not let go of the lines `ids` with the keys `refs`: withdrawn where it answered false; where it answered NULL, and they
-- would have gone (`passed`), asked again.
CREATE OR REPLACE FUNCTION chwsync.keep_back(by_account int, ids bigint[], refs text[], passed bigint[], asked_refs text[], asked_gos boolean[])
    RETURNS TABLE (id bigint, order_ref text, go boolean)
    LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
    SET enable_nestloop = off SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH kept AS MATERIALIZED (
        SELECT q.id, q.order_ref, a.go FROM unnest(asked_refs, asked_gos) AS a(order_ref, go) JOIN unnest($2, $3) AS q(id, order_ref) USING (order_ref)
         WHERE a.go IS NOT TRUE
    ), withdrawn AS (
        UPDATE chwsync.orders o
           SET state = 'withdrawn', seq = o.seq + 1, account_id = by_account, updated_at = now(), error = 'the shop took it back'
          FROM kept k WHERE o.id = ANY ($2) AND o.id = k.id AND NOT k.go AND o.state = 'queued'
        RETURNING o.id, o.order_ref
    ), taken AS (
        DELETE FROM chwsync.queue q USING withdrawn w WHERE q.order_id = ANY ($2) AND q.order_id = w.id
    ), noted AS (
        INSERT INTO chwsync.history (order_id, event, state, detail)
        SELECT w.id, 'withdrawn', 'withdrawn', 'the shop took it back' FROM withdrawn w
    ), busy AS ( -- soon, as most locks are held for a moment; half a minute at the most, so that a line whose lock is long gone does not
        -- wait much longer
        UPDATE chwsync.queue q
           SET next_at = now() + least(interval '250 milliseconds' * power(2, least(q.busy, 10)), interval '30 seconds'),
               busy = q.busy + 1, busy_since = coalesce(q.busy_since, now()), held = NULL
          FROM kept k WHERE k.go IS NULL AND q.order_id = ANY (passed) AND q.order_id = k.id
        RETURNING k.id, k.order_ref
    )
    SELECT w.id, w.order_ref, false FROM withdrawn w UNION ALL SELECT b.id, b.order_ref, NULL FROM busy b ORDER BY 1;
END
$$;

-- Lines that are due, judged, asked for their veto (ask_shop), moved from queued to submitting (or withdrawn, or rejected).
--
-- What does not go for a reason that can pass is held: it stays queued with the reason, and is looked at again in a minute, or
-- sooner when a catalogue or a balance was read. Held lines take no slot, so judging goes on behind them. But the oldest go first
-- as far as the balance reaches: while one waits for it, none that is younger overtakes it.
--
-- Rows: what goes (go), was withdrawn (not go) or is asked again (go is NULL); what was rejected or is held for a new reason, with
-- `verdict` and `reason`; and at last one without an order, whose `more` says whether further lines may be due, and if not, `again_ms`
-- when the next one is.
CREATE OR REPLACE FUNCTION chwsync.claim(for_provider text, by_account int, by_instance uuid, at_most int, send_within_s int,
                              only_order bigint, lease_number bigint, lease_claims bigint, by_journal uuid, ask text,
                              ask_any text, charge_limit numeric, day_limit numeric, tell_shop boolean, required jsonb)
    RETURNS TABLE (id bigint, number int, order_ref text, go boolean, service text, link text, quantity bigint,
                   runs bigint, "interval" bigint, min bigint, max bigint, comments text, usernames text, hashtags text,
                   username text, params jsonb, type text, verdict text, reason text, more boolean, again_ms bigint)
    LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
    SET enable_nestloop = off SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    catalogue_at timestamptz; -- NULL: none was ever read
    is_new boolean;          -- its catalogue was never asked for
    used_since timestamptz;
    funds numeric;           -- what of the balance is not spoken for; NULL: it is not known
    room numeric;            -- what is left of the day's limit, which a changed key does not renew; NULL: no limit
    funds_waited boolean;    -- older lines wait for the balance
    tries boolean;           -- the oldest that waits for it goes all the same: an account may have credit
    on_credit boolean;       -- it is known to have, and nothing waits for the balance
    wanted int := at_most;   -- by this round of judging
    looked int := 0;         -- at, in all rounds
    judged record;           -- see judge_due()
    going record;            -- what of it goes
    staying record;          -- what does not
    is_over boolean := false; -- what is behind this round could not go either
    passed bigint[] := '{}'; -- what goes, and what is known of it
    refs text[] := '{}';
    seqs bigint[] := '{}';
    charges numeric[] := '{}';
    types text[] := '{}';
    places tid[] := '{}';
    queue_places tid[] := '{}';
    first_ordered text[] := '{}'; -- services that are ordered by their id for the first time
    head text;               -- the first that waits for the balance, and did before
    asked_ids bigint[];
    asked_refs text[];
    asked_gos boolean[];
    page_cost text := current_setting('random_page_cost');
    claim_at timestamptz;
BEGIN
    -- The lease is renewed and its claims are counted here, or nothing is claimed: another instance has taken it, or this
    -- database has lost our last claim.
    UPDATE chwsync.leases l
       SET claims = l.claims + 1, journal = by_journal, expires_at = clock_timestamp() + interval '10 seconds'
     WHERE l.account_id = $2 AND l.holder = $3 AND l.number = lease_number AND l.claims = lease_claims;
    IF NOT FOUND THEN
        RETURN; -- without a row
    END IF;
    SELECT c.read_at, c.tried_at IS NULL, a.first_used_at, CASE WHEN b.credit_at IS NULL THEN b.available END, b.credit_at IS NOT NULL,
           CASE WHEN day_limit IS NOT NULL
                THEN day_limit - coalesce((SELECT sum(m.spent) FROM chwsync.accounts x JOIN chwsync.budget_minutes m ON m.account_id = x.id
                                            WHERE x.provider = $1 AND m.minute > now() - interval '1 day'), 0) END,
           EXISTS (SELECT FROM chwsync.queue q WHERE q.provider = $1 AND q.held = 'funds' AND q.next_at > now()),
           NOT EXISTS (SELECT FROM chwsync.budget_minutes m
                        WHERE m.account_id = $2 AND m.minute > now() - interval '15 minutes' AND m.adds > 0)
      INTO catalogue_at, is_new, used_since, funds, on_credit, room, funds_waited, tries
      FROM chwsync.accounts a LEFT JOIN chwsync.catalogues c ON c.account_id = a.id LEFT JOIN chwsync.balances b ON b.account_id = a.id
     WHERE a.id = $2;
    IF on_credit AND funds_waited THEN
        -- Before all that did not wait yet, as they are older.
        UPDATE chwsync.queue q
           SET next_at = least(now(), (SELECT d.next_at FROM chwsync.queue d WHERE d.provider = $1 ORDER BY d.next_at LIMIT 1))
         WHERE q.provider = $1 AND q.held = 'funds' AND q.next_at > now();
        funds_waited := false;
    END IF;
    -- The very first orders of an account wait a moment for its catalogue.
    IF is_new AND used_since > now() - interval '10 seconds' THEN
        more := false;
        RETURN NEXT;
        RETURN;
    END IF;
    LOOP
        SELECT * INTO judged
          FROM chwsync.judge_due($1, $2, wanted, $6, passed, catalogue_at, charge_limit, day_limit, room, funds, funds_waited, tries,
                                 required);
        EXIT WHEN judged.ids IS NULL;
        looked := looked + cardinality(judged.ids);
        going := judged;
        IF NOT judged.do_all_go THEN
            SELECT array_agg(j.id) AS ids, array_agg(j.order_ref) AS refs, array_agg(j.seq) AS seqs, array_agg(j.charge) AS charges,
                   array_agg(j.type) AS types, array_agg(j.first) AS firsts, array_agg(j.place) AS places,
                   array_agg(j.queue_place) AS queue_places
              INTO going
              FROM unnest(judged.ids, judged.refs, judged.seqs, judged.charges, judged.types, judged.firsts, judged.places, judged.queue_places,
                          judged.verdicts) AS j(id, order_ref, seq, charge, type, first, place, queue_place, verdict)
             WHERE j.verdict IS NULL;
            SELECT array_agg(j.id) AS ids, array_agg(j.verdict) AS verdicts, array_agg(j.reason) AS reasons, array_agg(j.held) AS former,
                   (array_agg(j.charge) FILTER (WHERE j.verdict = 'spent'))[1] AS spent_charge,
                   (array_agg(j.order_ref) FILTER (WHERE j.verdict = 'funds' AND j.held = 'funds' AND NOT funds_waited))[1] AS head,
                   coalesce(bool_or(j.verdict IN ('spent', 'funds')), false) AS is_last
              INTO staying
              FROM unnest(judged.ids, judged.refs, judged.charges, judged.holds, judged.verdicts, judged.reasons)
                       AS j(id, order_ref, charge, held, verdict, reason)
             WHERE j.verdict <> 'stale';
            head := staying.head;
            is_over := staying.is_last;
            IF staying.ids IS NOT NULL THEN
                RETURN QUERY
                SELECT h.id, NULL::int, h.order_ref, NULL::boolean, NULL, NULL, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint,
                       NULL::bigint, NULL, NULL, NULL, NULL, NULL::jsonb, NULL, h.verdict, h.reason, NULL::boolean, NULL::bigint
                  FROM chwsync.hold_lines($1, staying.ids, staying.verdicts, staying.reasons, staying.former,
                           CASE WHEN staying.spent_charge IS NOT NULL THEN chwsync.room_at($1, day_limit,
                               staying.spent_charge + coalesce((SELECT sum(c) FROM unnest(charges || going.charges) AS c), 0)) END, tell_shop) h;
            END IF;
            -- What is no longer queued would stand at the head for ever.
            UPDATE chwsync.queue q SET next_at = now() + interval '1 hour'
             WHERE q.order_id = ANY (ARRAY(SELECT j.id FROM unnest(judged.ids, judged.verdicts) AS j(id, verdict) WHERE j.verdict = 'stale'));
        END IF;
        IF judged.is_lacking THEN
            -- Once in a quarter of an hour at the most. Whoever stores a catalogue has it locked, and is not waited for.
            UPDATE chwsync.catalogues c SET wanted_at = now()
             WHERE c.account_id IN (SELECT d.account_id FROM chwsync.catalogues d
                                     WHERE d.account_id = $2 AND greatest(d.read_at, d.tried_at, d.wanted_at) < now() - interval '15 minutes'
                                       FOR UPDATE SKIP LOCKED);
        END IF;
        first_ordered := first_ordered || array_remove(going.firsts, NULL);
        refs := refs || going.refs[:at_most - cardinality(passed)];
        seqs := seqs || going.seqs[:at_most - cardinality(passed)];
        charges := charges || going.charges[:at_most - cardinality(passed)];
        types := types || going.types[:at_most - cardinality(passed)];
        places := places || going.places[:at_most - cardinality(passed)];
        queue_places := queue_places || going.queue_places[:at_most - cardinality(passed)];
        passed := passed || going.ids[:at_most - cardinality(passed)];
        EXIT WHEN is_over OR cardinality(judged.ids) < wanted OR cardinality(passed) >= at_most OR looked >= 1000;
        room := room - coalesce((SELECT sum(c) FROM unnest(going.charges) c), 0);
        funds := funds - coalesce((SELECT sum(c) FROM unnest(going.charges) c), 0);
        wanted := greatest(at_most - cardinality(passed), 100);
    END LOOP;
    asked_ids := passed;
    IF head IS NOT NULL THEN
        -- What the shop took back must not keep all others waiting.
        SELECT asked_ids || o.id, refs || o.order_ref, seqs || o.seq INTO asked_ids, refs, seqs FROM chwsync.orders o WHERE o.order_ref = head;
    END IF;
    IF cardinality(asked_ids) > 0 THEN
        SELECT s.refs, s.answers INTO asked_refs, asked_gos
          FROM chwsync.ask_shop(ask, ask_any, CASE WHEN ask_any IS NULL THEN
                                ARRAY(SELECT ROW(q.order_ref, 'submitting', NULL, NULL, NULL, NULL, NULL, NULL, q.seq + 1)::chwsync.result
                                        FROM unnest(refs, seqs) AS q(order_ref, seq)) END,
                                refs, only_order IS NOT NULL) s; -- claimed alone, as a claim of many has failed
        claim_at := clock_timestamp();
        PERFORM set_config('random_page_cost', '0', true); -- see record_outcomes(); the shop is asked without
        RETURN QUERY
        WITH goes AS MATERIALIZED ( -- of those that were passed, which the head is not
            SELECT q.id, q.charge, q.type
              FROM unnest(asked_refs, asked_gos) AS a(order_ref, go)
              JOIN unnest(passed, refs, charges, types) AS q(id, order_ref, charge, type) USING (order_ref) WHERE a.go
        ), moved AS (
            UPDATE chwsync.orders o
               SET state = 'submitting', attempts = o.attempts + 1, seq = o.seq + 1, account_id = $2::int, updated_at = now(), error = NULL
              FROM goes g WHERE o.ctid = ANY (places) AND o.id = g.id AND o.state = 'queued'
            RETURNING o.id, o.attempts AS number, o.order_ref, o.service, o.link, o.quantity, o.runs, o."interval", o.min, o.max,
                      o.comments, o.usernames, o.hashtags, o.username, o.params, g.type, g.charge
        ), taken AS (
            DELETE FROM chwsync.queue q USING moved m WHERE q.ctid = ANY (queue_places) AND q.order_id = m.id
        ), attempt AS (
            INSERT INTO chwsync.attempts (order_id, number, account_id, instance, claim, journal, claimed_at, send_before, service, link,
                                          quantity, further, expected_charge)
            SELECT m.id, m.number, $2::int, $3::uuid, lease_claims + 1, by_journal, claim_at, now() + make_interval(secs => $5::int),
                   m.service, m.link, m.quantity,
                   CASE WHEN num_nonnulls(m.runs, m."interval", m.min, m.max, m.comments, m.usernames, m.hashtags,
                                          m.username, m.params) > 0
                        THEN jsonb_strip_nulls(jsonb_build_object('runs', m.runs, 'interval', m."interval", 'min', m.min,
                            'max', m.max, 'comments', m.comments, 'usernames', m.usernames, 'hashtags', m.hashtags,
                            'username', m.username, 'params', m.params)) END,
                   m.charge
              FROM moved m
        ), spoken_for AS (
            UPDATE chwsync.balances b
               SET available = b.available - c.charge, tried = CASE WHEN b.balance <= 0 AND NOT on_credit THEN c.newest ELSE b.tried END
              FROM (SELECT sum(m.charge) AS charge, max(m.id) FILTER (WHERE m.charge > 0) AS newest FROM moved m) AS c
             WHERE b.account_id = $2 AND c.charge > 0
            RETURNING 1
        ), counted AS (
            -- After the balance, as where the ends of attempts give both back.
            INSERT INTO chwsync.budget_minutes AS b (account_id, minute, adds, spent)
            SELECT $2::int, date_trunc('minute', claim_at), count(*), coalesce(sum(m.charge), 0) FROM moved m
             WHERE (SELECT count(*) FROM spoken_for) >= 0 HAVING count(*) > 0
            ON CONFLICT (account_id, minute) DO UPDATE SET adds = b.adds + excluded.adds, spent = b.spent + excluded.spent
        )
        SELECT m.id, m.number, m.order_ref, true, m.service, m.link, m.quantity, m.runs, m."interval", m.min, m.max,
               m.comments, m.usernames, m.hashtags, m.username, m.params, m.type, NULL, NULL, NULL::boolean, NULL::bigint FROM moved m ORDER BY m.id;
        PERFORM set_config('random_page_cost', page_cost, true);
        IF array_position(asked_gos, false) IS NOT NULL OR array_position(asked_gos, NULL) IS NOT NULL THEN
            RETURN QUERY
            SELECT w.id, NULL::int, w.order_ref, w.go, NULL, NULL, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint,
                   NULL, NULL, NULL, NULL, NULL::jsonb, NULL, NULL, NULL, NULL::boolean, NULL::bigint
              FROM chwsync.keep_back(by_account, asked_ids, refs, passed, asked_refs, asked_gos) w;
        END IF;
    END IF;
    IF head IS NOT NULL AND tell_shop THEN -- it was asked, and does not go yet
        WITH held AS (
            UPDATE chwsync.orders o SET seq = o.seq + 2, updated_at = now() WHERE o.order_ref = head AND o.state = 'queued'
            RETURNING o.id, o.seq
        )
        INSERT INTO chwsync.write_backs (order_id, seq) SELECT h.id, h.seq FROM held h;
    END IF;
    -- What a service is called when it is ordered by its id. Not waited for: whoever stores the catalogue has it locked.
    IF first_ordered <> '{}' THEN
        UPDATE chwsync.catalogue_services k SET ordered_name = k.name, ordered_type = k.type
         WHERE k.account_id = $2 AND k.ordered_name IS NULL
           AND k.service = ANY (first_ordered)
           AND k.service IN (SELECT s.service FROM chwsync.catalogue_services s
                              WHERE s.account_id = $2 AND s.service = ANY (first_ordered) FOR UPDATE SKIP LOCKED);
    END IF;
    -- What is claimed is sent, so it must not be lost with a server that confirms a commit before it is on disk. Said last: the shop's
    -- function may have said otherwise.
    IF current_setting('synchronous_commit') IN ('off', 'local') THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    more := cardinality(passed) >= at_most OR looked >= 1000 AND NOT is_over;
    IF NOT more THEN -- what is due and was passed over is locked, or submits are stopped: to ask again at once would be in vain
        again_ms := (SELECT ceil(extract(epoch FROM q.next_at - now()) * 1000) FROM chwsync.queue q
                      WHERE q.provider = $1 AND q.next_at > now() ORDER BY q.next_at LIMIT 1);
    END IF;
    RETURN NEXT;
END
$$;

-- Tells the shop where orders stand. A row of write_backs is one change (order, seq); the shop is told the present state, and what
-- was due up to that seq is done. So a change that comes in meanwhile needs no lock here and is never lost. `tell`: see ask_shop().
CREATE OR REPLACE FUNCTION chwsync.deliver(at_most int, only_order bigint, tell text)
    RETURNS TABLE (id bigint, order_ref text, answer boolean, status text, waited_s float8)
    LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
    SET enable_nestloop = off SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan
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
      FROM chwsync.orders o WHERE o.id = ANY (due_ids) AND o.state NOT IN ('submitting', 'withdrawn');
    IF results IS NOT NULL THEN
        SELECT s.refs, s.answers INTO told_refs, told_answers FROM chwsync.ask_shop(tell, NULL, results, NULL, false) s;
    END IF;
    RETURN QUERY
    WITH due AS (
        SELECT d.order_id, d.seq FROM unnest(due_ids, due_seqs) AS d(order_id, seq)
    ), told AS MATERIALIZED (
        SELECT o.id, r.order_ref, r.seq, r.status, a.answer
          FROM unnest(results) AS r
          JOIN unnest(told_refs, told_answers) AS a(order_ref, answer) ON a.order_ref = r.order_ref
          JOIN chwsync.orders o ON o.order_ref = r.order_ref
         WHERE o.order_ref = ANY (told_refs)
    ), done AS (
        DELETE FROM chwsync.write_backs w USING due d LEFT JOIN told t ON t.id = d.order_id
         WHERE w.order_id = ANY (due_ids) AND w.order_id = d.order_id AND w.seq <= coalesce(t.seq, d.seq) AND (t.id IS NULL OR t.answer IS NOT NULL)
        RETURNING w.order_id, w.since
    ), busy AS (
        UPDATE chwsync.write_backs w
           SET failures = w.failures + 1, error = 'the function answered NULL', sqlstate = NULL,
               due_at = now() + least(interval '1 second' * power(2, least(w.failures, 12)), interval '1 hour')
          FROM told t WHERE w.order_id = ANY (due_ids) AND w.order_id = t.id AND t.answer IS NULL AND w.seq <= t.seq
    )
    SELECT t.id, t.order_ref, t.answer, t.status,
           CASE WHEN t.answer AND t.status IN ('completed', 'partial', 'canceled', 'refunded', 'failed', 'rejected', 'abandoned')
                THEN extract(epoch FROM clock_timestamp() - min(d.since))::float8 END
      FROM told t LEFT JOIN done d ON d.order_id = t.id GROUP BY t.id, t.order_ref, t.answer, t.status;
END
$$;

-- An operator says that submits may go on: for one order, or (NULL) for all of the account. Returns how many rows that released.
CREATE OR REPLACE FUNCTION chwsync.release_submits(account int, ref text, who text) RETURNS bigint
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
CREATE OR REPLACE FUNCTION chwsync.follow_surplus(line bigint, attempt int, of_account int, their_id text, first_poll_s int) RETURNS void
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

-- The account that an attempt of a flight journal belongs to: as it is named there, where this database has it under that
-- provider; else the provider's latest; and in both cases the one that took its rows over. Where the provider has none (a restored
-- backup of before its first use), one stands for it until it is configured and compared.
CREATE OR REPLACE FUNCTION chwsync.account_of(named int, of_provider text) RETURNS int
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found int := coalesce((SELECT a.id FROM chwsync.accounts a WHERE a.id = named AND a.provider = of_provider),
                          (SELECT a.id FROM chwsync.accounts a WHERE a.provider = of_provider ORDER BY a.last_used_at DESC LIMIT 1));
    later int;
BEGIN
    IF found IS NULL THEN
        INSERT INTO chwsync.accounts (provider, endpoint, key_digest)
        VALUES (of_provider, 'known from a flight journal only', format('account %s', named))
        ON CONFLICT (endpoint, key_digest) DO UPDATE SET provider = excluded.provider
        RETURNING id INTO found;
    END IF;
    FOR i IN 1..100 LOOP -- a circle is never made
        SELECT a.continued_by INTO later FROM chwsync.accounts a WHERE a.id = found AND a.continued_by IS NOT NULL;
        EXIT WHEN later IS NULL;
        found := later;
    END LOOP;
    RETURN found;
END
$$;

-- Moves what belongs to the earlier account's orders to the later one: rows of every table that names both an order and an account.
-- The budget stays where it is: a new key has its own. Returns how many rows it moved, at most about `at_most` of each table;
-- 0: everything is moved, and that is noted. An id that stands already at the later one by proof stays behind.
CREATE OR REPLACE FUNCTION chwsync.take_over(earlier int, later int, at_most int) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
AS $$
DECLARE
    wanted record;
    moved bigint := 0;
    step bigint;
BEGIN
    FOR wanted IN
        SELECT c.relname AS name, w.filter,
               -- It was placed on another account's clock.
               CASE c.relname WHEN 'polls' THEN $q$, turn = '-Infinity', next_at = now()$q$ ELSE '' END AS also
          FROM pg_class c
         CROSS JOIN LATERAL (
               SELECT '' WHERE c.relname <> 'attempts'
               UNION ALL SELECT ' AND t.open' WHERE c.relname = 'attempts'
               UNION ALL SELECT $q$ AND t.provider_order_id IS NOT NULL AND NOT (t.found_by IS NOT NULL AND EXISTS (
                   SELECT FROM chwsync.attempts b WHERE b.account_id = $2 AND b.found_by IS NOT NULL
                      AND b.provider_order_id = t.provider_order_id))$q$ WHERE c.relname = 'attempts') AS w(filter)
         WHERE c.relnamespace = 'chwsync'::regnamespace AND c.relkind = 'r'
           AND (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname IN ('order_id', 'account_id')) = 2
    LOOP
        EXECUTE format('WITH picked AS MATERIALIZED (SELECT t.ctid AS place FROM chwsync.%1$I t WHERE t.account_id = $1%2$s
                                                     LIMIT $3 FOR UPDATE),
                             moved AS (UPDATE chwsync.%1$I t SET account_id = $2%3$s FROM picked p WHERE t.ctid = p.place
                                       RETURNING t.order_id),
                             orders AS (UPDATE chwsync.orders o SET account_id = $2 FROM moved m
                                         WHERE o.id = m.order_id AND o.account_id = $1)
                        SELECT count(*) FROM moved', wanted.name, wanted.filter, wanted.also)
           INTO step USING earlier, later, at_most;
        moved := moved + step;
    END LOOP;
    IF moved = 0 THEN
        INSERT INTO chwsync.service_histories (account_id, service, mean, variance, weight)
        SELECT later, h.service, h.mean, h.variance, h.weight FROM chwsync.service_histories h WHERE h.account_id = earlier
        ON CONFLICT (account_id, service) DO NOTHING;
        -- What services were called when they were ordered by their ids, and which were known at all: they stay listed as the later
        -- one's own catalogue has them.
        INSERT INTO chwsync.catalogue_services AS k (account_id, service, product_id, name, type, category, rate, min, max, refill,
                                                     charged_by, listed, first_seen_at, changed_at, ordered_name, ordered_type)
        SELECT later, e.service, e.product_id, e.name, e.type, e.category, e.rate, e.min, e.max, e.refill,
               e.charged_by, false, e.first_seen_at, e.changed_at, e.ordered_name, e.ordered_type
          FROM chwsync.catalogue_services e WHERE e.account_id = earlier
        ON CONFLICT (account_id, service) DO UPDATE
           SET ordered_name = coalesce(excluded.ordered_name, k.ordered_name),
               ordered_type = coalesce(excluded.ordered_type, k.ordered_type),
               first_seen_at = least(excluded.first_seen_at, k.first_seen_at);
        UPDATE chwsync.accounts a SET continued_by = CASE WHEN a.id = earlier THEN later END WHERE a.id IN (earlier, later);
        DELETE FROM chwsync.account_comparisons c WHERE c.account_id = earlier AND c.earlier_id = later;
        UPDATE chwsync.account_comparisons c SET moved_at = now() WHERE c.account_id = later AND c.earlier_id = earlier;
    END IF;
    RETURN moved;
END
$$;

-- Puts an attempt back that only a flight journal knows, with what became of it, and stops the account's submits.
-- Returns where the order stands then.
CREATE OR REPLACE FUNCTION chwsync.restore_attempt(ref text, of_provider text, of_account int, of_journal uuid, known_number int,
                                        left_at timestamptz, of_service text, of_link text, of_quantity bigint,
                                        ended_as text, their_id text, http int, words text, tell boolean, first_poll_s int)
    RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    line chwsync.orders;
    attempt int;
    becomes chwsync.order_state;
    owner text;
BEGIN
    IF current_setting('synchronous_commit') IN ('off', 'local') THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    of_account := chwsync.account_of(of_account, of_provider);
    SELECT o.order_ref INTO owner FROM chwsync.attempts b JOIN chwsync.orders o ON o.id = b.order_id
     WHERE b.account_id = of_account AND b.provider_order_id = their_id AND b.found_by IS NULL AND o.order_ref <> ref LIMIT 1;
    IF ended_as = 'accepted' AND owner IS NOT NULL THEN -- as tell_apart() does
        words := format('the provider answered with order id %s, which is that of order %s', their_id, owner);
        ended_as := 'unknown';
        their_id := NULL;
    END IF;
    INSERT INTO chwsync.orders (order_ref, provider, service, link, quantity, state, account_id, error)
    VALUES (ref, of_provider, nullif(of_service, ''), nullif(of_link, ''), of_quantity,
            CASE WHEN ended_as = 'refused' THEN 'rejected' ELSE 'withdrawn' END::chwsync.order_state, of_account,
            'known from a flight journal only')
    ON CONFLICT (order_ref) DO NOTHING;
    -- As a look and a claim do, the queue's row first.
    PERFORM FROM chwsync.queue q WHERE q.order_id = (SELECT o.id FROM chwsync.orders o WHERE o.order_ref = ref) FOR UPDATE;
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
    -- It used a slot of that minute's budget, which the database has lost with it.
    IF left_at > now() - interval '1 day' THEN
        INSERT INTO chwsync.budget_minutes AS b (account_id, minute, adds) VALUES (of_account, date_trunc('minute', left_at), 1)
        ON CONFLICT (account_id, minute) DO UPDATE SET adds = b.adds + 1;
    END IF;
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
    RETURN CASE WHEN becomes IS NULL AND ended_as = 'accepted' AND line.provider_order_id IS DISTINCT FROM their_id THEN 'surplus' ELSE coalesce(becomes, line.state)::text END;
END
$$;

-- This database's clock was set by so much. What waits by it is moved along, so that it waits as long as it was to: a clock that
-- was set back by an hour must not keep orders and write-backs waiting for an hour. One that was set forward ends waits too early,
-- which costs a request at the most; nothing is moved then, because a wait that is over cannot be told from one that has never
-- been. Only the slots of the budget are moved in both directions: used an hour ago is not used just now, nor the other way round.
-- The look (server_us, asked, told) is the daemon's, after the step; so long before it (since_us) it had looked and all was well.
-- False: another instance has done it meanwhile.
CREATE OR REPLACE FUNCTION chwsync.clock_stepped(step_us bigint, since_us bigint, by_instance uuid, of_boot uuid, server_us bigint,
                                                 asked bigint, told bigint)
    RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    shift interval := step_us * interval '1 microsecond';
    moved chwsync.budget_minutes[];
BEGIN
    LOCK TABLE chwsync.clock_steps IN SHARE ROW EXCLUSIVE MODE;
    INSERT INTO chwsync.clocks AS c (boot, seen_at, asked_us, told_us)
    VALUES (of_boot, to_timestamp(server_us / 1e6), asked, told)
    ON CONFLICT (boot) DO UPDATE SET seen_at = excluded.seen_at, asked_us = excluded.asked_us, told_us = excluded.told_us;
    IF EXISTS (SELECT FROM chwsync.clock_steps s
                WHERE s.instance <> by_instance AND s.at <= clock_timestamp()
                  AND s.at > to_timestamp((server_us - since_us) / 1e6)
                  AND s.step BETWEEN shift - interval '1 minute' AND shift + interval '1 minute') THEN
        RETURN false;
    END IF;
    INSERT INTO chwsync.clock_steps (step, instance) VALUES (shift, by_instance);

    -- Minutes of before the step, those of the last two are of after it.
    SELECT array_agg(m) INTO moved FROM chwsync.budget_minutes m
     WHERE m.minute NOT BETWEEN date_trunc('minute', now()) - interval '2 minutes' AND now();
    DELETE FROM chwsync.budget_minutes m
     WHERE m.minute NOT BETWEEN date_trunc('minute', now()) - interval '2 minutes' AND now();
    INSERT INTO chwsync.budget_minutes AS b (account_id, minute, adds, polls, reads, ended, spent)
    SELECT m.account_id, date_trunc('minute', m.minute + shift), sum(m.adds), sum(m.polls), sum(m.reads), sum(m.ended), sum(m.spent)
      FROM unnest(moved) m GROUP BY 1, 2
    ON CONFLICT (account_id, minute) DO UPDATE
       SET adds = b.adds + excluded.adds, polls = b.polls + excluded.polls, reads = b.reads + excluded.reads,
           ended = b.ended + excluded.ended, spent = b.spent + excluded.spent;
    IF step_us > 0 THEN
        RETURN true;
    END IF;

    UPDATE chwsync.queue q SET next_at = q.next_at + shift WHERE q.next_at > now() AND isfinite(q.next_at);
    UPDATE chwsync.write_backs w SET due_at = w.due_at + shift, since = least(w.since, now()) WHERE w.due_at > now() AND isfinite(w.due_at);
    UPDATE chwsync.parked_lines p SET retry_at = p.retry_at + shift WHERE p.retry_at > now() AND isfinite(p.retry_at);
    UPDATE chwsync.polls p SET next_at = p.next_at + shift
     WHERE p.next_at > now() AND isfinite(p.next_at) AND (p.stride = 0 OR p.errors > 0);
    UPDATE chwsync.accounts a
       SET submits_paused_until = CASE WHEN isfinite(a.submits_paused_until) THEN a.submits_paused_until + shift ELSE a.submits_paused_until END,
           all_paused_until = CASE WHEN isfinite(a.all_paused_until) THEN a.all_paused_until + shift ELSE a.all_paused_until END
     WHERE greatest(a.submits_paused_until, a.all_paused_until) > now();
    UPDATE chwsync.settlings s SET next_at = s.next_at + shift WHERE s.next_at > now() AND isfinite(s.next_at);
    -- A balance of before would pass for later than every one that is told now, a catalogue for fresh.
    UPDATE chwsync.balances b SET asked_at = b.asked_at + shift WHERE b.asked_at > now();
    UPDATE chwsync.catalogues c SET read_at = c.read_at + shift, tried_at = c.tried_at + shift, wanted_at = c.wanted_at + shift
     WHERE greatest(c.read_at, c.tried_at, c.wanted_at) > now();
    UPDATE chwsync.refills r
       SET next_at = CASE WHEN r.next_at > now() THEN r.next_at + shift ELSE r.next_at END,
           ended_at = CASE WHEN r.ended_at > now() THEN r.ended_at + shift ELSE r.ended_at END
     WHERE r.next_at > now() OR r.ended_at > now();
    UPDATE chwsync.rechecks c SET due_at = c.due_at + shift WHERE c.due_at > now() AND isfinite(c.due_at);
    -- Nothing was noted yet of what was just lost. When it was given up stays as it was: neighbours are told by that.
    INSERT INTO chwsync.settlings (order_id, number, looks, next_at)
    SELECT a.order_id, a.number, 0, a.ended_at + shift + interval '5 minutes' FROM chwsync.attempts a
     WHERE a.open AND a.outcome = 'unknown' AND a.ended_at > now()
    ON CONFLICT (order_id, number) DO NOTHING;
    -- Claims that nobody ended: no longer than they may take is waited for them.
    UPDATE chwsync.attempts a SET send_before = a.send_before + shift
     WHERE a.open AND a.outcome IS NULL AND a.send_before > now() + interval '1 minute';
    RETURN true;
END
$$;

-- A catalogue, in parts of some thousand services (jobs/catalogue). Each part is true by itself, so that a process that ends
-- between two of them leaves nothing wrong: read_at is set by the end, and until then the catalogue is read again. What is as it
-- was is not written. The first statement keeps the account's parts apart, whoever stores them; the second one sees what others
-- stored. Answers the changes, at most three of each kind, and in `number` how many of that kind there are. Rows are joined by
-- hashing, which is right for any number of them: by the statistics of a table that was empty a minute ago the planner would make a
-- minute of a second.
CREATE OR REPLACE FUNCTION chwsync.store_services(of_account int, services text[], product_ids text[], names text[], types text[],
                                                  categories text[], rates numeric[], mins bigint[], maxes bigint[], refills boolean[],
                                                  charges text[])
    RETURNS TABLE (change text, number bigint, service text, name text, before text, after text)
    LANGUAGE plpgsql
    SET enable_nestloop = off SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    is_first boolean;
BEGIN
    INSERT INTO chwsync.catalogues (account_id) VALUES (of_account) ON CONFLICT DO NOTHING;
    SELECT c.read_at IS NULL INTO is_first FROM chwsync.catalogues c WHERE c.account_id = of_account FOR UPDATE;
    RETURN QUERY
    WITH told AS MATERIALIZED (
        SELECT t.*, k.service IS NULL AS is_new, NOT k.listed AS is_back, k.product_id AS old_product_id, k.name AS old_name,
               k.type AS old_type, k.category AS old_category, k.rate AS old_rate, k.min AS old_min, k.max AS old_max,
               k.refill AS old_refill
          FROM unnest(services, product_ids, names, types, categories, rates, mins, maxes, refills, charges)
                 AS t(service, product_id, name, type, category, rate, min, max, refill, charged_by)
          LEFT JOIN chwsync.catalogue_services k ON k.account_id = of_account AND k.service = t.service
         WHERE k.service IS NULL OR NOT k.listed OR k.refused_at IS NOT NULL
            OR (k.product_id, k.name, k.type, k.category, k.rate, k.min, k.max, k.refill, k.charged_by)
               IS DISTINCT FROM (t.product_id, t.name, t.type, t.category, t.rate, t.min, t.max, t.refill, t.charged_by)
    ), added AS (
        INSERT INTO chwsync.catalogue_services (account_id, service, product_id, name, type, category, rate, min, max, refill, charged_by)
        SELECT of_account, t.service, t.product_id, t.name, t.type, t.category, t.rate, t.min, t.max, t.refill, t.charged_by
          FROM told t WHERE t.is_new
    ), changed AS (
        UPDATE chwsync.catalogue_services k
           SET product_id = t.product_id, name = t.name, type = t.type, category = t.category, rate = t.rate, min = t.min, max = t.max,
               refill = t.refill, charged_by = t.charged_by, listed = true, refused_at = NULL, changed_at = now()
          FROM told t WHERE NOT t.is_new AND k.account_id = of_account AND k.service = t.service
    ), changes AS MATERIALIZED (
        SELECT t.service, t.name, c.change, c.before, c.after, row_number() OVER w AS place, count(*) OVER (PARTITION BY c.change) AS number
          FROM told t
         CROSS JOIN LATERAL (VALUES
               ('new', t.is_new AND NOT is_first, NULL, NULL),
               ('back', NOT t.is_new AND t.is_back AND NOT is_first, NULL, NULL),
               ('price', NOT t.is_new AND t.old_rate IS DISTINCT FROM t.rate, t.old_rate::text, t.rate::text),
               ('min', NOT t.is_new AND t.old_min IS DISTINCT FROM t.min, t.old_min::text, t.min::text),
               ('max', NOT t.is_new AND t.old_max IS DISTINCT FROM t.max, t.old_max::text, t.max::text),
               ('name', NOT t.is_new AND t.old_name <> t.name, t.old_name, t.name),
               ('type', NOT t.is_new AND t.old_type <> t.type, t.old_type, t.type),
               ('category', NOT t.is_new AND t.old_category IS DISTINCT FROM t.category, t.old_category, t.category),
               ('refill', NOT t.is_new AND t.old_refill <> t.refill, t.old_refill::text, t.refill::text),
               ('product_id', NOT t.is_new AND t.old_product_id IS DISTINCT FROM t.product_id, t.old_product_id, t.product_id))
               AS c(change, happened, before, after)
         WHERE c.happened
        WINDOW w AS (PARTITION BY c.change ORDER BY length(t.service), t.service)
    ), kept AS (
        INSERT INTO chwsync.catalogue_changes (account_id, service, change, before, after)
        SELECT of_account, c.service, c.change, c.before, c.after FROM changes c ORDER BY length(c.service), c.service
    )
    SELECT c.change, c.number, c.service, c.name, c.before, c.after FROM changes c WHERE c.place <= 3 ORDER BY c.change, c.place;
END
$$;

-- The end of a catalogue that was asked for `asked_s` ago: what it does not list has vanished, and what waited for a new one is due.
-- Answers as store_services().
CREATE OR REPLACE FUNCTION chwsync.end_catalogue(of_account int, of_provider text, services text[], asked_s float8)
    RETURNS TABLE (change text, number bigint, service text, name text, before text, after text)
    LANGUAGE plpgsql
    SET enable_nestloop = off SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    last_tried_at timestamptz;
BEGIN
    INSERT INTO chwsync.catalogues (account_id) VALUES (of_account) ON CONFLICT DO NOTHING;
    SELECT c.tried_at INTO last_tried_at FROM chwsync.catalogues c WHERE c.account_id = of_account FOR UPDATE;
    RETURN QUERY
    WITH gone AS MATERIALIZED (
        UPDATE chwsync.catalogue_services k SET listed = false, changed_at = now()
         WHERE k.account_id = of_account AND k.listed AND NOT EXISTS (SELECT FROM unnest(services) AS t(service) WHERE t.service = k.service)
        RETURNING k.service, k.name
    ), kept AS (
        INSERT INTO chwsync.catalogue_changes (account_id, service, change)
        SELECT of_account, g.service, 'gone' FROM gone g ORDER BY length(g.service), g.service
    )
    SELECT 'gone', count(*) OVER (), g.service, g.name, NULL, NULL FROM gone g ORDER BY length(g.service), g.service LIMIT 3;
    UPDATE chwsync.catalogues c
       SET read_at = now() - make_interval(secs => asked_s), tried_at = now(), error = NULL
     WHERE c.account_id = of_account;
    -- Where nothing changed since, nothing has ended for what is held; a whole queue may be.
    IF last_tried_at IS NULL OR EXISTS (SELECT FROM chwsync.catalogue_services k
                                         WHERE k.account_id = of_account AND k.changed_at >= last_tried_at) THEN
        UPDATE chwsync.queue q SET next_at = now()
         WHERE q.provider = of_provider AND q.held IN ('disabled', 'unpriced', 'price', 'limit', 'identity') AND q.next_at > now();
    END IF;
END
$$;

-- What a provider told of the balance when it was asked at `asked`. Without a row: a later question was answered before.
-- The account's row is locked first, so that the sum below sees every claim that took its expected charges off it; a claim that
-- comes later takes them off what is written here. Expected charges that the answer may not include: of what was under way when
-- it was asked for, or has come to its end since. A request takes minutes at most, so an hour back is enough for those that ended.
-- What seems to end later than now has ended before the clock was set back, and so before it was asked.
CREATE OR REPLACE FUNCTION chwsync.note_balance(of_account int, of_provider text, told numeric, told_currency text,
                                                asked timestamptz, mark numeric, keep_days int)
    RETURNS TABLE (available numeric, rose boolean, reaches boolean, frees boolean, was_low boolean, is_low boolean)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    known chwsync.balances;
    left_over numeric;
BEGIN
    SELECT * INTO known FROM chwsync.balances b WHERE b.account_id = of_account FOR UPDATE;
    IF known.asked_at >= asked THEN
        RETURN;
    END IF;
    left_over := told
        - coalesce((SELECT sum(a.expected_charge) FROM chwsync.attempts a
                     WHERE a.account_id = of_account AND a.open
                       AND (a.outcome IS NULL OR a.ended_at BETWEEN asked AND clock_timestamp())), 0)
        - coalesce((SELECT sum(a.expected_charge) FROM chwsync.attempts a
                     WHERE a.claimed_at > asked - interval '1 hour' AND a.account_id = of_account AND NOT a.open
                       AND a.outcome = 'accepted' AND a.ended_at BETWEEN asked AND clock_timestamp()), 0);
    INSERT INTO chwsync.balances AS b (account_id, balance, currency, asked_at, available, low_mark)
    VALUES (of_account, told, told_currency, asked, left_over, mark)
    ON CONFLICT (account_id) DO UPDATE
       SET balance = excluded.balance, currency = excluded.currency, asked_at = excluded.asked_at, available = excluded.available,
           low_mark = excluded.low_mark,
           -- The first answer since shows money: that had come meanwhile, and nothing is known of credit.
           credit_at = CASE WHEN excluded.balance <= 0 OR b.credit_at <= b.asked_at THEN b.credit_at END,
           tried = CASE WHEN excluded.balance <= 0 THEN b.tried END -- put off, and accepted now, it is bought with that money
     WHERE b.asked_at < excluded.asked_at;
    IF NOT FOUND THEN
        RETURN; -- the very first answers met
    END IF;
    IF (known.balance, known.currency) IS DISTINCT FROM (told, told_currency) THEN
        INSERT INTO chwsync.balance_history (account_id, at, balance, currency) VALUES (of_account, asked, told, told_currency);
        DELETE FROM chwsync.balance_history h
         WHERE keep_days > 0 AND h.account_id = of_account AND h.at < now() - make_interval(days => keep_days);
    END IF;
    RETURN QUERY
    SELECT left_over, coalesce(told > known.balance, false),
           -- The oldest line, as what was refused stands where it stood before.
           coalesce((SELECT a.expected_charge <= left_over
                       FROM (SELECT q.order_id FROM chwsync.queue q WHERE q.provider = of_provider
                              ORDER BY q.next_at, q.order_id LIMIT 1) AS oldest
                       JOIN chwsync.orders o ON o.id = oldest.order_id
                       JOIN chwsync.attempts a ON a.order_id = o.id AND a.number = o.attempts AND a.account_id = of_account), false),
           coalesce(left_over > known.available, true),
           coalesce(known.balance < known.low_mark, false), coalesce(told < mark, false);
END
$$;

-- An order was refused because its service is not found or disabled, though the catalogue lists it: others wait for the next one.
CREATE OR REPLACE FUNCTION chwsync.refuse_service(of_account int, named text) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE chwsync.catalogue_services k SET refused_at = clock_timestamp()
     WHERE k.account_id = of_account AND (k.service = named OR k.product_id = named) AND k.listed AND k.refused_at IS NULL
$$;

-- An order was refused for an active order with its link. Whether that is another one of ours; then all lines with that link wait,
-- so that thousands of them cost a request in five minutes, and not the budget that others wait for.
CREATE OR REPLACE FUNCTION chwsync.hold_duplicates(of_order bigint, tell_shop boolean) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
AS $$
DECLARE
    line chwsync.orders;
    ids bigint[];
    former text[];
BEGIN
    SELECT * INTO line FROM chwsync.orders o WHERE o.id = of_order;
    IF NOT EXISTS (SELECT FROM chwsync.polls p JOIN chwsync.orders o ON o.id = p.order_id
                    WHERE o.id <> line.id AND o.link = line.link AND o.account_id = line.account_id)
       AND NOT EXISTS (SELECT FROM chwsync.attempts a
                        WHERE a.open AND a.order_id <> line.id AND a.link = line.link AND a.account_id = line.account_id) THEN
        RETURN false;
    END IF;
    SELECT array_agg(w.order_id), array_agg(w.held) INTO ids, former
      FROM (SELECT q.order_id, q.held FROM chwsync.queue q JOIN chwsync.orders o ON o.id = q.order_id
             WHERE q.provider = line.provider AND q.next_at < now() + interval '4 minutes' AND o.link = line.link AND o.id <> line.id
               FOR UPDATE OF q SKIP LOCKED) AS w;
    IF ids IS NOT NULL THEN
        PERFORM chwsync.hold_lines(line.provider, ids, array_fill('link'::text, ARRAY[cardinality(ids)]),
                    array_fill('the provider takes one order with this link at a time, and another one is active; it is tried again '
                               'every 5 minutes'::text, ARRAY[cardinality(ids)]), former, NULL, tell_shop);
    END IF;
    RETURN true;
END
$$;

-- An operator says that a service is still what its orders mean. Returns what it was and is called; its orders are due.
CREATE OR REPLACE FUNCTION chwsync.accept_service(of_account int, named text, OUT was text, OUT is_now text, OUT freed bigint)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    SELECT CASE WHEN k.ordered_name IS NOT NULL THEN format('%s (%s)', k.ordered_name, k.ordered_type) END,
           format('%s (%s)', k.name, k.type) INTO was, is_now
      FROM chwsync.catalogue_services k WHERE k.account_id = of_account AND k.service = named FOR UPDATE;
    UPDATE chwsync.catalogue_services k SET ordered_name = k.name, ordered_type = k.type
     WHERE k.account_id = of_account AND k.service = named;
    WITH due AS (
        UPDATE chwsync.queue q SET next_at = now() FROM chwsync.orders o, chwsync.accounts a
         WHERE a.id = of_account AND q.provider = a.provider AND q.held = 'identity' AND o.id = q.order_id AND o.service = named
        RETURNING 1
    )
    SELECT count(*) INTO freed FROM due;
END
$$;

-- Calls the shop's function for an order that does not exist, and for a line that the view shows, and takes all of it back. One row
-- a play: what was asked last in it and answered, or the error it raised; `path` is the search_path it left behind, NULL = as it was,
-- which is how a new session has it: in this one the function may have been called before.
-- A claim that asks for that line meanwhile may hear that the shop is busy with it: it asks again in a quarter of a second.
CREATE FUNCTION chwsync.rehearse(function_name text, view_name text)
    RETURNS TABLE (order_ref text, is_line boolean, status text, answer boolean, code text, words text, took_ms bigint, path text)
    LANGUAGE plpgsql
AS $$
DECLARE
    line text;
    path_before text := set_config('search_path', (SELECT s.reset_val FROM pg_catalog.pg_settings s WHERE s.name = 'search_path'), true);
    began timestamptz;
    play record;
BEGIN
    BEGIN
        EXECUTE format('SELECT v.order_ref::text FROM %s AS v WHERE v.order_ref IS NOT NULL
                           AND octet_length(v.order_ref::text) BETWEEN 1 AND 200 LIMIT 1', view_name) INTO line;
    EXCEPTION WHEN OTHERS THEN
        line := NULL; -- what is wrong with the view shows when it is read
    END;
    FOR play IN SELECT * FROM (VALUES (line, true, ARRAY['submitting', 'completed']),
                                      ('chwsyncd-check-unknown-reference', false, ARRAY['submitting']),
                                      ('chwsyncd-check-unknown-reference', false, ARRAY['completed'])) AS p(ref, is_line, statuses)
                 WHERE p.ref IS NOT NULL
    LOOP
        order_ref := play.ref;
        is_line := play.is_line;
        answer := NULL;
        code := NULL;
        words := NULL;
        took_ms := NULL;
        path := NULL;
        BEGIN
            FOREACH status IN ARRAY play.statuses LOOP
                began := clock_timestamp();
                -- Beyond any seq that was reported, so that the function takes it for news.
                EXECUTE format('SELECT %s(jsonb_populate_record(NULL::chwsync.result, $1))', function_name) INTO answer
                  USING jsonb_build_object('order_ref', play.ref, 'status', status, 'seq', 4000000000000000000
                            + CASE status WHEN 'submitting' THEN 1 ELSE 2 END)
                        || CASE WHEN play.is_line THEN jsonb_build_object('charge', 0.5, 'provider_order_id', 'rehearsal',
                                                                          'currency', 'USD') ELSE '{}' END;
                took_ms := coalesce(took_ms, round(extract(epoch FROM clock_timestamp() - began) * 1000)::bigint);
                EXIT WHEN answer IS NOT true;
            END LOOP;
            SET CONSTRAINTS ALL IMMEDIATE;
            path := nullif(current_setting('search_path'), path_before);
            RAISE EXCEPTION SQLSTATE 'CHW00'; -- takes it back
        EXCEPTION
            WHEN SQLSTATE 'CHW00' THEN
                NULL;
            WHEN OTHERS THEN
                code := SQLSTATE;
                words := SQLERRM;
        END;
        RETURN NEXT;
    END LOOP;
END
$$;

-- Where a refill stands, as request_refill() says it: the state's word, a colon, a sentence.
CREATE FUNCTION chwsync.refill_words(r chwsync.refills) RETURNS text
    LANGUAGE sql STABLE
AS $$
    SELECT CASE WHEN r.state = 'sending' THEN 'requested' ELSE r.state END || ': ' || CASE r.state
        WHEN 'requested' THEN 'the provider is asked for it as soon as its limits allow'
                              || coalesce('; it was tried at ' || date_trunc('second', r.sent_at), '') || coalesce('; ' || r.error, '')
        WHEN 'sending' THEN 'the provider is being asked for it'
        WHEN 'uncertain' THEN 'the provider was asked for it at ' || date_trunc('second', r.sent_at)
                              || ' and the answer was lost; it is not asked again until an operator says whether it exists there'
        WHEN 'refused' THEN coalesce(r.error, 'the provider gave no reason') || ', at ' || date_trunc('second', r.ended_at)
        WHEN 'pending' THEN format('refill %s has not begun, requested at %s', r.refill_id, date_trunc('second', r.requested_at))
        WHEN 'in_progress' THEN format('refill %s is under way, requested at %s', r.refill_id, date_trunc('second', r.requested_at))
        ELSE format('refill %s was %s at %s', r.refill_id, r.state, date_trunc('second', r.ended_at)) END
$$;

-- A refill is asked for. While one is open, and for a while after its end (an hour when it was refused, else a day; not with
-- `again`), the answer is where that one stands: whoever asks over and over costs no request.
CREATE FUNCTION chwsync.ask_refill(ref text, who text, again boolean) RETURNS text
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    line chwsync.orders;
    last chwsync.refills;
    free_at timestamptz;
    offered boolean;
BEGIN
    SELECT * INTO line FROM chwsync.orders o WHERE o.order_ref = ref;
    IF NOT FOUND THEN
        RETURN format('refused: there is no order line %s here', coalesce(ref, 'without a key'));
    END IF;
    SELECT * INTO last FROM chwsync.refills r WHERE r.order_id = line.id ORDER BY r.id DESC LIMIT 1;
    free_at := last.ended_at + CASE WHEN last.state = 'refused' THEN interval '1 hour' ELSE interval '1 day' END;
    IF last.id IS NOT NULL AND last.ended_at IS NULL THEN
        RETURN chwsync.refill_words(last);
    ELSIF free_at > now() AND NOT again THEN
        RETURN chwsync.refill_words(last) || '; it can be requested again from ' || date_trunc('second', free_at);
    END IF;
    IF line.state NOT IN ('completed', 'partial') OR line.provider_order_id IS NULL THEN
        RETURN format('refused: the order line is %s; a refill can be requested when it is completed or partial',
                      chwsync.contract_status(line.state, line.in_progress));
    END IF;
    -- By its id or by its stable name, as judge_due() looks for it. A service that is not in the catalogue, and an account without
    -- one: the provider decides.
    SELECT s.refill INTO offered FROM chwsync.catalogue_services s
     WHERE s.account_id = line.account_id AND (s.service = line.service OR s.product_id = line.service)
     ORDER BY s.service = line.service DESC, s.listed DESC, s.changed_at DESC LIMIT 1;
    IF NOT offered THEN
        RETURN format('refused: the provider offers no refill for service %s', line.service);
    END IF;
    INSERT INTO chwsync.refills (order_id, account_id, requested_by) VALUES (line.id, line.account_id, who)
    ON CONFLICT (order_id) WHERE ended_at IS NULL DO NOTHING RETURNING * INTO last;
    IF NOT FOUND THEN -- somebody asked at the same moment
        SELECT * INTO last FROM chwsync.refills r WHERE r.order_id = line.id ORDER BY r.id DESC LIMIT 1;
        RETURN chwsync.refill_words(last);
    END IF;
    INSERT INTO chwsync.history (order_id, event, state, detail)
    VALUES (line.id, 'refill', line.state, format('%s requested a refill', who));
    RETURN chwsync.refill_words(last);
END
$$;

-- For the shop; the daemon finds it at its next look at pending orders.
CREATE OR REPLACE FUNCTION chwsync.request_refill(order_ref text) RETURNS text
    LANGUAGE sql VOLATILE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT chwsync.ask_refill($1, session_user::text, false)
$$;
REVOKE ALL ON FUNCTION chwsync.request_refill(text) FROM PUBLIC;
COMMENT ON FUNCTION chwsync.request_refill(text) IS 'Asks the provider to refill an order line. Answers where that stands, as a word (requested, uncertain, pending, in_progress, completed, rejected, canceled, refused), a colon and a sentence; asked again, it answers from the ledger.';
