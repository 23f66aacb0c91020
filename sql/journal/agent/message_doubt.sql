-- journal:message_doubt
-- What is open may have been posted by a life that is not remembered.
UPDATE message SET in_doubt = 1 WHERE point_id = ?1 AND state = 0 AND in_doubt = 0
