-- agent:report_finding_renew
-- Renews the open row of a finding that was seen again; no row changes when there is none.
-- Parameters: @P1 code, @P2 connection point (empty: none), @P3 subject, @P4 host, @P5 severity, @P6
-- finding_text, @P7 remedy, @P8 last_seen_at, @P9 times seen since the last report.
-- Locks: part of the one transaction of a report.
UPDATE [bodrelay].bodrelay_finding
SET severity = @P5, finding_text = LEFT(@P6, 2000), remedy = LEFT(@P7, 2000), last_seen_at = CAST(@P8 AS datetime2(3)),
    seen_count = seen_count + @P9
WHERE code = @P1 AND COALESCE(connection_point, N'') = @P2 AND subject = LEFT(@P3, 300) AND host = @P4
    AND cleared_at IS NULL
