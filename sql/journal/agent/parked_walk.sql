-- journal:parked_walk
-- Rows parked for a reason by document type and row, from behind this one on.
SELECT document_type, entry_id FROM parked INDEXED BY parked_reason
 WHERE point_id = ?1 AND reason = ?2 AND (document_type, entry_id) > (?3, ?4)
 ORDER BY document_type, entry_id LIMIT ?5
