-- agent:report_connection_point
-- That the settings of a connection point were taken over, or why not.
-- Parameters: @P1 connection point, @P2 refused_reason (empty: none).
-- Locks: part of the one transaction of a report.
UPDATE [bodrelay].bodrelay_connection_point
SET refused_reason = NULLIF(LEFT(@P2, 1000), N''), applied_at = SYSUTCDATETIME()
WHERE connection_point = @P1
