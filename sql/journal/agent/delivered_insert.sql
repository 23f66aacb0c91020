-- journal:delivered_insert
-- The tombstone of an accepted message.
INSERT OR IGNORE INTO delivered (point_id, entry_id, identity, given_id_hash, settled_at)
SELECT point_id, entry_id, identity, given_id_hash, ?2 FROM message WHERE message = ?1
