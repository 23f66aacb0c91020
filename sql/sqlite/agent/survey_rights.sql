-- agent:survey_rights
-- SQLite knows no rights on tables: whoever may write the file may write them all. Answers nothing.
-- Parameters: none.
-- Locks: reads only.
SELECT NULL AS table_name, NULL AS needed WHERE FALSE
