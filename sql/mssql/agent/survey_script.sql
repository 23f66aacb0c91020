-- agent:survey_script
-- The highest script that was run.
-- Parameters: none.
-- Locks: reads only; short, READ COMMITTED.
SELECT CAST(COALESCE(MAX(script_no), 0) AS bigint) AS script_no FROM [bodrelay].bodrelay_version
