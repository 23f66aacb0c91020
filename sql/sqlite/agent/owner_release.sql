-- agent:owner_release
-- Gives up a connection point's direction that this agent no longer serves: it is free for another one at once.
-- Parameters: ?1 connection point, ?2 direction, ?3 journal id.
-- Locks: one BEGIN IMMEDIATE transaction.
UPDATE bodrelay_status
SET state = 'stopped', state_since = strftime('%Y-%m-%dT%H:%M:%fZ', 'now'),
    state_reason = 'no longer served by this agent: see location_name, receive_mode and refused_reason of its row in bodrelay_connection_point',
    next_poll_at = NULL
WHERE connection_point = ?1 AND direction = ?2 AND owner_journal_id = ?3
