-- agent:outbox_scan_by_logical_id
-- Ids at 0 in a range, lowest first, with the length of the document. For connection points that choose by
-- logical id: the box has C_LOGICAL_ID (3.0).
-- The likelihood keeps SQLite from an index in which something comes between the flag and C_ID, as in Infor's
-- own: it would sort all that waits for each page; the range of ids bounds the work instead.
-- Parameters: ?1 after, ?2 up to, ?3 limit, ?4 tenant (NULL: any), ?5 created from (NULL: any; a time that
-- cannot be read counts as later), ?6 logical id.
-- Locks: reads only.
SELECT C_ID, coalesce(octet_length(C_XML), 0) AS payload_bytes
FROM COR_OUTBOX_ENTRY
WHERE likelihood(C_WAS_PROCESSED = 0, 0.1) AND C_ID > ?1 AND C_ID <= ?2
    AND C_LOGICAL_ID = ?6
    AND (?4 IS NULL OR C_TENANT_ID = ?4)
    AND (?5 IS NULL
        OR coalesce(strftime('%Y-%m-%dT%H:%M:%fZ', C_CREATED_DATE_TIME, 'auto') >= ?5, TRUE))
ORDER BY C_ID
LIMIT ?3
