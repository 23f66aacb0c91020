-- agent:survey_indexes
-- The indexes of the outbox with their key columns in order.
-- Parameters: @P1 schema of the I/O Box, in brackets and with a point, or empty.
-- Locks: reads only; short, READ COMMITTED.
SELECT o.name AS table_name, i.name AS index_name, CAST(i.has_filter AS int) AS partial, c.name AS column_name
FROM sys.objects AS o
JOIN sys.indexes AS i ON i.object_id = o.object_id
JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id
JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id
WHERE o.object_id IN (OBJECT_ID(@P1 + N'COR_OUTBOX_ENTRY'), OBJECT_ID(@P1 + N'COR_OUTBOX_HEADERS'))
    AND i.is_disabled = 0 AND k.key_ordinal > 0
ORDER BY o.name, i.index_id, k.key_ordinal
