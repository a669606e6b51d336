CREATE OR REPLACE FUNCTION chwsync_shop.wake_@number@() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (@lines@) THEN
        NOTIFY chwsync;
    END IF;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'chwsync_shop.wake_@number@: %', SQLERRM;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION chwsync_shop.wake_@number@() FROM PUBLIC;
RESET ROLE;
DROP TRIGGER IF EXISTS chwsync_wake_@number@i ON @table@;
CREATE TRIGGER chwsync_wake_@number@i AFTER INSERT ON @table@
    FOR EACH ROW WHEN (@when_new@) EXECUTE FUNCTION chwsync_shop.wake_@number@();
DROP TRIGGER IF EXISTS chwsync_wake_@number@u ON @table@;
CREATE TRIGGER chwsync_wake_@number@u AFTER UPDATE@of_columns@ ON @table@
    FOR EACH ROW WHEN (@when_changed@) EXECUTE FUNCTION chwsync_shop.wake_@number@();
SET LOCAL ROLE chwsync_adapter;

