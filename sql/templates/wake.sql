
-- THE WAKE-UP, optional: the daemon looks every few seconds anyway, and with this at once. A NOTIFY makes the shop's commits
-- wait for each other, so it is for shops with less than some hundred paid orders a second; it is said when an order becomes
-- paid and at no other change, with nothing in it. It never breaks a checkout.

BEGIN;
SET LOCAL lock_timeout = '10s';
SET LOCAL client_min_messages = warning;
SET LOCAL ROLE chwsync_adapter;

@triggers@
COMMIT;
