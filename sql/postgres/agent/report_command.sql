-- agent:report_command
-- How far a command is, or how it ended. One that has ended stays as it is.
-- Parameters: $1 command_id, $2 state, $3 matched_rows, $4 done_rows, $5 result, $6 host.
-- Locks: part of the one transaction, READ COMMITTED of a report; the rows that it writes.
UPDATE bodrelay_command
SET state = $2::text, matched_rows = coalesce($3::bigint, matched_rows), done_rows = coalesce($4::bigint, done_rows),
    result = substr($5::text, 1, 2000), host = $6::text, started_at = coalesce(started_at, now()),
    finished_at = CASE WHEN $2::text IN ('done', 'refused') THEN now() END
WHERE command_id = $1::bigint AND state IN ('new', 'running')
