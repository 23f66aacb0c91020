-- journal:message_hold_back
-- A message comes back from a post that settled nothing: where a row below it failed meanwhile and holds the lane, it waits
-- for that one.
UPDATE message SET held_by = holder.message
  FROM (SELECT other.message FROM message AS own, message AS other INDEXED BY message_holds
         WHERE own.message = ?1 AND other.point_id = own.point_id AND other.lane = own.lane AND other.holds = 1
           AND other.entry_id < own.entry_id
         ORDER BY other.entry_id DESC LIMIT 1) AS holder
 WHERE message.message = ?1
