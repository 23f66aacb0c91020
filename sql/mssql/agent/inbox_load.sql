-- agent:inbox_load
-- A row of the inbox, whatever its flag.
-- Parameters: @P1 C_ID.
-- Locks: reads only, READ COMMITTED; a row that somebody writes is waited for.
SELECT CAST(C_ID AS bigint) AS C_ID, TRY_CAST(C_MESSAGE_PRIORITY AS bigint) AS C_MESSAGE_PRIORITY,
    C_CREATED_DATE_TIME, CAST(COALESCE(C_WAS_PROCESSED, -1) AS bigint) AS C_WAS_PROCESSED, 1 AS fits,
    CAST(/* inbox_text */C_XML/* inbox_text */ AS varbinary(max)) AS document
FROM /* iobox_schema */COR_INBOX_ENTRY
WHERE C_ID = @P1
