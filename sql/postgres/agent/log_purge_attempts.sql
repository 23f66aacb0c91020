-- agent:log_purge_attempts
-- Deletes the tries of log rows.
-- Parameters: $1 message keys as an array.
-- Locks: part of one transaction, READ COMMITTED of a purge; the rows that it writes.
DELETE FROM bodrelay_attempt
WHERE message_key = ANY ($1::text[])
