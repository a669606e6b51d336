-- grants.sql - who may do what. Idempotent; run after every install and upgrade. A role that does not exist is passed over,
-- so that an installation without the right to create roles works with the roles that are there.
DO $$
DECLARE
    roles text[] := ARRAY(SELECT rolname::text FROM pg_catalog.pg_roles
                           WHERE rolname IN ('chwsync', 'chwsync_adapter', 'chwsync_reader'));
BEGIN
    REVOKE ALL ON SCHEMA chwsync FROM PUBLIC;
    IF 'chwsync' = ANY (roles) THEN
        GRANT USAGE ON SCHEMA chwsync TO chwsync;
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA chwsync TO chwsync;
        REVOKE INSERT, UPDATE, DELETE ON chwsync.ledger FROM chwsync;
        -- `chwsyncd adapter on` runs what stands there with the rights of whoever says it.
        REVOKE INSERT, UPDATE, DELETE ON chwsync.switched_off FROM chwsync;
        GRANT USAGE ON ALL SEQUENCES IN SCHEMA chwsync TO chwsync;
        GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA chwsync TO chwsync;
    END IF;
    IF 'chwsync_adapter' = ANY (roles) THEN
        GRANT USAGE ON SCHEMA chwsync TO chwsync_adapter;
        GRANT EXECUTE ON FUNCTION chwsync.try_jsonb(text), chwsync.try_bigint(text),
            chwsync.request_refill(text) TO chwsync_adapter;
    END IF;
    IF 'chwsync_reader' = ANY (roles) THEN
        GRANT USAGE ON SCHEMA chwsync TO chwsync_reader;
        GRANT SELECT ON chwsync.order_status, chwsync.order_history, chwsync.provider_status TO chwsync_reader;
        GRANT SELECT ON chwsync.services, chwsync.service_changes TO chwsync_reader;
        GRANT SELECT ON chwsync.refill_status TO chwsync_reader;
        GRANT EXECUTE ON FUNCTION chwsync.request_refill(text) TO chwsync_reader;
    END IF;
END
$$;
