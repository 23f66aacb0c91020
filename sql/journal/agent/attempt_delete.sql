-- journal:attempt_delete
-- The message log has the tries of these messages (a JSON array).
DELETE FROM attempt WHERE message IN (SELECT value FROM json_each(?1))
