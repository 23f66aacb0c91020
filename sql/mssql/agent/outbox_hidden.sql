-- agent:outbox_hidden
-- Whether a security policy filters the rows of the outbox: those that it hides are not seen, and no error says so. A login
-- without the right to see policies is told nothing.
-- Parameters: none.
-- Locks: reads only, READ COMMITTED.
SELECT MIN(QUOTENAME(OBJECT_SCHEMA_NAME(p.object_id)) + N'.' + QUOTENAME(p.name)) AS policy
FROM sys.security_policies AS p
JOIN sys.security_predicates AS f ON f.object_id = p.object_id
WHERE p.is_enabled = 1 AND f.predicate_type_desc = N'FILTER'
    AND f.target_object_id = OBJECT_ID(N'/* iobox_schema */COR_OUTBOX_ENTRY')
