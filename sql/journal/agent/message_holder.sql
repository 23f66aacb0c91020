-- journal:message_holder
-- The failed message that a row of this lane would wait for.
SELECT message FROM message
 WHERE point_id = ?1 AND lane = ?2 AND holds = 1 AND entry_id < ?3 ORDER BY entry_id DESC LIMIT 1
