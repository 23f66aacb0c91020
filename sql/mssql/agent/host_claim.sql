-- agent:host_claim
-- Moves the epoch of this journal by compare-and-set: no row changes when somebody else moved it (design.md
-- §2).
-- Parameters: @P1 host, @P2 location_name, @P3 journal_id, @P4 database_fingerprint, @P5 epoch, @P6
-- agent_version, @P7 script_needed, @P8 operating_system, @P9 process_id, @P10 state, @P11 refused_reason
-- (empty: none), @P12 started_at, @P13 the epoch that is expected.
-- Locks: one row of bodrelay_host, in one transaction.
UPDATE [bodrelay].bodrelay_host
SET host = @P1, location_name = @P2, database_fingerprint = @P4, epoch = @P5, agent_version = @P6, script_needed = @P7,
    operating_system = @P8, process_id = @P9, state = @P10, refused_reason = NULLIF(LEFT(@P11, 1000), N''),
    started_at = CAST(@P12 AS datetime2(3)), heartbeat_at = SYSUTCDATETIME()
WHERE journal_id = @P3 AND epoch = @P13
