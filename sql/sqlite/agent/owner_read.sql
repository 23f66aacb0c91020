-- agent:owner_read
-- Who has a direction of a connection point that we could not take, and whether he has lapsed.
-- Parameters: ?1 connection point, ?2 direction, ?3 seconds after which a silent owner has lapsed.
-- Locks: part of one BEGIN IMMEDIATE transaction.
SELECT host, heartbeat_at, heartbeat_at < strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-' || ?3 || ' seconds')
FROM bodrelay_status
WHERE connection_point = ?1 AND direction = ?2
