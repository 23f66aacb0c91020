-- journal:message_pending
-- Messages that may be sent, in the order of their rows, above a row. A row has at most one that is open.
SELECT message FROM message
 WHERE point_id = ?1 AND state = 0 AND settled = 0 AND held_by IS NULL AND entry_id > ?2
 ORDER BY entry_id LIMIT ?3
