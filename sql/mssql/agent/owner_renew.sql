-- agent:owner_renew
-- Renews a connection point's direction, where this journal has it and has not given it up.
-- Parameters: @P1 connection point, @P2 direction, @P3 journal id.
-- Locks: one row of bodrelay_status, in one transaction.
UPDATE [bodrelay].bodrelay_status
SET heartbeat_at = SYSUTCDATETIME()
WHERE connection_point = @P1 AND direction = @P2 AND owner_journal_id = @P3 AND state <> 'stopped'
