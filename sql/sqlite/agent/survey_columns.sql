-- agent:survey_columns
-- Every column of every table and view, with its declared type: what the catalogue has.
-- Parameters: none.
-- Locks: reads only.
SELECT m.name AS table_name, c.name AS column_name, c.type AS declared_type
FROM sqlite_master AS m CROSS JOIN pragma_table_xinfo(m.name) AS c
WHERE m.type IN ('table', 'view')
ORDER BY m.name, c.cid
