-- journal:purge_late_read
-- Late rows that were accepted before a time, lowest first.
SELECT entry_id FROM purge_late WHERE point_id = ?1 AND settled_at < ?2 ORDER BY entry_id LIMIT ?3
