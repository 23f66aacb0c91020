-- journal:parked_delete
-- A row waits no longer.
DELETE FROM parked WHERE point_id = ?1 AND entry_id = ?2
