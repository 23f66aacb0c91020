-- agent:owner_claim
-- Takes or renews a connection point's direction, where it is ours, stopped or lapsed by the database's clock.
-- A row that was stopped or somebody else's is 'waiting' until the new owner reports.
-- Parameters: ?1 connection point, ?2 direction, ?3 journal id, ?4 host, ?5 agent version, ?6 seconds after
-- which a silent owner has lapsed.
-- Locks: part of one BEGIN IMMEDIATE transaction.
UPDATE bodrelay_status
SET state = CASE WHEN owner_journal_id = ?3 AND state <> 'stopped' THEN state ELSE 'waiting' END,
    state_since = CASE
        WHEN owner_journal_id = ?3 AND state <> 'stopped' THEN state_since
        ELSE strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
    END,
    state_reason = CASE WHEN owner_journal_id = ?3 AND state <> 'stopped' THEN state_reason END,
    started_at = CASE
        WHEN owner_journal_id = ?3 AND state <> 'stopped' THEN started_at
        ELSE strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
    END,
    owner_journal_id = ?3, host = ?4, agent_version = ?5, heartbeat_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
WHERE connection_point = ?1 AND direction = ?2
    AND (owner_journal_id = ?3 OR state = 'stopped'
        OR heartbeat_at < strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-' || ?6 || ' seconds'))
