-- journal:parked_read
-- Whether a row is parked.
SELECT 1 FROM parked WHERE point_id = ?1 AND entry_id = ?2
