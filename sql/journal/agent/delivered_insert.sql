-- journal:delivered_insert
-- The tombstones of accepted messages (a JSON array).
INSERT OR IGNORE INTO delivered (point_id, entry_id, identity, given_id_hash, settled_at)
SELECT point_id, entry_id, identity, given_id_hash, ?2 FROM message
 WHERE message IN (SELECT value FROM json_each(?1)) ORDER BY point_id, entry_id
