-- agent:owner_renew
-- Renews a connection point's direction, where this journal has it and has not given it up.
-- Parameters: $1 connection point, $2 direction, $3 journal id.
-- Locks: one row of bodrelay_status, in one transaction, READ COMMITTED.
UPDATE bodrelay_status
SET heartbeat_at = now()
WHERE connection_point = $1::text AND direction = $2::text AND owner_journal_id = $3::text AND state <> 'stopped'
