-- agent:report_status
-- How a direction of a connection point fares, where this journal still owns it; that renews its ownership. Totals
-- are added to; what is not known any more (after a restart) keeps its last value.
-- Parameters: @P1 connection point, @P2 direction, @P3 journal id, @P4 state, @P5 state_since, @P6
-- state_reason, @P7 waiting_rows (-1: not counted, the three figures stay), @P8 waiting_capped, @P9
-- oldest_waiting_at, @P10 in_flight_rows, @P11 held_rows, @P12 failed_rows, @P13 in_doubt_rows, @P14 accepted
-- since the last report, @P15 failed since the last report, @P16 last_accepted_at, @P17 last_failure_at, @P18
-- last_failure, @P19 last_poll_at, @P20 next_poll_at, @P21 settings_read_at, @P22 started_at, @P23 duplicates since
-- the last report; an empty text or time: none.
-- Locks: part of the one transaction of a report.
UPDATE [bodrelay].bodrelay_status
SET state = @P4, state_since = CAST(@P5 AS datetime2(3)), state_reason = NULLIF(LEFT(@P6, 1000), N''),
    waiting_rows = CASE WHEN @P7 = -1 THEN waiting_rows ELSE @P7 END,
    waiting_capped = CASE WHEN @P7 = -1 THEN waiting_capped ELSE @P8 END,
    oldest_waiting_at = CASE WHEN @P7 = -1 THEN oldest_waiting_at ELSE CAST(NULLIF(@P9, N'') AS datetime2(3)) END,
    in_flight_rows = @P10, held_rows = @P11, failed_rows = @P12, in_doubt_rows = @P13,
    accepted_total = accepted_total + @P14, failed_total = failed_total + @P15,
    duplicate_total = duplicate_total + @P23,
    last_accepted_at = COALESCE(CAST(NULLIF(@P16, N'') AS datetime2(3)), last_accepted_at),
    last_failure = CASE WHEN @P17 = N'' THEN last_failure ELSE NULLIF(LEFT(@P18, 1000), N'') END,
    last_failure_at = COALESCE(CAST(NULLIF(@P17, N'') AS datetime2(3)), last_failure_at),
    last_poll_at = COALESCE(CAST(NULLIF(@P19, N'') AS datetime2(3)), last_poll_at), next_poll_at = CAST(NULLIF(@P20, N'') AS datetime2(3)),
    settings_read_at = COALESCE(CAST(NULLIF(@P21, N'') AS datetime2(3)), settings_read_at), started_at = CAST(@P22 AS datetime2(3)),
    heartbeat_at = SYSUTCDATETIME()
WHERE connection_point = @P1 AND direction = @P2 AND owner_journal_id = @P3
