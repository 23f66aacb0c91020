-- agent:owner_read
-- Who has a direction of a connection point that we could not take, and whether he has lapsed.
-- Parameters: @P1 connection point, @P2 direction, @P3 seconds after which a silent owner has lapsed.
-- Locks: part of the one transaction of a claim.
SELECT host, heartbeat_at,
    CAST(CASE WHEN heartbeat_at < DATEADD(second, -@P3, SYSUTCDATETIME()) THEN 1 ELSE 0 END AS bigint) AS has_lapsed
FROM [bodrelay].bodrelay_status
WHERE connection_point = @P1 AND direction = @P2
