-- agent:change_strays
-- Changes that wait for a connection point that nobody has: a name that a trigger has wrong.
-- Parameters: none.
-- Locks: reads only, READ COMMITTED; a change that an open business transaction has locked is passed over and
-- found later (READPAST where there is no READ_COMMITTED_SNAPSHOT).
SELECT TOP (20) c.connection_point, COUNT_BIG(*) AS waiting
FROM [bodrelay].bodrelay_change AS c /* readpast */
WHERE c.was_processed = 0
    AND NOT EXISTS (
        SELECT 1 FROM [bodrelay].bodrelay_connection_point AS p
        WHERE p.connection_point = c.connection_point AND p.source_kind = N'rows')
GROUP BY c.connection_point
ORDER BY c.connection_point
