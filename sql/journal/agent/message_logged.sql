-- journal:message_logged
-- The message log has its present state.
UPDATE message SET logged = 1 WHERE message IN (SELECT value FROM json_each(?1)) AND logged = 0
