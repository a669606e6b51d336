-- compare-books.sql - the provider's books, the ledger and the shop's side table, compared. psql variables: `books`, the file
-- of /control/books without its heading; `settled`, true when everything the provider ended must have been heard of by now;
-- `told`, true when the shop's side table must agree with the ledger (with an adapter that has a function).
--
-- One row for each thing that does not agree; none when all is well.
\set QUIET on
CREATE TEMP TABLE book (
    order_id text, key text, service int, product_id text, link text, quantity bigint, runs bigint, paid numeric,
    charge numeric, status text, start_count bigint, remains bigint, accepted_us bigint, nth int, extra text);
\set copy '\\copy book FROM ' :'books'
:copy

CREATE TEMP VIEW ended AS
    SELECT b.*, CASE lower(b.status) WHEN 'completed' THEN 'completed' WHEN 'partial' THEN 'partial' WHEN 'canceled' THEN 'canceled'
                                     WHEN 'refunded' THEN 'refunded' WHEN 'fail' THEN 'failed' END AS state
      FROM book b;
CREATE TEMP VIEW owned AS -- every id the ledger knows, and whose it is
    SELECT provider_order_id, id AS order_id FROM chwsync.orders WHERE provider_order_id IS NOT NULL
    UNION SELECT provider_order_id, order_id FROM chwsync.attempts WHERE provider_order_id IS NOT NULL;
-- What was ordered: of the sample store, or of a shop of one table (own_lines of tests/scenario/lib.sh).
SELECT to_regclass('chwsync_shop.own_lines') IS NOT NULL AS own \gset
\if :own
CREATE TEMP VIEW line AS SELECT link FROM chwsync_shop.own_lines;
\else
CREATE TEMP VIEW line AS SELECT options ->> 'link' AS link FROM store.order_lines;
\endif

\set QUIET off
-- Bought twice.
SELECT 'bought ' || count(*) || ' times for ' || (SELECT count(*) FROM line l WHERE l.link = b.link)
       || ' lines: ' || b.link || ' (' || string_agg(b.order_id, ', ') || ')'
  FROM book b WHERE b.link <> '' GROUP BY b.link
HAVING count(*) > (SELECT count(*) FROM line l WHERE l.link = b.link)
UNION ALL
SELECT 'order ' || o.order_ref || ' owns ' || count(*) || ' ids: ' || string_agg(w.provider_order_id, ', ')
  FROM owned w JOIN chwsync.orders o ON o.id = w.order_id GROUP BY o.order_ref HAVING count(*) > 1
UNION ALL
SELECT 'id ' || provider_order_id || ' belongs to ' || count(*) || ' orders' FROM owned GROUP BY provider_order_id HAVING count(*) > 1
UNION ALL
-- Bought, and nobody knows: every id handed out is the ledger's, or one of its attempts stands open for it.
SELECT 'the books hold ' || count(*) || ' orders that the ledger does not know, with ' ||
       (SELECT count(*) FROM chwsync.attempts a WHERE a.open AND coalesce(a.link, '') = b.link) ||
       ' attempts open: ' || b.link || ' (' || string_agg(b.order_id, ', ') || ')'
  FROM book b WHERE NOT EXISTS (SELECT FROM owned w WHERE w.provider_order_id = b.order_id) GROUP BY b.link
HAVING count(*) > (SELECT count(*) FROM chwsync.attempts a WHERE a.open AND coalesce(a.link, '') = b.link)
UNION ALL
SELECT 'the provider never gave out id ' || w.provider_order_id FROM owned w
 WHERE NOT EXISTS (SELECT FROM book b WHERE b.order_id = w.provider_order_id)
UNION ALL
-- What was bought is what was wanted.
SELECT format('order %s asked for %s × %s at %s, %s × %s at %s was bought', o.order_ref, o.quantity, o.runs, o.link, b.quantity, b.runs, b.link)
  FROM chwsync.orders o JOIN book b ON b.order_id = o.provider_order_id
 WHERE o.link IS DISTINCT FROM nullif(b.link, '') OR o.quantity <> b.quantity OR o.runs <> b.runs OR o.service NOT IN (b.product_id, b.service::text)
