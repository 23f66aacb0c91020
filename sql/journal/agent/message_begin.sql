-- journal:message_begin
-- A post is about to go out, where the message is what it is taken for: waiting (state 0), held by nothing, with this doubt
-- and so many attempts.
UPDATE message
   SET state = 1, attempts = ?2, first_attempt_at = coalesce(first_attempt_at, ?3), last_attempt_at = ?3, logged = 0
 WHERE message = ?1 AND state = 0 AND held_by IS NULL AND in_doubt = ?4 AND attempts = ?5
