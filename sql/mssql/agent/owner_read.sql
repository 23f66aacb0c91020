-- agent:owner_read
-- Who has a direction of a connection point that we could not take.
-- Parameters: @P1 connection point, @P2 direction.
-- Locks: part of the one transaction of a claim.
SELECT host, heartbeat_at FROM [bodrelay].bodrelay_status WHERE connection_point = @P1 AND direction = @P2
