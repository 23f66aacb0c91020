-- agent:survey_receives
-- How many connection points are switched on for receiving.
-- Parameters: none.
-- Locks: reads only, READ COMMITTED.
SELECT CAST(COUNT(*) AS bigint) AS receiving FROM [bodrelay].bodrelay_connection_point WHERE receive_mode = N'on'
