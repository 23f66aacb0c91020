-- agent:outbox_load
-- Rows by id, whatever their flag.
-- Parameters: ?1 ids as a JSON array.
-- Locks: reads only; in one read transaction with outbox_load_headers.
SELECT C_ID, C_MESSAGE_PRIORITY, C_CREATED_DATE_TIME, C_WAS_PROCESSED, C_XML
FROM COR_OUTBOX_ENTRY
WHERE C_ID IN (SELECT value FROM json_each(?1))
ORDER BY C_ID
