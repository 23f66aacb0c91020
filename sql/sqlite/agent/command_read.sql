-- agent:command_read
-- Commands that wait or are being carried out, oldest first; 1,000 at a time bound what is read.
-- Parameters: none.
-- Locks: reads only.
SELECT
    command_id, command, connection_point, direction, verb, noun, document_id, message_key, failure_code, from_at, to_at,
    reason, out_of_order, dry_run, state, until_at, reason_code
FROM bodrelay_command
WHERE state IN ('new', 'running')
ORDER BY command_id
LIMIT 1000
