-- agent:owner_claim
-- Takes or renews a connection point's direction, where it is ours, stopped or lapsed by the database's clock.
-- A row that was stopped or somebody else's is 'waiting' until the new owner reports.
-- Parameters: $1 connection point, $2 direction, $3 journal id, $4 host, $5 agent version, $6 seconds after
-- which a silent owner has lapsed.
-- Locks: part of one transaction, READ COMMITTED; the rows that it writes. A claim is good only with the lock of
-- sql/postgres/session/owner_lock.sql.
UPDATE bodrelay_status
SET state = CASE WHEN owner_journal_id = $3::text AND state <> 'stopped' THEN state ELSE 'waiting' END,
    state_since = CASE
        WHEN owner_journal_id = $3::text AND state <> 'stopped' THEN state_since
        ELSE now()
    END,
    state_reason = CASE WHEN owner_journal_id = $3::text AND state <> 'stopped' THEN state_reason END,
    started_at = CASE
        WHEN owner_journal_id = $3::text AND state <> 'stopped' THEN started_at
        ELSE now()
    END,
    owner_journal_id = $3::text, host = $4::text, agent_version = $5::text, heartbeat_at = now()
WHERE connection_point = $1::text AND direction = $2::text
    AND (owner_journal_id = $3::text OR state = 'stopped'
        OR heartbeat_at < now() - make_interval(secs => $6::bigint))
