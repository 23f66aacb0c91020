-- journal:message_unlogged
-- Held messages of which the message log does not know.
SELECT message FROM message
 WHERE point_id = ?1 AND held_by IS NOT NULL AND logged = 0
 ORDER BY entry_id LIMIT ?2
