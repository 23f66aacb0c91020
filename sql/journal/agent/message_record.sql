-- journal:message_record
-- The result of a post, where the message is what it is believed to be: out (state 1, so neither settled nor held), with
-- this doubt and so many attempts, and holding nothing. What an answer does not say stays as it was.
UPDATE message
   SET state = ?2, in_doubt = ?3, logged = 0,
       finished_at  = ?4,
       http_status  = coalesce(?5, http_status),
       answer_class = coalesce(?6, answer_class),
       failure_code = CASE WHEN ?10 THEN ?7 ELSE failure_code END,
       failure_text = CASE WHEN ?10 THEN ?8 ELSE failure_text END,
       remedy       = CASE WHEN ?10 THEN ?9 ELSE remedy END,
       wire_bytes   = coalesce(?11, wire_bytes)
 WHERE message = ?1 AND state = 1 AND in_doubt = ?12 AND attempts = ?13 AND holds = 0
