-- 005-adapters.sql - the shop's views while they are taken away around an upgrade of the shop.

CREATE TABLE chwsync.switched_off (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    since timestamptz NOT NULL DEFAULT now(),
    by_role text NOT NULL DEFAULT session_user,
    views text[] NOT NULL,  -- as they are named, in the order they are made
    definition text NOT NULL -- the statements that make them again, rights included
);
COMMENT ON TABLE chwsync.switched_off IS 'A row while `chwsyncd adapter off` holds: what `chwsyncd adapter on` puts back.';
