-- journal:delivered_old
-- Tombstones above a row, a page; the caller keeps those whose outbox row still exists.
SELECT entry_id, settled_at FROM delivered WHERE point_id = ?1 AND entry_id > ?2 ORDER BY entry_id LIMIT ?3
