-- 025-credit.sql - an account whose balance may go below nothing does not buy one line in a quarter of an hour.
--
-- Run inside one transaction by `chwsyncd schema install|upgrade`, as the owner of schema chwsync.

ALTER TABLE chwsync.balances
    ADD COLUMN tried bigint,          -- the order that was claimed last though the balance, as told, was nothing or less
    ADD COLUMN credit_at timestamptz; -- such an order was accepted: there is credit, and nothing waits for the balance until the
                                      -- provider says that there is none
