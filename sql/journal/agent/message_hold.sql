-- journal:message_hold
-- In lanes in which a message failed (?3, a JSON array of [lane, row]), what waits above it waits for the nearest failed one
-- below that holds the lane. INDEXED BY: it goes over what is open above the lowest of these rows (?2), and reads only what
-- is of these lanes.
UPDATE message INDEXED BY message_entry
   SET logged = 0,
       held_by = (SELECT other.message FROM message AS other INDEXED BY message_holds
                   WHERE other.point_id = message.point_id AND other.lane = message.lane AND other.holds = 1
                     AND other.entry_id < message.entry_id
                   ORDER BY other.entry_id DESC LIMIT 1)
 WHERE point_id = ?1 AND entry_id > ?2 AND settled = 0 AND state = 0
   AND lane IN (SELECT value ->> 0 FROM json_each(?3))
   AND entry_id > (SELECT min(value ->> 1) FROM json_each(?3) WHERE value ->> 0 = message.lane)
