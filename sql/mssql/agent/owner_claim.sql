-- agent:owner_claim
-- Takes or renews a connection point's direction, where it is ours, stopped or lapsed by the database's clock.
-- A row that was stopped or somebody else's is 'waiting' until the new owner reports.
-- Parameters: @P1 connection point, @P2 direction, @P3 journal id, @P4 host, @P5 agent version, @P6 seconds
-- after which a silent owner has lapsed.
-- Locks: one row of bodrelay_status, in one transaction.
UPDATE [bodrelay].bodrelay_status
SET state = CASE WHEN owner_journal_id = @P3 AND state <> 'stopped' THEN state ELSE 'waiting' END,
    state_since = CASE WHEN owner_journal_id = @P3 AND state <> 'stopped' THEN state_since ELSE SYSUTCDATETIME() END,
    state_reason = CASE WHEN owner_journal_id = @P3 AND state <> 'stopped' THEN state_reason END,
    started_at = CASE WHEN owner_journal_id = @P3 AND state <> 'stopped' THEN started_at ELSE SYSUTCDATETIME() END,
    owner_journal_id = @P3, host = @P4, agent_version = @P5, heartbeat_at = SYSUTCDATETIME()
WHERE connection_point = @P1 AND direction = @P2
    AND (owner_journal_id = @P3 OR state = 'stopped' OR heartbeat_at < DATEADD(second, -@P6, SYSUTCDATETIME()))
