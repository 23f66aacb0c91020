-- agent:report_finding_clear
-- Closes the open row of a finding that no longer holds.
-- Parameters: @P1 code, @P2 connection point (empty: none), @P3 subject, @P4 host.
-- Locks: part of the one transaction of a report.
UPDATE [bodrelay].bodrelay_finding
SET cleared_at = SYSUTCDATETIME()
WHERE code = @P1 AND COALESCE(connection_point, N'') = @P2 AND subject = LEFT(@P3, 300) AND host = @P4
    AND cleared_at IS NULL
