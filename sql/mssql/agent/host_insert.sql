-- agent:host_insert
-- Writes the row of a journal that has none; a row that this host left with an earlier journal is replaced. No
-- row changes when this journal has one.
-- Parameters: @P1 host, @P2 location_name, @P3 journal_id, @P4 database_fingerprint, @P5 epoch, @P6
-- agent_version, @P7 script_needed, @P8 operating_system, @P9 process_id, @P10 state, @P11 refused_reason
-- (empty: none), @P12 started_at.
-- Locks: the key of the row, kept to the end of the one transaction (UPDLOCK, HOLDLOCK), so that two agents
-- cannot both insert.
UPDATE [bodrelay].bodrelay_host WITH (UPDLOCK, HOLDLOCK)
SET location_name = @P2, journal_id = @P3, database_fingerprint = @P4, epoch = @P5, agent_version = @P6,
    script_needed = @P7, operating_system = @P8, process_id = @P9, state = @P10,
    refused_reason = NULLIF(LEFT(@P11, 1000), N''), started_at = CAST(@P12 AS datetime2(3)),
    heartbeat_at = SYSUTCDATETIME()
WHERE host = @P1 AND NOT EXISTS (SELECT 1 FROM [bodrelay].bodrelay_host AS other WHERE other.journal_id = @P3);
IF @@ROWCOUNT = 0
    INSERT INTO [bodrelay].bodrelay_host (
        host, location_name, journal_id, database_fingerprint, epoch, agent_version, script_needed, operating_system,
        process_id, state, refused_reason, started_at, heartbeat_at)
    SELECT @P1, @P2, @P3, @P4, @P5, @P6, @P7, @P8, @P9, @P10, NULLIF(LEFT(@P11, 1000), N''),
        CAST(@P12 AS datetime2(3)), SYSUTCDATETIME()
    WHERE NOT EXISTS (SELECT 1 FROM [bodrelay].bodrelay_host AS other WHERE other.journal_id = @P3 OR other.host = @P1)
