-- agent:outbox_unseen
-- Among the newest ids, rows that no scan sees and that are not done either: C_WAS_PROCESSED is none of 0, 1 and 9.
-- Parameters: @P1 how many ids, @P2 how many rows at most.
-- Locks: none under READ_COMMITTED_SNAPSHOT. Without it READPAST (in the place of /* readpast */).
SELECT TOP (@P2) CAST(C_ID AS bigint) AS C_ID, CAST(C_WAS_PROCESSED AS nvarchar(60)) AS was_processed
FROM /* iobox_schema */COR_OUTBOX_ENTRY /* readpast */
WHERE C_ID > (SELECT MAX(C_ID) FROM /* iobox_schema */COR_OUTBOX_ENTRY /* readpast */) - @P1
    AND (C_WAS_PROCESSED IS NULL OR C_WAS_PROCESSED NOT IN (0, 1, 9))
ORDER BY C_ID
