-- journal:message_begin
-- A post is about to go out.
UPDATE message
   SET state = 1, attempts = ?2, first_attempt_at = coalesce(first_attempt_at, ?3), last_attempt_at = ?3, logged = 0
 WHERE message = ?1
       -- Where it is believed to be something, only if it is that, and holds nothing.
   AND (?4 IS NULL OR (state = ?4 AND settled = ?5 AND in_doubt = ?6 AND attempts = ?7 AND holds = 0))
