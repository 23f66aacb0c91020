-- journal:parked_holder
-- A parked row below this one keeps its lane waiting.
SELECT 1 FROM parked WHERE point_id = ?1 AND lane = ?2 AND holds = 1 AND entry_id < ?3 LIMIT 1
