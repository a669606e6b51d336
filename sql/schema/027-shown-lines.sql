-- 027-shown-lines.sql - a line as the shop's view shows it, beside what the ledger knows of it: what intake() hands on to follow_lines().
-- Its columns are those that intake() reads, in their order.
--
-- Run inside one transaction by `chwsyncd schema install|upgrade`, as the owner of schema chwsync.

CREATE TYPE chwsync.shown_line AS (
    order_ref text, service text, link text, quantity bigint, runs bigint, "interval" bigint, min bigint, max bigint, comments text,
    usernames text, hashtags text, username text, params jsonb, provider text, max_charge numeric, display_ref text,
    created_at timestamptz, chosen text, known_id bigint, known_state chwsync.order_state, known_at timestamptz, turned text,
    differs boolean);
