-- agent:log_purge_attempts
-- Deletes the tries of log rows.
-- Parameters: ?1 message keys as a JSON array.
-- Locks: part of one BEGIN IMMEDIATE transaction of a purge.
DELETE FROM bodrelay_attempt
WHERE message_key IN (SELECT value FROM json_each(?1))
