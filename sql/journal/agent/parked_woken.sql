-- journal:parked_woken
-- Rows that are to be judged again, lowest first.
SELECT entry_id FROM parked WHERE point_id = ?1 AND reason = 'woken' AND document_type = '' ORDER BY entry_id LIMIT ?2
