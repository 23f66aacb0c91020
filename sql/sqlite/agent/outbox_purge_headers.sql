-- agent:outbox_purge_headers
-- Deletes the headers of rows that are deleted next.
-- Parameters: ?1 ids as a JSON array.
-- Locks: one BEGIN IMMEDIATE transaction with outbox_purge.
DELETE FROM COR_OUTBOX_HEADERS
WHERE C_OUTBOX_ID IN (SELECT value FROM json_each(?1))
