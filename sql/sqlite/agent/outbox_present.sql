-- agent:outbox_present
-- Of these rows, those that are in the table.
-- Parameters: ?1 ids as a JSON array.
-- Locks: reads only.
SELECT C_ID
FROM COR_OUTBOX_ENTRY
WHERE C_ID IN (SELECT value FROM json_each(?1))
