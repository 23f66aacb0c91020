-- agent:finding_read
-- Open findings of every agent, worst first.
-- Parameters: none.
-- Locks: reads only; one REPEATABLE READ, READ ONLY transaction.
SELECT
    code, severity, connection_point, subject, finding_text, remedy, since, last_seen_at, seen_count, host,
    acknowledged_at, acknowledged_until
FROM bodrelay_finding
WHERE cleared_at IS NULL
ORDER BY CASE severity WHEN 'error' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END, since, finding_id
LIMIT 500
