-- agent:survey_script
-- The highest script that was run.
-- Parameters: none.
-- Locks: reads only.
SELECT coalesce(max(script_no), 0) AS script_no FROM bodrelay_version
