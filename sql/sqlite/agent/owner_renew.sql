-- agent:owner_renew
-- Renews a connection point's direction, where this journal has it and has not given it up.
-- Parameters: ?1 connection point, ?2 direction, ?3 journal id.
-- Locks: one BEGIN IMMEDIATE transaction.
UPDATE bodrelay_status
SET heartbeat_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
WHERE connection_point = ?1 AND direction = ?2 AND owner_journal_id = ?3 AND state <> 'stopped'
