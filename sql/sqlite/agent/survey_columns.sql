-- agent:survey_columns
-- Every column of our tables and of the I/O Box (tables or views), with its declared type: what the catalogue has. No
-- other view is asked, since one that is broken would fail the whole statement.
-- Parameters: none.
-- Locks: reads only.
SELECT m.name AS table_name, c.name AS column_name, c.type AS declared_type
FROM sqlite_master AS m CROSS JOIN pragma_table_xinfo(m.name) AS c
WHERE m.type = 'table' AND m.name LIKE 'bodrelay\_%' ESCAPE '\'
    OR m.type IN ('table', 'view') AND m.name LIKE 'cor\_%' ESCAPE '\'
ORDER BY m.name, c.cid
