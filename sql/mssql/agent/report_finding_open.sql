-- agent:report_finding_open
-- Opens the row of a finding.
-- Parameters: @P1 code, @P2 connection point (empty: none), @P3 subject, @P4 host, @P5 severity, @P6
-- finding_text, @P7 remedy, @P8 last_seen_at, @P9 times seen, @P10 since.
-- Locks: part of the one transaction of a report.
INSERT INTO [bodrelay].bodrelay_finding (
    code, connection_point, subject, host, severity, finding_text, remedy, last_seen_at, seen_count, since)
VALUES (
    @P1, NULLIF(@P2, N''), LEFT(@P3, 300), @P4, @P5, LEFT(@P6, 2000), LEFT(@P7, 2000), CAST(@P8 AS datetime2(3)),
    CASE WHEN @P9 < 1 THEN 1 ELSE @P9 END, CAST(@P10 AS datetime2(3)))