UNION ALL
-- Where it stands, to the last digit.
SELECT format('order %s: the ledger has %s, charge %s, start %s, remains %s; the books %s, %s, %s, %s', o.order_ref, o.state, o.charge,
              o.start_count, o.remains, b.status, b.charge, b.start_count, b.remains)
  FROM chwsync.orders o JOIN ended b ON b.order_id = o.provider_order_id
 WHERE :settled AND o.state <> 'uncertain' AND o.state::text <> coalesce(b.state, 'active')
    OR o.state::text = b.state AND (o.charge, o.start_count, o.remains) IS DISTINCT FROM (b.charge, b.start_count, b.remains)
    OR o.state IN ('completed', 'partial', 'canceled', 'refunded', 'failed') AND o.state::text IS DISTINCT FROM b.state
UNION ALL
-- Nothing in a state without a next step.
SELECT format('order %s is %s, and %s', o.order_ref, o.state, s.lack) FROM chwsync.orders o
  LEFT JOIN chwsync.attempts a ON a.order_id = o.id AND a.number = o.attempts
  LEFT JOIN chwsync.queue q ON q.order_id = o.id LEFT JOIN chwsync.polls p ON p.order_id = o.id
 CROSS JOIN LATERAL (SELECT CASE
       WHEN (o.state = 'queued') <> (q.order_id IS NOT NULL) THEN 'queued is ' || (q.order_id IS NOT NULL)
       WHEN (o.state = 'active') <> (p.order_id IS NOT NULL) THEN 'followed is ' || (p.order_id IS NOT NULL)
       WHEN o.state = 'active' AND o.provider_order_id IS NULL THEN 'has no id'
       WHEN o.state = 'uncertain' AND NOT EXISTS (SELECT FROM chwsync.attempts u WHERE u.order_id = o.id AND u.open AND u.outcome = 'unknown')
           THEN 'its attempt is ' || coalesce(a.outcome, 'without an end')
       WHEN o.state = 'submitting' AND (:settled OR a.outcome IS NOT NULL) THEN 'its attempt is ' || coalesce(a.outcome, 'without an end')
       WHEN o.state = 'rejected' AND o.error IS NULL THEN 'nothing says why' END AS lack) s
 WHERE s.lack IS NOT NULL
UNION ALL
SELECT format('attempt %s of order %s stands open, outcome %s, order %s', a.number, o.order_ref, a.outcome, o.state)
  FROM chwsync.attempts a JOIN chwsync.orders o ON o.id = a.order_id
 WHERE a.open AND o.state <> 'uncertain' AND (o.state <> 'submitting' OR a.number <> o.attempts)
UNION ALL
SELECT 'nobody took line ' || v.order_ref FROM chwsync_shop.pending_orders v
 WHERE :settled AND NOT EXISTS (SELECT FROM chwsync.orders o WHERE o.order_ref = v.order_ref)
   AND NOT EXISTS (SELECT FROM chwsync.parked_lines p WHERE p.order_ref = v.order_ref)
UNION ALL
-- The shop was told, or will be.
SELECT format('order %s: the shop has %s, seq %s; the ledger %s, seq %s', o.order_ref, s.status, s.seq,
              chwsync.contract_status(o.state, o.in_progress), o.seq)
  FROM chwsync.orders o LEFT JOIN chwsync_shop.sample_store_line s USING (order_ref)
 WHERE :told AND o.state NOT IN ('submitting', 'withdrawn') AND NOT (o.state = 'queued' AND o.attempts = 0)
   AND NOT EXISTS (SELECT FROM chwsync.write_backs w WHERE w.order_id = o.id)
   AND (s.status, s.provider_order_id, s.charge, s.currency, s.start_count, s.remains, s.error, s.seq) IS DISTINCT FROM
       (chwsync.contract_status(o.state, o.in_progress), o.provider_order_id, o.charge, o.currency, o.start_count,
        o.remains, -- that an id is not known is no result: it is asked about again, and not told
        CASE WHEN o.error LIKE 'the provider says of order id %' THEN s.error ELSE o.error END, o.seq)
UNION ALL
SELECT format('order %s waits to be told to the shop: %s %s', o.order_ref, w.sqlstate, w.error)
  FROM chwsync.write_backs w JOIN chwsync.orders o ON o.id = w.order_id WHERE :settled AND :told;
