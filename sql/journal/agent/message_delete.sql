-- journal:message_delete
-- Accepted messages (a JSON array) shrink to their tombstones.
DELETE FROM message WHERE message IN (SELECT value FROM json_each(?1))
