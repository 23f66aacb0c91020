-- journal:delivered_delete
-- Tombstones whose row is gone and whose time has passed (a JSON array of rows).
DELETE FROM delivered
 WHERE point_id = ?1 AND entry_id IN (SELECT value FROM json_each(?2)) AND settled_at < ?3
