-- journal:purge_late_delete
-- Late rows (a JSON array) that are deleted now.
DELETE FROM purge_late WHERE point_id = ?1 AND entry_id IN (SELECT value FROM json_each(?2))
