-- roles.sql - the roles, where the caller may create them. Idempotent; run by `chwsyncd schema install`.
--
--   chwsync_owner    nologin, owns schema chwsync (ledger, helpers, views)
--   chwsync          login, the daemon: no right on any table of the shop
--   chwsync_adapter  nologin, owns schema chwsync_shop and what the administrator writes there
--   chwsync_reader   nologin, granted to whoever may read the views
DO $$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT * FROM (VALUES ('chwsync_owner', 'NOLOGIN'), ('chwsync', 'LOGIN NOINHERIT'),
                              ('chwsync_adapter', 'NOLOGIN'), ('chwsync_reader', 'NOLOGIN')) AS w(name, options)
         WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = w.name)
    LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I %s', wanted.name, wanted.options);
        EXCEPTION
            WHEN insufficient_privilege THEN
                RAISE NOTICE 'role % does not exist and % may not create it', wanted.name, current_user
                    USING HINT = format('Have a superuser run: CREATE ROLE %I %s;', wanted.name, wanted.options);
            WHEN duplicate_object OR unique_violation THEN
                NULL; -- somebody else created it at the same moment
        END;
    END LOOP;
END
$$;
