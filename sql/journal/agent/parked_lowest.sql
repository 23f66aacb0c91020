-- journal:parked_lowest
-- The lowest row parked for a reason, and for a document type where one is given. INDEXED BY: as in parked_page.
SELECT min(entry_id) FROM parked INDEXED BY parked_reason
 WHERE point_id = ?1 AND reason = ?2 AND document_type BETWEEN ?3 AND iif(?3 = '', char(1114111), ?3)
