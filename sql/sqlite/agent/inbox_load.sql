-- agent:inbox_load
-- A row of the inbox, whatever its flag.
-- Parameters: ?1 C_ID.
-- Locks: reads only; in one read transaction with inbox_load_headers.
SELECT C_ID, C_MESSAGE_PRIORITY, C_CREATED_DATE_TIME, C_WAS_PROCESSED, C_XML
FROM COR_INBOX_ENTRY
WHERE C_ID = ?1
