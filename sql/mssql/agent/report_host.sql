-- agent:report_host
-- This agent's state and heartbeat. The epoch and the fingerprint move by host_claim only.
-- Parameters: @P1 journal id, @P2 state, @P3 refused_reason (empty: none), @P4 agent_version, @P5
-- operating_system, @P6 process_id.
-- Locks: part of the one transaction of a report.
UPDATE [bodrelay].bodrelay_host
SET state = @P2, refused_reason = NULLIF(LEFT(@P3, 1000), N''), agent_version = @P4, operating_system = @P5,
    process_id = @P6, heartbeat_at = SYSUTCDATETIME()
WHERE journal_id = @P1
