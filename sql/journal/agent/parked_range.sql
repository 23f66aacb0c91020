-- journal:parked_range
-- Rows of a range that wait for somebody, lowest first.
SELECT entry_id FROM parked WHERE point_id = ?1 AND entry_id BETWEEN ?2 AND ?3 ORDER BY entry_id
