-- journal:received_forget
-- Forgets a piece (?3) of what was received before a time (?2).
DELETE FROM received
 WHERE point_id = ?1 AND receipt_key IN (
       SELECT receipt_key FROM received WHERE point_id = ?1 AND received_at < ?2 ORDER BY received_at LIMIT ?3)
