-- journal:given_id_forget
-- Ids of rows (a JSON array) of which neither a message nor a tombstone is left. Row by row: as two lists, SQLite would
-- look up each id with each row.
DELETE FROM given_id
 WHERE (point_id, given_id_hash, entry_id) IN (
    SELECT point_id, given_id_hash, entry_id FROM delivered
     WHERE point_id = ?1 AND entry_id IN (SELECT value FROM json_each(?2)) AND settled_at < ?3)
