-- agent:change_strays
-- Changes that wait for a connection point that nobody has: a name that a trigger has wrong.
-- Parameters: none.
-- Locks: reads only; one READ ONLY transaction.
SELECT c.connection_point, count(*) AS waiting
FROM bodrelay_change AS c
WHERE c.was_processed = 0
    AND NOT EXISTS (
        SELECT 1 FROM bodrelay_connection_point AS p
        WHERE p.connection_point = c.connection_point AND p.source_kind = 'rows')
GROUP BY c.connection_point
ORDER BY c.connection_point
LIMIT 20
