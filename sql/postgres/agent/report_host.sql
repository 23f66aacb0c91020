-- agent:report_host
-- This agent's state and heartbeat. The epoch and the fingerprint move by host_claim only.
-- Parameters: $1 journal id, $2 state, $3 refused_reason, $4 agent_version, $5 operating_system,
-- $6 process_id.
-- Locks: part of the one transaction, READ COMMITTED of a report; the rows that it writes.
UPDATE bodrelay_host
SET state = $2::text, refused_reason = substr($3::text, 1, 1000), agent_version = $4::text, operating_system = $5::text, process_id = $6::bigint,
    heartbeat_at = now()
WHERE journal_id = $1::text
