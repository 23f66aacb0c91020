-- journal:parked_type
-- The next document type from this one on with rows parked for a reason, and the lowest of these.
SELECT document_type, entry_id FROM parked
 WHERE point_id = ?1 AND reason = ?2 AND document_type >= ?3
 ORDER BY document_type, entry_id LIMIT 1
