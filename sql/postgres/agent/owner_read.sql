-- agent:owner_read
-- Who has a direction of a connection point that we could not take, and whether he has lapsed.
-- Parameters: $1 connection point, $2 direction, $3 seconds after which a silent owner has lapsed.
-- Locks: part of one transaction, READ COMMITTED; the rows that it writes.
SELECT host, heartbeat_at, CASE WHEN heartbeat_at < now() - make_interval(secs => $3::bigint) THEN 1 ELSE 0 END::bigint
FROM bodrelay_status
WHERE connection_point = $1::text AND direction = $2::text
