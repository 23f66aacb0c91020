-- journal:received_newest
-- A page (?4) of what was received, newest first, below a time (?2) and, of that time, below a key (?3).
SELECT receipt_key, message_id, received_at
  FROM received
 WHERE point_id = ?1 AND (received_at, receipt_key) < (?2, ?3)
 ORDER BY received_at DESC, receipt_key DESC
 LIMIT ?4
