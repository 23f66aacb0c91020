-- agent:inbox_load_headers
-- The headers of a row of the inbox, in their order.
-- Parameters: @P1 C_INBOX_ID.
-- Locks: reads only, READ COMMITTED.
SELECT CAST(C_HEADER_KEY AS nvarchar(max)) AS C_HEADER_KEY, CAST(C_HEADER_VALUE AS nvarchar(max)) AS C_HEADER_VALUE
FROM /* iobox_schema */COR_INBOX_HEADERS
WHERE C_INBOX_ID = @P1 AND C_HEADER_KEY IS NOT NULL AND C_HEADER_VALUE IS NOT NULL
ORDER BY C_ID
