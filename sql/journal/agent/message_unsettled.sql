-- journal:message_unsettled
-- Messages that are done but whose rows and log do not say so yet.
SELECT message FROM message
 WHERE point_id = ?1 AND state >= 2 AND settled = 0
 ORDER BY entry_id, message LIMIT ?2
