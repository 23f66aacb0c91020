-- agent:host_claim
-- Moves the epoch of this journal by compare-and-set: no row changes when somebody else moved it (design.md
-- §2).
-- Parameters: ?1 host, ?2 location_name, ?3 journal_id, ?4 database_fingerprint, ?5 epoch, ?6 agent_version,
-- ?7 script_needed, ?8 operating_system, ?9 process_id, ?10 state, ?11 refused_reason, ?12 started_at, ?13 the
-- epoch that is expected.
-- Locks: part of one BEGIN IMMEDIATE transaction.
UPDATE bodrelay_host
SET host = ?1, location_name = ?2, database_fingerprint = ?4, epoch = ?5, agent_version = ?6, script_needed = ?7,
    operating_system = ?8, process_id = ?9, state = ?10, refused_reason = substr(?11, 1, 1000), started_at = ?12,
    heartbeat_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
WHERE journal_id = ?3 AND epoch = ?13
