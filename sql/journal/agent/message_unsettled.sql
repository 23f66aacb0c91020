-- journal:message_unsettled
-- Messages that are done but whose rows and log do not say so yet. (None of them is held; to say so keeps SQLite from
-- reading those that are.)
SELECT message FROM message
 WHERE point_id = ?1 AND state >= 2 AND settled = 0 AND held_by IS NULL
 ORDER BY entry_id LIMIT ?2
