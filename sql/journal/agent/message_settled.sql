-- journal:message_settled
-- Row and log say what became of it.
UPDATE message SET settled = 1, logged = 1 WHERE message = ?1
