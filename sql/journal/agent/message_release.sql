-- journal:message_release
-- Messages that waited for a failed one go on, or wait for the next failed one below them.
UPDATE message INDEXED BY message_held
   SET logged = 0,
       held_by = (SELECT other.message FROM message AS other
                   WHERE other.point_id = message.point_id AND other.lane = message.lane AND other.holds = 1
                     AND other.entry_id < message.entry_id
                   ORDER BY other.entry_id DESC LIMIT 1)
 WHERE point_id = ?1 AND lane = ?2 AND state = 0 AND settled = 0 AND held_by = ?3
