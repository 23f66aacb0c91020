-- agent:owner_insert
-- Takes a direction of a connection point that nobody ever had.
-- Parameters: ?1 connection point, ?2 direction, ?3 journal id, ?4 host, ?5 agent version.
-- Locks: part of one BEGIN IMMEDIATE transaction.
INSERT INTO bodrelay_status (
    connection_point, direction, owner_journal_id, host, agent_version, state, state_since, started_at, heartbeat_at)
VALUES (
    ?1, ?2, ?3, ?4, ?5, 'waiting', strftime('%Y-%m-%dT%H:%M:%fZ', 'now'),
    strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
ON CONFLICT (connection_point, direction) DO NOTHING
