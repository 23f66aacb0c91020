-- agent:report_command
-- How far a command is, or how it ended. One that has ended stays as it is.
-- Parameters: ?1 command_id, ?2 state, ?3 matched_rows, ?4 done_rows, ?5 result, ?6 host.
-- Locks: part of the one BEGIN IMMEDIATE transaction of a report.
UPDATE bodrelay_command
SET state = ?2, matched_rows = coalesce(?3, matched_rows), done_rows = coalesce(?4, done_rows),
    result = substr(?5, 1, 2000), host = ?6, started_at = coalesce(started_at, strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    finished_at = CASE WHEN ?2 IN ('done', 'refused') THEN strftime('%Y-%m-%dT%H:%M:%fZ', 'now') END
WHERE command_id = ?1 AND state IN ('new', 'running')
