-- journal:message_unhold_waiting
-- What waited for failed messages of a type goes on.
UPDATE message SET held_by = NULL, logged = 0
 WHERE point_id = ?1
   AND held_by IN (SELECT message FROM message WHERE point_id = ?1 AND holds = 1 AND document_type = ?2)
