-- agent:outbox_oldest_by_logical_id
-- The created time of the lowest id at 0. For connection points that choose by logical id: the box has
-- C_LOGICAL_ID (3.0).
-- Parameters: ?1 tenant (NULL: any), ?2 created from (NULL: any; a time that cannot be read counts as later),
-- ?3 logical id.
-- Locks: reads only.
SELECT C_CREATED_DATE_TIME
FROM COR_OUTBOX_ENTRY
WHERE C_WAS_PROCESSED = 0
    AND C_LOGICAL_ID = ?3
    AND (?1 IS NULL OR C_TENANT_ID = ?1)
    AND (?2 IS NULL
        OR coalesce(strftime('%Y-%m-%dT%H:%M:%fZ', C_CREATED_DATE_TIME, 'auto') >= ?2, TRUE))
ORDER BY C_ID
LIMIT 1
