-- journal:database_write
-- Fingerprint, epoch and the time before which rows are in doubt.
UPDATE site_database SET fingerprint = ?2, epoch = ?3, in_doubt_before = ?4 WHERE database_id = ?1
