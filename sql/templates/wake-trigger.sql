DROP TRIGGER IF EXISTS chwsync_wake_@number@i ON @table@;
CREATE TRIGGER chwsync_wake_@number@i AFTER INSERT ON @table@
    FOR EACH ROW WHEN (@when_new@) EXECUTE FUNCTION chwsync_shop.wake();
DROP TRIGGER IF EXISTS chwsync_wake_@number@u ON @table@;
CREATE TRIGGER chwsync_wake_@number@u AFTER UPDATE@of_columns@ ON @table@
    FOR EACH ROW WHEN (@when_changed@) EXECUTE FUNCTION chwsync_shop.wake();
