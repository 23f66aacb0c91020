-- agent:owner_insert
-- Takes a direction of a connection point that nobody ever had.
-- Parameters: @P1 connection point, @P2 direction, @P3 journal id, @P4 host, @P5 agent version.
-- Locks: the key of the row to the end of the one transaction (UPDLOCK, HOLDLOCK).
INSERT INTO [bodrelay].bodrelay_status (
    connection_point, direction, owner_journal_id, host, agent_version, state, state_since, started_at, heartbeat_at)
SELECT @P1, @P2, @P3, @P4, @P5, 'waiting', SYSUTCDATETIME(), SYSUTCDATETIME(), SYSUTCDATETIME()
WHERE NOT EXISTS (
    SELECT 1 FROM [bodrelay].bodrelay_status AS s WITH (UPDLOCK, HOLDLOCK) WHERE s.connection_point = @P1 AND s.direction = @P2)
