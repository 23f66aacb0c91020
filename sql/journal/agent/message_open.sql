-- journal:message_open
-- Rows of a range that have an open message, lowest first.
SELECT entry_id FROM message
 WHERE point_id = ?1 AND entry_id BETWEEN ?2 AND ?3 AND settled = 0
 ORDER BY entry_id
