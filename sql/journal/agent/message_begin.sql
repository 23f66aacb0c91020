-- journal:message_begin
-- A post is about to go out.
UPDATE message
   SET state = 1, attempts = ?2, first_attempt_at = coalesce(first_attempt_at, ?3), last_attempt_at = ?3, logged = 0
 WHERE message = ?1
