-- journal:given_id_insert
-- A row takes a message id.
INSERT OR IGNORE INTO given_id (point_id, given_id_hash, entry_id) VALUES (?1, ?2, ?3)
