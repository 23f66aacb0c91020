-- agent:survey_shares
-- How many logical ids connection points choose their rows by: with more than one, they share an outbox.
-- Parameters: none.
-- Locks: reads only, READ COMMITTED.
SELECT CAST(COUNT(DISTINCT source_logical_id) AS bigint) AS shares FROM [bodrelay].bodrelay_connection_point
