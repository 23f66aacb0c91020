-- agent:host_claim
-- Moves the epoch of this journal by compare-and-set: no row changes when somebody else moved it (design.md
-- §2).
-- Parameters: $1 host, $2 location_name, $3 journal_id, $4 database_fingerprint, $5 epoch, $6 agent_version,
-- $7 script_needed, $8 operating_system, $9 process_id, $10 state, $11 refused_reason, $12 started_at, $13 the
-- epoch that is expected.
-- Locks: part of one transaction, READ COMMITTED; the rows that it writes.
UPDATE bodrelay_host
SET host = $1::text, location_name = $2::text, database_fingerprint = $4::text, epoch = $5::bigint, agent_version = $6::text, script_needed = $7::bigint,
    operating_system = $8::text, process_id = $9::bigint, state = $10::text, refused_reason = substr($11::text, 1, 1000), started_at = $12::timestamptz,
    heartbeat_at = now()
WHERE journal_id = $3::text AND epoch = $13::bigint
