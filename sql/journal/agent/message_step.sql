-- journal:message_step
-- The result of an event. What an event does not say stays as it was. (message_record does the same for nearly all posts,
-- and leaves alone the columns that indexes are made of.)
UPDATE message
   SET state = ?2, settled = ?3, in_doubt = ?4, attempts = ?5, held_by = NULL, holds = ?6, logged = 0,
       finished_at  = ?7,
       http_status  = coalesce(?8, http_status),
       answer_class = coalesce(?9, answer_class),
       failure_code = CASE WHEN ?13 THEN ?10 ELSE failure_code END,
       failure_text = CASE WHEN ?13 THEN ?11 ELSE failure_text END,
       remedy       = CASE WHEN ?13 THEN ?12 ELSE remedy END,
       wire_bytes   = coalesce(?14, wire_bytes)
 WHERE message = ?1
