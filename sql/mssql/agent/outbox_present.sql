-- agent:outbox_present
-- Of these rows, those that are in the table.
-- Parameters: none; the ids are in #bodrelay_id.
-- Locks: reads only, READ COMMITTED and never READPAST: a row that is locked must not look like one that is
-- gone, so it is waited for (LOCK_TIMEOUT).
SELECT CAST(C_ID AS bigint) AS C_ID
FROM /* iobox_schema */COR_OUTBOX_ENTRY
WHERE C_ID IN (SELECT entry_id FROM #bodrelay_id)
ORDER BY C_ID
