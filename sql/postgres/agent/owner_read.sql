-- agent:owner_read
-- Who has a direction of a connection point that we could not take.
-- Parameters: $1 connection point, $2 direction.
-- Locks: part of one transaction, READ COMMITTED; the rows that it writes.
SELECT host, heartbeat_at FROM bodrelay_status WHERE connection_point = $1::text AND direction = $2::text
