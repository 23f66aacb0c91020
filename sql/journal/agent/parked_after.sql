-- journal:parked_after
-- Rows parked for a reason above an id, lowest first. INDEXED BY: SQLite cannot know that few rows are parked for a reason,
-- and would go over all that are parked.
SELECT entry_id, first_seen, header_count FROM parked INDEXED BY parked_reason
 WHERE point_id = ?1 AND reason = ?2 AND entry_id > ?3 ORDER BY entry_id LIMIT ?4
