-- compare.sql - what the shop was told, what the ledger holds and what the provider's books say, side by side; every
-- difference becomes a row of demo.faults. psql variable: books, the file of /control/books.
CREATE SCHEMA demo;
CREATE TABLE demo.books (
    order_id text, key text, service text, product_id text, link text, quantity bigint, runs bigint, paid numeric,
    charge numeric, word text, start_count bigint, remains bigint, accepted_us bigint, nth int, extra text);
\set copy '\\copy demo.books FROM ' :'books' ' WITH (HEADER, FORMAT text)'
:copy

-- The provider's words in the contract's.
CREATE VIEW demo.provider AS
    SELECT *, CASE w WHEN 'fail' THEN 'failed' WHEN 'cancelled' THEN 'canceled' WHEN 'inprogress' THEN 'in_progress'
                     ELSE w END AS status
      FROM (SELECT *, lower(replace(word, ' ', '')) AS w FROM demo.books) b;

CREATE VIEW demo.lines AS
    SELECT d.ref, d.kind, d.ends, d.note, nullif(btrim(l.options ->> 'link'), '') AS link,
           o.state::text AS state, o.provider_order_id, o.charge, o.currency, o.start_count, o.remains, o.error,
           s.order_ref IS NOT NULL AS shop_knows, s.status AS shop_status, s.provider_order_id AS shop_id,
           s.charge AS shop_charge, s.start_count AS shop_start_count, s.remains AS shop_remains,
           p.order_id AS book_id, p.status AS book_status, p.charge AS book_charge, p.link AS book_link,
           p.start_count AS book_start_count, p.remains AS book_remains,
           (SELECT count(*) FROM store.order_events e WHERE e.line_ref = d.ref AND e.kind = 'delivery') AS deliveries
      FROM store_test.demo_lines d
      JOIN store.order_lines l ON l.ref = d.ref
      LEFT JOIN chwsync.orders o ON o.order_ref = d.ref
      LEFT JOIN chwsync_shop.sample_store_line s ON s.order_ref = d.ref
      LEFT JOIN demo.provider p ON p.order_id = o.provider_order_id;

CREATE TABLE demo.faults AS
    SELECT ref, format('ended as %s, allowed is %s (%s)', coalesce(state, 'unseen'), array_to_string(ends, ' or '), note) AS what
      FROM demo.lines WHERE coalesce(state, 'unseen') <> ALL (ends)
    UNION ALL
    SELECT ref, format('the ledger says %s, the shop was told %s', (state, provider_order_id, charge, start_count, remains),
                       (shop_status, shop_id, shop_charge, shop_start_count, shop_remains))
      FROM demo.lines
     WHERE state NOT IN ('queued', 'withdrawn')
       AND (state, provider_order_id, charge, start_count, remains)
           IS DISTINCT FROM (shop_status, shop_id, shop_charge, shop_start_count, shop_remains)
    UNION ALL
    SELECT ref, format('the ledger says %s, the provider''s books say %s',
                       (state, provider_order_id, charge, start_count, remains, link),
                       (book_status, book_id, book_charge, book_start_count, book_remains, book_link))
      FROM demo.lines
     WHERE provider_order_id IS NOT NULL
       AND (state, provider_order_id, charge, start_count, remains, link)
           IS DISTINCT FROM (book_status, book_id, book_charge, book_start_count, book_remains, book_link)
    UNION ALL
    SELECT (SELECT ref FROM demo.lines l WHERE l.link = b.link), format('the provider sold order %s, the ledger does not know it', b.order_id)
      FROM demo.books b WHERE b.order_id NOT IN (SELECT provider_order_id FROM demo.lines WHERE provider_order_id IS NOT NULL)
    UNION ALL
    SELECT (SELECT min(ref) FROM demo.lines l WHERE l.link = b.link), format('bought %s times', count(*))
      FROM demo.books b GROUP BY link HAVING count(*) > 1
    UNION ALL
    SELECT ref, format('the shop heard of its end %s times', deliveries)
      FROM demo.lines
     WHERE deliveries <> (state IN ('completed', 'partial', 'canceled', 'refunded', 'failed', 'rejected'))::int;

SELECT format('%-14s %14s %14s %14s', '', 'shop', 'ledger', 'provider');
WITH ends (nth, ending) AS (
    VALUES (1, 'completed'), (2, 'partial'), (3, 'canceled'), (4, 'refunded'), (5, 'failed')
)
SELECT format('%-14s %14s %14s %14s', what, shop, ledger, provider)
  FROM (SELECT 0 AS nth, 'bought' AS what, count(shop_id)::text AS shop, count(provider_order_id)::text AS ledger,
               (SELECT count(*) FROM demo.books)::text AS provider
          FROM demo.lines
        UNION ALL
        SELECT nth, '  ' || ending, count(*) FILTER (WHERE shop_status = ending)::text,
               count(*) FILTER (WHERE state = ending)::text,
               (SELECT count(*) FROM demo.provider p WHERE p.status = ending)::text
          FROM ends, demo.lines GROUP BY nth, ending
        UNION ALL
        SELECT 9, 'charges', trim_scale(sum(shop_charge))::text, trim_scale(sum(charge))::text,
               (SELECT trim_scale(sum(charge)) FROM demo.books)::text
          FROM demo.lines
        UNION ALL
        SELECT 10, 'rejected', count(*) FILTER (WHERE shop_status = 'rejected')::text,
               count(*) FILTER (WHERE state = 'rejected')::text, '-'
          FROM demo.lines) t
 ORDER BY nth;
SELECT '';
SELECT 'Rejected, with the reason:' WHERE EXISTS (SELECT FROM demo.lines WHERE state = 'rejected');
SELECT format('  %-12s %-38s %s', ref, note, error) FROM demo.lines WHERE state = 'rejected' ORDER BY ref;
SELECT format('Waits:     %-11s %-38s %s', ref, note, error) FROM demo.lines WHERE state = 'queued' ORDER BY ref;
SELECT format('Withdrawn: %-11s %s', ref, note) FROM demo.lines WHERE state = 'withdrawn' ORDER BY ref;
SELECT format('Never taken: %s (%s)', count(*), string_agg(DISTINCT note, ', ')) FROM demo.lines WHERE state IS NULL;
