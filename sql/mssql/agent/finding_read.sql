-- agent:finding_read
-- Open findings of every agent, worst first.
-- Parameters: none.
-- Locks: reads only; short, READ COMMITTED.
SELECT TOP (500)
    code, severity, connection_point, subject, finding_text, remedy, since, last_seen_at, seen_count, host,
    acknowledged_at, acknowledged_until
FROM [bodrelay].bodrelay_finding
WHERE cleared_at IS NULL
ORDER BY CASE severity WHEN N'error' THEN 0 WHEN N'warning' THEN 1 ELSE 2 END, since, finding_id
