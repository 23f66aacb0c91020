-- agent:inbox_insert_1_0
-- Writes an entry of an inbox 1.0, which has no C_LOGICAL_ID, and answers with its id.
-- Parameters: @P1 C_TENANT_ID, @P2 C_CREATED_DATE_TIME, @P3 C_WAS_PROCESSED, @P4 C_XML.
-- Locks: part of the one transaction of a store; only new rows.
INSERT INTO /* iobox_schema */COR_INBOX_ENTRY (
    C_TENANT_ID, C_MESSAGE_PRIORITY, C_CREATED_DATE_TIME, C_WAS_PROCESSED, C_XML)
VALUES (@P1, 4, CAST(@P2 AS datetime2(3)), @P3, /* inbox_document */@P4/* inbox_document */);
SELECT CAST(SCOPE_IDENTITY() AS bigint) AS C_ID
