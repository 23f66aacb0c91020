-- agent:survey_rights
-- Of these tables, those into which this role may not insert, and the right that it needs. A serial column takes its number
-- from a sequence that has rights of its own; an identity column needs none.
-- Parameters: $1 the tables, each with its schema, quoted.
-- Locks: reads only; one REPEATABLE READ, READ ONLY transaction.
SELECT t.name AS table_name, 'SELECT, INSERT ON ' || t.name AS needed
FROM unnest($1::text[]) AS t (name)
WHERE NOT has_table_privilege(t.name, 'INSERT') AND NOT has_any_column_privilege(t.name, 'INSERT')
UNION ALL
SELECT t.name, 'USAGE ON SEQUENCE ' || s.oid::regclass::text
FROM unnest($1::text[]) AS t (name)
JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = t.name::regclass
JOIN pg_catalog.pg_depend AS p ON p.classid = 'pg_catalog.pg_attrdef'::regclass AND p.objid = d.oid
    AND p.refclassid = 'pg_catalog.pg_class'::regclass
JOIN pg_catalog.pg_class AS s ON s.oid = p.refobjid
-- CASE: the function fails for what is no sequence, and the planner may ask it first.
WHERE CASE s.relkind WHEN 'S' THEN NOT has_sequence_privilege(s.oid, 'USAGE, UPDATE') ELSE FALSE END
ORDER BY 1, 2
