-- journal:given_id_forget
-- Ids of rows (a JSON array) of which neither a message nor a tombstone is left.
DELETE FROM given_id
 WHERE point_id = ?1 AND entry_id IN (SELECT value FROM json_each(?2)) AND given_id_hash IN (
    SELECT given_id_hash FROM delivered
     WHERE point_id = ?1 AND entry_id IN (SELECT value FROM json_each(?2)) AND settled_at < ?3)
