-- agent:survey_script
-- The highest script that was run.
-- Parameters: none.
-- Locks: reads only; one REPEATABLE READ, READ ONLY transaction.
SELECT coalesce(max(script_no), 0) AS script_no FROM bodrelay_version
