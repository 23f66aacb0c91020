-- agent:report_command
-- How far a command is, or how it ended. One that has ended stays as it is.
-- Parameters: @P1 command_id, @P2 state, @P3 matched_rows (-1: not known), @P4 done_rows (-1: not known), @P5
-- result, @P6 host.
-- Locks: part of the one transaction of a report.
UPDATE [bodrelay].bodrelay_command
SET state = @P2, matched_rows = COALESCE(NULLIF(@P3, -1), matched_rows), done_rows = COALESCE(NULLIF(@P4, -1), done_rows),
    result = LEFT(@P5, 2000), host = @P6, started_at = COALESCE(started_at, SYSUTCDATETIME()),
    finished_at = CASE WHEN @P2 IN ('done', 'refused') THEN SYSUTCDATETIME() END
WHERE command_id = @P1 AND state IN ('new', 'running')
