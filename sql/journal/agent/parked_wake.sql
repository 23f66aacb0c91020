-- journal:parked_wake
-- Rows parked for a reason and a document type wait no longer.
DELETE FROM parked WHERE point_id = ?1 AND reason = ?2 AND (?3 = '' OR document_type = ?3)
