-- agent:outbox_purge_headers
-- Deletes the headers of rows that are deleted next.
-- Parameters: none; the ids are in #bodrelay_id.
-- Locks: part of the one transaction of a purge; the rows that it deletes.
DELETE FROM /* iobox_schema */COR_OUTBOX_HEADERS
WHERE C_OUTBOX_ID IN (SELECT entry_id FROM #bodrelay_id)
