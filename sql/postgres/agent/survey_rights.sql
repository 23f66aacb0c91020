-- agent:survey_rights
-- Of these tables, those into which this role may not insert.
-- Parameters: $1 the tables, each with its schema, quoted.
-- Locks: reads only; one REPEATABLE READ, READ ONLY transaction.
SELECT t.name AS table_name
FROM unnest($1::text[]) AS t (name)
WHERE NOT has_table_privilege(t.name, 'INSERT') AND NOT has_any_column_privilege(t.name, 'INSERT')
ORDER BY t.name
