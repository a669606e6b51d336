CREATE OR REPLACE FUNCTION chwsync_shop.queue_@number@() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms'
AS $$
BEGIN
    INSERT INTO chwsync_shop.queue (line_id, added_at, looked_at)
    SELECT n.line_id, now(), now() FROM (@lines@) AS n(line_id)
        ON CONFLICT DO NOTHING;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'chwsync_shop.queue_@number@: %', SQLERRM;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION chwsync_shop.queue_@number@() FROM PUBLIC;
RESET ROLE;
DROP TRIGGER IF EXISTS chwsync_queue_@number@i ON @table@;
CREATE TRIGGER chwsync_queue_@number@i AFTER INSERT ON @table@
    FOR EACH ROW WHEN (@when_new@) EXECUTE FUNCTION chwsync_shop.queue_@number@();
DROP TRIGGER IF EXISTS chwsync_queue_@number@u ON @table@;
CREATE TRIGGER chwsync_queue_@number@u AFTER UPDATE@of_columns@ ON @table@
    FOR EACH ROW WHEN (@when_changed@) EXECUTE FUNCTION chwsync_shop.queue_@number@();
SET LOCAL ROLE chwsync_adapter;

