-- journal:attempt_logged
-- The message log has this try.
DELETE FROM attempt WHERE message = ?1 AND attempt_no = ?2
