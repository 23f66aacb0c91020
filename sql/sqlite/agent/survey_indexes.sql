-- agent:survey_indexes
-- Every index with its columns in order; a column that is an expression has no name.
-- Parameters: none.
-- Locks: reads only.
SELECT m.name AS table_name, l.name AS index_name, l.partial AS partial, i.name AS column_name
FROM sqlite_master AS m CROSS JOIN pragma_index_list(m.name) AS l CROSS JOIN pragma_index_info(l.name) AS i
WHERE m.type = 'table'
ORDER BY m.name, l.name, i.seqno
