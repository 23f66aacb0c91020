-- agent:owner_release
-- Gives up a connection point's direction that this agent no longer serves: it is free for another one at once.
-- Parameters: @P1 connection point, @P2 direction, @P3 journal id.
-- Locks: one row of bodrelay_status, in one transaction.
UPDATE [bodrelay].bodrelay_status
SET state = 'stopped', state_since = SYSUTCDATETIME(),
    state_reason = 'no longer served by this agent: see location_name, receive_mode and refused_reason of its row in bodrelay_connection_point',
    next_poll_at = NULL
WHERE connection_point = @P1 AND direction = @P2 AND owner_journal_id = @P3
