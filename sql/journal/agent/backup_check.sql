-- journal:backup_check
-- Whether a copy is whole: one row 'ok', or what is wrong.
PRAGMA integrity_check(1)
