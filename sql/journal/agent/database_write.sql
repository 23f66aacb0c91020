-- journal:database_write
-- Fingerprint, epoch, the time before which rows are in doubt, the epoch that is on its way, and where the journal is.
UPDATE site_database SET fingerprint = ?2, epoch = ?3, in_doubt_before = ?4, raising = ?5, place = ?6 WHERE database_id = ?1
