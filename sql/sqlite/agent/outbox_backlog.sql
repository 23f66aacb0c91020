-- agent:outbox_backlog
-- How many rows are at 0, counted no further than a limit. For connection points that do not choose by logical
-- id, and so for 1.0 boxes, which have no C_LOGICAL_ID.
-- Parameters: ?1 limit, ?2 tenant (NULL: any), ?3 created from (NULL: any; a time that cannot be read counts
-- as later).
-- Locks: reads only.
SELECT count(*) AS waiting_rows
FROM (
    SELECT 1 AS waiting
    FROM COR_OUTBOX_ENTRY
    WHERE C_WAS_PROCESSED = 0
    AND (?2 IS NULL OR C_TENANT_ID = ?2)
    AND (?3 IS NULL
        OR coalesce(strftime('%Y-%m-%dT%H:%M:%fZ', C_CREATED_DATE_TIME, 'auto') >= ?3, TRUE))
    LIMIT ?1) AS counted
