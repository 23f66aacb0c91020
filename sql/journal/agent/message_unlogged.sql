-- journal:message_unlogged
-- Open messages that wait longer than a moment and of which the message log does not know.
SELECT message FROM message
 WHERE point_id = ?1 AND logged = 0 AND settled = 0 AND state < 2 AND seen_at < ?2
 ORDER BY seen_at LIMIT ?3
