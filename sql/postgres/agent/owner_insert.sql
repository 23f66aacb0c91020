-- agent:owner_insert
-- Takes a direction of a connection point that nobody ever had.
-- Parameters: $1 connection point, $2 direction, $3 journal id, $4 host, $5 agent version.
-- Locks: part of one transaction, READ COMMITTED; the rows that it writes.
INSERT INTO bodrelay_status (
    connection_point, direction, owner_journal_id, host, agent_version, state, state_since, started_at, heartbeat_at)
VALUES (
    $1::text, $2::text, $3::text, $4::text, $5::text, 'waiting', now(),
    now(), now())
ON CONFLICT (connection_point, direction) DO NOTHING
