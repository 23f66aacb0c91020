-- journal:message_hold
-- The later messages of a lane wait for a failed one.
UPDATE message SET held_by = ?4, logged = 0
 WHERE point_id = ?1 AND lane = ?2 AND entry_id > ?3 AND state = 0 AND settled = 0
