-- journal:message_settled
-- Row and log say what became of these messages (a JSON array).
UPDATE message SET settled = 1, logged = 1 WHERE message IN (SELECT value FROM json_each(?1))
