-- agent:lever_read
-- Pauses and resumes that were done, newest first: what holds where a lost journal knew it.
-- Parameters: none.
-- Locks: reads only, READ COMMITTED.
SELECT TOP (1000)
    command_id, command, connection_point, direction, verb, noun, document_id, message_key, failure_code, from_at, to_at,
    reason, out_of_order, dry_run, state, until_at
FROM [bodrelay].bodrelay_command
WHERE state = 'done' AND command IN ('pause', 'resume')
ORDER BY command_id DESC
