-- agent:host_read
-- Every agent that served this database.
-- Parameters: none.
-- Locks: reads only; short, READ COMMITTED.
SELECT
    host, location_name, journal_id, database_fingerprint, epoch, agent_version, script_needed, operating_system,
    process_id, state, refused_reason, started_at, heartbeat_at
FROM [bodrelay].bodrelay_host
ORDER BY host
