-- agent:host_insert
-- Writes the row of a journal that has none; a row that this host left with an earlier journal is replaced. No
-- row changes when this journal has one.
-- Parameters: $1 host, $2 location_name, $3 journal_id, $4 database_fingerprint, $5 epoch, $6 agent_version,
-- $7 script_needed, $8 operating_system, $9 process_id, $10 state, $11 refused_reason, $12 started_at.
-- Locks: part of one transaction, READ COMMITTED; the rows that it writes.
INSERT INTO bodrelay_host (
    host, location_name, journal_id, database_fingerprint, epoch, agent_version, script_needed, operating_system,
    process_id, state, refused_reason, started_at, heartbeat_at)
SELECT $1::text, $2::text, $3::text, $4::text, $5::bigint, $6::text, $7::bigint, $8::text, $9::bigint, $10::text, substr($11::text, 1, 1000), $12::timestamptz, now()
WHERE NOT EXISTS (SELECT 1 FROM bodrelay_host WHERE journal_id = $3::text)
ON CONFLICT (host) DO UPDATE
SET location_name = excluded.location_name, journal_id = excluded.journal_id,
    database_fingerprint = excluded.database_fingerprint, epoch = excluded.epoch,
    agent_version = excluded.agent_version, script_needed = excluded.script_needed,
    operating_system = excluded.operating_system, process_id = excluded.process_id, state = excluded.state,
    refused_reason = excluded.refused_reason, started_at = excluded.started_at, heartbeat_at = excluded.heartbeat_at
