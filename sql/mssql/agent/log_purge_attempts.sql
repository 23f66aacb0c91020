-- agent:log_purge_attempts
-- Deletes the tries of log rows.
-- Parameters: none; the keys are in #bodrelay_key.
-- Locks: part of the one transaction of a purge.
DELETE FROM [bodrelay].bodrelay_attempt
WHERE message_key IN (SELECT message_key FROM #bodrelay_key)
