-- agent:survey_columns
-- The columns of the I/O Box and of the control tables with their base types: names and types as the catalogue
-- has them.
-- Parameters: @P1 control schema, @P2 schema of the I/O Box, in brackets and with a point, or empty: as the
-- server resolves a bare name.
-- Locks: reads only; short, READ COMMITTED.
SELECT o.name AS table_name, c.name AS column_name, t.name AS type_name, CAST(c.max_length AS int) AS max_length,
    CAST(c.precision AS int) AS number_precision, CAST(c.scale AS int) AS number_scale
FROM sys.objects AS o
JOIN sys.columns AS c ON c.object_id = o.object_id
JOIN sys.types AS t ON t.user_type_id = c.system_type_id
WHERE o.type IN ('U', 'V')
    AND ((o.schema_id = SCHEMA_ID(@P1) AND o.name LIKE N'bodrelay[_]%')
        OR o.object_id IN (OBJECT_ID(@P2 + N'COR_OUTBOX_ENTRY'), OBJECT_ID(@P2 + N'COR_OUTBOX_HEADERS'),
            OBJECT_ID(@P2 + N'COR_INBOX_ENTRY'), OBJECT_ID(@P2 + N'COR_INBOX_HEADERS')))
ORDER BY o.name, c.column_id
