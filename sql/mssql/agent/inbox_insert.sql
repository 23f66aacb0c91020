-- agent:inbox_insert
-- Writes an entry of the inbox, and answers with its id. One a call, as SQL Server ties the ids of many to their rows by
-- MERGE only.
-- Parameters: @P1 C_TENANT_ID, @P2 C_LOGICAL_ID, @P3 C_CREATED_DATE_TIME, @P4 C_WAS_PROCESSED, @P5 C_XML.
-- Locks: part of the one transaction of a store; only new rows.
INSERT INTO /* iobox_schema */COR_INBOX_ENTRY (
    C_TENANT_ID, C_LOGICAL_ID, C_MESSAGE_PRIORITY, C_CREATED_DATE_TIME, C_WAS_PROCESSED, C_XML)
VALUES (@P1, @P2, 4, CAST(@P3 AS datetime2(3)), @P4, /* inbox_document */@P5/* inbox_document */);
SELECT CAST(SCOPE_IDENTITY() AS bigint) AS C_ID
