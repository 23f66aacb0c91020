-- agent:survey_indexes
-- Every valid index of the I/O Box with its columns in order and its condition; a column that is an expression has
-- no name.
-- Parameters: $1 schemas of the I/O Box.
-- Locks: reads only; one REPEATABLE READ, READ ONLY transaction.
SELECT
    n.nspname::text AS schema_name, c.relname::text AS table_name, i.relname::text AS index_name,
    pg_catalog.pg_get_expr(x.indpred, x.indrelid) AS condition, a.attname::text AS column_name
FROM pg_catalog.pg_index AS x
JOIN pg_catalog.pg_class AS c ON c.oid = x.indrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class AS i ON i.oid = x.indexrelid
CROSS JOIN LATERAL unnest(x.indkey::smallint[]) WITH ORDINALITY AS k (attnum, place)
LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.attnum AND k.attnum > 0
WHERE x.indisvalid AND k.place <= x.indnkeyatts
    AND n.nspname = ANY ($1::text[]) AND lower(c.relname) IN ('cor_outbox_entry', 'cor_outbox_headers')
ORDER BY n.nspname, c.relname, i.relname, k.place
