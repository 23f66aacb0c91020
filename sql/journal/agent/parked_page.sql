-- journal:parked_page
-- Rows parked for a reason, and for a document type where one is given, lowest first.
SELECT entry_id, first_seen, header_count FROM parked
 WHERE point_id = ?1 AND reason = ?2 AND (?3 = '' OR document_type = ?3)
 ORDER BY entry_id LIMIT ?4
