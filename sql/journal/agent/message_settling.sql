-- journal:message_settling
-- What the state machine needs of messages (a JSON array) whose rows carry their flag now.
SELECT message, state, settled, in_doubt, attempts FROM message WHERE message IN (SELECT value FROM json_each(?1))
