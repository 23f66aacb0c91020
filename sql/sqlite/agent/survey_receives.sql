-- agent:survey_receives
-- How many connection points are switched on for receiving.
-- Parameters: none.
-- Locks: reads only.
SELECT count(*) FROM bodrelay_connection_point WHERE receive_mode = 'on'
