-- paid-view.sql - the sample shop's paid lines for a daemon without a write-back function: lines that were taken stay in it.
CREATE VIEW chwsync_shop.bench_paid AS
SELECT l.ref AS order_ref, l.sku AS service, l.options ->> 'link' AS link, l.packs::bigint * l.pack_size AS quantity,
       o.number AS display_ref, o.paid_at AS created_at
  FROM store.orders o JOIN store.order_lines l ON l.order_id = o.id
 WHERE o.status = 'paid' AND l.canceled_at IS NULL;
ALTER VIEW chwsync_shop.bench_paid OWNER TO chwsync_adapter;
GRANT SELECT ON chwsync_shop.bench_paid TO chwsync;
