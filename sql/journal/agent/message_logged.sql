-- journal:message_logged
-- The message log has this state of a message; where the message went on meanwhile, it still has to be written.
UPDATE message SET logged = 1
 WHERE message = ?1 AND state = ?2 AND attempts = ?3 AND held_by IS ?4 AND logged = 0
