-- agent:outbox_load_headers
-- The headers of rows, in the order of their C_ID; those without a key or a value are none.
-- Parameters: ?1 ids as a JSON array.
-- Locks: reads only; in one read transaction with outbox_load.
SELECT C_OUTBOX_ID, C_HEADER_KEY, C_HEADER_VALUE
FROM COR_OUTBOX_HEADERS
WHERE C_OUTBOX_ID IN (SELECT value FROM json_each(?1)) AND C_HEADER_KEY IS NOT NULL AND C_HEADER_VALUE IS NOT NULL
ORDER BY C_OUTBOX_ID, C_ID
