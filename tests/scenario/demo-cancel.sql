-- demo-cancel.sql - the shop cancels a line of demo-orders.sql, and takes its time. Run it beside the daemon, started first:
-- while it lasts the line is shown and cannot be claimed (the veto answers NULL), and then it is withdrawn.
-- psql variable: seconds (default 3).
\if :{?seconds}
\else
\set seconds 3
\endif
BEGIN;
SELECT store.cancel_line(ref) FROM store_test.demo_lines WHERE note = 'canceled while it is being taken';
SELECT pg_sleep(:seconds);
COMMIT;
