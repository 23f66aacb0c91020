-- agent:survey_columns
-- Every column of the I/O Box and of the control tables, with the type under its domain: what the catalogue has.
-- Names are compared without case, since sites quote them in every case.
-- Parameters: $1 schemas of the I/O Box, $2 schema of the control tables.
-- Locks: reads only; one REPEATABLE READ, READ ONLY transaction.
SELECT
    n.nspname::text AS schema_name, c.relname::text AS table_name, a.attname::text AS column_name,
    coalesce(b.typname, t.typname)::text AS type_name
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_type AS b ON b.oid = t.typbasetype AND t.typtype = 'd'
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND ((n.nspname = ANY ($1::text[])
            AND lower(c.relname) IN ('cor_outbox_entry', 'cor_outbox_headers', 'cor_inbox_entry', 'cor_inbox_headers'))
        OR (n.nspname = $2::text AND c.relname LIKE 'bodrelay\_%'))
ORDER BY array_position($1::text[], n.nspname::text), c.relname, a.attnum
