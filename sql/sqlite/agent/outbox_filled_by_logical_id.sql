-- agent:outbox_filled_by_logical_id
-- Rows that have come into a range of ids, lowest first, and whether each is at 0 and chosen. For connection points
-- that choose by logical id: the box has C_LOGICAL_ID (3.0).
-- Parameters: ?1 first and ?2 last id of the range, ?3 limit, ?4 tenant (NULL: any), ?5 created from (NULL: any; a time
-- that cannot be read counts as later), ?6 logical id.
-- Locks: reads only; in one read transaction with the scan.
SELECT C_ID,
    coalesce(C_WAS_PROCESSED = 0
            AND C_LOGICAL_ID = ?6
            AND (?4 IS NULL OR C_TENANT_ID = ?4)
            AND (?5 IS NULL
                OR coalesce(strftime('%Y-%m-%dT%H:%M:%fZ', C_CREATED_DATE_TIME, 'auto') >= ?5, TRUE)), FALSE) AS is_chosen,
    coalesce(octet_length(C_XML), 0) AS payload_bytes
FROM COR_OUTBOX_ENTRY
WHERE C_ID >= ?1 AND C_ID <= ?2
ORDER BY C_ID
LIMIT ?3
