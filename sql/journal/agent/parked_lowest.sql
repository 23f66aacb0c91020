-- journal:parked_lowest
-- The lowest row parked for a reason and a document type.
SELECT min(entry_id) FROM parked WHERE point_id = ?1 AND reason = ?2 AND (?3 = '' OR document_type = ?3)
