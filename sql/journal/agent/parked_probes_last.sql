-- journal:parked_probes_last
-- Rows of a suspended type that may try whether ION takes it again, highest first: none of a lane (?3, a JSON array) that was
-- refused itself. INDEXED BY: as in parked_page.
SELECT entry_id FROM parked INDEXED BY parked_reason
 WHERE point_id = ?1 AND reason = 'suspended' AND document_type = ?2
   AND lane NOT IN (SELECT value FROM json_each(?3))
 ORDER BY entry_id DESC LIMIT ?4
