-- agent:report_host
-- This agent's state and heartbeat. The epoch and the fingerprint move by host_claim only.
-- Parameters: ?1 journal id, ?2 state, ?3 refused_reason, ?4 agent_version, ?5 operating_system,
-- ?6 process_id.
-- Locks: part of the one BEGIN IMMEDIATE transaction of a report.
UPDATE bodrelay_host
SET state = ?2, refused_reason = substr(?3, 1, 1000), agent_version = ?4, operating_system = ?5, process_id = ?6,
    heartbeat_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
WHERE journal_id = ?1
