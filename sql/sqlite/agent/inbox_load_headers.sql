-- agent:inbox_load_headers
-- The headers of a row of the inbox, in their order.
-- Parameters: ?1 C_INBOX_ID.
-- Locks: reads only; in one read transaction with inbox_load.
SELECT C_INBOX_ID, C_HEADER_KEY, C_HEADER_VALUE
FROM COR_INBOX_HEADERS
WHERE C_INBOX_ID = ?1 AND C_HEADER_KEY IS NOT NULL AND C_HEADER_VALUE IS NOT NULL
ORDER BY C_ID
