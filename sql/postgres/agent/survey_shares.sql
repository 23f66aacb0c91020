-- agent:survey_shares
-- How many logical ids connection points choose their rows by: with more than one, they share an outbox.
-- Parameters: none.
-- Locks: reads only; one REPEATABLE READ, READ ONLY transaction.
SELECT count(DISTINCT source_logical_id) FROM bodrelay_connection_point
