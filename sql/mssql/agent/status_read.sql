-- agent:status_read
-- How every connection point stands, as its owner last said.
-- Parameters: none.
-- Locks: reads only, READ COMMITTED.
SELECT
    connection_point, direction, state, state_since, state_reason, waiting_rows, waiting_capped, oldest_waiting_at,
    in_flight_rows, held_rows, failed_rows, in_doubt_rows, accepted_total, failed_total, last_accepted_at,
    last_failure_at, last_failure, last_poll_at, next_poll_at, host, heartbeat_at,
    duplicate_total
FROM [bodrelay].bodrelay_status
ORDER BY connection_point, direction
