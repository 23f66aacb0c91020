-- journal:parked_wake
-- Rows parked for a reason, and for a document type where one is given, wait no longer.
DELETE FROM parked
 WHERE point_id = ?1 AND reason = ?2 AND document_type BETWEEN ?3 AND iif(?3 = '', char(1114111), ?3)
