-- journal:message_unhold_waiting
-- What waited for failed messages of a type goes on, or waits for the next failed one below them that is of another type.
UPDATE message
   SET logged = 0,
       held_by = (SELECT other.message FROM message AS other INDEXED BY message_holds
                   WHERE other.point_id = message.point_id AND other.lane = message.lane AND other.holds = 1
                     AND other.document_type <> ?2 AND other.entry_id < message.entry_id
                   ORDER BY other.entry_id DESC LIMIT 1)
 WHERE point_id = ?1
   AND held_by IN (SELECT message FROM message WHERE point_id = ?1 AND holds = 1 AND document_type = ?2)
