-- agent:outbox_unseen
-- Among the newest ids, rows that no scan sees and that are not done either: C_WAS_PROCESSED is none of 0, 1 and 9.
-- Parameters: ?1 how many ids, ?2 how many rows at most.
-- Locks: reads only.
SELECT C_ID, C_WAS_PROCESSED
FROM COR_OUTBOX_ENTRY
WHERE C_ID > (SELECT max(C_ID) FROM COR_OUTBOX_ENTRY) - ?1
    AND coalesce(NOT (C_WAS_PROCESSED = 0 OR C_WAS_PROCESSED = 1 OR C_WAS_PROCESSED = 9), TRUE)
ORDER BY C_ID
LIMIT ?2
