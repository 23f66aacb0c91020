-- agent:host_read
-- Every agent that served this database, and when it last said or renewed anything.
-- Parameters: none.
-- Locks: reads only; one REPEATABLE READ, READ ONLY transaction.
SELECT
    h.host, h.location_name, h.journal_id, h.database_fingerprint, h.epoch, h.agent_version, h.script_needed,
    h.operating_system, h.process_id, h.state, h.refused_reason, h.started_at, h.heartbeat_at,
    CASE WHEN o.renewed_at > h.heartbeat_at THEN o.renewed_at ELSE h.heartbeat_at END AS alive_at
FROM bodrelay_host AS h
LEFT JOIN (
    SELECT owner_journal_id, max(heartbeat_at) AS renewed_at
    FROM bodrelay_status
    WHERE state <> 'stopped'
    GROUP BY owner_journal_id
) AS o ON o.owner_journal_id = h.journal_id
ORDER BY h.host
